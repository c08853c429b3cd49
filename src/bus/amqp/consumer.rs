//! Receiving. A tokio task of the bus, the pump, takes deliveries from whatever session there is and puts them into an
//! inbox; the consumer takes them out. The broker's prefetch is what keeps the inbox small.

use super::super::message::Receipt as AnyReceipt;
use super::super::{Delivery, Error};
use super::connection::Bus;
use super::convert::arrived;
use super::failure::{Failure, Trouble};
use super::lease::{Lease, Return};
use super::link::{Link, Pauses};
use super::plan::Plan;
use super::receipt::Receipt;
use super::session::Session;
use super::{ANSWER, GOODBYE};
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// When nothing has come for so long, the broker is asked whether it still knows us.
const QUIET: Duration = Duration::from_secs(5);
/// Between a panic and the next try.
const AGAIN: Duration = Duration::from_secs(1);

/// Consumes one queue of RabbitMQ.
pub struct Consumer {
    queue: String,
    inbox: Arc<Inbox>,
    bus: Arc<Bus>,
}

/// What was delivered and not yet handed out.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<VecDeque<(lapin::message::Delivery, Arc<Lease>)>>,
    arrived: Notify,
    /// Asks the pump to end.
    stop: CancellationToken,
    /// The pump has ended.
    over: CancellationToken,
}

impl Consumer {
    pub(super) async fn start(bus: Arc<Bus>, queue: &str, prefetch: u16) -> Result<Consumer, Error> {
        // To AMQP a prefetch of 0 means no limit at all.
        let wish = Arc::new(Wish { plan: bus.plan.clone(), queue: queue.into(), prefetch: prefetch.max(1) });
        let subscribe = |session| {
            let wish = wish.clone();
            async move { wish.subscribe(session).await }
        };
        let first = bus.insist("starting to consume", subscribe).await?;
        let inbox = Arc::new(Inbox::default());
        let pump = Pump { wish, link: bus.consuming.clone(), inbox: inbox.clone() };
        bus.tasks.spawn_on(pump.work(first), &bus.plan.runtime);
        Ok(Consumer { queue: queue.into(), inbox, bus })
    }

    /// The next delivery. `None` after a cancel or a close.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            // A delivery of a lost session is skipped: it is back in its queue, and may be somebody else's by now. The
            // pump clears them away as soon as it notices; this is for the moment before.
            while let Some((delivery, lease)) = self.inbox.take() {
                if delivery.acker.usable() && lease.session.alive() {
                    return Some(self.hand_out(delivery, lease));
                }
            }
            tokio::select! {
                () = self.inbox.arrived.notified() => {}
                () = self.inbox.over.cancelled() => return None,
            }
        }
    }

    fn hand_out(&self, delivery: lapin::message::Delivery, lease: Arc<Lease>) -> Delivery {
        let receipt = AnyReceipt::Amqp(Receipt::new(delivery.delivery_tag, delivery.acker, lease, self.bus.clone()));
        let arrived = arrived(&delivery.properties, delivery.data, delivery.redelivered);
        Delivery {
            message: arrived.message,
            queue: self.queue.clone(),
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            redelivered: delivery.redelivered,
            attempt: arrived.attempt,
            deaths: arrived.deaths,
            receipt,
        }
    }

    /// Takes no more, and gives back what was not handed out.
    pub async fn cancel(&mut self) {
        self.inbox.stop.cancel();
        // The pump's own steps are timed; this is for a runtime that is gone.
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
        let unread = self.inbox.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Consumer").field("queue", &self.queue).field("unread", &unread).finish_non_exhaustive()
    }
}

impl Inbox {
    fn put(&self, delivery: lapin::message::Delivery, lease: Arc<Lease>) {
        lease.delivered(delivery.delivery_tag);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back((delivery, lease));
        self.arrived.notify_one();
    }

    fn take(&self) -> Option<(lapin::message::Delivery, Arc<Lease>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// What a consumer wants from every session.
struct Wish {
    plan: Arc<Plan>,
    queue: String,
    prefetch: u16,
}

struct Subscription {
    stream: lapin::Consumer,
    lease: Arc<Lease>,
}

impl Wish {
    /// Subscribes; if the queue is one of ours and somebody deleted it, declares it anew.
    async fn subscribe(&self, session: Arc<Session>) -> Result<Subscription, Trouble> {
        match self.consume(&session).await {
            Err(Trouble { error: Error::Missing { .. }, .. }) if self.plan.queue(&self.queue).is_some() => {
                self.plan.replant(&session).await?;
                self.consume(&session).await
            }
            result => result,
        }
    }

    async fn consume(&self, session: &Arc<Session>) -> Result<Subscription, Trouble> {
        let name = self.plan.name(&self.queue)?;
        let about = |failure: Failure| failure.about(&format!("queue {:?}", self.queue), &self.plan.shown);
        let channel = session.channel().await.map_err(about)?;
        session.ask(channel.basic_qos(self.prefetch, BasicQosOptions { global: false })).await.map_err(about)?;
        // The broker invents the tag.
        let consuming = channel.basic_consume(name, "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let stream = session.ask(consuming).await.map_err(about)?;
        Ok(Subscription { stream, lease: Lease::new(session.clone(), channel, &self.plan.runtime) })
    }

    /// Whether the broker, though it never said so, delivers to us no more: it knows no consumer at all, or keeps
    /// messages back while we hold none.
    async fn is_forgotten(&self, lease: &Arc<Lease>) -> bool {
        let session = &lease.session;
        let (Ok(name), Ok(channel)) = (self.plan.name(&self.queue), session.channel().await) else { return false };
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let looking = session.during(channel.queue_declare(name, passive, FieldTable::default()));
        match timeout(ANSWER, looking).await {
            Ok(Ok(queue)) => queue.consumer_count() == 0 || (lease.is_idle() && queue.message_count() > 0),
            Ok(Err(Failure::Said { code, .. })) => code == 404,
            Ok(Err(Failure::Lost(_))) | Err(_) => false,
        }
    }
}

struct Pump {
    wish: Arc<Wish>,
    link: Link,
    inbox: Arc<Inbox>,
}

impl Pump {
    /// Runs to its end. A panic is a mistake of ours which must neither end a consumer quietly nor let it wait for ever.
    async fn work(self, first: Subscription) {
        let mut first = Some(first);
        while AssertUnwindSafe(self.run(first.take())).catch_unwind().await.is_err() {
            tracing::error!(queue = self.wish.queue, "the consumer of a queue panicked; starting it again");
            self.return_unread();
            sleep(AGAIN).await;
        }
        self.inbox.over.cancel();
    }

    async fn run(&self, mut first: Option<Subscription>) {
        let ending = async {
            tokio::select! {
                () = self.inbox.stop.cancelled() => {}
                () = self.wish.plan.closing.cancelled() => {}
            }
        };
        tokio::pin!(ending);
        let mut why = "it panicked".to_owned();
        loop {
            let mut subscription = match first.take() {
                Some(first) => first,
                None => tokio::select! {
                    () = &mut ending => return,
                    again = self.resubscribe(&why) => match again {
                        Some(again) => again,
                        None => return,
                    },
                },
            };
            why = tokio::select! {
                biased;
                () = &mut ending => return self.give_back(subscription).await,
                why = self.receive(&mut subscription) => why,
            };
            // Its channel stays open as long as something is out that came by it, so what is not out goes back by hand.
            drop(subscription);
            self.return_unread();
        }
    }

    /// Fills the inbox until something ends the subscription: an error, a cancel by the broker, the session's end.
    async fn receive(&self, subscription: &mut Subscription) -> String {
        let mut suspicious = false;
        loop {
            let lease = &subscription.lease;
            let item = tokio::select! {
                item = subscription.stream.next() => item,
                why = lease.session.ended() => return why.to_owned(),
                () = sleep(QUIET) => match self.wish.is_forgotten(lease).await {
                    // Twice in a row: once may be a moment between an acknowledgement and the next delivery.
                    true if suspicious => return "the broker has forgotten it".into(),
                    forgotten => {
                        suspicious = forgotten;
                        continue;
                    }
                },
            };
            suspicious = false;
            // And all that is there already: looking after everything else for each of them would take most of the time.
            let mut item = Some(item);
            while let Some(next) = item {
                match next {
                    Some(Ok(delivery)) => self.inbox.put(delivery, subscription.lease.clone()),
                    Some(Err(error)) => return Failure::from(error).why().to_owned(),
                    None => return "the broker cancelled it, as when its queue is deleted".into(),
                }
                item = subscription.stream.next().now_or_never();
            }
        }
    }

    async fn resubscribe(&self, why: &str) -> Option<Subscription> {
        tracing::debug!(queue = self.wish.queue, why, "consumer lost");
        let mut pauses = Pauses::default();
        loop {
            let session = self.link.session().await?;
            let trouble = match self.wish.subscribe(session).await {
                Ok(subscription) => return Some(subscription),
                Err(trouble) => trouble,
            };
            let pause = pauses.next();
            let seconds = format!("{:.1}", pause.as_secs_f64());
            tracing::warn!("Cannot consume {}: {}. Trying again in {seconds} seconds.", self.wish.queue, trouble.error);
            sleep(pause).await;
        }
    }

    /// Ends the subscription politely. Its channel stays open for what was handed out; if the broker does not answer,
    /// what is on its way goes back when that is settled.
    async fn give_back(&self, mut subscription: Subscription) {
        let tag = subscription.stream.tag();
        let lease = subscription.lease.clone();
        let cancelling = lease.channel.basic_cancel(tag, BasicCancelOptions::default());
        let cancelled = matches!(timeout(GOODBYE, lease.session.during(cancelling)).await, Ok(Ok(())));
        if cancelled {
            // What was on its way; lapin ends the stream after the broker's answer.
            while let Ok(Some(Ok(delivery))) = timeout(GOODBYE, subscription.stream.next()).await {
                self.inbox.put(delivery, lease.clone());
            }
        }
        drop(subscription);
        self.return_unread();
        if cancelled {
            // A question on the same channel: once it is answered, what was given back is in its queue. Whoever looks at
            // the queue or deletes it next does so by another channel.
            let question = lease.channel.basic_qos(self.wish.prefetch, BasicQosOptions { global: false });
            let _ = timeout(GOODBYE, lease.session.during(question)).await;
        }
    }

    /// Gives back what the inbox holds; what came by a lost session has gone back already.
    fn return_unread(&self) {
        while let Some((delivery, lease)) = self.inbox.take() {
            lease.put_back(delivery.delivery_tag, Return::Nack);
        }
    }
}
