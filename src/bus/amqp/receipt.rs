//! Settling what was delivered, on the channel it came from and on no other.

use super::super::{Error, Message};
use super::connection::{Bus, lost};
use super::convert::fitting;
use super::publisher::Publisher;
use super::session::Session;
use super::{ANSWER, GOODBYE};
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::{Acker, Channel};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const ACKNOWLEDGING: &str = "acknowledging a delivery";
const MOVING: &str = "moving a message to another queue";
const RETURNING: &str = "giving a message back";

/// Keeps the channel of a delivery open until it is settled: closing it would return everything delivered on it.
#[derive(Debug)]
pub(super) struct Lease {
    pub session: Arc<Session>,
    pub channel: Channel,
}

/// A delivery that is to be settled. Dropping it returns the message, with an attempt counted.
pub struct Receipt {
    acker: Acker,
    lease: Arc<Lease>,
    bus: Arc<Bus>,
    settled: bool,
}

impl Receipt {
    pub(super) fn new(acker: Acker, lease: Arc<Lease>, bus: Arc<Bus>) -> Receipt {
        Receipt { acker, lease, bus, settled: false }
    }

    /// Whether the broker still waits for what becomes of it.
    pub fn is_live(&self) -> bool {
        self.acker.usable() && self.lease.session.alive()
    }

    /// Done with it.
    pub async fn ack(mut self) -> Result<(), Error> {
        self.settled = true;
        let acking = self.lease.session.during(self.acker.ack(BasicAckOptions::default()));
        match timeout(ANSWER, acking).await {
            Ok(Ok(true)) => Ok(()),
            // `Ok(false)` is lapin's word for a channel that is gone.
            Ok(_) => Err(lost(ACKNOWLEDGING)),
            Err(_) => {
                self.lease.session.fail("an acknowledgement could not be sent");
                Err(lost(ACKNOWLEDGING))
            }
        }
    }

    /// Publishes `message`, and acknowledges this one when that is confirmed. If it is not, this one goes back.
    pub async fn replace(self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        let (bus, exchange, key) = (self.bus.clone(), exchange.to_owned(), key.to_owned());
        bus.finish(MOVING, async move { self.give_way(&exchange, &key, message).await }).await
    }

    /// The same, to the end of `queue` when `delay` is over.
    pub async fn defer(self, queue: &str, message: Message, delay: Duration) -> Result<(), Error> {
        let (bus, queue) = (self.bus.clone(), queue.to_owned());
        bus.finish(MOVING, async move { self.wait(&queue, message, delay).await }).await
    }

    /// The same, to where `queue` sends its dead.
    pub async fn bury(self, queue: &str, message: Message) -> Result<(), Error> {
        match self.bus.plan.queue(queue).and_then(|known| known.dead_letter) {
            Some(grave) => self.replace(&grave.exchange, &grave.key, fitting(message)).await,
            None => {
                self.go_back().await.ok();
                Err(Error::NoDeadLetter { queue: queue.into() })
            }
        }
    }

    /// Puts `message`, which is this one with its attempts on it, at the end of `queue` and acknowledges this one. If that
    /// does not work promptly, an alarm for example stops all publishers, this one itself goes back.
    pub async fn give_back(self, queue: &str, message: Message) -> Result<(), Error> {
        let (bus, queue) = (self.bus.clone(), queue.to_owned());
        let moving = async move {
            self.living(RETURNING)?;
            let publisher = Publisher::new(self.bus.clone());
            match timeout(GOODBYE, publisher.publish("", &queue, message)).await {
                Ok(Ok(())) => self.ack().await,
                Ok(Err(_)) | Err(_) => self.go_back().await,
            }
        };
        bus.finish(RETURNING, moving).await
    }

    /// What has gone back already must not be published a second time.
    fn living(&self, doing: &str) -> Result<(), Error> {
        if self.is_live() { Ok(()) } else { Err(lost(doing)) }
    }

    async fn give_way(self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        self.living(MOVING)?;
        let published = Publisher::new(self.bus.clone()).publish(exchange, key, message).await;
        self.after(published).await
    }

    async fn wait(self, queue: &str, message: Message, delay: Duration) -> Result<(), Error> {
        self.living(MOVING)?;
        let waiting = self.bus.keep_waiting(queue, message, delay).await;
        self.after(waiting).await
    }

    /// Gone if its copy is safe, and otherwise back.
    async fn after(self, copied: Result<(), Error>) -> Result<(), Error> {
        match copied {
            Ok(()) => self.ack().await,
            Err(error) => {
                self.go_back().await.ok();
                Err(error)
            }
        }
    }

    async fn go_back(mut self) -> Result<(), Error> {
        self.settled = true;
        if give_back(&self.acker, &self.lease).await { Ok(()) } else { Err(lost(RETURNING)) }
    }
}

/// Returns a message through no fault of its own. RabbitMQ from 4.3 on counts no attempt for a nack. `false` means that
/// the channel is gone, and the message is back already.
pub(super) async fn give_back(acker: &Acker, lease: &Lease) -> bool {
    let requeue = BasicNackOptions { requeue: true, ..Default::default() };
    matches!(timeout(GOODBYE, lease.session.during(acker.nack(requeue))).await, Ok(Ok(true)))
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.settled || !self.acker.usable() {
            return;
        }
        let (acker, lease) = (self.acker.clone(), self.lease.clone());
        self.bus.plan.runtime.spawn(async move {
            // A reject, not a nack: it counts an attempt on every version, so a message that kills its handler ends.
            let requeue = BasicRejectOptions { requeue: true };
            let _ = timeout(GOODBYE, lease.session.during(acker.reject(requeue))).await;
        });
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("usable", &self.acker.usable()).finish_non_exhaustive()
    }
}
