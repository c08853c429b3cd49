//! Declarations: plain data, compared and sent as they are. Live objects are elsewhere.

use super::HeaderValue;
use std::collections::BTreeMap;
use std::time::Duration;

/// How an exchange finds the queues for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// The routing key equals the binding's.
    Direct,
    /// The binding's key is a pattern: `*` is one word, `#` any number of words, words are split at dots.
    Topic,
    /// Every bound queue.
    Fanout,
    /// The message's headers match those of the binding.
    Headers,
}

impl ExchangeKind {
    /// All of them.
    pub const ALL: [ExchangeKind; 4] =
        [ExchangeKind::Direct, ExchangeKind::Topic, ExchangeKind::Fanout, ExchangeKind::Headers];

    /// AMQP's name for it.
    pub fn name(self) -> &'static str {
        match self {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Headers => "headers",
        }
    }
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name; the empty name is AMQP's default exchange and is never declared.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Whether it survives the broker. A file keeps every exchange.
    pub durable: bool,
    /// Whether it goes with its last binding. A file keeps every exchange.
    pub auto_delete: bool,
}

impl Exchange {
    /// A durable exchange.
    pub fn new(name: &str, kind: ExchangeKind) -> Exchange {
        Exchange { name: name.into(), kind, durable: true, auto_delete: false }
    }

    /// The same, gone with the broker, as others have declared theirs.
    pub fn transient(mut self) -> Exchange {
        self.durable = false;
        self
    }

    /// The same, gone with its last binding.
    pub fn auto_delete(mut self) -> Exchange {
        self.auto_delete = true;
        self
    }
}

/// How many of a binding's headers a message must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMatch {
    /// Each of them, with the same value (`x-match: all`).
    All,
    /// At least one of them, with the same value (`x-match: any`).
    Any,
}

/// What leads from an exchange to the queue that owns this binding.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The exchange it starts from.
    pub exchange: String,
    /// The routing key, or the pattern if the exchange is a topic.
    pub key: String,
    /// What a headers exchange compares; other exchanges do not look at it.
    pub headers: Option<(HeaderMatch, BTreeMap<String, HeaderValue>)>,
}

impl Binding {
    /// A binding to `exchange` under `key`.
    pub fn new(exchange: &str, key: &str) -> Binding {
        Binding { exchange: exchange.into(), key: key.into(), headers: None }
    }

    /// A binding to a headers exchange.
    pub fn headers(exchange: &str, how: HeaderMatch, headers: BTreeMap<String, HeaderValue>) -> Binding {
        Binding { exchange: exchange.into(), key: String::new(), headers: Some((how, headers)) }
    }
}

/// How long a queue lives, and what RabbitMQ makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueKind {
    /// Durable, replicated: from RabbitMQ 4.0 on, only its confirms survive a power cut. Counts returns.
    #[default]
    Quorum,
    /// Durable, on one node, as programs without a preference declare theirs. Has priorities, counts no returns.
    Classic,
    /// Gone with the broker; others may use it.
    Transient,
    /// Of one connection: nobody else may use it, and it goes with that connection (after a reconnection, an empty one of
    /// the same name is there).
    Exclusive,
}

impl QueueKind {
    /// All of them.
    pub const ALL: [QueueKind; 4] = [QueueKind::Quorum, QueueKind::Classic, QueueKind::Transient, QueueKind::Exclusive];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            QueueKind::Quorum => "quorum",
            QueueKind::Classic => "classic",
            QueueKind::Transient => "transient",
            QueueKind::Exclusive => "exclusive",
        }
    }
}

/// A queue. A file keeps what it holds whatever its kind, until an exclusive one's connection is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// How long it lives.
    pub kind: QueueKind,
    /// Where its messages come from.
    pub bindings: Vec<Binding>,
    /// Exchange and routing key for what is rejected, expired or came back too often; without it such messages are
    /// refused a settlement that would lose them: `reject` is then an error.
    pub dead_letter: Option<Binding>,
    /// Keeps `dead_letter` from the broker, because others declare this queue without: only what is rejected here goes
    /// there then.
    pub dead_letter_untold: bool,
    /// How often a message may come back before it is dead: a limit of N means N + 1 deliveries. Without one a message may
    /// come back as often as it will, but RabbitMQ takes 20 from 4.0 on, and drops it then if there is no `dead_letter`.
    pub delivery_limit: Option<u32>,
    /// After how long without consumers and declarations the queue goes away (`x-expires`).
    pub expires: Option<Duration>,
    /// How long a message may wait (`x-message-ttl`).
    pub message_ttl: Option<Duration>,
    /// How many messages may wait before publishing is refused (`x-max-length` with `reject-publish`).
    pub max_length: Option<u32>,
    /// Messages of a higher priority, up to this one, come first (`x-max-priority`); not for quorum queues.
    pub max_priority: Option<u8>,
}

impl Queue {
    /// A quorum queue without bindings.
    pub fn new(name: &str) -> Queue {
        Queue {
            name: name.into(),
            kind: QueueKind::Quorum,
            bindings: Vec::new(),
            dead_letter: None,
            dead_letter_untold: false,
            delivery_limit: None,
            expires: None,
            message_ttl: None,
            max_length: None,
            max_priority: None,
        }
    }

    /// A queue of one connection, with a name that nobody else has: `what` and 32 hexadecimal digits.
    pub fn exclusive(what: &str) -> Queue {
        Queue::new(&format!("{what}.{}", uuid::Uuid::new_v4().simple())).kind(QueueKind::Exclusive)
    }

    /// The same of another kind.
    pub fn kind(mut self, kind: QueueKind) -> Queue {
        self.kind = kind;
        self
    }

    /// The same with one binding more.
    pub fn bound(mut self, binding: Binding) -> Queue {
        self.bindings.push(binding);
        self
    }

    /// The same with an exchange for its dead letters.
    pub fn dead_letters_to(mut self, exchange: &str, key: &str) -> Queue {
        self.dead_letter = Some(Binding::new(exchange, key));
        self
    }

    /// The same, with an exchange for what is rejected here. The broker is not told, so that this may be a queue which
    /// other programs declare without dead letters.
    pub fn rejects_to(self, exchange: &str, key: &str) -> Queue {
        Queue { dead_letter_untold: true, ..self.dead_letters_to(exchange, key) }
    }

    /// The same with a limit on returns.
    pub fn delivery_limit(mut self, returns: u32) -> Queue {
        self.delivery_limit = Some(returns);
        self
    }

    /// The same, gone when nobody has used it for so long.
    pub fn expires(mut self, idle: Duration) -> Queue {
        self.expires = Some(idle);
        self
    }

    /// The same with a limit on waiting.
    pub fn message_ttl(mut self, waiting: Duration) -> Queue {
        self.message_ttl = Some(waiting);
        self
    }

    /// The same with a limit on its length.
    pub fn max_length(mut self, messages: u32) -> Queue {
        self.max_length = Some(messages);
        self
    }

    /// The same with priorities from 0 to `highest`.
    pub fn max_priority(mut self, highest: u8) -> Queue {
        self.max_priority = Some(highest);
        self
    }
}

/// All that a program needs declared. Declaring it again changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// Exchanges, declared first.
    pub exchanges: Vec<Exchange>,
    /// Queues with their bindings.
    pub queues: Vec<Queue>,
}
