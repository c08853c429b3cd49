//! Bodies as people read and write them. Whatever a body is, it can be shown; only what is JSON or CBOR can be sent.

use crate::bus::Message;
use crate::task::{CBOR, Encoding, JSON};
use serde_json::{Map, Number, Value};

/// A body, as far as it is understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// JSON, or CBOR that says nothing JSON cannot say.
    Value(Value),
    /// Anything else that can be read, nothing at all included.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Payload {
    /// What a message says. The content type is believed if the body agrees; without one JSON is tried.
    pub fn of(message: &Message) -> Payload {
        let value = message.decode().ok().and_then(as_json);
        match value.filter(|value| is_cbor(message) || is_whole(value)) {
            Some(value) => Payload::Value(value),
            None => match String::from_utf8(message.body.clone()) {
                Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => Payload::Text(text),
                _ => Payload::Bytes(message.body.clone()),
            },
        }
    }

    /// For people: JSON over several lines, bytes as their number and their beginning.
    pub fn shown(&self) -> String {
        match self {
            Payload::Value(value) => serde_json::to_string_pretty(value).expect("a value has a form"),
            Payload::Text(text) => text.clone(),
            Payload::Bytes(bytes) => {
                let more = if bytes.len() > 32 { "…" } else { "" };
                format!("{} bytes: {}{more}", bytes.len(), hex::encode(&bytes[..bytes.len().min(32)]))
            }
        }
    }
}

/// What was to be sent is neither JSON nor CBOR.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// It is text, and here it stops being JSON.
    #[error("line {line}, column {column}: not JSON: {why}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The parser's words, and what stands there.
        why: String,
    },
    /// It looks binary, and nobody said that it is CBOR.
    #[error("not text, so not JSON")]
    Binary,
    /// It was said to be CBOR.
    #[error("byte {at}: not CBOR: {why}")]
    Cbor {
        /// How many bytes could be read.
        at: usize,
        /// The parser's words.
        why: String,
    },
    /// It would become another number, and was to travel as CBOR.
    #[error("{number} does not fit into 64 bits, and as CBOR it would be another number")]
    TooLarge {
        /// As it was written.
        number: String,
    },
}

/// Reads what somebody wants to send: JSON text, or CBOR where that was asked for. What is in its form already stays as it
/// is: numbers read and written again might be others.
pub fn written(text: &[u8], encoding: Option<Encoding>) -> Result<Message, Unreadable> {
    let binary = encoding == Some(Encoding::Cbor);
    let Ok(json) = std::str::from_utf8(text) else { return if binary { cbor(text) } else { Err(Unreadable::Binary) } };
    match serde_json::from_str::<Value>(json) {
        Ok(_) if !binary => Ok(Message::new(JSON, text.trim_ascii().to_vec())),
        Ok(value) => match too_large(json) {
            Some(number) => Err(Unreadable::TooLarge { number }),
            None => Ok(message(&value, Encoding::Cbor)),
        },
        Err(_) if binary => cbor(text),
        Err(error) => Err(not_json(text, &error)),
    }
}

/// A whole number in this JSON that no integer of 64 bits holds.
pub fn too_large(json: &str) -> Option<String> {
    let is_whole = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |number: &str| number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    // What is between quotes is text.
    let plain = json.replace(r"\\", "").replace(r#"\""#, "");
    let numbers =
        plain.split('"').step_by(2).flat_map(|rest| rest.split([',', ':', '[', ']', '{', '}', ' ', '\n', '\t']));
    let mut wrong = numbers.filter(|number| is_whole(number.strip_prefix('-').unwrap_or(number)) && !fits(number));
    wrong.next().map(str::to_owned)
}

/// Takes CBOR as it is, after a look whether it is any.
pub fn cbor(bytes: &[u8]) -> Result<Message, Unreadable> {
    let mut rest = bytes;
    match ciborium::from_reader::<ciborium::Value, _>(&mut rest) {
        Ok(_) if rest.is_empty() => Ok(Message::new(CBOR, bytes.to_vec())),
        Ok(_) => Err(Unreadable::Cbor { at: bytes.len() - rest.len(), why: "something follows".into() }),
        Err(error) => Err(Unreadable::Cbor { at: bytes.len() - rest.len(), why: error.to_string() }),
    }
}

/// A message that says this.
pub fn message(value: &Value, encoding: Encoding) -> Message {
    let message = match encoding {
        Encoding::Json => Message::json(value),
        Encoding::Cbor => Message::cbor(value),
    };
    message.expect("plain data always has a form")
}

fn not_json(text: &[u8], error: &serde_json::Error) -> Unreadable {
    let line = String::from_utf8_lossy(text).lines().nth(error.line().saturating_sub(1)).unwrap_or_default().to_owned();
    let near: String = line.chars().skip(error.column().saturating_sub(10)).take(20).collect();
    let why = error.to_string();
    let why = why.split(" at line ").next().unwrap_or_default();
    Unreadable::Json { line: error.line(), column: error.column(), why: format!("{why}, near {near:?}") }
}

/// Whether the body of a message is CBOR, by its content type.
pub fn is_cbor(message: &Message) -> bool {
    message.content_type.as_deref().is_some_and(|name| name.contains("cbor"))
}

/// Whole numbers beyond 64 bits become floating-point numbers, and would come out changed.
fn is_whole(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|n| n.abs() < 1e16),
        Value::Array(values) => values.iter().all(is_whole),
        Value::Object(fields) => fields.values().all(is_whole),
        _ => true,
    }
}

/// The same value, if JSON can say it.
fn as_json(value: ciborium::Value) -> Option<Value> {
    Some(match value {
        ciborium::Value::Null => Value::Null,
        ciborium::Value::Bool(truth) => Value::Bool(truth),
        ciborium::Value::Text(text) => Value::String(text),
        ciborium::Value::Float(number) => Value::Number(Number::from_f64(number)?),
        ciborium::Value::Integer(number) => Value::Number(Number::from_i128(number.into())?),
        ciborium::Value::Array(values) => Value::Array(values.into_iter().map(as_json).collect::<Option<_>>()?),
        ciborium::Value::Map(fields) => {
            let named = fields.into_iter().map(|(name, value)| Some((name.into_text().ok()?, as_json(value)?)));
            Value::Object(named.collect::<Option<Map<_, _>>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::JSON;
    use serde_json::json;

    #[test]
    fn what_was_written_is_read_in_both_forms() {
        let value = json!({"id": 7, "price": 12.5, "tags": ["a", null, true], "big": u64::MAX});
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let message = written(value.to_string().as_bytes(), Some(encoding)).unwrap();
            assert_eq!(message.content_type.as_deref(), Some(encoding.content_type()));
            assert_eq!(Payload::of(&message), Payload::Value(value.clone()));
        }
    }

    #[test]
    fn a_number_stays_what_it_is() {
        let text = r#" {"id": 18446744073709551616, "price": 1.10, "id": 1e2} "#;
        let message = written(text.as_bytes(), None).unwrap();
        assert_eq!((message.content_type.as_deref(), message.body.as_slice()), (Some(JSON), text.trim().as_bytes()));
        let number = "18446744073709551616".to_owned();
        assert_eq!(written(text.as_bytes(), Some(Encoding::Cbor)), Err(Unreadable::TooLarge { number }));
        assert!(written(br#"{"id": "18446744073709551616"}"#, Some(Encoding::Cbor)).is_ok());
    }

    #[test]
    fn what_json_cannot_say_is_shown_as_it_is() {
        let bytes = ciborium::Value::Bytes(vec![1, 2]);
        let mut body = Vec::new();
        ciborium::into_writer(&bytes, &mut body).unwrap();
        assert_eq!(Payload::of(&Message::new(CBOR, body.clone())), Payload::Bytes(body));
        let escape = b"\x1b[2J".to_vec();
        assert_eq!(Payload::of(&Message::new("text/plain", escape.clone())), Payload::Bytes(escape));
        let long = "123456789012345678901234567890";
        assert_eq!(Payload::of(&Message::new(JSON, long.into())), Payload::Text(long.into()));
        assert_eq!(Payload::of(&Message::new("text/plain", b"17".to_vec())), Payload::Text("17".into()));
    }

    #[test]
    fn what_cannot_be_sent_says_where() {
        let wrong = |text: &[u8], encoding| written(text, encoding).unwrap_err();
        let Unreadable::Json { line, column, why } = wrong(b"{\n  \"a\": oops}", None) else { panic!("not JSON") };
        assert_eq!((line, column), (2, 8));
        assert!(why.contains("oops"), "{why}");
        assert_eq!(wrong(b"\xa1\x61a\x01", None), Unreadable::Binary);
        assert!(written(b"\xa1\x61a\x01", Some(Encoding::Cbor)).is_ok());
        assert!(matches!(wrong(b"\xa1\x61a", Some(Encoding::Cbor)), Unreadable::Cbor { at: 3, .. }));
        assert!(matches!(wrong(b"\x01\x01", Some(Encoding::Cbor)), Unreadable::Cbor { at: 1, .. }));
    }
}
