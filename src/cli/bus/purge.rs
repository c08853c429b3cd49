//! `oat bus purge`.

use super::words::messages;
use super::{Common, confirmed, depth_of};
use crate::cli::output::{say, tell};
use crate::config::Environment;
use serde_json::json;
use std::process::ExitCode;

/// Removes all messages that wait in a queue.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oat bus inspect dead --limit 1000 --save letters      keeps a copy
  oat bus purge dead

What consumers hold stays theirs.")]
pub struct Args {
    /// The queue
    queue: String,
    /// Does not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let connection = self.common.visit(environment).await?;
        let queue = &self.queue;
        let depth = depth_of(&connection, queue).await?;
        let question = format!("{} would be lost. Type the name of the queue to go on:", messages(depth.ready));
        let again = format!("oat bus purge {queue} --yes          ({} there)", messages(depth.ready));
        if !confirmed(self.yes, &question, queue, &again)? {
            say!("nothing was changed");
            return Ok(ExitCode::FAILURE);
        }
        let removed = connection.purge(queue).await?;
        connection.close().await;
        match self.common.json {
            true => tell!("{}", json!({"v": 1, "queue": queue, "removed": removed})),
            false => tell!("{} removed from queue {queue}", messages(removed)),
        }
        Ok(ExitCode::SUCCESS)
    }
}
