//! How fast the bus is on RabbitMQ beside bare lapin and, if a Python with them is named, beside kombu and pika:
//!
//!     cargo bench --bench bus -- amqp://user:password@host/ [--messages 20000] [--window 256] [--rounds 5]
//!                                [--kind quorum|classic] [--python target/venv/bin/python]
//!
//! Persistent messages of 1 KiB into a queue of their own, confirmed, at most `--window` under way; then all of them out
//! again, each acknowledged, with that prefetch. Two rows are there to show what the broker itself can do: lapin with one
//! acknowledgement for a quarter of the window, and without any. All take turns; medians are printed, and the best round
//! of consuming, which says more where other work comes and goes.

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, ConnectionProperties};
use oat::bus::{Connection, Options, Queue, QueueKind, Topology};
use oat::tools::speed::Load;
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
    kind: QueueKind,
    python: Option<String>,
}

/// Messages a second.
#[derive(Clone, Copy)]
struct Speed {
    publish: f64,
    consume: f64,
}

fn plan() -> Result<Plan> {
    let kind = QueueKind::Quorum;
    let mut plan = Plan { url: String::new(), messages: 20_000, window: 256, rounds: 5, kind, python: None };
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
            "kind" => plan.kind = QueueKind::ALL.into_iter().find(|kind| kind.name() == value).ok_or("no such kind")?,
            "rounds" => plan.rounds = value.parse()?,
            "python" => plan.python = Some(value.clone()),
            _ => return Err(format!("{word}: no such option").into()),
        }
    }
    if plan.url.is_empty() { Err("name the URL of a broker".into()) } else { Ok(plan) }
}

/// Who takes part.
#[derive(Clone, Copy)]
enum Who {
    /// With one acknowledgement for so many messages, or without.
    Lapin(Option<u16>),
    Oat,
    Python(&'static str),
}

#[tokio::main]
async fn main() -> Result<()> {
    let plan = plan()?;
    let topology = Topology { exchanges: vec![], queues: vec![Queue::new(QUEUE).kind(plan.kind)] };
    let bus = Connection::open(&plan.url, topology, Options::default()).await?;
    let lapin = lapin::Connection::connect(&plan.url, ConnectionProperties::default()).await?;
    let mut all = vec![
        ("lapin", Who::Lapin(Some(1))),
        ("oat", Who::Oat),
        ("lapin, acks in batches", Who::Lapin(Some((plan.window / 4).max(1)))),
        ("lapin, no acks", Who::Lapin(None)),
    ];
    if plan.python.is_some() {
        all.extend(["kombu", "pika"].map(|name| (name, Who::Python(name))));
    }
    let mut table: Vec<(&str, Vec<Speed>)> = all.iter().map(|(name, _)| (*name, Vec::new())).collect();
    for round in 0..plan.rounds {
        for turn in 0..all.len() {
            let place = (round + turn) % all.len();
            bus.purge(QUEUE).await?;
            table[place].1.push(match all[place].1 {
                Who::Lapin(acks) => bare(&lapin, &plan, acks).await?,
                Who::Oat => ours(&bus, &plan).await?,
                Who::Python(name) => peer(name, &plan)?,
            });
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
    let load = Load { messages: plan.messages, bytes: BYTES, window: plan.window };
    let publish = load.rate(load.publish(bus, QUEUE).await?);
    Ok(Speed { publish, consume: load.rate(load.consume(bus, QUEUE).await?) })
}

async fn bare(connection: &lapin::Connection, plan: &Plan, acks: Option<u16>) -> Result<Speed> {
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
    let options = BasicConsumeOptions { no_ack: acks.is_none(), ..Default::default() };
    let mut consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    for taken in 1..=plan.messages {
        let delivery = consumer.next().await.ok_or("the consumer ended")??;
        if acks.is_some_and(|acks| taken % usize::from(acks) == 0 || taken == plan.messages) {
            delivery.ack(BasicAckOptions { multiple: acks > Some(1) }).await?;
        }
    }
    let consume = rate(plan.messages, start);
    channel.close(200, "OK".into()).await?;
    Ok(Speed { publish, consume })
}

/// Both confirm one message after the other: they know no other way. A tenth of the messages is enough to see how fast.
fn peer(name: &str, plan: &Plan) -> Result<Speed> {
    let python = plan.python.as_ref().ok_or("name a Python with it")?;
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
    let columns = ["publish/s", "of lapin", "of kombu", "consume/s", "of lapin", "of kombu", "best"];
    println!("{:22}{}", "", columns.map(|column| format!("{column:>11}")).concat());
    let of = |name: &str| table.iter().find(|row| row.0 == name).map(|row| &row.1);
    for (name, speeds) in table {
        let part = |part: fn(&Speed) -> f64, rivals: Option<&Vec<Speed>>| match rivals {
            Some(rivals) => format!("{:>9.2} x", median(speeds, part) / median(rivals, part)),
            None => format!("{:>11}", ""),
        };
        print!("{name:22}");
        for of_one in [(|speed| speed.publish) as fn(&Speed) -> f64, |speed| speed.consume] {
            let rate = median(speeds, of_one);
            print!("{rate:>11.0}{}{}", part(of_one, of("lapin")), part(of_one, of("kombu")));
        }
        println!("{:>11.0}", speeds.iter().map(|speed| speed.consume).fold(0.0, f64::max));
    }
}
