//! The end that answers.

use super::super::{Connection, Consumer, Delivery, Error as BusError, Message, Publisher};
use super::memory::{Case, Memory};
use super::target::{Incoming, Reply, ear};
use super::{Failure, Request, Target, oslo};
use futures_util::FutureExt;
use serde_json::Value;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Between two tries to answer a caller whose queue is gone.
const AGAIN: Duration = Duration::from_millis(250);
/// The last server leaves its queue to the next one rather than wait longer for a bus that does not answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// Answers the requests to one target until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    bus: Connection,
    target: Target,
    /// The names of its queues; the last one nobody shares, unless it is the only one.
    queues: Vec<String>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What answering takes.
struct Desk<H> {
    target: Target,
    publisher: Publisher,
    memory: Memory,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
    handler: H,
}

impl Server {
    /// Declares what the target needs and answers its requests with `handler`, at most `slots` at once.
    ///
    /// A handler whose caller waits no longer is dropped. It must not compute on its own thread, which serves others too.
    pub async fn serve<H, F>(bus: &Connection, target: &Target, slots: u16, handler: H) -> Result<Server, BusError>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        let (stop, tasks, topology) = (CancellationToken::new(), TaskTracker::new(), target.topology());
        let queues = topology.queues.iter().map(|queue| queue.name.clone()).collect();
        let server =
            Server { bus: bus.clone(), target: target.clone(), queues, stop: stop.clone(), tasks: tasks.clone() };
        let (target, publisher, memory) = (target.clone(), bus.publisher(), Memory::default());
        let slots = slots.max(1);
        let places = Arc::new(Semaphore::new(slots.into()));
        let desk = Arc::new(Desk { target, publisher, memory, slots: places, stop, tasks, handler });
        // First the ear: whoever finds the queue of requests may call off at once.
        if let Some(exchange) = desk.target.calling_off() {
            let (topology, name) = ear(&exchange);
            bus.declare(&topology).await?;
            server.tasks.spawn(desk.clone().hear_calling_off(bus.consume(&name, slots).await?));
        }
        bus.declare(&topology).await?;
        for queue in &server.queues {
            server.tasks.spawn(desk.clone().take(bus.consume(queue, slots).await?));
        }
        Ok(server)
    }

    /// Takes no more, finishes what it has begun, and tells callers, if it was the last one, that nobody serves.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let Some(queue) = self.queues.last() else { return };
        let delete = async {
            match &self.target {
                // Another server may come and take what has come meanwhile at any moment: the bus judges.
                Target::Oat { .. } => self.bus.delete_unused_queue(queue).await.map(drop),
                // Its share of what goes to all, which nobody else would ever read.
                Target::Oslo { .. } => self.bus.delete_queue(queue).await,
            }
        };
        match timeout(FAREWELL, delete).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::debug!(%error, queue, "the queue of a service could not be deleted"),
            Err(_) => tracing::debug!(queue, "the queue of a service stays: the bus does not answer"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<H, F> Desk<H>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    async fn take(self: Arc<Self>, mut consumer: Consumer) {
        while let Some(Some(delivery)) = self.stop.run_until_cancelled(consumer.next()).await {
            let arrived = Instant::now();
            let Ok(place) = self.slots.clone().acquire_owned().await else { break };
            self.tasks.spawn(self.clone().handle(delivery, arrived, place));
        }
        consumer.cancel().await;
    }

    async fn hear_calling_off(self: Arc<Self>, mut consumer: Consumer) {
        while let Some(Some(delivery)) = self.stop.run_until_cancelled(consumer.next()).await {
            if let Some(id) = &delivery.message.correlation_id {
                self.memory.call_off(id);
            }
            let _ = delivery.ack().await;
        }
        consumer.cancel().await;
    }

    async fn handle(self: Arc<Self>, delivery: Delivery, arrived: Instant, place: OwnedSemaphorePermit) {
        let mut incoming = match self.target.incoming(&delivery.message) {
            Ok(incoming) => incoming,
            Err(why) => return self.refuse(delivery, &why).await,
        };
        let left = incoming.request.within.map(|within| within.saturating_sub(arrived.elapsed()));
        incoming.request.within = left;
        let id = incoming.id.clone().filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let case = self.memory.case(&id);
        if left == Some(Duration::ZERO) || case.called_off.is_cancelled() {
            tracing::debug!(id, "a request whose caller waits no longer is not executed");
            return settle(delivery).await;
        }
        let delivery = match self.target.acknowledges_first() {
            true => match delivery.ack().await {
                Ok(()) => None,
                // It comes again.
                Err(_) => return,
            },
            false => Some(delivery),
        };
        let answer = self.answer(&case, &incoming).await;
        drop(place);
        let sent = match &incoming.reply {
            Some(reply) => self.send(&reply.queue, answer).await,
            None => Ok(()),
        };
        match (sent, delivery) {
            (Ok(()), Some(delivery)) => settle(delivery).await,
            (Ok(()), None) => {}
            // Not acknowledged, it comes again, and is answered from memory. That helps if only the way is cut: what the
            // broker refuses it would refuse for ever.
            (Err(error), _) if error.may_pass() => tracing::warn!(%error, "an answer could not be sent yet"),
            (Err(error), delivery) => {
                tracing::warn!(%error, "an answer could not be sent");
                if let Some(delivery) = delivery {
                    settle(delivery).await;
                }
            }
        }
    }

    /// Nobody can tell who sent it, unless it says where an answer is expected.
    async fn refuse(&self, delivery: Delivery, why: &str) {
        tracing::warn!(queue = delivery.queue, why, "a request cannot be read");
        if let Some(queue) = &delivery.message.reply_to {
            let id = delivery.message.message_id.as_deref().unwrap_or_default();
            let answer = self.target.answer(id, Err(Failure::new("ValueError", why)));
            let _ = self.publisher.publish("", queue, answer).await;
        }
        settle(delivery).await;
    }

    /// The answer to a request, executed now if it was not before; meanwhile signs of life for who wants them.
    async fn answer(&self, case: &Case, incoming: &Incoming) -> Message {
        let answering = case.answer.get_or_init(|| self.execute(case, incoming));
        let (Some(pulse), Some(reply)) = (incoming.pulse, &incoming.reply) else { return answering.await.clone() };
        tokio::select! {
            answer = answering => answer.clone(),
            never = self.live(pulse, reply) => match never {},
        }
    }

    /// Gives signs of life, beside what it tells of: a publish may take long.
    async fn live(&self, pulse: Duration, Reply { queue, id }: &Reply) -> Infallible {
        loop {
            sleep(pulse).await;
            if let Err(error) = self.publisher.publish("", queue, oslo::pulse(id)).await {
                tracing::debug!(%error, "a sign of life could not be sent");
            }
        }
    }

    async fn execute(&self, case: &Case, incoming: &Incoming) -> Message {
        let within = incoming.request.within.unwrap_or(Duration::MAX);
        let begun = AssertUnwindSafe(async { (self.handler)(incoming.request.clone()).await }).catch_unwind();
        let result = tokio::select! {
            done = timeout(within, begun) => match done {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(Failure::new("RuntimeError", "the method panicked")),
                Err(_) => Err(Failure::new("TimeoutError", format!("not done within {:.1} s", within.as_secs_f64()))),
            },
            () = case.called_off.cancelled() => Err(Failure::new("CancelledError", "the caller waits no longer")),
        };
        let id = incoming.reply.as_ref().map_or("", |reply| &reply.id);
        self.target.answer(id, result)
    }

    /// Returns when the answer is with its caller or the caller is gone.
    async fn send(&self, queue: &str, answer: Message) -> Result<(), BusError> {
        let until = Instant::now() + self.target.patience();
        loop {
            match self.publisher.publish("", queue, answer.clone()).await {
                Err(BusError::Unroutable { .. }) if Instant::now() < until && !self.stop.is_cancelled() => {
                    sleep(AGAIN).await;
                }
                Err(BusError::Unroutable { .. }) => {
                    tracing::debug!(queue, "a caller is gone before its answer");
                    return Ok(());
                }
                result => return result,
            }
        }
    }
}

/// Should it be lost, the request comes again and is answered from memory.
async fn settle(delivery: Delivery) {
    if let Err(error) = delivery.ack().await {
        tracing::debug!(%error, "a request could not be acknowledged");
    }
}
