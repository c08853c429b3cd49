//! Looking into a queue, which AMQP does not know: messages are taken out and put back. What that costs, and how it is
//! kept from costing a message:
//!
//! * A quorum queue counts what comes back, and at its limit the message dies. One that has no delivery left to spend is
//!   not put back: a confirmed copy goes to the end of the queue instead, with its attempts noted, and the looking ends.
//! * A quorum queue without a limit puts what comes back at its end. Only if all is taken out does its order stay.

use super::super::message::{counting, sent};
use super::super::{Error, Seen};
use super::connection::Bus;
use super::convert::{arrived, returns};
use super::copying::fitting;
use super::failure::Failure;
use super::link::Pauses;
use super::looking::{about, depth, passive};
use super::publisher::Publisher;
use super::session::Session;
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use std::sync::Arc;

/// How much is taken out at once to keep an order.
const MOST: u64 = 10_000;

/// Under way: what was taken out of a queue.
struct Look<'a> {
    bus: &'a Arc<Bus>,
    queue: &'a str,
    session: Arc<Session>,
    channel: Channel,
    seen: Vec<Seen>,
    /// The delivery tag of the latest that is to go back.
    last: Option<u64>,
}

/// The first `limit` messages of `queue`, whose delivery limit is `spare`.
pub(super) async fn browse(bus: &Arc<Bus>, queue: &str, limit: usize, spare: Option<u32>) -> Result<Vec<Seen>, Error> {
    let spare = spare.or_else(|| bus.plan.queue(queue).and_then(|known| known.delivery_limit));
    if spare == Some(0) {
        return Err(costly(queue, "with a delivery limit of 0 a look would be the end of a message"));
    }
    let ask = |session: Arc<Session>| {
        let (plan, queue) = (bus.plan.clone(), queue.to_owned());
        async move {
            let ready = depth(&plan, &session, &queue).await?.ready;
            let channel = session.channel().await.map_err(|failure| about(failure, &plan, &queue))?;
            Ok((session, channel, ready))
        }
    };
    let (session, channel, ready) = bus.insist("looking into a queue", ask).await?;
    let mut look = Look { bus, queue, session, channel, seen: Vec::new(), last: None };
    // Not again if the session is lost: all is back then, and another look would cost another delivery.
    let outcome = look.take(limit, ready, spare).await;
    look.put_back().await?;
    match outcome? {
        None => Ok(look.seen),
        Some(doomed) => look.spare(doomed).await,
    }
}

fn costly(queue: &str, why: &str) -> Error {
    Error::Unsupported { what: format!("looking into queue {queue:?}"), why: why.into() }
}

impl Look<'_> {
    /// Takes out up to `limit`; returns the message that must not go back, if it meets one.
    async fn take(&mut self, limit: usize, ready: u64, spare: Option<u32>) -> Result<Option<BasicGetMessage>, Error> {
        let mut rest = 0;
        while self.seen.len() < limit || rest > 0 {
            let Some(message) = self.get().await? else { break };
            let returns = returns(&message.properties);
            if let (Some(returns), Some(spare)) = (returns, spare)
                && returns >= i64::from(spare)
            {
                return Ok(Some(message));
            }
            self.last = Some(message.delivery_tag);
            if self.seen.len() == limit {
                rest -= 1;
                continue;
            }
            self.seen.push(seen(&message));
            if self.seen.len() == limit && returns.is_some() && spare.is_none() {
                rest = ready.saturating_sub(limit as u64);
            }
            if rest > MOST {
                return Err(costly(
                    self.queue,
                    "it is long, and without a delivery limit what was seen goes to its end",
                ));
            }
        }
        Ok(None)
    }

    async fn get(&self) -> Result<Option<BasicGetMessage>, Error> {
        let name = self.bus.plan.name(self.queue).map_err(|trouble| trouble.error)?;
        let got = self.session.ask(self.channel.basic_get(name, BasicGetOptions::default())).await;
        got.map_err(|failure| self.told(failure))
    }

    async fn put_back(&self) -> Result<(), Error> {
        let Some(last) = self.last else { return Ok(()) };
        let all = BasicNackOptions { multiple: true, requeue: true };
        self.session.ask(self.channel.basic_nack(last, all)).await.map_err(|failure| self.told(failure))?;
        let done = passive(&self.bus.plan, &self.session, &self.channel, self.queue).await;
        done.map(drop).map_err(|trouble| trouble.error)
    }

    /// Replaces the message by its copy, however long that takes: as long as it is out, it is safe. But what is refused for
    /// good would be refused for ever: then it goes back, and its queue does with it what it does with the worn.
    async fn spare(self, doomed: BasicGetMessage) -> Result<Vec<Seen>, Error> {
        let (bus, queue) = (self.bus.clone(), self.queue.to_owned());
        let replacing = async move {
            let Seen { message, exchange, routing_key, attempt, .. } = seen(&doomed);
            let copy = fitting(counting(sent(message, exchange, routing_key), attempt));
            let (publisher, mut pauses) = (Publisher::new(bus.clone()), Pauses::default());
            loop {
                match publisher.republish("", &queue, copy.clone()).await {
                    Ok(()) => break,
                    Err(error @ (Error::Nacked { .. } | Error::TimedOut { .. } | Error::Unreachable { .. })) => {
                        tracing::warn!("Cannot replace a message of {queue} by its copy: {error}. Trying again.")
                    }
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(pauses.next()).await;
            }
            let acking = self.session.ask(self.channel.basic_ack(doomed.delivery_tag, BasicAckOptions::default()));
            acking.await.map_err(|failure| failure.about("", &bus.plan.shown).error)
        };
        self.bus.finish("looking into a queue", replacing).await?;
        let why =
            "a message there has no delivery to spend on being looked at; it is at the end of the queue now, unharmed";
        Err(costly(self.queue, why))
    }

    fn told(&self, failure: Failure) -> Error {
        about(failure, &self.bus.plan, self.queue).error
    }
}

fn seen(message: &BasicGetMessage) -> Seen {
    let arrived = arrived(&message.properties, message.data.clone(), message.redelivered);
    Seen {
        message: arrived.message,
        exchange: message.exchange.to_string(),
        routing_key: message.routing_key.to_string(),
        redelivered: message.redelivered,
        attempt: arrived.attempt,
        deaths: arrived.deaths,
    }
}
