//! Looking at queues, and emptying them.

use crate::door::{Listener, ends_with, fed, json_lines};
use crate::fixture::{Bus, next, note, send};
use crate::support::wait_until;
use oat::bus::{Connection, HeaderValue, QueueKind};
use oat::topology::Names;
use serde_json::json;
use url::Url;

pub async fn queues_are_listed(bus: &Bus) {
    let connection = bus.open(&[], &[bus.queue("full"), bus.queue("empty")]).await;
    send(&connection.publisher(), &bus.name("full"), 0..3).await;
    let (full, empty) = (bus.name("full"), bus.name("empty"));
    wait_until("the queue is full", || {
        let listed = json_lines(&ends_with(0, bus, &["queues", &full, &empty, "--json"]).0);
        let of = |name: &str| listed.iter().find(|queue| queue["name"] == name).unwrap()["ready"].clone();
        (of(&full), of(&empty)) == (json!(3), json!(0))
    });
    let (listed, told) = ends_with(0, bus, &["queues", &full]);
    assert!(listed.starts_with(&full) && listed.contains("  3  ") && listed.lines().count() == 1, "{listed}");
    assert_eq!(told, "");
    let (_, told) = ends_with(5, bus, &["queues", &bus.name("missing")]);
    assert!(told.contains("missing\" does not exist"), "{told}");
}

#[test]
fn a_password_may_come_by_standard_input() {
    let mut bus = Bus::on_rabbitmq();
    let mut url = Url::parse(&bus.url).unwrap();
    let password = url.password().unwrap().to_owned();
    url.set_password(None).unwrap();
    bus.url = url.into();
    fed(0, &bus, &["queues", "--amqp-password-file", "-"], &format!("{password}\nno part of it\n"));
}

/// What nobody named: a file tells all, and of which kind; a broker is asked for those of oat alone, and that is said.
pub async fn a_list_without_names_says_what_it_leaves_out(bus: &Bus) {
    let connection = bus.open(&[], &[]).await;
    let prefix = bus.name("");
    let list = || ends_with(0, bus, &["queues", "--queue-prefix", &prefix]);
    let on_a_server = matches!(connection, Connection::Amqp(_));
    let none = if on_a_server { "no queue of oat is there" } else { "there is no queue yet" };
    assert!(list().0.is_empty() && list().1.contains(none), "{}", list().1);
    connection.declare(&Names::new(&prefix).topology()).await.unwrap();
    let _monitor = Listener::start(bus, &["monitor", &prefix]);
    let (listed, told) = list();
    let kinds = |kind: &str| listed.lines().filter(|line| line.ends_with(&format!("  {kind}"))).count();
    if on_a_server {
        assert_eq!((listed.lines().count(), kinds("–")), (3, 3), "{listed}");
        assert!(told.contains("others have to be named"), "{told}");
    } else {
        assert_eq!((kinds("quorum"), kinds("exclusive"), told.as_str()), (3, 1, ""), "{listed}");
    }
    connection.close().await;
}

pub async fn inspecting_shows_what_waits_and_why_it_died(bus: &Bus) {
    let dead = bus.queue("dead");
    let work = bus.queue("work").dead_letters_to("", &bus.name("dead"));
    let connection = bus.open(&[], &[dead, work]).await;
    let message = note("hello").id("m-1").header("number", HeaderValue::Int(7));
    connection.publisher().publish("", &bus.name("work"), message).await.unwrap();
    let mut consumer = connection.consume(&bus.name("work"), 1).await.unwrap();
    next(&mut consumer).await.reject("too many pixels").await.unwrap();
    let (shown, told) = ends_with(0, bus, &["inspect", &bus.name("dead")]);
    for expected in ["no. 1", "m-1", "number", "hello", "work: too many pixels"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(told.contains("1 of 1 message in queue"), "{told}");
    assert_eq!(told.contains("this look cost: 1 message"), matches!(connection, Connection::Amqp(_)), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (shown, _) = ends_with(0, bus, &["inspect-queue", &bus.name("dead"), "--count", "5", "--json", "--save", path]);
    let letter = &json_lines(&shown)[0];
    assert_eq!((&letter["headers"]["number"], &letter["text"]), (&json!(7), &json!("hello")));
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 1);
    assert_eq!(connection.depth(&bus.name("dead")).await.unwrap().ready, 1);
}

/// The usual advice for a queue with other properties, to delete it, would be bad here.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_one_connection_alone_is_told_as_such() {
    let bus = Bus::on_rabbitmq();
    let connection = bus.open(&[], &[bus.queue("mine").kind(QueueKind::Exclusive)]).await;
    for tool in ["queues", "inspect", "purge"] {
        let (_, told) = ends_with(2, &bus, &[tool, &bus.name("mine")]);
        assert!(told.contains("belongs to one connection alone") && !told.contains("delete"), "{tool}: {told}");
    }
    connection.close().await;
}

/// A thousand, some of which were delivered before, in a file that others use: looked at three times, nothing has
/// changed.
#[tokio::test(flavor = "multi_thread")]
async fn inspecting_a_thousand_messages_in_a_file_changes_nothing() {
    let bus = Bus::on_sqlite();
    let connection = bus.open(&[], &[bus.queue("work").delivery_limit(2)]).await;
    let queue = bus.name("work");
    let publisher = connection.publisher();
    let publishing = (0..1000).map(|number| {
        let message = note(number).id(format!("m-{number}")).header("number", HeaderValue::Int(number));
        publisher.publish("", &queue, message)
    });
    futures_util::future::try_join_all(publishing).await.unwrap();
    let mut consumer = connection.consume(&queue, 20).await.unwrap();
    for _ in 0..20 {
        drop(next(&mut consumer).await);
    }
    drop(consumer);
    let look = async || {
        let depth = connection.depth(&queue).await.unwrap();
        (depth, connection.browse(&queue, 2000, None).await.unwrap())
    };
    crate::support::wait_until_equal("all are back", 1000, async || look().await.1.len()).await;
    let before = look().await;
    assert!(before.1.iter().any(|seen| seen.redelivered) && before.1.iter().any(|seen| !seen.redelivered));
    for _ in 0..3 {
        let (shown, told) = ends_with(0, &bus, &["inspect", &queue, "--limit", "1000", "--json"]);
        let shown: Vec<String> =
            json_lines(&shown).iter().map(|letter| letter["properties"]["message_id"].to_string()).collect();
        let expected: Vec<String> = before.1.iter().map(|seen| json!(seen.message.message_id).to_string()).collect();
        assert_eq!(shown, expected);
        assert!(told.contains("1000 of 1000 messages") && !told.contains("cost"), "{told}");
    }
    assert_eq!(look().await, before);
}

/// A look takes a delivery; with a limit of two returns, the third look would have been the end of the message.
#[tokio::test(flavor = "multi_thread")]
async fn inspecting_on_rabbitmq_refuses_to_spend_the_last_delivery() {
    let bus = Bus::on_rabbitmq();
    let connection = bus.open(&[], &[bus.queue("work").delivery_limit(2)]).await;
    let queue = bus.name("work");
    send(&connection.publisher(), &queue, ["precious"]).await;
    let look = |status| ends_with(status, &bus, &["inspect", &queue, "--delivery-limit", "2"]);
    for _ in 0..2 {
        assert!(look(0).1.contains("this look cost: 1 message marked as redelivered"));
    }
    let (_, told) = look(2);
    assert!(told.contains("no delivery to spend"), "{told}");
    let mut consumer = connection.consume(&queue, 1).await.unwrap();
    assert_eq!(crate::fixture::take(&mut consumer).await, "precious");
}

pub async fn what_is_not_there_is_not_found(bus: &Bus) {
    let connection = bus.open(&[], &[]).await;
    let missing = bus.name("missing");
    for tool in ["inspect", "purge", "resurrect"] {
        let (_, told) = ends_with(5, bus, &[tool, &missing]);
        assert!(told.contains("does not exist") && told.contains("queues"), "{tool}: {told}");
    }
    let (_, told) = ends_with(5, bus, &["monitor", "--exchange", &format!("{missing}:#")]);
    assert!(told.contains(&format!("{missing:?}")), "{told}");
    connection.close().await;
}

pub async fn purging_asks_first_and_says_what_is_gone(bus: &Bus) {
    let connection = bus.open(&[], &[bus.queue("work").kind(QueueKind::Classic)]).await;
    let queue = bus.name("work");
    send(&connection.publisher(), &queue, 0..5).await;
    wait_until("all are there", || ends_with(0, bus, &["queues", &queue]).0.contains("  5  "));
    let (_, told) = ends_with(2, bus, &["purge", &queue]);
    assert!(told.contains(&format!("oat bus purge {queue} --yes")) && told.contains("5 messages"), "{told}");
    assert_eq!(connection.depth(&queue).await.unwrap().ready, 5);
    assert_eq!(ends_with(0, bus, &["purge", &queue, "--yes"]).0, format!("5 messages removed from queue {queue}\n"));
    let (json, _) = ends_with(0, bus, &["purge", &queue, "--yes", "--json"]);
    assert_eq!(json_lines(&json)[0]["removed"], 0);
    assert_eq!(connection.depth(&queue).await.unwrap().ready, 0);
}
