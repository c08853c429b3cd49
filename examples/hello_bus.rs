//! Hello, bus: connect, declare, publish, consume, acknowledge. Once in a file, which needs no server:
//!
//!     cargo run --example hello_bus
//!     cargo run --example hello_bus -- amqp://guest:guest@localhost:5672/%2f

use anyhow::Context;
use oat::bus::{Binding, Connection, Exchange, ExchangeKind, Message, Options, Queue, Topology};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "sqlite:hello.db".into());
    // The same words on both; what is there already with the same properties is left alone.
    let topology = Topology {
        exchanges: vec![Exchange::new("greetings", ExchangeKind::Topic)],
        queues: vec![Queue::new("hello").bound(Binding::new("greetings", "greeting.*"))],
    };
    let connection = Connection::open(&url, topology, Options::default()).await?;

    let message = Message::new("text/plain", b"Hello, bus!".to_vec()).id("hello-1");
    // Returns when the message is durable in a queue, and is an error if there is none.
    connection.publisher().publish("greetings", "greeting.english", message).await?;

    let mut consumer = connection.consume("hello", 1).await?;
    let delivery = consumer.next().await.context("the connection is open")?;
    println!("{}: {}", delivery.routing_key, String::from_utf8_lossy(&delivery.message.body));
    // Last, when nothing can be lost any more. A delivery that is dropped instead comes again.
    delivery.ack().await?;
    connection.close().await;
    Ok(())
}
