//! The broker's alarm, in which it reads nothing from those who publish.

use super::support::{Server, wait_until_async, wait_until_equal};
use super::{broker, number, numbered, open, patient, plain, soon, unique};
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use oat::bus::{Connection, Error, Message, Options};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_stops_publishers_but_no_acks_and_changes_no_order() {
    const LAST: i64 = 400;
    let server = broker().await;
    let name = unique("alarm");
    let bus = open(&server.url(), plain(&name)).await;
    let publisher = bus.publisher();
    for number in 0..3 {
        publisher.publish(&name, &name, numbered(number)).await.unwrap();
    }
    watermark(&server, "0").await;
    let publishing = tokio::spawn({
        let (name, bus) = (name.clone(), bus.clone());
        async move {
            let mut under_way = FuturesOrdered::new();
            for number in 3..LAST {
                under_way.push_back(publisher.publish(&name, &name, numbered(number)));
                // Polled once, and left alone while the broker answers another question.
                under_way.next().now_or_never().flatten().transpose().unwrap();
                bus.depth(&name).await.unwrap();
            }
            under_way.for_each(async |published| published.unwrap()).await;
        }
    });
    let mut consumer = bus.consume(&name, 3).await.unwrap();
    for _ in 0..3 {
        soon("a delivery during the alarm", consumer.next()).await.unwrap().ack().await.unwrap();
    }
    // The acknowledgements are with the broker: a restart of the consumer would find nothing.
    consumer.cancel().await;
    wait_until_equal("nothing is left", 0, async || bus.depth(&name).await.unwrap().ready).await;
    assert!(!publishing.is_finished(), "the alarm did not stop the publisher");
    watermark(&server, "0.4").await;
    soon("the publishes are confirmed after the alarm", publishing).await.unwrap();
    let mut consumer = bus.consume(&name, 100).await.unwrap();
    for expected in 3..LAST {
        let delivery = soon("a delivery after the alarm", consumer.next()).await.unwrap();
        assert_eq!(number(&delivery), expected);
        delivery.ack().await.unwrap();
    }
    bus.close().await;
}

/// Longer than the broker may take for an answer.
const LONG: Duration = Duration::from_secs(16);

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_ends_no_connection_and_costs_no_call_its_answer() {
    let server = broker().await;
    let name = unique("calm");
    let options = Options { confirm_timeout: LONG, ..patient() };
    let bus = Connection::open(&server.url(), plain(&name), options).await.unwrap();
    let Connection::Amqp(connection) = &bus else { panic!("it is RabbitMQ") };
    let requester = connection.requester(Arc::new(|_| {}));
    let ask = async |within| requester.ask(&name, Message::default(), Instant::now() + within).await;
    let waiting = ask(Duration::from_secs(600)).await.unwrap();
    watermark(&server, "0").await;
    let publish = |number| {
        let (publisher, name) = (bus.publisher(), name.clone());
        async move { publisher.publish(&name, &name, numbered(number)).await }
    };
    // The first is read, and then no other.
    let first = tokio::spawn(publish(0));
    wait_until_async("publishing is blocked", async || list(&server, "state").await.contains("blocked")).await;
    let before = list(&server, "pid").await;
    let (asked, published) = tokio::join!(ask(Duration::from_secs(1)), publish(1));
    assert!(matches!(asked, Err(Error::TimedOut { .. })), "{asked:?}");
    assert!(matches!(published, Err(Error::TimedOut { .. })), "{published:?}");
    assert!(first.await.unwrap().is_err());
    assert_eq!(list(&server, "pid").await, before);
    assert!(!waiting.is_cancelled(), "the first call would be sent again");
    watermark(&server, "0.4").await;
    soon("a publish after the alarm", publish(2)).await.unwrap();
    bus.clone().close().await;
}

/// A column of the broker's list of connections.
async fn list(server: &Arc<Server>, column: &'static str) -> String {
    let server = server.clone();
    tokio::task::spawn_blocking(move || server.ctl(&["list_connections", column])).await.unwrap()
}

async fn watermark(server: &Arc<Server>, fraction: &'static str) {
    let server = server.clone();
    let set = move || server.ctl(&["set_vm_memory_high_watermark", fraction]);
    tokio::task::spawn_blocking(set).await.unwrap();
}
