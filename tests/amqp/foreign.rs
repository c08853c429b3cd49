//! Messages that no oat would send, from programs that are no oat.

use super::support::rabbitmq_url;
use super::{open, soon, unique};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ConnectionProperties};
use oat::bus::{Queue, Topology};

/// Publishes to a queue what our own publisher would refuse.
async fn publish(queue: &str, headers: FieldTable) {
    let connection = lapin::Connection::connect(rabbitmq_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let properties = BasicProperties::default().with_headers(headers);
    let publishing =
        channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), b"body", properties);
    assert!(publishing.await.unwrap().await.unwrap().is_ack());
    connection.close(200, "OK".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_more_headers_than_we_can_send_is_buried_without_them() {
    let (name, dead) = (unique("full"), unique("full-dead"));
    let queues = vec![Queue::new(&name).dead_letters_to("", &dead), Queue::new(&dead)];
    let bus = open(rabbitmq_url(), Topology { exchanges: vec![], queues }).await;
    let mut headers = FieldTable::default();
    headers.insert("x-oat-reason".into(), AMQPValue::LongString("older ".repeat(1000).into()));
    headers.insert("foreign".into(), AMQPValue::LongString("x".repeat(110_000).into()));
    publish(&name, headers).await;
    let delivery = soon("the message", bus.consume(&name, 1).await.unwrap().next()).await.unwrap();
    delivery.reject("too much").await.unwrap();
    let buried = soon("its remains", bus.consume(&dead, 1).await.unwrap().next()).await.unwrap();
    assert_eq!((buried.message.body.as_slice(), buried.message.text("foreign")), (&b"body"[..], None));
    assert_eq!((buried.message.text("x-oat-reason"), buried.attempt), (Some("too much"), 1));
    assert_eq!(buried.message.text("x-oat-queue"), Some(name.as_str()));
    buried.ack().await.unwrap();
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_copied_goes_back_itself() {
    let name = unique("uncopied");
    let bus = open(rabbitmq_url(), Topology { exchanges: vec![], queues: vec![Queue::new(&name)] }).await;
    let mut headers = FieldTable::default();
    headers.insert("foreign".into(), AMQPValue::LongString("x".repeat(110_000).into()));
    publish(&name, headers).await;
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    soon("the message", consumer.next()).await.unwrap().give_back().await.unwrap();
    let again = soon("the message again", consumer.next()).await.unwrap();
    assert_eq!(again.message.text("foreign").map(str::len), Some(110_000));
    again.ack().await.unwrap();
    bus.close().await;
}
