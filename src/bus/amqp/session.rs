//! One AMQP connection while it lasts. It is never repaired: whoever finds it ailing calls [`Session::fail`], and the
//! supervisor of its link replaces it.

use super::failure::{Failure, Trouble};
use super::lane::Lane;
use super::lease::Lease;
use super::link::Role;
use super::plan::{Place, Plan};
use super::reactor::{Watched, engine};
use super::socket::{self, Cutter};
use super::tap::Taps;
use super::{ANSWER, GOODBYE};
use lapin::options::ConfirmSelectOptions;
use lapin::tcp::AsyncTcpStream;
use lapin::types::ShortString;
use lapin::{Channel, ConnectionProperties};
use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// lapin tells nobody who is not asking; this is how often we ask.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// One AMQP connection.
pub(super) struct Session {
    pub role: Role,
    connection: lapin::Connection,
    cutter: Cutter,
    broken: CancellationToken,
    why: OnceLock<String>,
    /// Channels in confirm mode on which nothing is under way.
    idle: Mutex<Vec<Channel>>,
    lane: Mutex<Option<Lane>>,
    leases: Mutex<Vec<Weak<Lease>>>,
    trusted: Arc<Trusted>,
    /// Where deliveries are taken from the stream.
    pub taps: Taps,
}

/// Exchanges that took a message of ours: they are there, and we may use them.
pub(super) type Trusted = RwLock<HashSet<ShortString>>;

impl Session {
    /// Connects, within `limit`.
    pub async fn open(plan: &Plan, place: &Place, role: Role, limit: Duration) -> Result<Session, Trouble> {
        let properties =
            ConnectionProperties::default().with_connection_name(format!("{} {role}", plan.name).as_str().into());
        let (runtime, tokio) = (engine(plan.runtime.clone()), plan.runtime.clone());
        let cutter = Cutter::default();
        let taps = Taps::default();
        let (trusted, held, tapped) = (place.trusted.clone(), cutter.clone(), taps.clone());
        let connect = async move |uri, _| {
            let stream = socket::connect(&uri, &tokio, trusted.as_deref(), limit, &held).await;
            Ok(AsyncTcpStream::Plain(Watched::new(stream.map_err(lapin::Error::from)?, held.clone(), tapped.clone())))
        };
        let connecting = lapin::Connection::connector(place.uri.clone(), runtime, connect, properties);
        match timeout(limit, connecting).await {
            Ok(Ok(connection)) => Ok(Session::new(role, connection, cutter, plan.trusted.clone(), taps)),
            Ok(Err(error)) => {
                cutter.cut();
                Err(Trouble::connecting(&error, &place.shown))
            }
            Err(_) => {
                cutter.cut();
                Err(plan.silent(limit))
            }
        }
    }

    fn new(role: Role, connection: lapin::Connection, cutter: Cutter, trusted: Arc<Trusted>, taps: Taps) -> Session {
        Session {
            role,
            connection,
            cutter,
            broken: CancellationToken::new(),
            why: OnceLock::new(),
            idle: Mutex::default(),
            lane: Mutex::default(),
            leases: Mutex::default(),
            trusted,
            taps,
        }
    }

    /// Whether nobody has found anything wrong with it.
    pub fn alive(&self) -> bool {
        !self.broken.is_cancelled() && self.connection.status().connected()
    }

    /// Gives it up: everything that waits for it stops waiting, and it will be replaced.
    pub fn fail(&self, why: &str) {
        // The first reason is the cause; what follows are its consequences.
        let _ = self.why.set(why.to_owned());
        self.broken.cancel();
    }

    /// Returns when it has ended, with the reason as far as it is known.
    pub async fn ended(&self) -> &str {
        while self.alive() {
            tokio::select! {
                () = self.broken.cancelled() => {}
                () = sleep(LOOK) => {}
            }
        }
        self.fail("the connection was closed");
        self.why.get().map_or("", String::as_str)
    }

    /// The same for its supervisor, which gives a silent broker up: two intervals are what AMQP grants it (0-9-1 §4.2.7), and
    /// lapin looks only when it is about to send something itself, up to half an interval later.
    pub async fn watched(&self) -> &str {
        let limit = Duration::from_secs(self.connection.configuration().heartbeat().into()) * 2;
        tokio::select! {
            _ = self.ended() => {}
            () = self.cutter.silence(limit), if !limit.is_zero() => {
                self.fail(&format!("nothing was heard from the broker for {} s", limit.as_secs()));
            }
        }
        self.ended().await
    }

    /// Ends it without a word.
    pub fn cut(&self) {
        self.fail("the connection was cut");
        self.cutter.cut();
    }

    /// Ends it politely: what was acknowledged is said first.
    pub async fn close(&self) {
        let leases = std::mem::take(&mut *self.leases.lock().unwrap_or_else(PoisonError::into_inner));
        leases.iter().filter_map(Weak::upgrade).for_each(|lease| drop(lease.flush()));
        // Politeness is all that a failure would cost.
        let _ = timeout(GOODBYE, self.connection.close(200, "OK".into())).await;
        self.cut();
    }

    /// The result of `call`, unless the session ends before: lapin's futures may then stay pending for ever.
    pub async fn during<T>(&self, call: impl Future<Output = lapin::Result<T>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            result = call => result.map_err(|error| self.judge(error.into())),
            () = self.broken.cancelled() => Err(Failure::Lost(self.why.get().cloned().unwrap_or_default())),
        }
    }

    /// The same for a question that the broker answers promptly; if it does not, the session is given up.
    pub async fn ask<T>(&self, call: impl Future<Output = lapin::Result<T>>) -> Result<T, Failure> {
        let silent = || Failure::Lost(format!("no answer from the broker within {} s", ANSWER.as_secs()));
        self.promptly(call).await.unwrap_or_else(|| Err(self.judge(silent())))
    }

    /// The same without that; `None` if there is no answer in time. In an alarm lapin does not even send the question, which
    /// is not the broker's silence.
    pub async fn promptly<T>(&self, call: impl Future<Output = lapin::Result<T>>) -> Option<Result<T, Failure>> {
        let mut answering = pin!(self.during(call));
        let mut blocked = self.is_blocked();
        loop {
            match timeout(ANSWER, &mut answering).await {
                Ok(result) => return Some(result),
                Err(_) if blocked || self.is_blocked() => blocked = self.is_blocked(),
                Err(_) => return None,
            }
        }
    }

    fn judge(&self, failure: Failure) -> Failure {
        if !failure.spares_the_session() {
            self.fail(failure.why());
        }
        failure
    }

    /// A new channel.
    pub async fn channel(&self) -> Result<Channel, Failure> {
        self.ask(self.connection.create_channel()).await
    }

    /// A channel in confirm mode that nobody else uses, an idle one if there is one.
    pub async fn confirming(&self) -> Result<Channel, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(channel) = idle {
            return Ok(channel);
        }
        let channel = self.channel().await?;
        self.ask(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(channel)
    }

    /// Takes back a channel on which everything has been confirmed.
    pub fn put_back(&self, channel: Channel) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }

    /// The channel that publishes share. It is open in a moment, or closed; what is published meanwhile waits for that.
    pub fn lane(self: &Arc<Session>, tasks: &TaskTracker, runtime: &Handle) -> Lane {
        let mut lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = lane.as_ref().filter(|lane| !lane.is_closed()) {
            return open.clone();
        }
        let (new, running) = Lane::new(self.clone());
        tasks.spawn_on(running, runtime);
        lane.insert(new).clone()
    }

    /// Has to be told when it is closed.
    pub fn hold(&self, lease: Weak<Lease>) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|lease| lease.strong_count() > 0);
        leases.push(lease);
    }

    /// This exchange took a message.
    pub fn trust(&self, exchange: &ShortString) {
        if !self.trusts(exchange) {
            self.trusted.write().unwrap_or_else(PoisonError::into_inner).insert(exchange.clone());
        }
    }

    /// Whether publishing to this exchange is known to close no channel. The default exchange is always there.
    pub fn trusts(&self, exchange: &ShortString) -> bool {
        exchange.as_str().is_empty() || self.trusted.read().unwrap_or_else(PoisonError::into_inner).contains(exchange)
    }

    /// One of them did.
    pub fn distrust(&self) {
        self.trusted.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns when it has been given up.
    pub async fn over(&self) {
        self.broken.cancelled().await;
    }

    /// Waits while the broker asks publishers to pause.
    pub async fn unblocked(&self) {
        while self.alive() && self.is_blocked() {
            sleep(LOOK).await;
        }
    }

    /// Whether the broker has asked for a pause.
    pub fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("alive", &self.alive()).finish_non_exhaustive()
    }
}
