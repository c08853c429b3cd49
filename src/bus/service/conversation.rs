//! Publishing and asking, within one conversation.

use super::super::{Error, Message};
use super::gelf::Log;
use super::ledger::Ledger;
use super::open::Service;
use super::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What a handler publishes through, and everybody else. Clones belong to the same conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    service: Service,
    id: String,
    ledger: Option<Arc<Ledger>>,
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The bus: nobody serves this command ([`Error::Unroutable`]), nobody answered in time ([`Error::TimedOut`]), or the
    /// answer is not what was expected ([`Error::Body`]).
    #[error(transparent)]
    Bus(#[from] Error),
    /// The other side says that it failed.
    #[error("{command} failed: {answer}")]
    Failed {
        /// What was asked.
        command: String,
        /// What it says; from us and from eventail of old `{"reason": …, "message": …}`.
        answer: Value,
    },
}

impl Conversation {
    pub(super) fn new(service: Service, id: String, ledger: Option<Arc<Ledger>>) -> Conversation {
        Conversation { service, id, ledger }
    }

    /// What all its messages bear.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says what has happened, and whether any service listens. Returns when the bus has confirmed it.
    pub async fn publish_event(&self, name: &str, payload: &impl Serialize) -> Result<bool, Error> {
        let message = self.message(payload)?;
        heard(self.emit(&self.service.options().exchanges.events, name, message).await)
    }

    /// Tells every instance of those who subscribe, and whether there was any.
    pub async fn publish_configuration(&self, name: &str, payload: &impl Serialize) -> Result<bool, Error> {
        let message = wire::message(payload, self.service.options().json, "")?;
        heard(self.emit(&self.service.options().exchanges.configurations, name, message).await)
    }

    /// Sends a command and waits for no answer: that comes as a [`Kind::Result`](super::Kind::Result) to whoever subscribes
    /// to the command key `reply_to`, with this correlation identifier.
    pub async fn send_command(
        &self,
        command: &str,
        payload: &impl Serialize,
        reply_to: &str,
        correlation_id: &str,
    ) -> Result<(), Error> {
        let message = Message {
            reply_to: Some(reply_to.into()),
            correlation_id: Some(correlation_id.into()),
            ..self.message(payload)?
        };
        self.emit(&self.service.options().exchanges.commands, command, message).await
    }

    /// Sends a command and returns its result. A command that waits for its service longer than `patience` is taken back by
    /// the bus, since nobody wants its answer any more.
    pub async fn call<T: DeserializeOwned>(
        &self,
        command: &str,
        payload: &impl Serialize,
        patience: Duration,
    ) -> Result<T, CallError> {
        let message = self.message(payload)?.expires_after(patience);
        let answer = tokio::time::timeout(patience, self.ask(command, message)).await;
        let late = || Error::TimedOut { what: format!("the answer to {command}"), seconds: patience.as_secs() };
        let answer = answer.map_err(|_| late())??;
        if wire::succeeded(&answer) == Some(true) {
            return Ok(wire::payload(&answer)?);
        }
        let text = || Value::String(String::from_utf8_lossy(&answer.body).into_owned());
        Err(CallError::Failed { command: command.into(), answer: wire::payload(&answer).unwrap_or_else(|_| text()) })
    }

    async fn ask(&self, command: &str, message: Message) -> Result<Message, Error> {
        let reply_to = Some(self.service.reply_to().await?.to_owned());
        let question = self.service.calls().ask();
        let correlation_id = Some(question.correlation_id.clone());
        let message = Message { reply_to, correlation_id, ..message };
        self.emit(&self.service.options().exchanges.commands, command, message).await?;
        question.answer().await
    }

    /// Writes a line to the log bus. Never waits, and loses the line if the bus is away for long.
    pub fn log(&self, line: Log) {
        self.service.log(line.conversation(&self.id));
    }

    fn message(&self, payload: &impl Serialize) -> Result<Message, Error> {
        wire::message(payload, self.service.options().json, &self.id)
    }

    /// Publishes; if this is a handler's conversation, its message is not acknowledged before.
    async fn emit(&self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        let publishing = self.service.publisher().publish(exchange, key, message);
        match &self.ledger {
            Some(ledger) => ledger.note(publishing).await,
            None => publishing.await,
        }
    }
}

/// What nobody hears is no error.
fn heard(published: Result<(), Error>) -> Result<bool, Error> {
    match published {
        Ok(()) => Ok(true),
        Err(Error::Unroutable { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
