//! Publishing, confirmed. There are two ways to the broker, and a publish begins on the first that may take it:
//!
//! * the [lane](super::lane), one channel for all that cannot go wrong but by being unroutable or refused;
//! * a channel [of its own](super::alone) for the others: the first message to each exchange, which may be missing or forbidden, and what
//!   its headers or its size may be refused for. All of that closes the channel, and with it nobody else's publish.

use super::super::{Error, Message};
use super::connection::{Bus, lost};
use super::convert::{headers, properties, short};
use super::copying;
use super::seat::{Seat, Stay};
use super::session::Session;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use std::sync::Arc;
use tokio::task::unconstrained;
use tokio::time::timeout;

pub(super) const PUBLISHING: &str = "publishing";
/// Publishes under way at once each on a channel of its own. More wait for their turn.
pub(super) const IN_FLIGHT: usize = 128;
/// What no queue would get comes back.
pub(super) const MANDATORY: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };
/// A larger body keeps others waiting, and may be too large for the broker.
const LARGE: usize = 1 << 20;

/// Publishes on RabbitMQ; any number at once. It and its clones use one connection at a time.
#[derive(Clone)]
pub struct Publisher {
    bus: Arc<Bus>,
    seat: Arc<Seat>,
}

/// A message ready to be sent, as often as it takes.
#[derive(Debug)]
pub(super) struct Parcel {
    pub exchange: ShortString,
    pub key: ShortString,
    pub properties: BasicProperties,
    pub body: Vec<u8>,
}

/// What the broker made of a message.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is in a queue.
    Taken,
    /// No queue would get it.
    Unroutable,
    /// A queue would not take it.
    Refused,
}

impl Publisher {
    pub(super) fn new(bus: Arc<Bus>) -> Publisher {
        let seat = Arc::new(Seat::new(bus.publishing.clone()));
        Publisher { bus, seat }
    }

    /// Returns when the broker has confirmed the message in a queue, over as many sessions as that takes.
    pub async fn publish(&self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        let properties = properties(&message).map_err(|why| Error::Nacked { why })?;
        self.forward(exchange, key, message.body, properties).await
    }

    /// The same of a message that came, and goes on.
    pub(super) async fn republish(&self, exchange: &str, key: &str, mut message: Message) -> Result<(), Error> {
        let properties = copying::properties(&mut message).map_err(|why| Error::Nacked { why })?;
        self.forward(exchange, key, message.body, properties).await
    }

    /// The same with properties as they are.
    pub(super) async fn forward(
        &self,
        exchange: &str,
        key: &str,
        body: Vec<u8>,
        properties: BasicProperties,
    ) -> Result<(), Error> {
        let name = |name: &str| short(name).map_err(|why| Error::Nacked { why });
        let parcel = Arc::new(Parcel { exchange: name(exchange)?, key: name(key)?, properties, body });
        let limit = self.bus.options.confirm_timeout;
        // Those that one task has under way keep their order: tokio's budget would stop some of them, and let them go on in
        // the reverse.
        timeout(limit, unconstrained(self.send(&parcel))).await.unwrap_or_else(|_| {
            let what = format!("the confirmation of a message to exchange {exchange:?} with key {key:?}");
            Err(Error::TimedOut { what, seconds: limit.as_secs() })
        })
    }

    async fn send(&self, parcel: &Arc<Parcel>) -> Result<(), Error> {
        let stay = self.seat.take().await;
        self.bus.send(&stay, parcel).await
    }
}

impl Bus {
    async fn send(self: &Arc<Bus>, stay: &Stay<'_>, parcel: &Arc<Parcel>) -> Result<(), Error> {
        let (mut restored, mut alone) = (false, false);
        loop {
            let Some(session) = stay.session().await else { return Err(lost(PUBLISHING)) };
            let verdict = match !alone && parcel.may_share(&session) {
                true => Ok(session.lane(&self.tasks, &self.plan.runtime).publish(parcel).await),
                false => self.alone(session.clone(), parcel.clone()).await?.map(Some),
            };
            let error = match verdict {
                Ok(Some(Verdict::Taken)) => return Ok(()),
                Ok(Some(Verdict::Unroutable)) => parcel.unroutable(),
                Ok(Some(Verdict::Refused)) => Error::Nacked { why: "its queue is full or cannot write".into() },
                // Nobody knows what became of it: the lane was closed, perhaps through this one, or with its session.
                Ok(None) => {
                    alone = session.alive();
                    continue;
                }
                // A session that lost a call is replaced, so the next round finds another one.
                Err(failure) if !failure.spares_the_session() => {
                    alone = false;
                    continue;
                }
                Err(failure) => {
                    failure.about(&format!("exchange {:?}", parcel.exchange.as_str()), &self.plan.shown).error
                }
            };
            // Somebody deleted what we had declared: put it back, once.
            let ours = matches!(error, Error::Missing { .. } | Error::Unroutable { .. })
                && self.plan.routes(parcel.exchange.as_str(), parcel.key.as_str(), &headers(&parcel.properties));
            if restored || !ours {
                return Err(error);
            }
            restored = true;
            self.plan.replant(session).await.map_err(|trouble| trouble.error)?;
            self.restore_exclusive().await?;
        }
    }
}

impl Parcel {
    /// Whether it is not known to be able to close the channel that it is sent on.
    fn may_share(&self, session: &Session) -> bool {
        // Copies: if these are no lists of keys, that is an error of the channel.
        let copies =
            |headers: &lapin::types::FieldTable| copying::ELSEWHERE.iter().any(|name| headers.contains_key(name));
        let plain = !self.properties.headers().as_ref().is_some_and(copies) && self.body.len() <= LARGE;
        plain && session.trusts(&self.exchange)
    }

    fn unroutable(&self) -> Error {
        Error::Unroutable { exchange: self.exchange.to_string(), key: self.key.to_string() }
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Publisher").field(&self.bus.plan.shown).finish()
    }
}
