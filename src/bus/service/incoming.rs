//! What a handler is given, and how it says that something did not work.

use super::super::Message;
use super::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Display;
use std::sync::Arc;

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something has happened. What the handler answers is not sent to anybody.
    Event,
    /// Somebody wants an answer, and gets what the handler says.
    Command,
    /// The answer to a command that was sent without waiting, and whether it succeeded.
    Result {
        /// `false` if the other side says `error`.
        success: bool,
    },
    /// Settings. A handler that answers `true` has enough of them: the service begins with its work.
    Configuration,
}

/// A message for the handler of a service.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// What it is.
    pub kind: Kind,
    /// The routing key: the event's name, `service.Command`, where a result was sent to, the configuration's name.
    pub name: String,
    /// To which request a result belongs.
    pub correlation_id: Option<String>,
    /// The how-manieth try this is, from 1. Any but the first may repeat what was done already.
    pub attempt: u32,
    /// The message itself, with all headers.
    pub message: Arc<Message>,
}

impl Incoming {
    /// The payload, from CBOR or JSON. What cannot be read can never be read: the failure is final, and `?` passes it on.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        wire::payload(&self.message).map_err(|error| refusal("unreadable payload", error))
    }
}

/// How a handler says that something did not work. Any error becomes one that is tried [`Again`](Failure::Again), by `?`.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// It may work later, and is tried again. After the last try the message is dead, for this reason; whoever sent a
    /// command is told then.
    Again(String),
    /// It will never work. Whoever sent a command gets this as its answer, at once; anything else is dead, at once.
    Refused(Value),
}

impl Failure {
    /// A final answer. What JSON cannot say is as good as nothing.
    pub fn refused(answer: impl Serialize) -> Failure {
        Failure::Refused(serde_json::to_value(answer).unwrap_or_default())
    }
}

impl<E: Display> From<E> for Failure {
    /// With all that the error tells of its causes.
    fn from(error: E) -> Failure {
        Failure::Again(format!("{error:#}"))
    }
}

/// A final answer of eventail's form.
pub(super) fn refusal(reason: &str, message: impl Display) -> Failure {
    Failure::Refused(told(reason, message))
}

/// What whoever sent a command is told when it failed.
pub(super) fn told(reason: &str, message: impl Display) -> Value {
    json!({ "reason": reason, "message": message.to_string() })
}
