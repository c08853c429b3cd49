//! The tools against services on the real eventail, from PyPI.

use crate::door::{Listener, ends_with, json_lines};
use crate::fixture::Bus;
use crate::support::{rabbitmqctl, wait_until, wait_until_equal};
use oat::bus::{Binding, Connection, ExchangeKind};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// `scripts/test` makes it.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/service.py");

/// `service.py`, running.
struct Service {
    child: Child,
    name: String,
    folder: TempDir,
}

impl Service {
    fn start(bus: &Bus) -> Service {
        assert!(Path::new(PYTHON).exists(), "{PYTHON} is missing; scripts/test makes it, with eventail in it");
        let (name, folder) = (bus.name("echo").replace('.', "-"), tempfile::tempdir().unwrap());
        let mut python = Command::new(PYTHON);
        python.args([SERVICE, &bus.url, &name]).arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = python.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the service starts");
        Service { child, name, folder }
    }

    /// What it handles of `what`: a command or an event.
    fn key(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    fn kept(&self) -> Vec<String> {
        let kept = std::fs::read_to_string(self.folder.path().join("kept")).unwrap_or_default();
        kept.lines().map(|line| line.trim_start_matches(&format!("{}.", self.name)).to_owned()).collect()
    }

    fn break_it(&self) {
        std::fs::write(self.folder.path().join("broken"), "").unwrap();
    }

    fn mend_it(&self) {
        std::fs::remove_file(self.folder.path().join("broken")).unwrap();
    }

    /// Gives its queues a dead-letter exchange, as eventail's README has people do it, and a queue for the dead.
    async fn with_dead_letters(&self, bus: &Bus) -> Connection {
        let dead = bus.queue("dead").bound(Binding::new(&bus.name("dead"), "#"));
        let connection = bus.open(&[bus.exchange("dead", ExchangeKind::Topic)], &[dead]).await;
        let policy = json!({"dead-letter-exchange": bus.name("dead")}).to_string();
        rabbitmqctl(&["set_policy", &self.name, &format!("^{}[.]", self.name), &policy, "--apply-to", "queues"]);
        connection
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for queue in ["events", "commands"] {
            rabbitmqctl(&["delete_queue", &self.key(queue)]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_services_answer_and_are_heard() {
    let bus = Bus::on_rabbitmq();
    let service = Service::start(&bus);
    let (echo, echoed) = (service.key("Echo"), service.key("Echoed"));
    let everything = ["monitor", "--events", &echoed, "--commands", &echo, "--limit", "2"];
    let (monitor, json) =
        (Listener::start(&bus, &everything), Listener::start(&bus, &[&everything[..], &["--json"]].concat()));
    let logs = Listener::start(&bus, &["logs", &service.name, "--level", "warning", "--limit", "1"]);
    let (result, _) = ends_with(0, &bus, &["send", &echo, "--data", r#"{"id": 7}"#, "--conversation", "k"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&result).unwrap(), json!({"id": 7}));
    let (shown, status) = monitor.end();
    assert_eq!(status, 0);
    for expected in
        [format!("command {echo}"), format!("event {echoed}"), "conversation_id    k".into(), "\"what\": {".into()]
    {
        assert!(shown.contains(&expected), "{expected}: {shown}");
    }
    let letters = json_lines(&json.end().0);
    let event = letters.iter().find(|letter| letter["exchange"] == "events").unwrap();
    assert_eq!(
        (&event["payload"], &event["properties"]["content_type"]),
        (&json!({"what": {"id": 7}}), &json!("application/cbor"))
    );
    let (shown, _) = logs.end();
    assert!(shown.contains(&format!("warning   {}@", service.name)) && shown.contains("  echoed  "), "{shown}");
    assert!(shown.contains("conversation_id=k") && shown.contains("    in full"), "{shown}");
    let (result, told) = ends_with(1, &bus, &["send", &echo, "--data", "\"fail\"", "--as", "cbor"]);
    assert!(result.contains("as asked") && told.contains("answers: error"), "{result}{told}");
    assert_eq!(ends_with(0, &bus, &["publish", &service.key("Happened"), "--data", "1"]).0, "confirmed\n");
    wait_until("it hears our event", || service.kept().contains(&"Happened 1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_in_its_services_is_handled_after_its_resurrection() {
    let bus = Bus::on_rabbitmq();
    let service = Service::start(&bus);
    let connection = service.with_dead_letters(&bus).await;
    let dead = bus.name("dead");
    service.break_it();
    ends_with(4, &bus, &["send", &service.key("Echo"), "--data", "1", "--timeout", "1s"]);
    ends_with(0, &bus, &["publish", &service.key("Happened"), "--data", "2"]);
    wait_until_equal("both are dead", 2, async || connection.depth(&dead).await.unwrap().ready).await;
    service.mend_it();
    // A command has one service, and goes to it. An event through its exchange goes to everybody: only if that is meant.
    let (told, _) = ends_with(3, &bus, &["resurrect", &dead, "--yes"]);
    assert!(told.contains("1 of 2 messages went back, 1 stay dead") && told.contains("--to-exchange"), "{told}");
    wait_until("the command is handled", || service.kept() == ["Echo 1"]);
    wait_until_equal("the event is put back", 1, async || connection.depth(&dead).await.unwrap().ready).await;
    let (told, _) = ends_with(0, &bus, &["resurrect", &dead, "--yes", "--to-exchange"]);
    assert!(told.contains("died 1×") && told.contains("1 of 1 message went back"), "{told}");
    wait_until("the event is handled", || service.kept() == ["Echo 1", "Happened 2"]);
    assert_eq!(connection.depth(&dead).await.unwrap().ready, 0);
}
