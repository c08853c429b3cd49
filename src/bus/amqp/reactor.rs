//! What lapin reads through: the sockets of tokio, behind [`Depth`].

use super::depth::Depth;
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio, TokioRuntime};
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

/// What lapin runs on.
pub(super) type Engine = Runtime<RuntimeParts<Tokio, Sockets>>;

/// The way to the broker, plain or with TLS.
pub(super) type Plain = AsyncTcpStream<<TokioRuntime as Reactor>::TcpStream>;

/// tokio's sockets, watched.
#[derive(Clone, Debug)]
pub(super) struct Sockets(Tokio);

/// lapin on this runtime.
pub(super) fn engine(handle: Handle) -> Engine {
    let tokio = Tokio::default().with_handle(handle);
    Runtime::new(RuntimeParts::new(tokio.clone(), Sockets(tokio)))
}

/// A stream in which nothing is too deep.
pub(super) struct Watched {
    stream: Plain,
    depth: Depth,
}

impl Watched {
    /// What comes by this stream, from its first byte on.
    pub fn new(stream: Plain) -> Watched {
        Watched { stream, depth: Depth::default() }
    }

    fn inner(self: Pin<&mut Self>) -> Pin<&mut Plain> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(self.as_mut().inner().poll_read(cx, buffer))?;
        self.depth.pass(&mut buffer[..read]);
        Poll::Ready(Ok(read))
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
        self.0.register(socket)
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        self.0.sleep(span)
    }

    fn interval(&self, span: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(span)
    }

    fn tcp_connect_addr(&self, address: SocketAddr) -> impl Future<Output = io::Result<Watched>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async { Ok(Watched::new(AsyncTcpStream::Plain(connecting.await?))) }
    }
}
