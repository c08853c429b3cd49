//! Log lines: time (RFC 3339, UTC), level, words. To standard error, or to a file as in 2015.

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use std::fmt;
use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;

/// Where log lines go, and how many.
#[derive(Clone, Debug, Default)]
pub struct Logging {
    /// Append to this file; standard error if there is none.
    pub file: Option<PathBuf>,
    /// 0 tells the story, 1 (`-v`) the details, 2 everything, -1 (`-q`) only trouble.
    pub verbosity: i8,
    /// Colours are allowed on a terminal.
    pub colour: bool,
}

/// A log line on its way to somewhere else, too.
#[derive(Clone, Debug)]
pub struct Line {
    /// How grave it is.
    pub level: Level,
    /// The part of the program that wrote it.
    pub target: String,
    /// The words.
    pub text: String,
    /// The values that were given with it.
    pub fields: Map<String, Value>,
}

/// Takes lines elsewhere. It must not wait, and must not log.
pub type Listener = Box<dyn Fn(Line) + Send + Sync>;

/// Starts logging for the process. Libraries are heard from `-v` on; their warnings always. Whoever listens hears the story
/// at least, whatever is written here.
pub fn start(logging: &Logging, listener: Option<Listener>) -> std::io::Result<()> {
    let (ours, theirs) = match logging.verbosity {
        ..=-1 => (LevelFilter::WARN, LevelFilter::ERROR),
        0 => (LevelFilter::INFO, LevelFilter::ERROR),
        1 => (LevelFilter::DEBUG, LevelFilter::WARN),
        2.. => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    // lapin prints whole messages, and calls an error what our supervisor heals and tells in one line.
    let bus = if logging.verbosity < 2 { LevelFilter::OFF } else { theirs };
    let filter = Targets::new().with_target("oat", ours).with_target("lapin", bus).with_default(theirs);
    let listening = listener.map(|listener| Listening(listener).with_filter(heard(ours)));
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_timer(Rfc3339);
    let registry = tracing_subscriber::registry().with(listening);
    match &logging.file {
        Some(path) => {
            let file = File::options().append(true).create(true).open(path)?;
            registry.with(lines.with_ansi(false).with_writer(file).with_filter(filter)).init();
        }
        None => {
            let ansi = logging.colour && std::io::stderr().is_terminal();
            registry.with(lines.with_ansi(ansi).with_writer(std::io::stderr).with_filter(filter)).init();
        }
    }
    Ok(())
}

/// What a listener hears. If it publishes lines on the bus, the bus's own details would come back with every one of them.
fn heard(ours: LevelFilter) -> Targets {
    let ours = ours.max(LevelFilter::INFO);
    let filter = Targets::new().with_target("oat", ours).with_target("oat::bus", LevelFilter::INFO);
    filter.with_target("lapin", LevelFilter::OFF).with_default(LevelFilter::WARN)
}

struct Listening(Listener);

impl<S: Subscriber> Layer<S> for Listening {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, target) = (*event.metadata().level(), event.metadata().target().to_owned());
        let mut line = Line { level, target, text: String::new(), fields: Map::new() };
        event.record(&mut line);
        (self.0)(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.text = format!("{value:?}"),
            name => drop(self.fields.insert(name.into(), format!("{value:?}").into())),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().into(), value.into());
    }
}

struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, w: &mut Writer) -> fmt::Result {
        w.write_str(&Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}
