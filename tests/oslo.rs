//! The real oslo.messaging, from PyPI, at either end: its client calls our server and ours its server, a thousand times each,
//! while the broker is restarted. Nothing is lost, and failures travel as what they are.

mod support;

use futures_util::{StreamExt, stream};
use oat::bus::rpc::{Client, Error, Failure, Request, Server, Target};
use oat::bus::{Connection, Options, Topology};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::Server as Broker;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

const CALLS: u64 = 1000;
const WITHIN: Duration = Duration::from_secs(5);
/// Longer than a thousand calls and a restart take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// `scripts/test` makes it.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");

/// A program of `tests/oslo`, and the lines that it prints. Dropping it ends it.
struct Program {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Program {
    fn start(name: &str, broker: &str, arguments: &[&str]) -> Program {
        assert!(
            std::path::Path::new(PYTHON).exists(),
            "{PYTHON} is missing; scripts/test makes it, with oslo.messaging"
        );
        let script = format!("{}/tests/oslo/{name}", env!("CARGO_MANIFEST_DIR"));
        let url = broker.replacen("amqp://", "rabbit://", 1).replace("/%2f", "//");
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(url).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let output = BufReader::new(child.stdout.take().unwrap());
        // It complains at length of a broker that is away: of interest only when the test fails.
        let complaints = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        std::thread::spawn(|| complaints.for_each(|line| eprintln!("{line}")));
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Program { child, lines }
    }

    async fn line(&mut self) -> String {
        soon("a line of the program", self.lines.recv()).await.expect("the program goes on")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn broker() -> Arc<Broker> {
    Arc::new(spawn_blocking(|| Broker::start("rabbitmq")).await.unwrap())
}

async fn restart(broker: &Arc<Broker>) {
    let broker = broker.clone();
    spawn_blocking(move || broker.restart()).await.unwrap();
}

async fn open(broker: &Broker) -> Connection {
    let options = Options { connect_timeout: PATIENCE, ..Options::default() };
    Connection::open(&broker.url(), Topology::default(), options).await.expect("the broker is there")
}

async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

async fn methods(request: Request) -> Result<Value, Failure> {
    match (request.method.as_str(), request.args["arg"].as_i64()) {
        ("adder", Some(number)) => Ok(json!(number + 1)),
        ("divide", _) => Err(Failure::new("ArithmeticError", "by zero")),
        ("break", _) => Err(Failure::new("Broken", "beyond repair")),
        (other, _) => Err(Failure::unknown(other)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oslos_client_gets_a_thousand_answers_from_our_server_through_a_restart() {
    let broker = broker().await;
    let bus = open(&broker).await;
    let server = Server::serve(&bus, &Target::oslo("test", Some("myname")), 8, methods).await.unwrap();
    // Several at once, as in a service: each is a process of its own.
    let share = CALLS / 4;
    let mut sums = BTreeSet::new();
    let mut clients: Vec<Program> = (0..4)
        .map(|part| Program::start("client.py", &broker.url(), &[&(part * share).to_string(), &share.to_string()]))
        .collect();
    for client in &mut clients {
        sums.insert(client.line().await);
    }
    restart(&broker).await;
    for client in &mut clients {
        for _ in 1..share {
            sums.insert(client.line().await);
        }
    }
    let expected: BTreeSet<String> = (1..=CALLS).map(|sum| sum.to_string()).collect();
    assert_eq!(sums, expected);
    drop(server);
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_gets_a_thousand_answers_from_oslos_server_through_a_restart() {
    let broker = broker().await;
    let mut server = Program::start("server.py", &broker.url(), &[]);
    assert_eq!(server.line().await, "serving");
    let bus = open(&broker).await;
    let client = Client::open(&bus, &Target::oslo("test", None)).await.unwrap();
    let (answered, again) = (Arc::new(watch::channel(0).0), Arc::new(AtomicUsize::new(0)));
    let calling = {
        let (answered, again) = (answered.clone(), again.clone());
        tokio::spawn(stream::iter(0..CALLS).for_each_concurrent(4, move |number| {
            let (client, answered, again) = (client.clone(), answered.clone(), again.clone());
            async move {
                // What was on its way when the broker went is lost, as oslo has it; its users call again.
                while let Err(error) = client.call("adder", &json!({"arg": number}), WITHIN).await.map(|sum| {
                    assert_eq!(sum, json!(number + 1));
                    answered.send_modify(|count| *count += 1);
                }) {
                    assert!(!matches!(error, Error::Remote { .. } | Error::Answer { .. }), "{error}");
                    again.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }))
    };
    soon("a third is answered", answered.subscribe().wait_for(|count| *count >= CALLS / 3)).await.unwrap();
    restart(&broker).await;
    soon("all are answered", calling).await.unwrap();
    assert_eq!(*answered.borrow(), CALLS);
    eprintln!("{} call(s) had to be made again", again.load(Ordering::Relaxed));
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_travel_as_what_they_are() {
    let broker = broker().await;
    let bus = open(&broker).await;
    let server = Server::serve(&bus, &Target::oslo("test", Some("myname")), 8, methods).await.unwrap();
    for (method, told) in [
        ("divide", "ArithmeticError"),
        ("break", "RemoteError Remote error: Broken beyond repair"),
        ("multiply", "RemoteError Remote error: NoSuchMethod"),
    ] {
        let line = Program::start("client.py", &broker.url(), &[method, "0"]).line().await;
        assert!(line.starts_with(told), "{line}");
    }
    server.stop().await;
    // What we have declared is what oslo declares, or it would be refused with 406.
    let mut theirs = Program::start("server.py", &broker.url(), &[]);
    assert_eq!(theirs.line().await, "serving");
    let client = Client::open(&bus, &Target::oslo("test", Some("myname"))).await.unwrap();
    match client.call("divide", &json!({"arg": 0}), PATIENCE).await {
        Err(Error::Remote { failure, .. }) => assert_eq!(failure.kind, "ZeroDivisionError"),
        other => panic!("{other:?}"),
    }
    bus.close().await;
}
