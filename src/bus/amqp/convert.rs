//! Messages as AMQP has them: properties and headers, both ways.

use super::super::message::{ATTEMPT, CAME_FROM, CAME_WITH, DIED_IN, Death, HeaderValue, Message, REASON};
use super::deaths::{self, DEATHS};
use chrono::DateTime;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a quorum queue has delivered a message before.
pub(super) const DELIVERY_COUNT: &str = "x-delivery-count";
/// What the broker writes and alone can read again: it has no place in a copy. The first death would never be replaced.
const BROKERS_OWN: [&str; 5] =
    [DELIVERY_COUNT, DEATHS, "x-first-death-reason", "x-first-death-queue", "x-first-death-exchange"];
/// What a message of ours may have in headers. Properties travel in one frame, and RabbitMQ's frames hold 128 KiB; what is
/// added when a message is tried again, or buried, must find room there, too.
const MOST_HEADERS: usize = 100_000;
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// AMQP's short strings end at 255 bytes; lapin panics beyond.
pub(super) fn short(text: &str) -> Result<ShortString, String> {
    ShortString::try_new(text).map_err(|_| format!("a name of {} bytes, where AMQP allows 255", text.len()))
}

/// A message's properties; refuses what no frame can hold.
pub(super) fn properties(message: &Message) -> Result<BasicProperties, String> {
    properties_within(message, MOST_HEADERS)
}

/// The same with room for `most` bytes of headers.
pub(super) fn properties_within(message: &Message, most: usize) -> Result<BasicProperties, String> {
    let headers = table(message, most)?;
    let mode = if message.transient { TRANSIENT } else { PERSISTENT };
    let mut properties = BasicProperties::default().with_delivery_mode(mode).with_headers(headers);
    if let Some(value) = &message.content_type {
        properties = properties.with_content_type(short(value)?);
    }
    if let Some(value) = &message.content_encoding {
        properties = properties.with_content_encoding(short(value)?);
    }
    if let Some(value) = &message.message_id {
        properties = properties.with_message_id(short(value)?);
    }
    if let Some(value) = &message.correlation_id {
        properties = properties.with_correlation_id(short(value)?);
    }
    if let Some(value) = &message.reply_to {
        properties = properties.with_reply_to(short(value)?);
    }
    if let Some(value) = &message.kind {
        properties = properties.with_type(short(value)?);
    }
    if let Some(value) = &message.app_id {
        properties = properties.with_app_id(short(value)?);
    }
    if let Some(seconds) = message.timestamp {
        properties = properties.with_timestamp(seconds);
    }
    if let Some(priority) = message.priority {
        properties = properties.with_priority(priority);
    }
    if let Some(waiting) = message.expiration {
        properties = properties.with_expiration(milliseconds(waiting)?.into());
    }
    Ok(properties)
}

/// An expiration is text on the wire. RabbitMQ's timers end at 32 bits.
fn milliseconds(waiting: Duration) -> Result<String, String> {
    let whole = u32::try_from(waiting.as_millis());
    whole
        .map(|count| count.to_string())
        .map_err(|_| format!("an expiration of {waiting:?}, where 49 days are the most"))
}

fn table(message: &Message, most: usize) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    let mut size = 0;
    for (name, value) in message.headers.iter().filter(|(name, _)| !BROKERS_OWN.contains(&name.as_str())) {
        if let Some(why) = fault(name, value) {
            return Err(why);
        }
        size += weight(name, value);
        table.insert(short(name)?, outgoing(value));
    }
    match size > most {
        true => Err(format!("{size} bytes of headers, where a frame holds {most}")),
        false => Ok(table),
    }
}

/// Why this header cannot be sent at all, if that is so.
pub(super) fn fault(name: &str, value: &HeaderValue) -> Option<String> {
    match value {
        HeaderValue::Float(number) if !number.is_finite() => {
            Some(format!("the header {name:?} is {number}, which RabbitMQ cannot read"))
        }
        _ => short(name).err(),
    }
}

/// About as many bytes as this header takes in a frame.
pub(super) fn weight(name: &str, value: &HeaderValue) -> usize {
    name.len() + 10 + if let HeaderValue::Text(text) = value { text.len() } else { 0 }
}

pub(super) fn outgoing(value: &HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
        HeaderValue::Int(number) => AMQPValue::LongLongInt(*number),
        HeaderValue::Bool(truth) => AMQPValue::Boolean(*truth),
        HeaderValue::Float(number) => AMQPValue::Double(*number),
    }
}

/// A message as it arrived.
pub(super) struct Arrived {
    /// What was sent, with the epitaph of its latest death in our headers.
    pub message: Message,
    /// The how-manieth delivery this is.
    pub attempt: u32,
    /// The latest first.
    pub deaths: Vec<Death>,
}

/// Reads what came. A classic queue counts no returns, but tells that there was one.
pub(super) fn arrived(properties: &BasicProperties, body: Vec<u8>, redelivered: bool) -> Arrived {
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    let mut message = Message {
        body,
        content_type: text(properties.content_type()),
        content_encoding: text(properties.content_encoding()),
        message_id: text(properties.message_id()),
        correlation_id: text(properties.correlation_id()),
        reply_to: text(properties.reply_to()),
        kind: text(properties.kind()),
        app_id: text(properties.app_id()),
        timestamp: *properties.timestamp(),
        priority: *properties.priority(),
        expiration: text(properties.expiration()).and_then(|count| count.parse().ok()).map(Duration::from_millis),
        transient: *properties.delivery_mode() != Some(PERSISTENT),
        headers: BTreeMap::new(),
    };
    let mut deaths = Vec::new();
    if let Some(table) = properties.headers() {
        deaths = deaths::read(table);
    }
    message.headers = headers(properties);
    let known = returns(properties);
    let returns = known.unwrap_or(i64::from(redelivered));
    let first = message.int(ATTEMPT).unwrap_or(1).max(1);
    // Ours come before what the broker wrote since: it does not know them.
    match Death::told(&message) {
        Some(told) => deaths.push(told),
        None => deaths.first().into_iter().for_each(|latest| epitaph(&mut message, latest)),
    }
    Arrived { message, attempt: u32::try_from(first.saturating_add(returns)).unwrap_or(u32::MAX), deaths }
}

/// What its sender and others wrote into its headers.
pub(super) fn headers(properties: &BasicProperties) -> BTreeMap<String, HeaderValue> {
    let all = properties.headers().iter().flat_map(|table| table.inner().iter());
    let ordinary = all.filter(|(name, _)| !BROKERS_OWN.contains(&name.as_str()));
    ordinary.map(|(name, value)| (name.to_string(), incoming(value))).collect()
}

/// How often a quorum queue has delivered it before. Other queues do not count.
pub(super) fn returns(properties: &BasicProperties) -> Option<i64> {
    let count = properties.headers().as_ref()?.inner().get(DELIVERY_COUNT)?;
    readable(count).as_i64().map(|count| count.max(0))
}

/// A message that the broker buried tells of it in our headers, like one that was rejected. Where it came from in the
/// first place it may know already.
fn epitaph(message: &mut Message, death: &Death) {
    let mut note = |name: &str, value: &str| {
        message.headers.entry(name.into()).or_insert_with(|| HeaderValue::Text(value.into()));
    };
    note(REASON, &death.reason);
    note(DIED_IN, &death.queue);
    note(CAME_FROM, &death.exchange);
    if let Some(key) = death.routing_keys.first() {
        note(CAME_WITH, key);
    }
}

fn incoming(value: &AMQPValue) -> HeaderValue {
    match readable(value) {
        Value::Bool(truth) => HeaderValue::Bool(truth),
        Value::String(text) => HeaderValue::Text(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => HeaderValue::Int(whole),
            (None, Some(float)) => HeaderValue::Float(float),
            (None, None) => HeaderValue::Text(number.to_string()),
        },
        other => HeaderValue::Text(other.to_string()),
    }
}

/// Any AMQP value as JSON, which people and tools can read.
fn readable(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(truth) => json!(truth),
        AMQPValue::ShortShortInt(number) => json!(number),
        AMQPValue::ShortShortUInt(number) => json!(number),
        AMQPValue::ShortInt(number) => json!(number),
        AMQPValue::ShortUInt(number) => json!(number),
        AMQPValue::LongInt(number) => json!(number),
        AMQPValue::LongUInt(number) => json!(number),
        AMQPValue::LongLongInt(number) => json!(number),
        AMQPValue::Float(number) => json!(number),
        AMQPValue::Double(number) => json!(number),
        AMQPValue::DecimalValue(number) => json!(f64::from(number.value) / 10f64.powi(i32::from(number.scale))),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(readable).collect(),
        AMQPValue::Timestamp(seconds) => json!(moment(*seconds)),
        AMQPValue::FieldTable(table) => {
            table.inner().iter().map(|(name, value)| (name.to_string(), readable(value))).collect()
        }
        AMQPValue::ByteArray(bytes) => json!(hex::encode(bytes.as_slice())),
        AMQPValue::Void => Value::Null,
    }
}

fn moment(seconds: u64) -> String {
    let known = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    known.map_or(seconds.to_string(), |moment| moment.to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::FieldArray;

    fn full() -> Message {
        Message {
            content_encoding: Some("gzip".into()),
            correlation_id: Some("c".into()),
            reply_to: Some("answers".into()),
            app_id: Some("oat".into()),
            timestamp: Some(1 << 40),
            transient: true,
            ..Message::new("text/plain", b"body".to_vec())
        }
        .priority(7)
        .expires_after(Duration::from_millis(1500))
        .id("m")
        .kind("task")
        .header("text", HeaderValue::Text("grüezi".into()))
        .header("int", HeaderValue::Int(-3))
        .header("bool", HeaderValue::Bool(true))
        .header("float", HeaderValue::Float(2.0))
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        let sent = full();
        let received = arrived(&properties(&sent).unwrap(), sent.body.clone(), false);
        assert_eq!((received.message, received.attempt, received.deaths), (sent, 1, vec![]));
    }

    #[test]
    fn returns_and_retries_both_count_as_attempts() {
        let mut table = FieldTable::default();
        table.insert(DELIVERY_COUNT.into(), AMQPValue::LongInt(2));
        table.insert(ATTEMPT.into(), AMQPValue::LongLongInt(4));
        let counted = arrived(&BasicProperties::default().with_headers(table), Vec::new(), true);
        assert_eq!((counted.attempt, counted.message.int(ATTEMPT)), (6, Some(4)));
        assert_eq!(counted.message.int(DELIVERY_COUNT), None);
        assert_eq!(arrived(&BasicProperties::default(), Vec::new(), true).attempt, 2, "a classic queue tells of one");
    }

    #[test]
    fn the_latest_death_is_told_in_our_headers_and_all_of_them_beside() {
        let entry = |queue: &str, reason: &str| {
            let mut entry = FieldTable::default();
            for (name, value) in [("queue", queue), ("reason", reason), ("exchange", "in")] {
                entry.insert(name.into(), AMQPValue::LongString(value.into()));
            }
            let keys = FieldArray::from(vec![AMQPValue::LongString("key".into())]);
            entry.insert("routing-keys".into(), AMQPValue::FieldArray(keys));
            entry.insert("count".into(), AMQPValue::LongLongInt(3));
            entry.insert("time".into(), AMQPValue::Timestamp(7));
            AMQPValue::FieldTable(entry)
        };
        let entries =
            vec![entry("work.retry-after-100ms", "expired"), entry("work", "rejected"), entry("old", "maxlen")];
        let mut table = FieldTable::default();
        table.insert(DEATHS.into(), AMQPValue::FieldArray(FieldArray::from(entries)));
        table.insert("x-first-death-reason".into(), AMQPValue::LongString("maxlen".into()));
        let buried = arrived(&BasicProperties::default().with_headers(table), Vec::new(), false);
        let queues: Vec<_> = buried.deaths.iter().map(|death| death.queue.as_str()).collect();
        assert_eq!(queues, ["work", "old"]);
        let latest = &buried.deaths[0];
        assert_eq!((latest.count, latest.time, latest.routing_keys.as_slice()), (3, Some(7), &["key".to_owned()][..]));
        let told = [REASON, DIED_IN, CAME_FROM, CAME_WITH].map(|name| buried.message.text(name).unwrap());
        assert_eq!(told, ["rejected", "work", "in", "key"]);
        assert_eq!(buried.message.headers.len(), 4, "what only the broker can read is not among them");
    }

    #[test]
    fn unknown_kinds_of_headers_become_readable_text() {
        let mut death = FieldTable::default();
        death.insert("count".into(), AMQPValue::LongLongInt(1));
        death.insert("time".into(), AMQPValue::Timestamp(0));
        let array = FieldArray::from(vec![AMQPValue::FieldTable(death)]);
        let HeaderValue::Text(text) = incoming(&AMQPValue::FieldArray(array)) else { panic!("not a text") };
        assert_eq!(text, r#"[{"count":1,"time":"1970-01-01T00:00:00+00:00"}]"#);
    }

    #[test]
    fn what_no_frame_can_hold_is_refused() {
        let long = "x".repeat(300);
        assert!(properties(&full().expires_after(Duration::from_secs(50 * 86_400))).is_err());
        assert!(properties(&full().id(long.clone())).is_err());
        assert!(properties(&full().header(&long, HeaderValue::Bool(true))).is_err());
        assert!(properties(&full().header("unequal", HeaderValue::Float(f64::NAN))).is_err());
        assert!(properties(&full().header("big", HeaderValue::Text("x".repeat(200_000)))).is_err());
    }
}
