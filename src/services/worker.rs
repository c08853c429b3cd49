//! Draws. Takes a task, draws it, stores the picture, reports the outcome, and acknowledges last.
//!
//! The order of these steps is what makes a crash at any point harmless: whatever was done before it is done again
//! with the same result, since the picture follows from the task alone.

use super::encoded::Encoded;
use super::patience::persist;
use super::{Event, Events};
use crate::bus::{Connection, Delivery, Message, Publisher};
use crate::fractal::{self, Limits, Stop};
use crate::pictures::Pictures;
use crate::shutdown::Shutdown;
use crate::task::{Encoding, End, Outcome, Refused, Task};
use anyhow::Context;
use chrono::Utc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

/// What a worker needs.
#[derive(Clone, Debug)]
pub struct Worker {
    /// What it is called in results.
    pub name: String,
    /// Where tasks come from.
    pub connection: Connection,
    /// Where results go.
    pub publisher: Publisher,
    /// The queue of tasks.
    pub tasks: String,
    /// Exchange and routing key of results.
    pub results: String,
    /// JSON or CBOR.
    pub encoding: Encoding,
    /// Where pictures go.
    pub pictures: Pictures,
    /// What it is willing to draw.
    pub limits: Limits,
    /// Tasks in its hands at any time: one drawing and one being written keep the processor busy.
    pub slots: u16,
    /// A task that was delivered more often has brought down its workers, and is refused.
    pub max_attempts: u32,
    /// How long a drawing may go on after shutdown was asked for.
    pub grace: Duration,
    /// Leave when there has been nothing to do for so long.
    pub idle_exit: Option<Duration>,
    /// For whoever watches.
    pub events: Events,
}

/// Draws until shutdown is asked for, then finishes what is being drawn, for as long as `grace` allows. What is not
/// finished goes back to the queue.
pub async fn run(worker: Worker, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut consumer = worker.connection.consume(&worker.tasks, worker.slots).await.context("consume the tasks")?;
    info!("waiting for tasks in queue {}, pictures go to {}", worker.tasks, worker.pictures.folder().display());
    let worker = Arc::new(worker);
    let stop = Arc::new(Stop::default());
    let mut hands = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            // The bus keeps to its prefetch, but after a lost connection it begins anew, with full hands here.
            delivery = consumer.next(), if hands.len() < usize::from(worker.slots) => match delivery {
                Some(delivery) => {
                    let hand = handle(worker.clone(), delivery, stop.clone(), shutdown.clone());
                    hands.spawn(hand);
                }
                None => anyhow::bail!("the bus has ended"),
            },
            Some(done) = hands.join_next() => report(done),
            () = idle(worker.idle_exit), if hands.is_empty() => break,
        }
    }
    consumer.cancel().await;
    let finish = async {
        while let Some(done) = hands.join_next().await {
            report(done)
        }
    };
    if tokio::time::timeout(worker.grace, finish).await.is_err() {
        warn!("{} drawing(s) not finished in time go back to the queue", hands.len());
        stop.call_off();
        while let Some(done) = hands.join_next().await {
            report(done)
        }
    }
    Ok(())
}

/// A stop in good order, and trouble of the environment, are not the task's fault.
async fn give_back(delivery: Delivery) {
    if let Err(error) = delivery.give_back().await {
        info!("a task goes back to its queue by itself: {error}");
    }
}

async fn idle(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn report(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        error!("a task's handler broke: {error}; its delivery went back to the queue");
    }
}

/// From delivery to acknowledgement.
async fn handle(worker: Arc<Worker>, delivery: Delivery, stop: Arc<Stop>, shutdown: Shutdown) {
    match worker.understand(&delivery) {
        Ok(task) => worker.fulfil(task, delivery, stop, shutdown).await,
        Err(refused) => worker.refuse(None, refused, delivery, &shutdown).await,
    }
}

impl Worker {
    fn understand(&self, delivery: &Delivery) -> Result<Task, Refused> {
        Task::decode(delivery.message.content_type.as_deref(), &delivery.message.body)
    }

    async fn fulfil(&self, task: Task, delivery: Delivery, stop: Arc<Stop>, shutdown: Shutdown) {
        let refuse = |reason| Refused { uuid: Some(task.uuid), reason };
        if let Err(reason) = self.limits.check(&task.scene) {
            return self.refuse(Some(task.clone()), refuse(reason), delivery, &shutdown).await;
        }
        if delivery.attempt > self.max_attempts {
            let reason =
                fractal::Invalid::new(format!("its workers stopped {} times while drawing it", delivery.attempt - 1));
            return self.refuse(Some(task.clone()), refuse(reason), delivery, &shutdown).await;
        }
        info!("processing task {}", task.uuid);
        self.events.tell(|| Event::Drawing(task.clone()));
        let started_at = Utc::now();
        let picture = match self.draw(task.clone(), stop).await {
            Ok(Some(picture)) => picture,
            Ok(None) => return give_back(delivery).await,
            Err(reason) => return self.refuse(Some(task.clone()), refuse(reason), delivery, &shutdown).await,
        };
        info!("task {} processed in {:.6} seconds", task.uuid, picture.drawn.duration);
        let Some(path) = self.save(&task, picture.png, &delivery, &shutdown).await else {
            return give_back(delivery).await;
        };
        info!("saved result of task {} to file {}", task.uuid, path.display());
        let outcome = Outcome {
            uuid: task.uuid,
            worker: self.name.clone(),
            attempt: delivery.attempt,
            started_at: Some(started_at),
            finished_at: Some(Utc::now()),
            task: Some(task),
            end: End::Drawn(picture.drawn),
        };
        if !self.push(&outcome, &shutdown).await {
            return give_back(delivery).await;
        }
        if let Err(error) = delivery.ack().await {
            info!("task {} will come again and give the same picture: {error}", outcome.uuid);
        }
    }

    /// On rayon's threads: the ones that serve the network must never wait for a picture.
    async fn draw(&self, task: Task, stop: Arc<Stop>) -> Result<Option<Encoded>, fractal::Invalid> {
        let drawing = tokio::task::spawn_blocking(move || Encoded::draw(&task.scene, &stop));
        drawing.await.map_err(|error| fractal::Invalid::new(format!("drawing it broke: {error}")))
    }

    /// Trouble with the disk is not the task's fault: it waits, and no attempt is spent. `None` if shutdown comes first,
    /// or if the broker has taken the task back in the meantime and will deliver it again.
    async fn save(
        &self,
        task: &Task,
        png: Vec<u8>,
        delivery: &Delivery,
        shutdown: &Shutdown,
    ) -> Option<std::path::PathBuf> {
        let (uuid, png) = (task.uuid, Arc::new(png));
        let saved = persist("save the picture", shutdown, || async {
            let (pictures, png) = (self.pictures.clone(), png.clone());
            let saved = tokio::task::spawn_blocking(move || pictures.save(uuid, &png)).await;
            let saved = saved.context("the writing thread broke")?;
            match saved.with_context(|| self.pictures.path(uuid).display().to_string()) {
                Err(_) if !delivery.is_live() => Ok(None),
                saved => saved.map(Some),
            }
        });
        saved.await.flatten()
    }

    /// Publishes an outcome, however long the bus takes. `false` if shutdown came first.
    async fn push(&self, outcome: &Outcome, shutdown: &Shutdown) -> bool {
        let pushed = persist("push the result", shutdown, || async {
            let message = Message::new(self.encoding.content_type(), outcome.encode(self.encoding))
                .id(outcome.uuid.to_string())
                .kind("oat.result.v1");
            self.publisher.publish(&self.results, &self.results, message).await
        })
        .await;
        if pushed.is_some() {
            match &outcome.end {
                End::Drawn(drawn) => {
                    info!(
                        "pushed result: uuid={} duration={:.6} checksum={}",
                        outcome.uuid, drawn.duration, drawn.checksum
                    )
                }
                End::Failed { reason } => info!("pushed result: uuid={} failed: {reason}", outcome.uuid),
            }
            self.events.tell(|| Event::Drawn(outcome.clone()));
        }
        pushed.is_some()
    }

    /// The record, if its uuid is known, becomes `failed`; the message goes to the dead letters as it came.
    async fn refuse(&self, task: Option<Task>, refused: Refused, delivery: Delivery, shutdown: &Shutdown) {
        let reason = refused.reason.to_string();
        warn!("refused a task: {reason}");
        if let Some(uuid) = refused.uuid {
            let outcome = Outcome {
                uuid,
                worker: self.name.clone(),
                attempt: delivery.attempt,
                started_at: None,
                finished_at: Some(Utc::now()),
                task,
                end: End::Failed { reason: reason.clone() },
            };
            if !self.push(&outcome, shutdown).await {
                return give_back(delivery).await;
            }
        }
        if let Err(error) = delivery.reject(&reason).await {
            warn!("could not reject it, so it will come again: {error}");
        }
    }
}
