//! Consuming for a service: each of its queues by itself, until shutdown.

use super::super::{Consumer, Error};
use super::conversation::Conversation;
use super::desk::Desk;
use super::incoming::{Failure, Incoming};
use super::open::Service;
use super::queues::Source;
use serde::Serialize;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

impl Service {
    /// Handles what comes until `shutdown`, then finishes what is in hand, for as long as the options' `grace` allows; what
    /// is not finished goes back to its queue.
    ///
    /// `handler` runs on a tokio task of its own for each message, [`prefetch`](super::ServiceOptions::prefetch) of them at a
    /// time for each queue. What it answers is the result of a command, and tells of a configuration whether it is enough. A
    /// panic is a failure like any other.
    ///
    /// An error means that the connection was closed, or that a queue cannot be consumed; what is in hand is finished then,
    /// too.
    pub async fn run<H, F, R>(&self, handler: H, shutdown: impl Future<Output = ()>) -> Result<(), Error>
    where
        H: Fn(Incoming, Conversation) -> F + Send + Sync + 'static,
        F: Future<Output = Result<R, Failure>> + Send + 'static,
        R: Serialize + Send + 'static,
    {
        let desk = Arc::new(Desk::new(self.clone(), handler));
        let stop = CancellationToken::new();
        let mut readers = JoinSet::new();
        for source in &self.sources().read {
            readers.spawn(read(desk.clone(), source.clone(), stop.clone()));
        }
        let mut result = Ok(());
        if readers.is_empty() {
            shutdown.await;
        } else {
            tokio::select! {
                () = shutdown => {}
                Some(ended) = readers.join_next() => result = reader(ended),
            }
        }
        stop.cancel();
        while let Some(ended) = readers.join_next().await {
            result = result.and(reader(ended));
        }
        result
    }
}

/// How the reader of a queue ended.
fn reader(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|error| Err(Error::Lost { doing: format!("reading a queue: {error}") }))
}

/// Reads a queue until `stop`, as soon as the service is configured.
async fn read(desk: Arc<Desk>, source: Source, stop: CancellationToken) -> Result<(), Error> {
    if !source.configures {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = desk.configured.cancelled() => {}
        }
    }
    let prefetch = desk.service.options().prefetch.max(1);
    let mut consumer = desk.service.connection().consume(&source.queue.name, prefetch).await?;
    let mut hands = JoinSet::new();
    let taken = take(&desk, Arc::new(source), &mut consumer, &mut hands, &stop).await;
    consumer.cancel().await;
    let finishing = async { while hands.join_next().await.is_some() {} };
    if tokio::time::timeout(desk.service.options().grace, finishing).await.is_err() {
        tracing::warn!("{} message(s) not handled in time go back to their queue", hands.len());
        desk.hurry.cancel();
        while hands.join_next().await.is_some() {}
    }
    taken
}

/// Takes deliveries as long as hands are free.
async fn take(
    desk: &Arc<Desk>,
    source: Arc<Source>,
    consumer: &mut Consumer,
    hands: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let most = usize::from(desk.service.options().prefetch.max(1));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            delivery = consumer.next(), if hands.len() < most => match delivery {
                Some(delivery) => drop(hands.spawn(desk.clone().handle(source.clone(), delivery))),
                None => return Err(Error::Lost { doing: format!("reading the queue {:?}", source.queue.name) }),
            },
            Some(_) = hands.join_next() => {}
        }
    }
}
