//! The receiving end.

use super::{Delivery, amqp, local};

/// Takes deliveries from one queue. Dropping it gives back what it has not handed out.
#[derive(Debug)]
pub enum Consumer {
    /// From RabbitMQ.
    Amqp(amqp::Consumer),
    /// From a file.
    Local(local::Consumer),
}

impl Consumer {
    /// The next delivery; waits for one through any number of reconnections.
    ///
    /// `None` comes only after [`cancel`](Self::cancel) or when the connection was closed; at any other time the bus itself
    /// has broken, and has logged an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        match self {
            Consumer::Amqp(consumer) => consumer.next().await,
            Consumer::Local(consumer) => consumer.next().await,
        }
    }

    /// Takes no more: what was fetched and not handed out goes back. Deliveries already handed out can still be settled.
    pub async fn cancel(&mut self) {
        match self {
            Consumer::Amqp(consumer) => consumer.cancel().await,
            Consumer::Local(consumer) => consumer.cancel().await,
        }
    }
}
