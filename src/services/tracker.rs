//! Records results: each becomes durable before it is acknowledged, and whatever cannot be recorded is kept among
//! the dead letters with its reason.

use super::announce::Announcer;
use super::patience::{persist, settled};
use super::{Event, Events};
use crate::bus::{Connection, Consumer, Delivery};
use crate::shutdown::Shutdown;
use crate::store::{self, Finished, Store};
use crate::task::{End, Outcome};
use anyhow::Context;
use chrono::Utc;
use futures_util::FutureExt;
use tracing::{error, info, warn};

/// What a tracker needs.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// Where results come from.
    pub connection: Connection,
    /// The queue of results.
    pub results: String,
    /// The records.
    pub store: Store,
    /// Results in its hands at any time; as many at most share one commit.
    pub prefetch: u16,
    /// For whoever watches.
    pub events: Events,
    /// For whoever subscribes to the ends of tasks.
    pub announcer: Announcer,
}

/// Records until shutdown is asked for. An error when the bus has ended, or the store is gone for good.
pub async fn run(tracker: Tracker, shutdown: Shutdown) -> anyhow::Result<()> {
    let consumer = tracker.connection.consume(&tracker.results, tracker.prefetch).await;
    let mut consumer = consumer.context("consume the results")?;
    info!("waiting for results in queue {}", tracker.results);
    let mut recorded = Ok(());
    while recorded.is_ok()
        && let Some(first) = shutdown.or(consumer.next()).await
    {
        let first = first.context("the bus has ended")?;
        let batch = tracker.gather(first, &mut consumer).await;
        recorded = tracker.record(batch, &shutdown).await;
    }
    consumer.cancel().await;
    recorded.context("record the results")
}

impl Tracker {
    /// The first delivery and what else is there already: one commit serves them all. What cannot be understood is
    /// rejected, and counts too, or a flood of it would keep the rest from being committed.
    async fn gather(&self, first: Delivery, consumer: &mut Consumer) -> Vec<(Outcome, Delivery)> {
        let (mut batch, mut next, mut taken) = (Vec::new(), Some(first), 0);
        while let Some(delivery) = next {
            taken += 1;
            match Outcome::decode(delivery.message.content_type.as_deref(), &delivery.message.body) {
                Ok(outcome) => batch.push((outcome, delivery)),
                Err(refused) => reject(delivery, &refused.to_string()).await,
            }
            next = if taken < self.prefetch { consumer.next().now_or_never().flatten() } else { None };
        }
        batch
    }

    /// Commits, then settles. If shutdown comes while the database is away the deliveries go back.
    ///
    /// What the database will never take must not hold up the rest: a batch that fails for another reason than the
    /// state of the database is recorded one by one, and the culprit rejected. If the store is gone for good, that is the
    /// error, and the deliveries go back, too.
    async fn record(&self, batch: Vec<(Outcome, Delivery)>, shutdown: &Shutdown) -> Result<(), store::Error> {
        let outcomes: Vec<Outcome> = batch.iter().map(|(outcome, _)| outcome.clone()).collect();
        match (self.finish(&outcomes, shutdown).await, batch.len()) {
            (None, _) => give_all_back(batch).await,
            (Some(Err(gone @ store::Error::Gone { .. })), _) => {
                give_all_back(batch).await;
                return Err(gone);
            }
            (Some(Ok(finished)), _) => {
                self.announce(&batch, &finished).await;
                for ((outcome, delivery), finished) in batch.into_iter().zip(finished) {
                    self.settle(outcome, delivery, finished).await;
                }
            }
            (Some(Err(error)), 1) => {
                for (_, delivery) in batch {
                    reject(delivery, &format!("the database does not take it: {error}")).await;
                }
            }
            (Some(Err(_)), _) => {
                for single in batch {
                    Box::pin(self.record(vec![single], shutdown)).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits while the database is away. `None` if shutdown comes first.
    async fn finish(&self, outcomes: &[Outcome], shutdown: &Shutdown) -> Option<Result<Vec<Finished>, store::Error>> {
        persist("record the results", shutdown, || async { settled(self.store.finish(outcomes, Utc::now()).await) })
            .await
    }

    /// What is recorded now; and what was before, if this result came already and its tracker may have died since.
    async fn announce(&self, batch: &[(Outcome, Delivery)], finished: &[Finished]) {
        let ended = batch.iter().zip(finished).filter(|((_, delivery), finished)| match finished {
            Finished::Recorded | Finished::Adopted => true,
            Finished::Duplicate => delivery.redelivered,
            Finished::Late | Finished::Conflict { .. } | Finished::Stranger | Finished::Unknown => false,
        });
        self.announcer.ended(&ended.map(|((outcome, _), _)| outcome).collect::<Vec<_>>()).await;
    }

    async fn settle(&self, outcome: Outcome, delivery: Delivery, finished: Finished) {
        let uuid = outcome.uuid;
        match (finished, &outcome.end) {
            (Finished::Recorded | Finished::Adopted, _) => {
                tell(&outcome);
                self.events.tell(|| Event::Recorded(outcome));
            }
            (Finished::Duplicate, _) => info!("result {uuid} was known already"),
            (Finished::Late, _) => info!("result {uuid} came too late: the task has ended otherwise"),
            (Finished::Conflict { recorded }, _) => {
                error!("result {uuid} contradicts the record: a picture of one scene has two checksums");
                let reason = format!("the record of this task has another checksum: {recorded}");
                return reject(delivery, &reason).await;
            }
            (Finished::Stranger, _) => {
                error!("result {uuid} is of another scene than its record: an identifier was used twice");
                return reject(delivery, "the record of this task is of another scene").await;
            }
            // Its worker has put the task itself among the dead letters already.
            (Finished::Unknown, End::Failed { reason }) => warn!("task {uuid} failed and has no record: {reason}"),
            (Finished::Unknown, End::Drawn(_)) => {
                let reason = "there is no record of this task, and the result does not carry its parameters";
                return reject(delivery, reason).await;
            }
        }
        if let Err(error) = delivery.ack().await {
            info!("result {uuid} will come again and change nothing: {error}");
        }
    }
}

/// The original's three lines.
fn tell(outcome: &Outcome) {
    info!("processing result {}", outcome.uuid);
    match &outcome.end {
        End::Drawn(drawn) => {
            info!("elapsed time {:.6} seconds", drawn.duration);
            info!("checksum {}", drawn.checksum);
        }
        End::Failed { reason } => info!("failed: {reason}"),
    }
}

/// A database that is away is not the result's fault: no attempt is spent.
async fn give_all_back(batch: Vec<(Outcome, Delivery)>) {
    for (_, delivery) in batch {
        if let Err(error) = delivery.give_back().await {
            info!("a result goes back to its queue by itself: {error}");
        }
    }
}

async fn reject(delivery: Delivery, reason: &str) {
    warn!("refused a result: {reason}");
    if let Err(error) = delivery.reject(reason).await {
        warn!("could not reject it, so it will come again: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Message;
    use crate::task::JSON;
    use crate::topology::Names;

    /// A place for the bus and the records, a tracker on it, and a result that waits for it.
    async fn with_a_result(folder: &tempfile::TempDir) -> Tracker {
        let url = |file: &str| format!("sqlite:{}", folder.path().join(file).display());
        let names = Names::new("");
        let connection = Connection::open(&url("bus.db"), names.topology(), Default::default()).await.unwrap();
        let failed = Outcome {
            uuid: uuid::Uuid::new_v4(),
            worker: "w".into(),
            attempt: 1,
            started_at: None,
            finished_at: None,
            task: None,
            end: End::Failed { reason: "none".into() },
        };
        let message = Message::new(JSON, failed.encode(crate::task::Encoding::Json));
        connection.publisher().publish(&names.results, &names.results, message).await.unwrap();
        Tracker {
            connection,
            results: names.results,
            // Without its tables, which somebody may make at any moment.
            store: Store::open(&url("records.db")).await.unwrap(),
            prefetch: 10,
            events: Events::default(),
            announcer: Announcer::default(),
        }
    }

    async fn assert_that_no_attempt_is_spent(connection: &Connection, results: &str) {
        let again = connection.consume(results, 1).await.unwrap().next().await.unwrap();
        assert_eq!((again.attempt, again.redelivered), (1, false));
    }

    #[tokio::test]
    async fn a_result_that_waited_for_the_database_in_vain_has_spent_no_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let tracker = with_a_result(&folder).await;
        let (connection, results) = (tracker.connection.clone(), tracker.results.clone());
        let shutdown = Shutdown::new();
        let tracking = tokio::spawn(run(tracker, shutdown.clone()));
        while connection.depth(&results).await.unwrap().unacked != Some(1) {
            tokio::task::yield_now().await;
        }
        shutdown.request();
        tracking.await.unwrap().unwrap();
        assert_that_no_attempt_is_spent(&connection, &results).await;
    }

    #[tokio::test]
    async fn a_tracker_whose_store_was_deleted_stops_and_gives_its_results_back() {
        let folder = tempfile::tempdir().unwrap();
        let tracker = with_a_result(&folder).await;
        let (connection, results) = (tracker.connection.clone(), tracker.results.clone());
        tracker.store.migrate().await.unwrap();
        std::fs::remove_file(folder.path().join("records.db")).unwrap();
        let error = run(tracker, Shutdown::new()).await.unwrap_err();
        assert!(format!("{error:#}").contains("was deleted or replaced"), "{error:#}");
        assert_that_no_attempt_is_spent(&connection, &results).await;
    }
}
