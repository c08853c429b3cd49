//! `oat setup`: everything that has to exist before the daemons, for those who do not let daemons make it.

use super::connect::{BusArgs, StoreArgs};
use super::daemon::{log_trouble, runtime};
use super::output::{counted, tell};
use crate::config::Environment;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  oat setup
  oat setup --amqp-url amqp://oat@host/%2f --amqp-password-file secret
  oat setup --queue-prefix test-

The daemons do the same at their start, if they are allowed to.";

/// Declares exchanges and queues and makes or updates the tables; harmless to repeat.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        log_trouble(environment, None)?;
        runtime()?.block_on(self.set_up(environment))
    }

    async fn set_up(&self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let store = self.store.open(environment).await?;
        for migration in store.migrate().await? {
            tell!("database  ran {migration}");
        }
        tell!("database  up to date");
        store.close().await;
        let connection = self.bus.open(environment, "oat setup").await?;
        for queue in self.bus.names().topology().queues {
            let depth = connection.depth(&queue.name).await?;
            tell!("bus       exchange and queue {}: {} waiting", queue.name, counted(depth.ready, "message"));
        }
        connection.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
