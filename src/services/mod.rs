//! The three daemons, each of the shape `run(what it needs, shutdown)`. They open nothing: connections, stores and
//! folders are given to them, by the command line or by a test.

pub mod announce;
pub mod encoded;
pub mod front;
pub mod methods;
pub mod outbox;
pub mod patience;
pub mod plan;
pub mod producer;
pub mod sweeper;
pub mod tracker;
pub mod worker;

use crate::task::{Outcome, Task};
use tokio::sync::mpsc::UnboundedSender;

/// What happens in a service, for whoever shows it. The daemons' log lines tell the same.
#[derive(Clone, Debug)]
pub enum Event {
    /// A worker took this task.
    Drawing(Task),
    /// A worker's result is on its way to the tracker.
    Drawn(Outcome),
    /// The tracker has recorded it.
    Recorded(Outcome),
}

/// Where events go; nowhere by default.
#[derive(Clone, Debug, Default)]
pub struct Events(Option<UnboundedSender<Event>>);

impl Events {
    /// To this channel. A receiver that has gone away is no trouble.
    pub fn to(sender: UnboundedSender<Event>) -> Events {
        Events(Some(sender))
    }

    fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(event());
        }
    }
}
