//! What is sent is understood, in both encodings; what the seed sent is understood, too; what is wrong is told.

use super::*;
use crate::fractal::{Border, Colouring, Formula, Palette, Samples, catalogue};

fn task() -> Task {
    Task {
        uuid: Uuid::new_v4(),
        name: Some("the set ∞".into()),
        scene: catalogue::TOUR[1].scene(31, 17, Samples::FOUR).unwrap(),
    }
}

fn outcome(end: End) -> Outcome {
    let task = task();
    Outcome {
        uuid: task.uuid,
        worker: "host:17".into(),
        attempt: 3,
        started_at: Some("2026-11-21T10:01:26.630123Z".parse().unwrap()),
        finished_at: None,
        task: Some(task),
        end,
    }
}

/// As another program writes it, which has the task as JSON does.
#[test]
fn in_cbor_an_identifier_may_be_text() {
    let task = task();
    let json: serde_json::Value = serde_json::from_slice(&task.encode(Encoding::Json)).unwrap();
    let mut cbor = Vec::new();
    ciborium::into_writer(&json, &mut cbor).unwrap();
    assert_eq!(Task::decode(Some(CBOR), &cbor), Ok(task));
}

#[test]
fn what_is_sent_is_understood_in_both_encodings() {
    let drawn =
        Drawn { duration: 0.1, checksum: "a1".repeat(32), pixel_checksum: Some("b2".repeat(32)), size: Some(67_012) };
    for encoding in [Encoding::Json, Encoding::Cbor] {
        let kind = Some(encoding.content_type());
        let task = task();
        assert_eq!(Task::decode(kind, &task.encode(encoding)), Ok(task));
        for end in [End::Drawn(drawn.clone()), End::Failed { reason: "too many pixels".into() }] {
            let outcome = outcome(end);
            assert_eq!(Outcome::decode(kind, &outcome.encode(encoding)), Ok(outcome));
        }
    }
}

/// The same task with a border.
fn bordered(plain: &Task) -> Task {
    let (formula, viewport, limit) = (plain.scene.formula(), plain.scene.viewport(), plain.scene.iterations());
    let colouring = Colouring { border: Border::Dark, ..plain.scene.colouring() };
    Task { scene: Scene::new(formula, viewport, limit, colouring).unwrap(), ..plain.clone() }
}

fn json(task: &Task) -> String {
    String::from_utf8(task.encode(Encoding::Json)).unwrap()
}

/// What older versions send has no border, and what has none is sent as they did.
#[test]
fn a_border_is_named_only_where_there_is_one() {
    let plain = task();
    let bordered = bordered(&plain);
    assert!(!json(&plain).contains("border"));
    assert!(json(&bordered).contains(r#""border":"dark""#));
    assert_eq!(Task::decode(Some(JSON), json(&bordered).as_bytes()), Ok(bordered));
    let classic = json(&task()).replace("ember", "classic").replace("\"samples\"", r#""border":"bright","samples""#);
    assert!(Task::decode(Some(JSON), classic.as_bytes()).is_err(), "{classic}");
}

/// An older oat knows version 1 and no border: it would draw another picture under the same uuid.
#[test]
fn a_task_has_the_lowest_version_whose_readers_draw_it_as_it_is_meant() {
    let plain = task();
    let bordered = bordered(&plain);
    assert!(json(&plain).starts_with(r#"{"v":1,"#) && json(&bordered).starts_with(r#"{"v":2,"#));
    let before = json(&bordered).replace(r#""v":2"#, r#""v":1"#);
    assert_eq!(Task::decode(None, before.as_bytes()), Ok(bordered.clone()), "as it was sent for a while");
    let later = json(&bordered).replace(r#""v":2"#, r#""v":3"#);
    let refused = Task::decode(None, later.as_bytes()).unwrap_err();
    assert_eq!(refused.uuid, Some(bordered.uuid));
    assert!(refused.reason.to_string().contains("needs a newer oat: it has version 3"), "{}", refused.reason);
    assert!(Task::decode(None, json(&plain).replace(r#""v":1"#, r#""v":0"#).as_bytes()).is_err());
    let outcome = Outcome { task: Some(bordered), ..outcome(End::Failed { reason: "none".into() }) };
    let outcome = Outcome { uuid: outcome.task.as_ref().unwrap().uuid, ..outcome };
    let body = String::from_utf8(outcome.encode(Encoding::Json)).unwrap();
    assert!(body.starts_with(r#"{"v":1,"#) && body.contains(r#""task":{"v":2,"#), "{body}");
    assert_eq!(Outcome::decode(None, body.as_bytes()), Ok(outcome));
}

fn assert_every_bit_arrives(bounds: [f64; 4]) {
    let viewport = crate::fractal::Viewport::new(3, 1, bounds).unwrap();
    let scene = Scene::new(Formula::Mandelbrot, viewport, 7, Palette::Classic).unwrap();
    for encoding in [Encoding::Json, Encoding::Cbor] {
        let task = Task { uuid: Uuid::new_v4(), name: None, scene };
        let back = Task::decode(Some(encoding.content_type()), &task.encode(encoding)).unwrap();
        assert_eq!(back.scene.viewport().bounds().map(f64::to_bits), bounds.map(f64::to_bits));
    }
}

/// serde_json reads numbers quickly and to the last bit but one, unless it is built to be exact: four pictures of the
/// tour were not the ones on record.
#[test]
fn every_bit_of_a_number_arrives() {
    assert_every_bit_arrives([-1.2576814065507933, 5e-324, -0.0, 8e307]);
    let mut random = ChaCha8Rng::seed_from_u64(2026);
    for _ in 0..5000 {
        let span = 10f64.powf(random.random_range(-12.0..1.0));
        assert_every_bit_arrives([(); 4].map(|()| random.random_range(-2.0..2.0) * span));
    }
}

#[test]
fn the_seeds_task_gets_the_same_constant_everywhere() {
    let seed = br#"{"width": 728, "yb": 2.6351683415972076, "uuid": "66d5f67e-d26d-42fb-9d88-3c3830b4187a",
        "iterations": 395, "xb": 1.6486035545865234, "xa": -1.2576814065507933, "ya": -2.8587178863035616, "height": 876}"#;
    let (first, again) =
        (Task::decode(None, seed).unwrap(), Task::decode(Some("application/json; charset=utf-8"), seed));
    assert_eq!(again, Ok(first.clone()));
    let c = first.scene.formula().c().unwrap();
    assert!((11..=99).contains(&crate::fractal::escape(c, c, 395, 4.0).steps));
    // Another version of oat must find the same one: this is part of the format.
    assert_eq!((c.re.to_bits(), c.im.to_bits()), CONSTANT_OF_THE_SEEDS_TASK);
}

const CONSTANT_OF_THE_SEEDS_TASK: (u64, u64) = (13_827_715_225_699_582_144, 13_824_517_933_101_334_736);

#[test]
fn the_seeds_result_is_understood() {
    let body = format!(
        r#"{{"duration": 2.246600866317749, "checksum": "{}", "uuid": "20a00e9e-baec-4045-bc57-2cb9d8d1aa61"}}"#,
        "faa0f00a72fac53e02c3eb392c5da8365139e509899e269227e5c27047af6c1f"
    );
    let outcome = Outcome::decode(Some(JSON), body.as_bytes()).unwrap();
    assert!(matches!(outcome.end, End::Drawn(Drawn { duration: 2.246600866317749, .. })));
    assert_eq!((outcome.attempt, outcome.task), (1, None));
}

#[test]
fn a_refusal_names_the_task_if_it_can_be_read() {
    let uuid = Uuid::new_v4();
    let refused = Task::decode(Some(JSON), format!(r#"{{"uuid": "{uuid}", "width": -1}}"#).as_bytes()).unwrap_err();
    assert_eq!(refused.uuid, Some(uuid));
    assert_eq!(Task::decode(Some("application/x-python-serialize"), b"\x80\x02}q\x00.").unwrap_err().uuid, None);
}

/// Reasons are shown on terminals and in logs, whoever gave them.
#[test]
fn what_strangers_say_stays_on_its_line_and_commands_no_terminal() {
    let hostile = "\u{1b}[31mRED\u{1b}[2J\nforged line\u{85}";
    let outcome = outcome(End::Failed { reason: hostile.into() });
    let encoded = outcome.encode(Encoding::Json);
    let heard = Outcome::decode(Some(JSON), &encoded).unwrap();
    assert_eq!(heard.end, End::Failed { reason: "\u{fffd}[31mRED\u{fffd}[2J\u{fffd}forged line\u{fffd}".into() });
    let text = String::from_utf8(encoded).unwrap();
    let refused = Outcome::decode(Some(JSON), text.replace("ember", "\\u001b[2J\\n").as_bytes()).unwrap_err();
    let reason = refused.reason.to_string();
    assert!(reason.contains("unknown variant") && !reason.contains(char::is_control), "{reason:?}");
}
