//! What only the file has to prove: several processes on it at once, and what becomes of it when one is killed.
//!
//! The other processes are this test program again: [`child`] does nothing unless the environment gives it a role.

use crate::fixture::{Bus, next, note, send, soon, take, text};
use oat::bus::{Connection, Consumer, Queue};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ROLE: &str = "OAT_TEST_BUS_ROLE";
const URL: &str = "OAT_TEST_BUS_URL";
const QUEUE: &str = "OAT_TEST_BUS_QUEUE";

/// Another process on the same file. Dropping it kills it as `kill -9` does.
struct Process(std::process::Child);

impl Process {
    /// It ends with this one at the latest: its input ends then.
    fn start(bus: &Bus, role: &str, queue: &str) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::child", "--nocapture"]);
        command.env(ROLE, role).env(URL, &bus.url).env(QUEUE, queue);
        Process(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// How long its threads have run on a processor.
    fn busy(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap().flatten();
        let ran = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
        Duration::from_nanos(ran.map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap()).sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The connection of a process, and the queue on which it says what it does.
async fn connect(url: &str, queue: &str) -> (Connection, String) {
    let news = format!("{queue}.news");
    let topology = oat::bus::Topology { exchanges: vec![], queues: vec![Queue::new(queue), Queue::new(&news)] };
    (Connection::open(url, topology, Default::default()).await.unwrap(), news)
}

/// Not a test: the other process, in one of its roles.
#[tokio::test]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        std::process::exit(0);
    });
    let (url, queue) = (std::env::var(URL).unwrap(), std::env::var(QUEUE).unwrap());
    let (connection, news) = connect(&url, &queue).await;
    let mut consumer = connection.consume(&queue, 3).await.unwrap();
    let publisher = connection.publisher();
    send(&publisher, &news, ["ready"]).await;
    match role.as_str() {
        "wait" => drop(consumer.next().await),
        "hold" => {
            let _held = consumer.next().await;
            send(&publisher, &news, ["holding"]).await;
            std::future::pending().await
        }
        "work" => loop {
            let task = take(&mut consumer).await;
            send(&publisher, &news, [format!("{} {task}", std::process::id())]).await;
        },
        "tick" => {
            consumer.cancel().await;
            // Not a multiple of anything, so that it meets the other side's looks at every moment between two.
            let mut pace = tokio::time::interval(Duration::from_micros(7_300));
            loop {
                pace.tick().await;
                send(&publisher, &queue, [now().as_nanos()]).await;
            }
        }
        other => panic!("no such role: {other}"),
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

async fn hears(news: &mut Consumer, expected: &str) {
    while take(news).await != expected {}
}

#[tokio::test]
async fn what_a_killed_process_held_is_delivered_again_at_once() {
    let bus = Bus::on_sqlite();
    let (connection, news) = connect(&bus.url, "work").await;
    send(&connection.publisher(), "work", ["out", "unread"]).await;
    let mut news = connection.consume(&news, 1).await.unwrap();
    let process = Process::start(&bus, "hold", "work");
    hears(&mut news, "holding").await;
    let depth = connection.depth("work").await.unwrap();
    assert_eq!((depth.ready, depth.unacked, depth.consumers), (0, Some(2), 1));

    let mut consumer = connection.consume("work", 2).await.unwrap();
    let killed = Instant::now();
    drop(process);
    for expected in ["out", "unread"] {
        let delivery = next(&mut consumer).await;
        assert_eq!((text(&delivery), delivery.attempt, delivery.redelivered), (expected.into(), 2, true));
        delivery.ack().await.unwrap();
    }
    println!("delivered again after {:?}", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    assert_eq!(connection.depth("work").await.unwrap().consumers, 1);
}

#[tokio::test]
async fn when_several_survive_a_killed_process_one_of_them_gets_each_message() {
    let bus = Bus::on_sqlite();
    let (connection, news) = connect(&bus.url, "work").await;
    let mut hold = connection.consume(&news, 1).await.unwrap();
    for round in 0..3 {
        send(&connection.publisher(), "work", (0..3).map(|n| format!("{round}.{n}"))).await;
        let process = Process::start(&bus, "hold", "work");
        hears(&mut hold, "holding").await;
        let mut others = Vec::new();
        for _ in 0..4 {
            let other = bus.open(&[], &[]).await;
            others.push(other.consume("work", 1).await.unwrap());
        }
        drop(process);
        let mut deliveries = Vec::new();
        for _ in 0..3 {
            let all = others.iter_mut().map(|other| Box::pin(next(other)));
            deliveries.push(futures_util::future::select_all(all).await.0);
        }
        let depth = connection.depth("work").await.unwrap();
        assert_eq!((depth.ready, depth.unacked, depth.consumers), (0, Some(3), 4));
        assert_eq!(deliveries.iter().map(|delivery| delivery.attempt).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(deliveries.iter().map(text).collect::<BTreeSet<_>>().len(), 3);
        for delivery in deliveries {
            delivery.ack().await.unwrap();
        }
    }
}

#[tokio::test]
async fn processes_that_start_together_on_a_new_file_share_its_work() {
    let bus = Bus::on_sqlite();
    let _workers: Vec<_> = (0..3).map(|_| Process::start(&bus, "work", "work")).collect();
    let (connection, news) = connect(&bus.url, "work").await;
    let mut news = connection.consume(&news, 50).await.unwrap();
    for _ in 0..3 {
        hears(&mut news, "ready").await;
    }
    send(&connection.publisher(), "work", 0..300).await;
    let mut done = BTreeMap::<String, u32>::new();
    let mut tasks = BTreeSet::new();
    while tasks.len() < 300 {
        let line = take(&mut news).await;
        let (process, task) = line.split_once(' ').expect("a process and what it did");
        *done.entry(process.into()).or_default() += 1;
        assert!(tasks.insert(task.to_owned()), "{task} was done twice");
    }
    println!("done by each: {done:?}");
    assert_eq!(done.len(), 3, "{done:?}");
}

#[tokio::test]
async fn a_message_reaches_another_process_within_milliseconds() {
    let bus = Bus::on_sqlite();
    let (connection, _) = connect(&bus.url, "ticks").await;
    let mut consumer = connection.consume("ticks", 1).await.unwrap();
    let _process = Process::start(&bus, "tick", "ticks");
    // The machine may be busy with other tests: one quiet moment is enough to see what the bus itself takes.
    let mut medians = Vec::new();
    while medians.last().is_none_or(|median| *median > Duration::from_millis(5)) {
        assert!(medians.len() < 40, "{medians:?}");
        let mut latencies = Vec::new();
        for _ in 0..50 {
            let delivery = next(&mut consumer).await;
            latencies.push(now().saturating_sub(Duration::from_nanos(text(&delivery).parse().unwrap())));
            delivery.ack().await.unwrap();
        }
        latencies.sort();
        medians.push(latencies[25]);
    }
    println!("publish to delivery, medians of rounds: {medians:?}");
}

#[tokio::test]
async fn a_process_that_waits_for_messages_hardly_uses_a_processor() {
    let bus = Bus::on_sqlite();
    let (connection, news) = connect(&bus.url, "work").await;
    let mut news = connection.consume(&news, 1).await.unwrap();
    let process = Process::start(&bus, "wait", "work");
    hears(&mut news, "ready").await;
    // The machine may be busy with other tests, which makes every wake-up dearer: one quiet moment is enough.
    let mut shares = Vec::new();
    while shares.last().is_none_or(|share| *share >= 0.01) {
        assert!(shares.len() < 10, "shares of a core: {shares:?}");
        let (start, before) = (Instant::now(), process.busy());
        // Not waiting for an event: this is how long is measured.
        tokio::time::sleep(Duration::from_secs(2)).await;
        shares.push((process.busy() - before).as_secs_f64() / start.elapsed().as_secs_f64());
    }
    println!("an idle consumer, shares of a core: {shares:.4?}");
}

#[tokio::test]
async fn a_locked_file_delays_and_fails_nobody_who_can_wait() {
    let bus = Bus::on_sqlite();
    let (connection, _) = connect(&bus.url, "work").await;
    let publisher = connection.publisher();
    let lock = rusqlite::Connection::open(bus.url.trim_start_matches("sqlite:")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let publishing = publisher.publish("", "work", note("patience"));
    tokio::pin!(publishing);
    assert!(futures_util::poll!(&mut publishing).is_pending());
    lock.execute_batch("COMMIT").unwrap();
    soon("the publish", publishing).await.unwrap();
}
