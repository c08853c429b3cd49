//! What one sees of `oat up`: a bar on a terminal, a line for each picture elsewhere, JSON for programs.

use crate::cli::output::{counted, drawn_line, say, tell, title};
use crate::services::Event;
use crate::shutdown::Shutdown;
use crate::store::Store;
use crate::task::{End, Outcome, Task};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};

/// Whoever has pressed Ctrl-C wonders after so long.
const SILENCE: Duration = Duration::from_millis(500);

/// Counts and shows what the services tell.
pub struct Progress {
    events: UnboundedReceiver<Event>,
    json: bool,
    bar: ProgressBar,
    begun: Instant,
    took: Duration,
    drawn: u64,
    failed: u64,
    pixels: u64,
}

impl Progress {
    /// For so many pictures.
    pub fn new(events: UnboundedReceiver<Event>, json: bool, expected: u64, colour: bool) -> Progress {
        let shown = !json && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(expected), target);
        let template = if colour {
            "{bar:40.cyan} {pos}/{len}  {eta} left  {msg}"
        } else {
            "{bar:40} {pos}/{len}  {eta} left  {msg}"
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is ours"));
        Progress { events, json, bar, begun: Instant::now(), took: Duration::ZERO, drawn: 0, failed: 0, pixels: 0 }
    }

    /// Shows events until every record has come to its end. `false` if shutdown came first.
    pub async fn watch(
        &mut self,
        store: &Store,
        shutdown: &Shutdown,
        services: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<bool> {
        loop {
            // Only the store knows when all is done: others may be drawing and recording, too.
            if self.events.is_empty() {
                match store.counts().await {
                    Ok(counts) if counts.new + counts.queued == 0 => {
                        self.hear_the_last().await;
                        self.put_away_the_bar();
                        return Ok(true);
                    }
                    // The daemons wait for their database, and so do we.
                    Err(error) if error.is_environment() => self.say(&format!("waiting: {error}")),
                    counts => drop(counts?),
                }
            }
            tokio::select! {
                () = shutdown.requested() => {
                    self.put_away_the_bar();
                    return Ok(false);
                }
                Some(ended) = services.join_next() => no_end(ended, shutdown)?,
                event = self.events.recv() => self.show(event),
                // Somebody else's tracker may have recorded the last one.
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// A tracker commits first and tells then. What another process recorded is never told here: no long wait for it.
    async fn hear_the_last(&mut self) {
        while self.drawn + self.failed < self.bar.length().unwrap_or(0) {
            match tokio::time::timeout(Duration::from_millis(500), self.events.recv()).await {
                Ok(event) => self.show(event),
                Err(_) => return,
            }
        }
    }

    /// What comes after the last picture is not part of the time that the pictures took.
    fn put_away_the_bar(&mut self) {
        self.took = self.begun.elapsed();
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    /// Shows what others give it to do, until the signal to stop.
    pub async fn stay(
        &mut self,
        shutdown: &Shutdown,
        services: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        self.say("waiting for more to do; Ctrl-C ends it");
        let (drawn, failed) = (self.drawn, self.failed);
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                Some(ended) = services.join_next() => no_end(ended, shutdown)?,
                event = self.events.recv() => self.show(event),
            }
        }
        if self.drawn + self.failed > drawn + failed {
            self.say(&format!("{} more drawn, {} failed", self.drawn - drawn, self.failed - failed));
        }
        Ok(())
    }

    /// Waits for the services, which have been asked to end: drawings that have begun are finished.
    pub async fn end(&self, services: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        let patience = tokio::time::sleep(SILENCE);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                ended = services.join_next() => match ended {
                    Some(ended) => ended.context("a part of oat broke")??,
                    None => return Ok(()),
                },
                () = &mut patience, if !patience.is_elapsed() => {
                    self.say("finishing what is being drawn; Ctrl-C again leaves at once");
                }
            }
        }
    }

    fn show(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Drawing(task)) => self.bar.set_message(title(&task).to_owned()),
            Some(Event::Recorded(outcome)) => self.count(&outcome),
            Some(Event::Drawn(_)) | None => {}
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        self.bar.inc(1);
        match (&outcome.end, &outcome.task) {
            (End::Drawn(drawn), Some(task)) => {
                self.drawn += 1;
                self.pixels += task.scene.viewport().pixels();
                self.line(task, outcome, drawn_line(task, &outcome.worker, drawn));
            }
            (End::Drawn(_), None) => self.drawn += 1,
            (End::Failed { reason }, task) => {
                self.failed += 1;
                let name = task.as_ref().map_or(outcome.uuid.to_string(), |task| title(task).to_owned());
                let line = format!("✗ {name:<16} {reason}");
                match task {
                    Some(task) => self.line(task, outcome, line),
                    None => self.say(&line),
                }
            }
        }
    }

    fn line(&self, task: &Task, outcome: &Outcome, line: String) {
        match self.json {
            true => {
                let body = outcome.encode(crate::task::Encoding::Json);
                let mut object: serde_json::Value = serde_json::from_slice(&body).expect("we have just written it");
                object["event"] = json!("picture");
                object["name"] = json!(task.name);
                tell!("{object}");
            }
            false => self.say(&line),
        }
    }

    /// A line that does not disturb the bar; standard error, so that standard output stays for results.
    pub fn say(&self, line: &str) {
        match self.bar.is_hidden() {
            true => say!("{line}"),
            false => self.bar.println(line),
        }
    }

    /// The last lines; `hints` say where to look and what to ask.
    pub fn summary(&self, hints: &[String]) {
        let wall = self.took.as_secs_f64();
        if self.json {
            let (drawn, failed, pixels) = (self.drawn, self.failed, self.pixels);
            tell!(
                "{}",
                json!({"v": 1, "event": "summary", "drawn": drawn, "failed": failed, "pixels": pixels, "seconds": wall})
            );
            return;
        }
        if self.drawn > 0 {
            let (megapixels, speed) = (self.pixels as f64 / 1e6, self.pixels as f64 / 1e6 / wall);
            tell!(
                "✓ {} in {wall:.1} s — {megapixels:.1} Mpixel, {speed:.1} Mpixel/s; every checksum is recorded",
                counted(self.drawn, "picture")
            );
        }
        if self.failed > 0 {
            tell!("✗ {} failed", self.failed);
        }
        hints.iter().for_each(|hint| tell!("  {hint}"));
    }
}

/// The services end when they are asked to, and not before.
fn no_end(ended: Result<anyhow::Result<()>, JoinError>, shutdown: &Shutdown) -> anyhow::Result<()> {
    ended.context("a part of oat broke")??;
    anyhow::ensure!(shutdown.is_requested(), "a part of oat has ended");
    Ok(())
}
