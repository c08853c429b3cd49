//! Sending the dead back.

use crate::door::{ends_with, json_lines};
use crate::fixture::{Bus, next, note, send, take};
use crate::support::wait_until_equal;
use oat::bus::{Binding, Connection, ExchangeKind, HeaderValue, Message};
use serde_json::json;

/// Two queues that hear the same, `one` and `two`, and a common queue for their dead.
async fn graveyard(bus: &Bus) -> Connection {
    let exchange = bus.exchange("news", ExchangeKind::Topic);
    let queue =
        |name| bus.queue(name).bound(Binding::new(&bus.name("news"), "#")).dead_letters_to("", &bus.name("dead"));
    bus.open(&[exchange], &[bus.queue("dead"), queue("one"), queue("two")]).await
}

/// Publishes messages under these keys and lets them die in `queue`.
async fn bury(bus: &Bus, connection: &Connection, queue: &str, messages: &[(&str, Message)]) {
    let mut consumer = connection.consume(&bus.name(queue), 10).await.unwrap();
    for (key, message) in messages {
        connection.publisher().publish(&bus.name("news"), key, message.clone()).await.unwrap();
        next(&mut consumer).await.reject("no idea").await.unwrap();
    }
    let dead = bus.name("dead");
    wait_until_equal("they are dead", messages.len() as u64, async || connection.depth(&dead).await.unwrap().ready)
        .await;
}

async fn ready(bus: &Bus, connection: &Connection, queue: &str) -> u64 {
    connection.depth(&bus.name(queue)).await.unwrap().ready
}

fn full(text: &str) -> Message {
    Message {
        correlation_id: Some("c".into()),
        reply_to: Some("back".into()),
        app_id: Some("tests".into()),
        timestamp: Some(1_700_000_000),
        ..note(text).id("m").kind("note").header("mine", HeaderValue::Int(7))
    }
}

pub async fn the_dead_go_back_to_where_they_died_and_nowhere_else(bus: &Bus) {
    let connection = graveyard(bus).await;
    bury(bus, &connection, "one", &[("a.b", full("first")), ("a.c", full("second"))]).await;
    let others = ready(bus, &connection, "two").await;
    let (_, told) = ends_with(2, bus, &["resurrect", &bus.name("dead")]);
    assert!(told.contains("--yes"), "without a terminal it has to be said: {told}");
    let (told, _) = ends_with(0, bus, &["resurrect", &bus.name("dead"), "--yes"]);
    assert!(told.contains(&format!("→ {}", bus.name("one"))) && told.contains("2 of 2 messages went back"), "{told}");
    assert_eq!((ready(bus, &connection, "dead").await, ready(bus, &connection, "two").await), (0, others));
    let mut consumer = connection.consume(&bus.name("one"), 1).await.unwrap();
    for (text, key) in [("first", "a.b"), ("second", "a.c")] {
        let back = next(&mut consumer).await;
        assert_eq!(back.origin(), (bus.name("news").as_str(), key));
        assert_eq!((back.attempt, back.deaths.len()), (1, 0), "its life begins again");
        let sent = full(text);
        assert_eq!(back.message.int("x-oat-resurrected"), Some(1));
        assert_eq!(back.message.int("mine"), Some(7));
        assert_eq!(Message { headers: sent.headers.clone(), ..back.message.clone() }, sent);
        back.ack().await.unwrap();
    }
    drop(consumer);
    // To the exchange means to everybody who hears it.
    bury(bus, &connection, "one", &[("a.b", note("third"))]).await;
    let others = ready(bus, &connection, "two").await;
    ends_with(0, bus, &["resurrect", &bus.name("dead"), "--yes", "--to-exchange"]);
    let mut consumer = connection.consume(&bus.name("one"), 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, "third");
    assert_eq!(ready(bus, &connection, "two").await, others + 1);
}

pub async fn a_rehearsal_changes_nothing(bus: &Bus) {
    let connection = graveyard(bus).await;
    bury(bus, &connection, "one", &[("a.b", note("first").id("m-1")), ("a.c", note("second"))]).await;
    let (told, _) = ends_with(0, bus, &["resurrect", &bus.name("dead"), "--dry-run"]);
    assert!(told.contains("m-1") && told.contains("a.c") && told.contains("died 1×: no idea"), "{told}");
    assert!(told.contains("2 of 2 messages would go back") && told.contains("nothing was changed"), "{told}");
    assert_eq!((ready(bus, &connection, "dead").await, ready(bus, &connection, "one").await), (2, 0));
}

pub async fn only_what_was_meant_goes_and_the_rest_stays_as_it_was(bus: &Bus) {
    let connection = graveyard(bus).await;
    // More than are fetched at once, and the one that is meant behind all of them.
    let mut all: Vec<(&str, Message)> = (0..40).map(|number| ("other.thing", note(number))).collect();
    all.push(("meant.thing", note("meant")));
    all.push(("meant.thing", note("over the limit")));
    bury(bus, &connection, "one", &all).await;
    let dead = bus.name("dead");
    // Where looking costs something, do without.
    let before = match connection {
        Connection::Local(_) => connection.browse(&dead, 100, None).await.unwrap(),
        Connection::Amqp(_) => Vec::new(),
    };
    let (told, _) = ends_with(0, bus, &["resurrect", &dead, "--only", "meant.#", "--limit", "1", "--yes", "--json"]);
    let told = json_lines(&told);
    assert_eq!((told.len(), &told[0]["routing_key"], &told[1]["moved"]), (2, &json!("meant.thing"), &json!(1)));
    let mut consumer = connection.consume(&bus.name("one"), 1).await.unwrap();
    assert_eq!(take(&mut consumer).await, "meant");
    wait_until_equal("the others are back", 41, async || ready(bus, &connection, "dead").await).await;
    let after = connection.browse(&dead, 100, None).await.unwrap();
    if let Connection::Local(_) = connection {
        let kept: Vec<_> = before.into_iter().filter(|seen| seen.message.body != b"meant").collect();
        assert_eq!(after, kept);
    } else {
        let died = |seen: &&oat::bus::Seen| seen.deaths.len() == 1 && seen.message.text("x-oat-routing-key").is_some();
        assert_eq!(after.iter().filter(died).count(), 41);
    }
}

pub async fn a_message_with_no_way_back_stays_dead(bus: &Bus) {
    let connection = graveyard(bus).await;
    bury(bus, &connection, "one", &[("a.b", note("homeless"))]).await;
    connection.delete_queue(&bus.name("one")).await.unwrap();
    // What was never buried does not say where it belongs.
    send(&connection.publisher(), &bus.name("dead"), ["stray"]).await;
    let (told, _) = ends_with(3, bus, &["resurrect", &bus.name("dead"), "--yes"]);
    assert!(told.contains("no queue is bound") && told.contains("nothing tells where it died"), "{told}");
    assert!(told.contains("0 of 2 messages went back, 2 stay dead"), "{told}");
    wait_until_equal("both are there", 2, async || ready(bus, &connection, "dead").await).await;
}

pub async fn what_dies_again_and_again_stays_dead(bus: &Bus) {
    let connection = graveyard(bus).await;
    bury(bus, &connection, "one", &[("a.b", note("hopeless"))]).await;
    let mut consumer = connection.consume(&bus.name("one"), 1).await.unwrap();
    for times in 1..=2 {
        ends_with(0, bus, &["resurrect", &bus.name("dead"), "--yes", "--max-deaths", "2"]);
        let back = next(&mut consumer).await;
        assert_eq!(back.message.int("x-oat-resurrected"), Some(times));
        back.reject("still no idea").await.unwrap();
        wait_until_equal("it is dead", 1, async || ready(bus, &connection, "dead").await).await;
    }
    let (told, _) = ends_with(3, bus, &["resurrect", &bus.name("dead"), "--yes", "--max-deaths", "2"]);
    assert!(told.contains("died 3×: still no idea") && told.contains("--max-deaths is 2"), "{told}");
}

pub async fn an_empty_queue_ends_it(bus: &Bus) {
    let connection = graveyard(bus).await;
    let (told, _) = ends_with(0, bus, &["resurrect", &bus.name("dead"), "--count", "9"]);
    assert!(told.contains("0 of 0 messages went back"), "{told}");
    connection.close().await;
}
