//! `--log-bus`: the log lines of this process on the bus as well, where `oat bus logs` and eventail's logger.py show them.

use crate::bus::service::{Log, LogPump, Logs, Severity, logs};
use crate::bus::{Connection, Exchange, ExchangeKind, Topology};
use crate::telemetry::{Line, Listener};
use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Level;

/// Lines that wait for the bus to be opened.
pub struct LogBus(Option<LogPump>);

/// Lines on their way.
pub struct Pumping(Option<(CancellationToken, JoinHandle<()>)>);

impl LogBus {
    /// From here on lines are collected, if that is `wanted`.
    pub fn new(wanted: bool) -> (LogBus, Option<Listener>) {
        match wanted.then(logs) {
            Some((logs, pump)) => (LogBus(Some(pump)), Some(listener(logs))),
            None => (LogBus(None), None),
        }
    }

    /// Publishes them through this topic exchange, which is declared, as those of this service.
    pub async fn open(self, connection: &Connection, exchange: &str, service: &str) -> anyhow::Result<Pumping> {
        let Some(pump) = self.0 else { return Ok(Pumping(None)) };
        let exchanges = vec![Exchange::new(exchange, ExchangeKind::Topic)];
        let declared = connection.declare(&Topology { exchanges, queues: Vec::new() }).await;
        declared.context("declare the exchange of --log-bus")?;
        let stop = CancellationToken::new();
        let pumping = pump.run(connection.publisher(), exchange.into(), service.into(), stop.clone());
        Ok(Pumping(Some((stop, tokio::spawn(pumping)))))
    }
}

impl Pumping {
    /// Sends what is left. Before the connection is closed.
    pub async fn finish(self) {
        if let Some((stop, task)) = self.0 {
            stop.cancel();
            // The end of a log that panicked is its end as well.
            let _ = task.await;
        }
    }
}

fn listener(logs: Logs) -> Listener {
    Box::new(move |line| logs.post(log(line)))
}

fn log(line: Line) -> Log {
    let severity = match line.level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Info,
        _ => Severity::Debug,
    };
    let log = Log::new(severity, line.text).field("target", line.target);
    line.fields.into_iter().fold(log, |log, (name, value)| log.field(&name, value))
}
