//! The words of oslo.messaging (its RabbitMQ driver, 9.7 to 18.3), so that its clients and servers are also ours.
//!
//! Requests go through a topic exchange to the queue of the topic, shared by all servers of it, to `topic.server`, or through
//! the fanout exchange `topic_fanout` to all of them. The body is an envelope, `{"oslo.version": "2.0", "oslo.message": "…"}`
//! with the message as JSON inside a string. An answer goes through the default exchange to the queue that the request names.
//! Queues and exchanges are transient there unless configured otherwise; declaring them in any other way is a 406.

use super::super::{Binding, Exchange, ExchangeKind, Message, Queue, QueueKind, Topology};
use super::target::{Incoming, Reply};
use super::{Failure, Request, UNKNOWN};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Queues of one client or one server go when unused for so long (`rabbit_transient_queues_ttl`).
pub(super) const UNUSED: Duration = Duration::from_secs(1800);

/// Python's built-in exceptions that a method is likely to mean; a caller raises these as what they are.
const BUILT_IN: [&str; 9] = [
    "ArithmeticError",
    "KeyError",
    "LookupError",
    "NotImplementedError",
    "OverflowError",
    "PermissionError",
    "RuntimeError",
    "TypeError",
    "ValueError",
];

/// What a server declares: its topic, itself, and its share of what goes to all.
pub(super) fn topology(exchange: &str, topic: &str, server: Option<&str>) -> Topology {
    let fanout = format!("{topic}_fanout");
    let queue = |name: &str| Queue::new(name).kind(QueueKind::Transient);
    let mine = server.map(|server| format!("{topic}.{server}"));
    let names = std::iter::once(topic.to_owned()).chain(mine);
    let mut queues: Vec<Queue> = names.map(|name| queue(&name).bound(Binding::new(exchange, &name))).collect();
    let all = format!("{fanout}_{}", uuid::Uuid::new_v4().simple());
    queues.push(queue(&all).expires(UNUSED).bound(Binding::new(&fanout, topic)));
    Topology {
        exchanges: vec![
            Exchange::new(exchange, ExchangeKind::Topic).transient(),
            Exchange::new(&fanout, ExchangeKind::Fanout).transient().auto_delete(),
        ],
        queues,
    }
}

pub(super) fn request(method: &str, args: &Value, answers: Option<&str>) -> (String, Message) {
    let (id, unique) = (hex(), hex());
    let mut inner = json!({"method": method, "args": args, "version": "1.0", "_unique_id": unique});
    if let Some(queue) = answers {
        inner["_msg_id"] = json!(id);
        inner["_reply_q"] = json!(queue);
        inner["_timeout"] = Value::Null;
    }
    (id, sealed(&inner))
}

pub(super) fn incoming(message: &Message) -> Result<Incoming, String> {
    let mut inner = opened(message)?;
    let text = |inner: &Map<String, Value>, name: &str| inner.get(name)?.as_str().map(str::to_owned);
    let method = text(&inner, "method").ok_or("it names no method")?;
    let pulse = inner.get("_timeout").and_then(Value::as_f64).filter(|seconds| *seconds > 0.0);
    let reply = text(&inner, "_msg_id").zip(text(&inner, "_reply_q"));
    Ok(Incoming {
        id: text(&inner, "_unique_id"),
        request: Request { method, args: inner.remove("args").unwrap_or(json!({})), within: message.expiration },
        reply: reply.map(|(id, queue)| Reply { queue, id }),
        // Twice as often as the caller looks.
        pulse: pulse.map(|seconds| Duration::from_secs_f64((seconds / 2.0).clamp(0.1, 3600.0))),
    })
}

pub(super) fn answer(id: &str, result: Result<Value, Failure>) -> Message {
    let (result, failure) = match result {
        Ok(value) => (value, Value::Null),
        Err(failure) => (Value::Null, json!(described(&failure))),
    };
    sealed(&json!({"result": result, "failure": failure, "ending": true, "_msg_id": id, "_unique_id": hex()}))
}

/// A sign of life: the method still runs.
pub(super) fn pulse(id: &str) -> Message {
    sealed(&json!({"result": null, "failure": null, "ending": false, "_msg_id": id, "_unique_id": hex()}))
}

/// Which request an answer belongs to; a sign of life is not one.
pub(super) fn answered(message: &Message) -> Option<String> {
    let inner = opened(message).ok()?;
    let ending = inner.get("ending").and_then(Value::as_bool).unwrap_or(false);
    inner.get("_msg_id").filter(|_| ending)?.as_str().map(str::to_owned)
}

pub(super) fn result(message: &Message) -> Result<Result<Value, Failure>, String> {
    let mut inner = opened(message)?;
    match inner.get("failure").and_then(Value::as_str) {
        None => Ok(Ok(inner.remove("result").unwrap_or_default())),
        Some(text) => {
            let failure: Value = serde_json::from_str(text).map_err(|error| format!("its failure: {error}"))?;
            let text = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
            Ok(Err(Failure { kind: text("class"), message: text("message") }))
        }
    }
}

/// A failure as Python's exceptions travel. The class of an unknown module becomes oslo's `RemoteError` there.
fn described(failure: &Failure) -> String {
    let module = match failure.kind.as_str() {
        UNKNOWN => "oslo_messaging.rpc.dispatcher",
        kind if BUILT_IN.contains(&kind) => "builtins",
        _ => "oat",
    };
    let (class, message) = (&failure.kind, &failure.message);
    json!({"class": class, "module": module, "message": message, "tb": [], "args": [message], "kwargs": {}}).to_string()
}

fn sealed(inner: &Value) -> Message {
    let envelope = json!({"oslo.version": "2.0", "oslo.message": inner.to_string()});
    let mut message = Message::new("application/json", envelope.to_string().into_bytes());
    message.content_encoding = Some("utf-8".into());
    message
}

/// What is in the envelope; without one, the body itself, as oslo's version 1.0 had it.
fn opened(message: &Message) -> Result<Map<String, Value>, String> {
    let wrong = |error: serde_json::Error| format!("it is no JSON object: {error}");
    let mut outer: Map<String, Value> = serde_json::from_slice(&message.body).map_err(wrong)?;
    let Some(version) = outer.get("oslo.version").cloned() else { return Ok(outer) };
    match (version.as_str(), outer.remove("oslo.message")) {
        (Some(known), Some(Value::String(inner))) if known.starts_with("2.") => {
            serde_json::from_str(&inner).map_err(wrong)
        }
        _ => Err(format!("its envelope is of version {version}, 2.0 is known")),
    }
}

fn hex() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
