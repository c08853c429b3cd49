//! One handle to a bus, whatever carries it.

use super::{Consumer, Error, Publisher, QueueKind, Seen, Topology, amqp, limits, local};
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
    /// The connections to send on.
    pub senders: Senders,
}

/// How many AMQP connections a bus sends on, beside the one that it receives on. A file knows no connections.
///
/// The broker lists them as `NAME publishing`, `NAME publishing 2` and so on. One carries a thousand publishes at once, so
/// more are opened only while publishers crowd each other: on each connection more than 512 publishes of others are under
/// way. A publisher and its clones stay on one connection as long as they have anything under way there, or until that is
/// lost: spreading the load changes no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Senders {
    /// From the beginning, and always; at least 1.
    pub least: usize,
    /// Never more than these; at least `least`.
    pub most: usize,
    /// One above `least` on which nothing has been sent for so long is closed.
    pub idle: Duration,
}

impl Default for Senders {
    /// One, and up to four while it is crowded; twenty minutes, as oslo.messaging.
    fn default() -> Senders {
        Senders { least: 1, most: 4, idle: Duration::from_secs(1200) }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: "oat".into(),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            ca_file: None,
            senders: Senders::default(),
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
    /// What kind of queue it is, where the transport can tell.
    pub kind: Option<QueueKind>,
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
    /// Opens the bus at `url` and declares `topology`, now and after every reconnection. Several brokers of one cluster are
    /// separated by semicolons, as in kombu, and tried in turn.
    ///
    /// The first connection is tried for `connect_timeout`; after that a lost one is rebuilt for as long as it takes.
    pub async fn open(url: &str, topology: Topology, options: Options) -> Result<Connection, Error> {
        limits::check(&topology)?;
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("amqp" | "amqps") => Ok(Connection::Amqp(amqp::Connection::open(url, topology, options).await?)),
            Some("sqlite") => Ok(Connection::Local(local::Connection::open(url, topology, options).await?)),
            _ => Err(Error::Url { url: amqp::mask(url), why: "expected amqp://, amqps:// or sqlite:PATH".into() }),
        }
    }

    /// A publisher. It may be shared: publishing takes `&self`, and many may be under way at once. Each publisher uses
    /// a [connection](Senders) of its choice, so who needs an order across two of them waits for the answers.
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
        limits::check(topology)?;
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

    /// Whether all of this is there (a passive declaration): nothing is created, properties are not compared.
    /// [`Error::Missing`] names the first that is not.
    pub async fn check(&self, topology: &Topology) -> Result<(), Error> {
        match self {
            Connection::Amqp(connection) => connection.check(topology).await,
            Connection::Local(connection) => connection.check(topology).await,
        }
    }

    /// The names of the queues that it knows: all of a file; on RabbitMQ, which tells nobody over AMQP, those declared here.
    pub async fn queues(&self) -> Result<Vec<String>, Error> {
        match self {
            Connection::Amqp(connection) => Ok(connection.queues()),
            Connection::Local(connection) => connection.queues().await,
        }
    }

    /// The first `limit` messages that wait in a queue. A file shows them and changes nothing. RabbitMQ hands them out and
    /// takes them back: they are then marked as redelivered, and in a quorum queue one of their deliveries is spent. With
    /// `spare` (its delivery limit) it stops before a message that has no delivery to spend and says so as
    /// [`Error::Unsupported`]; no message is lost by looking.
    pub async fn browse(&self, queue: &str, limit: usize, spare: Option<u32>) -> Result<Vec<Seen>, Error> {
        match self {
            Connection::Amqp(connection) => connection.browse(queue, limit, spare).await,
            Connection::Local(connection) => connection.browse(queue, limit).await,
        }
    }

    /// Removes all messages that wait in a queue, and says how many they were. What is out stays out.
    pub async fn purge(&self, queue: &str) -> Result<u64, Error> {
        match self {
            Connection::Amqp(connection) => connection.purge(queue).await,
            Connection::Local(connection) => connection.purge(queue).await,
        }
    }

    /// Deletes a queue with all that is in it, and declares it no more. One that is not there is no error.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), Error> {
        match self {
            Connection::Amqp(connection) => connection.delete_queue(queue).await,
            Connection::Local(connection) => connection.delete_queue(queue).await,
        }
    }

    /// The same unless somebody consumes it or messages are in it, which the bus itself judges in the moment of deleting.
    /// Whether it is gone. RabbitMQ does not know this of quorum queues: [`Error::Unsupported`].
    pub async fn delete_unused_queue(&self, queue: &str) -> Result<bool, Error> {
        match self {
            Connection::Amqp(connection) => connection.delete_unused_queue(queue).await,
            Connection::Local(connection) => connection.delete_unused_queue(queue).await,
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
