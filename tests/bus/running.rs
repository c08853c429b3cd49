//! A service that runs, for one test: opened under names of the test's own, stopped in good order at its end.

use crate::fixture::{Bus, soon};
use oat::bus::service::{Conversation, Exchanges, Failure, Incoming, Service, ServiceOptions};
use oat::bus::{Backoff, Error};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The options of a service of this test, which does not make a test wait between two tries.
pub fn options(bus: &Bus, name: &str) -> ServiceOptions {
    let minute = Duration::from_secs(60);
    let mut options = ServiceOptions::new(&bus.name(name));
    (options.connection.connect_timeout, options.connection.confirm_timeout) = (minute, minute);
    let backoff = Backoff::doubling(Duration::from_millis(10), minute);
    ServiceOptions { exchanges: Exchanges::new(&bus.name("")), backoff, max_attempts: 3, ..options }
}

/// A service of this test. Keys of commands are the caller's business: they need not begin with the service's name.
pub async fn open(bus: &Bus, options: ServiceOptions) -> Service {
    Service::open(&[&bus.url], options).await.expect("the service opens")
}

/// Where handlers put what they are given.
pub fn inbox<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    unbounded_channel()
}

/// Puts it there.
pub async fn put<T>(inbox: UnboundedSender<T>, what: T) -> Result<(), Failure> {
    inbox.send(what).map_err(|_| "the test is over".into())
}

/// A service whose handler runs.
pub struct Running {
    service: Service,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Starts it.
    pub fn start<H, F, R>(service: Service, handler: H) -> Running
    where
        H: Fn(Incoming, Conversation) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, Failure>> + Send + 'static,
        R: Serialize + Send + 'static,
    {
        let (stop, running) = (CancellationToken::new(), service.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { running.run(handler, stopped.cancelled()).await });
        Running { service, stop, task }
    }

    /// Stops it, and closes its connection.
    pub async fn stop(self) {
        self.stop.cancel();
        soon("the service stops", self.task).await.expect("it does not panic").expect("it ends in good order");
        self.service.close().await;
    }
}
