//! What the log tells of a connection, in kombu's words: a line a change, though there are several links.

use super::link::Role;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Which links are up, so that each piece of news is told once.
#[derive(Debug, Default)]
pub(super) struct News {
    down: Mutex<Vec<Role>>,
}

impl News {
    /// All links are up for the first time.
    pub fn opened(&self, url: &str) {
        tracing::info!("Connected to {url}");
    }

    /// A link was lost.
    pub fn lost(&self, role: Role, why: &str) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if down.is_empty() {
            tracing::warn!(why, "Connection to broker lost. Trying to re-establish the connection...");
        }
        tracing::debug!(%role, why, "link lost");
        down.push(role);
    }

    /// A link could not be rebuilt yet.
    pub fn trying(&self, role: Role, why: &str, pause: Duration) {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if down.first() == Some(&role) {
            tracing::warn!("Broker connection error: {why}. Trying again in {:.1} seconds.", pause.as_secs_f64());
        }
    }

    /// A link that was lost is not needed any more.
    pub fn forget(&self, role: Role) {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != role);
    }

    /// A link is there again.
    pub fn restored(&self, role: Role, url: &str) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.retain(|other| *other != role);
        if down.is_empty() {
            tracing::info!("Connected to {url}");
        }
    }
}
