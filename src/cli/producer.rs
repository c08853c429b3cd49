//! `oat-producer`: the flags of 2015, and a few more.

use super::connect::{AnnounceArgs, BusArgs, EncodingArg, PatienceArgs, StoreArgs};
use super::daemon::{DaemonArgs, process_name};
use super::failure::Usage;
use super::log_bus::LogBus;
use crate::config::Environment;
use crate::services::outbox::Outbox;
use crate::services::plan::{Formulas, Plan, Range};
use crate::services::producer::{self, Producer};
use crate::shutdown::Shutdown;
use clap::ValueEnum;
use std::process::ExitCode;
use tracing::{info, warn};

/// Invents tasks with random parameters, stores a record of each, and pushes them onto the bus.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Leaves after one batch
    #[arg(long)]
    one_shot: bool,
    /// Leaves after so many tasks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// The same seed gives the same tasks [default: random, and told]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What to draw
    #[arg(long, value_enum, default_value_t)]
    formula: FormulaArg,
    /// How messages are written
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    encoding: EncodingArg,
    #[command(flatten)]
    announce: AnnounceArgs,
    #[command(flatten)]
    patience: PatienceArgs,
    #[command(flatten)]
    ranges: Ranges,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

const EXAMPLES: &str = "\
Examples:
  oat-producer                          for ever, on the file of oat up
  oat-producer --one-shot
  oat-producer --count 100 --seed 7 --max-pause 0 --min-pause 0";

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormulaArg {
    Julia,
    Mandelbrot,
    #[default]
    Both,
}

/// Two bounds each, in any order.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Ranges (both ends included, in any order)", allow_negative_numbers = true)]
struct Ranges {
    /// Pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    min_height: u32,
    /// Pixels
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_height: u32,
    /// Pixels
    #[arg(long, value_name = "N", default_value_t = 256)]
    min_width: u32,
    /// Pixels
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_width: u32,
    /// Left bound of the window
    #[arg(long, value_name = "X", default_value_t = -1.0)]
    min_xa: f64,
    /// Left bound of the window
    #[arg(long, value_name = "X", default_value_t = -4.0)]
    max_xa: f64,
    /// Right bound of the window
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    min_xb: f64,
    /// Right bound of the window
    #[arg(long, value_name = "X", default_value_t = 4.0)]
    max_xb: f64,
    /// Bound of the first row
    #[arg(long, value_name = "Y", default_value_t = -0.5)]
    min_ya: f64,
    /// Bound of the first row
    #[arg(long, value_name = "Y", default_value_t = -3.0)]
    max_ya: f64,
    /// Bound of the last row
    #[arg(long, value_name = "Y", default_value_t = 0.5)]
    min_yb: f64,
    /// Bound of the last row
    #[arg(long, value_name = "Y", default_value_t = 3.0)]
    max_yb: f64,
    /// Iteration limit
    #[arg(long, value_name = "N", default_value_t = 128)]
    min_iterations: u32,
    /// Iteration limit
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_iterations: u32,
    /// Seconds between two batches
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    min_pause: f64,
    /// Seconds between two batches
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    max_pause: f64,
    /// Tasks in a batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=100_000))]
    min_tasks: u32,
    /// Tasks in a batch
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=100_000))]
    max_tasks: u32,
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        self.plan().check().map_err(Usage::new)?;
        let passwords = [self.bus.password_file(environment), self.store.password_file(environment)];
        self.daemon.run(environment, &passwords, |shutdown, log_bus| self.produce(environment, shutdown, log_bus))
    }

    async fn produce(
        &self,
        environment: &Environment,
        shutdown: Shutdown,
        log_bus: LogBus,
    ) -> anyhow::Result<ExitCode> {
        let seed = self.seed.unwrap_or_else(rand::random);
        info!("seed {seed}");
        // Without an end of its own, a signal is the way to end it.
        let stopped = ExitCode::from(if self.one_shot || self.count.is_some() { 3 } else { 0 });
        let opening = async {
            let store = self.store.open_migrated(environment).await?;
            anyhow::Ok((store, self.bus.open(environment, &format!("oat-producer {}", process_name())).await?))
        };
        let Some((store, connection)) = shutdown.or(opening).await.transpose()? else { return Ok(stopped) };
        let names = self.bus.names();
        let logging = log_bus.open(&connection, &names.logs, "oat-producer").await?;
        let outbox = Outbox {
            announcer: self.announce.open(&connection, &names).await,
            store: store.clone(),
            publisher: connection.publisher(),
            exchange: names.tasks,
            encoding: self.encoding.into(),
            patience: (&self.patience).into(),
        };
        let producer = Producer { outbox, plan: self.plan(), seed, one_shot: self.one_shot, count: self.count };
        let produced = producer::run(producer, shutdown).await?;
        logging.finish().await;
        connection.close().await;
        store.close().await;
        if produced.confirmed < produced.stored {
            warn!("{} task(s) are stored and not published: the tracker will", produced.stored - produced.confirmed);
            return Ok(ExitCode::from(3));
        }
        Ok(if produced.complete { ExitCode::SUCCESS } else { stopped })
    }

    fn plan(&self) -> Plan {
        let r = &self.ranges;
        Plan {
            formulas: match self.formula {
                FormulaArg::Julia => Formulas::Julia,
                FormulaArg::Mandelbrot => Formulas::Mandelbrot,
                FormulaArg::Both => Formulas::Both,
            },
            width: Range(r.min_width, r.max_width),
            height: Range(r.min_height, r.max_height),
            iterations: Range(r.min_iterations, r.max_iterations),
            xa: Range(r.min_xa, r.max_xa),
            xb: Range(r.min_xb, r.max_xb),
            ya: Range(r.min_ya, r.max_ya),
            yb: Range(r.min_yb, r.max_yb),
            pause: Range(r.min_pause, r.max_pause),
            tasks: Range(r.min_tasks, r.max_tasks),
        }
    }
}
