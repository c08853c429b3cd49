//! Whoever asks waits here. Answers come to a queue of this instance alone, made when the first question is asked, under a
//! key that nobody else has.

use super::super::{Binding, Connection, Consumer, Error, Message, Queue, Topology};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// Answers in hand at a time.
const PREFETCH: u16 = 100;

/// Those who wait, by the correlation identifier of what they asked.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Message>>>>;

/// The questions of one instance.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: Waiting,
    desk: OnceCell<Desk>,
}

#[derive(Debug)]
struct Desk {
    /// The routing key of answers.
    key: String,
    _sorting: AbortOnDropHandle<()>,
}

/// A place in the queue of those who wait. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Question {
    /// What the answer will bear.
    pub correlation_id: String,
    answer: oneshot::Receiver<Message>,
    waiting: Waiting,
}

impl Calls {
    /// The routing key under which answers come here.
    pub async fn key(&self, connection: &Connection, exchange: &str, service: &str) -> Result<&str, Error> {
        let opening = self.desk.get_or_try_init(|| async {
            let queue = Queue::exclusive(&format!("{service}.answers"));
            // It begins with no service's name: what subscribes to `<service>.*` is not for answers.
            let key = format!("return.{}", queue.name);
            let queue = queue.bound(Binding::new(exchange, &key));
            let name = queue.name.clone();
            connection.declare(&Topology { exchanges: Vec::new(), queues: vec![queue] }).await?;
            let consumer = connection.consume(&name, PREFETCH).await?;
            let sorting = tokio::spawn(sort(consumer, self.waiting.clone()));
            Ok(Desk { key, _sorting: AbortOnDropHandle::new(sorting) })
        });
        Ok(&opening.await?.key)
    }

    /// A new question.
    pub fn ask(&self) -> Question {
        let correlation_id = uuid::Uuid::new_v4().simple().to_string();
        let (sender, answer) = oneshot::channel();
        let waiting = self.waiting.clone();
        waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(correlation_id.clone(), sender);
        Question { correlation_id, answer, waiting }
    }
}

impl Question {
    /// The answer, however long it takes. An error if the connection is closed before.
    pub async fn answer(mut self) -> Result<Message, Error> {
        let lost = || Error::Lost { doing: "waiting for an answer".into() };
        (&mut self.answer).await.map_err(|_| lost())
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.correlation_id);
    }
}

/// Hands each answer to whoever waits for it. One that comes late, or twice, is nobody's.
async fn sort(mut consumer: Consumer, waiting: Waiting) {
    while let Some(mut delivery) = consumer.next().await {
        let message = std::mem::take(&mut delivery.message);
        let id = message.correlation_id.clone().unwrap_or_default();
        let asker = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if asker.is_none_or(|asker| asker.send(message).is_err()) {
            tracing::debug!("an answer came for which nobody waits: {id}");
        }
        // Unacknowledged it would come again, to nobody.
        if let Err(error) = delivery.ack().await {
            tracing::debug!("an answer could not be acknowledged: {error}");
        }
    }
    // Those who still wait learn that nothing will come.
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
