//! Which exchange and queue carries what: data only.
//!
//! A producer declares all of it, queues included, so that nothing published before the first worker ran is
//! lost (the original declared the exchange alone, and RabbitMQ drops what no queue is bound to).

use crate::bus::{Binding, Exchange, ExchangeKind, Queue, Topology};

/// The names on one bus. A prefix lets several systems share a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Exchange and queue of tasks on their way to the workers.
    pub tasks: String,
    /// Exchange and queue of results on their way to the tracker.
    pub results: String,
    /// Exchange and queue of messages that could not be handled.
    pub dead: String,
    /// Topic exchange of events, which eventail's services know by the same name.
    pub events: String,
    /// Topic exchange of log lines, likewise.
    pub logs: String,
}

impl Names {
    /// The seed's names, behind a prefix that is usually empty.
    pub fn new(prefix: &str) -> Names {
        let name = |what: &str| format!("{prefix}{what}");
        Names {
            tasks: name("tasks"),
            results: name("results"),
            dead: name("dead"),
            events: name("events"),
            logs: name("logs"),
        }
    }

    /// Durable direct exchanges, a quorum queue behind each, the routing key being the queue's name.
    pub fn topology(&self) -> Topology {
        let all = [&self.tasks, &self.results, &self.dead];
        Topology {
            exchanges: all.map(|name| Exchange::new(name, ExchangeKind::Direct)).to_vec(),
            queues: all.map(|name| self.queue(name)).to_vec(),
        }
    }

    /// The broker's delivery limit is a backstop behind the worker's own count of attempts. It is an argument
    /// of the queue and so can never change on a queue that exists: RabbitMQ answers 406.
    fn queue(&self, name: &str) -> Queue {
        let queue = Queue::new(name).bound(Binding::new(name, name));
        match name == self.dead {
            true => queue,
            false => queue.dead_letters_to(&self.dead, &self.dead).delivery_limit(20),
        }
    }
}
