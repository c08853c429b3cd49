//! Hello, services: one answers commands and says what it did, another listens and asks. Once in a file, which needs no
//! server; on a broker, eventail's services may take either part.
//!
//!     cargo run --example hello_service
//!     cargo run --example hello_service -- amqp://guest:guest@localhost:5672/%2f

use oat::bus::service::{Conversation, Failure, Incoming, Kind, Service, ServiceOptions};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::oneshot;

/// What `?` passes on is tried again, with growing pauses; what is refused is not.
async fn stock(incoming: Incoming, conversation: Conversation) -> Result<Value, Failure> {
    match (incoming.kind, incoming.name.as_str()) {
        (Kind::Command, "stock.Reserve") => {
            let pieces: u32 = incoming.payload()?;
            if pieces > 12 {
                return Err(Failure::refused("there are twelve"));
            }
            conversation.publish_event("StockReserved", &json!({ "pieces": pieces })).await?;
            Ok(json!({ "left": 12 - pieces }))
        }
        (_, name) => Err(Failure::refused(format!("{name} is unknown"))),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "sqlite:hello.db".into());
    let (stop, stopped) = oneshot::channel::<()>();

    // More of them, in other processes, would share the work.
    let service = Service::open(&[&url], ServiceOptions::new("stock").commands(&["stock.*"])).await?;
    let serving = tokio::spawn(async move {
        let served = service.run(stock, async { drop(stopped.await) }).await;
        service.close().await;
        served
    });

    let shop = Service::open(&[&url], ServiceOptions::new("shop")).await?;
    let patience = Duration::from_secs(10);
    for pieces in [5, 50] {
        match shop.call::<Value>("stock.Reserve", &pieces, patience).await {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("{error}"),
        }
    }
    shop.close().await;
    // What is in hand is finished; what waits is for whoever comes next.
    drop(stop);
    Ok(serving.await??)
}
