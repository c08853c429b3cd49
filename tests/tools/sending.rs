//! Publishing events, and asking services.

use crate::door::{command, ends_with, fed, json_lines, oat, text};
use crate::fixture::{Bus, next};
use oat::bus::{Binding, Connection, Exchange, ExchangeKind, HeaderValue, Message};
use oat::task::CBOR;
use rustix::process::{Pid, Signal};
use serde_json::json;
use std::process::Stdio;

/// The exchanges of a service, and its queues for what begins with this test's name.
pub async fn service(bus: &Bus) -> Connection {
    let exchanges = ["events", "commands", "logs"].map(|name| Exchange::new(name, ExchangeKind::Topic));
    let queue = |exchange| bus.queue(exchange).bound(Binding::new(exchange, &format!("{}#", bus.name(""))));
    bus.open(&exchanges, &[queue("events"), queue("commands")]).await
}

pub async fn publishing_tells_whether_any_queue_got_it(bus: &Bus) {
    let connection = service(bus).await;
    assert_eq!(ends_with(0, bus, &["publish", &bus.name("Heard")]).0, "confirmed\n");
    let nobody = format!("nobody.{}", bus.name("Heard"));
    assert_eq!(ends_with(3, bus, &["publish", &nobody]).0, "confirmed, but no queue is bound to it\n");
    let told = json_lines(&ends_with(3, bus, &["publish-event", &nobody, "--json"]).0);
    assert_eq!((&told[0]["confirmed"], &told[0]["unrouted"]), (&json!(1), &json!(1)));
    ends_with(5, bus, &["publish", "Heard", "--exchange", &bus.name("missing")]);
    assert_eq!(connection.depth(&bus.name("events")).await.unwrap().ready, 1);
}

pub async fn an_event_travels_as_json_or_cbor_with_what_eventail_asks_for(bus: &Bus) {
    let connection = service(bus).await;
    let mut events = connection.consume(&bus.name("events"), 1).await.unwrap();
    let (folder, name) = (tempfile::tempdir().unwrap(), bus.name("Made"));
    let [json, cbor] = ["made.json", "made.cbor"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(&json, "{\"id\": 7}\n").unwrap();
    std::fs::write(&cbor, b"\xa1\x62id\x07").unwrap();
    let ways: [(&[&str], &str, &[u8]); 5] = [
        (&[&json], "application/json", br#"{"id": 7}"#),
        (&[&cbor], CBOR, b"\xa1\x62id\x07"),
        (&["--data", r#"{"id": 18446744073709551616}"#], "application/json", br#"{"id": 18446744073709551616}"#),
        (&["--data", r#"{"id": 7}"#, "--as", "cbor"], CBOR, b"\xa1\x62id\x07"),
        (&["--conversation", "c"], "application/json", b"null"),
    ];
    for (arguments, content_type, body) in ways {
        ends_with(0, bus, &[&["publish", &name], arguments].concat());
        let delivery = next(&mut events).await;
        let message = &delivery.message;
        assert_eq!((&delivery.exchange, &delivery.routing_key), (&"events".to_owned(), &name));
        assert_eq!((message.content_type.as_deref(), message.body.as_slice()), (Some(content_type), body));
        let conversation = message.text("conversation_id").unwrap();
        assert!(conversation == "c" || conversation.len() > 30, "{conversation}");
        delivery.ack().await.unwrap();
    }
}

/// What is a pipe has each byte once, by whichever name it is read.
pub async fn what_comes_through_a_pipe_is_published_as_it_came(bus: &Bus) {
    let connection = service(bus).await;
    let mut events = connection.consume(&bus.name("events"), 1).await.unwrap();
    let name = bus.name("Made");
    let letter = json!({"v": 1, "exchange": "events", "routing_key": bus.name("Saved"),
        "properties": {"content_type": "application/json"}, "payload": {"id": 8}});
    for pipe in ["-", "/dev/stdin"] {
        let ways: [(&[&str], &str, &str, &[u8]); 3] = [
            (&[&name, pipe], r#"{"id":7}"#, &name, br#"{"id":7}"#),
            (&[&name, pipe], &letter.to_string(), &name, br#"{"id":8}"#),
            (&[pipe], &letter.to_string(), &bus.name("Saved"), br#"{"id":8}"#),
        ];
        for (arguments, input, key, body) in ways {
            fed(0, bus, &[&["publish"], arguments].concat(), input);
            let delivery = next(&mut events).await;
            assert_eq!((delivery.routing_key.as_str(), delivery.message.body.as_slice()), (key, body), "{arguments:?}");
            delivery.ack().await.unwrap();
        }
    }
    let (_, told) = fed(2, bus, &["publish", &name, "-"], "");
    assert!(told.contains("standard input:1:"), "{told}");
}

#[test]
fn a_payload_that_cannot_be_read_is_told_with_its_place() {
    let bus = Bus::on_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.json");
    let file = file.to_str().unwrap();
    std::fs::write(file, "{\n  \"id\": oops\n}").unwrap();
    let (_, told) = ends_with(2, &bus, &["publish", "Made", file]);
    assert!(told.contains(&format!("{file}:2:9: ")) && told.contains("oops") && told.contains("fix: "), "{told}");
    std::fs::write(file, b"\xa1\x62id\x07").unwrap();
    let (_, told) = ends_with(2, &bus, &["send", "shop.Price", file]);
    assert!(told.contains("--as cbor"), "{told}");
    let (_, told) = ends_with(2, &bus, &["publish", "Made", "--as", "cbor", "--data", "[18446744073709551616]"]);
    assert!(told.contains("does not fit into 64 bits") && told.contains("fix: "), "{told}");
    let (_, told) = ends_with(2, &bus, &["publish", file]);
    assert!(told.contains("oat bus publish NAME"), "{told}");
}

/// Answers each command with its own payload, or with an error if that was ordered, after a result for somebody else.
fn answering(connection: Connection, queue: String) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut commands = connection.consume(&queue, 10).await.unwrap();
        while let Some(delivery) = commands.next().await {
            let asked = &delivery.message;
            let status = if asked.body == b"\"fail\"" { "error" } else { "success" };
            let result = |correlation: &str, body: &[u8]| Message {
                correlation_id: Some(correlation.into()),
                ..Message::new("application/json", body.to_vec())
                    .header("status", HeaderValue::Text(status.into()))
                    .header("conversation_id", HeaderValue::Text(asked.text("conversation_id").unwrap().into()))
            };
            let (to, correlation) = (asked.reply_to.as_deref().unwrap(), asked.correlation_id.as_deref().unwrap());
            let publisher = connection.publisher();
            publisher.publish("commands", to, result("somebody else's", b"0")).await.unwrap();
            publisher.publish("commands", to, result(correlation, &asked.body)).await.unwrap();
            delivery.ack().await.unwrap();
        }
    })
}

pub async fn a_command_brings_its_result_and_its_status(bus: &Bus) {
    let service = answering(service(bus).await, bus.name("commands"));
    let echo = bus.name("Echo");
    let (result, _) = ends_with(0, bus, &["send", &echo, "--data", r#"{"a": [1, 2.5]}"#]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&result).unwrap(), json!({"a": [1, 2.5]}));
    assert_eq!(fed(0, bus, &["send", &echo, "-"], "7").0, "7\n");
    let (result, told) = ends_with(1, bus, &["send-command", &echo, "--data", "\"fail\""]);
    assert!(result == "\"fail\"\n" && told.contains("answers: error"), "{result}{told}");
    let result = json_lines(&ends_with(1, bus, &["send", &echo, "--data", "\"fail\"", "--json"]).0);
    assert_eq!((&result[0]["status"], &result[0]["payload"]), (&json!("error"), &json!("fail")));
    service.abort();
}

pub async fn two_who_ask_at_once_each_get_their_own_result(bus: &Bus) {
    let service = answering(service(bus).await, bus.name("commands"));
    let echo = bus.name("Echo");
    std::thread::scope(|scope| {
        let asking = |number: &'static str| scope.spawn(|| oat(bus, &["send", &echo, "--data", number]));
        for (asked, number) in ["1", "2", "3"].map(|number| (asking(number), number)) {
            assert_eq!(text(&asked.join().unwrap().stdout).trim(), number);
        }
    });
    service.abort();
}

pub async fn a_command_that_nobody_takes_is_told_at_once(bus: &Bus) {
    let connection = service(bus).await;
    let (_, told) = ends_with(5, bus, &["send", &format!("nobody.{}", bus.name("Echo")), "--timeout", "1h"]);
    assert!(told.contains("it was not sent"), "{told}");
    connection.close().await;
}

pub async fn a_result_that_does_not_come_ends_the_waiting(bus: &Bus) {
    let connection = service(bus).await;
    let (_, told) = ends_with(4, bus, &["send", &bus.name("Echo"), "--timeout", "1s"]);
    assert!(told.contains("has not answered within 1s"), "{told}");
    // It was sent, and whoever answers late answers nobody.
    let mut commands = connection.consume(&bus.name("commands"), 1).await.unwrap();
    let late = next(&mut commands).await;
    let to = late.message.reply_to.clone().unwrap();
    assert!(!connection.publisher().announce("commands", &to, Message::default()).await.unwrap());
    late.ack().await.unwrap();
}

pub async fn a_signal_ends_the_waiting_and_the_status_says_which(bus: &Bus) {
    let connection = service(bus).await;
    let mut commands = connection.consume(&bus.name("commands"), 1).await.unwrap();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let asking =
            command(bus, &["send", &bus.name("Echo"), "--timeout", "1h"]).stderr(Stdio::piped()).spawn().unwrap();
        next(&mut commands).await.ack().await.unwrap();
        rustix::process::kill_process(Pid::from_child(&asking), signal).unwrap();
        let ended = asking.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(status), "{}", text(&ended.stderr));
        assert!(text(&ended.stderr).contains("may still carry out"), "{}", text(&ended.stderr));
    }
}

#[test]
fn a_bus_that_is_not_there_is_not_made() {
    let bus = Bus::on_sqlite();
    let path = bus.url.trim_start_matches("sqlite:").to_owned();
    let tools: [&[&str]; 6] =
        [&["queues"], &["monitor"], &["publish", "Made"], &["inspect", "dead"], &["purge", "dead"], &["send", "a.B"]];
    for arguments in tools {
        let (_, told) = ends_with(5, &bus, arguments);
        assert!(told.contains("there is no bus yet"), "{arguments:?}: {told}");
    }
    assert!(!std::path::Path::new(&path).exists());
}
