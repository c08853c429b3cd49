//! What settles one delivery, by value. Dropped, it gives the message back.

use super::super::{Error, Message};
use super::work::{Line, Settlement, Work};
use std::time::Duration;

/// The right to settle the message with this number.
#[derive(Debug)]
pub struct Receipt {
    line: Line,
    id: i64,
    settled: bool,
}

impl Receipt {
    /// For a message that this connection has claimed.
    pub(super) fn new(line: Line, id: i64) -> Receipt {
        Receipt { line, id, settled: false }
    }

    /// Whether the connection is open: as long as it is, nobody takes the message away.
    pub fn is_live(&self) -> bool {
        !self.line.is_closed()
    }

    /// Puts the message back in its place, with no try counted.
    pub async fn give_back(mut self) -> Result<(), Error> {
        self.settled = true;
        self.line.ask("giving back", Work::GiveBack { id: self.id, counted: false }).await.map(drop)
    }

    /// Removes the message.
    pub async fn ack(self) -> Result<(), Error> {
        self.settle("acknowledging", Settlement::Ack).await
    }

    /// Puts `message` at the end of `queue` when `delay` is over and removes the old one, in one transaction.
    pub async fn retry(self, queue: &str, message: Message, delay: Duration) -> Result<(), Error> {
        self.settle("retrying", Settlement::Retry { queue: queue.into(), message, delay }).await
    }

    /// Sends `message` where the dead letters of `queue` go and removes the old one, in one transaction.
    /// If it cannot go there, the old one goes back to its queue.
    pub async fn bury(self, queue: &str, message: Message) -> Result<(), Error> {
        self.settle("rejecting", Settlement::Bury { queue: queue.into(), message }).await
    }

    async fn settle(mut self, doing: &str, how: Settlement) -> Result<(), Error> {
        self.settled = true;
        self.line.ask(doing, Work::Settle { id: self.id, how }).await.map(drop)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.settled {
            self.line.tell(Work::GiveBack { id: self.id, counted: true });
        }
    }
}
