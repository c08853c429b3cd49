//! A message as a row, and a claimed row on its way to a consumer.

use super::super::message::{ATTEMPT, Death, Receipt as AnyReceipt};
use super::super::{Delivery, HeaderValue, Message};
use super::receipt::Receipt;
use super::work::Line;
use ciborium::Value;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Error as SqlError, Row};
use std::collections::BTreeMap;

/// The columns of a message in the order in which [`message`] reads them.
pub(super) const COLUMNS: &str =
    "content_type, content_encoding, message_id, correlation_id, reply_to, kind, app_id, headers, body";

/// A message that this connection has claimed and not yet handed out.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its number, never used twice in a file.
    pub id: i64,
    pub exchange: String,
    pub key: String,
    /// How often it came back.
    pub returns: u32,
    pub message: Message,
}

impl Parcel {
    /// Handed out: from here on it is the caller's to settle.
    pub fn into_delivery(self, queue: &str, line: &Line) -> Delivery {
        let tries = self.message.int(ATTEMPT).and_then(|tries| u32::try_from(tries).ok()).unwrap_or(1).max(1);
        Delivery {
            deaths: Death::told(&self.message).into_iter().collect(),
            message: self.message,
            queue: queue.into(),
            exchange: self.exchange,
            routing_key: self.key,
            redelivered: self.returns > 0,
            attempt: tries.saturating_add(self.returns),
            receipt: AnyReceipt::Local(Receipt::new(line.clone(), self.id)),
        }
    }
}

/// Reads `id, exchange, key, returns` and [`COLUMNS`].
pub(super) fn parcel(row: &Row) -> Result<Parcel, SqlError> {
    Ok(Parcel {
        id: row.get(0)?,
        exchange: row.get(1)?,
        key: row.get(2)?,
        returns: row.get(3)?,
        message: message(row, 4)?,
    })
}

/// The same of a row in which somebody else wrote what is no message: what can be read, and the body in any case.
pub(super) fn remains(row: &Row) -> Result<Parcel, SqlError> {
    let text = |column| row.get::<_, Option<String>>(column).ok().flatten();
    let headers = row.get_ref(11)?.as_blob().ok().and_then(decode).unwrap_or_default();
    let body = match row.get_ref(12)? {
        ValueRef::Null => Vec::new(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Real(number) => number.to_string().into_bytes(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    };
    let [content_type, content_encoding, message_id, correlation_id, reply_to, kind, app_id] =
        [4, 5, 6, 7, 8, 9, 10].map(text);
    Ok(Parcel {
        id: row.get(0)?,
        exchange: text(1).unwrap_or_default(),
        key: text(2).unwrap_or_default(),
        returns: row.get(3).unwrap_or_default(),
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

/// Reads [`COLUMNS`], the first of which is number `first`.
fn message(row: &Row, first: usize) -> Result<Message, SqlError> {
    Ok(Message {
        content_type: row.get(first)?,
        content_encoding: row.get(first + 1)?,
        message_id: row.get(first + 2)?,
        correlation_id: row.get(first + 3)?,
        reply_to: row.get(first + 4)?,
        kind: row.get(first + 5)?,
        app_id: row.get(first + 6)?,
        headers: decode(row.get_ref(first + 7)?.as_blob()?)
            .ok_or_else(|| SqlError::InvalidColumnType(first + 7, "headers".into(), Type::Blob))?,
        body: row.get(first + 8)?,
        ..Message::default()
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
fn decode(bytes: &[u8]) -> Option<BTreeMap<String, HeaderValue>> {
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
