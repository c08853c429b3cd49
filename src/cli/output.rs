//! Lines for people and lines for programs.

use crate::store::Record;
use crate::task::{Drawn, Task};
use chrono::{DateTime, TimeDelta, Utc};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::time::Duration;

/// Between two looks whether anybody reads.
const UNREAD: Duration = Duration::from_millis(250);

/// `println!` for readers who may have seen enough: `oat list | head -1` is no failure.
macro_rules! tell {
    ($($words:tt)*) => { $crate::cli::output::put((format!($($words)*) + "\n").as_bytes()) };
}
pub(super) use tell;

/// `eprintln!` that never panics: what is said beside the work goes unheard when its place is full or closed, and the work
/// and the status stay what they are.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::output::mention(format_args!($($words)*)) };
}
pub(super) use say;

/// Writes to standard output. What it does not take ends the program: a part must not pass for the whole.
pub fn put(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    // The flush, too, or the error of the last bytes would be met by nobody.
    if lost(stdout.write_all(bytes).and_then(|()| stdout.flush())) {
        resume_unwind(Box::new(Lost));
    }
}

/// How `put` ends the program: by way of those who hold a temporary folder, or half a file.
pub struct Lost;

/// Whether something could not be written to standard output, to a full disk for instance; then that is reported. A reader who
/// has gone loses nothing.
pub fn lost(written: io::Result<()>) -> bool {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            super::failure::report(&anyhow::Error::new(error).context("write standard output"));
            true
        }
        _ => false,
    }
}

/// Whether a file that was asked for is standard output.
pub fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Says a line beside the results.
pub fn mention(line: Arguments) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Returns when whoever read standard output is gone, as `head` is after its lines: for commands that end in no other way.
pub async fn unread() {
    let stdout = std::io::stdout();
    loop {
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        // An error is always told, and the other end of a pipe that is closed is one.
        if poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            return;
        }
        tokio::time::sleep(UNREAD).await;
    }
}

/// A record as one JSON object: the task as it travels, with the version that it has there and the scene's fields flat;
/// times in RFC 3339, durations in seconds.
pub fn record_json(record: &Record) -> Value {
    let mut object = task_json(&record.task);
    let drawn = record.drawn.as_ref();
    for (name, value) in [
        ("state", json!(record.state.name())),
        ("duration", json!(drawn.map(|d| d.duration))),
        ("checksum", json!(drawn.map(|d| &d.checksum))),
        ("pixel_checksum", json!(drawn.and_then(|d| d.pixel_checksum.as_ref()))),
        ("size", json!(drawn.and_then(|d| d.size))),
        ("reason", json!(record.reason)),
        ("worker", json!(record.worker)),
        ("attempt", json!(record.attempt)),
        ("publishes", json!(record.publishes)),
        ("created_at", json!(record.created_at)),
        ("published_at", json!(record.published_at)),
        ("started_at", json!(record.started_at)),
        ("finished_at", json!(record.finished_at)),
    ] {
        object[name] = value;
    }
    object
}

/// A task as it travels.
pub fn task_json(task: &Task) -> Value {
    serde_json::from_slice(&task.encode(crate::task::Encoding::Json)).expect("we have just written it")
}

/// What a picture is called: its name, or its formula.
pub fn title(task: &Task) -> &str {
    task.name.as_deref().unwrap_or(task.scene.formula().name())
}

/// Width × height.
pub fn size(task: &Task) -> String {
    let viewport = task.scene.viewport();
    format!("{}×{}", viewport.width(), viewport.height())
}

/// One line on a picture that is there.
pub fn drawn_line(task: &Task, worker: &str, drawn: &Drawn) -> String {
    format!(
        "✓ {:<16} {:>9}  {:<10} {:>6.2} s  sha256 {}…",
        title(task),
        size(task),
        worker,
        drawn.duration,
        &drawn.checksum[..8]
    )
}

/// A table with a header, as wide as it must be; without borders, and without a header in a pipe.
pub fn table(header: &[&str], rows: &[Vec<String>], with_header: bool) -> String {
    let header: Vec<String> = header.iter().map(|cell| cell.to_string()).collect();
    let all: Vec<&Vec<String>> = with_header.then_some(&header).into_iter().chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    all.into_iter().map(line).collect()
}

/// "1 picture", "2 pictures".
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// As a shell takes it for one word, whatever is in it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    if word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// How long ago, in one unit.
pub fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let past: TimeDelta = (now - then).max(TimeDelta::zero());
    match past.num_seconds() {
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} min", s / 60),
        s if s < 86_400 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}
