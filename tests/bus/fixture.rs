//! One bus for one test: a URL, names that nobody else has, and waiting with a deadline.

use oat::bus::{Connection, Consumer, Delivery, Exchange, ExchangeKind, Message, Options, Publisher, Queue, Topology};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything that works can take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a test's connections go.
pub struct Bus {
    pub url: String,
    prefix: String,
    _folder: Option<TempDir>,
}

impl Bus {
    /// A file of its own.
    pub fn on_sqlite() -> Bus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("bus.db").display());
        Bus { url, prefix: prefix(), _folder: Some(folder) }
    }

    /// The shared broker.
    pub fn on_rabbitmq() -> Bus {
        Bus { url: crate::support::rabbitmq_url().into(), prefix: prefix(), _folder: None }
    }

    /// `what`, so that no other test has it.
    pub fn name(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }

    /// A queue of this test.
    pub fn queue(&self, what: &str) -> Queue {
        Queue::new(&self.name(what))
    }

    /// An exchange of this test.
    pub fn exchange(&self, what: &str, kind: ExchangeKind) -> Exchange {
        Exchange::new(&self.name(what), kind)
    }

    /// A connection that declares these.
    pub async fn open(&self, exchanges: &[Exchange], queues: &[Queue]) -> Connection {
        let topology = Topology { exchanges: exchanges.to_vec(), queues: queues.to_vec() };
        Connection::open(&self.url, topology, Options::default()).await.expect("the bus opens")
    }
}

fn prefix() -> String {
    format!("{}.", uuid::Uuid::new_v4().simple())
}

/// A message of which only the text matters.
pub fn note(text: impl ToString) -> Message {
    Message::new("text/plain", text.to_string().into_bytes())
}

/// That text.
pub fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body.clone()).expect("a note")
}

/// Publishes notes to a queue by its name, one after the other.
pub async fn send(publisher: &Publisher, queue: &str, notes: impl IntoIterator<Item = impl ToString>) {
    for text in notes {
        publisher.publish("", queue, note(text)).await.expect("published");
    }
}

/// The next delivery, which must come.
pub async fn next(consumer: &mut Consumer) -> Delivery {
    soon("a delivery", consumer.next()).await.expect("the consumer goes on")
}

/// So many deliveries, held.
pub async fn several(consumer: &mut Consumer, count: usize) -> Vec<Delivery> {
    let mut held = Vec::new();
    while held.len() < count {
        held.push(next(consumer).await);
    }
    held
}

/// The next delivery's text, acknowledged.
pub async fn take(consumer: &mut Consumer) -> String {
    let delivery = next(consumer).await;
    let text = text(&delivery);
    delivery.ack().await.expect("acknowledged");
    text
}

/// What must happen.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}
