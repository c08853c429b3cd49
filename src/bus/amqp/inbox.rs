//! What was delivered and not yet handed out. lapin's thread puts it in as it comes from the socket, and whoever consumes takes
//! it out: a detour over a thread of the bus for each delivery would cost more than all else that it is put through here.

use super::lease::Lease;
use super::tap::Arrival;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio_util::sync::CancellationToken;

/// A delivery, and the channel that it came by.
pub(super) type Parcel = (Arrival, Arc<Lease>);

/// Between a consumer and its keeper.
#[derive(Default)]
pub(super) struct Inbox {
    content: Mutex<Content>,
    /// Asks the keeper to end.
    pub stop: CancellationToken,
    /// The keeper has ended.
    pub over: CancellationToken,
}

#[derive(Default)]
struct Content {
    unread: VecDeque<Parcel>,
    /// Who waits for more.
    reader: Option<Waker>,
    /// Whether something came since the keeper asked.
    lively: bool,
    /// Nobody will read any more.
    closed: bool,
}

impl Inbox {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in what came by this channel; `false` once it is closed.
    pub fn put(&self, arrivals: &mut Vec<Arrival>, lease: &Arc<Lease>) -> bool {
        let mut content = self.content();
        if content.closed {
            return false;
        }
        lease.delivered(arrivals.iter().map(|arrival| arrival.tag));
        content.unread.extend(arrivals.drain(..).map(|arrival| (arrival, lease.clone())));
        content.lively = true;
        let reader = content.reader.take();
        drop(content);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// Takes nothing more: what still comes goes back when its channel ends, which ends with what came by it before.
    pub fn close(&self) {
        self.content().closed = true;
    }

    /// The oldest.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Parcel> {
        let mut content = self.content();
        match content.unread.pop_front() {
            Some(parcel) => Poll::Ready(parcel),
            None => {
                content.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The oldest, if there is one.
    pub fn take(&self) -> Option<Parcel> {
        self.content().unread.pop_front()
    }

    /// Whether anything came since this was last asked.
    pub fn was_lively(&self) -> bool {
        std::mem::take(&mut self.content().lively)
    }

    /// How many are unread.
    pub fn unread(&self) -> usize {
        self.content().unread.len()
    }
}
