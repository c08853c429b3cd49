//! Log lines: time (RFC 3339, UTC), level, words. To standard error, or to a file as in 2015.

use chrono::{SecondsFormat, Utc};
use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
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

/// Starts logging for the process. Libraries are heard from `-v` on; their warnings always.
pub fn start(logging: &Logging) -> std::io::Result<()> {
    let (ours, theirs) = match logging.verbosity {
        ..=-1 => (LevelFilter::WARN, LevelFilter::ERROR),
        0 => (LevelFilter::INFO, LevelFilter::ERROR),
        1 => (LevelFilter::DEBUG, LevelFilter::WARN),
        2.. => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    // lapin prints whole messages, and calls an error what our supervisor heals and tells in one line.
    let bus = if logging.verbosity < 2 { LevelFilter::OFF } else { theirs };
    let filter = Targets::new().with_target("oat", ours).with_target("lapin", bus).with_default(theirs);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_timer(Rfc3339);
    let registry = tracing_subscriber::registry().with(filter);
    match &logging.file {
        Some(path) => {
            let file = File::options().append(true).create(true).open(path)?;
            registry.with(lines.with_ansi(false).with_writer(file)).init();
        }
        None => {
            let ansi = logging.colour && std::io::stderr().is_terminal();
            registry.with(lines.with_ansi(ansi).with_writer(std::io::stderr)).init();
        }
    }
    Ok(())
}

struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, w: &mut Writer) -> std::fmt::Result {
        w.write_str(&Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}
