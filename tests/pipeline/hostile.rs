//! Messages that broke the original, and some that break others: each is kept with its reason, nobody dies of it, and
//! the next task is drawn.

use crate::support;
use crate::system::{Daemon, System};
use oat::bus::{Consumer, Message};
use oat::fractal::{Formula, Palette, Samples, Scene, Viewport, catalogue};
use oat::store::State;
use oat::task::{CBOR, Drawn, Encoding, End, JSON, Outcome, Task};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const PICKLE: &str = "application/x-python-serialize";

fn task() -> Task {
    Task { uuid: Uuid::new_v4(), name: None, scene: catalogue::TOUR[0].scene(40, 30, Samples::default()).unwrap() }
}

/// A valid task with one field changed, or taken away by `null`.
fn changed(field: &str, value: Value) -> Vec<u8> {
    let mut object: Value = serde_json::from_slice(&task().encode(Encoding::Json)).unwrap();
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(field)),
        value => object[field] = value,
    }
    object.to_string().into_bytes()
}

/// A valid task with one piece of its text replaced: for what `Value` cannot hold.
fn raw(field: &str, text: &str) -> Vec<u8> {
    let marked = changed(field, json!("MARK"));
    String::from_utf8(marked).unwrap().replace("\"MARK\"", text).into_bytes()
}

/// No point of this window escapes, and the limit is the highest there is.
fn search_for_days() -> Vec<u8> {
    json!({"uuid": Uuid::new_v4(), "width": 9, "height": 9, "iterations": u32::MAX,
        "xa": -0.1, "xb": 0.1, "ya": -0.1, "yb": 0.1})
    .to_string()
    .into_bytes()
}

/// A result that carries a task of which the same is true.
fn result_with_a_search() -> Vec<u8> {
    let task: Value = serde_json::from_slice(&search_for_days()).unwrap();
    json!({"uuid": task["uuid"], "reason": "none", "task": task}).to_string().into_bytes()
}

/// Both sides are allowed, their product is not.
fn huge() -> Vec<u8> {
    let mut object: Value = serde_json::from_slice(&changed("width", json!(900_000))).unwrap();
    object["height"] = json!(900_000);
    object.to_string().into_bytes()
}

/// CBOR can say NaN and infinity.
fn cbor(field: &str, value: f64) -> Vec<u8> {
    let mut object: BTreeMap<String, ciborium::Value> =
        ciborium::from_reader(task().encode(Encoding::Cbor).as_slice()).unwrap();
    object.insert(field.into(), ciborium::Value::Float(value));
    let mut bytes = Vec::new();
    ciborium::into_writer(&object, &mut bytes).unwrap();
    bytes
}

fn hostile_tasks() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let far = json!({"uuid": Uuid::new_v4(), "width": 9, "height": 9, "iterations": 300,
        "xa": 50, "xb": 60, "ya": 50, "yb": 60});
    let endless = json!({"uuid": Uuid::new_v4(), "width": 9, "height": 9, "iterations": 11,
        "xa": -1, "xb": 1, "ya": -1, "yb": 1});
    vec![
        ("no width", JSON, changed("width", Value::Null)),
        ("no height", JSON, changed("height", Value::Null)),
        ("width 0", JSON, changed("width", json!(0))),
        ("height 0", JSON, changed("height", json!(0))),
        ("width -1", JSON, changed("width", json!(-1))),
        ("width 2^31", JSON, changed("width", json!(1u64 << 31))),
        ("height 2^63", JSON, changed("height", json!(1u64 << 63))),
        ("width 1e400", JSON, raw("width", "1e400")),
        ("width 10.5", JSON, changed("width", json!(10.5))),
        ("width as text", JSON, changed("width", json!("40"))),
        ("more pixels than anybody draws", JSON, huge()),
        ("iterations 0", JSON, changed("iterations", json!(0))),
        ("more iterations than anybody draws", JSON, changed("iterations", json!(2_000_000_000))),
        ("iterations 11 without a constant, which never ended in 2015", JSON, endless.to_string().into_bytes()),
        ("a window without a constant, which never ended either", JSON, far.to_string().into_bytes()),
        ("a search for a constant that would take days", JSON, search_for_days()),
        ("a formula of 60 kB", JSON, changed("formula", json!("\u{7f}".repeat(60_000)))),
        ("xa NaN in JSON", JSON, raw("xa", "NaN")),
        ("xa NaN", CBOR, cbor("xa", f64::NAN)),
        ("yb infinite", CBOR, cbor("yb", f64::INFINITY)),
        ("xa = xb", JSON, changed("xa", json!(changed_bound()))),
        ("an unknown version", JSON, changed("v", json!(99))),
        ("an unknown formula", JSON, changed("formula", json!("newton"))),
        ("an unknown palette", JSON, changed("palette", json!("'; DROP TABLE fractals; --"))),
        ("a uuid that is a path", JSON, changed("uuid", json!("../../etc/passwd"))),
        ("a uuid of 10 kB", JSON, changed("uuid", json!("a".repeat(10_000)))),
        ("a uuid with NUL", JSON, changed("uuid", json!("\0"))),
        ("a name that is a novel", JSON, changed("name", json!("x".repeat(1000)))),
        ("the same key twice", JSON, raw("width", "40, \"width\": 41")),
        ("pickle", PICKLE, b"\x80\x02}q\x00.".to_vec()),
        ("an unknown content type", "text/plain", b"hello".to_vec()),
        ("an empty body", JSON, Vec::new()),
        ("invalid UTF-8", JSON, b"{\"uuid\": \"\xff\xfe\"}".to_vec()),
        ("a byte order mark", JSON, [b"\xef\xbb\xbf".as_slice(), &task().encode(Encoding::Json)].concat()),
        ("deep nesting", JSON, [b"[".repeat(50_000), b"]".repeat(50_000)].concat()),
        ("deep nesting in CBOR", CBOR, b"\x81".repeat(50_000)),
        ("a body of 1 MB", JSON, raw("name", &format!("\"{}\"", "y".repeat(1_000_000)))),
    ]
}

/// The right bound of the scene that `task` draws.
fn changed_bound() -> f64 {
    task().scene.viewport().bounds()[1]
}

struct Parts {
    tracker: Daemon,
    worker: Daemon,
}

/// Whoever lived before lives now, and draws.
fn assert_all_is_well(system: &System, parts: &mut Parts) {
    assert!(parts.tracker.is_alive() && parts.worker.is_alive());
    let before = system.done();
    assert_eq!(system.producer(3).wait(), Some(0));
    system.wait_until_done(before + 3);
}

async fn dead_letter(dead: &mut Consumer, what: &str) -> (Vec<u8>, String) {
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(60), dead.next());
    let letter = waiting.await.unwrap_or_else(|_| panic!("{what}: no dead letter")).unwrap();
    let reason = letter.message.text("x-oat-reason").unwrap_or_else(|| panic!("{what}: no reason")).to_owned();
    let body = letter.message.body.clone();
    letter.ack().await.unwrap();
    (body, reason)
}

fn every_hostile_task_is_kept_with_its_reason(system: System) {
    let mut parts = Parts { tracker: system.tracker(), worker: system.worker("brave") };
    let names = system.names();
    system.block_on(async {
        let connection = system.connect().await;
        let mut dead = connection.consume(&names.dead, 1).await.unwrap();
        for (what, content_type, body) in hostile_tasks() {
            let message = Message::new(content_type, body.clone());
            connection.publisher().publish(&names.tasks, &names.tasks, message).await.unwrap();
            let (kept, reason) = dead_letter(&mut dead, what).await;
            assert!(kept == body, "{what}: the body is kept as it came");
            assert!(reason.len() > 10, "{what}: {reason:?}");
        }
        connection.close().await;
    });
    assert_all_is_well(&system, &mut parts);
    assert_eq!(system.records().len(), 3 + records_of_refused_scenes());
    system.assert_the_bus_is_empty();
}

/// Two of the messages above are scenes that could be drawn, had anybody the patience: they have parameters, and so a
/// record that says why they failed. The others were never a task.
fn records_of_refused_scenes() -> usize {
    2
}

#[test]
fn every_hostile_task_is_kept_with_its_reason_on_a_file() {
    every_hostile_task_is_kept_with_its_reason(System::on_a_file());
}

#[test]
fn every_hostile_task_is_kept_with_its_reason_on_rabbitmq() {
    every_hostile_task_is_kept_with_its_reason(System::on_shared_servers("postgres"));
}

#[test]
fn a_task_that_no_worker_draws_has_a_record_that_says_why() {
    let system = System::on_a_file();
    let mut parts = Parts { tracker: system.tracker(), worker: system.worker("brave") };
    let viewport = Viewport::new(900_000, 900_000, [-2.0, 2.0, -2.0, 2.0]).unwrap();
    let scene = Scene::new(Formula::Mandelbrot, viewport, 100, Palette::Classic).unwrap();
    let task = Task { uuid: Uuid::new_v4(), name: None, scene };
    system.block_on(async {
        let now = chrono::Utc::now();
        system.store().insert(std::slice::from_ref(&task), now, now + chrono::TimeDelta::hours(1)).await.unwrap();
        let message = Message::new(JSON, task.encode(Encoding::Json));
        system.publisher().await.publish(&system.names().tasks, &system.names().tasks, message).await.unwrap();
    });
    support::wait_until("the record has failed", || system.records()[0].state == State::Failed);
    assert!(system.records()[0].reason.as_ref().unwrap().contains("too many pixels"));
    assert_all_is_well(&system, &mut parts);
}

fn result(uuid: Uuid, checksum: &str, duration: f64) -> Outcome {
    let drawn = Drawn { duration, checksum: checksum.repeat(64), pixel_checksum: None, size: None };
    Outcome {
        uuid,
        worker: "'; DROP TABLE fractals; --".into(),
        attempt: 1,
        started_at: None,
        finished_at: None,
        task: None,
        end: End::Drawn(drawn),
    }
}

#[test]
fn a_forged_result_never_changes_a_record() {
    let system = System::on_a_file();
    let mut parts = Parts { tracker: system.tracker(), worker: system.worker("brave") };
    assert_all_is_well(&system, &mut parts);
    let before = system.records();
    let known = before[0].task.uuid;
    let json = |outcome: Outcome| (JSON, outcome.encode(Encoding::Json));
    let forged = [
        ("a result of no task", json(result(Uuid::new_v4(), "a", 1.0))),
        ("another checksum", json(result(known, "b", 1.0))),
        ("no checksum at all", json(result(known, "not hexadecimal ", 1.0))),
        ("a negative duration", json(result(known, "c", -1.0))),
        ("a duration that is no number", (CBOR, result(known, "c", f64::NAN).encode(Encoding::Cbor))),
        ("an endless duration", (CBOR, result(known, "c", 1e308).encode(Encoding::Cbor))),
        ("a task inside that takes days to understand", (JSON, result_with_a_search())),
        ("pickle", (PICKLE, b"\x80\x02}q\x00.".to_vec())),
        ("nothing", (JSON, Vec::new())),
    ];
    let names = system.names();
    system.block_on(async {
        let connection = system.connect().await;
        let mut dead = connection.consume(&names.dead, 1).await.unwrap();
        for (what, (content_type, body)) in forged {
            let message = Message::new(content_type, body.clone());
            connection.publisher().publish(&names.results, &names.results, message).await.unwrap();
            let (kept, reason) = dead_letter(&mut dead, what).await;
            assert!(kept == body && reason.len() > 10, "{what}: {reason:?}");
        }
        connection.close().await;
    });
    assert_eq!(format!("{:?}", system.records()), format!("{before:?}"));
    assert_all_is_well(&system, &mut parts);
}
