//! `oat bus inspect`.

use super::words::{messages, show};
use super::{Common, depth_of};
use crate::bus::Connection;
use crate::cli::output::{say, tell};
use crate::config::Environment;
use crate::tools::letter::Letter;
use crate::topology::Names;
use anyhow::Context;
use std::path::PathBuf;
use std::process::ExitCode;

/// RabbitMQ's own limit from 4.0 on, where nobody says another.
const USUAL_LIMIT: u32 = 20;

const EXAMPLES: &str = "\
Examples:
  oat bus inspect dead
  oat bus inspect ping.events --limit 100 --save letters

In a file this changes nothing. RabbitMQ cannot show a message without handing
it out: it comes back marked as redelivered, and in a quorum queue one of its
deliveries is spent. A look that would spend the last one is refused.";

/// Shows what waits in a queue and leaves it there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue
    queue: String,
    /// How many messages, from the front
    #[arg(long, visible_alias = "count", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Writes each into a file of this folder, for oat bus publish
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    spare: SpareArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub struct SpareArgs {
    /// How often a message may come back to it
    /// [default: what oat declares, else 20]
    #[arg(long, value_name = "N", verbatim_doc_comment)]
    delivery_limit: Option<u32>,
}

impl SpareArgs {
    /// How often a message of `queue` may come back before RabbitMQ drops or buries it.
    pub fn limit(&self, queue: &str, names: &Names) -> u32 {
        let declared = || names.topology().queues.into_iter().find(|known| known.name == queue)?.delivery_limit;
        self.delivery_limit.or_else(declared).unwrap_or(USUAL_LIMIT)
    }
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        if let Some(folder) = &self.save {
            std::fs::create_dir_all(folder).with_context(|| format!("create the folder {}", folder.display()))?;
        }
        let connection = self.common.visit(environment).await?;
        let depth = depth_of(&connection, &self.queue).await?;
        let names = self.common.bus.names();
        let spare = self.spare.limit(&self.queue, &names);
        let seen = connection.browse(&self.queue, self.limit as usize, Some(spare)).await?;
        let on_a_server = matches!(connection, Connection::Amqp(_));
        connection.close().await;
        let known = (names, self.common.exchanges());
        for (place, seen) in seen.iter().enumerate() {
            let letter = Letter::seen(seen);
            if let Some(folder) = &self.save {
                letter.save(folder).with_context(|| format!("write into {}", folder.display()))?;
            }
            match self.common.json {
                true => tell!("{}", letter.json()),
                false => show(&letter, &known, &note(place, &letter)),
            }
        }
        self.tell_the_rest(seen.len() as u64, depth.ready, on_a_server);
        Ok(ExitCode::SUCCESS)
    }

    fn tell_the_rest(&self, shown: u64, ready: u64, on_a_server: bool) {
        say!("{} of {} in queue {}", shown, messages(ready.max(shown)), self.queue);
        if on_a_server && shown > 0 {
            say!("this look cost: {} marked as redelivered, and in a quorum queue one delivery each", messages(shown));
        }
    }
}

fn note(place: usize, letter: &Letter) -> String {
    let delivered = if letter.redelivered { ", delivered before" } else { "" };
    format!("no. {}, delivery {} is its next{delivered}", place + 1, letter.attempt)
}
