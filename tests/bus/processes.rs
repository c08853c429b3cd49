//! What only the file has to prove: several processes on it at once, and what becomes of it when one is killed.
//!
//! The other processes are this test program again: [`child`] does nothing unless the environment gives it a role.

use crate::fixture::{Bus, next, note, send, soon, take, text};
use crate::support::wait_until_async;
use oat::bus::{Connection, Consumer, Error, Queue, QueueKind, Topology};
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
        "own" => {
            connection.declare(&mine()).await.unwrap();
            send(&publisher, "mine", ["left behind"]).await;
            send(&publisher, &news, ["owning"]).await;
            std::future::pending().await
        }
        "work" => loop {
            let task = take(&mut consumer).await;
            send(&publisher, &news, [format!("{} {task}", std::process::id())]).await;
        },
        "clock" => loop {
            take(&mut consumer).await;
            send(&publisher, &news, [now().as_nanos()]).await;
        },
        other => panic!("no such role: {other}"),
    }
}

/// A queue that only one process can have.
fn mine() -> Topology {
    Topology { exchanges: vec![], queues: vec![Queue::new("mine").kind(QueueKind::Exclusive)] }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

async fn hears(news: &mut Consumer, expected: &str) {
    while take(news).await != expected {}
}

/// Measures three times at most: the machine may be busy with other tests, and one quiet round shows what the bus
/// itself takes.
async fn takes_no_longer_than(limit: Duration, mut round: impl AsyncFnMut() -> Duration) {
    let mut rounds = Vec::new();
    while rounds.last().is_none_or(|took| *took > limit) {
        assert!(rounds.len() < 3, "longer than {limit:?}: {rounds:?}");
        rounds.push(round().await);
    }
    println!("no longer than {limit:?}: {rounds:?}");
}

#[tokio::test]
async fn what_a_killed_process_held_is_delivered_again_at_once() {
    let bus = Bus::on_sqlite();
    let (connection, news) = connect(&bus.url, "work").await;
    let mut news = connection.consume(&news, 1).await.unwrap();
    takes_no_longer_than(Duration::from_millis(200), async || {
        send(&connection.publisher(), "work", ["out", "unread"]).await;
        let process = Process::start(&bus, "hold", "work");
        hears(&mut news, "holding").await;
        let depth = connection.depth("work").await.unwrap();
        assert_eq!((depth.ready, depth.unacked, depth.consumers), (0, Some(2), 1));

        let mut consumer = connection.consume("work", 2).await.unwrap();
        let killed = Instant::now();
        drop(process);
        let deliveries = [next(&mut consumer).await, next(&mut consumer).await];
        let took = killed.elapsed();
        for (delivery, expected) in deliveries.into_iter().zip(["out", "unread"]) {
            assert_eq!((text(&delivery), delivery.attempt, delivery.redelivered), (expected.into(), 2, true));
            delivery.ack().await.unwrap();
        }
        assert_eq!(connection.depth("work").await.unwrap().consumers, 1);
        consumer.cancel().await;
        took
    })
    .await;
}

#[tokio::test]
async fn what_only_a_killed_process_might_use_is_gone_at_once() {
    let bus = Bus::on_sqlite();
    let (connection, news) = connect(&bus.url, "work").await;
    let process = Process::start(&bus, "own", "work");
    hears(&mut connection.consume(&news, 1).await.unwrap(), "owning").await;
    for refused in [
        connection.declare(&mine()).await.unwrap_err(),
        connection.consume("mine", 1).await.unwrap_err(),
        connection.purge("mine").await.unwrap_err(),
        connection.delete_queue("mine").await.unwrap_err(),
    ] {
        assert!(matches!(&refused, Error::Conflict { why, .. } if why.contains("exclusive")), "{refused:?}");
    }
    assert_eq!(connection.depth("mine").await.unwrap().ready, 1, "looking harms nobody");
    drop(process);
    connection.declare(&mine()).await.unwrap();
    assert_eq!(connection.depth("mine").await.unwrap().ready, 0, "it is a new one");
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
    let (connection, news) = connect(&bus.url, "clock").await;
    let mut news = connection.consume(&news, 1).await.unwrap();
    let _process = Process::start(&bus, "clock", "clock");
    hears(&mut news, "ready").await;
    takes_no_longer_than(Duration::from_millis(5), async || {
        let mut latencies = Vec::new();
        // One at a time: what waits in a queue behind others would be measured with them.
        for _ in 0..200 {
            send(&connection.publisher(), "clock", ["what time is it"]).await;
            let delivery = next(&mut news).await;
            latencies.push(now().saturating_sub(Duration::from_nanos(text(&delivery).parse().unwrap())));
            delivery.ack().await.unwrap();
        }
        latencies.sort();
        println!("publish to delivery: p50 {:?}, p99 {:?}", latencies[100], latencies[198]);
        latencies[100]
    })
    .await;
}

#[tokio::test]
async fn a_process_that_waits_for_messages_hardly_uses_a_processor() {
    let bus = Bus::on_sqlite();
    let (connection, news) = connect(&bus.url, "work").await;
    let mut news = connection.consume(&news, 1).await.unwrap();
    let process = Process::start(&bus, "wait", "work");
    hears(&mut news, "ready").await;
    // Five thousandths of a core.
    takes_no_longer_than(Duration::from_millis(15), async || {
        let before = process.busy();
        // Not waiting for an event: this is how long is measured.
        tokio::time::sleep(Duration::from_secs(3)).await;
        process.busy() - before
    })
    .await;
}

#[tokio::test]
async fn deleting_the_signs_of_life_by_hand_silences_nobody() {
    let bus = Bus::on_sqlite();
    let folder = format!("{}.clients", bus.url.trim_start_matches("sqlite:"));
    let (here, news) = connect(&bus.url, "work").await;
    let (there, _) = connect(&bus.url, "work").await;
    let mut consumer = here.consume("work", 1).await.unwrap();
    let _other = there.consume(&news, 1).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    wait_until_async("each takes the other for dead, and says that it lives", async || {
        std::fs::read_dir(&folder).is_ok_and(|locks| locks.count() == 2)
    })
    .await;
    let publisher = there.publisher();
    for n in 0..20 {
        send(&publisher, "work", [n]).await;
        assert_eq!(take(&mut consumer).await, n.to_string());
    }
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
