//! A handle to the file: it starts the thread and asks it for things.

use super::super::{Depth, Error, Options, Seen, Topology};
use super::actor::Actor;
use super::consumer::Consumer;
use super::publisher::Publisher;
use super::work::{Line, Question, Told, Work};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tokio::sync::oneshot;

/// A bus in a file, open. The last handle to go, publishers and consumers and deliveries included, closes it.
#[derive(Clone, Debug)]
pub struct Connection {
    line: Line,
}

impl Connection {
    /// Opens `sqlite:PATH`, creating the file if it is not there, and declares `topology`.
    pub async fn open(url: &str, topology: Topology, options: Options) -> Result<Connection, Error> {
        let path = path(url)?;
        let unreachable = |why: String| Error::Unreachable { url: url.into(), why };
        let (line, inbox, door) = Line::new(options.confirm_timeout).map_err(|error| unreachable(error.to_string()))?;
        let (ready, opened) = oneshot::channel();
        let thread = std::thread::Builder::new().name("oat-bus-file".into());
        let name = options.name;
        let work = move || match Actor::open(&path, &name, inbox, door) {
            Ok(actor) => {
                ready.send(Ok(())).ok();
                actor.run();
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let loud = move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("the thread of the bus file panicked; this program must be started again");
            }
        };
        thread.spawn(loud).map_err(|error| unreachable(error.to_string()))?;
        let opened = tokio::time::timeout(options.connect_timeout, opened).await;
        opened
            .map_err(|_| unreachable("another program keeps it locked".into()))?
            .map_err(|_| unreachable("its thread ended".into()))??;
        let connection = Connection { line };
        connection.declare(&topology).await?;
        Ok(connection)
    }

    /// A publisher into this file.
    pub fn publisher(&self) -> Publisher {
        Publisher { line: self.line.clone() }
    }

    /// Starts to consume a queue that exists.
    pub async fn consume(&self, queue: &str, prefetch: u16) -> Result<Consumer, Error> {
        let (parcels, end) = tokio::sync::mpsc::unbounded_channel();
        let consumer = Consumer::new(self.line.clone(), queue, end);
        let work = Work::Consume { consumer: consumer.id(), queue: queue.into(), prefetch, parcels };
        self.line.ask("starting to consume", work).await?;
        Ok(consumer)
    }

    /// Declares more, all of it or nothing.
    pub async fn declare(&self, topology: &Topology) -> Result<(), Error> {
        self.line.ask("declaring", Work::Declare(topology.clone())).await.map(drop)
    }

    /// How full a queue is, the dead not counted.
    pub async fn depth(&self, queue: &str) -> Result<Depth, Error> {
        Ok(self.look(Question::Depth { queue: queue.into() }).await?.depth)
    }

    /// Whether all of this is there.
    pub async fn check(&self, topology: &Topology) -> Result<(), Error> {
        self.look(Question::Check(topology.clone())).await.map(drop)
    }

    /// The names of all queues.
    pub async fn queues(&self) -> Result<Vec<String>, Error> {
        Ok(self.look(Question::Names).await?.names)
    }

    /// The first messages that wait in a queue; changes nothing.
    pub async fn browse(&self, queue: &str, limit: usize) -> Result<Vec<Seen>, Error> {
        Ok(self.look(Question::Browse { queue: queue.into(), limit }).await?.seen)
    }

    /// Removes what waits.
    pub async fn purge(&self, queue: &str) -> Result<u64, Error> {
        Ok(self.line.ask("purging", Work::Purge { queue: queue.into() }).await?.purged)
    }

    /// Deletes a queue.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), Error> {
        self.delete(queue, false).await.map(drop)
    }

    /// Deletes a queue that nobody consumes and nothing is in; whether it is gone.
    pub async fn delete_unused_queue(&self, queue: &str) -> Result<bool, Error> {
        self.delete(queue, true).await
    }

    async fn delete(&self, queue: &str, unused: bool) -> Result<bool, Error> {
        Ok(self.line.ask("deleting a queue", Work::Delete { queue: queue.into(), unused }).await?.deleted)
    }

    async fn look(&self, question: Question) -> Result<Told, Error> {
        self.line.ask("looking at the bus", Work::Look(question)).await
    }

    /// Returns when everything is back and the file is closed; or, if others keep it locked, after a few seconds, and what
    /// is out goes back when they let go or this process ends.
    pub async fn close(self) {
        self.line.ask_leaving("closing", Work::Close).await.ok();
    }
}

/// `sqlite:PATH` or `sqlite://PATH`; the path is taken as it stands.
fn path(url: &str) -> Result<PathBuf, Error> {
    let wrong = |why: &str| Error::Url { url: url.into(), why: why.into() };
    let rest = url.strip_prefix("sqlite:").ok_or_else(|| wrong("expected sqlite:PATH"))?;
    match rest.strip_prefix("//").unwrap_or(rest) {
        "" => Err(wrong("the path is missing")),
        ":memory:" => Err(wrong("memory cannot be shared; give the path of a file")),
        path => Ok(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_paths() {
        for (url, expected) in [
            ("sqlite:bus.db", "bus.db"),
            ("sqlite:/var/lib/oat/bus.db", "/var/lib/oat/bus.db"),
            ("sqlite:///var/lib/oat/bus.db", "/var/lib/oat/bus.db"),
            ("sqlite://bus.db", "bus.db"),
            ("sqlite:odd?name#here", "odd?name#here"),
        ] {
            assert_eq!(path(url).unwrap(), PathBuf::from(expected), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "amqp://here"] {
            assert!(matches!(path(url), Err(Error::Url { .. })), "{url}");
        }
    }
}
