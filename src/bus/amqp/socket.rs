//! The way to the broker: names, TCP, TLS, each failing in its own words.
//!
//! We connect ourselves instead of leaving it to lapin for three reasons: each step is timed, a private CA *replaces*
//! the system's, and we keep a second handle of the socket. Shutting that is the one sure way to end a session, and
//! by it one sees whether anything comes at all.

use super::super::{Error, Options};
use super::reactor::Plain;
use super::url::mask;
use super::wire::Wire;
use lapin::tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig};
use lapin::uri::AMQPUri;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// In so many parts of its limit a silence is counted.
const PARTS: u32 = 16;

/// A second handle of a session's socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Cutter {
    socket: Arc<Mutex<Option<TcpStream>>>,
    /// How often something came.
    heard: Arc<AtomicU64>,
}

impl Cutter {
    /// Ends the connection now. lapin's thread notices and ends too, in whatever state it is.
    pub fn cut(&self) {
        if let Some(socket) = self.socket.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may be closed already, which is what was wanted.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Something came.
    pub fn hear(&self) {
        self.heard.fetch_add(1, Relaxed);
    }

    /// Returns when nothing at all has come for `limit`. Whoever slept meanwhile, stopped by a signal for instance, was deaf for
    /// a part of it only, and finds what came in the socket: that was no silence.
    pub async fn silence(&self, limit: Duration) {
        let (mut heard, mut quiet) = (self.heard.load(Relaxed), 0);
        while quiet < PARTS {
            sleep(limit / PARTS).await;
            let before = std::mem::replace(&mut heard, self.heard.load(Relaxed));
            let waits = self.look(|socket| socket.peek(&mut [0])).is_some();
            quiet = if before != heard || waits { 0 } else { quiet + 1 };
        }
    }

    /// What the socket, as long as it is held, has to say.
    fn look<T>(&self, ask: impl FnOnce(&TcpStream) -> io::Result<T>) -> Option<T> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|socket| ask(socket).ok())
    }

    fn hold(&self, stream: &impl AsFd) -> io::Result<()> {
        let socket = TcpStream::from(stream.as_fd().try_clone_to_owned()?);
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
        Ok(())
    }
}

/// What to trust: the certificates of a file, or else the system's.
pub(super) fn trust(url: &str, options: &Options) -> Result<RustlsConnector, Error> {
    // Fails when the program has chosen one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = match &options.ca_file {
        None => Ok(RustlsConnectorConfig::new_with_platform_verifier()),
        Some(path) => authorities(path).map(|found| RustlsConnectorConfig::default().with_parsable_certificates(found)),
    };
    config
        .and_then(|config| config.connector_with_no_client_auth().map_err(|error| error.to_string()))
        .map_err(|why| Error::Url { url: mask(url), why })
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(format!("{} holds no certificate", path.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("cannot read the certificates in {}: {error}", path.display())),
    }
}

/// A stream on which AMQP can be spoken, within `limit`.
pub(super) async fn connect(
    uri: &AMQPUri,
    runtime: &Handle,
    trusted: Option<&RustlsConnector>,
    limit: Duration,
    cutter: &Cutter,
) -> io::Result<Plain> {
    let connecting = async {
        let stream = reach(uri, runtime, cutter).await?;
        match trusted {
            None => Ok(stream),
            Some(trusted) => stream.into_rustls(trusted, &uri.authority.host).await.map_err(tls),
        }
    };
    match timeout(limit, connecting).await {
        Ok(result) => result,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:.1} s", limit.as_secs_f64())))
        }
    }
}

async fn reach(uri: &AMQPUri, runtime: &Handle, cutter: &Cutter) -> io::Result<Plain> {
    let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
    let unknown = |error| io::Error::other(format!("cannot resolve the host {host}: {error}"));
    let mut last = io::Error::other(format!("the host {host} has no address"));
    for address in tokio::net::lookup_host((host, port)).await.map_err(unknown)? {
        match Wire::connect(address, runtime.clone()).await {
            Ok(wire) => {
                cutter.hold(&wire)?;
                return Ok(AsyncTcpStream::Plain(wire));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                last = io::Error::new(error.kind(), format!("connection refused by {address}"));
            }
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(last)
}

/// A bad certificate stays bad, and is marked so; anything else may pass.
fn tls(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}"))
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            io::Error::other("who answers there does not speak TLS (amqps:// has a port of its own, usually 5671)")
        }
        _ => io::Error::other(format!("TLS: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::pin::pin;
    use std::time::Instant;
    use tokio::task::yield_now;

    const LONG: Duration = Duration::from_secs(60);

    /// A socket under watch, and the peer's end.
    fn pair() -> (Cutter, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let cutter = Cutter::default();
        cutter.hold(&ours).unwrap();
        (cutter, ours, listener.accept().unwrap().0)
    }

    #[tokio::test]
    async fn what_waits_to_be_read_is_no_silence() {
        let (cutter, mut ours, mut peer) = pair();
        peer.write_all(b"here").unwrap();
        // So late that every deadline is over.
        let mut silence = pin!(cutter.silence(Duration::ZERO));
        for _ in 0..1000 {
            assert!(poll!(&mut silence).is_pending());
            yield_now().await;
        }
        ours.read_exact(&mut [0; 4]).unwrap();
        timeout(LONG, silence).await.expect("now it is silent");
    }

    #[tokio::test]
    async fn who_is_heard_in_time_is_not_silent_whoever_reads_it() {
        let (cutter, mut ours, mut peer) = pair();
        let limit = Duration::from_millis(500);
        let (mut silence, begun) = (pin!(cutter.silence(limit)), Instant::now());
        while begun.elapsed() < limit * 3 {
            peer.write_all(b"here").unwrap();
            assert!(poll!(&mut silence).is_pending());
            yield_now().await;
            while ours.read(&mut [0; 64]).is_ok() {
                cutter.hear();
            }
        }
        timeout(LONG, silence).await.expect("now it is silent");
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_is_not_silent() {
        let (cutter, _ours, peer) = pair();
        drop(peer);
        let mut silence = pin!(cutter.silence(Duration::ZERO));
        for _ in 0..1000 {
            assert!(poll!(&mut silence).is_pending());
            yield_now().await;
        }
    }
}
