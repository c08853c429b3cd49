//! What the tokio side asks of the thread that owns the file, and the line on which it asks.

use super::super::{Depth, Error, Message, Seen, Topology};
use super::inbox::{self, Inbox, Outbox};
use super::rows::Parcel;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Saying goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// One consumer of one connection; numbers are never used twice in a connection.
pub(super) type ConsumerId = u64;

/// What an answer carries: what was asked for, and nothing else.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub depth: Depth,
    pub seen: Vec<Seen>,
    pub names: Vec<String>,
    pub purged: u64,
    pub deleted: bool,
}

/// What the thread says.
pub(super) type Answer = Result<Told, Error>;

/// Work and where its answer goes; who only drops something waits for no answer.
#[derive(Debug)]
pub(super) struct Command {
    pub work: Work,
    pub reply: Option<oneshot::Sender<Answer>>,
}

impl Command {
    /// Whether nobody wants it any more. Whoever gave up on a publish may have sent it again already. What concerns a
    /// message that is out is done in any case: it would stay out for ever.
    pub fn is_abandoned(&self) -> bool {
        let gone = self.reply.as_ref().is_some_and(oneshot::Sender::is_closed);
        let heeded =
            matches!(self.work, Work::Cancel { .. } | Work::Settle { .. } | Work::GiveBack { .. } | Work::Close);
        gone && !heeded
    }
}

/// All that the thread can do.
#[derive(Debug)]
pub(super) enum Work {
    Declare(Topology),
    Publish {
        exchange: String,
        key: String,
        message: Message,
    },
    Consume {
        consumer: ConsumerId,
        queue: String,
        prefetch: u16,
        parcels: UnboundedSender<Parcel>,
    },
    /// Stop feeding a consumer; `unread` had been claimed for it and was never handed out.
    Cancel {
        consumer: ConsumerId,
        unread: Vec<i64>,
    },
    /// Settle the message with this number.
    Settle {
        id: i64,
        how: Settlement,
    },
    /// A delivery was dropped, which is `counted` as a try, or was given back, which is not.
    GiveBack {
        id: i64,
        counted: bool,
    },
    Look(Question),
    /// Remove all that waits in a queue.
    Purge {
        queue: String,
    },
    /// Remove a queue, if `unused` only one without consumers and messages.
    Delete {
        queue: String,
        unused: bool,
    },
    Close,
}

/// What can be asked without changing anything.
#[derive(Debug)]
pub(super) enum Question {
    Depth { queue: String },
    Browse { queue: String, limit: usize },
    Names,
    Check(Topology),
}

impl Work {
    /// Whether it needs to know who is alive: what the dead held is ready, and what was theirs alone is gone.
    pub fn minds_the_dead(&self) -> bool {
        match self {
            Work::Publish { .. } | Work::Cancel { .. } | Work::Settle { .. } | Work::GiveBack { .. } | Work::Close => {
                false
            }
            Work::Declare(_) | Work::Consume { .. } | Work::Look(_) | Work::Purge { .. } | Work::Delete { .. } => true,
        }
    }
}

/// How a delivery ends.
#[derive(Debug)]
pub(super) enum Settlement {
    Ack,
    /// This message comes in its stead, at the end of `queue`, when `delay` is over.
    Retry {
        queue: String,
        message: Message,
        delay: Duration,
    },
    /// This message goes where the dead letters of `queue` go.
    Bury {
        queue: String,
        message: Message,
    },
}

/// The line to the thread, one for each handle. When the last is gone, the thread says goodbye by itself.
#[derive(Clone, Debug)]
pub(super) struct Line {
    outbox: Outbox,
    /// How long to wait for an answer: another program may keep the file locked for as long as it likes.
    patience: Duration,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    consumers: AtomicU64,
}

/// The thread's end of [`Line`]'s shared state: it must not hold a line, or it would never see the last one go.
#[derive(Debug)]
pub(super) struct Door(Arc<Shared>);

impl Drop for Door {
    /// However the thread ends.
    fn drop(&mut self) {
        self.shut();
    }
}

impl Door {
    /// From now on nothing that was claimed is handed out any more.
    pub fn shut(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }
}

impl Line {
    /// A line, and the thread's ends of it.
    pub fn new(patience: Duration) -> Result<(Line, Inbox, Door), std::io::Error> {
        let (outbox, inbox) = inbox::pair()?;
        let shared = Arc::new(Shared::default());
        Ok((Line { outbox, patience, shared: shared.clone() }, inbox, Door(shared)))
    }

    /// Asks and waits. What settles a delivery is done once this has been polled, whether anybody awaits it or not; other
    /// work that nobody awaits any more is left undone.
    pub async fn ask(&self, doing: &str, work: Work) -> Answer {
        self.ask_within(self.patience, doing, work).await
    }

    /// The same without waiting long: whoever leaves must not be kept by a file that others keep locked.
    pub async fn ask_leaving(&self, doing: &str, work: Work) -> Answer {
        self.ask_within(self.patience.min(GOODBYE), doing, work).await
    }

    async fn ask_within(&self, limit: Duration, doing: &str, work: Work) -> Answer {
        let (reply, answer) = oneshot::channel();
        let lost = || Error::Lost { doing: doing.into() };
        self.outbox.send(Command { work, reply: Some(reply) }).map_err(|_| lost())?;
        let late = |_| Error::TimedOut { what: doing.into(), seconds: limit.as_secs() };
        timeout(limit, answer).await.map_err(late)?.map_err(|_| lost())?
    }

    /// Asks without waiting. If the thread has ended, it has given everything back already.
    pub fn tell(&self, work: Work) {
        self.outbox.send(Command { work, reply: None }).ok();
    }

    /// Whether the connection was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    /// A number for a new consumer.
    pub fn number(&self) -> ConsumerId {
        self.shared.consumers.fetch_add(1, Ordering::Relaxed)
    }
}
