//! Invents tasks, stores their records, pushes them onto the bus, sleeps, and begins again.

use super::outbox::Outbox;
use super::patience::{persist, settled};
use super::plan::Plan;
use crate::shutdown::Shutdown;
use crate::store::Error;
use crate::task::Task;
use anyhow::Context;
use chrono::Utc;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tracing::{info, warn};

/// What a producer needs.
#[derive(Clone, Debug)]
pub struct Producer {
    /// Records and bus.
    pub outbox: Outbox,
    /// What to invent.
    pub plan: Plan,
    /// Of the generator: the same seed, the same tasks.
    pub seed: u64,
    /// Leave after one batch.
    pub one_shot: bool,
    /// Leave after so many tasks.
    pub count: Option<u32>,
}

/// What a producer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Produced {
    /// Tasks whose records are stored.
    pub stored: usize,
    /// Those of them that the bus has confirmed. The others are published by the tracker's sweeper.
    pub confirmed: usize,
    /// Whether all that was asked for was made: `false` if shutdown came before.
    pub complete: bool,
}

/// Produces until the count is reached or shutdown is asked for; a batch that was begun is finished.
pub async fn run(producer: Producer, shutdown: Shutdown) -> anyhow::Result<Produced> {
    let mut random = ChaCha8Rng::seed_from_u64(producer.seed);
    let mut produced = Produced::default();
    loop {
        let Some(number) = producer.next_batch(&mut random, produced.stored) else {
            produced.complete = true;
            break;
        };
        info!("generating {number} task(s)");
        let tasks = (0..number).map(|_| producer.plan.task(&mut random)).collect::<Result<Vec<_>, _>>()?;
        if !store(&producer.outbox, &tasks, &shutdown).await? {
            break;
        }
        produced.stored += tasks.len();
        produced.confirmed += publish(&producer.outbox, &tasks, &shutdown).await;
        if producer.one_shot || producer.next_batch(&mut random.clone(), produced.stored).is_none() {
            produced.complete = true;
            break;
        }
        let nap = producer.plan.nap(&mut random);
        info!("sleeping for {:.6} seconds", nap.as_secs_f64());
        if shutdown.or(tokio::time::sleep(nap)).await.is_none() {
            break;
        }
    }
    Ok(produced)
}

impl Producer {
    /// The size of the next batch; `None` when the count is reached.
    fn next_batch(&self, random: &mut ChaCha8Rng, stored: usize) -> Option<usize> {
        let left = self.count.map_or(usize::MAX, |count| (count as usize).saturating_sub(stored));
        let number = (self.plan.batch(random) as usize).min(left);
        (left > 0).then_some(number)
    }
}

/// One commit for the batch. `false` if shutdown came while the database was away: nothing was stored then.
///
/// A commit whose answer was lost may have been made: a second try then finds its own records, all of them.
pub async fn store(outbox: &Outbox, tasks: &[Task], shutdown: &Shutdown) -> anyhow::Result<bool> {
    let unsure = AtomicBool::new(false);
    let stored = persist("store the records", shutdown, || async {
        let now = Utc::now();
        match outbox.store.insert(tasks, now, now + outbox.patience.unpublished).await {
            Err(Error::Exists(_)) if unsure.load(Relaxed) => Ok(Ok(())),
            answer => settled(answer).inspect_err(|_| unsure.store(true, Relaxed)),
        }
    })
    .await;
    let Some(stored) = stored else { return Ok(false) };
    stored.context("store the records of new tasks")?;
    for task in tasks {
        info!("generated task: {}", String::from_utf8_lossy(&task.encode(crate::task::Encoding::Json)));
    }
    Ok(true)
}

/// Pushes stored tasks; returns how many the bus has confirmed. Each is pushed once: what the bus did not confirm, and
/// what could not be marked before shutdown, the sweeper finds.
pub async fn publish(outbox: &Outbox, tasks: &[Task], shutdown: &Shutdown) -> usize {
    let confirmed = outbox.publish(tasks, 0).await;
    let mark = || async { settled(outbox.mark(&confirmed, 0).await) };
    let marked = persist("mark the published tasks", shutdown, mark).await;
    if let Some(Err(error)) = marked {
        warn!("could not mark the published tasks: {error}");
    }
    confirmed.len()
}
