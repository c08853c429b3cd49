//! `oat rpc serve`: answers methods until it is told to stop.

use super::super::daemon::DaemonArgs;
use super::super::log_bus::LogBus;
use super::super::worker::drawing_threads;
use super::{TargetArgs, Wire};
use crate::bus::rpc::Server;
use crate::config::Environment;
use crate::fractal::Limits;
use crate::services::methods::answer;
use crate::shutdown::Shutdown;
use std::process::ExitCode;

/// Answers the methods adder (arg and one) and draw (a place of the tour, as PNG) until it is told to stop.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Requests answered at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    slots: u16,
    /// The largest picture that it draws
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pixels)]
    max_pixels: u64,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

const EXAMPLES: &str = "\
Examples:
  oat rpc serve
  oat rpc serve --wire oslo --topic test      for clients of oslo.messaging";

impl Args {
    pub fn run(mut self, environment: &Environment) -> anyhow::Result<ExitCode> {
        if self.target.wire == Wire::Oslo {
            self.target.server.get_or_insert_with(|| "myname".into());
        }
        let passwords = [self.target.bus.password_file(environment)];
        self.daemon.run(environment, &passwords, |shutdown, log_bus| self.serve(environment, shutdown, log_bus))
    }

    async fn serve(&self, environment: &Environment, shutdown: Shutdown, log_bus: LogBus) -> anyhow::Result<ExitCode> {
        drawing_threads(None)?;
        let opening = self.target.open(environment, "serve");
        let Some(bus) = shutdown.or(opening).await.transpose()? else { return Ok(ExitCode::SUCCESS) };
        let logging = log_bus.open(&bus, &self.target.bus.names().logs, "oat-rpc-serve").await?;
        let target = self.target.target();
        let limits = Limits { max_pixels: self.max_pixels, ..Limits::default() };
        let server = Server::serve(&bus, &target, self.slots, move |request| answer(request, limits)).await?;
        tracing::info!("serving {target}");
        shutdown.requested().await;
        server.stop().await;
        logging.finish().await;
        bus.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
