//! Encryption: `sslmode` and `sslrootcert` in the URL of a PostgreSQL store, with libpq's meaning: `disable`, `prefer` (encrypted
//! where the server can) and `require` (encrypted or not at all) do not ask who the server is; `verify-full` does, by
//! the system's certificates or those in the file `sslrootcert`. The driver knows the first three only and checks no
//! certificate of its own accord.
//!
//! Without a wish it is `prefer`; on this very machine, where nobody can listen in between, `disable`.

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
    let (mode, verified) = match mode.unwrap_or(if is_here(config) { "disable" } else { "prefer" }) {
        "disable" => (SslMode::Disable, false),
        "prefer" => (SslMode::Prefer, false),
        "require" => (SslMode::Require, false),
        "verify-full" => (SslMode::Require, true),
        _ => return Err("sslmode is one of disable, prefer, require and verify-full".into()),
    };
    config.ssl_mode(mode);
    client(verified, roots).map(MakeRustlsConnect::new)
}

fn client(verified: bool, roots: Option<&str>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let builder = match (verified, roots) {
        (false, _) => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        (true, Some(file)) => builder.with_root_certificates(read(file)?),
        (true, None) => builder.with_platform_verifier().map_err(|e| e.to_string())?,
    };
    Ok(builder.with_no_client_auth())
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

/// Accepts any certificate, but only from somebody who has its key: against listeners, not against impostors.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
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
