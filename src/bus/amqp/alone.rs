//! A publish on a channel of its own: one that may close it, and then no other with it.
//!
//! It is the work of a task of the bus. Whoever waits for it may for a while not be polled, and nobody else should wait for
//! that; or may lose interest, and what lapin has then must still be written.

use super::super::Error;
use super::connection::{Bus, lost};
use super::failure::Failure;
use super::publisher::{MANDATORY, PUBLISHING, Parcel, Verdict};
use super::session::Session;
use lapin::Confirmation;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Who waits for what becomes of it.
type Answer = oneshot::Sender<Result<Verdict, Failure>>;

impl Bus {
    /// One try; an error if nobody can try any more.
    pub async fn alone(
        self: &Arc<Bus>,
        session: Arc<Session>,
        parcel: Arc<Parcel>,
    ) -> Result<Result<Verdict, Failure>, Error> {
        let (mut answer, verdict) = oneshot::channel();
        let bus = self.clone();
        self.plan.runtime.spawn(async move {
            if let Some(outcome) = bus.deliver(&session, &parcel, &mut answer).await.transpose() {
                // Whoever has lost interest is not told.
                let _ = answer.send(outcome);
            }
        });
        verdict.await.map_err(|_| lost(PUBLISHING))
    }

    /// `None` if nobody waits for it any more.
    async fn deliver(
        &self,
        session: &Session,
        parcel: &Parcel,
        answer: &mut Answer,
    ) -> Result<Option<Verdict>, Failure> {
        let turn = async {
            let slot = self.slots.acquire().await;
            session.unblocked().await;
            slot
        };
        let _slot = tokio::select! {
            slot = turn => slot.map_err(|error| Failure::Lost(error.to_string()))?,
            () = answer.closed() => return Ok(None),
        };
        let channel = session.confirming().await?;
        if answer.is_closed() {
            session.put_back(channel);
            return Ok(None);
        }
        let (exchange, key, properties) = (parcel.exchange.clone(), parcel.key.clone(), parcel.properties.clone());
        let sending = channel.basic_publish(exchange, key, MANDATORY, &parcel.body, properties);
        // To its end: were the channel closed before lapin has written this, the broker would close the connection.
        let sent = session.during(sending).await?;
        let confirmation = tokio::select! {
            confirmation = session.during(sent) => confirmation?,
            () = answer.closed() => return Ok(None),
        };
        session.put_back(channel);
        session.trust(&parcel.exchange);
        Ok(Some(confirmation.into()))
    }
}

impl From<Confirmation> for Verdict {
    fn from(confirmation: Confirmation) -> Verdict {
        match confirmation {
            Confirmation::Ack(None) => Verdict::Taken,
            Confirmation::Nack(None) | Confirmation::NotRequested => Verdict::Refused,
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Verdict::Unroutable,
        }
    }
}
