//! What a service is called, what it listens to, and how patient it is.

use super::super::{Backoff, Exchange, ExchangeKind, Options};
use std::time::Duration;

/// The exchanges that all services of one system share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanges {
    /// Topic, durable; the routing key is the event's name.
    pub events: String,
    /// Topic, durable; commands, and results under the key that their `reply_to` said.
    pub commands: String,
    /// Topic, durable; the key is `<service>.<LEVEL>`.
    pub logs: String,
    /// Topic, durable; the key is the configuration's name.
    pub configurations: String,
    /// Direct, durable, unknown to eventail; the key is `<service>.dead`.
    pub dead: String,
}

impl Exchanges {
    /// eventail's names, behind a prefix that is usually empty.
    pub fn new(prefix: &str) -> Exchanges {
        let name = |what: &str| format!("{prefix}{what}");
        Exchanges {
            events: name("events"),
            commands: name("commands"),
            logs: name("logs"),
            configurations: name("configurations"),
            dead: name("dead"),
        }
    }

    /// How they are declared.
    pub fn declared(&self) -> Vec<Exchange> {
        let topics = [&self.events, &self.commands, &self.logs, &self.configurations];
        let topics = topics.map(|name| Exchange::new(name, ExchangeKind::Topic));
        topics.into_iter().chain([Exchange::new(&self.dead, ExchangeKind::Direct)]).collect()
    }
}

impl Default for Exchanges {
    fn default() -> Exchanges {
        Exchanges::new("")
    }
}

/// Which queues a service reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queues {
    /// `<service>.events` and `<service>.commands`, shared by all instances and declared without a word more than eventail
    /// says, so that instances of either kind may work side by side, now or in the middle of a migration. Such queues count
    /// no deliveries and eventail does not understand a copy: what has to be tried again waits in `<service>.retries`.
    #[default]
    Shared,
    /// The same names as quorum queues, when all instances are ours: from RabbitMQ 4.0 on only their confirms survive a
    /// power cut. Where eventail was first, opening is an [`Error::Conflict`](super::super::Error::Conflict).
    Quorum,
    /// Queues of this instance alone, which go with it: for tools that look and must not take anything from anybody. What
    /// cannot be handled is logged and gone.
    Exclusive,
}

/// How a service is set up.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// What the service is called. All its instances have the same name.
    pub name: String,
    /// Patterns of the events to handle.
    pub events: Vec<String>,
    /// Patterns of the commands to answer and of the results to handle, usually `<service>.*`.
    pub commands: Vec<String>,
    /// Patterns of configurations. If there are any, nothing else is handled until a handler has answered one with `true`.
    pub configurations: Vec<String>,
    /// Which queues it reads.
    pub queues: Queues,
    /// Writes JSON instead of CBOR. Either is read.
    pub json: bool,
    /// Messages of one queue in hand at a time, all being handled at once; 1 keeps their order.
    pub prefetch: u16,
    /// A message that failed so often is dead.
    pub max_attempts: u32,
    /// How long a message waits after a failure.
    pub backoff: Backoff,
    /// How long handlers may go on after shutdown was asked for.
    pub grace: Duration,
    /// The names of the exchanges.
    pub exchanges: Exchanges,
    /// How to connect.
    pub connection: Options,
}

impl ServiceOptions {
    /// A service that listens to nothing yet.
    pub fn new(name: &str) -> ServiceOptions {
        ServiceOptions {
            name: name.into(),
            events: Vec::new(),
            commands: Vec::new(),
            configurations: Vec::new(),
            queues: Queues::default(),
            json: false,
            prefetch: 1,
            max_attempts: 5,
            backoff: Backoff::doubling(Duration::from_millis(500), Duration::from_secs(60)),
            grace: Duration::from_secs(30),
            exchanges: Exchanges::default(),
            connection: Options { name: name.into(), ..Options::default() },
        }
    }

    /// The same, which handles these events.
    pub fn events(mut self, patterns: &[&str]) -> ServiceOptions {
        self.events.extend(patterns.iter().map(|&pattern| pattern.into()));
        self
    }

    /// The same, which handles these commands and results.
    pub fn commands(mut self, patterns: &[&str]) -> ServiceOptions {
        self.commands.extend(patterns.iter().map(|&pattern| pattern.into()));
        self
    }

    /// The same, which handles these configurations, and waits for one.
    pub fn configurations(mut self, patterns: &[&str]) -> ServiceOptions {
        self.configurations.extend(patterns.iter().map(|&pattern| pattern.into()));
        self
    }
}
