//! Hello, calls: one end serves a method, the other calls it and gets an answer, a failure with its kind, or the certainty
//! that nobody serves. Once in a file, which needs no server; on a broker, both ends may be on different machines.
//!
//!     cargo run --example hello_rpc
//!     cargo run --example hello_rpc -- amqp://guest:guest@localhost:5672/%2f

use oat::bus::rpc::{Client, Error, Failure, Request, Server, Target};
use oat::bus::{Connection, Options, Topology};
use serde_json::{Value, json};
use std::time::Duration;

/// A failure has a kind for programs and a message for people.
async fn math(request: Request) -> Result<Value, Failure> {
    let number =
        |name: &str| request.args[name].as_f64().ok_or(Failure::new("TypeError", format!("{name} is no number")));
    match request.method.as_str() {
        "divide" if number("by")? == 0.0 => Err(Failure::new("ZeroDivisionError", "that is not defined")),
        "divide" => Ok(json!(number("number")? / number("by")?)),
        other => Err(Failure::unknown(other)),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "sqlite:hello.db".into());
    let bus = Connection::open(&url, Topology::default(), Options::default()).await?;
    // While it is served, this calls it, too:  oat rpc call --topic hello divide number=84 by=2
    let target = Target::oat("rpc.hello");
    let server = Server::serve(&bus, &target, 4, math).await?;
    let client = Client::open(&bus, &target).await?;
    // A request that is late is not executed, and one whose caller is gone is called off.
    let patience = Duration::from_secs(10);
    for by in [2, 0] {
        match client.call("divide", &json!({"number": 84, "by": by}), patience).await {
            Ok(answer) => println!("{answer}"),
            Err(Error::Remote { failure, .. }) => println!("{}: {}", failure.kind, failure.message),
            Err(error) => return Err(error.into()),
        }
    }
    server.stop().await;
    if let Err(error) = client.call("divide", &json!({"number": 1, "by": 1}), patience).await {
        println!("{error}");
    }
    client.close().await;
    bus.close().await;
    Ok(())
}
