//! A `Service` of ours on one side, eventail on the other.

use crate::scripts::World;
use crate::support::{wait_until, wait_until_equal};
use oat::bus::service::{CallError, Conversation, Failure, Incoming, Kind, Log, Service, ServiceOptions, Severity};
use oat::bus::{Backoff, Connection, Options, Topology};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);

/// What our services have heard, in words.
type Heard = Arc<Mutex<Vec<String>>>;

async fn open(world: &World, options: ServiceOptions) -> Service {
    let connection = Options { connect_timeout: MINUTE, confirm_timeout: MINUTE, ..options.connection };
    let backoff = Backoff::doubling(Duration::from_millis(10), MINUTE);
    Service::open(&[&world.url], ServiceOptions { connection, backoff, ..options }).await.unwrap()
}

/// Events are noted, and fail if they ask for it. `Add` adds one, and refuses what is no number.
async fn handle(heard: Heard, incoming: Incoming, conversation: Conversation) -> Result<Value, Failure> {
    let payload: Value = incoming.payload()?;
    heard.lock().unwrap().push(format!("{} {payload}", incoming.name));
    match (incoming.kind, payload.as_i64()) {
        (Kind::Event, _) if payload == "fail" => Err("as asked")?,
        (Kind::Command, None) => Err(Failure::refused("not a number")),
        (Kind::Command, Some(number)) => {
            conversation.publish_event("ours.Added", &json!({ "number": number })).await?;
            Ok(json!({ "sum": number + 1 }))
        }
        (_, _) => Ok(Value::Null),
    }
}

/// A service of ours that runs until the token is cancelled.
async fn run(world: &World, options: ServiceOptions) -> (Heard, CancellationToken) {
    let (service, heard, stop) = (open(world, options).await, Heard::default(), CancellationToken::new());
    let (hearing, stopped) = (heard.clone(), stop.clone());
    tokio::spawn(async move {
        let handler = move |incoming, conversation| handle(hearing.clone(), incoming, conversation);
        service.run(handler, stopped.cancelled()).await.unwrap();
        service.close().await;
    });
    (heard, stop)
}

fn world() -> World {
    World::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_monitor_shows_our_events_commands_and_results() {
    let world = tokio::task::spawn_blocking(world).await.unwrap();
    let (_heard, stop) = run(&world, ServiceOptions::new("ours").commands(&["ours.*"])).await;
    let monitor = world.script("monitor.py", &["--events", "ours.*", "--commands", "#"]);
    monitor.says("Started");
    let asking = open(&world, ServiceOptions { json: true, ..ServiceOptions::new("asking") }).await;
    let answer: Value = asking.conversation("seven").call("ours.Add", &41, MINUTE).await.unwrap();
    assert_eq!(answer, json!({ "sum": 42 }));
    for expected in ["Got a Command ours.Add", "Got an Event ours.Added", "Got a Result: return.asking.", "{'sum': 42}"]
    {
        monitor.says(expected);
    }
    monitor.says("Status success");
    assert_eq!(monitor.printed().matches("Conversation ID: seven").count(), 3, "{}", monitor.printed());
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_service_hears_its_events_and_answers_its_commands() {
    let world = tokio::task::spawn_blocking(world).await.unwrap();
    let (heard, stop) = run(&world, ServiceOptions::new("ours").events(&["Happened"]).commands(&["ours.*"])).await;
    let payload = world.payload(r#"{"what": "an order", "price": 12.5}"#);
    let sent = world.script("publish_event.py", &["Happened", &payload]).ends();
    assert!(sent.contains("successfuly sent"), "{sent}");
    let expected = r#"Happened {"price":12.5,"what":"an order"}"#;
    wait_until("our service hears it", || *heard.lock().unwrap() == [expected]);

    let answered = world.script("send_command.py", &["ours.Add", &world.payload("41")]).ends();
    for expected in ["Correlation ID is O.K.", "Conversation ID is O.K.", "Success!", "{'sum': 42}"] {
        assert!(answered.contains(expected), "{answered}");
    }
    let refused = world.script("send_command.py", &["ours.Add", &world.payload("[]")]).ends();
    assert!(refused.contains("Error!") && refused.contains("not a number"), "{refused}");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn its_services_hear_us_and_answer_us() {
    let world = tokio::task::spawn_blocking(world).await.unwrap();
    let _echo = world.service("echo");
    for json in [false, true] {
        let ours = open(&world, ServiceOptions { json, ..ServiceOptions::new("ours") }).await;
        let answer: Value = ours.call("echo.Echo", &json!({ "json": json }), MINUTE).await.unwrap();
        assert_eq!(answer, json!({ "json": json }));
        match ours.call::<Value>("echo.Echo", &"fail", MINUTE).await {
            Err(CallError::Failed { answer, .. }) => assert_eq!(answer, json!({ "reason": "as asked" })),
            other => panic!("{other:?}"),
        }
        assert!(ours.publish_event("echo.Happened", &json!({ "json": json }), "seven").await.unwrap());
        let expected = if json { "echo.Happened {'json': True}" } else { "echo.Happened {'json': False}" };
        wait_until("its service hears us", || world.kept().iter().any(|kept| kept == expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_logger_shows_our_log() {
    let world = tokio::task::spawn_blocking(world).await.unwrap();
    let logger = world.script("logger.py", &["--filter", "ours.WARNING"]);
    logger.says("connected!");
    let ours = open(&world, ServiceOptions::new("ours")).await;
    ours.log(Log::new(Severity::Info, "nothing new"));
    ours.conversation("seven").log(Log::new(Severity::Warning, "the shelf is full").field("shelf", 3));
    logger.says("\n[ours.WARNING] {");
    let printed = logger.printed();
    let line = printed.lines().last().unwrap().trim_start_matches("[ours.WARNING] ");
    let gelf: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&gelf["short_message"], &gelf["_shelf"]), (&json!("the shelf is full"), &json!(3)));
    assert!(!printed.contains("nothing new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_inspect_queue_reads_our_queues() {
    let world = tokio::task::spawn_blocking(world).await.unwrap();
    let ours = open(&world, ServiceOptions::new("ours").events(&["Happened"])).await;
    ours.publish_event("Happened", &json!({ "waits": true }), "seven").await.unwrap();
    let seen = world.script("inspect_queue.py", &["ours.events"]).ends();
    assert!(seen.contains("[Happened]") && seen.contains("{'waits': True}"), "{seen}");

    // What it has looked at is marked as delivered before, and handled all the same.
    let (heard, stop) = run(&world, ServiceOptions::new("ours").events(&["Happened"])).await;
    wait_until("it is handled", || *heard.lock().unwrap() == [r#"Happened {"waits":true}"#]);
    ours.publish_event("Happened", &"fail", "seven").await.unwrap();
    let connection = Connection::open(&world.url, Topology::default(), Options::default()).await.unwrap();
    wait_until_equal("it dies", 1, async || connection.depth("ours.dead").await.unwrap().ready).await;
    let dead = world.script("inspect_queue.py", &["ours.dead"]).ends();
    for expected in ["'fail'", "'x-oat-reason': 'as asked'", "'conversation_id': 'seven'", "'x-oat-attempt'"] {
        assert!(dead.contains(expected), "{expected}: {dead}");
    }
    stop.cancel();
}

/// One service, an instance of either kind: each event comes to one of them, and what fails here is tried again here.
#[tokio::test(flavor = "multi_thread")]
async fn instances_of_both_kinds_share_their_queue() {
    let world = tokio::task::spawn_blocking(world).await.unwrap();
    let options = ServiceOptions::new("echo").events(&["echo.Happened"]).commands(&["echo.*"]);
    // Whoever declares first.
    let first = open(&world, options.clone()).await;
    let _theirs = world.service("echo");
    let (heard, stop) = run(&world, options).await;
    let connection = Connection::open(&world.url, Topology::default(), Options::default()).await.unwrap();
    wait_until_equal("both consume", 2, async || connection.depth("echo.events").await.unwrap().consumers).await;
    for number in 0..40 {
        first.publish_event("echo.Happened", &number, "seven").await.unwrap();
    }
    let ours = || heard.lock().unwrap().clone();
    wait_until("all are handled", || ours().len() + world.kept().len() == 40);
    assert!(!ours().is_empty() && !world.kept().is_empty(), "both have worked");
    let mut all = [ours(), world.kept()].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 40);
    // Theirs keeps what it is given, ours fails: one of a few is ours.
    let tries = || ours().iter().filter(|line| line.contains("fail")).count();
    while tries() == 0 {
        let theirs = || world.kept().iter().filter(|line| line.contains("fail")).count();
        let before = theirs();
        first.publish_event("echo.Happened", &"fail", "seven").await.unwrap();
        wait_until("one of them takes it", || tries() > 0 || theirs() > before);
    }
    wait_until_equal("it dies", 1, async || connection.depth("echo.dead").await.unwrap().ready).await;
    assert_eq!(tries(), 5, "every try was ours");
    stop.cancel();
}
