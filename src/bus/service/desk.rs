//! One message, from its delivery to its settlement.

use super::super::{Delivery, Error, QueueKind};
use super::conversation::Conversation;
use super::gelf::{Log, Severity};
use super::incoming::{Failure, Incoming, Kind, told};
use super::ledger::Ledger;
use super::open::Service;
use super::queues::Source;
use super::wire;
use futures_util::future::{BoxFuture, FutureExt};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A handler whose answers are JSON.
type Handler = Box<dyn Fn(Incoming, Conversation) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

/// What all messages of a running service need.
pub(super) struct Desk {
    pub service: Service,
    /// Business may begin.
    pub configured: CancellationToken,
    /// Handlers have to end now.
    pub hurry: CancellationToken,
    handler: Handler,
}

impl Desk {
    pub fn new<H, F, R>(service: Service, handler: H) -> Desk
    where
        H: Fn(Incoming, Conversation) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, Failure>> + Send + 'static,
        R: Serialize + Send + 'static,
    {
        let configured = CancellationToken::new();
        if !service.sources().configured_by_others() {
            configured.cancel();
        }
        let handler = move |incoming, conversation| {
            let handling = handler(incoming, conversation);
            async move { Ok(serde_json::to_value(handling.await?)?) }.boxed()
        };
        Desk { service, configured, hurry: CancellationToken::new(), handler: Box::new(handler) }
    }

    /// Handles a delivery and settles it.
    pub async fn handle(self: Arc<Desk>, source: Arc<Source>, delivery: Delivery) {
        if let Some(retries) = source.retries.as_ref().filter(|_| uncounted(&source, &delivery)) {
            return settled("moved", delivery.retry_in(retries, Duration::ZERO).await);
        }
        let incoming = match wire::read(&delivery, &self.service.options().exchanges) {
            Ok(incoming) => incoming,
            Err(why) => return self.bury(&source, delivery, &why).await,
        };
        let mut handling = AbortOnDropHandle::new(tokio::spawn(self.clone().answer(incoming.clone())));
        let outcome = tokio::select! {
            outcome = &mut handling => outcome,
            () = self.hurry.cancelled() => {
                drop(handling);
                return settled("given back", delivery.give_back().await);
            }
        };
        match outcome.unwrap_or_else(|error| Err(Failure::Again(format!("its handler broke: {error}")))) {
            Ok(()) => settled("acknowledged", delivery.ack().await),
            Err(Failure::Refused(why)) => self.bury(&source, delivery, &plain(&why)).await,
            Err(Failure::Again(why)) => self.again(&source, &incoming, delivery, why).await,
        }
    }

    /// Runs the handler, sends its answer, and returns when everything is confirmed. A refused command is answered, too.
    async fn answer(self: Arc<Desk>, incoming: Incoming) -> Result<(), Failure> {
        let ledger = Arc::new(Ledger::default());
        let id = wire::conversation(&incoming.message).to_owned();
        let conversation = Conversation::new(self.service.clone(), id, Some(ledger.clone()));
        let handled = (self.handler)(incoming.clone(), conversation).await;
        ledger.close().await?;
        match (incoming.kind, handled) {
            (Kind::Command, Ok(answer)) => Ok(self.reply(&incoming, true, &answer).await?),
            (Kind::Command, Err(Failure::Refused(answer))) => Ok(self.reply(&incoming, false, &answer).await?),
            (Kind::Configuration, Ok(Value::Bool(true))) => {
                self.configured.cancel();
                Ok(())
            }
            (_, handled) => handled.map(drop),
        }
    }

    /// Sends a result, if anybody still wants it.
    async fn reply(&self, incoming: &Incoming, success: bool, answer: &Value) -> Result<(), Error> {
        let (options, asked) = (self.service.options(), &incoming.message);
        let Some(reply_to) = wire::reply_to(asked) else { return Ok(()) };
        let message = wire::message(answer, options.json, wire::conversation(asked))?;
        let message = wire::result(message, success, incoming.correlation_id.as_deref());
        match self.service.publisher().publish(&options.exchanges.commands, reply_to, message).await {
            Err(Error::Unroutable { .. }) => {
                tracing::debug!("whoever sent {} is gone, and gets no answer", incoming.name);
                Ok(())
            }
            published => published,
        }
    }

    /// Later, if there is a later.
    async fn again(&self, source: &Source, incoming: &Incoming, delivery: Delivery, why: String) {
        let (options, name, attempt) = (self.service.options(), &incoming.name, delivery.attempt);
        self.tell(Severity::Alert, format!("Unhandled error while processing message {name}"), &why, incoming);
        if attempt < options.max_attempts {
            let (pause, queue) = (options.backoff.delay(attempt), delivery.queue.clone());
            let queue = source.retries.clone().unwrap_or(queue);
            return settled("put off", delivery.retry_in(&queue, pause).await);
        }
        self.tell(Severity::Emergency, format!("Giving up on {name}"), &why, incoming);
        if incoming.kind == Kind::Command {
            let answered = self.reply(incoming, false, &told("unhandled exception", &why)).await;
            settled("answered", answered);
        }
        self.bury(source, delivery, &why).await;
    }

    /// To the dead letters. Without any, as with exclusive queues, it ends here.
    async fn bury(&self, source: &Source, mut delivery: Delivery, why: &str) {
        tracing::warn!("{} cannot be handled: {why}", delivery.origin().1);
        if source.queue.dead_letter.is_none() {
            return settled("acknowledged", delivery.ack().await);
        }
        // Where it died is where it may be sent back to, and that is for none but us.
        if let Some(retries) = &source.retries {
            delivery.queue.clone_from(retries);
        }
        settled("buried", delivery.reject(why).await);
    }

    fn tell(&self, severity: Severity, short: String, why: &str, incoming: &Incoming) {
        let line = Log::new(severity, short).full(why).field("attempt", incoming.attempt);
        self.service.log(line.conversation(wire::conversation(&incoming.message)));
    }
}

/// A plain queue does not count what comes back. What it brings for the second time, because its handler may have taken the
/// whole program with it, goes where that is counted.
fn uncounted(source: &Source, delivery: &Delivery) -> bool {
    source.queue.kind == QueueKind::Classic && delivery.redelivered
}

/// A settlement that fails leads to another delivery, and nothing is lost.
fn settled(what: &str, result: Result<(), Error>) {
    if let Err(error) = result {
        tracing::info!("a message could not be {what}, and will come again: {error}");
    }
}

/// A refusal as the reason of a dead letter.
fn plain(why: &Value) -> String {
    why.as_str().map_or_else(|| why.to_string(), str::to_owned)
}
