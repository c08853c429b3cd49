//! A link always has the latest session, or waits for it. Its supervisor is the only one that opens and ends sessions.

use super::HANDSHAKE;
use super::plan::Plan;
use super::session::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a connection is for, as the broker lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Consuming,
    /// Its number in the pool, from 1.
    Publishing(usize),
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::Consuming => f.write_str("consuming"),
            Role::Publishing(1) => f.write_str("publishing"),
            Role::Publishing(number) => write!(f, "publishing {number}"),
        }
    }
}

/// Where the latest session is to be had.
#[derive(Clone, Debug)]
pub(super) struct Link(watch::Receiver<Option<Arc<Session>>>);

impl Link {
    /// A link with its first session, and what has to run until `closing` is cancelled and the last session has ended.
    pub fn new(
        plan: Arc<Plan>,
        role: Role,
        first: Session,
        closing: CancellationToken,
    ) -> (Link, impl Future<Output = ()>) {
        let first = Arc::new(first);
        let (latest, receiver) = watch::channel(Some(first.clone()));
        (Link(receiver), supervise(plan, role, first, latest, closing))
    }

    /// A session that is alive, as soon as there is one; `None` once the connection is closed.
    pub async fn session(&self) -> Option<Arc<Session>> {
        let mut latest = self.0.clone();
        let alive = |session: &Option<Arc<Session>>| session.as_ref().is_some_and(|session| session.alive());
        latest.wait_for(alive).await.ok()?.clone()
    }

    /// The session that is alive now, if there is one.
    pub fn now(&self) -> Option<Arc<Session>> {
        self.0.borrow().as_ref().filter(|session| session.alive()).cloned()
    }
}

async fn supervise(
    plan: Arc<Plan>,
    role: Role,
    first: Arc<Session>,
    latest: watch::Sender<Option<Arc<Session>>>,
    closing: CancellationToken,
) {
    let mut session = first;
    loop {
        let why = tokio::select! {
            () = closing.cancelled() => break,
            why = session.watched() => why,
        };
        plan.news.lost(role, why);
        session.cut();
        latest.send_replace(None);
        session = tokio::select! {
            () = closing.cancelled() => return plan.news.forget(role),
            session = reopen(&plan, role) => Arc::new(session),
        };
        plan.news.restored(role, plan.here());
        latest.send_replace(Some(session.clone()));
    }
    latest.send_replace(None);
    session.close().await;
}

async fn reopen(plan: &Plan, role: Role) -> Session {
    let mut pauses = Pauses::default();
    // Not at once: a peer that accepts and closes would otherwise be asked as fast as it can answer.
    tokio::time::sleep(pauses.next()).await;
    loop {
        match plan.open(role, HANDSHAKE).await {
            Ok(session) => return session,
            Err(trouble) => {
                let pause = pauses.next();
                plan.news.trying(role, &trouble.error.to_string(), pause);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// How long to wait before trying again: longer each time, and never the same for two programs that lost one broker.
#[derive(Debug, Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    /// The next pause.
    pub fn next(&mut self) -> Duration {
        let longest = LONGEST_PAUSE.min(FIRST_PAUSE.saturating_mul(1 << self.0.min(10)));
        self.0 += 1;
        longest.mul_f64(rand::random_range(0.5..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds_and_stay_there() {
        let mut pauses = Pauses::default();
        let all: Vec<Duration> = (0..40).map(|_| pauses.next()).collect();
        assert!(all[0] <= FIRST_PAUSE, "{all:?}");
        assert!(all[10..].iter().all(|pause| *pause >= LONGEST_PAUSE / 2 && *pause <= LONGEST_PAUSE), "{all:?}");
    }
}
