//! Declarations: plain data, compared and sent as they are. Live objects are elsewhere.

/// How an exchange finds the queues for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// The routing key equals the binding's.
    Direct,
    /// The binding's key is a pattern: `*` is one word, `#` any number of words, words are split at dots.
    Topic,
    /// Every bound queue.
    Fanout,
}

impl ExchangeKind {
    /// AMQP's name for it.
    pub fn name(self) -> &'static str {
        match self {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Fanout => "fanout",
        }
    }
}

/// A durable exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name; the empty name is AMQP's default exchange and is never declared.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
}

impl Exchange {
    /// A durable exchange.
    pub fn new(name: &str, kind: ExchangeKind) -> Exchange {
        Exchange { name: name.into(), kind }
    }
}

/// What leads from an exchange to the queue that owns this binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The exchange it starts from.
    pub exchange: String,
    /// The routing key, or the pattern if the exchange is a topic.
    pub key: String,
}

impl Binding {
    /// A binding to `exchange` under `key`.
    pub fn new(exchange: &str, key: &str) -> Binding {
        Binding { exchange: exchange.into(), key: key.into() }
    }
}

/// A durable queue. On RabbitMQ it is a quorum queue: from 4.0 on, only its confirms survive a power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Where its messages come from.
    pub bindings: Vec<Binding>,
    /// Exchange and routing key for what is rejected or came back too often; without it such messages are
    /// refused a settlement that would lose them: `reject` is then an error.
    pub dead_letter: Option<Binding>,
    /// How often a message may come back before it is dead: a limit of N means N + 1 deliveries.
    pub delivery_limit: Option<u32>,
}

impl Queue {
    /// A queue without bindings.
    pub fn new(name: &str) -> Queue {
        Queue { name: name.into(), bindings: Vec::new(), dead_letter: None, delivery_limit: None }
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

    /// The same with a limit on returns.
    pub fn delivery_limit(mut self, returns: u32) -> Queue {
        self.delivery_limit = Some(returns);
        self
    }
}

/// All that a program needs declared. Declaring it again changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Exchanges, declared first.
    pub exchanges: Vec<Exchange>,
    /// Queues with their bindings.
    pub queues: Vec<Queue>,
}
