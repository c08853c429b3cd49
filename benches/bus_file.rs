//! `cargo bench --bench bus_file`: durable messages through a bus file, from one process to another. Numbers may follow:
//! how many messages, how many bytes each, how many are under way at once, and the folder of the file.

use oat::bus::{Connection, Queue, Topology};
use oat::tools::speed::Load;
use std::process::{Command, Stdio};
use std::time::Instant;

const QUEUE: &str = "bench";

#[tokio::main]
async fn main() {
    // Cargo adds a flag of its own for its own harness.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [role, url, messages, window] = &arguments[..]
        && role == "consume"
    {
        let load = Load { messages: messages.parse().unwrap(), bytes: 0, window: window.parse().unwrap() };
        let bus = open(url).await;
        load.consume(&bus, QUEUE).await.unwrap();
        return bus.close().await;
    }
    let number =
        |place: usize, usual: usize| arguments.get(place).map_or(usual, |text| text.parse().expect("a number"));
    let (messages, bytes, window) = (number(0, 50_000), number(1, 1024), number(2, 512));
    let load = Load { messages, bytes, window: u16::try_from(window).expect("no more than 65535") };
    let folder = arguments.get(3).map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let url = format!("sqlite:{}", folder.path().join("bus.db").display());
    let bus = open(&url).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["consume", &url, &messages.to_string(), &window.to_string()]).stdout(Stdio::inherit());
    let mut child = child.spawn().unwrap();
    while bus.depth(QUEUE).await.unwrap().consumers == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let start = Instant::now();
    let published = load.publish(&bus, QUEUE).await.unwrap();
    assert!(child.wait().unwrap().success());
    let speed = |took| format!("{:.0}/s", load.rate(took));
    println!("{messages} messages of {bytes} bytes, {window} under way");
    println!("published:                {}", speed(published));
    println!("published and consumed:   {}", speed(start.elapsed()));
}

async fn open(url: &str) -> Connection {
    let topology = Topology { exchanges: vec![], queues: vec![Queue::new(QUEUE)] };
    Connection::open(url, topology, Default::default()).await.unwrap()
}
