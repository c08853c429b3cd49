//! `oat-worker`.

use super::connect::{BusArgs, EncodingArg};
use super::daemon::{DaemonArgs, process_name};
use super::log_bus::LogBus;
use crate::config::Environment;
use crate::fractal::Limits;
use crate::pictures::Pictures;
use crate::services::Events;
use crate::services::worker::{self, Worker};
use crate::shutdown::Shutdown;
use anyhow::Context;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Takes tasks from the bus, draws them, stores the pictures, and reports their checksums.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder for pictures
    /// [env: OAT_TARGET]
    /// [default: ~/.local/share/oat/pictures]
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    target: Option<PathBuf>,
    /// Threads that draw [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Tasks that are drawn at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    prefetch: u16,
    /// What it is called in results [default: host:pid]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Refuses what came more often: it ends workers
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: u32,
    /// Lets a drawing go on for so long after a signal
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
    /// Leaves after so long without anything to do
    #[arg(long, value_name = "SECONDS")]
    idle_exit: Option<u64>,
    /// How messages are written
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    encoding: EncodingArg,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

const EXAMPLES: &str = "\
Examples:
  oat-worker                            on the file of oat up
  oat-worker --amqp-url amqp://oat@host/%2f --amqp-password-file secret
  oat-worker --idle-exit 60 --threads 4";

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let passwords = [self.bus.password_file(environment)];
        self.daemon.run(environment, &passwords, |shutdown, log_bus| self.work(environment, shutdown, log_bus))
    }

    async fn work(&self, environment: &Environment, shutdown: Shutdown, log_bus: LogBus) -> anyhow::Result<ExitCode> {
        drawing_threads(self.threads)?;
        let folder = environment.pictures(self.target.as_deref());
        let pictures = Pictures::open(&folder).with_context(|| format!("use the folder {}", folder.display()))?;
        let name = self.name.clone().unwrap_or_else(process_name);
        let title = format!("oat-worker {name}");
        let opening = self.bus.open(environment, &title);
        let Some(connection) = shutdown.or(opening).await.transpose()? else { return Ok(ExitCode::SUCCESS) };
        let names = self.bus.names();
        let logging = log_bus.open(&connection, &names.logs, "oat-worker").await?;
        let worker = Worker {
            name,
            publisher: connection.publisher(),
            connection: connection.clone(),
            tasks: names.tasks,
            results: names.results,
            encoding: self.encoding.into(),
            pictures,
            limits: (&self.limits).into(),
            slots: self.prefetch,
            max_attempts: self.max_attempts,
            grace: Duration::from_secs(self.grace),
            idle_exit: self.idle_exit.map(Duration::from_secs),
            events: Events::default(),
        };
        worker::run(worker, shutdown).await?;
        logging.finish().await;
        connection.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// What is not drawn, whoever asks for it.
#[derive(Debug, clap::Args)]
pub struct LimitArgs {
    /// Refuses larger pictures
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pixels, value_parser = clap::value_parser!(u64).range(1..))]
    max_pixels: u64,
    /// Refuses higher iteration limits
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_iterations, value_parser = clap::value_parser!(u32).range(1..))]
    max_iterations: u32,
}

impl From<&LimitArgs> for Limits {
    fn from(args: &LimitArgs) -> Limits {
        Limits { max_pixels: args.max_pixels, max_iterations: args.max_iterations }
    }
}

/// The threads that draw, for the whole process.
pub fn drawing_threads(threads: Option<u16>) -> anyhow::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().thread_name(|number| format!("oat-draw-{number}"));
    pool.num_threads(threads.unwrap_or(0).into()).build_global().context("start the drawing threads")
}
