//! What is particular to RabbitMQ: outages of the broker and of the way to it, refusals, alarms, TLS,
//! foreign messages, calls, acknowledgements. The promises that
//! both transports keep are held in `tests/bus.rs`.

#[path = "amqp/acks.rs"]
mod acks;
#[path = "amqp/alarms.rs"]
mod alarms;
#[path = "amqp/calls.rs"]
mod calls;
#[path = "amqp/crowd.rs"]
mod crowd;
#[path = "amqp/foreign.rs"]
mod foreign;
#[path = "amqp/kombu.rs"]
mod kombu;
#[path = "amqp/outages.rs"]
mod outages;
#[path = "amqp/pool.rs"]
mod pool;
#[path = "amqp/proxy.rs"]
mod proxy;
#[path = "amqp/raw.rs"]
mod raw;
#[path = "amqp/refusals.rs"]
mod refusals;
mod support;
#[path = "amqp/tls.rs"]
mod tls;

use oat::bus::{Binding, Connection, Delivery, Exchange, ExchangeKind, HeaderValue, Message, Options, Queue, Topology};
use std::sync::Arc;
use std::time::Duration;

/// A name that no other test uses.
fn unique(what: &str) -> String {
    format!("{what}-{}", uuid::Uuid::new_v4().simple())
}

/// An exchange and a queue of the same name.
fn plain(name: &str) -> Topology {
    Topology {
        exchanges: vec![Exchange::new(name, ExchangeKind::Direct)],
        queues: vec![Queue::new(name).bound(Binding::new(name, name))],
    }
}

async fn open(url: &str, topology: Topology) -> Connection {
    Connection::open(url, topology, patient()).await.expect("the broker is there")
}

/// A broker of one's own, to be stopped and to be frightened.
async fn broker() -> Arc<support::Server> {
    Arc::new(tokio::task::spawn_blocking(|| support::Server::start("rabbitmq")).await.unwrap())
}

/// Options under which a test is never failed by a slow machine.
fn patient() -> Options {
    let minute = Duration::from_secs(60);
    Options { name: "oat test".into(), connect_timeout: minute, confirm_timeout: minute, ..Options::default() }
}

fn numbered(number: i64) -> Message {
    Message::new("text/plain", number.to_string().into_bytes()).header("number", HeaderValue::Int(number))
}

fn number(delivery: &Delivery) -> i64 {
    delivery.message.int("number").expect("every message of these tests has a number")
}

/// `future`, or a failure that says what did not happen.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), future).await;
    waited.unwrap_or_else(|_| panic!("{what}: did not happen within a minute"))
}
