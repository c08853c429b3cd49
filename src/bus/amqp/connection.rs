//! The handle to RabbitMQ, and what stands behind it.

use super::super::{Depth, Error, Options, QueueKind, Seen, Topology};
use super::consumer::Consumer;
use super::failure::Trouble;
use super::link::{Link, Pauses, Role};
use super::plan::Plan;
use super::pool::Pool;
use super::publisher::{IN_FLIGHT, Publisher};
use super::requester::{Hear, Requester};
use super::session::Session;
use super::waiting::WaitingRooms;
use super::{ANSWER, GOODBYE, browsing, looking, mask};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;

/// RabbitMQ, connected. Cloning gives another handle to the same AMQP connections.
#[derive(Clone)]
pub struct Connection(Arc<Bus>);

/// What all handles share. When the last one goes, the connections are closed.
pub(super) struct Bus {
    pub plan: Arc<Plan>,
    pub publishing: Arc<Pool>,
    pub consuming: Link,
    /// One permit for every publish under way.
    pub slots: Semaphore,
    pub options: Options,
    pub tasks: TaskTracker,
    pub waiting: WaitingRooms,
    engine: Option<Engine>,
}

impl Connection {
    /// Connects and declares; what may pass (nobody listens yet, no answer) is tried again until `connect_timeout`.
    pub async fn open(url: &str, topology: Topology, options: Options) -> Result<Connection, Error> {
        let engine = Engine::start(url)?;
        let plan = Arc::new(Plan::new(url, topology, &options, engine.runtime().handle().clone())?);
        let deadline = Instant::now() + options.connect_timeout;
        // On its own runtime from the first byte on. One after the other: the second finds everything declared.
        let (opening, senders) = (plan.clone(), options.senders);
        let all = plan.runtime.spawn(async move {
            let consuming = first(&opening, Role::Consuming, deadline).await?;
            Ok((consuming, Pool::sessions(&opening, senders, deadline).await?))
        });
        let (consuming, publishing) = all.await.map_err(|error| lost(&format!("connecting: {error}")))??;
        plan.news.opened(plan.here());
        let tasks = TaskTracker::new();
        let (consuming, supervisor) = Link::new(plan.clone(), Role::Consuming, consuming, plan.closing.clone());
        tasks.spawn_on(loud(Role::Consuming, supervisor), &plan.runtime);
        let publishing = Pool::new(plan.clone(), senders, tasks.clone(), publishing);
        let slots = Semaphore::new(IN_FLIGHT);
        let (waiting, engine) = (WaitingRooms::default(), Some(engine));
        Ok(Connection(Arc::new(Bus { plan, publishing, consuming, slots, options, tasks, waiting, engine })))
    }

    /// A publisher.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.0.clone())
    }

    /// Who asks by direct reply-to; `hear` gets every answer, on the thread of the bus.
    pub fn requester(&self, hear: Arc<Hear>) -> Requester {
        Requester::new(self.0.clone(), hear)
    }

    /// Starts to consume `queue` with at most `prefetch` deliveries out.
    pub async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consumer, Error> {
        Consumer::start(self.0.clone(), queue, prefetch).await
    }

    /// Declares more, now and after every reconnection.
    pub async fn declare(&self, topology: &Topology) -> Result<(), Error> {
        self.0.declare(topology).await?;
        self.0.plan.remember(topology);
        Ok(())
    }

    /// How full a queue is.
    pub async fn depth(&self, queue: &str) -> Result<Depth, Error> {
        let look = |session: Arc<Session>| {
            let (plan, queue) = (self.0.plan.clone(), queue.to_owned());
            async move { looking::depth(&plan, &session, &queue).await }
        };
        self.0.insist("looking at a queue", look).await
    }

    /// Whether all of this is there.
    pub async fn check(&self, topology: &Topology) -> Result<(), Error> {
        let look = |session: Arc<Session>| {
            let (plan, topology) = (self.0.plan.clone(), topology.clone());
            async move { looking::check(&plan, &session, &topology).await }
        };
        self.0.insist("checking what is there", look).await
    }

    /// The names of the queues declared here.
    pub fn queues(&self) -> Vec<String> {
        self.0.plan.topology().queues.into_iter().map(|queue| queue.name).collect()
    }

    /// The first messages that wait in a queue.
    pub async fn browse(&self, queue: &str, limit: usize, spare: Option<u32>) -> Result<Vec<Seen>, Error> {
        browsing::browse(&self.0, queue, limit, spare).await
    }

    /// Removes what waits.
    pub async fn purge(&self, queue: &str) -> Result<u64, Error> {
        let purge = |session: Arc<Session>| {
            let (plan, queue) = (self.0.plan.clone(), queue.to_owned());
            async move { looking::purge(&plan, &session, &queue).await }
        };
        self.0.insist("emptying a queue", purge).await
    }

    /// Deletes a queue, and declares it no more: whoever consumes or misses it must not bring it back meanwhile.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), Error> {
        self.delete(queue, false).await.map(drop)
    }

    /// The same if nobody consumes it and nothing waits in it; whether it is gone.
    pub async fn delete_unused_queue(&self, queue: &str) -> Result<bool, Error> {
        if self.0.plan.queue(queue).is_some_and(|known| known.kind == QueueKind::Quorum) {
            let why = "RabbitMQ deletes a quorum queue only whatever is in it; declare a classic one".into();
            return Err(Error::Unsupported { what: format!("queue {queue:?}"), why });
        }
        self.delete(queue, true).await
    }

    async fn delete(&self, queue: &str, unused: bool) -> Result<bool, Error> {
        let known = self.0.plan.forget(queue);
        let delete = |session: Arc<Session>| {
            let (plan, queue) = (self.0.plan.clone(), queue.to_owned());
            async move { looking::delete(&plan, &session, &queue, unused).await }
        };
        let deleted = self.0.insist("deleting a queue", delete).await;
        if let (Err(_) | Ok(false), Some(known)) = (&deleted, known) {
            self.0.plan.remember(&Topology { exchanges: vec![], queues: vec![known] });
        }
        deleted
    }

    /// Closes all connections. Other handles find them closed.
    pub async fn close(self) {
        self.0.plan.closing.cancel();
        self.0.tasks.close();
        // Their goodbyes in parallel and a moment; whoever is late is cut when the runtime ends.
        let _ = timeout(GOODBYE * 2, self.0.tasks.wait()).await;
    }
}

/// The supervisor of a link. Whoever uses the link takes its end for that of the connection, which it is; but one by a
/// panic must not pass for one in good order.
pub(super) async fn loud(role: Role, supervisor: impl Future<Output = ()>) {
    if AssertUnwindSafe(supervisor).catch_unwind().await.is_err() {
        tracing::error!(%role, "the supervisor of a broker connection panicked; this program must be started again");
    }
}

/// The first session of a link: until `deadline` unless waiting cannot help.
pub(super) async fn first(plan: &Plan, role: Role, deadline: Instant) -> Result<Session, Error> {
    let mut pauses = Pauses::default();
    loop {
        // The last attempt gets a moment as well: its reason is the one that is told.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(500));
        let opening = timeout_at(deadline + ANSWER, plan.open(role, left));
        let trouble = match opening.await.unwrap_or_else(|_| Err(plan.silent(ANSWER))) {
            Ok(session) => return Ok(session),
            Err(trouble) => trouble,
        };
        let pause = pauses.next();
        if trouble.lasting || Instant::now() + pause >= deadline {
            return Err(trouble.error);
        }
        tracing::warn!(
            "Broker connection error: {}. Trying again in {:.1} seconds.",
            trouble.error,
            pause.as_secs_f64()
        );
        sleep(pause).await;
    }
}

/// The error of a call that found the connection closed.
pub(super) fn lost(doing: &str) -> Error {
    Error::Lost { doing: doing.into() }
}

impl Bus {
    /// Declares, and does not remember it.
    pub async fn declare(&self, topology: &Topology) -> Result<(), Error> {
        let declare = |session: Arc<Session>| {
            let (plan, topology) = (self.plan.clone(), topology.clone());
            async move { plan.declare_for(session, topology).await }
        };
        self.insist("declaring", declare).await
    }

    /// Asks on the consuming connection, which no alarm stops, until there is an answer that will not change.
    pub async fn insist<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        doing: &str,
        ask: impl Fn(Arc<Session>) -> F,
    ) -> Result<T, Error> {
        let limit = self.options.connect_timeout;
        let mut last = Error::TimedOut { what: doing.into(), seconds: limit.as_secs() };
        let asking = async {
            let mut pauses = Pauses::default();
            loop {
                let Some(session) = self.consuming.session().await else { return Err(lost(doing)) };
                match ask(session).await {
                    Ok(answer) => return Ok(answer),
                    Err(trouble) if trouble.lasting => return Err(trouble.error),
                    Err(trouble) => last = trouble.error,
                }
                sleep(pauses.next()).await;
            }
        };
        let answer = timeout(limit, asking).await;
        answer.unwrap_or(Err(last))
    }

    /// Declares anew what only the consuming session can, if there is any.
    pub async fn restore_exclusive(&self) -> Result<(), Error> {
        let mut topology = self.plan.topology();
        topology.queues.retain(|queue| queue.kind == QueueKind::Exclusive);
        match topology.queues.is_empty() {
            true => Ok(()),
            false => self.declare(&topology).await,
        }
    }

    /// Runs `work` to its end even if the caller loses interest halfway.
    pub async fn finish(
        &self,
        doing: &str,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<(), Error> {
        self.plan.runtime.spawn(work).await.unwrap_or_else(|_| Err(lost(doing)))
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.plan.closing.cancel();
        self.tasks.close();
        let (engine, tasks) = (self.engine.take(), self.tasks.clone());
        // A thread, because whoever dropped us may be in a place where nobody may wait. Without one we are impolite.
        let _ = std::thread::Builder::new().name("oat-bus-close".into()).spawn(move || {
            if let Some(engine) = engine {
                let waiting = async { timeout(GOODBYE + Duration::from_secs(1), tasks.wait()).await };
                let _ = engine.runtime().block_on(waiting);
            }
        });
    }
}

/// A runtime that may be dropped anywhere, also where nobody may wait.
struct Engine(Option<Runtime>);

impl Engine {
    fn start(url: &str) -> Result<Engine, Error> {
        let mut builder = Builder::new_multi_thread();
        let built = builder.worker_threads(1).thread_name("oat-bus").enable_all().build();
        let failed = |error| Error::Unreachable { url: mask(url), why: format!("cannot start a thread: {error}") };
        Ok(Engine(Some(built.map_err(failed)?)))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("it is taken only when dropped")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let senders = self.0.publishing.count();
        f.debug_struct("Connection").field("url", &self.0.plan.shown).field("senders", &senders).finish()
    }
}
