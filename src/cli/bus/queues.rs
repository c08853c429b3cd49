//! `oat bus queues`.

use super::{Common, foreign, interruptible, others};
use crate::bus::{self, Connection, Depth, QueueKind};
use crate::cli::failure::Usage;
use crate::cli::output::{say, table, tell, unread};
use crate::config::Environment;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  oat bus queues
  oat bus queues --watch
  oat bus queues ping.events ping.commands

A file shows all its queues. RabbitMQ tells nobody over AMQP which it has:
without names, these are the ones of oat. All of them, where the broker runs:
sudo rabbitmqctl list_queues";

/// How often to look again.
const PAUSE: Duration = Duration::from_secs(1);

/// Says how full queues are.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only these [default: all in a file, those of oat on RabbitMQ]
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
                ended = interruptible(self.watch(&connection)) => ended?.map_or(Vec::new(), |never| match never {}),
                () = unread() => Vec::new(),
            },
            false => self.look(&connection).await?,
        };
        let others = others(&connection);
        connection.close().await;
        match missing.is_empty() {
            true => Ok(ExitCode::SUCCESS),
            false => Err(Usage::not_found(missing.join("; ")).fix(others).into()),
        }
    }

    async fn watch(&self, connection: &Connection) -> anyhow::Result<Infallible> {
        let on_a_terminal = std::io::stdout().is_terminal() && !self.common.json;
        loop {
            if on_a_terminal {
                // The top left corner, and nothing below it.
                tell!("\x1b[H\x1b[J{}", chrono::Local::now().format("%H:%M:%S"));
            }
            self.look(connection).await?.iter().for_each(|missing| say!("{missing}"));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Prints them, and says what was named and is missing.
    async fn look(&self, connection: &Connection) -> anyhow::Result<Vec<String>> {
        let (mut rows, mut missing) = (Vec::new(), Vec::new());
        for name in self.wanted(connection).await? {
            match connection.depth(&name).await {
                Ok(depth) => rows.push((name, depth)),
                Err(bus::Error::Missing { .. }) if self.names.is_empty() => {}
                Err(bus::Error::Missing { what }) => missing.push(format!("{what} does not exist")),
                Err(bus::Error::Conflict { what, .. }) => return Err(foreign(&what)),
                Err(error) => return Err(error.into()),
            }
        }
        match self.common.json {
            true => rows.iter().for_each(|(name, depth)| tell!("{}", object(name, depth))),
            false if rows.is_empty() => {}
            false => tell!("{}", as_table(&rows).trim_end()),
        }
        if self.names.is_empty() && !self.watch {
            tell_the_rest(connection, rows.is_empty());
        }
        Ok(missing)
    }

    /// What was asked for; if nothing was, all that can be known.
    async fn wanted(&self, connection: &Connection) -> anyhow::Result<Vec<String>> {
        Ok(match connection {
            _ if !self.names.is_empty() => self.names.clone(),
            Connection::Local(_) => connection.queues().await?,
            Connection::Amqp(_) => {
                self.common.bus.names().topology().queues.into_iter().map(|queue| queue.name).collect()
            }
        })
    }
}

/// What a list without names leaves out.
fn tell_the_rest(connection: &Connection, empty: bool) {
    match (connection, empty) {
        (Connection::Local(_), false) => {}
        (Connection::Local(_), true) => say!("there is no queue yet; oat setup makes those of oat"),
        (Connection::Amqp(_), _) => {
            let what = if empty { "no queue of oat is there (oat setup makes them)" } else { "these are oat's" };
            say!("{what}; others have to be named: RabbitMQ does not say over AMQP which it has");
        }
    }
}

fn object(name: &str, Depth { ready, unacked, consumers, kind }: &Depth) -> Value {
    let kind = kind.map(QueueKind::name);
    json!({"v": 1, "name": name, "ready": ready, "unacked": unacked, "consumers": consumers, "kind": kind})
}

/// RabbitMQ says neither how many are out nor what kind of queue it is.
fn as_table(queues: &[(String, Depth)]) -> String {
    let row = |(name, Depth { ready, unacked, consumers, kind }): &(String, Depth)| {
        let unacked = unacked.map_or_else(|| "–".into(), |number| number.to_string());
        let kind = kind.map_or("–", QueueKind::name);
        vec![name.clone(), ready.to_string(), unacked, consumers.to_string(), kind.into()]
    };
    let rows: Vec<Vec<String>> = queues.iter().map(row).collect();
    table(&["QUEUE", "READY", "UNACKED", "CONSUMERS", "KIND"], &rows, std::io::stdout().is_terminal())
}
