//! Listening to what others publish.

use crate::door::{Listener, ends_with, json_lines};
use crate::fixture::{Bus, next};
use crate::sending::service;
use crate::support::{wait_until_async, wait_until_equal};
use oat::bus::{Connection, HeaderValue, Message, Publisher};
use oat::topology::Names;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

fn says(value: &Value) -> Message {
    Message::new("application/json", value.to_string().into_bytes())
}

async fn publish(publisher: &Publisher, exchange: &str, key: &str, value: Value) {
    publisher.announce(exchange, key, says(&value)).await.unwrap();
}

/// Queues of listeners that are still there.
async fn queues_of_listeners(connection: &Connection) -> usize {
    let names = match connection {
        Connection::Local(_) => connection.queues().await.unwrap(),
        // Others listen there at the same time.
        Connection::Amqp(_) => Vec::new(),
    };
    names.iter().filter(|name| name.starts_with("oat.monitor")).count()
}

pub async fn monitoring_shows_what_was_asked_for_and_takes_nothing_away(bus: &Bus) {
    let connection = service(bus).await;
    let publisher = connection.publisher();
    let (events, commands) = (format!("{}*", bus.name("")), bus.name("Do"));
    let monitor =
        Listener::start(bus, &["monitor", "--events", &events, "--commands", &commands, "--json", "--limit", "3"]);
    publish(&publisher, "events", &bus.name("One"), json!(1)).await;
    publish(&publisher, "events", &bus.name("too.Deep"), json!(0)).await;
    publish(&publisher, "events", &format!("other.{}", bus.name("One")), json!(0)).await;
    publish(&publisher, "commands", &bus.name("Other"), json!(0)).await;
    publish(&publisher, "commands", &bus.name("Do"), json!(2)).await;
    publish(&publisher, "events", &bus.name("Three"), json!(3)).await;
    let (printed, status) = monitor.end();
    let mut heard: Vec<(String, Value)> = json_lines(&printed)
        .iter()
        .map(|letter| (letter["exchange"].as_str().unwrap().to_owned(), letter["payload"].clone()))
        .collect();
    heard.sort_by_key(|(_, payload)| payload.as_u64());
    let expected = [("events", 1), ("commands", 2), ("events", 3)].map(|(name, n)| (name.to_owned(), json!(n)));
    assert_eq!((heard, status), (expected.to_vec(), 0));
    let depth = async |queue| connection.depth(&bus.name(queue)).await.unwrap().ready;
    assert_eq!((depth("events").await, depth("commands").await), (3, 2));
    wait_until_equal("its queue is gone", 0, async || queues_of_listeners(&connection).await).await;
}

pub async fn values_are_compared_with_their_types(bus: &Bus) {
    let connection = service(bus).await;
    let pattern = format!("{}#", bus.name(""));
    let arguments = ["monitor", &pattern, "--where", "order.id=123", "--where", "who=ada", "--limit", "1", "--json"];
    let monitor = Listener::start(bus, &arguments);
    let orders = [
        json!({"order": {"id": "123"}, "who": "ada"}),
        json!({"order": {"id": 123}, "who": "eve"}),
        json!(["order"]),
        json!({"order": {"id": 123}, "who": "ada", "right": true}),
    ];
    for order in orders {
        publish(&connection.publisher(), "events", &bus.name("Ordered"), order).await;
    }
    let (printed, status) = monitor.end();
    let heard = json_lines(&printed);
    assert_eq!((heard.len(), &heard[0]["payload"]["right"], status), (1, &json!(true), 0));
}

pub async fn what_was_saved_is_sent_again_as_it_was(bus: &Bus) {
    let connection = service(bus).await;
    let folder = tempfile::tempdir().unwrap();
    let (path, pattern) = (folder.path().to_str().unwrap(), format!("{}#", bus.name("")));
    let monitor = Listener::start(bus, &["monitor", &pattern, "--save", path, "--limit", "2"]);
    let sent = Message {
        correlation_id: Some("c".into()),
        reply_to: Some("back".into()),
        app_id: Some("tests".into()),
        timestamp: Some(1_700_000_000),
        ..Message::new("application/cbor", b"\xa1\x62id\x07".to_vec())
    }
    .id("m")
    .kind("order")
    .priority(2)
    .expires_after(Duration::from_secs(3600))
    .header("conversation_id", HeaderValue::Text("k".into()))
    .header("tries", HeaderValue::Int(3));
    let raw = Message::new("image/png", b"\x89PNG\xff\0".to_vec());
    for message in [&sent, &raw] {
        connection.publisher().publish("events", &bus.name("Ordered"), message.clone()).await.unwrap();
    }
    let (printed, _) = monitor.end();
    assert!(printed.contains("event ") && printed.contains("conversation_id") && printed.contains("\"id\": 7"));
    let mut events = connection.consume(&bus.name("events"), 1).await.unwrap();
    for _ in 0..2 {
        next(&mut events).await.ack().await.unwrap();
    }
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for (file, message) in files.iter().zip([&sent, &raw]) {
        assert_eq!(ends_with(0, bus, &["publish", file.to_str().unwrap()]).0, "confirmed\n");
        let again = next(&mut events).await;
        assert_eq!((again.exchange.as_str(), &again.routing_key), ("events", &bus.name("Ordered")));
        assert_eq!(&again.message, message);
        again.ack().await.unwrap();
    }
    assert_eq!(files.len(), 2);
}

pub async fn monitoring_ends_by_itself_and_with_ctrl_c(bus: &Bus) {
    let connection = service(bus).await;
    let nobody = bus.name("nobody");
    assert_eq!(Listener::start(bus, &["monitor", &nobody, "--for", "300ms"]).end(), (String::new(), 0));
    let late = Listener::start(bus, &["monitor", &nobody, "--for", "300ms", "--limit", "1"]);
    assert_eq!(late.end(), (String::new(), 4), "the limit was not reached");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let interrupted = |more: &[&str]| {
            let monitor = Listener::start(bus, &[&["monitor", &nobody], more].concat());
            monitor.signal(signal);
            monitor.end()
        };
        assert_eq!(interrupted(&[]), (String::new(), 0), "it has no other end");
        assert_eq!(interrupted(&["--limit", "1"]), (String::new(), status));
        assert_eq!(interrupted(&["--for", "1h"]), (String::new(), status));
    }
    connection.close().await;
}

pub async fn tasks_and_results_are_shown(bus: &Bus) {
    let prefix = bus.name("");
    let names = Names::new(&prefix);
    let connection = Connection::open(&bus.url, names.topology(), oat::bus::Options::default()).await.unwrap();
    let everything = Listener::start(
        bus,
        &["monitor", "--queue-prefix", &prefix, "--where", &format!("of={prefix}"), "--limit", "2"],
    );
    let results = Listener::start(bus, &["monitor", "--queue-prefix", &prefix, "--results", "--limit", "1", "--json"]);
    publish(&connection.publisher(), &names.tasks, &names.tasks, json!({"of": prefix})).await;
    publish(&connection.publisher(), &names.results, &names.results, json!({"of": prefix})).await;
    let (printed, _) = everything.end();
    assert!(printed.contains(&format!("task {}", names.tasks)), "{printed}");
    assert!(printed.contains(&format!("outcome {}", names.results)), "{printed}");
    assert_eq!(json_lines(&results.end().0)[0]["exchange"], json!(names.results));
}

pub async fn logs_are_decoded_and_chosen_by_their_level(bus: &Bus) {
    let connection = service(bus).await;
    let name = bus.name("");
    let service_name = name.trim_end_matches('.');
    let say = async |level: &str, number: u8, text: &str| {
        let gelf = json!({
            "version": "1.1", "short_message": text, "full_message": format!("{text}\n  in full"), "level": number,
            "host": format!("{service_name}@here"), "timestamp": 1_700_000_000.25, "_conversation_id": "k",
        });
        let message = Message { content_type: None, transient: true, ..says(&gelf) };
        connection.publisher().announce("logs", &format!("{service_name}.{level}"), message).await.unwrap();
    };
    let all = Listener::start(bus, &["logs", service_name, "--level", "warning", "--limit", "2"]);
    let worst = format!("{service_name}.ALERT");
    let alerts = Listener::start(bus, &["logger", "--filter", &worst, "--json", "--limit", "1"]);
    say("INFO", 6, "all is well").await;
    say("WARNING", 4, "it is getting late").await;
    say("ALERT", 1, "it is too late").await;
    let (printed, status) = all.end();
    assert_eq!(status, 0);
    let first =
        format!("2023-11-14T22:13:20.250Z warning   {service_name}@here  it is getting late  conversation_id=k\n");
    assert!(printed.starts_with(&first), "{printed}");
    assert!(printed.contains("alert ") && printed.contains("    it is too late\n      in full\n"), "{printed}");
    assert!(!printed.contains("all is well"));
    let (printed, _) = alerts.end();
    assert_eq!(json_lines(&printed)[0]["level"], "alert");
}

/// eventail's monitor ends there, without a word.
#[tokio::test(flavor = "multi_thread")]
async fn monitoring_goes_on_after_the_broker_was_restarted() {
    let server = crate::support::Server::start("rabbitmq");
    let mut bus = Bus::on_sqlite();
    bus.url = server.url();
    let monitor = Listener::start(&bus, &["monitor", "--limit", "1"]);
    server.restart();
    let publisher = bus.open(&[], &[]).await.publisher();
    let heard = async || publisher.announce("events", "Heard", says(&json!(1))).await.is_ok_and(|heard| heard);
    wait_until_async("it listens again", heard).await;
    assert!(monitor.end().0.contains("event Heard"));
}
