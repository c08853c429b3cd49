//! A message with all that belongs to it, as one JSON object: what the tools print with `--json`, what they save, and
//! what can be sent again as it was. A body that is JSON or CBOR can be read and edited in it.

use super::payload::{self, Payload};
use crate::bus::{Death, Delivery, HeaderValue, Message, Seen};
use crate::task::Encoding;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The form's version.
const VERSION: u32 = 1;

/// What is packed is shown unpacked up to so many bytes; beyond, as the bytes it has.
const MOST: usize = 64 << 20;

/// A message, where it was sent, and what is known of its journey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    v: u32,
    /// The exchange it came through.
    pub exchange: String,
    /// The routing key it came with.
    pub routing_key: String,
    /// Whether it had been delivered before.
    #[serde(default)]
    pub redelivered: bool,
    /// The how-manieth delivery it was.
    #[serde(default)]
    pub attempt: u32,
    /// Why it died, the latest reason first: `queue: reason`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deaths: Vec<String>,
    properties: Properties,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    /// JSON or CBOR, by the content type; if all three are missing, null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

/// AMQP's names for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Properties {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    transient: bool,
}

impl Letter {
    /// What was delivered.
    pub fn delivered(delivery: &Delivery) -> Letter {
        let Delivery { message, exchange, routing_key, redelivered, attempt, deaths, .. } = delivery;
        Letter::new(message, exchange, routing_key, (*redelivered, *attempt), deaths)
    }

    /// What lies in a queue.
    pub fn seen(seen: &Seen) -> Letter {
        let Seen { message, exchange, routing_key, redelivered, attempt, deaths } = seen;
        Letter::new(message, exchange, routing_key, (*redelivered, *attempt), deaths)
    }

    fn new(message: &Message, exchange: &str, key: &str, so_far: (bool, u32), deaths: &[Death]) -> Letter {
        let unpacked = message.unpacked(MOST);
        let message = unpacked.as_ref().unwrap_or(message);
        let (payload, text, hex) = match Payload::of(message) {
            Payload::Value(value) => (Some(value), None, None),
            Payload::Text(text) => (None, Some(text), None),
            Payload::Bytes(bytes) => (None, None, Some(hex::encode(bytes))),
        };
        let headers = message.headers.iter().map(|(name, value)| (name.clone(), readable(value)));
        Letter {
            v: VERSION,
            exchange: exchange.into(),
            routing_key: key.into(),
            redelivered: so_far.0,
            attempt: so_far.1,
            deaths: deaths.iter().map(|death| format!("{}: {}", death.queue, death.reason)).collect(),
            properties: Properties::of(message),
            headers: headers.collect(),
            payload,
            text,
            hex,
        }
    }

    /// The message, to be sent again. A body comes out with the same meaning; of JSON and CBOR not always with the same
    /// bytes, and unpacked.
    pub fn message(&self) -> Result<Message, hex::FromHexError> {
        let message = self.properties.message();
        let encoding = if payload::is_cbor(&message) { Encoding::Cbor } else { Encoding::Json };
        let body = match (&self.text, &self.hex) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(digits)) => hex::decode(digits)?,
            (None, None) => payload::message(self.payload.as_ref().unwrap_or(&Value::Null), encoding).body,
        };
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), header(value)));
        Ok(Message { body, headers: headers.collect(), ..message })
    }

    /// The body, to be read.
    pub fn payload(&self) -> Payload {
        match (&self.payload, &self.text, &self.hex) {
            (_, Some(text), _) => Payload::Text(text.clone()),
            (_, None, Some(digits)) => Payload::Bytes(hex::decode(digits).unwrap_or_default()),
            (payload, None, None) => Payload::Value(payload.clone().unwrap_or_default()),
        }
    }

    /// As one line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a letter has a form")
    }

    /// Writes it to a new file in `folder`, whose names sort as the letters came; what is there stays as it is.
    pub fn save(&self, folder: &Path) -> std::io::Result<PathBuf> {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let key: String = self.routing_key.chars().take(80).map(plain).collect();
        let text = serde_json::to_string_pretty(self).expect("a letter has a form");
        let mut number = std::fs::read_dir(folder)?.count() + 1;
        loop {
            let path = folder.join(format!("{number:06}-{key}.json"));
            match std::fs::File::create_new(&path) {
                Ok(mut file) => return file.write_all(text.as_bytes()).map(|()| path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The letters in a text, one after the other; `None` if it is anything else.
    pub fn read_all(text: &[u8]) -> Option<Vec<Letter>> {
        let letters = serde_json::Deserializer::from_slice(text).into_iter::<Letter>();
        let letters: Vec<Letter> = letters.collect::<Result<_, _>>().ok()?;
        let known = letters.iter().all(|letter| letter.v == VERSION);
        (known && !letters.is_empty()).then_some(letters)
    }
}

impl Properties {
    fn of(message: &Message) -> Properties {
        let Message { content_type, content_encoding, message_id, correlation_id, reply_to, kind, app_id, .. } =
            message.clone();
        Properties {
            content_type,
            content_encoding,
            message_id,
            correlation_id,
            reply_to,
            kind,
            app_id,
            timestamp: message.timestamp,
            priority: message.priority,
            expiration: message.expiration.map(|waiting| u64::try_from(waiting.as_millis()).unwrap_or(u64::MAX)),
            transient: message.transient,
        }
    }

    fn message(&self) -> Message {
        let Properties { content_type, content_encoding, message_id, correlation_id, reply_to, kind, app_id, .. } =
            self.clone();
        Message {
            body: Vec::new(),
            headers: BTreeMap::new(),
            content_type,
            content_encoding,
            message_id,
            correlation_id,
            reply_to,
            kind,
            app_id,
            timestamp: self.timestamp,
            priority: self.priority,
            expiration: self.expiration.map(Duration::from_millis),
            transient: self.transient,
        }
    }
}

/// A header as JSON has it.
pub fn readable(value: &HeaderValue) -> Value {
    match value {
        HeaderValue::Text(text) => text.as_str().into(),
        HeaderValue::Int(number) => (*number).into(),
        HeaderValue::Bool(truth) => (*truth).into(),
        HeaderValue::Float(number) => (*number).into(),
    }
}

fn header(value: &Value) -> HeaderValue {
    match value {
        Value::String(text) => HeaderValue::Text(text.clone()),
        Value::Bool(truth) => HeaderValue::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => HeaderValue::Int(whole),
            (None, Some(float)) => HeaderValue::Float(float),
            (None, None) => HeaderValue::Text(number.to_string()),
        },
        other => HeaderValue::Text(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Compression;

    fn full(content_type: &str, body: &[u8]) -> Message {
        Message {
            content_encoding: None,
            correlation_id: Some("c".into()),
            reply_to: Some("answers".into()),
            app_id: Some("oat".into()),
            timestamp: Some(1_700_000_000),
            transient: true,
            ..Message::new(content_type, body.to_vec())
        }
        .id("m")
        .kind("event")
        .priority(3)
        .expires_after(Duration::from_millis(1500))
        .header("text", HeaderValue::Text("grüezi".into()))
        .header("int", HeaderValue::Int(-3))
        .header("bool", HeaderValue::Bool(true))
        .header("float", HeaderValue::Float(2.5))
    }

    #[test]
    fn a_message_survives_being_written_down() {
        let bodies: [(&str, &[u8]); 5] = [
            ("application/json", br#"{"a":[1,2.5,null]}"#),
            ("application/cbor", b"\xa1\x61a\x01"),
            ("application/cbor", b"\x41\x01"),
            ("text/plain", "grüezi".as_bytes()),
            ("image/png", b"\x89PNG\xff"),
        ];
        for (content_type, body) in bodies {
            let sent = full(content_type, body);
            let packed = Letter::new(&sent.clone().compressed(Compression::Zstd), "events", "Greeted", (true, 2), &[]);
            assert_eq!(packed.message().unwrap(), sent, "{content_type}, packed");
            let letter = Letter::new(&sent, "events", "Greeted", (true, 2), &[]);
            let read = Letter::read_all(letter.json().as_bytes()).unwrap();
            assert_eq!(read, [letter]);
            assert_eq!(read[0].message().unwrap(), sent, "{content_type}");
        }
    }

    #[test]
    fn saved_letters_never_overwrite_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let letter = Letter::new(&full("text/plain", b"x"), "events", "../a b", (false, 1), &[]);
        let paths = [(); 3].map(|()| letter.save(folder.path()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        assert!(paths[0] < paths[1] && paths[1] < paths[2]);
        assert!(paths[0].ends_with("000001-.._a_b.json"), "{paths:?}");
    }

    #[test]
    fn what_only_looks_like_a_letter_is_none() {
        for text in ["", "17", r#"{"v":1}"#, r#"{"exchange":"a","routing_key":"b"}"#, "nonsense"] {
            assert_eq!(Letter::read_all(text.as_bytes()), None, "{text}");
        }
    }
}
