//! The sending connections: always at least so many, more when publishers crowd each other, and one that nobody has needed
//! for a while is closed again.
//!
//! Who begins to publish takes the first that has room, so that the last ones fall idle; a [`Seat`](super::seat::Seat) then
//! keeps a publisher there. A broker that blocks its publishers, in an alarm, blocks all of their connections: that is no
//! reason to open another one, and neither is a lost one, which its supervisor replaces.

use super::super::{Error, Senders};
use super::connection::{first, loud};
use super::link::{Link, Role};
use super::plan::Plan;
use super::sender::Sender;
use super::session::Session;
use super::{HANDSHAKE, failure::Trouble};
use futures_util::FutureExt;
use futures_util::future::{Either, select, select_all};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

/// After a connection was refused, before the next is asked for.
const LATER: Duration = Duration::from_secs(30);

/// All sending connections.
#[derive(Debug)]
pub(super) struct Pool {
    plan: Arc<Plan>,
    limits: Senders,
    tasks: TaskTracker,
    /// By number; the first `least` are there for ever.
    senders: RwLock<Vec<Arc<Sender>>>,
    /// Held while another one is being opened.
    growing: Arc<Semaphore>,
    /// Another one is open.
    joined: Notify,
    /// Held by the publisher that is changing its connection. If several did at once they would all find room where they
    /// have just left.
    pub moving: Mutex<()>,
}

impl Pool {
    /// Sessions for as many as there always are, until `deadline`.
    pub async fn sessions(plan: &Plan, limits: Senders, deadline: Instant) -> Result<Vec<Session>, Error> {
        let mut sessions = Vec::new();
        for number in 1..=limits.least.max(1) {
            sessions.push(first(plan, Role::Publishing(number), deadline).await?);
        }
        Ok(sessions)
    }

    /// A pool that begins with these.
    pub fn new(plan: Arc<Plan>, limits: Senders, tasks: TaskTracker, sessions: Vec<Session>) -> Arc<Pool> {
        let limits = Senders { least: sessions.len(), most: limits.most.max(sessions.len()), ..limits };
        let (growing, joined, moving) = (Arc::new(Semaphore::new(1)), Notify::new(), Mutex::default());
        let pool = Arc::new(Pool { plan, limits, tasks, senders: RwLock::default(), growing, joined, moving });
        for (session, number) in sessions.into_iter().zip(1..) {
            let (_, supervisor) = pool.add(number, session);
            pool.tasks.spawn_on(supervisor, &pool.plan.runtime);
        }
        pool
    }

    fn add(&self, number: usize, session: Session) -> (Arc<Sender>, impl Future<Output = ()> + use<>) {
        let (role, closing) = (Role::Publishing(number), self.plan.closing.child_token());
        let (link, supervisor) = Link::new(self.plan.clone(), role, session, closing.clone());
        let sender = Arc::new(Sender::new(number, link, closing));
        let mut senders = self.senders.write().unwrap_or_else(PoisonError::into_inner);
        senders.push(sender.clone());
        senders.sort_by_key(|sender| sender.number);
        self.joined.notify_waiters();
        (sender, loud(role, supervisor))
    }

    fn senders(&self) -> Vec<Arc<Sender>> {
        self.senders.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.senders.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// One that is there as long as the pool.
    pub fn first(&self) -> Arc<Sender> {
        self.senders.read().unwrap_or_else(PoisonError::into_inner)[0].clone()
    }

    /// Where a publish begins that may begin anywhere, entered.
    pub fn enter(self: &Arc<Pool>) -> Arc<Sender> {
        let senders = self.senders.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.iter().find(|sender| sender.has_room() && sender.enter(1)) {
            return sender.clone();
        }
        drop(senders);
        self.grow();
        self.living().filter(|sender| sender.enter(1)).unwrap_or_else(|| {
            let first = self.first();
            first.enter(1);
            first
        })
    }

    /// Whether a publisher that is crowded on `here` would have room elsewhere. If not, it will have soon.
    pub fn has_room_beside(self: &Arc<Pool>, here: &Sender) -> bool {
        let senders = self.senders.read().unwrap_or_else(PoisonError::into_inner);
        let found = senders.iter().any(|sender| sender.number != here.number && sender.has_room());
        drop(senders);
        if !found {
            self.grow();
        }
        found
    }

    /// Of those that have a session, the one on which least is under way.
    pub fn living(&self) -> Option<Arc<Sender>> {
        let senders = self.senders.read().unwrap_or_else(PoisonError::into_inner);
        let living = senders.iter().filter(|sender| sender.link.now().is_some());
        living.min_by_key(|sender| sender.under_way()).cloned()
    }

    /// Returns as soon as any of them may have a session; `false` once they are closed.
    pub async fn revived(&self) -> bool {
        let mut joined = pin!(self.joined.notified());
        joined.as_mut().enable();
        let senders = self.senders();
        let waiting = senders.iter().map(|sender| sender.link.session().boxed());
        tokio::select! {
            // One that has retired is on the list no longer.
            (session, place, _) = select_all(waiting) => session.is_some() || place >= self.limits.least,
            () = joined => true,
        }
    }

    /// Opens one more, if there may be more and it would help; at most one at a time.
    fn grow(self: &Arc<Pool>) {
        if self.count() >= self.limits.most {
            return;
        }
        let Ok(growing) = self.growing.clone().try_acquire_owned() else { return };
        let senders = self.senders();
        let free = (1..=self.limits.most).find(|number| senders.iter().all(|sender| sender.number != *number));
        let calm = senders.iter().any(|sender| sender.link.now().is_some_and(|session| !session.is_blocked()));
        if let Some(number) = free.filter(|_| calm) {
            self.tasks.spawn_on(self.clone().lend(number, growing), &self.plan.runtime);
        }
    }

    /// The life of a connection that is closed when it is idle.
    async fn lend(self: Arc<Pool>, number: usize, growing: OwnedSemaphorePermit) {
        let role = Role::Publishing(number);
        let session = match self.open(role).await {
            Ok(Some(session)) => session,
            Ok(None) => return,
            Err(trouble) => {
                tracing::warn!("Cannot open another connection to publish on: {}", trouble.error);
                tokio::select! {
                    () = self.plan.closing.cancelled() => {}
                    () = sleep(LATER) => {}
                }
                return;
            }
        };
        let (sender, supervisor) = self.add(number, session);
        let (supervisor, retired) = (pin!(supervisor), pin!(sender.retire(self.limits.idle)));
        drop(growing);
        tracing::info!("Publishing on one more connection: {} {role}", self.plan.name);
        let ended = select(supervisor, retired).await;
        self.senders.write().unwrap_or_else(PoisonError::into_inner).retain(|other| other.number != number);
        if let Either::Right(((), supervisor)) = ended {
            tracing::info!("Closing an idle connection: {} {role}", self.plan.name);
            sender.closing.cancel();
            supervisor.await;
        }
    }

    /// One attempt; `None` once the pool is closed.
    async fn open(&self, role: Role) -> Result<Option<Session>, Trouble> {
        tokio::select! {
            () = self.plan.closing.cancelled() => Ok(None),
            opened = self.plan.open(role, HANDSHAKE) => opened.map(Some),
        }
    }
}
