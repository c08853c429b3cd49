//! Asking by direct reply-to: the broker passes answers straight to the channel that published the request, without a queue.
//!
//! So publishing and hearing share one channel, which nobody else uses. A request is sent when the one before is confirmed:
//! lapin pairs a returned message with whichever confirmation comes next. When the channel goes, the broker has nowhere to
//! put the answers to what was asked on it; who waits for one learns it from the token that sending gave, and asks again.

use super::super::{Error, Message};
use super::ANSWER;
use super::connection::{Bus, lost};
use super::convert::{arrived, properties, short};
use super::failure::{Failure, Trouble};
use super::session::Session;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The broker's name for "answer on this channel".
const DIRECT: &str = "amq.rabbitmq.reply-to";
const ASKING: &str = "sending a request";

/// Whoever hears the answers.
pub type Hear = dyn Fn(Message) + Send + Sync;

/// Sends requests to RabbitMQ and hears the answers, over any number of reconnections.
#[derive(Clone)]
pub struct Requester(Arc<Inner>);

struct Inner {
    bus: Arc<Bus>,
    hear: Arc<Hear>,
    line: Mutex<Option<Line>>,
}

/// A channel that publishes and hears. When it is dropped, what was asked on it has no answer any more.
struct Line {
    session: Arc<Session>,
    channel: Channel,
    gone: CancellationToken,
}

impl Requester {
    pub(super) fn new(bus: Arc<Bus>, hear: Arc<Hear>) -> Requester {
        Requester(Arc::new(Inner { bus, hear, line: Mutex::default() }))
    }

    /// Sends a request to the queue `key`, to expire at `until`, and returns when it is there. The token is cancelled if its
    /// answer can no longer come.
    pub async fn ask(&self, key: &str, message: Message, until: Instant) -> Result<CancellationToken, Error> {
        let (inner, name) = (self.0.clone(), key.to_owned());
        // To its end even if the caller loses interest: a confirmation that nobody waits for would be taken for the next.
        let sending = async move { inner.send(&name, message, until).await };
        let sent = by(until, self.0.bus.plan.runtime.spawn(sending)).await?;
        sent.unwrap_or_else(|_| Err(lost(ASKING)))
    }
}

/// What `work` returns, if it does so in time.
async fn by<T>(until: Instant, work: impl Future<Output = T>) -> Result<T, Error> {
    timeout_at(until, work).await.map_err(|_| late())
}

fn late() -> Error {
    Error::TimedOut { what: ASKING.into(), seconds: ANSWER.as_secs() }
}

impl Inner {
    async fn send(
        self: Arc<Self>,
        key: &str,
        mut message: Message,
        until: Instant,
    ) -> Result<CancellationToken, Error> {
        message.reply_to = Some(DIRECT.into());
        message.expiration = Some(until.saturating_duration_since(Instant::now()));
        // What cannot be sent is refused before the line is taken, which is dropped when anything goes wrong on it.
        let refused = |why| Error::Nacked { why };
        let (name, properties) = (short(key).map_err(refused)?, properties(&message).map_err(refused)?);
        let mut line = by(until, self.line.lock()).await?;
        loop {
            let current = match line.take().filter(Line::is_live) {
                Some(current) => current,
                None => match self.connect(until).await? {
                    Some(current) => current,
                    None => continue,
                },
            };
            // Whoever cannot wait any longer leaves the line to the others, who hear their answers by it.
            if let Err(late) = by(until, current.session.unblocked()).await {
                *line = Some(current);
                return Err(late);
            }
            let left = until.saturating_duration_since(Instant::now()).as_millis().to_string();
            let published =
                current.publish(&name, &message.body, properties.clone().with_expiration(left.into())).await;
            let gone = current.gone.clone();
            match published {
                Ok(confirmation) => {
                    *line = Some(current);
                    return accepted(key, confirmation).map(|()| gone);
                }
                Err(Trouble { lasting: false, .. }) => continue,
                Err(trouble) => return Err(trouble.error),
            }
        }
    }

    /// A new line, as soon as there is a session; `None` if that session ended on the way.
    async fn connect(&self, until: Instant) -> Result<Option<Line>, Error> {
        let first = self.bus.publishing.first();
        let session = by(until, first.link.session()).await?.ok_or_else(|| lost(ASKING))?;
        by(until, session.unblocked()).await?;
        let name = short(DIRECT).map_err(|why| Error::Nacked { why })?;
        let opening = async {
            let channel = session.channel().await?;
            session.ask(channel.confirm_select(ConfirmSelectOptions::default())).await?;
            let silently = BasicConsumeOptions { no_ack: true, ..Default::default() };
            let stream = session.ask(channel.basic_consume(name, "".into(), silently, FieldTable::default())).await?;
            Ok((channel, stream))
        };
        let (channel, stream) = match opening.await {
            Ok(opened) => opened,
            Err(failure) if Failure::spares_the_session(&failure) => {
                return Err(failure.about("direct reply-to", &self.bus.plan.shown).error);
            }
            Err(_) => return Ok(None),
        };
        let gone = CancellationToken::new();
        let hearing = listen(stream, session.clone(), self.hear.clone(), gone.clone());
        self.bus.plan.runtime.spawn(hearing);
        Ok(Some(Line { session, channel, gone }))
    }
}

/// Hears until the line or its session ends.
async fn listen(mut stream: lapin::Consumer, session: Arc<Session>, hear: Arc<Hear>, gone: CancellationToken) {
    let ended = session.ended();
    tokio::pin!(ended);
    loop {
        let heard = tokio::select! {
            heard = stream.next() => heard,
            _ = &mut ended => break,
            () = gone.cancelled() => break,
        };
        let Some(Ok(delivery)) = heard else { break };
        hear(arrived(&delivery.properties, delivery.data, delivery.redelivered).message);
    }
    gone.cancel();
}

fn accepted(key: &str, confirmation: Confirmation) -> Result<(), Error> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Nack(None) => Err(Error::Nacked { why: "its queue is full or cannot write".into() }),
        Confirmation::NotRequested => Err(Error::Nacked { why: "the channel is not in confirm mode".into() }),
        Confirmation::Ack(_) | Confirmation::Nack(_) => {
            Err(Error::Unroutable { exchange: String::new(), key: key.into() })
        }
    }
}

impl Line {
    fn is_live(&self) -> bool {
        !self.gone.is_cancelled() && self.session.alive()
    }

    async fn publish(
        &self,
        key: &ShortString,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Confirmation, Trouble> {
        let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
        let publish =
            async { self.channel.basic_publish("".into(), key.clone(), mandatory, body, properties).await?.await };
        let confirmation = self.session.promptly(publish).await.ok_or_else(|| Trouble::lasting(late()))?;
        confirmation.map_err(|failure| failure.about(&format!("queue {:?}", key.as_str()), "the broker"))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

impl std::fmt::Debug for Requester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Requester").field(&self.0.bus.plan.shown).finish()
    }
}
