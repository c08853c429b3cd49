//! The channel of a consumer, and what is out on it. Acknowledgements are collected and sent as one for all up to a tag
//! where nothing before it is still out: that is what makes consuming fast, since a quorum queue writes each to its log.
//! They are sent when a good part of the prefetch is done, when the broker may send no more before, and else in a moment.
//! What goes back is sent at once: after all that was acknowledged before, since the broker may forget the last of what it
//! is told when the connection ends, and before any acknowledgement that could cover it.

use super::inbox::Inbox;
use super::session::Session;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;

/// For so long what is done waits for more.
const MOMENT: Duration = Duration::from_millis(1);
/// More than so many acknowledgements in one make nothing faster; what they hold up does make it slower.
const MANY: usize = 64;

/// Keeps the channel of deliveries open until they are settled: closing it would return everything delivered on it.
pub(super) struct Lease {
    pub session: Arc<Session>,
    pub channel: Channel,
    book: Mutex<Book>,
    due: Arc<Notify>,
    /// The most that the broker leaves out at a time.
    prefetch: usize,
}

/// Delivery tags of the channel.
#[derive(Debug, Default)]
struct Book {
    /// Delivered and not settled.
    out: BTreeSet<u64>,
    /// Acknowledged, and the broker has not been told.
    done: BTreeSet<u64>,
    /// The writer knows that there are some.
    told: bool,
}

/// How a message goes back. A reject counts an attempt on every version of RabbitMQ, a nack up to 4.2 only.
#[derive(Clone, Copy, Debug)]
pub(super) enum Return {
    Nack,
    Reject,
}

type Sending<'a> = BoxFuture<'a, lapin::Result<()>>;

impl Lease {
    /// A lease on a channel that nobody else uses.
    pub fn new(session: Arc<Session>, channel: Channel, prefetch: u16, runtime: &Handle) -> Arc<Lease> {
        let due = Arc::new(Notify::new());
        let (book, prefetch) = (Mutex::default(), prefetch.into());
        let lease = Arc::new(Lease { session, channel, book, due: due.clone(), prefetch });
        lease.session.hold(Arc::downgrade(&lease));
        runtime.spawn(write(Arc::downgrade(&lease), due));
        lease
    }

    /// What is delivered on its channel goes there, as long as that and this last.
    pub fn fill(self: &Arc<Lease>, inbox: Weak<Inbox>) {
        let lease = Arc::downgrade(self);
        self.session.taps.open(self.channel.id(), move |arrivals| match (inbox.upgrade(), lease.upgrade()) {
            (Some(inbox), Some(lease)) => inbox.put(arrivals, &lease),
            _ => false,
        });
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether lapin and the broker still know the channel and its connection.
    pub fn usable(&self) -> bool {
        self.channel.status().connected() && self.session.alive()
    }

    /// Deliveries came. They come in the order of their tags.
    pub fn delivered(&self, tags: impl Iterator<Item = u64>) {
        self.book().out.extend(tags);
    }

    /// Whether everything is settled, and the broker told.
    pub fn is_idle(&self) -> bool {
        let book = self.book();
        book.out.is_empty() && book.done.is_empty()
    }

    /// Acknowledges a delivery; the broker is told in a moment.
    pub fn ack(&self, tag: u64) {
        let mut book = self.book();
        if !book.out.remove(&tag) {
            return;
        }
        book.done.insert(tag);
        // Several batches have to fit into the prefetch, or the broker has nothing to do while we have, and we while it has.
        let batch = (self.prefetch / 4).clamp(1, MANY);
        if book.done.len() >= batch || book.out.len() + book.done.len() >= self.prefetch {
            drop(book);
            drop(self.flush());
        } else if !std::mem::replace(&mut book.told, true) {
            drop(book);
            self.due.notify_one();
        }
    }

    /// Returns a delivery now. `false` means that the channel is gone, and the message is back already.
    pub fn put_back(&self, tag: u64, how: Return) -> bool {
        let mut book = self.book();
        if !book.out.contains(&tag) {
            return false;
        }
        drop(self.settle(&mut book));
        let sent = match how {
            Return::Nack => {
                let options = BasicNackOptions { requeue: true, ..Default::default() };
                hand_over(self.channel.basic_nack(tag, options).boxed())
            }
            Return::Reject => hand_over(self.channel.basic_reject(tag, BasicRejectOptions { requeue: true }).boxed()),
        };
        // Only now may an acknowledgement of all before it be sent.
        book.out.remove(&tag);
        sent.is_ok()
    }

    /// Tells the broker what has been acknowledged. All is in lapin's hands when this returns; what it returns ends when
    /// the last of it is written.
    pub fn flush(&self) -> Option<Sending<'_>> {
        self.settle(&mut self.book())
    }

    fn settle(&self, book: &mut Book) -> Option<Sending<'_>> {
        let done = std::mem::take(&mut book.done);
        let first_out = book.out.first().copied().unwrap_or(u64::MAX);
        let ack =
            |tag, multiple| hand_over(self.channel.basic_ack(tag, BasicAckOptions { multiple }).boxed()).ok().flatten();
        let mut last = done.range(..first_out).next_back().and_then(|tag| ack(*tag, true));
        for tag in done.range(first_out..) {
            last = ack(*tag, false);
        }
        last
    }
}

/// lapin takes a frame at the first poll of its future, in the order of these; what is left is to wait until it is written.
fn hand_over(mut sending: Sending<'_>) -> lapin::Result<Option<Sending<'_>>> {
    match (&mut sending).now_or_never() {
        Some(done) => done.map(|()| None),
        None => Ok(Some(sending)),
    }
}

/// Writes acknowledgements until the lease ends.
async fn write(lease: Weak<Lease>, due: Arc<Notify>) {
    loop {
        due.notified().await;
        sleep(MOMENT).await;
        let Some(lease) = lease.upgrade() else { return };
        lease.book().told = false;
        if let Some(sending) = lease.flush() {
            // If it cannot be written, the session ends, and with it the deliveries.
            let _ = lease.session.during(sending).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.flush());
        self.due.notify_one();
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("book", &self.book()).finish_non_exhaustive()
    }
}
