//! One handle to a bus, whatever carries it.

use super::{Consumer, Error, Publisher, Topology, amqp, local};
use std::path::PathBuf;
use std::time::Duration;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// How this program is called in the broker's list of connections.
    pub name: String,
    /// Offered to the broker; the lower of both wins.
    pub heartbeat: Duration,
    /// How long opening may take before it is an error.
    pub connect_timeout: Duration,
    /// How long one publish may wait for its confirmation, reconnecting in between.
    pub confirm_timeout: Duration,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: "oat".into(),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            ca_file: None,
        }
    }
}

/// How full a queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages waiting for a consumer.
    pub ready: u64,
    /// Messages delivered and not yet settled, where the transport can tell.
    pub unacked: Option<u64>,
    /// Consumers of the queue.
    pub consumers: u64,
}

/// A bus, open. Cloning gives another handle to the same connection.
#[derive(Clone, Debug)]
pub enum Connection {
    /// RabbitMQ.
    Amqp(amqp::Connection),
    /// One SQLite file.
    Local(local::Connection),
}

impl Connection {
    /// Opens the bus at `url` and declares `topology`, now and after every reconnection.
    ///
    /// The first connection is tried for `connect_timeout`; after that a lost one is rebuilt for as long as it takes.
    pub async fn open(url: &str, topology: Topology, options: Options) -> Result<Connection, Error> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("amqp" | "amqps") => Ok(Connection::Amqp(amqp::Connection::open(url, topology, options).await?)),
            Some("sqlite") => Ok(Connection::Local(local::Connection::open(url, topology, options).await?)),
            _ => Err(Error::Url { url: amqp::mask(url), why: "expected amqp://, amqps:// or sqlite:PATH".into() }),
        }
    }

    /// A publisher. It may be shared: publishing takes `&self`, and many may be under way at once.
    pub fn publisher(&self) -> Publisher {
        match self {
            Connection::Amqp(connection) => Publisher::Amqp(connection.publisher()),
            Connection::Local(connection) => Publisher::Local(connection.publisher()),
        }
    }

    /// Starts to consume a queue. At most `prefetch` (≥ 1) deliveries are out unsettled at any time.
    pub async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consumer, Error> {
        match self {
            Connection::Amqp(connection) => Ok(Consumer::Amqp(connection.consume(queue, prefetch).await?)),
            Connection::Local(connection) => Ok(Consumer::Local(connection.consume(queue, prefetch).await?)),
        }
    }

    /// Declares more; what exists already with the same properties is left alone.
    pub async fn declare(&self, topology: &Topology) -> Result<(), Error> {
        match self {
            Connection::Amqp(connection) => connection.declare(topology).await,
            Connection::Local(connection) => connection.declare(topology).await,
        }
    }

    /// How full a queue is. Looking changes nothing.
    pub async fn depth(&self, queue: &str) -> Result<Depth, Error> {
        match self {
            Connection::Amqp(connection) => connection.depth(queue).await,
            Connection::Local(connection) => connection.depth(queue).await,
        }
    }

    /// Says goodbye. Deliveries that are still out go back to their queues.
    pub async fn close(self) {
        match self {
            Connection::Amqp(connection) => connection.close().await,
            Connection::Local(connection) => connection.close().await,
        }
    }
}
