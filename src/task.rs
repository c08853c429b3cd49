//! What crosses the bus: a [`Task`] on its way to a worker, an [`Outcome`] on its way to the tracker.
//!
//! Bodies are JSON or CBOR with a version. The seed's own form, a JSON task without version, formula and
//! constant, is understood too. Pickle is refused by its content type and never decoded. How a message
//! travels is not known here.

mod wire;

pub use wire::{CBOR, Encoding, JSON, MAX_BODY};

use crate::fractal::{Invalid, Scene};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// An order: draw this scene, and report under this identifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Names the record, the file and the result.
    pub uuid: Uuid,
    /// What people call the picture, such as `seahorse-valley`; at most 64 characters.
    pub name: Option<String>,
    /// Everything needed to draw it.
    pub scene: Scene,
}

/// What a worker reports of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The task that ended.
    pub uuid: Uuid,
    /// The worker's name; empty when a foreign worker did not say.
    pub worker: String,
    /// The how-manieth try this was, from 1.
    pub attempt: u32,
    /// When the worker began, by its clock.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, by its clock.
    pub finished_at: Option<DateTime<Utc>>,
    /// The task itself, so that a record can be made where there is none.
    pub task: Option<Task>,
    /// How it ended.
    pub end: End,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The picture is stored.
    Drawn(Drawn),
    /// It will never be drawn, for this reason.
    Failed {
        /// In words for whoever sent the task.
        reason: String,
    },
}

/// What is known of a stored picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Seconds from parameters to pixels, as the original measured: encoding and writing are not in it.
    pub duration: f64,
    /// SHA-256 of the PNG file's bytes, lower-case hexadecimal: what `sha256sum` prints.
    pub checksum: String,
    /// BLAKE3 of the raw RGB rows, top row first, lower-case hexadecimal; a foreign worker may not know it.
    pub pixel_checksum: Option<String>,
    /// Bytes of the PNG file.
    pub size: Option<u64>,
}

/// Why a body was not understood. Where an identifier could be read, its record can be told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// The task that the body spoke of, if that much could be read.
    pub uuid: Option<Uuid>,
    /// What is wrong with it.
    pub reason: Invalid,
}

impl Task {
    /// Understands a body; see [`wire`](self) for the forms.
    pub fn decode(content_type: Option<&str>, body: &[u8]) -> Result<Task, Refused> {
        wire::decode_task(content_type, body)
    }

    /// The body to send.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        wire::encode(&wire::TaskBody::from(self), encoding)
    }
}

impl Outcome {
    /// Understands a body; the seed's `{uuid, duration, checksum}` is enough.
    pub fn decode(content_type: Option<&str>, body: &[u8]) -> Result<Outcome, Refused> {
        wire::decode_outcome(content_type, body)
    }

    /// The body to send.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        wire::encode(&wire::OutcomeBody::from(self), encoding)
    }
}
