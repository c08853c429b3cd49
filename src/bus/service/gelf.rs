//! One line of the log as a message of the log bus: [GELF](https://go2docs.graylog.org/current/getting_in_log_data/gelf.html)
//! 1.1, JSON, under the key `<service>.<LEVEL>`.

use super::super::Message;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// How grave it is, by syslog's scale (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The system is unusable. To eventail: a message was given up.
    Emergency,
    /// Somebody should act at once. To eventail: a handler failed.
    Alert,
    /// A critical condition.
    Critical,
    /// An error.
    Error,
    /// It went on regardless.
    Warning,
    /// Normal, and worth noting.
    Notice,
    /// The story.
    Info,
    /// The details.
    Debug,
}

impl Severity {
    /// The last word of the routing key.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Emergency => "EMERGENCY",
            Severity::Alert => "ALERT",
            Severity::Critical => "CRITICAL",
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Info => "INFO",
            Severity::Debug => "DEBUG",
        }
    }
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Log {
    severity: Severity,
    short: String,
    full: String,
    conversation: String,
    fields: Map<String, Value>,
    /// In seconds since 1970.
    time: f64,
}

impl Log {
    /// A line of now.
    pub fn new(severity: Severity, short: impl Into<String>) -> Log {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (full, conversation, fields) = Default::default();
        Log { severity, short: short.into(), full, conversation, fields, time }
    }

    /// The same with the whole story.
    pub fn full(self, full: impl Into<String>) -> Log {
        Log { full: full.into(), ..self }
    }

    /// The same in this conversation.
    pub fn conversation(self, id: impl Into<String>) -> Log {
        Log { conversation: id.into(), ..self }
    }

    /// The same with an additional field.
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Log {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Its routing key and the message, as the service of this name on this host says it.
    pub(super) fn message(&self, service: &str, host: &str) -> (String, Message) {
        let level = self.severity.name();
        let mut gelf = json!({
            "version": "1.1",
            "host": format!("{service}@{host}"),
            "short_message": self.short,
            "full_message": self.full,
            "timestamp": self.time,
            "level": self.severity as u8,
            "_levelname": level,
            "_conversation_id": self.conversation,
            "_logical_service": service,
            "_worker_pid": std::process::id(),
        });
        for (name, value) in &self.fields {
            gelf[additional(name)] = value.clone();
        }
        let body = gelf.to_string().into_bytes();
        (format!("{service}.{level}"), Message { transient: true, ..Message::new("application/json", body) })
    }
}

/// GELF marks additional fields with an underscore, and keeps `_id` for itself.
fn additional(name: &str) -> String {
    match name.trim_start_matches('_') {
        "id" => "_the_id".into(),
        name => format!("_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_gelf_as_eventail_writes_it() {
        let log = Log::new(Severity::Alert, "it broke").full("at length").conversation("7");
        let (key, message) = log.field("id", 1).field("_tries", 2).message("shop", "here");
        let gelf: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!((key.as_str(), message.transient), ("shop.ALERT", true));
        for (name, value) in [
            ("version", json!("1.1")),
            ("host", json!("shop@here")),
            ("short_message", json!("it broke")),
            ("full_message", json!("at length")),
            ("level", json!(1)),
            ("_levelname", json!("ALERT")),
            ("_conversation_id", json!("7")),
            ("_logical_service", json!("shop")),
            ("_worker_pid", json!(std::process::id())),
            ("_the_id", json!(1)),
            ("_tries", json!(2)),
        ] {
            assert_eq!(gelf[name], value, "{name}");
        }
        assert!(gelf["timestamp"].as_f64().unwrap() > 1e9);
    }
}
