//! The way to the broker: names, TCP, TLS, each failing in its own words.
//!
//! We connect ourselves instead of leaving it to lapin for three reasons: each step is timed, a private CA *replaces*
//! the system's, and we keep a second handle of the socket. Shutting that is the one sure way to end a session.

use super::super::{Error, Options};
use super::url::mask;
use async_rs::TokioRuntime;
use async_rs::traits::Reactor;
use lapin::tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig};
use lapin::uri::AMQPUri;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Stream = AsyncTcpStream<<TokioRuntime as Reactor>::TcpStream>;

/// A second handle of a session's socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Cutter(Arc<Mutex<Option<TcpStream>>>);

impl Cutter {
    /// Ends the connection now. lapin's thread notices and ends too, in whatever state it is.
    pub fn cut(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may be closed already, which is what was wanted.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn hold(&self, stream: &impl AsFd) -> io::Result<()> {
        let socket = TcpStream::from(stream.as_fd().try_clone_to_owned()?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
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
    runtime: &TokioRuntime,
    trusted: Option<&RustlsConnector>,
    limit: Duration,
    cutter: &Cutter,
) -> io::Result<Stream> {
    let connecting = async {
        let stream = reach(uri, runtime, cutter).await?;
        match trusted {
            None => Ok(stream),
            Some(trusted) => stream.into_rustls(trusted, &uri.authority.host).await.map_err(tls),
        }
    };
    match tokio::time::timeout(limit, connecting).await {
        Ok(result) => result,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:.1} s", limit.as_secs_f64())))
        }
    }
}

async fn reach(uri: &AMQPUri, runtime: &TokioRuntime, cutter: &Cutter) -> io::Result<Stream> {
    let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
    let unknown = |error| io::Error::other(format!("cannot resolve the host {host}: {error}"));
    let mut last = io::Error::other(format!("the host {host} has no address"));
    for address in tokio::net::lookup_host((host, port)).await.map_err(unknown)? {
        match AsyncTcpStream::connect(runtime, address).await {
            Ok(stream) => {
                if let AsyncTcpStream::Plain(socket) = &stream {
                    cutter.hold(socket.get_ref())?;
                }
                return Ok(stream);
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
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let kind = match inner {
        Some(rustls::Error::InvalidCertificate(_)) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, format!("TLS: {error}"))
}
