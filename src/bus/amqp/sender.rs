//! A sending connection of the [pool](super::pool), and how much is under way on it.

use super::lane::WINDOW;
use super::link::Link;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// With so many publishes of others under way one had better go elsewhere: half of what a lane takes.
const CROWD: usize = WINDOW / 2;

/// A sending connection.
#[derive(Debug)]
pub(super) struct Sender {
    /// Its place in the pool, and in its name, from 1.
    pub number: usize,
    pub link: Link,
    /// Ends it.
    pub closing: CancellationToken,
    load: Mutex<Load>,
}

#[derive(Debug)]
struct Load {
    under_way: usize,
    /// When the last publish ended.
    quiet_since: Instant,
    /// It takes no more.
    retired: bool,
}

impl Sender {
    pub fn new(number: usize, link: Link, closing: CancellationToken) -> Sender {
        let load = Mutex::new(Load { under_way: 0, quiet_since: Instant::now(), retired: false });
        Sender { number, link, closing, load }
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many publishes begin on it. `false` if it has retired.
    pub fn enter(&self, count: usize) -> bool {
        let mut load = self.load();
        if !load.retired {
            load.under_way += count;
        }
        !load.retired
    }

    /// So many have ended, or go on elsewhere.
    pub fn leave(&self, count: usize) {
        let mut load = self.load();
        load.under_way -= count;
        load.quiet_since = Instant::now();
    }

    /// How many publishes are under way.
    pub fn under_way(&self) -> usize {
        self.load().under_way
    }

    /// Whether others than these keep it busy.
    pub fn is_crowded(&self, mine: usize) -> bool {
        self.under_way() >= CROWD + mine
    }

    /// Whether it has a session, and room for one more publisher.
    pub fn has_room(&self) -> bool {
        !self.is_crowded(0) && self.link.now().is_some()
    }

    /// Returns when nothing has been under way for `idle`; from then on it takes no more.
    pub async fn retire(&self, idle: Duration) {
        while let Some(rest) = self.rest(idle) {
            sleep(rest).await;
        }
    }

    /// How long it still has to be watched; `None` if it has just retired.
    fn rest(&self, idle: Duration) -> Option<Duration> {
        let mut load = self.load();
        let rest = if load.under_way > 0 { idle } else { idle.saturating_sub(load.quiet_since.elapsed()) };
        load.retired = rest.is_zero() && load.under_way == 0;
        if load.retired { None } else { Some(rest.max(Duration::from_millis(1))) }
    }
}
