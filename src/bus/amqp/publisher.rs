//! Publishing, confirmed.
//!
//! A channel carries one publish at a time, and is used again after its confirmation. That costs a few more channels and
//! buys three things. lapin pairs a returned message with whichever confirmation comes next, so with several under way on
//! a channel the wrong publisher would learn that its message was unroutable, and the right one never would. A missing
//! exchange closes the channel, and with it nobody else's publish. And whoever loses interest just drops the channel.

use super::super::{Error, Message};
use super::connection::{Bus, lost};
use super::convert::{properties, short};
use super::failure::Failure;
use super::session::Session;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Confirmation};
use std::sync::Arc;
use tokio::time::timeout;

/// Publishes under way at once, each on its channel. More wait for their turn.
pub(super) const IN_FLIGHT: usize = 128;

/// Publishes on RabbitMQ; any number at once.
#[derive(Clone)]
pub struct Publisher(Arc<Bus>);

/// A message ready to be sent, as often as it takes.
struct Parcel<'a> {
    exchange: &'a str,
    key: &'a str,
    body: &'a [u8],
    wire: (ShortString, ShortString, BasicProperties),
}

impl Publisher {
    pub(super) fn new(bus: Arc<Bus>) -> Publisher {
        Publisher(bus)
    }

    /// Returns when the broker has confirmed the message in a queue, over as many sessions as that takes.
    pub async fn publish(&self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        let properties = properties(&message).map_err(|why| Error::Nacked { why })?;
        self.forward(exchange, key, &message.body, properties).await
    }

    /// The same with properties as they came.
    pub(super) async fn forward(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), Error> {
        let name = |name: &str| short(name).map_err(|why| Error::Nacked { why });
        let parcel = Parcel { exchange, key, body, wire: (name(exchange)?, name(key)?, properties) };
        let limit = self.0.options.confirm_timeout;
        let slow = || Error::TimedOut { what: self.waiting(&parcel), seconds: limit.as_secs() };
        timeout(limit, self.0.send(&parcel)).await.unwrap_or_else(|_| Err(slow()))
    }

    fn waiting(&self, parcel: &Parcel<'_>) -> String {
        format!("the confirmation of a message to exchange {:?} with key {:?}", parcel.exchange, parcel.key)
    }
}

impl Bus {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<(), Error> {
        let _slot = self.slots.acquire().await.map_err(|_| lost("publishing"))?;
        let mut restored = false;
        loop {
            let Some(session) = self.publishing.session().await else { return Err(lost("publishing")) };
            let error = match attempt(&session, parcel).await {
                Ok(Confirmation::Ack(None)) => return Ok(()),
                Ok(confirmation) => parcel.refused(confirmation),
                // A session that lost a call is replaced, so the next round finds another one.
                Err(failure) if !failure.spares_the_session() => continue,
                Err(failure) => failure.about(&format!("exchange {:?}", parcel.exchange), &self.plan.shown).error,
            };
            // Somebody deleted what we had declared: put it back, once.
            let ours = matches!(error, Error::Missing { .. } | Error::Unroutable { .. })
                && self.plan.routes(parcel.exchange, parcel.key);
            if restored || !ours {
                return Err(error);
            }
            restored = true;
            self.plan.replant(&session).await.map_err(|trouble| trouble.error)?;
            self.restore_exclusive().await?;
        }
    }
}

/// One try on one session.
async fn attempt(session: &Session, parcel: &Parcel<'_>) -> Result<Confirmation, Failure> {
    session.unblocked().await;
    let channel = session.confirming().await?;
    let (exchange, key, properties) = parcel.wire.clone();
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent = session.during(channel.basic_publish(exchange, key, mandatory, parcel.body, properties)).await?;
    let confirmation = session.during(sent).await?;
    session.put_back(channel);
    Ok(confirmation)
}

impl Parcel<'_> {
    fn refused(&self, confirmation: Confirmation) -> Error {
        match confirmation {
            Confirmation::Nack(None) => Error::Nacked { why: "its queue is full or cannot write".into() },
            Confirmation::NotRequested => Error::Nacked { why: "the channel is not in confirm mode".into() },
            Confirmation::Ack(_) | Confirmation::Nack(_) => {
                Error::Unroutable { exchange: self.exchange.into(), key: self.key.into() }
            }
        }
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Publisher").field(&self.0.plan.shown).finish()
    }
}
