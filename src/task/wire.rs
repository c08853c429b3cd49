//! The forms of the bodies.
//!
//! Version 1 of a task is `{"v":1,"uuid":…,"name":…,"formula":…,"width":…,"height":…,"iterations":…,"xa":…,"xb":…,
//! "ya":…,"yb":…,"cx":…,"cy":…,"palette":…}`; without `v`, `formula`, `cx` and `cy` it is the seed's, and its constant
//! is derived from the uuid.
//!
//! Unknown fields are ignored, and an unknown version is refused. So the version of a task says what its reader has to know
//! to draw the same picture, and nothing more: it is the lowest in which all that the task asks for has its meaning. Whoever
//! adds a field that changes pictures adds a version, in [`version_of`], for the tasks that use it: an older worker refuses
//! those with a reason, instead of drawing something else, and draws all others as ever.

use super::{Drawn, End, Outcome, Refused, Task};
use crate::fractal::{Border, Invalid, Scene, SceneFields, harmless, julia_constant};
use chrono::{DateTime, Utc};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use uuid::Uuid;

/// Content type of JSON bodies.
pub const JSON: &str = "application/json";
/// Content type of CBOR bodies.
pub const CBOR: &str = "application/cbor";
/// The longest body that is looked at, in bytes. A task has about 300.
pub const MAX_BODY: usize = 64 * 1024;
/// The longest name of a picture, in characters.
const MAX_NAME: usize = 64;
/// The first version, of tasks and of results.
const VERSION: u32 = 1;
/// Tasks with a border.
const WITH_BORDER: u32 = 2;

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Readable in every tool.
    #[default]
    Json,
    /// Shorter.
    Cbor,
}

impl Encoding {
    /// The content type to send along.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Json => JSON,
            Encoding::Cbor => CBOR,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct TaskBody {
    #[serde(default = "version")]
    v: u32,
    #[serde(deserialize_with = "identifier")]
    uuid: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(flatten)]
    scene: SceneFields,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OutcomeBody {
    #[serde(default = "version")]
    v: u32,
    #[serde(deserialize_with = "identifier")]
    uuid: Uuid,
    duration: Option<f64>,
    checksum: Option<String>,
    pixel_checksum: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    worker: String,
    #[serde(default = "version")]
    attempt: u32,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<TaskBody>,
}

/// The seed's messages have no version and are the first; a try that is not counted is the first, too.
fn version() -> u32 {
    VERSION
}

/// What can be read of a body that cannot be understood.
#[derive(Deserialize)]
struct Identity {
    #[serde(deserialize_with = "identifier")]
    uuid: Uuid,
}

/// As text or as its 16 bytes, which is how CBOR of ours has it.
fn identifier<'de, D: Deserializer<'de>>(source: D) -> Result<Uuid, D::Error> {
    struct Either;
    impl Visitor<'_> for Either {
        type Value = Uuid;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a UUID")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Uuid, E> {
            Uuid::from_slice(bytes).map_err(E::custom)
        }
    }
    source.deserialize_any(Either)
}

pub(super) fn encode(body: &impl Serialize, encoding: Encoding) -> Vec<u8> {
    const PLAIN: &str = "plain data always has a form";
    match encoding {
        Encoding::Json => serde_json::to_vec(body).expect(PLAIN),
        Encoding::Cbor => {
            let mut bytes = Vec::new();
            ciborium::into_writer(body, &mut bytes).expect(PLAIN);
            bytes
        }
    }
}

pub(super) fn decode_task(content_type: Option<&str>, body: &[u8]) -> Result<Task, Refused> {
    let parsed: TaskBody = parse(content_type, body)?;
    let uuid = parsed.uuid;
    Task::try_from(parsed).map_err(|reason| Refused { uuid: Some(uuid), reason })
}

pub(super) fn decode_outcome(content_type: Option<&str>, body: &[u8]) -> Result<Outcome, Refused> {
    let parsed: OutcomeBody = parse(content_type, body)?;
    let uuid = parsed.uuid;
    Outcome::try_from(parsed).map_err(|reason| Refused { uuid: Some(uuid), reason })
}

fn parse<T: DeserializeOwned>(content_type: Option<&str>, body: &[u8]) -> Result<T, Refused> {
    if body.len() > MAX_BODY {
        let reason = format!("the body has {} bytes, {MAX_BODY} are the limit", body.len());
        return Err(Refused { uuid: None, reason: Invalid::new(reason) });
    }
    read(content_type, body).map_err(|reason| Refused {
        uuid: read::<Identity>(content_type, body).ok().map(|identity| identity.uuid),
        reason,
    })
}

/// Parameters of the content type, such as a character set, are ignored: JSON and CBOR have none.
fn read<T: DeserializeOwned>(content_type: Option<&str>, body: &[u8]) -> Result<T, Invalid> {
    let kind = content_type.unwrap_or(JSON).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        JSON => serde_json::from_slice(body).map_err(|e| Invalid::new(format!("not a valid JSON body: {e}"))),
        CBOR => ciborium::de::from_reader_with_recursion_limit(body, 32)
            .map_err(|e| Invalid::new(format!("not a valid CBOR body: {e}"))),
        other => Err(Invalid::new(format!("content type {other:?} is not accepted, only {JSON} and {CBOR}"))),
    }
}

/// The lowest version whose readers draw this scene as it is meant.
fn version_of(scene: &Scene) -> u32 {
    match scene.colouring().border {
        Border::None => VERSION,
        Border::Dark | Border::Bright => WITH_BORDER,
    }
}

fn check_version(what: &str, v: u32, newest: u32) -> Result<(), Invalid> {
    match v {
        VERSION.. if v <= newest => Ok(()),
        0 => Err(Invalid::new(format!("there is no version 0 of a {what}"))),
        _ => Err(Invalid::new(format!("this {what} needs a newer oat: it has version {v}, this one knows {newest}"))),
    }
}

impl TryFrom<TaskBody> for Task {
    type Error = Invalid;

    fn try_from(body: TaskBody) -> Result<Task, Invalid> {
        check_version("task", body.v, WITH_BORDER)?;
        if body.name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME || name.chars().any(char::is_control))
        {
            return Err(Invalid::new(format!("the name has more than {MAX_NAME} characters, or control characters")));
        }
        Ok(Task { uuid: body.uuid, name: body.name, scene: complete(body.scene, body.uuid)? })
    }
}

/// The seed's tasks leave the Julia constant to the worker. Derived from the uuid it is the same in every
/// worker and at every redelivery.
fn complete(mut fields: SceneFields, uuid: Uuid) -> Result<Scene, Invalid> {
    if fields.formula == "julia" && fields.cx.is_none() && fields.cy.is_none() {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(uuid.as_bytes());
        let mut numbers = ChaCha8Rng::from_seed(seed);
        let c = julia_constant(&fields.viewport()?, fields.iterations, || numbers.random())?;
        (fields.cx, fields.cy) = (Some(c.re), Some(c.im));
    }
    Scene::try_from(fields)
}

impl From<&Task> for TaskBody {
    fn from(task: &Task) -> TaskBody {
        TaskBody { v: version_of(&task.scene), uuid: task.uuid, name: task.name.clone(), scene: task.scene.into() }
    }
}

impl TryFrom<OutcomeBody> for Outcome {
    type Error = Invalid;

    fn try_from(body: OutcomeBody) -> Result<Outcome, Invalid> {
        check_version("result", body.v, VERSION)?;
        let task = body.task.map(Task::try_from).transpose()?;
        if task.as_ref().is_some_and(|task| task.uuid != body.uuid) {
            return Err(Invalid::new("the result and the task inside it have different uuids"));
        }
        let end = match (body.reason, body.duration, body.checksum) {
            (Some(reason), _, _) => End::Failed { reason: harmless(&reason).chars().take(500).collect() },
            (None, Some(duration), Some(checksum)) => {
                End::Drawn(drawn(duration, checksum, body.pixel_checksum, body.size)?)
            }
            _ => return Err(Invalid::new("a result needs duration and checksum, or a reason why there is none")),
        };
        Ok(Outcome {
            uuid: body.uuid,
            worker: body.worker.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect(),
            attempt: body.attempt.min(i32::MAX as u32),
            started_at: body.started_at,
            finished_at: body.finished_at,
            task,
            end,
        })
    }
}

fn drawn(duration: f64, checksum: String, pixels: Option<String>, size: Option<u64>) -> Result<Drawn, Invalid> {
    if !(0.0..=1e9).contains(&duration) {
        return Err(Invalid::new(format!("duration is {duration}, expected seconds")));
    }
    for sum in [Some(&checksum), pixels.as_ref()].into_iter().flatten() {
        if sum.len() != 64 || !sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Invalid::new("a checksum is 64 lower-case hexadecimal digits"));
        }
    }
    if size.is_some_and(|size| i64::try_from(size).is_err()) {
        return Err(Invalid::new("the size of the file cannot be true"));
    }
    Ok(Drawn { duration, checksum, pixel_checksum: pixels, size })
}

impl From<&Outcome> for OutcomeBody {
    fn from(outcome: &Outcome) -> OutcomeBody {
        let (drawn, reason) = match &outcome.end {
            End::Drawn(drawn) => (Some(drawn), None),
            End::Failed { reason } => (None, Some(reason.clone())),
        };
        OutcomeBody {
            v: VERSION,
            uuid: outcome.uuid,
            duration: drawn.map(|d| d.duration),
            checksum: drawn.map(|d| d.checksum.clone()),
            pixel_checksum: drawn.and_then(|d| d.pixel_checksum.clone()),
            size: drawn.and_then(|d| d.size),
            worker: outcome.worker.clone(),
            attempt: outcome.attempt,
            started_at: outcome.started_at,
            finished_at: outcome.finished_at,
            reason,
            task: outcome.task.as_ref().map(TaskBody::from),
        }
    }
}

#[cfg(test)]
mod tests;
