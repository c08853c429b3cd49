//! `oat rpc http`: a web server whose every answer is a call over the bus.

use super::super::connect::duration;
use super::super::daemon::DaemonArgs;
use super::super::log_bus::LogBus;
use super::TargetArgs;
use crate::bus::rpc::Client;
use crate::config::Environment;
use crate::services::front::{self, Front};
use crate::shutdown::Shutdown;
use anyhow::Context;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;

/// Answers GET /?num=1336 with 1337, by a call of the method adder over the bus.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  oat rpc http\n  curl 'http://127.0.0.1:9090/?num=1336'")]
pub struct Args {
    /// Where browsers find it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// How long a browser waits
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    daemon: DaemonArgs,
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let passwords = [self.target.bus.password_file(environment)];
        self.daemon.run(environment, &passwords, |shutdown, log_bus| self.serve(environment, shutdown, log_bus))
    }

    async fn serve(&self, environment: &Environment, shutdown: Shutdown, log_bus: LogBus) -> anyhow::Result<ExitCode> {
        let listener = TcpListener::bind(self.listen).await.with_context(|| format!("listen on {}", self.listen))?;
        let opening = self.target.open(environment, "http");
        let Some(bus) = shutdown.or(opening).await.transpose()? else { return Ok(ExitCode::SUCCESS) };
        let logging = log_bus.open(&bus, &self.target.bus.names().logs, "oat-rpc-http").await?;
        let client = Client::open(&bus, &self.target.target()).await?;
        tracing::info!("listening on http://{}/", listener.local_addr()?);
        front::run(Front { client: client.clone(), within: self.timeout }, listener, shutdown).await;
        client.close().await;
        logging.finish().await;
        bus.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
