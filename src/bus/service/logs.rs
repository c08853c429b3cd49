//! Logging to the bus without ever waiting for it: lines go into a queue of bounded length, a pump publishes them. What
//! does not fit, or cannot be sent, is counted, and told as soon as something can be sent again.

use super::super::Publisher;
use super::gelf::{Log, Severity};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Lines that may wait.
const ROOM: usize = 1024;
/// Lines on their way at once.
const BATCH: usize = 64;
/// How long the last lines may take.
const LAST: Duration = Duration::from_secs(2);

/// Where log lines go. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub struct Logs {
    sender: mpsc::Sender<Log>,
    dropped: Arc<AtomicU64>,
}

/// What publishes them.
#[derive(Debug)]
pub struct LogPump {
    receiver: mpsc::Receiver<Log>,
    dropped: Arc<AtomicU64>,
}

/// Both ends of a new queue.
pub fn logs() -> (Logs, LogPump) {
    let (sender, receiver) = mpsc::channel(ROOM);
    let dropped = Arc::new(AtomicU64::new(0));
    (Logs { sender, dropped: dropped.clone() }, LogPump { receiver, dropped })
}

impl Logs {
    /// Takes a line, or counts it as dropped. Never waits.
    pub fn post(&self, log: Log) {
        if self.sender.try_send(log).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl LogPump {
    /// Publishes what comes as lines of this service, until `stop`; what waits then still has a moment.
    ///
    /// It writes no log line of its own, which might come back to it.
    pub async fn run(self, publisher: Publisher, exchange: String, service: String, stop: CancellationToken) {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let LogPump { receiver, dropped } = self;
        let mut pump = Pump { receiver, dropped, publisher, exchange, service, host };
        let hurry = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        tokio::select! {
            () = pump.publish_until(&stop) => {}
            // Without the bus the rest is lost, as it would be to a program that is killed.
            () = hurry => {}
        }
    }
}

struct Pump {
    receiver: mpsc::Receiver<Log>,
    dropped: Arc<AtomicU64>,
    publisher: Publisher,
    exchange: String,
    service: String,
    host: String,
}

impl Pump {
    async fn publish_until(&mut self, stop: &CancellationToken) {
        let mut lines = Vec::new();
        loop {
            let number = tokio::select! {
                number = self.receiver.recv_many(&mut lines, BATCH) => number,
                () = stop.cancelled(), if !self.receiver.is_closed() => {
                    self.receiver.close();
                    continue;
                }
            };
            if number == 0 {
                return;
            }
            self.confess().await;
            let sent = join_all(lines.drain(..).map(|line| self.send(line))).await;
            self.dropped.fetch_add(sent.into_iter().filter(|sent| !sent).count() as u64, Relaxed);
        }
    }

    /// Tells what is missing; tells it later if that is not possible now.
    async fn confess(&self) {
        let dropped = self.dropped.swap(0, Relaxed);
        let line = Log::new(Severity::Warning, format!("{dropped} log line(s) could not be sent"));
        if dropped > 0 && !self.send(line.field("dropped", dropped)).await {
            self.dropped.fetch_add(dropped, Relaxed);
        }
    }

    async fn send(&self, line: Log) -> bool {
        let (key, message) = line.message(&self.service, &self.host);
        self.publisher.announce(&self.exchange, &key, message).await.is_ok()
    }
}
