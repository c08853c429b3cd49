//! Settling what was delivered, on the channel it came from and on no other.

use super::super::message::dead;
use super::super::{Error, Message, QueueKind};
use super::GOODBYE;
use super::connection::{Bus, lost};
use super::copying::{fitting, obstacle};
use super::lease::{Lease, Return};
use super::publisher::Publisher;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const ACKNOWLEDGING: &str = "acknowledging a delivery";
const MOVING: &str = "moving a message to another queue";
const RETURNING: &str = "giving a message back";
/// Between the failure of a settlement and the return of its message, which comes again at once, and may fail again.
const PAUSE: Duration = Duration::from_secs(1);

/// A delivery that is to be settled. Dropping it returns the message, with an attempt counted.
pub struct Receipt {
    tag: u64,
    lease: Arc<Lease>,
    bus: Arc<Bus>,
    settled: bool,
}

impl Receipt {
    pub(super) fn new(tag: u64, lease: Arc<Lease>, bus: Arc<Bus>) -> Receipt {
        Receipt { tag, lease, bus, settled: false }
    }

    /// Whether the broker still waits for what becomes of it.
    pub fn is_live(&self) -> bool {
        self.lease.usable()
    }

    /// Done with it. The broker is told in a moment, together with others.
    pub async fn ack(mut self) -> Result<(), Error> {
        self.settled = true;
        self.living(ACKNOWLEDGING)?;
        self.lease.ack(self.tag);
        Ok(())
    }

    /// Puts `message` at the end of `queue`, when `delay` is over if there is one, and acknowledges this one when that is
    /// confirmed. If it is not, this one goes back.
    pub async fn retry(self, queue: &str, message: Message, delay: Option<Duration>) -> Result<(), Error> {
        let (bus, queue) = (self.bus.clone(), queue.to_owned());
        let moving = async move {
            match (obstacle(&message), delay) {
                (None, None) => self.give_way("", &queue, message).await,
                (None, Some(delay)) => self.wait(&queue, message, delay).await,
                (Some(why), _) => self.put_aside(&queue, message, &why).await,
            }
        };
        bus.finish(MOVING, moving).await
    }

    /// The same, to where `queue` sends its dead.
    pub async fn bury(self, queue: &str, message: Message) -> Result<(), Error> {
        let (bus, queue) = (self.bus.clone(), queue.to_owned());
        let moving = async move {
            match self.bus.plan.queue(&queue).and_then(|known| known.dead_letter) {
                Some(grave) => self.give_way(&grave.exchange, &grave.key, fitting(message)).await,
                None => self.after(Err(Error::NoDeadLetter { queue })).await,
            }
        };
        bus.finish(MOVING, moving).await
    }

    /// Puts `message`, which is this one with its attempts on it, at the end of `queue` and acknowledges this one. If that
    /// does not work promptly, an alarm for example stops all publishers, this one itself goes back; and so it does where
    /// nothing is counted, in queues that are no quorum queues.
    pub async fn give_back(self, queue: &str, message: Message) -> Result<(), Error> {
        let (bus, queue) = (self.bus.clone(), queue.to_owned());
        let moving = async move {
            self.living(RETURNING)?;
            if self.bus.plan.queue(&queue).is_some_and(|known| known.kind != QueueKind::Quorum) {
                return self.go_back().await;
            }
            let publisher = Publisher::new(self.bus.clone());
            match timeout(GOODBYE, publisher.republish("", &queue, message)).await {
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
        let published = Publisher::new(self.bus.clone()).republish(exchange, key, message).await;
        self.after(published).await
    }

    /// Settles a message that cannot be tried again because no frame holds its headers with ours: it is dead, or, where the
    /// dead go nowhere, it goes on without the longest of them. Were it given back, it would come again for ever.
    async fn put_aside(self, queue: &str, message: Message, why: &str) -> Result<(), Error> {
        let Some(grave) = self.bus.plan.queue(queue).and_then(|known| known.dead_letter) else {
            return self.give_way("", queue, fitting(message)).await;
        };
        tracing::warn!(queue, why, "a message cannot be tried again, and is buried");
        let message = dead(message, &format!("it cannot be tried again: {why}"), queue);
        self.give_way(&grave.exchange, &grave.key, fitting(message)).await
    }

    async fn wait(self, queue: &str, message: Message, delay: Duration) -> Result<(), Error> {
        self.living(MOVING)?;
        let waiting = self.bus.keep_waiting(queue, message, delay).await;
        self.after(waiting).await
    }

    /// Gone if its copy is safe, and otherwise back, after a pause. What was refused counts as a try, so that it ends.
    async fn after(self, copied: Result<(), Error>) -> Result<(), Error> {
        let Err(error) = copied else { return self.ack().await };
        if self.is_live() {
            sleep(PAUSE).await;
        }
        if error.may_pass() {
            self.go_back().await.ok();
        }
        // Otherwise it goes back when it is dropped.
        Err(error)
    }

    /// Returns a message through no fault of its own.
    async fn go_back(mut self) -> Result<(), Error> {
        self.settled = true;
        if self.lease.put_back(self.tag, Return::Nack) { Ok(()) } else { Err(lost(RETURNING)) }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        // So that a message that kills its handler ends.
        if !self.settled {
            self.lease.put_back(self.tag, Return::Reject);
        }
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("usable", &self.lease.usable()).finish_non_exhaustive()
    }
}
