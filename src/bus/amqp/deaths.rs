//! How the broker tells of a message's deaths: `x-death`, an array of tables, the latest first.

use super::super::message::Death;
use super::waiting;
use lapin::types::{AMQPValue, FieldTable};

/// The header.
pub(super) const DEATHS: &str = "x-death";

/// The deaths that these headers tell of; what was only waiting for its next try has not died.
pub(super) fn read(headers: &FieldTable) -> Vec<Death> {
    let Some(AMQPValue::FieldArray(entries)) = headers.inner().get(DEATHS) else { return Vec::new() };
    let deaths = entries.as_slice().iter().filter_map(|entry| match entry {
        AMQPValue::FieldTable(entry) => Some(death(entry)),
        _ => None,
    });
    deaths.filter(|death| !waiting::is_waiting_room(&death.queue)).collect()
}

fn death(entry: &FieldTable) -> Death {
    let entry = entry.inner();
    let routing_keys = match entry.get("routing-keys") {
        Some(AMQPValue::FieldArray(keys)) => keys.as_slice().iter().map(text).collect(),
        _ => Vec::new(),
    };
    let count = match entry.get("count") {
        Some(AMQPValue::LongLongInt(count)) => u64::try_from(*count).unwrap_or(1),
        _ => 1,
    };
    let time = match entry.get("time") {
        Some(AMQPValue::Timestamp(seconds)) => Some(*seconds),
        _ => None,
    };
    let word = |name: &str| entry.get(name).map(text).unwrap_or_default();
    Death { queue: word("queue"), reason: word("reason"), exchange: word("exchange"), routing_keys, count, time }
}

fn text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.to_string(),
        _ => String::new(),
    }
}
