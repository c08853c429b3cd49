//! What cannot be declared, found without asking anybody: both transports refuse the same, in the same words.

use super::{Error, Queue, QueueKind, Topology};
use std::time::Duration;

/// AMQP counts milliseconds, and RabbitMQ's timers end here.
const LONGEST: Duration = Duration::from_millis(u32::MAX as u64);

/// The first thing in a topology that no broker would declare, as an error.
pub(super) fn check(topology: &Topology) -> Result<(), Error> {
    let exchanges = topology.exchanges.iter().map(|exchange| ("exchange", &exchange.name));
    let queues = topology.queues.iter().map(|queue| ("queue", &queue.name));
    for (what, name) in exchanges.chain(queues) {
        if name.starts_with("amq.") {
            return Err(Error::Reserved { what: format!("{what} {name:?}") });
        }
        let refuse = |why: &str| Err(Error::Unsupported { what: format!("{what} {name:?}"), why: why.into() });
        match name.len() {
            0 if what == "queue" => return refuse("a queue needs a name"),
            256.. => return refuse("a name has at most 255 bytes"),
            _ => {}
        }
    }
    topology.queues.iter().try_for_each(queue)
}

fn queue(queue: &Queue) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Unsupported { what: format!("queue {:?}", queue.name), why: why.into() });
    if queue.kind == QueueKind::Quorum && queue.max_priority.is_some() {
        return refuse("a quorum queue has no priorities; declare a classic one, or one queue for each priority");
    }
    if queue.kind != QueueKind::Quorum && queue.delivery_limit.is_some() {
        return refuse("only a quorum queue counts what comes back; declare it as one, or without a delivery limit");
    }
    if queue.expires.is_some_and(|idle| idle < Duration::from_millis(1)) {
        return refuse("it would expire at once; give it at least a millisecond");
    }
    match [queue.expires, queue.message_ttl].into_iter().flatten().any(|time| time > LONGEST) {
        true => refuse("RabbitMQ counts no more than 49 days; choose a shorter time"),
        false => Ok(()),
    }
}

/// A span in the whole milliseconds in which AMQP, and the file, keep it.
pub(super) fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Exchange, ExchangeKind};

    fn refused(queue: Queue) -> Option<Error> {
        check(&Topology { exchanges: vec![], queues: vec![queue] }).err()
    }

    #[test]
    fn what_no_broker_would_declare_is_refused() {
        let queue = Queue::new("q");
        let year = Duration::from_secs(365 * 86_400);
        for wrong in [
            queue.clone().max_priority(3),
            queue.clone().kind(QueueKind::Classic).delivery_limit(3),
            queue.clone().expires(Duration::ZERO),
            queue.clone().message_ttl(year),
            Queue::new(""),
            Queue::new(&"q".repeat(256)),
        ] {
            assert!(matches!(refused(wrong.clone()), Some(Error::Unsupported { .. })), "{wrong:?}");
        }
        assert!(matches!(refused(Queue::new("amq.mine")), Some(Error::Reserved { .. })));
        let exchanges = vec![Exchange::new("amq.topic", ExchangeKind::Topic)];
        assert!(matches!(check(&Topology { exchanges, queues: vec![] }), Err(Error::Reserved { .. })));
        assert!(refused(queue.clone().kind(QueueKind::Classic).max_priority(3)).is_none());
        assert!(refused(queue.delivery_limit(3).message_ttl(Duration::ZERO)).is_none());
    }
}
