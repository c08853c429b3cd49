//! The table and its rows: how a task, an outcome and a record become columns and come back.

use super::verdict::Known;
use super::{Due, Error, Record, State};
use crate::fractal::{Border, Palette, Scene, SceneFields};
use crate::task::{Drawn, End, Outcome, Task};
use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Timestamp};
use uuid::Uuid;

// 32 columns, as many as diesel's feature 32-column-tables allows; Cargo.toml says what the next one takes.
diesel::table! {
    fractals (uuid) {
        uuid -> Text,
        checksum -> Nullable<Text>,
        duration -> Nullable<Double>,
        width -> Integer,
        height -> Integer,
        iterations -> Integer,
        xa -> Double,
        xb -> Double,
        ya -> Double,
        yb -> Double,
        name -> Nullable<Text>,
        formula -> Text,
        cx -> Nullable<Double>,
        cy -> Nullable<Double>,
        zeros -> Integer,
        palette -> Text,
        turn -> Double,
        density -> Double,
        samples -> Integer,
        border -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        pixel_checksum -> Nullable<Text>,
        size -> Nullable<BigInt>,
        worker -> Nullable<Text>,
        attempt -> Integer,
        publishes -> Integer,
        created_at -> Timestamp,
        published_at -> Nullable<Timestamp>,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
        due_at -> Timestamp,
    }
}

diesel::define_sql_function! {
    /// The first of the two that is there.
    fn coalesce(first: Nullable<Timestamp>, second: Nullable<Timestamp>) -> Nullable<Timestamp>;
}

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> Text,
    }
}

/// One row, column by column.
#[derive(Clone, Debug, Insertable, Queryable)]
#[diesel(table_name = fractals, treat_none_as_default_value = false)]
pub(super) struct Row {
    pub uuid: String,
    checksum: Option<String>,
    duration: Option<f64>,
    width: i32,
    height: i32,
    iterations: i32,
    xa: f64,
    xb: f64,
    ya: f64,
    yb: f64,
    name: Option<String>,
    formula: String,
    cx: Option<f64>,
    cy: Option<f64>,
    zeros: i32,
    palette: String,
    turn: f64,
    density: f64,
    samples: i32,
    border: String,
    state: String,
    reason: Option<String>,
    pixel_checksum: Option<String>,
    size: Option<i64>,
    worker: Option<String>,
    attempt: i32,
    publishes: i32,
    created_at: NaiveDateTime,
    published_at: Option<NaiveDateTime>,
    started_at: Option<NaiveDateTime>,
    finished_at: Option<NaiveDateTime>,
    due_at: NaiveDateTime,
}

/// The columns that the end of a task fills.
#[derive(Clone, Debug, AsChangeset)]
#[diesel(table_name = fractals, treat_none_as_null = true)]
pub(super) struct Ending {
    state: &'static str,
    checksum: Option<String>,
    duration: Option<f64>,
    pixel_checksum: Option<String>,
    size: Option<i64>,
    reason: Option<String>,
    worker: Option<String>,
    attempt: i32,
    started_at: Option<NaiveDateTime>,
    finished_at: Option<NaiveDateTime>,
}

impl Row {
    /// The row of a task that has just been ordered.
    pub fn new(task: &Task, now: DateTime<Utc>, due_at: DateTime<Utc>) -> Row {
        let scene = SceneFields::from(task.scene);
        let zeros = negative_zeros(&scene);
        Row {
            uuid: key(task.uuid),
            checksum: None,
            duration: None,
            width: number(scene.width),
            height: number(scene.height),
            iterations: number(scene.iterations),
            xa: scene.xa,
            xb: scene.xb,
            ya: scene.ya,
            yb: scene.yb,
            name: task.name.as_deref().map(short),
            formula: scene.formula,
            cx: scene.cx,
            cy: scene.cy,
            zeros,
            palette: scene.palette.name().into(),
            turn: scene.offset,
            density: scene.density,
            samples: number(scene.samples),
            border: scene.border.name().into(),
            state: State::New.name().into(),
            reason: None,
            pixel_checksum: None,
            size: None,
            worker: None,
            attempt: 0,
            publishes: 0,
            created_at: stamp(now),
            published_at: None,
            started_at: None,
            finished_at: None,
            due_at: stamp(due_at),
        }
    }

    fn state(&self) -> Result<State, Error> {
        state(&self.uuid, &self.state)
    }

    fn task(&self) -> Result<Task, Error> {
        let unreadable = |why: &dyn std::fmt::Display| Error::unreadable(&self.uuid, why);
        let natural = |number: i32| u32::try_from(number).map_err(|e| unreadable(&e));
        let palette = Palette::named(&self.palette).ok_or_else(|| unreadable(&"its palette is not known"))?;
        let border = Border::named(&self.border).ok_or_else(|| unreadable(&"its border is not known"))?;
        let sign = |n: u32, value: f64| if self.zeros & 1 << n != 0 { -0.0 } else { value };
        let fields = SceneFields {
            width: natural(self.width)?,
            height: natural(self.height)?,
            iterations: natural(self.iterations)?,
            xa: sign(0, self.xa),
            xb: sign(1, self.xb),
            ya: sign(2, self.ya),
            yb: sign(3, self.yb),
            formula: self.formula.clone(),
            cx: self.cx.map(|value| sign(4, value)),
            cy: self.cy.map(|value| sign(5, value)),
            palette,
            offset: self.turn,
            density: self.density,
            samples: natural(self.samples)?,
            border,
        };
        let scene = Scene::try_from(fields).map_err(|e| unreadable(&e))?;
        Ok(Task { uuid: identity(&self.uuid)?, name: self.name.clone(), scene })
    }

    fn drawn(&self) -> Option<Drawn> {
        Some(Drawn {
            duration: self.duration?,
            checksum: self.checksum.clone()?,
            pixel_checksum: self.pixel_checksum.clone(),
            size: self.size.and_then(|size| u64::try_from(size).ok()),
        })
    }
}

impl TryFrom<Row> for Record {
    type Error = Error;

    fn try_from(row: Row) -> Result<Record, Error> {
        Ok(Record {
            task: row.task()?,
            state: row.state()?,
            drawn: row.drawn(),
            reason: row.reason,
            worker: row.worker,
            attempt: row.attempt.try_into().unwrap_or(0),
            publishes: row.publishes.try_into().unwrap_or(0),
            created_at: row.created_at.and_utc(),
            published_at: row.published_at.map(|at| at.and_utc()),
            started_at: row.started_at.map(|at| at.and_utc()),
            finished_at: row.finished_at.map(|at| at.and_utc()),
        })
    }
}

impl TryFrom<Row> for Known {
    type Error = Error;

    /// A scene that cannot be read is compared with none.
    fn try_from(row: Row) -> Result<Known, Error> {
        let (state, scene) = (row.state()?, row.task().ok().map(|task| task.scene));
        Ok(Known { state, scene, checksum: row.checksum, pixel_checksum: row.pixel_checksum })
    }
}

impl TryFrom<Row> for Due {
    type Error = Error;

    fn try_from(row: Row) -> Result<Due, Error> {
        Ok(Due { task: row.task()?, state: row.state()?, publishes: row.publishes.try_into().unwrap_or(0) })
    }
}

impl Ending {
    /// Of the two clocks the worker's is taken where it told the time; `now` is the tracker's.
    pub fn new(outcome: &Outcome, now: DateTime<Utc>) -> Ending {
        let (state, drawn, reason) = match &outcome.end {
            End::Drawn(drawn) => (State::Done, Some(drawn), None),
            End::Failed { reason } => (State::Failed, None, Some(long(reason))),
        };
        Ending {
            state: state.name(),
            checksum: drawn.map(|drawn| clean(&drawn.checksum, 256)),
            duration: drawn.map(|drawn| drawn.duration),
            pixel_checksum: drawn.and_then(|drawn| drawn.pixel_checksum.as_deref()).map(|sum| clean(sum, 256)),
            size: drawn.and_then(|drawn| drawn.size).and_then(|size| i64::try_from(size).ok()),
            reason,
            worker: Some(outcome.worker.as_str()).filter(|worker| !worker.is_empty()).map(short),
            attempt: number(outcome.attempt),
            started_at: outcome.started_at.and_then(believable),
            finished_at: Some(outcome.finished_at.and_then(believable).unwrap_or_else(|| stamp(now))),
        }
    }
}

/// MySQL and SQLite store −0 as 0. Which numbers were −0 is kept beside them, or a scene would not come back as it was.
fn negative_zeros(scene: &SceneFields) -> i32 {
    let numbers = [Some(scene.xa), Some(scene.xb), Some(scene.ya), Some(scene.yb), scene.cx, scene.cy];
    let is_negative_zero =
        |number: &Option<f64>| number.is_some_and(|number| number == 0.0 && number.is_sign_negative());
    numbers.iter().enumerate().map(|(n, number)| i32::from(is_negative_zero(number)) << n).sum()
}

/// A uuid as it is kept: lower case, with hyphens.
pub(super) fn key(uuid: Uuid) -> String {
    uuid.hyphenated().to_string()
}

pub(super) fn identity(key: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(key).map_err(|e| Error::unreadable(key, e))
}

pub(super) fn state(uuid: &str, name: &str) -> Result<State, Error> {
    State::named(name).ok_or_else(|| Error::unreadable(uuid, format!("its state is {name:?}")))
}

/// A time as it is kept: UTC, cut to microseconds, because all three databases keep these. By way of a number, since
/// no database knows the leap second that a clock may tell.
pub(super) fn stamp(at: DateTime<Utc>) -> NaiveDateTime {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at).naive_utc()
}

/// A foreign clock may say anything, and not every database can keep the year 262 000.
fn believable(at: DateTime<Utc>) -> Option<NaiveDateTime> {
    (1970..=9999).contains(&at.year()).then(|| stamp(at))
}

/// Scenes and outcomes stay below this by construction; a hand-made attempt may not.
fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn short(text: &str) -> String {
    clean(text, 255)
}

fn long(text: &str) -> String {
    clean(text, 4000)
}

/// Text that every database takes: PostgreSQL refuses U+0000, MySQL what is longer than its column.
fn clean(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
