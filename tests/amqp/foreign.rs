//! Messages that no oat would send, from programs that are no oat.

use super::raw::Raw;
use super::support::rabbitmq_url;
use super::{open, soon, unique};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, ConnectionProperties};
use oat::bus::{Connection, Consumer, Delivery, Queue, QueueKind, Topology};
use std::time::{Duration, Instant};

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
    headers.insert("x-oat-reason".into(), AMQPValue::LongString("older ".repeat(500).into()));
    headers.insert("foreign".into(), AMQPValue::LongString("x".repeat(126_000).into()));
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
    headers.insert("foreign".into(), AMQPValue::LongString("x".repeat(126_000).into()));
    publish(&name, headers).await;
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    soon("the message", consumer.next()).await.unwrap().give_back().await.unwrap();
    let again = soon("the message again", consumer.next()).await.unwrap();
    assert_eq!(again.message.text("foreign").map(str::len), Some(126_000));
    again.ack().await.unwrap();
    bus.close().await;
}

/// A queue with this much in one of its message's headers, and little in another, and maybe one for its dead.
async fn filled(queue: Queue, dead: Option<&str>, bytes: usize) -> Connection {
    let name = queue.name.clone();
    let queues = match dead {
        Some(dead) => vec![queue.dead_letters_to("", dead), Queue::new(dead)],
        None => vec![queue],
    };
    let bus = open(rabbitmq_url(), Topology { exchanges: vec![], queues }).await;
    let mut headers = FieldTable::default();
    headers.insert("foreign".into(), AMQPValue::LongString("x".repeat(bytes).into()));
    headers.insert("small".into(), AMQPValue::LongString("kept".into()));
    publish(&name, headers).await;
    bus
}

/// The message of this queue as it comes again after a retry, and who consumes it.
async fn tried_again(bus: &Connection, queue: &str) -> (Consumer, Delivery) {
    let mut consumer = bus.consume(queue, 1).await.unwrap();
    soon("the message", consumer.next()).await.unwrap().retry().await.unwrap();
    let again = soon("the message again", consumer.next()).await.unwrap();
    (consumer, again)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nearly_fills_a_frame_is_tried_again_with_all_that_it_had() {
    let name = unique("nearly");
    let bus = filled(Queue::new(&name), None, 120_000).await;
    let (mut consumer, again) = tried_again(&bus, &name).await;
    assert_eq!((again.attempt, again.message.text("foreign").map(str::len)), (2, Some(120_000)));
    again.retry_after(Duration::from_millis(1)).await.unwrap();
    let again = soon("the message once more", consumer.next()).await.unwrap();
    assert_eq!((again.attempt, again.message.text("foreign").map(str::len)), (3, Some(120_000)));
    again.ack().await.unwrap();
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_again_is_buried_with_that_for_a_reason() {
    for deferred in [false, true] {
        let (name, dead) = (unique("endless"), unique("endless-dead"));
        let bus = filled(Queue::new(&name).kind(QueueKind::Classic), Some(&dead), 126_000).await;
        let delivery = soon("the message", bus.consume(&name, 1).await.unwrap().next()).await.unwrap();
        match deferred {
            true => delivery.retry_after(Duration::from_secs(1)).await.unwrap(),
            false => delivery.retry().await.unwrap(),
        }
        let buried = soon("its remains", bus.consume(&dead, 1).await.unwrap().next()).await.unwrap();
        let reason = buried.message.text("x-oat-reason").unwrap();
        assert!(reason.starts_with("it cannot be tried again: 126") && reason.contains("bytes of headers"), "{reason}");
        assert_eq!((buried.message.text("small"), buried.message.text("foreign")), (Some("kept"), None));
        assert_eq!(buried.message.text("x-oat-queue"), Some(name.as_str()));
        buried.ack().await.unwrap();
        assert_eq!(bus.depth(&name).await.unwrap().ready, 0);
        bus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_again_and_has_no_grave_goes_on_without_its_longest_header() {
    let name = unique("graveless");
    let bus = filled(Queue::new(&name), None, 126_000).await;
    let (_consumer, again) = tried_again(&bus, &name).await;
    assert_eq!((again.attempt, again.message.text("small")), (2, Some("kept")));
    assert_eq!(again.message.text("foreign"), None);
    again.ack().await.unwrap();
    bus.close().await;
}

/// Its sender's copies are with those they were for already.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_which_its_sender_sent_copies_is_tried_again_once() {
    let (name, other) = (unique("copied"), unique("copied-other"));
    let queues = vec![Queue::new(&name), Queue::new(&other)];
    let bus = open(rabbitmq_url(), Topology { exchanges: vec![], queues }).await;
    let copies = FieldArray::from(vec![AMQPValue::LongString(other.as_str().into())]);
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(copies));
    publish(&name, headers).await;
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    soon("the message", consumer.next()).await.unwrap().retry().await.unwrap();
    let again = soon("the message again", consumer.next()).await.unwrap();
    assert_eq!(again.attempt, 2);
    again.ack().await.unwrap();
    assert_eq!(bus.depth(&other).await.unwrap().ready, 1);
    bus.close().await;
}

/// A dead-letter queue that is full, for instance: what cannot be settled comes again, but not as fast as it can.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_settled_comes_again_after_a_pause_and_with_its_attempt_counted() {
    let (name, dead) = (unique("stuck"), unique("stuck-dead"));
    let queues =
        vec![Queue::new(&name).dead_letters_to("", &dead), Queue::new(&dead).kind(QueueKind::Classic).max_length(1)];
    let bus = open(rabbitmq_url(), Topology { exchanges: vec![], queues }).await;
    publish(&dead, FieldTable::default()).await;
    publish(&name, FieldTable::default()).await;
    let mut consumer = bus.consume(&name, 1).await.unwrap();
    let start = Instant::now();
    for attempt in 1..=3 {
        let delivery = soon("the message", consumer.next()).await.unwrap();
        assert_eq!(delivery.attempt, attempt);
        delivery.reject("too bad").await.unwrap_err();
    }
    assert!(start.elapsed() >= Duration::from_secs(3), "without a pause: {:?}", start.elapsed());
    bus.close().await;
}

/// Arrays in arrays, or tables in tables, as they are on the wire.
fn nested(depth: usize, table: bool) -> Vec<u8> {
    let kind: &[u8] = if table { b"F" } else { b"A" };
    let name: &[u8] = if table { &[0] } else { &[] };
    let each = name.len() + 5;
    // From the outside in, for there are many.
    let mut value = Vec::new();
    for level in (0..depth).rev() {
        value.extend([kind, &u32::try_from(level * each + name.len() + 1).unwrap().to_be_bytes(), name].concat());
    }
    value.push(b'V');
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_nested_beyond_all_reason_harm_nobody() {
    for (depth, table) in [(5_000, false), (4_000, true)] {
        let (name, dead) = (unique("deep"), unique("deep-dead"));
        let queues = vec![Queue::new(&name).dead_letters_to("", &dead), Queue::new(&dead)];
        let bus = open(rabbitmq_url(), Topology { exchanges: vec![], queues }).await;
        Raw::connect(rabbitmq_url()).publish(&name, &[(b"deep", &nested(depth, table)), (b"flat", b"t\x01")]);
        let seen = bus.browse(&name, 1, None).await.unwrap();
        assert_eq!(seen[0].message.headers.get("flat"), Some(&oat::bus::HeaderValue::Bool(true)));
        let mut consumer = bus.consume(&name, 1).await.unwrap();
        let delivery = soon("the message", consumer.next()).await.unwrap();
        let text = delivery.message.text("deep").unwrap();
        let opening = text.chars().filter(|character| "[{".contains(*character)).count();
        assert_eq!(opening, 31, "the rest is bytes: {}", &text[..100]);
        delivery.retry().await.unwrap();
        // As hexadecimal digits it may have become too long to be tried again.
        let mut graves = bus.consume(&dead, 1).await.unwrap();
        let again = tokio::select! { again = consumer.next() => again, dead = graves.next() => dead };
        again.unwrap().ack().await.unwrap();
        bus.close().await;
    }
}
