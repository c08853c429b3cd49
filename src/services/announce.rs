//! Tells whoever subscribes what becomes of tasks: `TaskCreated`, `TaskDrawn` and `TaskFailed`, events as eventail's services
//! know them, with the task's uuid as their conversation.
//!
//! They are told where the truth is: of a new task by whoever publishes it for the first time, of its end by the tracker,
//! after the commit. They may come twice, as after a crash; and they never hold up a picture: a bus that does not take them
//! costs a few seconds and a line in the log.

use crate::bus::service::CONVERSATION;
use crate::bus::{Connection, Error, Exchange, ExchangeKind, HeaderValue, Message, Publisher, Topology};
use crate::task::{Encoding, End, Outcome, Task};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use std::time::Duration;
use tracing::warn;
use uuid::Uuid;

/// How long events may take, all those of one batch together.
const LIMIT: Duration = Duration::from_secs(5);
/// Events on their way at a time.
const WINDOW: usize = 64;

/// Where events go; nowhere by default.
#[derive(Clone, Debug, Default)]
pub struct Announcer(Option<(Publisher, String)>);

impl Announcer {
    /// To this topic exchange, which is declared. If that is not allowed, nothing is announced, and the log says so.
    pub async fn open(connection: &Connection, exchange: &str) -> Announcer {
        let exchanges = vec![Exchange::new(exchange, ExchangeKind::Topic)];
        match connection.declare(&Topology { exchanges, queues: Vec::new() }).await {
            Ok(()) => Announcer(Some((connection.publisher(), exchange.into()))),
            Err(error) => {
                warn!("events are not announced: {error}");
                Announcer::default()
            }
        }
    }

    /// These tasks are new: `TaskCreated`, with the body of the task's message.
    pub async fn created(&self, tasks: &[Task]) {
        let event = |task: &Task| ("TaskCreated", task.uuid, task.encode(Encoding::Json));
        self.announce(tasks.iter().map(event).collect()).await;
    }

    /// These have ended, and are recorded: `TaskDrawn` or `TaskFailed`, with the body of the result's message.
    pub async fn ended(&self, outcomes: &[&Outcome]) {
        let name = |outcome: &Outcome| match outcome.end {
            End::Drawn(_) => "TaskDrawn",
            End::Failed { .. } => "TaskFailed",
        };
        let event = |outcome: &&Outcome| (name(outcome), outcome.uuid, outcome.encode(Encoding::Json));
        self.announce(outcomes.iter().map(event).collect()).await;
    }

    async fn announce(&self, events: Vec<(&'static str, Uuid, Vec<u8>)>) {
        let Some((publisher, exchange)) = &self.0 else { return };
        let send = async |(name, uuid, body): (&str, Uuid, Vec<u8>)| {
            publisher.announce(exchange, name, message(uuid, &body)?).await.map(drop)
        };
        let first = |failed: Option<Error>, sent: Result<(), Error>| std::future::ready(failed.or(sent.err()));
        let sending = stream::iter(events).map(send).buffer_unordered(WINDOW).fold(None, first);
        match tokio::time::timeout(LIMIT, sending).await {
            Ok(None) => {}
            Ok(Some(error)) => warn!("some events are not announced: {error}"),
            Err(_) => warn!("some events are not announced: the bus did not take them within {} s", LIMIT.as_secs()),
        }
    }
}

/// CBOR, which is what services read first; by way of JSON, so that identifiers are texts in it.
fn message(uuid: Uuid, body: &[u8]) -> Result<Message, Error> {
    let body: Value = serde_json::from_slice(body).map_err(|error| Error::Body { why: error.to_string() })?;
    Ok(Message::cbor(&body)?.header(CONVERSATION, HeaderValue::Text(uuid.to_string())))
}
