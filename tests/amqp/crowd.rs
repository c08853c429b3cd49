//! Many publishes under way on one channel: each learns what became of its own message, whatever becomes of the others.

use super::support::rabbitmq_url;
use super::{number, numbered, open, plain, soon, unique};
use futures_util::future::join_all;
use futures_util::stream::{self, FuturesOrdered};
use futures_util::{FutureExt, StreamExt};
use lapin::ConnectionProperties;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions};
use lapin::types::FieldTable;
use oat::bus::{Error, HeaderValue, Message};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_learns_whether_its_own_message_was_routed() {
    let name = unique("crowd");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let publisher = bus.publisher();
    publisher.publish(&name, &name, numbered(-1)).await.expect("from here on they share a channel");
    let sending = (0..3000).map(|number| {
        let (publisher, name) = (&publisher, &name);
        async move {
            let lost = number % 7 == 0 || number % 11 == 0;
            // Among them messages that are all alike, and others that are not.
            let message = match number % 3 {
                0 => Message::new("text/plain", b"alike".to_vec()),
                _ => numbered(number).header("float", HeaderValue::Float(0.1)),
            };
            let key = if lost { "nobody" } else { name };
            (number, lost, publisher.publish(name, key, message).await)
        }
    });
    let mut expected = BTreeMap::from([(-1, 1)]);
    for (number, lost, result) in soon("every answer", join_all(sending)).await {
        match lost {
            true => assert!(matches!(result, Err(Error::Unroutable { .. })), "{number}: {result:?}"),
            false => {
                result.unwrap_or_else(|error| panic!("{number}: {error}"));
                *expected.entry(if number % 3 == 0 { i64::MAX } else { number }).or_insert(0) += 1;
            }
        }
    }
    let mut consumer = bus.consume(&name, 100).await.unwrap();
    let mut found = BTreeMap::new();
    for _ in 0..expected.values().sum::<u32>() {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        let alike = delivery.message.body == b"alike";
        *found.entry(if alike { i64::MAX } else { number(&delivery) }).or_insert(0) += 1;
        delivery.ack().await.unwrap();
    }
    assert_eq!(found, expected);
    bus.close().await;
}

/// More than a channel takes at once, and new ones come all the time.
#[tokio::test(flavor = "multi_thread")]
async fn of_thousands_under_way_none_overtakes_another() {
    const MESSAGES: i64 = 10_000;
    let name = unique("queueing");
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let (publisher, queue) = (bus.publisher(), name.clone());
    // In one task, which has its order.
    let publishing = tokio::spawn(async move {
        let publish = |number| publisher.publish("", &queue, numbered(number));
        let results = stream::iter(0..MESSAGES).map(publish).buffered(3000);
        results.for_each(|result| async { result.expect("it is confirmed") }).await;
    });
    let mut consumer = bus.consume(&name, 1000).await.unwrap();
    for expected in 0..MESSAGES {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        assert_eq!(number(&delivery), expected);
        delivery.ack().await.unwrap();
    }
    soon("all are confirmed", publishing).await.unwrap();
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shared_a_channel_that_was_closed_learns_the_truth_in_the_end() {
    let (name, foreign) = (unique("survivors"), unique("foreign"));
    let bus = open(rabbitmq_url(), plain(&name)).await;
    let publisher = bus.publisher();
    let other = lapin::Connection::connect(rabbitmq_url(), ConnectionProperties::default()).await.unwrap();
    let channel = other.create_channel().await.unwrap();
    let (exchange, options) = (lapin::ExchangeKind::Fanout, ExchangeDeclareOptions::default());
    channel.exchange_declare(foreign.as_str().into(), exchange, options, FieldTable::default()).await.unwrap();
    let (queue, binding) = (name.as_str().into(), QueueBindOptions::default());
    channel.queue_bind(queue, foreign.as_str().into(), "".into(), binding, FieldTable::default()).await.unwrap();
    publisher.publish(&foreign, "", numbered(0)).await.unwrap();
    publisher.publish(&name, &name, numbered(0)).await.unwrap();
    // The publisher has seen it, and does not know that it is gone.
    channel.exchange_delete(foreign.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
    let sending = (1..1000).map(|number| {
        let (publisher, exchange) = (&publisher, if number % 100 == 0 { &foreign } else { &name });
        let name = &name;
        async move { (number, publisher.publish(exchange, name, numbered(number)).await) }
    });
    let mut taken = 2;
    for (number, result) in soon("every answer", join_all(sending)).await {
        match number % 100 == 0 {
            true => assert!(matches!(result, Err(Error::Missing { .. })), "{number}: {result:?}"),
            false => {
                result.unwrap_or_else(|error| panic!("{number}: {error}"));
                taken += 1;
            }
        }
    }
    let waiting = bus.depth(&name).await.unwrap().ready;
    assert!(waiting >= taken, "{waiting} of {taken} are there");
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_that_are_begun_and_left_alone_take_no_turn_from_another() {
    let (many, one) = (unique("many"), unique("one"));
    let mut topology = plain(&many);
    let other = plain(&one);
    topology.exchanges.extend(other.exchanges);
    topology.queues.extend(other.queues);
    let bus = open(rabbitmq_url(), topology).await;
    // Nobody has published here yet: each wants a channel of its own, and there are not that many.
    let (publisher, mut idle) = (bus.publisher(), FuturesOrdered::new());
    for number in 0..300 {
        idle.push_back(publisher.publish(&many, &many, numbered(number)));
    }
    assert!(idle.next().now_or_never().is_none());
    soon("a turn", bus.publisher().publish(&one, &one, numbered(0))).await.unwrap();
    soon("the others", idle.for_each(async |published| published.unwrap())).await;
    bus.close().await;
}
