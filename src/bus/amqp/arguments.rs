//! What a declaration says on the wire: queues, and bindings to headers exchanges.

use super::super::limits::milliseconds;
use super::super::{Binding, HeaderMatch, Queue, QueueKind};
use super::convert::{outgoing, short};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

/// The properties of a queue of this kind.
pub(super) fn options(kind: QueueKind) -> QueueDeclareOptions {
    QueueDeclareOptions {
        durable: matches!(kind, QueueKind::Quorum | QueueKind::Classic),
        exclusive: kind == QueueKind::Exclusive,
        ..Default::default()
    }
}

/// The arguments of a queue. At-least-once dead-lettering needs `reject-publish`; a limit of -1 means "none" on one version
/// of RabbitMQ and "dead at the first return" on another, so no limit is no argument.
pub(super) fn of_queue(queue: &Queue) -> FieldTable {
    let mut arguments = FieldTable::default();
    let mut add = |name: &str, value: AMQPValue| {
        arguments.insert(name.into(), value);
    };
    let quorum = queue.kind == QueueKind::Quorum;
    // Said for either: a vhost may have a default of its own.
    add("x-queue-type", text(if quorum { "quorum" } else { "classic" }));
    let dead = queue.dead_letter.as_ref().filter(|_| !queue.dead_letter_untold);
    if let Some(dead) = dead {
        add("x-dead-letter-exchange", text(&dead.exchange));
        add("x-dead-letter-routing-key", text(&dead.key));
        if quorum {
            add("x-dead-letter-strategy", text("at-least-once"));
        }
    }
    if queue.max_length.is_some() || (quorum && dead.is_some()) {
        add("x-overflow", text("reject-publish"));
    }
    let numbers = [
        ("x-delivery-limit", queue.delivery_limit.map(i64::from)),
        ("x-expires", queue.expires.map(milliseconds)),
        ("x-message-ttl", queue.message_ttl.map(milliseconds)),
        ("x-max-length", queue.max_length.map(i64::from)),
        ("x-max-priority", queue.max_priority.map(i64::from)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            add(name, AMQPValue::LongLongInt(number));
        }
    }
    arguments
}

/// The arguments of a binding; an error if a header's name is too long for AMQP.
pub(super) fn of_binding(binding: &Binding) -> Result<FieldTable, String> {
    let mut arguments = FieldTable::default();
    let Some((how, headers)) = &binding.headers else { return Ok(arguments) };
    let how = match how {
        HeaderMatch::All => "all",
        HeaderMatch::Any => "any",
    };
    arguments.insert("x-match".into(), text(how));
    for (name, value) in headers {
        arguments.insert(short(name)?, outgoing(value));
    }
    Ok(arguments)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
