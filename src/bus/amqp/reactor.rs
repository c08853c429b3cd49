//! What lapin reads through: our [`Wire`] to the broker, or TLS on it, behind a [`Sorter`] that taps what consumers get.

use super::socket::Cutter;
use super::tap::{Sorter, Taps};
use super::wire::Wire;
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use lapin::tcp::AsyncTcpStream;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// So many bytes are read before lapin gets a turn to write.
const TURN: usize = 1 << 22;
/// lapin takes a broker for dead of which it reads nothing; so it is given a heartbeat when for so long everything was tapped.
const SILENCE: Duration = Duration::from_secs(1);
const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xce];

/// What lapin runs on.
pub(super) type Engine = Runtime<RuntimeParts<Tokio, Sockets>>;

/// The way to the broker, plain or with TLS.
pub(super) type Plain = AsyncTcpStream<Wire>;

/// Our sockets, and all else of tokio.
#[derive(Clone, Debug)]
pub(super) struct Sockets {
    tokio: Tokio,
    runtime: Handle,
}

/// lapin on this runtime.
pub(super) fn engine(runtime: Handle) -> Engine {
    let tokio = Tokio::default().with_handle(runtime.clone());
    Runtime::new(RuntimeParts::new(tokio.clone(), Sockets { tokio, runtime }))
}

/// A stream in which nothing is too deep, and from which deliveries are tapped.
pub(super) struct Watched {
    stream: Plain,
    sorter: Sorter,
    cutter: Cutter,
    /// When lapin was last given something.
    told: Instant,
    /// What is left of a heartbeat that lapin is given.
    heartbeat: &'static [u8],
    /// There is nothing more before lapin has had its turn; it will be woken.
    dry: bool,
}

impl Watched {
    /// What comes by this stream, from its first byte on.
    pub fn new(stream: Plain, cutter: Cutter, taps: Taps) -> Watched {
        Watched { stream, sorter: Sorter::new(taps), cutter, told: Instant::now(), heartbeat: &[], dry: false }
    }

    /// Reads what there is, as far as there is room for it.
    fn more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, self.sorter.room()))?;
        self.sorter.filled(read);
        self.cutter.hear();
        Poll::Ready(Ok(read))
    }

    fn inner(self: Pin<&mut Self>) -> Pin<&mut Plain> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // lapin reads to the end before it does anything else. In a rush, that would be the end of the rush.
        if this.heartbeat.is_empty() && std::mem::take(&mut this.dry) {
            return Poll::Pending;
        }
        let (mut given, mut taken) = (0, 0);
        while this.heartbeat.is_empty() {
            given += this.sorter.sort(&mut buffer[given..])?;
            if given == buffer.len() || this.dry {
                break;
            }
            match this.more(cx)? {
                Poll::Ready(0) => return Poll::Ready(Ok(given)),
                Poll::Ready(read) => taken += read,
                Poll::Pending => this.dry = true,
            }
            if taken >= TURN {
                cx.waker().wake_by_ref();
                this.dry = true;
            }
        }
        if given == 0 && taken > 0 && this.told.elapsed() >= SILENCE && this.sorter.between_frames() {
            this.heartbeat = &HEARTBEAT;
        }
        if !this.heartbeat.is_empty() {
            // Only a piece of it may find room at the end of lapin's buffer.
            given = this.heartbeat.read(buffer)?;
        }
        if given == 0 {
            this.dry = false;
            return Poll::Pending;
        }
        this.told = Instant::now();
        Poll::Ready(Ok(given))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, pieces)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_close(cx)
    }
}

impl Reactor for Sockets {
    type TcpStream = Watched;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        self.tokio.sleep(span)
    }

    fn interval(&self, span: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(span)
    }

    fn tcp_connect_addr(&self, address: SocketAddr) -> impl Future<Output = io::Result<Watched>> + Send + 'static {
        let connecting = Wire::connect(address, self.runtime.clone());
        async { Ok(Watched::new(AsyncTcpStream::Plain(connecting.await?), Cutter::default(), Taps::default())) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tap::tests::delivery;
    use super::*;
    use futures_util::poll;
    use std::future::poll_fn;
    use std::net::{TcpListener, TcpStream};

    /// A stream, and the peer's end.
    async fn watched(taps: Taps) -> (Watched, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Wire::connect(listener.local_addr().unwrap(), Handle::current()).await.unwrap();
        (Watched::new(AsyncTcpStream::Plain(wire), Cutter::default(), taps), listener.accept().unwrap().0)
    }

    async fn read(stream: &mut Watched, most: usize) -> Vec<u8> {
        let mut buffer = vec![0; most];
        let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await.unwrap();
        buffer[..read].to_vec()
    }

    #[tokio::test]
    async fn lapin_hears_a_heartbeat_when_everything_is_tapped() {
        let taps = Taps::default();
        taps.open(1, |arrivals| arrivals.drain(..).count() > 0);
        let (mut stream, mut peer) = watched(taps).await;
        stream.told -= SILENCE;
        peer.write_all(&delivery(1, 1, &[b"one"])).unwrap();
        // Whatever room lapin has for it.
        assert_eq!(read(&mut stream, 3).await, HEARTBEAT[..3]);
        assert_eq!(read(&mut stream, 100).await, HEARTBEAT[3..]);
        // Not again before it is time: what lapin reads next is for lapin.
        stream.told += SILENCE * 1000;
        let other = delivery(2, 1, &[]);
        peer.write_all(&[delivery(1, 2, &[b"two"]), other.clone()].concat()).unwrap();
        assert_eq!(read(&mut stream, 100).await, other);
    }

    #[tokio::test]
    async fn lapin_has_its_turn_before_more_is_read() {
        let (mut stream, mut peer) = watched(Taps::default()).await;
        for _ in 0..3 {
            peer.write_all(&HEARTBEAT).unwrap();
            assert_eq!(read(&mut stream, 100).await, HEARTBEAT);
            peer.write_all(&HEARTBEAT).unwrap();
            let mut buffer = [0; 100];
            assert!(poll!(poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buffer))).is_pending());
            assert_eq!(read(&mut stream, 100).await, HEARTBEAT);
            assert!(poll!(poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buffer))).is_pending());
        }
    }
}
