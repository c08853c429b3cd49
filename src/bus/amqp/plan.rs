//! What every session of a connection is built from: where to, who we are, and what has to be declared there.

use super::super::{Error, HeaderValue, Options, Queue, QueueKind, Topology};
use super::arguments;
use super::convert::short;
use super::failure::{Failure, Trouble};
use super::link::Role;
use super::news::News;
use super::session::{Session, Trusted};
use super::{socket, url};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions};
use lapin::tcp::RustlsConnector;
use lapin::types::{FieldTable, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, ExchangeKind};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long RabbitMQ may take to tell everybody that a queue is gone.
const DELETION: Duration = Duration::from_secs(1);

/// One broker.
pub(super) struct Place {
    pub uri: AMQPUri,
    /// The URL as it may be shown.
    pub shown: String,
    pub trusted: Option<Arc<RustlsConnector>>,
}

/// The plan of a connection.
pub(super) struct Plan {
    /// The brokers of one cluster, any of which will do.
    places: Vec<Place>,
    /// The number of the one that did last: all links should be there.
    place: AtomicUsize,
    /// All URLs as they may be shown.
    pub shown: String,
    pub name: String,
    pub runtime: Handle,
    pub closing: CancellationToken,
    pub news: News,
    /// What is known of exchanges, whichever session learned it.
    pub trusted: Arc<Trusted>,
    topology: RwLock<Topology>,
    /// Two links that declare the same quorum queue at once would race.
    declaring: Mutex<()>,
}

impl Place {
    fn new(text: &str, options: &Options) -> Result<Place, Error> {
        let uri = url::parse(text, options)?;
        let trusted = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(Arc::new(socket::trust(text, options)?)),
        };
        Ok(Place { uri, shown: url::mask(text), trusted })
    }
}

impl Plan {
    /// Everything that can be wrong before anybody is asked is found here.
    pub fn new(text: &str, topology: Topology, options: &Options, runtime: Handle) -> Result<Plan, Error> {
        let places = url::each(text).into_iter().map(|text| Place::new(text, options));
        Ok(Plan {
            places: places.collect::<Result<_, _>>()?,
            place: AtomicUsize::new(0),
            shown: url::mask(text),
            name: options.name.clone(),
            runtime,
            closing: CancellationToken::new(),
            news: News::default(),
            trusted: Arc::default(),
            topology: RwLock::new(topology),
            declaring: Mutex::default(),
        })
    }

    /// A session with the first broker that gives one, beginning with the last that did. Only trouble that all of them
    /// have is lasting.
    pub async fn open(&self, role: Role, limit: Duration) -> Result<Session, Trouble> {
        let (first, all, deadline) = (self.place.load(Relaxed), self.places.len(), Instant::now() + limit);
        let (mut trouble, mut passing) = (self.silent(limit), false);
        for turn in 0..all {
            let number = (first + turn) % all;
            let share = deadline.saturating_duration_since(Instant::now()) / (all - turn) as u32;
            match self.open_at(&self.places[number], role, share).await {
                Ok(session) => {
                    self.place.store(number, Relaxed);
                    return Ok(session);
                }
                Err(met) => {
                    passing |= !met.lasting;
                    trouble = met;
                }
            }
        }
        Err(Trouble { lasting: !passing, ..trouble })
    }

    /// The broker that did last, as it may be shown.
    pub fn here(&self) -> &str {
        &self.places[self.place.load(Relaxed)].shown
    }

    /// A session with the topology declared.
    async fn open_at(&self, place: &Place, role: Role, limit: Duration) -> Result<Session, Trouble> {
        let session = Session::open(self, place, role, limit.min(url::patience(&place.uri))).await?;
        match self.restore(&session).await {
            Ok(()) => Ok(session),
            Err(trouble) => {
                session.cut();
                Err(trouble)
            }
        }
    }

    /// Declares all that this connection ever declared.
    pub async fn restore(&self, session: &Session) -> Result<(), Trouble> {
        let topology = self.topology();
        self.declare(session, &topology).await
    }

    /// The same after somebody deleted a part of it. A quorum queue that is declared again within milliseconds keeps the
    /// consumers of its predecessor on RabbitMQ 3.10 and delivers to them what never arrives: so first let the broker
    /// tell all of them.
    pub async fn replant(self: &Arc<Plan>, session: Arc<Session>) -> Result<(), Trouble> {
        tracing::warn!("A queue or exchange was deleted on {}. Declaring it anew...", self.shown);
        tokio::time::sleep(DELETION).await;
        let plan = self.clone();
        self.apart(async move { plan.restore(&session).await }).await
    }

    /// Declares for somebody who may not be polled for a while: all others wait for their turn to declare, and those who
    /// restore a connection are among them.
    pub async fn declare_for(self: &Arc<Plan>, session: Arc<Session>, topology: Topology) -> Result<(), Trouble> {
        let plan = self.clone();
        self.apart(async move { plan.declare(&session, &topology).await }).await
    }

    async fn apart(&self, work: impl Future<Output = Result<(), Trouble>> + Send + 'static) -> Result<(), Trouble> {
        let done = self.runtime.spawn(work).await;
        done.unwrap_or_else(|error| Err(Failure::from(error).about("a task", &self.shown)))
    }

    /// Declares `topology`. What is exclusive belongs to the session that consumes it.
    async fn declare(&self, session: &Session, topology: &Topology) -> Result<(), Trouble> {
        let _turn = self.declaring.lock().await;
        if topology.exchanges.is_empty() && topology.queues.is_empty() {
            return Ok(());
        }
        let channel = session.channel().await.map_err(|failure| failure.about("a channel", &self.shown))?;
        for exchange in topology.exchanges.iter().filter(|exchange| !exchange.name.is_empty()) {
            let kind = ExchangeKind::Custom(exchange.kind.name().into());
            let (durable, auto_delete) = (exchange.durable, exchange.auto_delete);
            let options = ExchangeDeclareOptions { durable, auto_delete, ..Default::default() };
            let declared = channel.exchange_declare(self.name(&exchange.name)?, kind, options, FieldTable::default());
            let what = format!("exchange {:?}", exchange.name);
            session.ask(declared).await.map_err(|failure| failure.about(&what, &self.shown))?;
        }
        let mine = |queue: &&Queue| queue.kind != QueueKind::Exclusive || session.role == Role::Consuming;
        for queue in topology.queues.iter().filter(mine) {
            self.declare_queue(session, &channel, queue).await?;
        }
        // Dropping the channel closes it.
        Ok(())
    }

    async fn declare_queue(&self, session: &Session, channel: &Channel, queue: &Queue) -> Result<(), Trouble> {
        let name = self.name(&queue.name)?;
        let what = format!("queue {:?}", queue.name);
        let declared = channel.queue_declare(name.clone(), arguments::options(queue.kind), arguments::of_queue(queue));
        session.ask(declared).await.map_err(|failure| failure.about(&what, &self.shown))?;
        for binding in queue.bindings.iter().filter(|binding| !binding.exchange.is_empty()) {
            let (exchange, key) = (self.name(&binding.exchange)?, self.name(&binding.key)?);
            let arguments = arguments::of_binding(binding).map_err(|why| self.impossible(why))?;
            let bound = channel.queue_bind(name.clone(), exchange, key, QueueBindOptions::default(), arguments);
            let what = format!("exchange {:?}", binding.exchange);
            session.ask(bound).await.map_err(|failure| failure.about(&what, &self.shown))?;
        }
        Ok(())
    }

    /// A name as AMQP takes it.
    pub fn name(&self, name: &str) -> Result<ShortString, Trouble> {
        short(name).map_err(|why| self.impossible(why))
    }

    fn impossible(&self, why: String) -> Trouble {
        Trouble::lasting(Error::Refused { url: self.shown.clone(), why })
    }

    /// Remembers what was declared, to be declared again after every reconnection.
    pub fn remember(&self, more: &Topology) {
        let mut topology = self.topology.write().unwrap_or_else(PoisonError::into_inner);
        for exchange in &more.exchanges {
            topology.exchanges.retain(|known| known.name != exchange.name);
            topology.exchanges.push(exchange.clone());
        }
        for queue in &more.queues {
            topology.queues.retain(|known| known.name != queue.name);
            topology.queues.push(queue.clone());
        }
    }

    /// Declares this queue no more; returns what was known of it.
    pub fn forget(&self, name: &str) -> Option<Queue> {
        let mut topology = self.topology.write().unwrap_or_else(PoisonError::into_inner);
        let place = topology.queues.iter().position(|queue| queue.name == name)?;
        Some(topology.queues.remove(place))
    }

    /// All that this connection declares.
    pub fn topology(&self) -> Topology {
        self.topology.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The queue of this name, if it is one of ours.
    pub fn queue(&self, name: &str) -> Option<Queue> {
        self.topology().queues.into_iter().find(|queue| queue.name == name)
    }

    /// Whether, with all that we declared in place, a message with these headers would find a queue.
    pub fn routes(&self, exchange: &str, key: &str, headers: &BTreeMap<String, HeaderValue>) -> bool {
        let topology = self.topology();
        if exchange.is_empty() {
            return topology.queues.iter().any(|queue| queue.name == key);
        }
        let Some(kind) = topology.exchanges.iter().find(|known| known.name == exchange).map(|known| known.kind) else {
            return false;
        };
        let mut bindings = topology.queues.iter().flat_map(|queue| &queue.bindings);
        bindings.any(|binding| binding.exchange == exchange && binding.takes(kind, key, headers))
    }

    /// Nobody said anything within `limit`.
    pub fn silent(&self, limit: Duration) -> Trouble {
        let why = format!("no answer within {:.1} s", limit.as_secs_f64());
        Trouble::passing(Error::Unreachable { url: self.shown.clone(), why })
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("url", &self.shown).field("name", &self.name).finish_non_exhaustive()
    }
}
