//! `cargo bench --bench bus_file`: durable messages through a bus file, from one process to another. Numbers may follow:
//! how many messages, how many bytes each, how many are under way at once, and the folder of the file.

use futures_util::StreamExt;
use futures_util::stream::{self, FuturesUnordered};
use oat::bus::{Connection, Message, Queue, Topology};
use std::process::{Command, Stdio};
use std::time::Instant;

const QUEUE: &str = "bench";

#[tokio::main]
async fn main() {
    // Cargo adds a flag of its own for its own harness.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [role, url, count, window] = &arguments[..]
        && role == "consume"
    {
        return consume(url, count.parse().unwrap(), window.parse().unwrap()).await;
    }
    let number =
        |place: usize, usual: usize| arguments.get(place).map_or(usual, |text| text.parse().expect("a number"));
    let (count, bytes, window) = (number(0, 50_000), number(1, 1024), number(2, 512));
    let folder = arguments.get(3).map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let url = format!("sqlite:{}", folder.path().join("bus.db").display());
    let bus = open(&url).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["consume", &url, &count.to_string(), &window.to_string()]).stdout(Stdio::inherit());
    let mut child = child.spawn().unwrap();
    while bus.depth(QUEUE).await.unwrap().consumers == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let (start, publisher) = (Instant::now(), bus.publisher());
    let all = stream::iter(0..count).map(|_| publisher.publish("", QUEUE, Message::raw(vec![7; bytes])));
    all.buffered(window).for_each(|outcome| async { outcome.unwrap() }).await;
    let published = start.elapsed();
    assert!(child.wait().unwrap().success());
    let speed = |took: std::time::Duration| {
        format!("{:.0}/s in {:.2} s", count as f64 / took.as_secs_f64(), took.as_secs_f64())
    };
    println!("{count} messages of {bytes} bytes, {window} under way");
    println!("published:                {}", speed(published));
    println!("published and consumed:   {}", speed(start.elapsed()));
}

async fn open(url: &str) -> Connection {
    let topology = Topology { exchanges: vec![], queues: vec![Queue::new(QUEUE)] };
    Connection::open(url, topology, Default::default()).await.unwrap()
}

/// Takes and acknowledges, with as many acknowledgements under way as there are deliveries.
async fn consume(url: &str, count: usize, window: u16) {
    let bus = open(url).await;
    let mut consumer = bus.consume(QUEUE, window).await.unwrap();
    let mut acks = FuturesUnordered::new();
    let (mut taken, mut done) = (0, 0);
    while done < count {
        tokio::select! {
            delivery = consumer.next(), if taken < count => {
                taken += 1;
                acks.push(delivery.unwrap().ack());
            }
            Some(outcome) = acks.next() => {
                outcome.unwrap();
                done += 1;
            }
        }
    }
    bus.close().await;
}
