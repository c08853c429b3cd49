//! Against the real kombu, from PyPI: what it publishes is read here, what is published here it reads, packed or not.

use crate::{open, plain, soon, unique};
use oat::bus::{Compression, Message};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// `scripts/test` makes it.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");

/// Publishes each of its arguments' packings, then says what it consumes: content type, headers' names and body as JSON.
const KOMBU: &str = r#"
import json, sys, kombu
mode, url, name = sys.argv[1:4]
queue = kombu.Queue(name, kombu.Exchange(name, type="direct"), routing_key=name)
# Without confirms RabbitMQ may forget the last messages of a connection that is closed, on their way into a quorum queue.
with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
    if mode == "publish":
        with connection.Producer() as producer:
            for serializer, compression in json.load(sys.stdin):
                body = b"\x00\xff bytes" if serializer == "raw" else {"text": "Zo\u00eb", "numbers": [1, -2, 0.5]}
                producer.publish(body, exchange=name, routing_key=name, serializer=serializer, compression=compression,
                                 headers={"packed": compression or "no"}, priority=3, expiration=600)
    else:
        channel = connection.channel()
        seen = []
        def take(body, message):
            seen.append([message.content_type, body if not isinstance(body, (bytes, memoryview)) else list(bytes(body))])
            message.ack()
        with kombu.Consumer(channel, queues=[kombu.Queue(name, channel=channel, no_declare=True)], callbacks=[take],
                            accept=["json", "application/octet-stream"]):
            while len(seen) < int(sys.argv[4]):
                connection.drain_events(timeout=30)
        print(json.dumps(seen))
"#;

/// Runs kombu with these arguments and this input; what it prints.
async fn kombu(arguments: &[&str], input: Value) -> String {
    assert!(std::path::Path::new(PYTHON).exists(), "{PYTHON} is missing; scripts/test makes it, with kombu in it");
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
    let run = move || {
        let mut command = Command::new(PYTHON);
        command.args(["-c", KOMBU]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        serde_json::to_writer(child.stdin.take().unwrap(), &input).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "kombu failed");
        String::from_utf8(done.stdout).unwrap()
    };
    soon("kombu", tokio::task::spawn_blocking(run)).await.unwrap()
}

#[tokio::test]
async fn what_kombu_publishes_is_read_packed_or_not() {
    let (url, name) = (crate::support::rabbitmq_url(), unique("kombu"));
    let connection = open(url, plain(&name)).await;
    let forms =
        json!([["json", null], ["json", "gzip"], ["json", "zstd"], ["raw", null], ["raw", "gzip"], ["raw", "zstd"]]);
    kombu(&["publish", url, &name], forms.clone()).await;
    let mut consumer = connection.consume(&name, 10).await.unwrap();
    for form in forms.as_array().unwrap() {
        let delivery = soon("kombu's message", consumer.next()).await.unwrap();
        assert_eq!(delivery.message.text("packed"), form[1].as_str().or(Some("no")));
        assert_eq!(delivery.message.priority, Some(3));
        assert_eq!(delivery.message.expiration, Some(std::time::Duration::from_secs(600)));
        let message = delivery.message.unpacked(1000).unwrap();
        match form[0].as_str() {
            Some("raw") => assert_eq!(message.body, b"\x00\xff bytes", "{form}"),
            _ => assert_eq!(message.decode::<Value>().unwrap(), json!({"text": "Zoë", "numbers": [1, -2, 0.5]})),
        }
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_published_here_kombu_reads_packed_or_not() {
    let (url, name) = (crate::support::rabbitmq_url(), unique("kombu"));
    let connection = open(url, plain(&name)).await;
    let value = json!({"text": "Zoë", "numbers": [1, -2, 0.5]});
    let mut expected = Vec::new();
    for (message, read) in [
        (Message::json(&value).unwrap(), json!(["application/json", value])),
        (Message::raw(vec![0, 255, 7]), json!(["application/octet-stream", [0, 255, 7]])),
    ] {
        let packed = [Compression::Gzip, Compression::Zstd].map(|how| message.clone().compressed_for_kombu(how));
        for message in std::iter::once(message).chain(packed) {
            connection.publisher().publish(&name, &name, message).await.unwrap();
            expected.push(read.clone());
        }
    }
    let read = kombu(&["consume", url, &name, &expected.len().to_string()], Value::Null).await;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&read).unwrap(), expected);
}
