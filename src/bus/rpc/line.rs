//! How a client asks and hears: by RabbitMQ's direct reply-to where both ends know it, else by a queue of its own.

use super::super::{Connection, Consumer, Error, Message, Publisher, Topology, amqp};
use super::Target;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Who waits for the answer to which request; nobody any more once no answer can come.
pub(super) struct Waiting(Mutex<Option<HashMap<String, oneshot::Sender<Message>>>>);

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting(Mutex::new(Some(HashMap::new())))
    }
}

impl Waiting {
    pub fn expect(&self, id: &str) -> oneshot::Receiver<Message> {
        let (sender, receiver) = oneshot::channel();
        if let Some(all) = self.lock().as_mut() {
            all.insert(id.into(), sender);
        }
        receiver
    }

    pub fn forget(&self, id: &str) {
        self.take(id);
    }

    fn hear(&self, id: Option<String>, answer: Message) {
        let waits = id.and_then(|id| self.take(&id));
        // Whoever stopped waiting at this moment is as good as one who never did.
        if waits.is_none_or(|sender| sender.send(answer).is_err()) {
            tracing::debug!("an answer that nobody waits for");
        }
    }

    /// No answer can come any more.
    pub fn give_up(&self) {
        self.lock().take();
    }

    fn take(&self, id: &str) -> Option<oneshot::Sender<Message>> {
        self.lock().as_mut()?.remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<String, oneshot::Sender<Message>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client asks and hears by.
pub(super) enum Line {
    Direct(amqp::Requester),
    Queue { publisher: Publisher, name: String, stop: CancellationToken },
}

impl Line {
    /// A line; `tasks` hears at it and clears up behind it.
    pub async fn open(
        bus: &Connection,
        target: &Target,
        waiting: Arc<Waiting>,
        tasks: &TaskTracker,
    ) -> Result<Line, Error> {
        if let (Connection::Amqp(connection), Target::Oat { .. }) = (bus, target) {
            let target = target.clone();
            let hear = move |answer: Message| waiting.hear(target.answered(&answer), answer);
            return Ok(Line::Direct(connection.requester(Arc::new(hear))));
        }
        let queue = target.answers();
        let name = queue.name.clone();
        bus.declare(&Topology { exchanges: Vec::new(), queues: vec![queue] }).await?;
        let consumer = bus.consume(&name, 100).await?;
        let stop = CancellationToken::new();
        let ear = Ear { bus: bus.clone(), consumer, name: name.clone(), target: target.clone(), waiting };
        tasks.spawn(ear.listen(stop.clone()));
        Ok(Line::Queue { publisher: bus.publisher(), name, stop })
    }

    /// The queue to which answers come, if it is one.
    pub fn answers(&self) -> Option<&str> {
        match self {
            Line::Direct(_) => None,
            Line::Queue { name, .. } => Some(name),
        }
    }

    /// Hears no more.
    pub fn close(&self) {
        if let Line::Queue { stop, .. } = self {
            stop.cancel();
        }
    }

    /// Sends the request, again if its answer was lost on the way, and waits; the caller sees to it that this ends.
    pub async fn ask(
        &self,
        address: (&str, &str),
        message: Message,
        until: Instant,
        mut answer: oneshot::Receiver<Message>,
    ) -> Result<Message, Error> {
        match self {
            Line::Direct(requester) => loop {
                let gone = requester.ask(address.1, message.clone(), until).await?;
                tokio::select! {
                    biased;
                    answer = &mut answer => return answer.map_err(|_| closed()),
                    () = gone.cancelled() => {}
                }
            },
            Line::Queue { publisher, .. } => {
                let message = message.expires_after(until.saturating_duration_since(Instant::now()));
                publisher.publish(address.0, address.1, message).await?;
                answer.await.map_err(|_| closed())
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}

/// Hears at a queue.
struct Ear {
    bus: Connection,
    consumer: Consumer,
    name: String,
    target: Target,
    waiting: Arc<Waiting>,
}

impl Ear {
    async fn listen(mut self, stop: CancellationToken) {
        while let Some(Some(mut delivery)) = stop.run_until_cancelled(self.consumer.next()).await {
            let answer = std::mem::take(&mut delivery.message);
            // Should it come again, nobody waits for it.
            if let Err(error) = delivery.ack().await {
                tracing::debug!(%error, "an answer could not be acknowledged");
            }
            self.waiting.hear(self.target.answered(&answer), answer);
        }
        self.waiting.give_up();
        self.consumer.cancel().await;
        if let Err(error) = self.bus.delete_queue(&self.name).await {
            tracing::debug!(%error, "a queue for answers could not be deleted");
        }
    }
}

fn closed() -> Error {
    Error::Lost { doing: "waiting for an answer".into() }
}
