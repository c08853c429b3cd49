//! How events, commands, results and configurations look on the wire, here and in eventail: bodies and headers.

use super::super::{Delivery, Error, HeaderValue, Message};
use super::incoming::{Incoming, Kind};
use super::options::Exchanges;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The header that all messages of one conversation have in common.
pub const CONVERSATION: &str = "conversation_id";
/// The header that makes a message a result.
const STATUS: &str = "status";
const SUCCESS: &str = "success";
const ERROR: &str = "error";

/// A message with this payload, in this conversation.
pub(super) fn message(payload: &impl Serialize, json: bool, conversation: &str) -> Result<Message, Error> {
    let message = if json { Message::json(payload)? } else { Message::cbor(payload)? };
    Ok(message.header(CONVERSATION, HeaderValue::Text(conversation.into())))
}

/// The same message as a result.
pub(super) fn result(message: Message, success: bool, correlation_id: Option<&str>) -> Message {
    let status = if success { SUCCESS } else { ERROR };
    let message = Message { correlation_id: correlation_id.map(str::to_owned), ..message };
    message.header(STATUS, HeaderValue::Text(status.into()))
}

/// The payload of a message. To eventail an empty body is nothing.
pub(super) fn payload<T: DeserializeOwned>(message: &Message) -> Result<T, Error> {
    if message.body.is_empty() {
        let nothing = serde_json::from_value(serde_json::Value::Null);
        return nothing.map_err(|error| Error::Body { why: format!("it is empty: {error}") });
    }
    message.decode()
}

/// Whether a result says that the command succeeded; `None` if it is no result.
pub(super) fn succeeded(message: &Message) -> Option<bool> {
    message.text(STATUS).map(|status| status == SUCCESS)
}

/// The conversation that a message belongs to; eventail's configurations have none.
pub(super) fn conversation(message: &Message) -> &str {
    message.text(CONVERSATION).unwrap_or_default()
}

/// What a delivery is to a service; an error if it is nothing that a service understands.
pub(super) fn read(delivery: &Delivery, exchanges: &Exchanges) -> Result<Incoming, String> {
    let (exchange, name) = delivery.origin();
    let message = &delivery.message;
    let kind = if exchange == exchanges.events {
        Kind::Event
    } else if exchange == exchanges.configurations {
        Kind::Configuration
    } else if exchange == exchanges.commands {
        match (reply_to(message), succeeded(message)) {
            (Some(_), _) => Kind::Command,
            (None, Some(success)) => Kind::Result { success },
            (None, None) => {
                return Err("neither a command, which has reply_to, nor a result, which has a status".into());
            }
        }
    } else {
        return Err(format!("it came through exchange {exchange:?}, which is none of a service's"));
    };
    Ok(Incoming {
        kind,
        name: name.into(),
        correlation_id: message.correlation_id.clone().filter(|id| !id.is_empty()),
        attempt: delivery.attempt,
        message: Arc::new(message.clone()),
    })
}

/// Where an answer is expected. eventail says so with an empty text where none is.
pub(super) fn reply_to(message: &Message) -> Option<&str> {
    message.reply_to.as_deref().filter(|key| !key.is_empty())
}
