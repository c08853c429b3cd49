//! `oat bus …`: the tools, as they are typed. eventail's names for them are understood, too.

mod input;
mod inspect;
mod logs;
mod monitor;
mod publish;
mod purge;
mod queues;
mod resurrect;
mod send;
mod words;

use super::connect::{BusArgs, duration};
use super::daemon::{log_trouble, runtime};
use super::failure::Usage;
use crate::bus::service::Exchanges;
use crate::bus::{self, Connection, Depth};
use crate::config::Environment;
use crate::shutdown::Shutdown;
use anyhow::Context;
use clap::Subcommand;
use std::process::ExitCode;
use std::time::Duration;

/// Looks into a bus, listens to it, sends to it, and mends what died on it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  oat bus queues                        what waits where
  oat bus monitor --limit 10            the next ten messages, whoever gets them
  oat bus logs --level warning          what services complain about
  oat bus send shop.Price --data 7      a command, and its result
  oat bus inspect dead                  what died, and why
  oat bus resurrect dead --dry-run      where it would go back to";

#[derive(Debug, Subcommand)]
enum Command {
    /// Says how full queues are.
    Queues(queues::Args),
    /// Shows what is published while it is published; takes nothing away.
    Monitor(monitor::Args),
    /// Shows what services log on the bus.
    #[command(alias = "logger")]
    Logs(logs::Args),
    /// Publishes an event and says whether any queue got it.
    #[command(alias = "publish-event")]
    Publish(publish::Args),
    /// Sends a command to a service and waits for its result.
    #[command(alias = "send-command")]
    Send(send::Args),
    /// Shows what waits in a queue and leaves it there.
    #[command(alias = "inspect-queue")]
    Inspect(inspect::Args),
    /// Sends dead messages back to the queue in which they died.
    Resurrect(resurrect::Args),
    /// Removes all messages that wait in a queue.
    Purge(purge::Args),
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        log_trouble(environment, None)?;
        let runtime = runtime()?;
        runtime.block_on(async {
            match self.command {
                Command::Queues(args) => args.run(environment).await,
                Command::Monitor(args) => args.run(environment).await,
                Command::Logs(args) => args.run(environment).await,
                Command::Publish(args) => args.run(environment).await,
                Command::Send(args) => args.run(environment).await,
                Command::Inspect(args) => args.run(environment).await,
                Command::Resurrect(args) => args.run(environment).await,
                Command::Purge(args) => args.run(environment).await,
            }
        })
    }
}

/// What every tool can be told.
#[derive(Debug, clap::Args)]
struct Common {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// How long to wait for bus or answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    bus: BusArgs,
}

impl Common {
    /// What services call their exchanges.
    fn exchanges(&self) -> Exchanges {
        Exchanges::new(&self.bus.queue_prefix)
    }

    /// The bus as it is: nothing is declared on it.
    async fn visit(&self, environment: &Environment) -> anyhow::Result<Connection> {
        self.bus.visit(environment, "oat bus", self.timeout).await
    }
}

/// How full a queue is that has to be there.
async fn depth_of(connection: &Connection, queue: &str) -> anyhow::Result<Depth> {
    connection.depth(queue).await.map_err(|error| match error {
        bus::Error::Conflict { what, .. } => foreign(&what),
        error => absent(error, others(connection)),
    })
}

/// How to learn which queues there are.
fn others(connection: &Connection) -> &'static str {
    match connection {
        Connection::Local(_) => "what there is:   oat bus queues",
        Connection::Amqp(_) => "what there is:   sudo rabbitmqctl list_queues      (where the broker runs)",
    }
}

/// A broker lets nobody even look at such a queue.
fn foreign(queue: &str) -> anyhow::Error {
    Usage::new(format!("{queue} belongs to one connection alone: no other may look at it")).into()
}

/// What somebody named and is not there is not found; `oat setup`, the usual advice, would not make it.
fn absent(error: bus::Error, fix: &str) -> anyhow::Error {
    match error {
        bus::Error::Missing { what } => Usage::not_found(format!("{what} does not exist")).fix(fix).into(),
        error => error.into(),
    }
}

/// What `work` gives; or, if a signal comes first, the status that says which.
async fn interruptible<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Result<T, ExitCode>> {
    let shutdown = Shutdown::on_signals()?;
    match shutdown.or(work).await {
        Some(done) => done.map(Ok),
        None => Ok(Err(ExitCode::from(shutdown.status()))),
    }
}

/// Asks on a terminal; elsewhere nobody can answer, and `--yes` has to be said.
fn confirmed(yes: bool, question: &str, answer: &str, command: &str) -> anyhow::Result<bool> {
    use std::io::{BufRead, IsTerminal, Write};
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Usage::new("this has to be confirmed, and there is no terminal to ask on").fix(command).into());
    }
    // A question that nobody can read is none.
    write!(std::io::stderr(), "{question} ").context("ask on standard error")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == answer)
}
