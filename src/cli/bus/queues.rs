//! `oat bus queues`.

use super::{Common, interruptible};
use crate::bus::{self, Connection, Depth, QueueKind};
use crate::cli::output::{table, tell, unread};
use crate::config::Environment;
use serde_json::json;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  oat bus queues --watch
  oat bus queues ping.events ping.commands

A file shows all its queues. RabbitMQ tells nobody over AMQP which it has: there these are the ones of oat and
those that are named; all of them: sudo rabbitmqctl list_queues";

/// How often to look again.
const PAUSE: Duration = Duration::from_secs(1);

/// Says how full queues are.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// These queues, too, on RabbitMQ; in a file, these alone
    #[arg(value_name = "QUEUE")]
    names: Vec<String>,
    /// Looks again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let connection = self.common.visit(environment).await?;
        let missing = match self.watch {
            true => tokio::select! {
                missing = interruptible(self.watch(&connection)) => missing?.unwrap_or(false),
                () = unread() => false,
            },
            false => self.look(&connection).await?,
        };
        connection.close().await;
        Ok(ExitCode::from(if missing { 5 } else { 0 }))
    }

    async fn watch(&self, connection: &Connection) -> anyhow::Result<bool> {
        let on_a_terminal = std::io::stdout().is_terminal() && !self.common.json;
        loop {
            if on_a_terminal {
                // The top left corner, and nothing below it.
                tell!("\x1b[H\x1b[J{}", chrono::Local::now().format("%H:%M:%S"));
            }
            self.look(connection).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Prints them, and says whether one that was named is missing.
    async fn look(&self, connection: &Connection) -> anyhow::Result<bool> {
        let (mut rows, mut missing) = (Vec::new(), false);
        for (name, named) in self.wanted(connection).await? {
            match connection.depth(&name).await {
                Ok(depth) => rows.push((name, depth)),
                Err(bus::Error::Missing { what }) if named => {
                    missing = true;
                    eprintln!("{what} does not exist");
                }
                Err(bus::Error::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.print(&rows);
        Ok(missing)
    }

    /// Names of queues, and whether somebody asked for them.
    async fn wanted(&self, connection: &Connection) -> anyhow::Result<Vec<(String, bool)>> {
        let named = self.names.iter().map(|name| (name.clone(), true));
        let known: Vec<String> = match connection {
            Connection::Local(_) if !self.names.is_empty() => Vec::new(),
            Connection::Local(_) => connection.queues().await?,
            Connection::Amqp(_) => {
                self.common.bus.names().topology().queues.into_iter().map(|queue| queue.name).collect()
            }
        };
        let known = known.into_iter().filter(|name| !self.names.contains(name)).map(|name| (name, false));
        Ok(known.chain(named).collect())
    }

    /// What kind of queue it is, where that is known: neither transport tells.
    fn kind(&self, name: &str) -> &'static str {
        let ours = self.common.bus.names().topology().queues.into_iter().find(|queue| queue.name == name);
        match ours.map(|queue| queue.kind) {
            Some(QueueKind::Quorum) => "quorum",
            Some(QueueKind::Classic) => "classic",
            Some(QueueKind::Transient) => "transient",
            Some(QueueKind::Exclusive) => "exclusive",
            None => "–",
        }
    }

    fn print(&self, queues: &[(String, Depth)]) {
        if self.common.json {
            for (name, Depth { ready, unacked, consumers }) in queues {
                tell!(
                    "{}",
                    json!({"v": 1, "name": name, "ready": ready, "unacked": unacked, "consumers": consumers,
                        "kind": Some(self.kind(name)).filter(|kind| *kind != "–")})
                );
            }
            return;
        }
        let row = |(name, depth): &(String, Depth)| {
            let unacked = depth.unacked.map_or_else(|| "–".into(), |number| number.to_string());
            vec![name.clone(), depth.ready.to_string(), unacked, depth.consumers.to_string(), self.kind(name).into()]
        };
        let rows: Vec<Vec<String>> = queues.iter().map(row).collect();
        let header = ["QUEUE", "READY", "UNACKED", "CONSUMERS", "KIND"];
        tell!("{}", table(&header, &rows, std::io::stdout().is_terminal()).trim_end());
    }
}
