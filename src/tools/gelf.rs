//! Log messages of services: GELF 1.1 (<https://go2docs.graylog.org/current/getting_in_log_data/gelf.html>) under the
//! key `service.LEVEL`, or plain text there, as eventail's first versions sent it.

use super::payload::Payload;
use crate::bus::Message;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;

/// Syslog's levels (RFC 5424), the worst first: their places are their numbers.
pub const LEVELS: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// One thing that a service said.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When, by its clock.
    pub time: Option<DateTime<Utc>>,
    /// From 0, an emergency, to 7, for debugging.
    pub level: usize,
    /// Who: `service@host`, or the service.
    pub host: String,
    /// What, in a line.
    pub text: String,
    /// What, in full, if that is more; a traceback for instance.
    pub full: Option<String>,
    /// What else was said, by names without GELF's underscore.
    pub fields: BTreeMap<String, Value>,
}

impl Line {
    /// Reads whatever came to the exchange of logs; something can be said of anything.
    pub fn of(key: &str, message: &Message) -> Line {
        let (service, word) = key.rsplit_once('.').unwrap_or((key, ""));
        let level = LEVELS.iter().position(|level| level.eq_ignore_ascii_case(word)).unwrap_or(6);
        let plain = |text| Line { time: None, level, host: service.into(), text, full: None, fields: BTreeMap::new() };
        // eventail gives it no content type.
        match Payload::of(&Message { content_type: None, ..message.clone() }) {
            Payload::Value(Value::Object(fields)) if fields.contains_key("short_message") => {
                Line::from_gelf(plain(String::new()), fields.into_iter().collect())
            }
            payload => plain(payload.shown()),
        }
    }

    fn from_gelf(known: Line, mut fields: BTreeMap<String, Value>) -> Line {
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
            _ => None,
        };
        let (short, full, host) = (text("short_message").unwrap_or_default(), text("full_message"), text("host"));
        let level = fields.remove("level").and_then(|level| usize::try_from(level.as_u64()?).ok());
        let seconds = fields.remove("timestamp").and_then(|time| time.as_f64());
        let more = fields.into_iter().filter_map(|(name, value)| Some((name.strip_prefix('_')?.to_owned(), value)));
        Line {
            time: seconds.and_then(|seconds| DateTime::from_timestamp_micros((seconds * 1e6) as i64)),
            level: level.filter(|level| *level < LEVELS.len()).unwrap_or(known.level),
            host: host.unwrap_or(known.host),
            full: full.filter(|full| *full != short),
            text: short,
            fields: more.collect(),
        }
    }
}

/// A pattern of `service.LEVEL`; a service alone means all its levels.
pub fn pattern(text: &str) -> String {
    match text.contains(['.', '#']) {
        true => text.into(),
        false => format!("{text}.*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn gelf_is_taken_apart() {
        let body = json!({
            "version": "1.1", "short_message": "Giving up on Ping", "full_message": "Traceback…", "level": 0,
            "_levelname": "EMERGENCY", "host": "ping@here", "timestamp": 1700000000.5, "_conversation_id": "c",
        });
        let line = Line::of("ping.EMERGENCY", &Message::new("application/json", body.to_string().into_bytes()));
        assert_eq!((line.level, line.host.as_str(), line.text.as_str()), (0, "ping@here", "Giving up on Ping"));
        assert_eq!(line.full.as_deref(), Some("Traceback…"));
        assert_eq!(line.time.unwrap().timestamp_millis(), 1_700_000_000_500);
        assert_eq!(line.fields["conversation_id"], "c");
        assert!(!line.fields.contains_key("version"));
    }

    #[test]
    fn anything_else_is_a_line_too() {
        let said = |key: &str, body: &[u8]| Line::of(key, &Message { body: body.to_vec(), ..Message::default() });
        let line = said("ping.WARNING", b"[ping-7] slow");
        assert_eq!((line.level, line.host.as_str(), line.text.as_str()), (4, "ping", "[ping-7] slow"));
        assert_eq!(said("odd", br#"{"level":"x"}"#).level, 6);
        let odd = br#"{"short_message":7,"level":99,"timestamp":"x"}"#;
        assert_eq!((said("ping.ERROR", odd).level, said("ping.ERROR", odd).time), (3, None));
    }

    #[test]
    fn a_service_means_all_its_levels() {
        assert_eq!(["ping", "ping.ERROR", "*.ERROR", "#"].map(pattern), ["ping.*", "ping.ERROR", "*.ERROR", "#"]);
    }
}
