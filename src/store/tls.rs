//! Encryption: `sslmode` and `sslrootcert` in the URL of a PostgreSQL store, with libpq's meaning: `disable`, `prefer` (encrypted
//! where the server can) and `require` (encrypted or not at all) do not ask who the server is; `verify-full` does, by
//! the system's certificates or those in the file `sslrootcert`. `verify-ca`, and `require` where that file is named, take
//! any server with a certificate of theirs. The driver knows the first three only and checks no certificate of its own
//! accord.
//!
//! Without a wish it is `prefer`; on this very machine, where nobody can listen in between, `disable`.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Takes a parameter that the driver does not know out of the URL.
pub(super) fn take(url: &str, name: &str) -> (String, Option<String>) {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut value = None;
    let mut rest = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match url::form_urlencoded::parse(parameter.as_bytes()).next() {
            Some((key, decoded)) if key == name => value = Some(decoded.into_owned()),
            _ => rest.push(parameter),
        }
    }
    if rest.is_empty() { (base.into(), value) } else { (format!("{base}?{}", rest.join("&")), value) }
}

/// Sets the driver's mode by `sslmode`, and makes what it encrypts with.
pub(super) fn apply(mode: Option<&str>, roots: Option<&str>, config: &mut Config) -> Result<MakeRustlsConnect, String> {
    let roots = roots.map(read).transpose()?;
    let (mode, named) = match (mode.unwrap_or(if is_here(config) { "disable" } else { "prefer" }), &roots) {
        ("disable", None) => (SslMode::Disable, false),
        ("prefer", None) => (SslMode::Prefer, false),
        ("disable" | "prefer", Some(_)) => {
            return Err("sslrootcert needs sslmode=verify-full or sslmode=verify-ca".into());
        }
        ("require", _) | ("verify-ca", Some(_)) => (SslMode::Require, false),
        ("verify-ca", None) => return Err("sslmode=verify-ca needs sslrootcert=FILE".into()),
        ("verify-full", _) => (SslMode::Require, true),
        _ => return Err("sslmode is one of disable, prefer, require, verify-ca and verify-full".into()),
    };
    config.ssl_mode(mode);
    client(named, roots).map(MakeRustlsConnect::new)
}

fn client(named: bool, roots: Option<RootCertStore>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let builder = match (named, roots) {
        (false, roots) => {
            let anyone = Anyone { of: roots.map(|roots| authority(roots, &provider)).transpose()?, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(anyone))
        }
        (true, Some(roots)) => builder.with_root_certificates(roots),
        (true, None) => builder.with_platform_verifier().map_err(|e| e.to_string())?,
    };
    Ok(builder.with_no_client_auth())
}

fn authority(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    verifier.build().map_err(|e| e.to_string())
}

fn read(file: &str) -> Result<RootCertStore, String> {
    let refuse = |e: &dyn std::fmt::Display| format!("sslrootcert {file}: {e}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| refuse(&e))? {
        roots.add(certificate.map_err(|e| refuse(&e))?).map_err(|e| refuse(&e))?;
    }
    if roots.is_empty() { Err(refuse(&"no certificate in it")) } else { Ok(roots) }
}

/// An address is where the driver goes; the host beside it is only the name in the certificate.
fn is_here(config: &Config) -> bool {
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().all(|address| address.is_loopback());
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        Host::Unix(_) => true,
    })
}

/// Accepts a certificate in any name, but only from somebody who has its key: against listeners, and against impostors
/// only where an authority is named that must have signed it.
#[derive(Debug)]
struct Anyone {
    of: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(authority) = &self.of else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, chain, name, ocsp, now) {
            // The name is looked at last, so all else is in order.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_very_machine_needs_no_encryption() {
        for (url, here) in [
            ("postgres://oat@localhost/oat", true),
            ("postgres://oat@[::1],127.0.0.1/oat", true),
            ("postgres:///oat?host=/run/postgresql", true),
            ("postgres://oat@db.example/oat", false),
            ("postgres://oat@localhost,db.example/oat", false),
            ("postgres:///oat?hostaddr=192.0.2.1", false),
            ("postgres://oat@localhost/oat?hostaddr=192.0.2.1", false),
            ("postgres:///oat?hostaddr=127.0.0.1", true),
            ("postgres://oat@db.example/oat?hostaddr=127.0.0.1", true),
        ] {
            assert_eq!(is_here(&url.parse().unwrap()), here, "{url}");
        }
    }
}
