//! What was delivered and not yet handed out: a few deliveries here, the others still with lapin. Whoever consumes draws
//! from lapin itself, because a detour over a thread of the bus for each delivery costs more than all else it is put
//! through here. The keeper of the subscription looks in now and then, so that nothing lies unseen while nobody draws.

use super::failure::Failure;
use super::keeper::Subscription;
use super::lease::Lease;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A delivery, and the channel that it came by.
pub(super) type Parcel = (Delivery, Arc<Lease>);

/// Between a consumer and its keeper.
#[derive(Default)]
pub(super) struct Inbox {
    content: Mutex<Content>,
    /// Tells the consumer that there is a subscription to draw from, or something unread.
    pub filled: Notify,
    /// Tells the keeper that the subscription has ended.
    pub ended: Notify,
    /// Asks the keeper to end.
    pub stop: CancellationToken,
    /// The keeper has ended.
    pub over: CancellationToken,
}

#[derive(Default)]
struct Content {
    /// Drawn, and not handed out: older than what is still to be drawn.
    unread: VecDeque<Parcel>,
    source: Option<Subscription>,
    /// Why the last source ended.
    end: Option<String>,
    /// Whether something was drawn since the keeper looked in.
    lively: bool,
}

impl Inbox {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next delivery.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Parcel> {
        let mut content = self.content();
        if let Some(parcel) = content.unread.pop_front() {
            return Poll::Ready(parcel);
        }
        let Some(source) = &mut content.source else { return Poll::Pending };
        let item = ready!(source.stream.poll_next_unpin(context));
        match content.draw(item) {
            Some(parcel) => Poll::Ready(parcel),
            None => {
                self.ended.notify_one();
                Poll::Pending
            }
        }
    }

    /// From now on deliveries come by this subscription.
    pub fn open(&self, subscription: &Subscription) {
        let mut content = self.content();
        content.source = Some(subscription.clone());
        content.end = None;
        self.filled.notify_one();
    }

    /// Draws all that has come. `stream` is the keeper's own handle: polling the consumer's would make it deaf.
    /// `Ok` tells whether anything came since the last look, `Err` why no more will.
    pub fn look_in(&self, stream: &mut lapin::Consumer) -> Result<bool, String> {
        let mut content = self.content();
        while content.source.is_some()
            && let Some(item) = stream.next().now_or_never()
            && let Some(parcel) = content.draw(item)
        {
            content.unread.push_back(parcel);
        }
        if !content.unread.is_empty() {
            self.filled.notify_one();
        }
        match content.end.take() {
            Some(why) => Err(why),
            None => Ok(std::mem::take(&mut content.lively)),
        }
    }

    /// Nobody draws any more.
    pub fn close(&self) {
        self.content().source = None;
    }

    /// Puts in what came after the end.
    pub fn put(&self, delivery: Delivery, lease: Arc<Lease>) {
        lease.delivered(delivery.delivery_tag);
        self.content().unread.push_back((delivery, lease));
    }

    /// The oldest that is unread.
    pub fn take(&self) -> Option<Parcel> {
        self.content().unread.pop_front()
    }

    /// How many are unread.
    pub fn unread(&self) -> usize {
        self.content().unread.len()
    }
}

impl Content {
    /// Notes what lapin gave: a delivery, or the end of its source.
    fn draw(&mut self, item: Option<lapin::Result<Delivery>>) -> Option<Parcel> {
        let source = self.source.as_ref()?;
        match item {
            Some(Ok(delivery)) => {
                source.lease.delivered(delivery.delivery_tag);
                self.lively = true;
                return Some((delivery, source.lease.clone()));
            }
            Some(Err(error)) => self.end = Some(Failure::from(error).why().to_owned()),
            None => self.end = Some("the broker cancelled it, as when its queue is deleted".into()),
        }
        self.source = None;
        None
    }
}
