//! A message as a row, and a claimed row on its way to a consumer.

use super::super::message::{ATTEMPT, Death, Receipt as AnyReceipt};
use super::super::{Delivery, HeaderValue, Message, Seen};
use super::receipt::Receipt;
use super::work::Line;
use ciborium::Value;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Error as SqlError, Row};
use std::collections::BTreeMap;
use std::time::Duration;

/// The columns of a message.
pub(super) const COLUMNS: &str = "content_type, content_encoding, message_id, correlation_id, reply_to, kind, app_id,
     timestamp, priority, expiration, transient, headers, body";
/// What stands before them.
pub(super) const PLACE: &str = "id, rank, exchange, key, returns";

/// A message that this connection has claimed and not yet handed out.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its number, never used twice in a file.
    pub id: i64,
    /// Its place in its queue is after those of a smaller one.
    pub rank: i64,
    pub exchange: String,
    pub key: String,
    /// How often it came back.
    pub returns: u32,
    pub message: Message,
}

impl Parcel {
    /// Handed out: from here on it is the caller's to settle.
    pub fn into_delivery(self, queue: &str, line: &Line) -> Delivery {
        Delivery {
            attempt: self.attempt(),
            deaths: Death::told(&self.message).into_iter().collect(),
            message: self.message,
            queue: queue.into(),
            exchange: self.exchange,
            routing_key: self.key,
            redelivered: self.returns > 0,
            receipt: AnyReceipt::Local(Receipt::new(line.clone(), self.id)),
        }
    }

    /// Looked at, and left where it was.
    pub fn into_seen(self) -> Seen {
        Seen {
            attempt: self.attempt(),
            deaths: Death::told(&self.message).into_iter().collect(),
            message: self.message,
            exchange: self.exchange,
            routing_key: self.key,
            redelivered: self.returns > 0,
        }
    }

    /// Retries and returns both count.
    fn attempt(&self) -> u32 {
        let tries = self.message.int(ATTEMPT).and_then(|tries| u32::try_from(tries).ok()).unwrap_or(1).max(1);
        tries.saturating_add(self.returns)
    }
}

/// Reads [`PLACE`] and [`COLUMNS`].
pub(super) fn parcel(row: &Row) -> Result<Parcel, SqlError> {
    Ok(Parcel {
        id: row.get(0)?,
        rank: row.get(1)?,
        exchange: row.get(2)?,
        key: row.get(3)?,
        returns: row.get(4)?,
        message: message(row)?,
    })
}

/// The same of a row in which somebody else wrote what is no message: what can be read, and the body in any case.
pub(super) fn remains(row: &Row) -> Result<Parcel, SqlError> {
    let text = |column| row.get::<_, Option<String>>(column).ok().flatten();
    let headers = row.get_ref(16)?.as_blob().ok().and_then(decode).unwrap_or_default();
    let body = match row.get_ref(17)? {
        ValueRef::Null => Vec::new(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Real(number) => number.to_string().into_bytes(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    };
    let [content_type, content_encoding, message_id, correlation_id, reply_to, kind, app_id] =
        [5, 6, 7, 8, 9, 10, 11].map(text);
    Ok(Parcel {
        id: row.get(0)?,
        rank: row.get(1).unwrap_or_default(),
        exchange: text(2).unwrap_or_default(),
        key: text(3).unwrap_or_default(),
        returns: row.get(4).unwrap_or_default(),
        message: Message {
            body,
            content_type,
            content_encoding,
            headers,
            message_id,
            correlation_id,
            reply_to,
            kind,
            app_id,
            ..Message::default()
        },
    })
}

/// Reads [`COLUMNS`] where they stand behind [`PLACE`].
fn message(row: &Row) -> Result<Message, SqlError> {
    Ok(Message {
        content_type: row.get(5)?,
        content_encoding: row.get(6)?,
        message_id: row.get(7)?,
        correlation_id: row.get(8)?,
        reply_to: row.get(9)?,
        kind: row.get(10)?,
        app_id: row.get(11)?,
        timestamp: row.get::<_, Option<i64>>(12)?.map(i64::cast_unsigned),
        priority: row.get(13)?,
        expiration: row.get::<_, Option<i64>>(14)?.map(|span| Duration::from_millis(span.unsigned_abs())),
        transient: row.get(15)?,
        headers: decode(row.get_ref(16)?.as_blob()?)
            .ok_or_else(|| SqlError::InvalidColumnType(16, "headers".into(), Type::Blob))?,
        body: row.get(17)?,
    })
}

/// Headers as a CBOR map: unlike JSON it keeps every number as it was.
pub(super) fn encode(headers: &BTreeMap<String, HeaderValue>) -> Vec<u8> {
    let value = |value: &HeaderValue| match value {
        HeaderValue::Text(text) => Value::Text(text.clone()),
        HeaderValue::Int(number) => Value::Integer((*number).into()),
        HeaderValue::Bool(truth) => Value::Bool(*truth),
        HeaderValue::Float(number) => Value::Float(*number),
    };
    let map = headers.iter().map(|(name, header)| (Value::Text(name.clone()), value(header))).collect();
    let mut bytes = Vec::new();
    ciborium::into_writer(&Value::Map(map), &mut bytes).expect("writing into memory cannot fail");
    bytes
}

/// `None` if these bytes were not written by [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Option<BTreeMap<String, HeaderValue>> {
    let value: Value = ciborium::from_reader(bytes).ok()?;
    value.into_map().ok()?.into_iter().map(|(name, value)| Some((name.into_text().ok()?, header(value)?))).collect()
}

fn header(value: Value) -> Option<HeaderValue> {
    match value {
        Value::Text(text) => Some(HeaderValue::Text(text)),
        Value::Integer(number) => Some(HeaderValue::Int(number.try_into().ok()?)),
        Value::Bool(truth) => Some(HeaderValue::Bool(truth)),
        Value::Float(number) => Some(HeaderValue::Float(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_kinds_and_every_bit() {
        let all = [
            HeaderValue::Text("ä\0".into()),
            HeaderValue::Int(i64::MIN),
            HeaderValue::Int(i64::MAX),
            HeaderValue::Bool(false),
            HeaderValue::Float(1.0),
            HeaderValue::Float(0.1 + 0.2),
            HeaderValue::Float(f64::NEG_INFINITY),
        ];
        let headers: BTreeMap<_, _> = all.into_iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect();
        assert_eq!(decode(&encode(&headers)), Some(headers));
        assert_eq!(decode(b"no cbor"), None);
    }
}
