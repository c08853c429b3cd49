//! What a handler has published, before its message is settled.

use super::super::Error;
use std::sync::{Mutex, PoisonError};
use tokio_util::task::TaskTracker;

/// Everything that was published in a handler's conversation: it has to be confirmed before the message that led to it is
/// acknowledged, whoever published it and whether or not anybody waited for it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    under_way: TaskTracker,
    unconfirmed: Mutex<Option<String>>,
}

impl Ledger {
    /// Publishes, and notes if it is not confirmed. What no queue is bound for is confirmed: whoever published it is told.
    pub async fn note(&self, publishing: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let published = self.under_way.track_future(publishing).await;
        match &published {
            Ok(()) | Err(Error::Unroutable { .. }) => {}
            Err(error) => *self.lock() = Some(format!("what its handler published is not confirmed: {error}")),
        }
        published
    }

    /// Waits for all that is under way. An error says what was not confirmed.
    pub async fn close(&self) -> Result<(), String> {
        self.under_way.close();
        self.under_way.wait().await;
        self.lock().take().map_or(Ok(()), Err)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
