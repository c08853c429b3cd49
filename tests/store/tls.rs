//! Encrypted connections, and whom they trust.

use crate::support::Server;
use crate::*;
use oat::store::Error;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

/// A PostgreSQL with a certificate for `localhost` that it has signed itself.
fn postgres_with_tls(folder: &std::path::Path) -> Server {
    let server = Server::start("postgres");
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", "/CN=oat", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let owner = std::fs::metadata(format!("/proc/{}", server.pid())).unwrap();
    chown(&key, Some(owner.uid()), Some(owner.gid())).unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    server.sql(&format!("ALTER SYSTEM SET ssl_cert_file = '{}'", certificate.display()));
    server.sql(&format!("ALTER SYSTEM SET ssl_key_file = '{}'", key.display()));
    server.sql("ALTER SYSTEM SET ssl = on");
    server.restart();
    server
}

/// The certificate of somebody else.
fn stranger(folder: &std::path::Path) -> String {
    let file = folder.join("stranger.pem").display().to_string();
    let mut made = Command::new("openssl");
    made.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    made.args(["-subj", "/CN=stranger", "-keyout", "/dev/null", "-out", &file]);
    assert!(made.output().unwrap().status.success());
    file
}

fn with(server: &Server, host: &str, parameters: &str) -> String {
    let mut url = url::Url::parse(&server.url()).unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_query((!parameters.is_empty()).then_some(parameters));
    url.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_encrypted_as_the_url_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = postgres_with_tls(folder.path());
    let certificate = format!("sslrootcert={}/cert.pem", folder.path().display());
    let trusted = format!("sslmode=verify-full&{certificate}");
    let chained = ["require", "verify-ca"].map(|mode| format!("sslmode={mode}&{certificate}"));
    for (host, parameters, encrypted) in [
        ("localhost", "", "f"),
        ("localhost", "sslmode=disable", "f"),
        ("localhost", "sslmode=prefer", "t"),
        ("127.0.0.1", "sslmode=require", "t"),
        ("localhost", trusted.as_str(), "t"),
        ("127.0.0.1", chained[0].as_str(), "t"),
        ("127.0.0.1", chained[1].as_str(), "t"),
    ] {
        let store = Store::open(&with(&server, host, parameters)).await.unwrap();
        let asked = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'oat'";
        assert_eq!(server.sql(asked), encrypted, "{parameters}");
        store.close().await;
        support::wait_until("the connection is gone", || server.sql(asked).is_empty());
    }
    let stranger = stranger(folder.path());
    let unchained = ["require", "verify-ca"].map(|mode| format!("sslmode={mode}&sslrootcert={stranger}"));
    for (host, parameters) in [
        ("localhost", "sslmode=verify-full"),
        ("127.0.0.1", trusted.as_str()),
        ("localhost", unchained[0].as_str()),
        ("localhost", unchained[1].as_str()),
    ] {
        let error = Store::open(&with(&server, host, parameters)).await.err().unwrap();
        assert!(matches!(&error, Error::Unreachable { why, .. } if why.contains("ertificate")), "{error}");
    }
    for parameters in [certificate.clone(), format!("sslmode=prefer&{certificate}")] {
        let error = Store::open(&with(&server, "localhost", &parameters)).await.err().unwrap();
        assert!(matches!(&error, Error::Url { why, .. } if why.contains("sslmode=verify-ca")), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_where_it_is_required() {
    for (server, parameter) in
        [(support::mariadb_url(), "require_ssl=true"), (support::postgres_url(), "sslmode=require")]
    {
        let error = Store::open(&format!("{server}?{parameter}")).await.err().unwrap();
        assert!(
            matches!(&error, Error::Unreachable { why, .. } if why.contains("TLS") || why.contains("SSL")),
            "{error}"
        );
    }
}
