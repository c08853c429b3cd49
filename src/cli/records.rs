//! `oat list` and `oat show`: what the records say.

use super::connect::StoreArgs;
use super::daemon::runtime;
use super::output::{age, record_json, say, size, table, task_json, tell, title};
use super::scene::scene_of;
use crate::config::Environment;
use crate::fractal::Scene;
use crate::store::{Filter, Record, State};
use crate::task::Task;
use chrono::Utc;
use clap::ValueEnum;
use serde_json::Value;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use uuid::Uuid;

const LIST_EXAMPLES: &str = "\
Examples:
  oat list
  oat list --state failed --all
  oat list --json --limit 1";

/// Lists pictures and their state, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<StateArg>,
    /// Only those of this worker
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateArg {
    New,
    Queued,
    Done,
    Failed,
    Cancelled,
}

impl From<StateArg> for State {
    fn from(arg: StateArg) -> State {
        match arg {
            StateArg::New => State::New,
            StateArg::Queued => State::Queued,
            StateArg::Done => State::Done,
            StateArg::Failed => State::Failed,
            StateArg::Cancelled => State::Cancelled,
        }
    }
}

impl ListArgs {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let filter = Filter {
            state: self.state.map(State::from),
            worker: self.worker.clone(),
            limit: if self.all { u32::MAX } else { self.limit.saturating_add(1) },
        };
        let records = runtime()?.block_on(async {
            Ok::<_, anyhow::Error>(self.store.open_existing(environment).await?.list(&filter).await?)
        })?;
        let more = !self.all && records.len() > self.limit as usize;
        let records = if more { &records[..self.limit as usize] } else { &records };
        match self.json {
            true => records.iter().for_each(|record| tell!("{}", record_json(record))),
            false if records.is_empty() => say!("no picture is on record that fits"),
            false => tell!("{}", as_table(records).trim_end()),
        }
        if more {
            say!("… there are more: oat list --all");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_table(records: &[Record]) -> String {
    let now = Utc::now();
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let last = match (&record.drawn, &record.reason) {
                (Some(drawn), _) => format!("{:.2} s", drawn.duration),
                (None, Some(reason)) => reason.clone(),
                (None, None) => "–".into(),
            };
            vec![
                record.task.uuid.to_string()[..8].to_owned(),
                record.state.name().to_owned(),
                title(&record.task).to_owned(),
                size(&record.task),
                record.worker.clone().unwrap_or_else(|| "–".into()),
                age(record.created_at, now),
                last,
            ]
        })
        .collect();
    let header = ["ID", "STATE", "SCENE", "SIZE", "WORKER", "AGE", "DRAWN IN"];
    table(&header, &rows, std::io::stdout().is_terminal())
}

const SHOW_EXAMPLES: &str = "\
Examples:
  oat show 5f2c81d0
  oat show dragon.png            without records: the file says how to draw it";

/// Shows everything that is known of one picture.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// A uuid, or its beginning of four digits or more; or a PNG that oat has drawn
    #[arg(value_name = "ID|FILE.png")]
    what: String,
    /// As a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// What is shown, in the order in which one asks.
#[rustfmt::skip]
const FIELDS: [&str; 30] = [
    "uuid", "name", "state", "reason", "formula", "cx", "cy", "width", "height", "iterations", "xa", "xb", "ya", "yb",
    "palette", "offset", "density", "samples", "border", "checksum", "pixel_checksum", "size", "duration", "worker", "attempt",
    "publishes", "created_at", "published_at", "started_at", "finished_at",
];

impl ShowArgs {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let object = match is_file(&self.what) {
            true => scene_json(scene_of(Path::new(&self.what))?),
            false => record_json(&self.record(environment)?),
        };
        if self.json {
            tell!("{object}");
            return Ok(ExitCode::SUCCESS);
        }
        for name in FIELDS {
            match &object[name] {
                Value::Null => {}
                Value::String(text) => tell!("{name:<15} {text}"),
                other => tell!("{name:<15} {other}"),
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn record(&self, environment: &Environment) -> anyhow::Result<Record> {
        runtime()?.block_on(async { Ok(self.store.open_existing(environment).await?.find(&self.what).await?) })
    }
}

/// As a task that draws it would say it, but for the uuid, which the file alone does not tell.
fn scene_json(scene: Scene) -> Value {
    let mut object = task_json(&Task { uuid: Uuid::nil(), name: None, scene });
    object.as_object_mut().expect("a task is an object").remove("uuid");
    object
}

/// A uuid has neither an extension nor a folder.
pub fn is_file(what: &str) -> bool {
    what.ends_with(".png") || what.contains('/')
}
