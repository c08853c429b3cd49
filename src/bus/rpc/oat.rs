//! Our own words for requests and answers: AMQP's properties say what AMQP has properties for, the body is JSON.
//!
//! A request: its type is the method, its body the arguments, its `message_id` tells it from others, `reply_to` is where the
//! answer goes, its expiration how long the caller waits. An answer: `correlation_id` is that `message_id`, its type is
//! `result` or `failure`, its body the result, or a failure's kind and message.

use super::super::{Message, Queue, QueueKind, Topology};
use super::target::{Incoming, Reply};
use super::{Failure, Request};
use serde_json::{Value, json};
use std::time::Duration;

/// A queue of requests whose servers have been gone for so long goes too: its callers then learn at once that nobody serves.
const UNSERVED: Duration = Duration::from_secs(60);

const RESULT: &str = "result";
const FAILURE: &str = "failure";

/// Durable, because RabbitMQ 4.3 refuses what is neither durable nor exclusive; its messages are not.
pub(super) fn topology(name: &str) -> Topology {
    Topology { exchanges: Vec::new(), queues: vec![Queue::new(name).kind(QueueKind::Classic).expires(UNSERVED)] }
}

pub(super) fn request(method: &str, args: &Value, answers: Option<&str>) -> (String, Message) {
    let id = uuid::Uuid::new_v4().to_string();
    let mut message = json_of(args).id(&id).kind(method);
    message.reply_to = answers.map(str::to_owned);
    (id, message)
}

pub(super) fn incoming(message: &Message) -> Result<Incoming, String> {
    let args = serde_json::from_slice(&message.body).map_err(|error| format!("its arguments are no JSON: {error}"))?;
    let method = message.kind.clone().ok_or("it names no method (the type of the message)")?;
    let (to, id) = (message.reply_to.clone(), message.message_id.clone());
    Ok(Incoming {
        request: Request { method, args, within: message.expiration },
        reply: to.map(|queue| Reply { queue, id: id.clone().unwrap_or_default() }),
        id,
        pulse: None,
    })
}

pub(super) fn answer(id: &str, result: Result<Value, Failure>) -> Message {
    let (kind, body) = match result {
        Ok(value) => (RESULT, value),
        Err(Failure { kind, message }) => (FAILURE, json!({"kind": kind, "message": message})),
    };
    let mut message = json_of(&body).kind(kind);
    message.correlation_id = Some(id.into());
    message
}

pub(super) fn result(message: &Message) -> Result<Result<Value, Failure>, String> {
    let value: Value = serde_json::from_slice(&message.body).map_err(|error| error.to_string())?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    match message.kind.as_deref() {
        Some(RESULT) => Ok(Ok(value)),
        Some(FAILURE) => Ok(Err(Failure { kind: text("kind"), message: text("message") })),
        other => Err(format!("its type is {other:?}")),
    }
}

fn json_of(value: &Value) -> Message {
    Message { transient: true, ..Message::new("application/json", value.to_string().into_bytes()) }
}
