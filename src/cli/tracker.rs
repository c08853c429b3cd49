//! `oat-tracker`, and the sweeper that runs beside it.

use super::connect::{AnnounceArgs, BusArgs, EncodingArg, PatienceArgs, StoreArgs, seconds};
use super::daemon::{DaemonArgs, process_name};
use super::log_bus::LogBus;
use crate::config::Environment;
use crate::services::Events;
use crate::services::outbox::Outbox;
use crate::services::sweeper::{self, Sweeper};
use crate::services::tracker::{self, Tracker};
use crate::shutdown::Shutdown;
use std::process::ExitCode;
use std::time::Duration;

/// Takes results from the bus, records them, and sees to it that forgotten tasks are published again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Results in hand at a time; as many share one commit
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    prefetch: u16,
    /// Looks for forgotten tasks at this interval
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0, value_parser = seconds)]
    sweep_every: f64,
    #[command(flatten)]
    announce: AnnounceArgs,
    #[command(flatten)]
    patience: PatienceArgs,
    /// How messages are written
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    encoding: EncodingArg,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

const EXAMPLES: &str = "\
Examples:
  oat-tracker                           on the file of oat up
  oat-tracker --database-url postgres://oat@host/oat
  oat-tracker --log-file tracker.log --daemonize";

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let passwords = [self.bus.password_file(environment), self.store.password_file(environment)];
        self.daemon.run(environment, &passwords, |shutdown, log_bus| self.track(environment, shutdown, log_bus))
    }

    async fn track(&self, environment: &Environment, shutdown: Shutdown, log_bus: LogBus) -> anyhow::Result<ExitCode> {
        let opening = async {
            let store = self.store.open_migrated(environment).await?;
            anyhow::Ok((store, self.bus.open(environment, &format!("oat-tracker {}", process_name())).await?))
        };
        let Some((store, connection)) = shutdown.or(opening).await.transpose()? else { return Ok(ExitCode::SUCCESS) };
        let names = self.bus.names();
        let logging = log_bus.open(&connection, &names.logs, "oat-tracker").await?;
        let announcer = self.announce.open(&connection, &names).await;
        let outbox = Outbox {
            store: store.clone(),
            publisher: connection.publisher(),
            exchange: names.tasks,
            encoding: self.encoding.into(),
            patience: (&self.patience).into(),
            announcer: announcer.clone(),
        };
        let interval = Duration::from_secs_f64(self.sweep_every);
        let sweeper = Sweeper { outbox, connection: connection.clone(), interval };
        let tracker = Tracker {
            connection: connection.clone(),
            results: names.results,
            store: store.clone(),
            prefetch: self.prefetch,
            events: Events::default(),
            announcer,
        };
        // The first that fails ends the other: a tracker that could not even start must not leave its sweeper behind.
        tokio::try_join!(tracker::run(tracker, shutdown.clone()), sweeper::run(sweeper, shutdown.clone()))?;
        logging.finish().await;
        connection.close().await;
        store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
