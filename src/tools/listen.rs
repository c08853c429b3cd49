//! A queue of one's own, bound where others publish: hears everything, takes nothing away from anybody.

use crate::bus::{Binding, Connection, Consumer, Error, Exchange, ExchangeKind, Queue, Topology};
use std::time::Duration;

/// What nobody has read for so long goes: a listener that was stopped with Ctrl-S must not fill the broker.
const KEPT: Duration = Duration::from_secs(60);
/// Enough that listening keeps up with publishing.
const PREFETCH: u16 = 256;

/// An exchange to listen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ear {
    /// Its name.
    pub exchange: String,
    /// What to bind there: patterns, if it is a topic.
    pub keys: Vec<String>,
    /// Made as a durable topic if it is not there, as every service would make it; or else an error.
    pub made: bool,
}

impl Ear {
    /// An exchange that must be there.
    pub fn new(exchange: &str, keys: impl IntoIterator<Item = impl Into<String>>) -> Ear {
        Ear { exchange: exchange.into(), keys: keys.into_iter().map(Into::into).collect(), made: false }
    }
}

/// Those of the ears for which there is an exchange, or will be.
pub async fn existing(connection: &Connection, ears: Vec<Ear>) -> Result<Vec<Ear>, Error> {
    let mut found = Vec::new();
    for ear in ears {
        if ear.made || exists(connection, &ear.exchange).await? {
            found.push(ear);
        }
    }
    Ok(found)
}

/// Whether there is an exchange of this name; asking makes none.
pub async fn exists(connection: &Connection, exchange: &str) -> Result<bool, Error> {
    match connection.check(&Topology { exchanges: vec![topic(exchange)], queues: vec![] }).await {
        Ok(()) => Ok(true),
        Err(Error::Missing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Starts to listen. The queue is gone with the connection. [`Error::Missing`] names an exchange that is not there.
pub async fn listen(connection: &Connection, ears: &[Ear]) -> Result<Consumer, Error> {
    let mut exchanges = Vec::new();
    for ear in ears.iter().filter(|ear| ear.made) {
        if !exists(connection, &ear.exchange).await? {
            exchanges.push(topic(&ear.exchange));
        }
    }
    let bindings = ears.iter().flat_map(|ear| ear.keys.iter().map(|key| Binding::new(&ear.exchange, key)));
    let queue = bindings.fold(Queue::exclusive("oat.monitor").message_ttl(KEPT), Queue::bound);
    let name = queue.name.clone();
    connection.declare(&Topology { exchanges, queues: vec![queue] }).await?;
    connection.consume(&name, PREFETCH).await
}

fn topic(name: &str) -> Exchange {
    Exchange::new(name, ExchangeKind::Topic)
}
