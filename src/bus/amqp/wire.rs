//! The socket to a broker. It is tokio's, but for rushes: while something comes again and again, lapin's thread is not woken for
//! each piece, which costs more than all that is done with a message, here and at the broker's end on the same machine. It
//! takes a nap instead and reads what has come meanwhile, until a nap brings nothing; as network drivers do. Where messages
//! come one by one, nothing of this happens.

use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::runtime::Handle;

/// It is a rush when so much came in so many pieces within that: a question and its answer are no rush.
const MUCH: usize = 1 << 14;
const OFTEN: u32 = 3;
const SPAN: Duration = Duration::from_millis(1);
/// Short beside the time that a hundred messages take.
const NAP: Duration = Duration::from_micros(200);

/// A TCP connection.
pub(super) struct Wire {
    socket: TcpStream,
    runtime: Handle,
    /// The same socket with tokio, which tells when something can be read or written. There is none in a rush.
    watch: Option<tokio::net::TcpStream>,
    /// Its handle meanwhile: there may be no other to be had.
    spare: Option<TcpStream>,
    /// Somebody waits to be told when something can be written.
    stuck: bool,
    rush: Rush,
}

/// What came lately.
struct Rush {
    span: Duration,
    since: Instant,
    times: u32,
    bytes: usize,
    /// So much was read since there was last nothing.
    fed: usize,
    /// There was nothing when it was last tried.
    dry: bool,
}

impl Wire {
    /// A connection to this address. The runtime tells when something can be read or written.
    pub async fn connect(address: SocketAddr, runtime: Handle) -> io::Result<Wire> {
        let socket = tokio::net::TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Wire::new(socket.into_std()?, runtime)
    }

    fn new(socket: TcpStream, runtime: Handle) -> io::Result<Wire> {
        let rush = Rush { span: SPAN, since: Instant::now(), times: 0, bytes: 0, fed: 0, dry: false };
        let mut wire = Wire { socket, runtime, watch: None, spare: None, stuck: false, rush };
        wire.watch()?;
        Ok(wire)
    }

    fn watch(&mut self) -> io::Result<&tokio::net::TcpStream> {
        if self.watch.is_none() {
            let _inside = self.runtime.enter();
            let handle = self.spare.take().map_or_else(|| self.socket.try_clone(), Ok)?;
            self.watch = Some(tokio::net::TcpStream::from_std(handle)?);
        }
        self.watch.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Nothing is there. Whether to come again soon without being told.
    fn rushes(&mut self) -> bool {
        self.rush.dry = true;
        let fed = std::mem::take(&mut self.rush.fed);
        match self.watch {
            None => fed > 0,
            Some(_) if fed > 0 && self.rush.begins(fed) && !self.stuck => {
                self.spare = self.watch.take().and_then(|watch| watch.into_std().ok());
                true
            }
            Some(_) => false,
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.watch {
            Some(watch) => watch.try_io(Interest::READABLE, || (&self.socket).read(buffer)),
            None => (&self.socket).read(buffer),
        }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&mut &TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let written = match &self.watch {
                Some(watch) if self.stuck => watch.try_io(Interest::WRITABLE, || write(&mut &self.socket)),
                _ => write(&mut &self.socket),
            };
            self.stuck = is_early(&written);
            if !self.stuck {
                return Poll::Ready(written);
            }
            ready!(self.watch()?.poll_write_ready(cx))?;
        }
    }
}

fn is_early(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

impl Rush {
    /// So much came.
    fn begins(&mut self, fed: usize) -> bool {
        if self.since.elapsed() > self.span {
            (self.since, self.times, self.bytes) = (Instant::now(), 0, 0);
        }
        self.times += 1;
        self.bytes += fed;
        self.times >= OFTEN && self.bytes >= MUCH
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.rush.dry) && this.watch.is_none() {
            // This thread is lapin's, and has nothing else to do: what is to be written meanwhile is written together.
            sleep(NAP);
        }
        loop {
            let read = this.read(buffer);
            if !is_early(&read) {
                this.rush.fed += read.as_ref().unwrap_or(&0);
                return Poll::Ready(read);
            }
            if this.rushes() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(this.watch()?.poll_read_ready(cx))?;
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, |socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, |socket| socket.write_vectored(pieces))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.socket.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            closed => closed,
        })
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::future::poll_fn;
    use std::net::TcpListener;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(60);

    /// A wire to which everything within the last hour is lately, and the peer's end.
    fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut wire = Wire::new(ours, Handle::current()).unwrap();
        wire.rush.span = Duration::from_secs(3600);
        (wire, listener.accept().unwrap().0)
    }

    /// Reads until so many bytes have come and there is nothing more.
    async fn read_dry(wire: &mut Wire, wanted: usize) {
        let (mut read, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match poll!(poll_fn(|cx| Pin::new(&mut *wire).poll_read(cx, &mut buffer))) {
                Poll::Ready(some) => read += some.unwrap(),
                Poll::Pending if read == wanted => return,
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
    }

    async fn rush(wire: &mut Wire, peer: &mut TcpStream) {
        for _ in 0..OFTEN {
            peer.write_all(&[7; MUCH]).unwrap();
            read_dry(wire, MUCH).await;
        }
    }

    #[tokio::test]
    async fn a_rush_ends_when_nothing_comes_and_what_comes_then_is_heard() {
        let (mut wire, mut peer) = pair();
        for _ in 0..2 {
            rush(&mut wire, &mut peer).await;
            assert!(wire.watch.is_none(), "it is a rush");
            peer.write_all(b"more").unwrap();
            let mut buffer = [0; 64];
            // It wakes itself as long as it rushes.
            let reading = poll_fn(|cx| Pin::new(&mut wire).poll_read(cx, &mut buffer));
            assert_eq!(timeout(LONG, reading).await.unwrap().unwrap(), 4);
            while wire.watch.is_none() {
                read_dry(&mut wire, 0).await;
            }
            let mut reading = poll_fn(|cx| Pin::new(&mut wire).poll_read(cx, &mut buffer));
            assert!(poll!(&mut reading).is_pending());
            peer.write_all(b"later").unwrap();
            assert_eq!(timeout(LONG, reading).await.unwrap().unwrap(), 5);
        }
    }

    #[tokio::test]
    async fn questions_with_their_answers_and_long_answers_are_no_rush() {
        let (mut wire, mut peer) = pair();
        for _ in 0..OFTEN * 2 {
            peer.write_all(&[7; MUCH / OFTEN as usize / 4]).unwrap();
            read_dry(&mut wire, MUCH / OFTEN as usize / 4).await;
            assert!(wire.watch.is_some());
        }
        let (mut wire, mut peer) = pair();
        peer.write_all(&[7; MUCH * 2]).unwrap();
        read_dry(&mut wire, MUCH * 2).await;
        assert!(wire.watch.is_some());
    }

    #[tokio::test]
    async fn whoever_waits_to_write_is_told_whatever_comes() {
        let (mut wire, mut peer) = pair();
        let mut written = 0;
        while let Poll::Ready(some) = poll!(poll_fn(|cx| Pin::new(&mut wire).poll_write(cx, &[7; 1 << 16]))) {
            written += some.unwrap();
        }
        rush(&mut wire, &mut peer).await;
        assert!(wire.watch.is_some(), "who listens for the one hears of the other");
        let reading = std::thread::spawn(move || peer.read_exact(&mut vec![0; written]).map(|()| peer));
        let writing = poll_fn(|cx| Pin::new(&mut wire).poll_write(cx, b"on"));
        assert_eq!(timeout(LONG, writing).await.unwrap().unwrap(), 2);
        reading.join().unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_end_of_a_connection_is_read_in_a_rush_too() {
        let (mut wire, mut peer) = pair();
        rush(&mut wire, &mut peer).await;
        drop(peer);
        let reading = poll_fn(|cx| Pin::new(&mut wire).poll_read(cx, &mut [0; 64]));
        assert_eq!(timeout(LONG, reading).await.unwrap().unwrap(), 0);
    }
}
