//! Where a publisher publishes: on one connection of the [pool](super::pool) as long as it has anything under way, because
//! what goes over two of them arrives in any order.
//!
//! It takes another connection when nothing is under way, when its own is lost, or when others crowd it there: then what it
//! has under way is confirmed first, and what it begins meanwhile waits.

use super::pool::Pool;
use super::sender::Sender;
use super::session::Session;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

/// What is under way is confirmed in milliseconds, unless a queue does not answer: then the publisher stays.
const PATIENCE: Duration = Duration::from_secs(1);

/// The place of a publisher and its clones.
#[derive(Debug)]
pub(super) struct Seat {
    pool: Arc<Pool>,
    /// Whoever begins to publish, one after the other.
    turn: Mutex<()>,
    place: std::sync::Mutex<Place>,
    /// The last publish under way has ended.
    empty: Notify,
}

#[derive(Debug)]
struct Place {
    sender: Arc<Sender>,
    under_way: usize,
    /// It could not be left in time; not tried again before it is empty by itself.
    kept: bool,
}

/// A publish under way.
#[derive(Debug)]
pub(super) struct Stay<'a>(&'a Seat);

impl Seat {
    pub fn new(pool: Arc<Pool>) -> Seat {
        let place = Place { sender: pool.first(), under_way: 0, kept: false };
        Seat { pool, turn: Mutex::default(), place: std::sync::Mutex::new(place), empty: Notify::new() }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a publish, in the order of the calls.
    pub async fn take(&self) -> Stay<'_> {
        // It is never held longer but by a future that its task does not poll, which must not stop the others.
        let _turn = match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(_) => timeout(PATIENCE * 2, self.turn.lock()).await.ok(),
        };
        let _moving = match self.crowded().is_some_and(|sender| self.pool.has_room_beside(&sender)) {
            true => self.leave().await,
            false => None,
        };
        let mut place = self.place();
        if place.under_way == 0 {
            (place.sender, place.kept) = (self.pool.enter(), false);
        } else {
            place.sender.enter(1);
        }
        place.under_way += 1;
        Stay(self)
    }

    /// Its connection, if others crowd it there.
    fn crowded(&self) -> Option<Arc<Sender>> {
        let place = self.place();
        let crowded = place.under_way > 0 && !place.kept && place.sender.is_crowded(place.under_way);
        crowded.then(|| place.sender.clone())
    }

    /// Waits until nothing is under way, but not for ever. Nobody else moves as long as the result is held.
    async fn leave(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let moving = self.pool.moving.try_lock().ok()?;
        let leaving = async {
            while self.place().under_way > 0 {
                self.empty.notified().await;
            }
        };
        if timeout(PATIENCE, leaving).await.is_err() {
            self.place().kept = true;
        }
        Some(moving)
    }

    /// A session of its connection, or of another if that is lost.
    fn session(&self) -> Option<Arc<Session>> {
        let mut place = self.place();
        if let Some(session) = place.sender.link.now() {
            return Some(session);
        }
        let other = self.pool.living().filter(|other| other.enter(place.under_way))?;
        place.sender.leave(place.under_way);
        (place.sender, place.kept) = (other, false);
        place.sender.link.now()
    }
}

impl Stay<'_> {
    /// A session that is alive, as soon as there is one; `None` once the connection is closed.
    pub async fn session(&self) -> Option<Arc<Session>> {
        loop {
            if let Some(session) = self.0.session() {
                return Some(session);
            }
            if !self.0.pool.revived().await {
                return None;
            }
        }
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        let mut place = self.0.place();
        place.sender.leave(1);
        place.under_way -= 1;
        if place.under_way == 0 {
            self.0.empty.notify_one();
        }
    }
}
