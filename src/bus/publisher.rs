//! The sending end.

use super::{Error, Message, amqp, local};

/// Sends messages through exchanges.
#[derive(Clone, Debug)]
pub enum Publisher {
    /// To RabbitMQ.
    Amqp(amqp::Publisher),
    /// Into a file.
    Local(local::Publisher),
}

impl Publisher {
    /// Returns when the message is durable in at least one queue.
    ///
    /// Waits through a reconnection, up to the connection's `confirm_timeout`. After [`Error::TimedOut`] the message
    /// may be there or not: publishing it again may deliver it twice, which is why messages carry identifiers.
    pub async fn publish(&self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        match self {
            Publisher::Amqp(publisher) => publisher.publish(exchange, key, message).await,
            Publisher::Local(publisher) => publisher.publish(exchange, key, message).await,
        }
    }

    /// The same for what nobody needs to hear, an event for example. Tells whether any queue got it.
    pub async fn announce(&self, exchange: &str, key: &str, message: Message) -> Result<bool, Error> {
        match self.publish(exchange, key, message).await {
            Ok(()) => Ok(true),
            Err(Error::Unroutable { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
