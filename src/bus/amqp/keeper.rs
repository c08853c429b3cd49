//! Keeping a subscription: it is made anew on every session, and whenever it ends though the session lives.

use super::super::Error;
use super::failure::{Failure, Trouble};
use super::inbox::Inbox;
use super::lease::{Lease, Return};
use super::link::{Link, Pauses};
use super::plan::Plan;
use super::session::Session;
use super::{ANSWER, GOODBYE};
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often the keeper looks into the inbox, for a consumer that does not.
const LOOK: Duration = Duration::from_millis(250);
/// When nothing has come for so long, the broker is asked whether it still knows us.
const QUIET: Duration = Duration::from_secs(5);
/// Between a panic and the next try.
const AGAIN: Duration = Duration::from_secs(1);

/// What a consumer wants from every session.
pub(super) struct Wish {
    pub plan: Arc<Plan>,
    pub queue: String,
    pub prefetch: u16,
    /// Where deliveries go.
    pub inbox: Arc<Inbox>,
}

/// What the broker delivers to. When it goes, the broker is told to stop.
pub(super) struct Subscription {
    /// Its deliveries are tapped; here it ends.
    stream: lapin::Consumer,
    lease: Arc<Lease>,
}

impl Wish {
    /// Subscribes; if the queue is one of ours and somebody deleted it, declares it anew.
    pub async fn subscribe(&self, session: Arc<Session>) -> Result<Subscription, Trouble> {
        match self.consume(&session).await {
            Err(Trouble { error: Error::Missing { .. }, .. }) if self.plan.queue(&self.queue).is_some() => {
                self.plan.replant(session.clone()).await?;
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
        let (session, prefetch, runtime) = (session.clone(), self.prefetch, self.plan.runtime.clone());
        let inbox = Arc::downgrade(&self.inbox);
        // To its end even if nobody waits for it any more: lapin would keep a consumer whose answer nobody took, and all
        // that is delivered to it.
        let subscribing = async move {
            let lease = Lease::new(session.clone(), channel, prefetch, &runtime);
            lease.fill(inbox);
            // The broker invents the tag.
            let (tag, options) = ("".into(), BasicConsumeOptions::default());
            let stream = session.ask(lease.channel.basic_consume(name, tag, options, FieldTable::default())).await?;
            Ok(Subscription { stream, lease })
        };
        let subscribed = self.plan.runtime.spawn(subscribing).await;
        subscribed.unwrap_or_else(|error| Err(error.into())).map_err(about)
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

/// Sees to it that a consumer has a subscription to draw from.
pub(super) struct Keeper {
    pub wish: Arc<Wish>,
    pub link: Link,
    pub inbox: Arc<Inbox>,
}

impl Keeper {
    /// Runs to its end. A panic is a mistake of ours which must neither end a consumer quietly nor let it wait for ever.
    pub async fn work(self, first: Subscription) {
        let mut first = Some(first);
        while AssertUnwindSafe(self.run(first.take())).catch_unwind().await.is_err() {
            tracing::error!(queue = self.wish.queue, "the consumer of a queue panicked; starting it again");
            self.return_unread();
            sleep(AGAIN).await;
        }
        self.inbox.close();
        self.return_unread();
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
                why = self.watch(&mut subscription) => why,
            };
            // Its channel stays open as long as something is out that came by it, so what is not out goes back by hand.
            drop(subscription);
            self.return_unread();
        }
    }

    /// Waits until something ends the subscription: an error, a cancel by the broker, the session's end.
    async fn watch(&self, subscription: &mut Subscription) -> String {
        let (mut quiet, mut suspicious) = (Instant::now(), false);
        loop {
            tokio::select! {
                why = subscription.lease.session.ended() => return why.to_owned(),
                end = subscription.stream.next() => return match end {
                    Some(Err(error)) => Failure::from(error).why().to_owned(),
                    // A delivery that was not tapped is nobody's: that it ends here returns it.
                    Some(Ok(_)) | None => "the broker cancelled it, as when its queue is deleted".into(),
                },
                () = sleep(LOOK) => {}
            }
            match self.inbox.was_lively() {
                true => (quiet, suspicious) = (Instant::now(), false),
                false if quiet.elapsed() < QUIET => {}
                false => {
                    let forgotten = self.wish.is_forgotten(&subscription.lease).await;
                    // Twice in a row: once may be a moment between an acknowledgement and the next delivery.
                    if forgotten && suspicious {
                        return "the broker has forgotten it".into();
                    }
                    (quiet, suspicious) = (Instant::now(), forgotten);
                }
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
    async fn give_back(&self, subscription: Subscription) {
        let tag = subscription.stream.tag();
        let lease = subscription.lease.clone();
        let cancelling = lease.channel.basic_cancel(tag, BasicCancelOptions::default());
        let cancelled = matches!(timeout(GOODBYE, lease.session.during(cancelling)).await, Ok(Ok(())));
        // What was on its way came before the broker's answer.
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
            lease.put_back(delivery.tag, Return::Nack);
        }
    }
}
