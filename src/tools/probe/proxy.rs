//! A way to the broker that sees every byte: when frames go out, who ends a connection, and, when asked to, nothing at all,
//! as if the broker were frozen. It has a thread of its own, so that it sees whatever its program is busy with.

use super::frames::{Frame, Frames, GREETING};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// `connection.open-ok`: the broker has let the client in.
const OPEN_OK: Frame = Frame::Method(10, 41);

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client.
    Client,
    /// The broker.
    Broker,
}

/// What was seen of one connection.
#[derive(Clone, Debug)]
pub struct Sight {
    /// When the broker let the client in.
    pub opened: Option<Instant>,
    /// Frames of the client.
    pub frames: u32,
    /// Those of them that are heartbeats.
    pub heartbeats: u32,
    /// When the last of them came.
    pub last: Instant,
    /// The longest time without any, from its opening to its end or until it was looked at.
    pub longest_gap: Duration,
    /// Who ended it, and when.
    pub ended: Option<(End, Instant)>,
    frozen: bool,
}

impl Sight {
    fn new() -> Sight {
        let (longest_gap, last) = (Duration::ZERO, Instant::now());
        Sight { opened: None, frames: 0, heartbeats: 0, last, longest_gap, ended: None, frozen: false }
    }

    /// Whether it is open.
    pub fn is_live(&self) -> bool {
        self.opened.is_some() && self.ended.is_none()
    }

    /// As it is when somebody looks.
    fn seen(mut self, now: Instant) -> Sight {
        self.silent_until(self.ended.map_or(now, |(_, when)| when));
        self
    }

    fn silent_until(&mut self, now: Instant) {
        let gap = self.opened.map_or(Duration::ZERO, |opened| now.saturating_duration_since(self.last.max(opened)));
        self.longest_gap = self.longest_gap.max(gap);
    }

    fn sent(&mut self, frames: &[Frame]) {
        let now = Instant::now();
        self.silent_until(now);
        self.last = now;
        self.frames += frames.len() as u32;
        self.heartbeats += frames.iter().filter(|frame| **frame == Frame::Heartbeat).count() as u32;
    }
}

/// The proxy; dropping it ends all connections through it.
pub struct Proxy {
    address: SocketAddr,
    sights: Sights,
    stop: CancellationToken,
}

type Sights = Arc<watch::Sender<Vec<Sight>>>;

impl Proxy {
    /// Leads from a free port of this machine to the broker at `target`.
    pub fn start(target: SocketAddr) -> io::Result<Proxy> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let sights: Sights = Arc::new(watch::channel(Vec::new()).0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (seen, stopped) = (sights.clone(), stop.clone());
        let serve = move || {
            let serving = stopped.run_until_cancelled(accept(listener, target, seen));
            if let Some(Err(error)) = runtime.block_on(serving) {
                tracing::error!(%error, "the probe's proxy has ended");
            }
        };
        std::thread::Builder::new().name("oat-probe".into()).spawn(serve)?;
        Ok(Proxy { address, sights, stop })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was seen so far, a connection each, in the order of their beginning.
    pub fn sights(&self) -> Vec<Sight> {
        let now = Instant::now();
        self.sights.borrow().iter().map(|sight| sight.clone().seen(now)).collect()
    }

    /// The same for who looks again and again.
    pub fn watcher(&self) -> watch::Receiver<Vec<Sight>> {
        self.sights.subscribe()
    }

    /// Waits until this is seen; whether that was within `limit`.
    pub async fn until(&self, seen: impl FnMut(&Vec<Sight>) -> bool, limit: Duration) -> bool {
        timeout(limit, self.sights.subscribe().wait_for(seen)).await.is_ok()
    }

    /// From now on swallows what comes on the connections that there are, and keeps them open.
    pub fn freeze(&self) {
        self.sights.send_modify(|all| all.iter_mut().for_each(|sight| sight.frozen = true));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: std::net::TcpListener, target: SocketAddr, sights: Sights) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let mut number = 0;
        sights.send_modify(|all| {
            number = all.len();
            all.push(Sight::new());
        });
        tokio::spawn(Way { number, sights: sights.clone() }.lead(client, target));
    }
}

/// One connection.
struct Way {
    number: usize,
    sights: Sights,
}

impl Way {
    async fn lead(self, client: TcpStream, target: SocketAddr) {
        // A heartbeat is eight bytes: without this, some would wait for company.
        let _ = client.set_nodelay(true);
        let end = match TcpStream::connect(target).await {
            Ok(broker) => {
                let _ = broker.set_nodelay(true);
                let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
                tokio::select! {
                    () = self.upstream(from_client, to_broker) => End::Client,
                    () = self.downstream(from_broker, to_client) => End::Broker,
                }
            }
            Err(_) => End::Broker,
        };
        self.note(|sight| sight.ended = Some((end, Instant::now())));
    }

    fn note(&self, change: impl FnOnce(&mut Sight)) {
        self.sights.send_modify(|all| change(&mut all[self.number]));
    }

    fn is_frozen(&self) -> bool {
        self.sights.borrow()[self.number].frozen
    }

    async fn upstream(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut buffer, mut frames) = (vec![0; 16 * 1024], Frames::after(GREETING));
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let seen = frames.feed(&buffer[..count]);
            self.note(|sight| sight.sent(&seen));
            if !self.is_frozen() && to.write_all(&buffer[..count]).await.is_err() {
                // The other direction knows better who ended it.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn downstream(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut buffer, mut frames) = (vec![0; 16 * 1024], Frames::default());
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if frames.feed(&buffer[..count]).contains(&OPEN_OK) {
                self.note(|sight| sight.opened = Some(Instant::now()));
            }
            if !self.is_frozen() && to.write_all(&buffer[..count]).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        // A frozen broker that gives up is not heard either.
        if self.is_frozen() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_ends_when_somebody_looks() {
        let mut sight = Sight::new();
        sight.opened = Some(sight.last);
        let looked = sight.last + Duration::from_secs(3);
        assert_eq!(sight.clone().seen(looked).longest_gap, Duration::from_secs(3));
        sight.ended = Some((End::Client, sight.last + Duration::from_secs(2)));
        assert_eq!(sight.seen(looked).longest_gap, Duration::from_secs(2));
    }
}
