//! How fast the bus is on RabbitMQ beside bare lapin and, if a Python with them is named, beside kombu and pika:
//!
//!     cargo bench --bench bus -- amqp://user:password@host/ [--messages 20000] [--window 256] [--rounds 5]
//!                                [--python target/venv/bin/python]
//!
//! Persistent messages of 1 KiB into a quorum queue of their own, confirmed, at most `--window` under way; then all of
//! them out again, each acknowledged, with that prefetch. The rounds of the competitors take turns; medians are printed.

use futures_util::{StreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, ConnectionProperties};
use oat::bus::{Connection, Message, Options, Queue, Topology};
use std::collections::VecDeque;
use std::error::Error;
use std::process::Command;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const QUEUE: &str = "oat.bench";
const BYTES: usize = 1024;

struct Plan {
    url: String,
    messages: usize,
    window: u16,
    rounds: usize,
    python: Option<String>,
}

/// Messages a second.
#[derive(Clone, Copy)]
struct Speed {
    publish: f64,
    consume: f64,
}

fn plan() -> Result<Plan> {
    let mut plan = Plan { url: String::new(), messages: 20_000, window: 256, rounds: 5, python: None };
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix("--") else {
            plan.url = word.clone();
            continue;
        };
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        match name {
            "messages" => plan.messages = value.parse()?,
            "window" => plan.window = value.parse()?,
            "rounds" => plan.rounds = value.parse()?,
            "python" => plan.python = Some(value.clone()),
            _ => return Err(format!("{word}: no such option").into()),
        }
    }
    if plan.url.is_empty() { Err("name the URL of a broker".into()) } else { Ok(plan) }
}

#[tokio::main]
async fn main() -> Result<()> {
    let plan = plan()?;
    let topology = Topology { exchanges: vec![], queues: vec![Queue::new(QUEUE)] };
    let bus = Connection::open(&plan.url, topology, Options::default()).await?;
    let lapin = lapin::Connection::connect(&plan.url, ConnectionProperties::default()).await?;
    let mut table: Vec<(&str, Vec<Speed>)> = ["lapin", "oat", "kombu", "pika"].map(|name| (name, Vec::new())).into();
    for round in 0..plan.rounds {
        for turn in 0..2 {
            let who = (round + turn) % 2;
            bus.purge(QUEUE).await?;
            let speed = if who == 0 { bare(&lapin, &plan).await? } else { ours(&bus, &plan).await? };
            table[who].1.push(speed);
        }
        if let Some(python) = &plan.python {
            for who in [2, 3] {
                bus.purge(QUEUE).await?;
                let speed = peer(python, table[who].0, &plan)?;
                table[who].1.push(speed);
            }
        }
    }
    bus.delete_queue(QUEUE).await?;
    print(&table);
    Ok(())
}

fn rate(messages: usize, since: Instant) -> f64 {
    messages as f64 / since.elapsed().as_secs_f64()
}

async fn ours(bus: &Connection, plan: &Plan) -> Result<Speed> {
    let publisher = bus.publisher();
    let start = Instant::now();
    let mut sending = stream::iter(0..plan.messages)
        .map(|_| publisher.publish("", QUEUE, Message::new("application/octet-stream", vec![7; BYTES])))
        .buffer_unordered(plan.window.into());
    while let Some(sent) = sending.next().await {
        sent?;
    }
    let publish = rate(plan.messages, start);
    let start = Instant::now();
    let mut consumer = bus.consume(QUEUE, plan.window).await?;
    for _ in 0..plan.messages {
        consumer.next().await.ok_or("the consumer ended")?.ack().await?;
    }
    let consume = rate(plan.messages, start);
    consumer.cancel().await;
    Ok(Speed { publish, consume })
}

async fn bare(connection: &lapin::Connection, plan: &Plan) -> Result<Speed> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties =
        || BasicProperties::default().with_delivery_mode(2).with_content_type("application/octet-stream".into());
    let mut window = VecDeque::new();
    let start = Instant::now();
    for _ in 0..plan.messages {
        if window.len() == usize::from(plan.window) {
            let oldest: lapin::PublisherConfirm = window.pop_front().ok_or("an empty window")?;
            assert!(oldest.await?.is_ack());
        }
        let body = vec![7; BYTES];
        window.push_back(channel.basic_publish("".into(), QUEUE.into(), mandatory, &body, properties()).await?);
    }
    for confirm in window {
        assert!(confirm.await?.is_ack());
    }
    let publish = rate(plan.messages, start);
    let start = Instant::now();
    channel.basic_qos(plan.window, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    for _ in 0..plan.messages {
        consumer.next().await.ok_or("the consumer ended")??.ack(BasicAckOptions::default()).await?;
    }
    let consume = rate(plan.messages, start);
    channel.close(200, "OK".into()).await?;
    Ok(Speed { publish, consume })
}

/// Both confirm one message after the other: they know no other way. A tenth of the messages is enough to see how fast.
fn peer(python: &str, name: &str, plan: &Plan) -> Result<Speed> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/bus.py");
    let messages = (plan.messages / 10).to_string();
    let arguments = [script, name, &plan.url, QUEUE, &messages, &plan.window.to_string(), &BYTES.to_string()];
    let output = Command::new(python).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next().ok_or("two numbers were expected");
    Ok(Speed { publish: next()??, consume: next()?? })
}

fn median(speeds: &[Speed], of: impl Fn(&Speed) -> f64) -> f64 {
    let mut all: Vec<f64> = speeds.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn print(table: &[(&str, Vec<Speed>)]) {
    println!("{:8} {:>12} {:>12} {:>12} {:>12}", "", "publish/s", "of lapin", "consume/s", "of lapin");
    let reference = &table[0].1;
    for (name, speeds) in table.iter().filter(|(_, speeds)| !speeds.is_empty()) {
        let [publish, consume] = [|speed: &Speed| speed.publish, |speed: &Speed| speed.consume].map(|of| {
            let rate = median(speeds, of);
            (rate, 100.0 * rate / median(reference, of))
        });
        println!("{name:8} {:>12.0} {:>11.0}% {:>12.0} {:>11.0}%", publish.0, publish.1, consume.0, consume.1);
    }
}
