//! The end that asks.

use super::super::{Connection, Error as BusError, Message, Publisher};
use super::line::{Line, Waiting};
use super::{Error, Target};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;

/// How long telling a server that nobody waits any more may take, and clearing up; deadlines and expiries do it anyway.
const CALLING_OFF: Duration = Duration::from_secs(5);
/// After so long without an answer it is looked whether the queue of requests is still there; then ever more seldom.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(30);
/// An answer that was given before the queue went is here by then.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// Calls the methods of one target; any number of calls at once.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    bus: Connection,
    target: Target,
    line: Line,
    waiting: Arc<Waiting>,
    publisher: Publisher,
    tasks: TaskTracker,
}

impl Client {
    /// A client of `target`. It need not be there yet.
    pub async fn open(bus: &Connection, target: &Target) -> Result<Client, Error> {
        let (waiting, tasks) = (Arc::new(Waiting::default()), TaskTracker::new());
        let line = Line::open(bus, target, waiting.clone(), &tasks).await?;
        let (bus, target, publisher) = (bus.clone(), target.clone(), bus.publisher());
        Ok(Client(Arc::new(Inner { bus, target, line, waiting, publisher, tasks })))
    }

    /// Ends it, its clones as well, and returns when calls under way are called off and its queue for answers is deleted.
    /// Dropping the last clone does the same, but whoever closes the connection right after that is too early for it.
    pub async fn close(self) {
        let Inner { line, waiting, tasks, .. } = &*self.0;
        waiting.give_up();
        line.close();
        tasks.close();
        let _ = timeout(CALLING_OFF, tasks.wait()).await;
    }

    /// What `method` answers to `args`, which are named.
    ///
    /// A connection that is lost meanwhile is waited for; to one of our servers the request is then sent again, and
    /// executed only if it was not. Dropping the future calls the method off where the target knows such a thing.
    pub async fn call(&self, method: &str, args: &Value, within: Duration) -> Result<Value, Error> {
        let Inner { target, line, waiting, .. } = &*self.0;
        let until = Instant::now() + within;
        let late = || Error::Timeout { target: target.to_string(), method: method.into(), within };
        let (id, message) = target.request(method, args, line.answers());
        let answer = waiting.expect(&id);
        let mut call = Call { client: self.0.clone(), id, open: true };
        let (exchange, key) = target.address();
        let asking = async {
            tokio::select! {
                biased;
                answer = line.ask((exchange, &key), message, until, answer) => answer,
                () = self.0.unserved(&key) => Err(BusError::Missing { what: target.to_string() }),
            }
        };
        let answer = match timeout_at(until, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(BusError::Unroutable { .. } | BusError::Missing { .. })) => {
                call.open = false;
                return Err(Error::Unroutable { target: target.to_string() });
            }
            Ok(Err(BusError::TimedOut { .. })) if Instant::now() >= until => return Err(late()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(late()),
        };
        call.open = false;
        match target.result(&answer) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(Error::Remote { target: target.to_string(), failure }),
            Err(why) => Err(Error::Answer { target: target.to_string(), why }),
        }
    }
}

impl Inner {
    /// Returns when the queue of requests is gone, and all that waited in it: its servers were killed and it expired, say.
    async fn unserved(&self, queue: &str) {
        let mut pause = FIRST_LOOK;
        loop {
            sleep(pause).await;
            if let Err(BusError::Missing { .. }) = self.bus.depth(queue).await {
                return sleep(ON_ITS_WAY).await;
            }
            pause = SELDOM.min(pause * 2);
        }
    }
}

/// A call under way. One that is dropped before its end is called off.
struct Call {
    client: Arc<Inner>,
    id: String,
    open: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.client.waiting.forget(&self.id);
        let (Some(exchange), true) = (self.client.target.calling_off(), self.open) else { return };
        let message = Message { correlation_id: Some(self.id.clone()), transient: true, ..Message::default() };
        let publisher = self.client.publisher.clone();
        // Outside of a runtime nobody can be told, and the deadline has to do.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let telling = async move {
                let told = timeout(CALLING_OFF, publisher.announce(&exchange.name, "", message)).await;
                tracing::debug!(?told, "a call was called off");
            };
            self.client.tasks.spawn_on(telling, &runtime);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("target", &self.0.target).finish_non_exhaustive()
    }
}
