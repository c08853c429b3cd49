//! What one sees of `oat up`: a bar on a terminal, a line for each picture elsewhere, JSON for programs.

use crate::cli::output::{drawn_line, tell, title};
use crate::services::Event;
use crate::shutdown::Shutdown;
use crate::store::Store;
use crate::task::{End, Outcome, Task};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

/// Counts and shows what the services tell.
pub struct Progress {
    json: bool,
    bar: ProgressBar,
    begun: Instant,
    drawn: u64,
    failed: u64,
    pixels: u64,
    seconds: f64,
}

impl Progress {
    /// For so many pictures.
    pub fn new(json: bool, expected: u64, colour: bool) -> Progress {
        let shown = !json && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(expected), target);
        let template = if colour {
            "{bar:40.cyan} {pos}/{len}  {eta} left  {msg}"
        } else {
            "{bar:40} {pos}/{len}  {eta} left  {msg}"
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is ours"));
        Progress { json, bar, begun: Instant::now(), drawn: 0, failed: 0, pixels: 0, seconds: 0.0 }
    }

    /// Shows events until every record has come to its end. `false` if shutdown came first.
    pub async fn watch(
        &mut self,
        mut events: UnboundedReceiver<Event>,
        store: &Store,
        shutdown: &Shutdown,
        services: &mut JoinSet<anyhow::Result<()>>,
    ) -> anyhow::Result<bool> {
        loop {
            // Only the store knows when all is done: others may be drawing and recording, too.
            if events.is_empty() {
                match store.counts().await {
                    Ok(counts) if counts.new + counts.queued == 0 => {
                        self.hear_the_last(&mut events).await;
                        self.bar.finish_and_clear();
                        return Ok(true);
                    }
                    // The daemons wait for their database, and so do we.
                    Err(error) if error.is_environment() => self.say(&format!("waiting: {error}")),
                    counts => drop(counts?),
                }
            }
            tokio::select! {
                () = shutdown.requested() => {
                    self.bar.finish_and_clear();
                    return Ok(false);
                }
                Some(ended) = services.join_next() => {
                    ended.context("a part of oat broke")??;
                    anyhow::ensure!(shutdown.is_requested(), "a part of oat has ended");
                }
                event = events.recv() => self.show(event),
                // Somebody else's tracker may have recorded the last one.
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// A tracker commits first and tells then. What another process recorded is never told here: no long wait for it.
    async fn hear_the_last(&mut self, events: &mut UnboundedReceiver<Event>) {
        while self.drawn + self.failed < self.bar.length().unwrap_or(0) {
            match tokio::time::timeout(Duration::from_millis(500), events.recv()).await {
                Ok(event) => self.show(event),
                Err(_) => return,
            }
        }
    }

    /// Waits for the signal to stop.
    pub async fn stay(&self, shutdown: &Shutdown, services: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        tokio::select! {
            () = shutdown.requested() => Ok(()),
            Some(ended) = services.join_next() => ended.context("a part of oat broke")?,
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
                self.seconds += drawn.duration;
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
            true => eprintln!("{line}"),
            false => self.bar.println(line),
        }
    }

    /// The last lines.
    pub fn summary(&self, look: &Path, fresh: bool) {
        let wall = self.begun.elapsed().as_secs_f64();
        if self.json {
            let (drawn, failed, pixels) = (self.drawn, self.failed, self.pixels);
            tell!(
                "{}",
                json!({"v": 1, "event": "summary", "drawn": drawn, "failed": failed, "pixels": pixels, "seconds": wall})
            );
            return;
        }
        let megapixels = self.pixels as f64 / 1e6;
        tell!(
            "✓ {} picture(s) in {wall:.1} s — {megapixels:.1} Mpixel, {:.1} Mpixel/s; every checksum is recorded",
            self.drawn,
            megapixels / wall
        );
        if self.failed > 0 {
            tell!("✗ {} failed: oat list --state failed", self.failed);
        }
        if !fresh {
            tell!("  look   {}", look.display());
            tell!("  ask    oat list        oat show ID");
        }
    }
}
