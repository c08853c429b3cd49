//! Which queues a service has, by its options: data only.

use super::super::{Binding, Queue, QueueKind, Topology};
use super::options::{Queues, ServiceOptions};

/// The backstop of RabbitMQ behind our own count. It is an argument of the queue, and can never change.
const DELIVERY_LIMIT: u32 = 20;

/// A queue that a service reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub queue: Queue,
    /// Where what failed is tried again; in the queue itself if there is nothing here.
    pub retries: Option<String>,
    /// Nothing else is read until this one has brought what is needed.
    pub configures: bool,
}

/// The queues that a service reads, and those behind them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sources {
    pub read: Vec<Source>,
    behind: Vec<Queue>,
}

impl Sources {
    /// What these options ask for.
    pub fn new(options: &ServiceOptions) -> Sources {
        let mut sources = Sources::default();
        let exchanges = &options.exchanges;
        for (what, exchange, patterns) in
            [("events", &exchanges.events, &options.events), ("commands", &exchanges.commands, &options.commands)]
        {
            if !patterns.is_empty() {
                let queue = bound(shared(options, what), exchange, patterns);
                let retries = (options.queues == Queues::Shared).then(|| retries(options));
                sources.read.push(Source { queue, retries, configures: false });
            }
        }
        if options.queues == Queues::Shared && !sources.read.is_empty() {
            let queue = Queue::new(&retries(options)).delivery_limit(DELIVERY_LIMIT);
            let queue = queue.dead_letters_to(&exchanges.dead, &dead(options));
            sources.read.push(Source { queue, retries: None, configures: false });
        }
        if !options.configurations.is_empty() {
            let queue = mourned(options, Queue::exclusive(&name(options, "configurations")));
            let queue = bound(queue, &exchanges.configurations, &options.configurations);
            sources.read.push(Source { queue, retries: None, configures: true });
        }
        if sources.read.iter().any(|source| source.queue.dead_letter.is_some()) {
            let name = dead(options);
            sources.behind.push(Queue::new(&name).bound(Binding::new(&exchanges.dead, &name)));
        }
        sources
    }

    /// What has to be declared, exchanges included.
    pub fn topology(&self, options: &ServiceOptions) -> Topology {
        let read = self.read.iter().map(|source| source.queue.clone());
        Topology { exchanges: options.exchanges.declared(), queues: self.behind.iter().cloned().chain(read).collect() }
    }

    /// Whether there is something to wait for before the rest.
    pub fn configured_by_others(&self) -> bool {
        self.read.iter().any(|source| source.configures)
    }
}

fn name(options: &ServiceOptions, what: &str) -> String {
    format!("{}.{what}", options.name)
}

fn retries(options: &ServiceOptions) -> String {
    name(options, "retries")
}

/// The queue of dead letters, and its routing key.
fn dead(options: &ServiceOptions) -> String {
    name(options, "dead")
}

fn shared(options: &ServiceOptions, what: &str) -> Queue {
    let name = name(options, what);
    match options.queues {
        Queues::Shared => {
            Queue::new(&name).kind(QueueKind::Classic).rejects_to(&options.exchanges.dead, &dead(options))
        }
        Queues::Quorum => mourned(options, Queue::new(&name).delivery_limit(DELIVERY_LIMIT)),
        Queues::Exclusive => Queue::exclusive(&name),
    }
}

/// With dead letters, unless nothing is to remain of the service.
fn mourned(options: &ServiceOptions, queue: Queue) -> Queue {
    match options.queues {
        Queues::Shared | Queues::Quorum => queue.dead_letters_to(&options.exchanges.dead, &dead(options)),
        Queues::Exclusive => queue,
    }
}

fn bound(queue: Queue, exchange: &str, patterns: &[String]) -> Queue {
    patterns.iter().fold(queue, |queue, pattern| queue.bound(Binding::new(exchange, pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(kind: Queues) -> Vec<Queue> {
        let options = ServiceOptions::new("shop").events(&["OrderPlaced"]).commands(&["shop.*"]);
        let options = ServiceOptions { queues: kind, ..options };
        Sources::new(&options).topology(&options).queues
    }

    #[test]
    fn shared_queues_are_declared_as_eventail_does() {
        let queues = queues(Queues::Shared);
        let names: Vec<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
        assert_eq!(names, ["shop.dead", "shop.events", "shop.commands", "shop.retries"]);
        let plain = |queue: &Queue| queue.kind == QueueKind::Classic && queue.dead_letter_untold;
        assert!(plain(&queues[1]) && plain(&queues[2]));
        assert_eq!((queues[3].kind, queues[3].delivery_limit), (QueueKind::Quorum, Some(DELIVERY_LIMIT)));
    }

    #[test]
    fn exclusive_queues_leave_nothing_behind() {
        let queues = queues(Queues::Exclusive);
        assert_eq!(queues.len(), 2);
        assert!(queues.iter().all(|queue| queue.kind == QueueKind::Exclusive && queue.dead_letter.is_none()));
    }

    #[test]
    fn a_service_that_only_publishes_has_no_queues() {
        let options = ServiceOptions::new("shop");
        assert!(Sources::new(&options).topology(&options).queues.is_empty());
    }
}
