//! The file in trouble: locked by others, unwilling to take a change, mistreated by hand. Triggers stand in for a disk
//! that is full: to the bus one failing statement is like another.

use crate::fixture::{Bus, next, note, send, soon, take, text};
use crate::support::wait_until_async;
use oat::bus::{Connection, Error, Options, Queue, Topology};
use std::time::{Duration, Instant};

/// The file as another program has it open.
fn intruder(bus: &Bus) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(bus.url.trim_start_matches("sqlite:")).unwrap();
    db.busy_timeout(Duration::from_secs(30)).unwrap();
    db
}

/// From now on every `change` of a message fails.
fn forbid(db: &rusqlite::Connection, change: &str) {
    let trigger = format!("CREATE TRIGGER trouble BEFORE {change} BEGIN SELECT RAISE(ABORT, 'no'); END");
    db.execute_batch(&trigger).unwrap();
}

fn allow(db: &rusqlite::Connection) {
    db.execute_batch("DROP TRIGGER trouble").unwrap();
}

/// A queue of that limit, and the one for its dead.
fn with_grave(limit: u32) -> [Queue; 2] {
    [Queue::new("work").dead_letters_to("", "dead").delivery_limit(limit), Queue::new("dead")]
}

#[tokio::test]
async fn a_settlement_that_the_file_does_not_take_counts_no_attempt_and_comes_again_after_a_pause() {
    let bus = Bus::on_sqlite();
    let connection = bus.open(&[], &with_grave(1)).await;
    send(&connection.publisher(), "work", ["innocent"]).await;
    let mut consumer = connection.consume("work", 1).await.unwrap();
    let db = intruder(&bus);
    forbid(&db, "DELETE ON bus_messages");
    let start = Instant::now();
    for _ in 0..5 {
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.attempt, delivery.redelivered), (1, false));
        let error = delivery.ack().await.unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
    }
    assert!(start.elapsed() > Duration::from_millis(300), "without a pause: {:?}", start.elapsed());
    allow(&db);
    assert_eq!(take(&mut consumer).await, "innocent");
}

#[tokio::test]
async fn a_worn_message_that_cannot_be_buried_is_delivered_on_and_keeps_nobody_from_working() {
    let bus = Bus::on_sqlite();
    let connection = bus.open(&[], &with_grave(0)).await;
    send(&connection.publisher(), "work", ["other", "worn"]).await;
    let mut consumer = connection.consume("work", 2).await.unwrap();
    let other = next(&mut consumer).await;
    let db = intruder(&bus);
    forbid(&db, "INSERT ON bus_messages");
    drop(next(&mut consumer).await);
    other.ack().await.expect("others are not concerned");
    let worn = next(&mut consumer).await;
    assert_eq!((text(&worn), worn.attempt), ("worn".into(), 2));
    allow(&db);
    drop(worn);
    assert_eq!(take(&mut connection.consume("dead", 1).await.unwrap()).await, "worn");
}

#[tokio::test]
async fn what_cannot_go_back_now_goes_back_later_and_keeps_nobody_from_working() {
    let bus = Bus::on_sqlite();
    let connection = bus.open(&[], &with_grave(5)).await;
    send(&connection.publisher(), "work", ["dropped"]).await;
    let mut consumer = connection.consume("work", 1).await.unwrap();
    let db = intruder(&bus);
    forbid(&db, "UPDATE ON bus_messages WHEN NEW.owner IS NULL");
    drop(next(&mut consumer).await);
    send(&connection.publisher(), "dead", ["others work on"]).await;
    allow(&db);
    let delivery = next(&mut consumer).await;
    assert_eq!((text(&delivery), delivery.attempt), ("dropped".into(), 2));
}

#[tokio::test]
async fn who_asks_for_something_in_a_locked_file_is_told_in_time_and_nothing_is_sent_behind_his_back() {
    let bus = Bus::on_sqlite();
    let options = Options { confirm_timeout: Duration::from_secs(1), ..Options::default() };
    let topology = Topology { exchanges: vec![], queues: vec![Queue::new("work")] };
    let connection = Connection::open(&bus.url, topology.clone(), options).await.unwrap();
    send(&connection.publisher(), "work", ["mine"]).await;
    let mut consumer = connection.consume("work", 1).await.unwrap();
    let mine = next(&mut consumer).await;
    let lock = intruder(&bus);
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let late = |answer: Result<(), Error>| assert!(matches!(answer, Err(Error::TimedOut { .. })), "{answer:?}");
    let publisher = connection.publisher();
    let asking = async {
        // Two in a row: the thread has taken the first, the second waits behind it.
        late(publisher.publish("", "work", note("one")).await);
        late(publisher.publish("", "work", note("two")).await);
        late(mine.ack().await);
        late(connection.depth("work").await.map(drop));
        late(connection.declare(&topology).await);
        late(connection.consume("work", 1).await.map(drop));
    };
    soon("every answer", asking).await;
    lock.execute_batch("COMMIT").unwrap();
    let other = bus.open(&[], &[]).await;
    wait_until_async("the acknowledgement is not lost", async || {
        let depth = other.depth("work").await.unwrap();
        depth.unacked == Some(0) && depth.consumers == 1
    })
    .await;
    send(&publisher, "work", ["three"]).await;
    assert_eq!(take(&mut consumer).await, "three");
    assert_eq!(other.depth("work").await.unwrap().ready, 0);

    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    soon("the cancelling", consumer.cancel()).await;
    soon("the closing", connection.close()).await;
}

#[tokio::test]
async fn what_is_no_message_is_buried_or_set_aside_and_the_others_are_delivered() {
    let bus = Bus::on_sqlite();
    let [work, dead] = with_grave(5);
    let connection = bus.open(&[], &[work, dead, Queue::new("graveless")]).await;
    let db = intruder(&bus);
    for queue in ["work", "graveless"] {
        let garbage = "INSERT INTO bus_messages (queue, exchange, key, kind, headers, body)
             SELECT id, 'somewhere', x'ff', 'task', 'no headers', 'the body' FROM bus_queues WHERE name = ?1";
        db.execute(garbage, [queue]).unwrap();
        send(&connection.publisher(), queue, ["good"]).await;
        assert_eq!(take(&mut connection.consume(queue, 1).await.unwrap()).await, "good");
    }
    let found = next(&mut connection.consume("dead", 1).await.unwrap()).await;
    assert_eq!((text(&found), found.message.kind.as_deref()), ("the body".into(), Some("task")));
    assert_eq!(found.message.text("x-oat-exchange"), Some("somewhere"));
    let reason = found.message.text("x-oat-reason").unwrap();
    assert!(reason.contains("something else than a message"), "{reason}");
    assert_eq!(connection.depth("graveless").await.unwrap().unacked, Some(1), "set aside, not lost");
}

#[tokio::test]
async fn a_message_of_nobody_on_the_list_of_clients_goes_back() {
    let bus = Bus::on_sqlite();
    let connection = bus.open(&[], &[Queue::new("work")]).await;
    send(&connection.publisher(), "work", ["lost"]).await;
    intruder(&bus).execute("UPDATE bus_messages SET owner = 999", []).unwrap();
    let delivery = next(&mut connection.consume("work", 1).await.unwrap()).await;
    assert_eq!((text(&delivery), delivery.attempt), ("lost".into(), 2));
}

/// Somebody wants to start anew, and removes the file under a program that has it open.
#[tokio::test]
async fn nothing_is_confirmed_into_a_file_that_was_deleted_or_replaced_and_who_waits_is_told() {
    for replaced in [false, true] {
        let bus = Bus::on_sqlite();
        let connection = bus.open(&[], &[Queue::new("work")]).await;
        let mut consumer = connection.consume("work", 1).await.unwrap();
        let waiting = bus.open(&[], &[]).await;
        let mut other = waiting.consume("work", 1).await.unwrap();
        let path = bus.url.trim_start_matches("sqlite:");
        ["", "-wal", "-shm"].iter().for_each(|end| std::fs::remove_file(format!("{path}{end}")).unwrap());
        if replaced {
            send(&bus.open(&[], &[Queue::new("work")]).await.publisher(), "work", ["new"]).await;
        }
        let error = connection.publisher().publish("", "work", note("lost")).await.unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error:?}");
        assert!(soon("the end of its consumer", consumer.next()).await.is_none());
        assert!(soon("the end of who only waits", other.next()).await.is_none());
    }
}
