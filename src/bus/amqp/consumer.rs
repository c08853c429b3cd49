//! Receiving. The consumer draws from whatever subscription there is; its keeper, a tokio task of the bus, sees to it that
//! there is one. The broker's prefetch is what keeps the inbox between them small.

use super::super::message::Receipt as AnyReceipt;
use super::super::{Delivery, Error};
use super::ANSWER;
use super::connection::Bus;
use super::convert::arrived;
use super::inbox::Inbox;
use super::keeper::{Keeper, Wish};
use super::lease::Lease;
use super::receipt::Receipt;
use super::tap::Arrival;
use std::future::poll_fn;
use std::sync::Arc;
use tokio::task::coop::cooperative;
use tokio::time::timeout;

/// Consumes one queue of RabbitMQ.
pub struct Consumer {
    queue: String,
    inbox: Arc<Inbox>,
    bus: Arc<Bus>,
}

impl Consumer {
    pub(super) async fn start(bus: Arc<Bus>, queue: &str, prefetch: u16) -> Result<Consumer, Error> {
        // To AMQP a prefetch of 0 means no limit at all.
        let (inbox, prefetch) = (Arc::new(Inbox::default()), prefetch.max(1));
        let wish = Arc::new(Wish { plan: bus.plan.clone(), queue: queue.into(), prefetch, inbox: inbox.clone() });
        let subscribe = |session| {
            let wish = wish.clone();
            async move { wish.subscribe(session).await }
        };
        let first = bus.insist("starting to consume", subscribe).await?;
        let keeper = Keeper { wish, link: bus.consuming.clone(), inbox: inbox.clone() };
        bus.tasks.spawn_on(keeper.work(first), &bus.plan.runtime);
        Ok(Consumer { queue: queue.into(), inbox, bus })
    }

    /// The next delivery. `None` after a cancel or a close.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            let (delivery, lease) = tokio::select! {
                biased;
                // The inbox does not know of tokio's budget: while there is more, nobody else would get a turn.
                parcel = cooperative(poll_fn(|context| self.inbox.poll_next(context))) => parcel,
                () = self.inbox.over.cancelled() => return None,
            };
            // A delivery of a lost session is skipped: it is back in its queue, and may be somebody else's by now. The
            // keeper clears them away as soon as it notices; this is for the moment before.
            if lease.usable() {
                return Some(self.hand_out(delivery, lease));
            }
        }
    }

    fn hand_out(&self, delivery: Arrival, lease: Arc<Lease>) -> Delivery {
        let receipt = AnyReceipt::Amqp(Receipt::new(delivery.tag, lease, self.bus.clone()));
        let arrived = arrived(&delivery.properties, delivery.data, delivery.redelivered);
        Delivery {
            message: arrived.message,
            queue: self.queue.clone(),
            exchange: delivery.exchange,
            routing_key: delivery.routing_key,
            redelivered: delivery.redelivered,
            attempt: arrived.attempt,
            deaths: arrived.deaths,
            receipt,
        }
    }

    /// Takes no more, and gives back what was not handed out.
    pub async fn cancel(&mut self) {
        self.inbox.stop.cancel();
        // The keeper's own steps are timed; this is for a runtime that is gone.
        let _ = timeout(ANSWER, self.inbox.over.cancelled()).await;
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.inbox.stop.cancel();
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("queue", &self.queue)
            .field("unread", &self.inbox.unread())
            .finish_non_exhaustive()
    }
}
