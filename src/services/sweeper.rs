//! Publishes again what was never confirmed or has vanished: the part that makes the outbox whole. It runs beside
//! the tracker; several may run at once, since claiming a record gives it to one of them.

use super::outbox::Outbox;
use crate::bus::Connection;
use crate::shutdown::Shutdown;
use crate::store;
use chrono::{TimeDelta, Utc};
use std::time::Duration;
use tracing::{info, warn};

/// Records taken at a time: a flood after an outage is spread out.
const BATCH: u32 = 200;

/// What the sweeper needs.
#[derive(Clone, Debug)]
pub struct Sweeper {
    /// For publishing, and for the records.
    pub outbox: Outbox,
    /// For a look at the queue of tasks.
    pub connection: Connection,
    /// Between two sweeps.
    pub interval: Duration,
}

/// Sweeps at every interval until shutdown is asked for. An error when the store is gone for good.
pub async fn run(sweeper: Sweeper, shutdown: Shutdown) -> anyhow::Result<()> {
    while shutdown.or(tokio::time::sleep(sweeper.interval)).await.is_some() {
        // Called off in the middle, it leaves records that are claimed for a minute, and then swept by the next one.
        match shutdown.or(sweeper.sweep()).await {
            None | Some(Ok(0)) => {}
            Some(Ok(count)) => info!("published {count} task(s) again that were forgotten on the way"),
            Some(Err(error)) if matches!(error.downcast_ref(), Some(store::Error::Gone { .. })) => return Err(error),
            Some(Err(error)) => warn!("could not sweep: {error:#}"),
        }
    }
    Ok(())
}

impl Sweeper {
    /// One sweep; returns how many tasks were published.
    ///
    /// A queued task counts as lost only while the queue is empty: behind a long queue it is merely waiting. The
    /// embedded bus also tells what is being drawn; RabbitMQ does not, so that a drawing which takes longer than
    /// `--lost-after` is drawn twice there, and recorded once.
    pub async fn sweep(&self) -> anyhow::Result<usize> {
        let depth = self.connection.depth(&self.outbox.exchange).await?;
        let idle = depth.ready == 0 && depth.unacked.unwrap_or(0) == 0;
        let now = Utc::now();
        let lease = now + TimeDelta::seconds(60);
        let mut due = self.outbox.store.claim_due(now, lease, BATCH, idle).await?;
        due.sort_by_key(|due| due.publishes);
        let mut published = 0;
        // Records published equally often wait equally long afterwards.
        for group in due.chunk_by(|a, b| a.publishes == b.publishes) {
            let tasks: Vec<_> = group.iter().map(|due| due.task.clone()).collect();
            let publishes = group[0].publishes;
            let confirmed = self.outbox.publish(&tasks, publishes).await;
            self.outbox.mark(&confirmed, publishes).await?;
            published += confirmed.len();
        }
        Ok(published)
    }
}
