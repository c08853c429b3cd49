//! What the broker refuses is told to the one who asked, in words that help, and to nobody else.

use super::support::{rabbitmq_url, rabbitmqctl};
use super::{numbered, open, patient, plain, unique};
use futures_util::future::join_all;
use oat::bus::{Connection, Error, Options, Queue, Topology};
use std::time::{Duration, Instant};

/// The shared broker's URL with another part.
fn with(change: impl FnOnce(&mut url::Url)) -> String {
    let mut url = url::Url::parse(rabbitmq_url()).unwrap();
    change(&mut url);
    url.into()
}

/// The error of opening `url`, and its text, in which there must be no password.
async fn refusal(url: &str, connect_timeout: Duration) -> (Error, String) {
    let options = Options { connect_timeout, ..Options::default() };
    let error = Connection::open(url, Topology::default(), options).await.expect_err("this cannot be opened");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("secret") && !text.contains("wrong-password"), "{text}");
    (error, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_at_once() {
    let started = Instant::now();
    let url = with(|url| url.set_password(Some("wrong-password")).unwrap());
    let (error, text) = refusal(&url, Duration::from_secs(60)).await;
    assert!(matches!(error, Error::Refused { .. }), "{text}");
    assert!(text.contains("ACCESS_REFUSED") && text.contains("oat:***@127.0.0.1"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_vhost_is_explained() {
    let (error, text) = refusal(&with(|url| url.set_path("/nowhere")), Duration::from_secs(60)).await;
    assert!(matches!(error, Error::Refused { .. }), "{text}");
    assert!(text.contains("vhost nowhere not found") && text.contains("%2f"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_told_apart() {
    let brief = Duration::from_millis(500);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (error, text) = refusal(&format!("amqp://oat:secret@127.0.0.1:{closed}"), brief).await;
    assert!(matches!(error, Error::Unreachable { .. }) && text.contains("connection refused"), "{text}");
    let (error, text) = refusal("amqp://oat:secret@nowhere.invalid", Duration::from_secs(5)).await;
    assert!(matches!(error, Error::Unreachable { .. }) && text.contains("cannot resolve"), "{text}");
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let (error, text) = refusal(&format!("amqp://oat:secret@127.0.0.1:{port}"), brief).await;
    assert!(matches!(error, Error::Unreachable { .. }) && text.contains("no answer"), "{text}");
    let (error, text) = refusal("http://oat:secret@127.0.0.1", brief).await;
    assert!(matches!(error, Error::Url { .. }), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_is_not_deleted_on_a_condition() {
    let (name, other) = (unique("unused"), unique("other"));
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let declared = bus.delete_unused_queue(&name).await;
    assert!(matches!(declared, Err(Error::Unsupported { .. })), "{declared:?}");
    let stranger = open(rabbitmq_url(), plain(&other)).await;
    let told = stranger.delete_unused_queue(&name).await;
    assert!(matches!(told, Err(Error::Unsupported { .. })), "{told:?}");
    assert_eq!(bus.depth(&name).await.unwrap().ready, 0, "it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_waits_for_a_broker_that_is_still_starting() {
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let url = with(|url| url.set_port(Some(address.port())).unwrap());
    let opening = tokio::spawn(async move { Connection::open(&url, Topology::default(), patient()).await });
    // Refused until here: nobody has listened yet.
    tokio::task::yield_now().await;
    let _way = super::proxy::Proxy::start_at(address, port()).await;
    opening.await.unwrap().expect("opened as soon as somebody listened").close().await;
}

fn port() -> u16 {
    url::Url::parse(rabbitmq_url()).unwrap().port().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_properties_is_a_conflict_that_names_them() {
    let name = unique("conflict");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let other = Topology { exchanges: vec![], queues: vec![Queue::new(&name).delivery_limit(3)] };
    let error = Connection::open(rabbitmq_url(), other.clone(), patient()).await.unwrap_err();
    let Error::Conflict { what, why } = error else { panic!("{error}") };
    assert_eq!(what, format!("queue {name:?}"));
    assert!(why.contains("x-delivery-limit"), "{why}");
    let error = bus.declare(&other).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    bus.publisher().publish(&name, &name, numbered(1)).await.expect("nothing else was disturbed");
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unroutable_message_is_told_to_its_own_publisher_and_to_no_other() {
    let name = unique("routes");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let publisher = bus.publisher();
    let results = join_all((0..400).map(|number| {
        let (publisher, name) = (publisher.clone(), name.clone());
        let key = if number % 3 == 0 { "nobody".to_owned() } else { name.clone() };
        async move { publisher.publish(&name, &key, numbered(number)).await }
    }))
    .await;
    for (number, result) in results.iter().enumerate() {
        match number % 3 == 0 {
            true => assert!(matches!(result, Err(Error::Unroutable { .. })), "{number}: {result:?}"),
            false => assert!(result.is_ok(), "{number}: {result:?}"),
        }
    }
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_exchange_disturbs_no_other_publisher() {
    let name = unique("neighbours");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let publisher = bus.publisher();
    let results = join_all((0..200).map(|number| {
        let (publisher, name) = (publisher.clone(), name.clone());
        let exchange = if number % 10 == 0 { unique("missing") } else { name.clone() };
        async move { (number, publisher.publish(&exchange, &name, numbered(number)).await) }
    }))
    .await;
    for (number, result) in results {
        match number % 10 == 0 {
            true => assert!(matches!(result, Err(Error::Missing { .. })), "{number}: {result:?}"),
            false => assert!(result.is_ok(), "{number}: {result:?}"),
        }
    }
    assert_eq!(bus.depth(&name).await.unwrap().ready, 180, "a publish was repeated");
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_queue_is_told() {
    let bus = open(rabbitmq_url(), Topology::default()).await;
    let name = unique("missing");
    assert!(matches!(bus.depth(&name).await, Err(Error::Missing { .. })));
    assert!(matches!(bus.consume(&name, 1).await, Err(Error::Missing { .. })));
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_lists_both_connections_by_name() {
    let name = unique("named");
    let options = Options { name: name.clone(), ..patient() };
    let bus = Connection::open(rabbitmq_url(), Topology::default(), options).await.unwrap();
    let listed = tokio::task::spawn_blocking(|| rabbitmqctl(&["list_connections", "client_properties"])).await.unwrap();
    assert!(
        listed.contains(&format!("{name} publishing")) && listed.contains(&format!("{name} consuming")),
        "{listed}"
    );
    assert!(!format!("{bus:?} {:?}", bus.publisher()).contains("secret"));
    bus.close().await;
}
