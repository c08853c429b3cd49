//! TLS: whom we trust, and by which name.

use super::proxy::Proxy;
use super::support::Server;
use super::{numbered, patient, plain, unique};
use oat::bus::{Connection, Error, Options, Topology};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_name_under_a_trusted_authority_is_spoken_to() {
    let server = tokio::task::spawn_blocking(Server::start_with_tls).await.unwrap();
    let (url, name) = (server.tls_url(), unique("tls"));
    let trusting = Options { ca_file: Some(server.authority()), ..patient() };
    let bus = Connection::open(&url, plain(&name), trusting.clone()).await.expect("the private authority is trusted");
    bus.publisher().publish(&name, &name, numbered(1)).await.unwrap();
    bus.close().await;

    let started = Instant::now();
    let why = refused(&url, patient()).await;
    assert!(why.contains("UnknownIssuer"), "{why}");

    let port = url::Url::parse(&url).unwrap().port().unwrap();
    let elsewhere = Proxy::start("127.0.0.2", port).await.lead(&url);
    let why = refused(&elsewhere, trusting.clone()).await;
    assert!(why.contains("not valid for name"), "{why}");

    let nothing = Options { ca_file: Some("/nowhere/ca.pem".into()), ..patient() };
    let error = Connection::open(&url, Topology::default(), nothing).await.unwrap_err();
    assert!(matches!(&error, Error::Url { why, .. } if why.contains("/nowhere/ca.pem")), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30), "what cannot get better was tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_scheme_for_a_port_is_told_as_such() {
    let server = tokio::task::spawn_blocking(Server::start_with_tls).await.unwrap();
    let brief = Options { connect_timeout: Duration::from_secs(3), ..patient() };
    let why = refused(&server.tls_url().replace("amqps:", "amqp:"), brief.clone()).await;
    assert!(why.contains("only with TLS (amqps://)"), "{why}");
    let why = refused(&server.url().replace("amqp:", "amqps:"), brief).await;
    assert!(why.contains("does not speak TLS"), "{why}");
}

async fn refused(url: &str, options: Options) -> String {
    let error = Connection::open(url, Topology::default(), options).await.unwrap_err();
    let Error::Unreachable { why, .. } = error else { panic!("{error}") };
    why
}
