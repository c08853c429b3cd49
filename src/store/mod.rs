//! What oat remembers: one record a task, in SQLite, MySQL/MariaDB or PostgreSQL, chosen by the URL.
//!
//! A record is written before its task is published, so it is the outbox too: whatever was not confirmed, or got
//! lost, is found here and published again ([`Store::claim_due`]). Everything may be told twice and in any order.
//! All SQL is in this folder; the clock is the caller's; that there is a bus is not known here.
//!
//! The queries are written once, in `queries.rs`, and compiled for each database: a row of three files that differ
//! in how they connect, lock and migrate is easier to read than one that is generic over all of diesel.

mod address;
mod error;
mod migrations;
#[allow(clippy::duplicate_mod)] // connections.rs and queries.rs, once for each database
mod mysql;
#[allow(clippy::duplicate_mod)]
mod postgres;
mod record;
#[allow(clippy::duplicate_mod)]
mod sqlite;
mod table;
mod tls;
mod verdict;

pub(crate) use address::shown;
pub use error::Error;
pub use record::{Counts, Due, Filter, Finished, Record, State};

use crate::task::{Outcome, Task};
use address::Address;
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::fmt;
use table::{Row, identity, key, stamp};
use uuid::Uuid;

/// The records. A clone is the same store; every call takes a connection of its own, and waits for one if it must.
///
/// A call whose future is dropped is rolled back, except that a commit may just have happened.
#[derive(Clone)]
pub struct Store(Database);

#[derive(Clone)]
enum Database {
    Sqlite(sqlite::Database),
    Mysql(mysql::Database),
    Postgres(postgres::Database),
}

/// The same for each database.
macro_rules! each {
    ($store:expr, $database:ident => $call:expr) => {
        match &$store.0 {
            Database::Sqlite($database) => $call,
            Database::Mysql($database) => $call,
            Database::Postgres($database) => $call,
        }
    };
}

/// Says nothing of the URL, which may hold a password.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Connects, within 10 s, to `sqlite:PATH`, `mysql://…`, `mariadb://…`, `postgres://…` or `postgresql://…`.
    /// The file is made where there is none; tables are not, see [`Store::migrate`].
    pub async fn open(url: &str) -> Result<Store, Error> {
        let shown = address::shown(url);
        Ok(Store(match Address::parse(url)? {
            Address::Sqlite(path) => Database::Sqlite(sqlite::Database::open(sqlite::Server::new(path), shown).await?),
            Address::Mysql(url) => {
                Database::Mysql(mysql::Database::open(mysql::Server::new(&url, &shown)?, shown).await?)
            }
            Address::Postgres(url) => {
                Database::Postgres(postgres::Database::open(postgres::Server::new(&url, &shown)?, shown).await?)
            }
        }))
    }

    /// Whether nobody has made any tables yet.
    pub async fn is_blank(&self) -> Result<bool, Error> {
        each!(self, database => database.is_blank().await)
    }

    /// Makes the tables or brings them up to date, and names what it did. Any number of processes may do this at
    /// once; one does the work, the others wait.
    pub async fn migrate(&self) -> Result<Vec<String>, Error> {
        each!(self, database => database.migrate().await)
    }

    /// Records new tasks, all or none. They are due at `due_at` unless they are published before.
    pub async fn insert(&self, tasks: &[Task], now: DateTime<Utc>, due_at: DateTime<Utc>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        if let Some(twice) = tasks.iter().find(|task| !seen.insert(task.uuid)) {
            return Err(Error::Exists(twice.uuid));
        }
        let rows: Vec<Row> = tasks.iter().map(|task| Row::new(task, now, due_at)).collect();
        match each!(self, database => database.insert(&rows).await) {
            Err(e) if !e.is_environment() => Err(self.taken(tasks).await?.map_or(e, Error::Exists)),
            done => done,
        }
    }

    /// A broker has confirmed these: each was published once more. New ones become queued, and they and those that were
    /// queued already are due again at `due_at`. Those that ended stay so. Returns how many had not.
    pub async fn mark_published(
        &self,
        uuids: &[Uuid],
        now: DateTime<Utc>,
        due_at: DateTime<Utc>,
    ) -> Result<usize, Error> {
        let keys = keys(uuids.iter().copied());
        each!(self, database => database.mark_published(&keys, stamp(now), stamp(due_at)).await)
    }

    /// Records how tasks ended, all in one transaction, and says of each what became of it, in their order.
    pub async fn finish(&self, outcomes: &[Outcome], now: DateTime<Utc>) -> Result<Vec<Finished>, Error> {
        each!(self, database => database.finish(outcomes, now).await)
    }

    /// Takes up to `limit` tasks that are new (and, where `queued_too`, queued) and were due before `now`, longest
    /// overdue first, and makes them due again at `lease_until`. No two callers get the same one before that.
    pub async fn claim_due(
        &self,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        limit: u32,
        queued_too: bool,
    ) -> Result<Vec<Due>, Error> {
        let states: &[&str] = if queued_too { &["new", "queued"] } else { &["new"] };
        let times = (stamp(now), stamp(lease_until));
        let rows = each!(self, database => database.claim_due(states, times, limit).await)?;
        Ok(readable(rows))
    }

    /// Cancels a task that has not ended; false where there is none.
    pub async fn cancel(&self, uuid: Uuid) -> Result<bool, Error> {
        each!(self, database => database.cancel(&key(uuid)).await)
    }

    /// The record of a uuid, or of the only one that begins with these hexadecimal digits, at least 4.
    pub async fn find(&self, id: &str) -> Result<Record, Error> {
        let missing = || Error::NotFound { id: id.into() };
        let (first, last) = range(id).ok_or_else(missing)?;
        let mut rows = each!(self, database => database.between(&first, &last).await)?;
        match rows.len() {
            0 => Err(missing()),
            1 => Record::try_from(rows.remove(0)),
            _ => {
                let candidates = rows.iter().map(|row| identity(&row.uuid)).collect::<Result<_, _>>()?;
                Err(Error::Ambiguous { id: id.into(), candidates })
            }
        }
    }

    /// Records, newest first.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Record>, Error> {
        Ok(readable(each!(self, database => database.list(filter).await)?))
    }

    /// How many tasks stand where.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        for (name, count) in each!(self, database => database.counts().await)? {
            match State::named(&name) {
                Some(state) => *counts.of(state) = count.try_into().unwrap_or(0),
                None => tracing::warn!("{count} records are in the state {name:?}, which is not known"),
            }
        }
        Ok(counts)
    }

    /// Lets the connections go, those of all clones.
    pub async fn close(self) {
        each!(self, database => database.close());
    }

    async fn taken(&self, tasks: &[Task]) -> Result<Option<Uuid>, Error> {
        let keys = keys(tasks.iter().map(|task| task.uuid));
        let found = each!(self, database => database.any_of(&keys).await)?;
        found.map(|key| identity(&key)).transpose()
    }
}

/// Always in the same order, in which a database then locks them.
fn keys(uuids: impl Iterator<Item = Uuid>) -> Vec<String> {
    let mut keys: Vec<String> = uuids.map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The first and the last uuid that begin with these digits. Hyphens are ignored, as is case.
fn range(id: &str) -> Option<(String, String)> {
    let digits: String = id.trim().chars().filter(|c| *c != '-').collect();
    if !(4..=32).contains(&digits.len()) {
        return None;
    }
    let end = |fill: &str| Uuid::try_parse(&(digits.clone() + &fill.repeat(32 - digits.len()))).ok().map(key);
    Some((end("0")?, end("f")?))
}

/// One row that somebody else has written must not hide all others.
fn readable<T: TryFrom<Row, Error = Error>>(rows: Vec<Row>) -> Vec<T> {
    let read = |row| T::try_from(row).inspect_err(|error| tracing::warn!(%error, "a record is left out"));
    rows.into_iter().filter_map(|row| read(row).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range_of_uuids() {
        let (first, last) = range("12AB-34cd5").expect("nine digits");
        assert_eq!(first, "12ab34cd-5000-0000-0000-000000000000");
        assert_eq!(last, "12ab34cd-5fff-ffff-ffff-ffffffffffff");
        for id in ["", "12a", "12xy", "ä234", "%%%%", "12ab34cd-5000-0000-0000-0000000000000"] {
            assert_eq!(range(id), None, "{id}");
        }
    }
}
