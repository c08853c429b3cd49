//! Ctrl-C and SIGTERM as one value that a service waits on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell says of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;
/// The same of SIGTERM.
const TERMINATED: u8 = 143;

/// Asked for once, it stays asked for. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    status: Arc<AtomicU8>,
}

impl Shutdown {
    /// One that only [`request`](Self::request) brings about: what tests and `oat up` use.
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// One that SIGINT and SIGTERM bring about. The second signal ends the process at once, with the status a
    /// shell gives to a program killed by it.
    pub fn on_signals() -> std::io::Result<Shutdown> {
        let shutdown = Shutdown::default();
        for (kind, status) in [(SignalKind::interrupt(), INTERRUPTED), (SignalKind::terminate(), TERMINATED)] {
            let (mut signals, shutdown) = (signal(kind)?, shutdown.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if shutdown.is_requested() {
                        std::process::exit(status.into());
                    }
                    shutdown.status.store(status, Ordering::Relaxed);
                    shutdown.request();
                }
            });
        }
        Ok(shutdown)
    }

    /// Asks everybody to stop.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether it was asked for.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The exit status of a program that it has kept from finishing: 143 after SIGTERM, otherwise 130.
    pub fn status(&self) -> u8 {
        match self.status.load(Ordering::Relaxed) {
            TERMINATED => TERMINATED,
            _ => INTERRUPTED,
        }
    }

    /// Returns when it is asked for.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// What `future` gives, or `None` if shutdown is asked for first.
    pub async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.token.run_until_cancelled(future).await
    }
}
