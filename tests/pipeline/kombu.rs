//! The seed's own kind of client: Python and kombu, from PyPI, sending the seed's JSON.

use crate::support;
use crate::system::System;
use oat::task::Task;
use std::process::Command;
use uuid::Uuid;

const SEED: &str = r#"
import json, sys, kombu
url, exchange, body = sys.argv[1:]
with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
    tasks = kombu.Exchange(exchange, type="direct")
    with connection.Producer(serializer="json") as producer:
        producer.publish(json.loads(body), exchange=tasks, routing_key=exchange)
"#;

/// `scripts/test` makes it.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");

fn send(system: &System, body: &str) {
    assert!(std::path::Path::new(PYTHON).exists(), "{PYTHON} is missing; scripts/test makes it, with kombu in it");
    let status = Command::new(PYTHON).args(["-c", SEED, &system.bus, &system.names().tasks, body]).status();
    assert!(status.unwrap().success());
}

/// Width, height, iterations and window of the seed's log; neither version nor formula nor constant.
#[test]
fn a_task_that_a_kombu_client_sends_is_drawn_and_recorded() {
    let system = System::on_shared_servers("mariadb");
    let (_tracker, _worker) = (system.tracker(), system.worker("first"));
    system.block_on(async { system.connect().await.close().await });
    let uuid = Uuid::new_v4();
    let body = format!(
        r#"{{"uuid": "{uuid}", "width": 182, "height": 219, "iterations": 395, "xa": -1.2576814065507933,
            "xb": 1.6486035545865234, "ya": -2.8587178863035616, "yb": 2.6351683415972076}}"#
    );
    send(&system, &body);
    system.wait_until_done(1);
    system.assert_everything_is_whole(1);
    let record = &system.records()[0];
    let derived = Task::decode(Some("application/json"), body.as_bytes()).unwrap();
    assert_eq!(record.task.uuid, uuid);
    assert!(derived.scene.formula().c().is_some());
    assert_eq!(record.task.scene, derived.scene, "the constant is derived from the uuid, and recorded");
    support::wait_until("the result is settled", || system.done() == 1);
}
