//! What can go wrong on a bus, as far as a caller can act on it. No message contains a password.

/// Why the bus did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used: its syntax, its scheme, a missing path.
    #[error("cannot use {url} as a bus: {why}")]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there: refused, no such host, time-out, TLS.
    #[error("cannot reach the message bus at {url}: {why}")]
    Unreachable {
        /// The URL, without its password.
        url: String,
        /// What the attempt met.
        why: String,
    },
    /// The broker answers and says no: wrong user or password, no permission, no such vhost.
    #[error("the message bus at {url} refuses: {why}")]
    Refused {
        /// The URL, without its password.
        url: String,
        /// The broker's words.
        why: String,
    },
    /// An exchange or a queue exists with other properties (406).
    #[error("{what} exists with other properties: {why}")]
    Conflict {
        /// Such as `queue "tasks"`.
        what: String,
        /// Which property, in the broker's words.
        why: String,
    },
    /// No queue is bound there: the message would have been lost, and was not sent.
    #[error("no queue is bound to exchange {exchange:?} with key {key:?}")]
    Unroutable {
        /// The exchange.
        exchange: String,
        /// The routing key.
        key: String,
    },
    /// The broker did not take the message: a full queue, for instance.
    #[error("the message bus did not accept the message: {why}")]
    Nacked {
        /// As far as it says.
        why: String,
    },
    /// No confirmation in time. It may have arrived all the same: send again, with the same identifier.
    #[error("no answer within {seconds} s: {what}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// No such queue or exchange.
    #[error("{what} does not exist")]
    Missing {
        /// Such as `queue "tasks"`.
        what: String,
    },
    /// The queue has no dead-letter exchange, and rejecting would lose the message.
    #[error("queue {queue:?} has no dead-letter exchange")]
    NoDeadLetter {
        /// The queue.
        queue: String,
    },
    /// The connection went away while settling. The message will be delivered again.
    #[error("the connection was lost while {doing}")]
    Lost {
        /// What was going on.
        doing: String,
    },
    /// This transport, or this kind of queue, cannot do that.
    #[error("{what}: {why}")]
    Unsupported {
        /// Such as `queue "tasks"`.
        what: String,
        /// What it cannot do, and what can.
        why: String,
    },
    /// A name that starts with `amq.` is the broker's own (403).
    #[error("{what}: names that start with \"amq.\" are kept for the broker; choose another")]
    Reserved {
        /// Such as `queue "amq.mine"`.
        what: String,
    },
    /// A body is not what its content type or encoding says, or unpacks to more than is allowed.
    #[error("cannot read the body: {why}")]
    Body {
        /// What is wrong with it.
        why: String,
    },
    /// The file of an embedded bus does not work: disk full, read-only, written by a newer oat.
    #[error("the bus file {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// SQLite's words, or ours.
        why: String,
    },
}

impl Error {
    /// Whether it was the way and not the message: the same may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Error::Lost { .. } | Error::TimedOut { .. } | Error::Unreachable { .. })
    }
}
