//! Who is called, and in which words: the one place that tells the two wire formats apart.

use super::super::{Binding, Exchange, ExchangeKind, Message, Queue, QueueKind, Topology};
use super::{Failure, Request, oat, oslo};
use serde_json::Value;
use std::time::Duration;

/// Who answers requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A service of ours; its requests are in the queue of this name.
    Oat {
        /// The queue.
        name: String,
    },
    /// A service that speaks as oslo.messaging does.
    Oslo {
        /// The topic exchange, `openstack` unless somebody has set another control exchange.
        exchange: String,
        /// Which kind of service.
        topic: String,
        /// Which of them; callers who do not care leave it out.
        server: Option<String>,
    },
}

/// A request as it arrived.
#[derive(Debug)]
pub(super) struct Incoming {
    /// By which it is recognised when it comes again.
    pub id: Option<String>,
    pub request: Request,
    pub reply: Option<Reply>,
    /// How often the caller wants a sign of life while the method runs.
    pub pulse: Option<Duration>,
}

/// Where an answer is expected, and as answer to what.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub queue: String,
    pub id: String,
}

impl Target {
    /// One of ours.
    pub fn oat(name: &str) -> Target {
        Target::Oat { name: name.into() }
    }

    /// One of oslo.messaging's on the exchange `openstack`.
    pub fn oslo(topic: &str, server: Option<&str>) -> Target {
        Target::Oslo { exchange: "openstack".into(), topic: topic.into(), server: server.map(str::to_owned) }
    }

    /// What its server declares.
    pub(super) fn topology(&self) -> Topology {
        match self {
            Target::Oat { name } => oat::topology(name),
            Target::Oslo { exchange, topic, server } => oslo::topology(exchange, topic, server.as_deref()),
        }
    }

    /// Exchange and routing key of its requests.
    pub(super) fn address(&self) -> (&str, String) {
        match self {
            Target::Oat { name } => ("", name.clone()),
            Target::Oslo { exchange, topic, server: None } => (exchange, topic.clone()),
            Target::Oslo { exchange, topic, server: Some(server) } => (exchange, format!("{topic}.{server}")),
        }
    }

    /// A request, and the identifier by which its answer will be known.
    pub(super) fn request(&self, method: &str, args: &Value, answers: Option<&str>) -> (String, Message) {
        match self {
            Target::Oat { .. } => oat::request(method, args, answers),
            Target::Oslo { .. } => oslo::request(method, args, answers),
        }
    }

    /// What has arrived at its server.
    pub(super) fn incoming(&self, message: &Message) -> Result<Incoming, String> {
        match self {
            Target::Oat { .. } => oat::incoming(message),
            Target::Oslo { .. } => oslo::incoming(message),
        }
    }

    /// An answer.
    pub(super) fn answer(&self, id: &str, result: Result<Value, Failure>) -> Message {
        match self {
            Target::Oat { .. } => oat::answer(id, result),
            Target::Oslo { .. } => oslo::answer(id, result),
        }
    }

    /// Which request an answer belongs to.
    pub(super) fn answered(&self, message: &Message) -> Option<String> {
        match self {
            Target::Oat { .. } => message.correlation_id.clone(),
            Target::Oslo { .. } => oslo::answered(message),
        }
    }

    /// What an answer says.
    pub(super) fn result(&self, message: &Message) -> Result<Result<Value, Failure>, String> {
        match self {
            Target::Oat { .. } => oat::result(message),
            Target::Oslo { .. } => oslo::result(message),
        }
    }

    /// A queue for the answers to one client.
    pub(super) fn answers(&self) -> Queue {
        match self {
            Target::Oat { .. } => Queue::exclusive("answers"),
            Target::Oslo { .. } => {
                let name = format!("reply_{}", uuid::Uuid::new_v4().simple());
                Queue::new(&name).kind(QueueKind::Transient).expires(oslo::UNUSED)
            }
        }
    }

    /// The exchange through which a caller says that it waits no longer, if this wire knows such a thing.
    pub(super) fn calling_off(&self) -> Option<Exchange> {
        match self {
            Target::Oat { name } => Some(Exchange::new(&format!("{name}.cancel"), ExchangeKind::Fanout)),
            Target::Oslo { .. } => None,
        }
    }

    /// Whether a request is acknowledged before it is executed: lost with its server rather than executed twice.
    pub(super) fn acknowledges_first(&self) -> bool {
        matches!(self, Target::Oslo { .. })
    }

    /// How long an answer waits for the queue of its caller, who may be reconnecting.
    pub(super) fn patience(&self) -> Duration {
        match self {
            // The broker knows at once that a direct reply-to is gone, and its caller asks again.
            Target::Oat { .. } => Duration::ZERO,
            Target::Oslo { .. } => Duration::from_secs(60),
        }
    }
}

/// One server's ear for callers that wait no longer.
pub(super) fn ear(exchange: &Exchange) -> (Topology, String) {
    let queue = Queue::exclusive(&exchange.name).bound(Binding::new(&exchange.name, ""));
    let name = queue.name.clone();
    (Topology { exchanges: vec![exchange.clone()], queues: vec![queue] }, name)
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Oat { name } => write!(f, "the service {name:?}"),
            Target::Oslo { exchange, .. } => write!(f, "the service {:?} on exchange {exchange:?}", self.address().1),
        }
    }
}
