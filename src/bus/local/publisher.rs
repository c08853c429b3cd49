//! The sending end: one piece of work for each message.

use super::super::{Error, Message};
use super::work::{Line, Work};

/// Publishes into the file.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub(super) line: Line,
}

impl Publisher {
    /// Returns when the message is committed in every queue that it is routed to.
    ///
    /// The only thing that takes long is another program holding the file's write lock; then it is [`Error::TimedOut`],
    /// and unless it was being written in that very moment, the message is not sent later.
    pub async fn publish(&self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        let work = Work::Publish { exchange: exchange.into(), key: key.into(), message };
        self.line.ask("publishing", work).await.map(drop)
    }
}
