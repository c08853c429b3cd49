//! The servers under test are what the other suites take them for: private, restartable on the same data, gone afterwards.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use support::{Server, wait_until, wait_until_async};

#[test]
fn a_killed_database_comes_back_with_its_rows_on_the_same_port() {
    for kind in ["mariadb", "postgres"] {
        let server = Server::start(kind);
        server.sql("CREATE TABLE kept (number INT)");
        server.sql("INSERT INTO kept VALUES (42)");
        let (url, pid) = (server.url(), server.pid());
        server.kill();
        server.restart();
        assert_eq!(server.sql("SELECT number FROM kept"), "42", "{kind}");
        assert_eq!(server.url(), url);
        assert_ne!(server.pid(), pid);
    }
}

#[test]
fn a_killed_broker_comes_back_with_its_users_on_the_same_port() {
    let server = Server::start("rabbitmq");
    server.ctl(&["add_user", "kept", "secret"]);
    let url = server.url();
    server.kill();
    server.restart();
    assert!(server.ctl(&["list_users"]).contains("kept"));
    assert_eq!(server.url(), url);
}

#[test]
fn a_broker_with_certificates_serves_tls_that_its_authority_vouches_for() {
    let server = Server::start_with_tls();
    let url = url::Url::parse(&server.tls_url()).unwrap();
    let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let shaken = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-connect", &address, "-CAfile"])
        .arg(server.authority())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(shaken.status.success(), "{}", String::from_utf8_lossy(&shaken.stderr));
}

#[test]
fn a_dropped_server_leaves_no_process_and_no_folder() {
    let server = Server::start("postgres");
    let process = format!("/proc/{}/cmdline", server.pid());
    let folder = server.authority().ancestors().nth(2).unwrap().to_owned();
    assert!(folder.is_dir());
    drop(server);
    // A zombie that nobody has collected yet still has a file, but an empty one.
    assert!(std::fs::read(process).unwrap_or_default().is_empty());
    assert!(!folder.exists());
}

#[test]
fn a_server_ends_with_the_process_it_was_started_for() {
    let folder = tempfile::tempdir().unwrap().keep();
    let mut owner = Command::new("sleep").arg("600").spawn().unwrap();
    let started = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/servers"))
        .args(["start", "--until", &owner.id().to_string(), "mariadb"])
        .arg(&folder)
        .status()
        .unwrap();
    assert!(started.success());
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("the folder of the ownerless server goes", || !Path::new(&folder).exists());
}

#[tokio::test]
async fn shared_databases_are_empty_and_nobody_elses() {
    for kind in ["mariadb", "postgres"] {
        let (one, other) = (support::database(kind), support::database(kind));
        assert_ne!(one, other);
        assert!(one.contains("/oat_"), "{one}");
    }
    let address = url::Url::parse(support::rabbitmq_url()).unwrap();
    let address = (address.host_str().unwrap().to_owned(), address.port().unwrap());
    wait_until_async("the shared broker accepts", async || tokio::net::TcpStream::connect(&address).await.is_ok())
        .await;
    assert!(support::rabbitmqctl(&["list_users"]).contains("oat"));
}
