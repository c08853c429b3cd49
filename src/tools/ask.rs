//! A command to a service, and its result: on a queue and under a key that nobody else has.

use super::listen;
use crate::bus::{Binding, Connection, Error, Message, Queue, Topology};
use std::time::Duration;

/// How asking ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The service answered.
    Answer(Box<Message>),
    /// It did not in time. The command may be carried out all the same.
    Late,
    /// No service takes this command: it was not sent.
    Nobody,
}

/// Sends `message` to `service.Command` through the exchange of commands and waits for the result that carries its
/// correlation identifier, for as long as `patience`. What comes besides is not for us and is dropped; nobody else
/// could get it.
pub async fn ask(
    connection: &Connection,
    (exchange, command): (&str, &str),
    message: Message,
    patience: Duration,
) -> Result<Reply, Error> {
    if !listen::exists(connection, exchange).await? {
        return Ok(Reply::Nobody);
    }
    let queue = Queue::exclusive("oat.send");
    // eventail answers through the exchange of commands: `reply_to` is a routing key there.
    let (name, correlation) = (queue.name.clone(), uuid::Uuid::new_v4().to_string());
    let queue = queue.bound(Binding::new(exchange, &name));
    connection.declare(&Topology { exchanges: vec![], queues: vec![queue] }).await?;
    let mut replies = connection.consume(&name, 10).await?;
    let message = Message { reply_to: Some(name), correlation_id: Some(correlation.clone()), ..message };
    if !connection.publisher().announce(exchange, command, message).await? {
        return Ok(Reply::Nobody);
    }
    let waiting = async {
        while let Some(delivery) = replies.next().await {
            let answer = delivery.message.clone();
            delivery.ack().await?;
            if answer.correlation_id.as_ref() == Some(&correlation) {
                return Ok(Reply::Answer(Box::new(answer)));
            }
        }
        Err(Error::Lost { doing: "waiting for the result".into() })
    };
    tokio::time::timeout(patience, waiting).await.unwrap_or(Ok(Reply::Late))
}
