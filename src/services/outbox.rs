//! From record to queue. The record is the outbox: insert (`new`), publish with a confirm, mark `queued`. Whatever
//! goes wrong in between leaves a record that the sweeper publishes again.

use super::announce::Announcer;
use crate::bus::{Message, Publisher};
use crate::store::{self, Store};
use crate::task::{Encoding, Task};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt};
use tracing::warn;
use uuid::Uuid;

/// Messages on their way to a confirm at any time.
const WINDOW: usize = 256;

/// How long a record may wait before the sweeper looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A new record that nobody has marked: its producer died in between.
    pub unpublished: TimeDelta,
    /// A queued task that nobody reports of. It doubles with every publishing, up to an hour.
    pub lost: TimeDelta,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { unpublished: TimeDelta::seconds(60), lost: TimeDelta::minutes(10) }
    }
}

impl Patience {
    /// When a task that is published now, for the `publishes`-th time, counts as lost.
    pub fn lost_at(&self, now: DateTime<Utc>, publishes: u32) -> DateTime<Utc> {
        let wait = self.lost * (1 << publishes.saturating_sub(1).min(10));
        now + wait.min(TimeDelta::hours(1).max(self.lost))
    }
}

/// Everything that publishing tasks takes.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The records.
    pub store: Store,
    /// The bus.
    pub publisher: Publisher,
    /// Exchange and routing key of tasks.
    pub exchange: String,
    /// JSON or CBOR.
    pub encoding: Encoding,
    /// How long until a record counts as forgotten.
    pub patience: Patience,
    /// For whoever subscribes to new tasks.
    pub announcer: Announcer,
}

impl Outbox {
    /// Publishes tasks whose records exist, and which have been published so often before; returns those that were
    /// confirmed. The others come up again.
    pub async fn publish(&self, tasks: &[Task], publishes: u32) -> Vec<Uuid> {
        let announcing = async {
            if publishes == 0 {
                self.announcer.created(tasks).await;
            }
        };
        tokio::join!(self.push(tasks), announcing).0
    }

    async fn push(&self, tasks: &[Task]) -> Vec<Uuid> {
        let messages: Vec<_> = tasks.iter().map(|task| (task.uuid, self.message(task))).collect();
        stream::iter(messages)
            .map(|(uuid, message)| async move {
                (uuid, self.publisher.publish(&self.exchange, &self.exchange, message).await)
            })
            .buffer_unordered(WINDOW)
            .filter_map(|(uuid, sent)| {
                if let Err(error) = &sent {
                    warn!("task {uuid} stays unpublished: {error}");
                }
                std::future::ready(sent.is_ok().then_some(uuid))
            })
            .collect()
            .await
    }

    /// Writes down that the bus has confirmed these; `publishes` says how often each had been published before.
    pub async fn mark(&self, confirmed: &[Uuid], publishes: u32) -> Result<(), store::Error> {
        let now = Utc::now();
        self.store.mark_published(confirmed, now, self.patience.lost_at(now, publishes + 1)).await.map(drop)
    }

    fn message(&self, task: &Task) -> Message {
        Message::new(self.encoding.content_type(), task.encode(self.encoding))
            .id(task.uuid.to_string())
            .kind("oat.task.v1")
    }
}
