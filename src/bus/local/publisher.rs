//! The sending end: one piece of work for each message.

use super::super::{Error, Message};
use super::work::{Line, Work};
use std::time::Duration;

/// Publishes into the file.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub(super) line: Line,
    pub(super) patience: Duration,
}

impl Publisher {
    /// Returns when the message is committed in every queue that it is routed to.
    ///
    /// The only thing that takes long is another program holding the file's write lock; then it is [`Error::TimedOut`].
    pub async fn publish(&self, exchange: &str, key: &str, message: Message) -> Result<(), Error> {
        let work = Work::Publish { exchange: exchange.into(), key: key.into(), message };
        let answer = tokio::time::timeout(self.patience, self.line.ask("publishing", work)).await;
        let late = |_| Error::TimedOut { what: "publishing".into(), seconds: self.patience.as_secs() };
        answer.map_err(late)?.map(drop)
    }
}
