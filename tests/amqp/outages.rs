//! The broker dies, the way to it is cut or falls silent, somebody deletes what we need: nothing is lost.

use super::proxy::Proxy;
use super::support::{Server, rabbitmq_url, rabbitmqctl, wait_until_async, wait_until_equal};
use super::{broker, number, numbered, open, patient, plain, soon, unique};
use futures_util::{FutureExt, StreamExt, stream};
use oat::bus::{Binding, Connection, Consumer, Error, Exchange, ExchangeKind, Options, Queue, Topology};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const MESSAGES: i64 = 300;

/// Publishes all numbers, several at once; the watch tells how many are confirmed.
async fn publish_all(bus: Connection, name: String, confirmed: Arc<watch::Sender<i64>>) {
    let publisher = bus.publisher();
    let publish = |number| {
        let (publisher, name, confirmed) = (publisher.clone(), name.clone(), confirmed.clone());
        async move {
            publisher.publish(&name, &name, numbered(number)).await.expect("confirmed in the end");
            confirmed.send_modify(|count| *count += 1);
        }
    };
    stream::iter(0..MESSAGES).for_each_concurrent(4, publish).await;
}

/// Consumes and acknowledges until every number has come.
async fn consume_all(bus: Connection, name: String) {
    let mut consumer = bus.consume(&name, 5).await.expect("the queue is there");
    let mut seen = BTreeSet::new();
    while (seen.len() as i64) < MESSAGES {
        let delivery = consumer.next().await.expect("nobody cancels");
        let number = number(&delivery);
        // A lost acknowledgement means another delivery, nothing else.
        match delivery.ack().await {
            Ok(()) | Err(Error::Lost { .. }) => seen.insert(number),
            Err(error) => panic!("{error}"),
        };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_is_killed_and_comes_back() {
    let server = broker().await;
    let name = unique("killed");
    let bus = open(&server.url(), plain(&name)).await;
    // RabbitMQ writes the name of a new quorum queue to disk only after a while; an orderly restart makes sure of it.
    restart(&server).await;
    let confirmed = Arc::new(watch::channel(0).0);
    let publishing = tokio::spawn(publish_all(bus.clone(), name.clone(), confirmed.clone()));
    let consuming = tokio::spawn(consume_all(bus.clone(), name));
    soon("a third is confirmed", confirmed.subscribe().wait_for(|count| *count >= MESSAGES / 3)).await.unwrap();
    let killed = server.clone();
    tokio::task::spawn_blocking(move || killed.kill()).await.unwrap();
    restart(&server).await;
    soon("all are published", publishing).await.unwrap();
    soon("all have come", consuming).await.unwrap();
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_a_link_that_is_cut_again_and_again() {
    let proxy = Proxy::start("127.0.0.1", port(rabbitmq_url())).await;
    let name = unique("cut");
    let bus = open(&proxy.lead(rabbitmq_url()), plain(&name)).await;
    let confirmed = Arc::new(watch::channel(0).0);
    let publishing = tokio::spawn(publish_all(bus.clone(), name.clone(), confirmed.clone()));
    let consuming = tokio::spawn(consume_all(bus.clone(), name));
    // A cut every so many confirmations, so that it always hits something under way.
    for cut in 1..=12 {
        let enough = cut * MESSAGES / 13;
        soon("publishing goes on", confirmed.subscribe().wait_for(|count| *count >= enough)).await.unwrap();
        proxy.cut();
    }
    soon("all are published", publishing).await.unwrap();
    soon("all have come", consuming).await.unwrap();
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_falls_silent_is_given_up_by_its_heartbeat() {
    let proxy = Proxy::start("127.0.0.1", port(rabbitmq_url())).await;
    let name = unique("silent");
    let options = Options { heartbeat: Duration::from_secs(1), ..patient() };
    let bus = Connection::open(&proxy.lead(rabbitmq_url()), plain(&name), options).await.unwrap();
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    proxy.silence(true);
    let publisher = bus.publisher();
    let publishing = tokio::spawn({
        let name = name.clone();
        async move { publisher.publish(&name, &name, numbered(1)).await }
    });
    // Through another way one sees when the broker has given up its consumer: both ends have noticed then.
    let observer = open(rabbitmq_url(), Default::default()).await;
    wait_until_equal("the broker misses our heartbeats", 0, async || observer.depth(&name).await.unwrap().consumers)
        .await;
    proxy.silence(false);
    soon("the publish is confirmed on a new session", publishing).await.unwrap().unwrap();
    let delivery = soon("the consumer is back", consumer.next()).await.unwrap();
    assert_eq!(number(&delivery), 1);
    delivery.ack().await.unwrap();
    bus.close().await;
    observer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_to_whom_nothing_comes_but_deliveries_keeps_its_connection() {
    let name = unique("fed");
    let options = Options { heartbeat: Duration::from_secs(1), ..patient() };
    let bus = Connection::open(rabbitmq_url(), plain(&name), options).await.unwrap();
    let (publisher, mut consumer) = (bus.publisher(), bus.consume(&name, 2).await.unwrap());
    publisher.publish("", &name, numbered(0)).await.unwrap();
    // The one before is acknowledged when the next is here: one is always out, and would come again by a new connection.
    let (begun, mut last) = (Instant::now(), consumer.next().await.unwrap());
    while begun.elapsed() < Duration::from_secs(6) {
        publisher.publish("", &name, numbered(number(&last) + 1)).await.unwrap();
        let next = soon("the next comes", consumer.next()).await.unwrap();
        assert_eq!((number(&next), next.redelivered), (number(&last) + 1, false));
        std::mem::replace(&mut last, next).ack().await.unwrap();
    }
    last.ack().await.unwrap();
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_a_lost_connection_acknowledges_nothing() {
    let proxy = Proxy::start("127.0.0.1", port(rabbitmq_url())).await;
    let name = unique("stale");
    let bus = open(&proxy.lead(rabbitmq_url()), plain(&name)).await;
    for number in 0..2 {
        bus.publisher().publish(&name, &name, numbered(number)).await.unwrap();
    }
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    let old = soon("the first delivery", consumer.next()).await.unwrap();
    proxy.cut();
    // The same tag on the new channel belongs to this delivery.
    let new = soon("the delivery after the cut", consumer.next()).await.unwrap();
    assert!(new.is_live() && !old.is_live());
    assert!(matches!(old.give_back().await, Err(Error::Lost { .. })), "it is back already");
    drop(new);
    let mut left = BTreeSet::new();
    while left.len() < 2 {
        let delivery = soon("both are still there", consumer.next()).await.unwrap();
        left.insert(number(&delivery));
        delivery.ack().await.unwrap();
    }
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_connection_left_unread_is_dropped() {
    let proxy = Proxy::start("127.0.0.1", port(rabbitmq_url())).await;
    let (name, other) = (unique("unread"), unique("other"));
    let bus = open(&proxy.lead(rabbitmq_url()), plain(&name)).await;
    bus.declare(&plain(&other)).await.unwrap();
    for number in 0..4 {
        bus.publisher().publish(&name, &name, numbered(number)).await.unwrap();
    }
    bus.publisher().publish(&other, &other, numbered(9)).await.unwrap();
    let mut unread = bus.consume(&name, 4).await.unwrap();
    let mut read = bus.consume(&other, 1).await.unwrap();
    // The other consumer's delivery tells when there is a new session.
    let mut held = soon("a delivery", read.next()).await.unwrap();
    let all_are_fetched = async |unread: &Consumer| {
        bus.depth(&name).await.is_ok_and(|depth| depth.ready == 0) && format!("{unread:?}").contains("unread: 4")
    };
    for _ in 0..3 {
        wait_until_async("all are fetched and no more is kept", async || all_are_fetched(&unread).await).await;
        proxy.cut();
        held = soon("the delivery again", read.next()).await.unwrap();
    }
    wait_until_async("all are fetched and no more is kept", async || all_are_fetched(&unread).await).await;
    assert!(held.is_live() && soon("a delivery", unread.next()).await.unwrap().attempt > 1);
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_declared_anew_and_consumed_again() {
    let name = unique("deleted");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    tokio::task::spawn_blocking({
        let name = name.clone();
        move || rabbitmqctl(&["delete_queue", &name])
    })
    .await
    .unwrap();
    bus.publisher().publish(&name, &name, numbered(7)).await.expect("the publisher misses the queue and declares it");
    let delivery = soon("the consumer comes back to the queue", consumer.next()).await.unwrap();
    assert_eq!(number(&delivery), 7);
    delivery.ack().await.unwrap();
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusive_queue_is_there_again_after_a_cut() {
    let proxy = Proxy::start("127.0.0.1", port(rabbitmq_url())).await;
    let exchange = Exchange::new(&unique("news"), ExchangeKind::Fanout);
    let mine = Queue::exclusive("mine").bound(Binding::new(&exchange.name, ""));
    let topology = Topology { exchanges: vec![exchange.clone()], queues: vec![mine.clone()] };
    let bus = open(&proxy.lead(rabbitmq_url()), topology).await;
    let mut consumer = bus.consume(&mine.name, 1).await.unwrap();
    let publisher = open(rabbitmq_url(), Topology::default()).await.publisher();
    for wanted in 0..3 {
        // In between there is no such queue, and nobody hears it.
        let telling = async {
            loop {
                publisher.announce(&exchange.name, "", numbered(wanted)).await.unwrap();
            }
        };
        let hearing = async { while number(&consumer.next().await.unwrap()) != wanted {} };
        tokio::select! {
            () = telling => {}
            () = soon("the news", hearing) => {}
        }
        proxy.cut();
    }
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_while_it_begins_to_consume_leaves_no_consumer_behind() {
    let name = unique("ghost");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let observer = open(rabbitmq_url(), Topology::default()).await;
    let consumers = async || observer.depth(&name).await.unwrap().consumers;
    // Step by step, until the broker has a consumer and we do not know yet.
    while consumers().await == 0 {
        let mut beginning = pin!(bus.consume(&name, 1));
        while beginning.as_mut().now_or_never().is_none() && consumers().await == 0 {}
    }
    wait_until_equal("nobody consumes", 0, consumers).await;
    observer.close().await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_that_is_begun_and_left_alone_keeps_no_connection_down() {
    let name = unique("idle");
    let proxy = Proxy::start("127.0.0.1", port(rabbitmq_url())).await;
    let bus = open(&proxy.lead(rabbitmq_url()), plain(&name)).await;
    let topology = plain(&unique("more"));
    let mut declaring = pin!(bus.declare(&topology));
    assert!(declaring.as_mut().now_or_never().is_none());
    proxy.cut();
    soon("an answer on a new connection", bus.depth(&name)).await.unwrap();
    declaring.await.unwrap();
    bus.clone().close().await;
}

async fn restart(server: &Arc<Server>) {
    let server = server.clone();
    tokio::task::spawn_blocking(move || server.restart()).await.unwrap();
}

fn port(url: &str) -> u16 {
    url::Url::parse(url).unwrap().port().expect("the test broker has a port of its own")
}

/// Several URLs are the doors of one cluster: nobody listens at the first, and the second is closed later.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_brokers_the_next_one_is_tried() {
    let proxy = Proxy::start("127.0.0.1", port(rabbitmq_url())).await;
    let nobody = "amqp://nobody:secret@127.0.0.1:9/%2f";
    let name = unique("doors");
    let urls = [nobody, &proxy.lead(rabbitmq_url()), rabbitmq_url()].join(";");
    let bus = open(&urls, plain(&name)).await;
    assert!(!format!("{bus:?}").contains("secret"), "{bus:?}");
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    bus.publisher().publish(&name, &name, numbered(1)).await.unwrap();
    assert_eq!(number(&soon("the first door", consumer.next()).await.unwrap()), 1);
    proxy.silence(true);
    proxy.cut();
    bus.publisher().publish(&name, &name, numbered(2)).await.unwrap();
    let mut come = BTreeSet::new();
    while come.len() < 2 {
        let delivery = soon("the second door", consumer.next()).await.unwrap();
        come.insert(number(&delivery));
        delivery.ack().await.unwrap();
    }
    bus.close().await;
}
