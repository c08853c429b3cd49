//! What is asked of a database, compiled once for each kind of it. The three differ in [`insert_rows`],
//! [`locked`] and [`free`], which the file that includes this one defines.

use super::connections::{ANSWER, Database, TRIES};
use super::{Backend, Conn};
use crate::store::table::{Ending, Row, coalesce, fractals, fractals::dsl, identity, key};
use crate::store::verdict::{Known, verdict};
use crate::store::{Error, Filter, Finished, State};
use crate::task::Outcome;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind::{SerializationFailure, UniqueViolation};
use diesel::result::Error::{DatabaseError, DeserializationError};
use diesel_async::RunQueryDsl;
use std::collections::HashMap;
use tokio::time::timeout;
use uuid::Uuid;

/// Rows or keys in one statement. The smallest limit is SQLite's and allows 32 766 values.
const CHUNK: usize = 500;

/// One statement that stands for itself.
macro_rules! ask {
    ($database:ident, $query:ident($($argument:expr),*)) => {{
        let mut lease = $database.lend().await?;
        let ended = timeout(ANSWER, $query(lease.connection(), $($argument),*)).await;
        $database.conclude(lease, ended, 0).await.expect("there is no second try")
    }};
}

/// A transaction, again where others were in its way. A macro, since a function would need closures that borrow, and
/// the compiler cannot see yet that what comes of these may move between threads.
macro_rules! transact {
    ($database:ident, $query:ident($($argument:expr),*)) => {{
        let mut tries_left = TRIES;
        loop {
            tries_left -= 1;
            let mut lease = $database.lend().await?;
            let work = async {
                lease.begin().await?;
                let answer = $query(lease.connection(), $($argument),*).await?;
                lease.commit().await?;
                Ok(answer)
            };
            let ended = timeout(ANSWER, work).await;
            if let Some(result) = $database.conclude(lease, ended, tries_left).await {
                break result;
            }
        }
    }};
}

impl Database {
    pub async fn insert(&self, rows: &[Row]) -> Result<(), Error> {
        transact!(self, insert(rows))
    }

    /// One of the keys that is in the table.
    pub async fn any_of(&self, keys: &[String]) -> Result<Option<String>, Error> {
        ask!(self, any_of(keys))
    }

    pub async fn mark_published(
        &self,
        keys: &[String],
        now: NaiveDateTime,
        due: NaiveDateTime,
    ) -> Result<usize, Error> {
        transact!(self, mark_published(keys, now, due))
    }

    pub async fn finish(&self, outcomes: &[Outcome], now: DateTime<Utc>) -> Result<Vec<Finished>, Error> {
        transact!(self, finish(outcomes, now))
    }

    pub async fn claim_due(
        &self,
        states: &[&str],
        (now, lease_until): (NaiveDateTime, NaiveDateTime),
        limit: u32,
    ) -> Result<Vec<Row>, Error> {
        transact!(self, claim_due(states, now, lease_until, limit))
    }

    pub async fn cancel(&self, uuid: &str) -> Result<bool, Error> {
        transact!(self, cancel(uuid))
    }

    /// The first few rows from one key to another, in the order of their keys.
    pub async fn between(&self, first: &str, last: &str) -> Result<Vec<Row>, Error> {
        ask!(self, between(first, last))
    }

    pub async fn list(&self, filter: &Filter) -> Result<Vec<Row>, Error> {
        ask!(self, list(filter))
    }

    pub async fn counts(&self) -> Result<Vec<(String, i64)>, Error> {
        ask!(self, counts())
    }
}

async fn insert(connection: &mut Conn, rows: &[Row]) -> QueryResult<()> {
    for chunk in rows.chunks(CHUNK) {
        insert_rows!(connection, chunk);
    }
    Ok(())
}

async fn any_of(connection: &mut Conn, keys: &[String]) -> QueryResult<Option<String>> {
    for chunk in keys.chunks(CHUNK) {
        let query = dsl::fractals.select(dsl::uuid).filter(dsl::uuid.eq_any(chunk)).order(dsl::uuid);
        if let Some(found) = query.first(connection).await.optional()? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// First those that have ended, since a worker may be faster than this, then those that are queued already: afterwards the
/// others are queued too.
async fn mark_published(
    connection: &mut Conn,
    keys: &[String],
    now: NaiveDateTime,
    due: NaiveDateTime,
) -> QueryResult<usize> {
    let mut marked = 0;
    for chunk in keys.chunks(CHUNK) {
        let (counted, due_again) = (dsl::publishes.eq(dsl::publishes + 1), dsl::due_at.eq(due));
        let open = [State::New.name(), State::Queued.name()];
        let ended = dsl::fractals.filter(dsl::uuid.eq_any(chunk).and(dsl::state.ne_all(open)));
        let published = dsl::published_at.eq(coalesce(dsl::published_at, now));
        diesel::update(ended).set((counted, published)).execute(connection).await?;
        let again = dsl::fractals.filter(dsl::uuid.eq_any(chunk).and(dsl::state.eq(State::Queued.name())));
        marked += diesel::update(again).set((counted, due_again)).execute(connection).await?;
        let first = dsl::fractals.filter(dsl::uuid.eq_any(chunk).and(dsl::state.eq(State::New.name())));
        let queued = (dsl::state.eq(State::Queued.name()), dsl::published_at.eq(now));
        marked += diesel::update(first).set((counted, due_again, queued)).execute(connection).await?;
    }
    Ok(marked)
}

/// Judges every outcome by the record as the outcomes before it have left it.
async fn finish(connection: &mut Conn, outcomes: &[Outcome], now: DateTime<Utc>) -> QueryResult<Vec<Finished>> {
    let mut known = lock(connection, outcomes).await?;
    let mut all = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let finished = verdict(known.get(&outcome.uuid), outcome);
        if matches!(finished, Finished::Recorded | Finished::Adopted) {
            settle(connection, outcome, &finished, now).await?;
            let scene =
                known.get(&outcome.uuid).map_or(outcome.task.as_ref().map(|task| task.scene), |known| known.scene);
            known.insert(outcome.uuid, Known::after(outcome, scene));
        }
        all.push(finished);
    }
    Ok(all)
}

/// Rows that another tracker is just claiming are left to it. Those that cannot be read are claimed all the same: they
/// would be the longest overdue for ever, and take the place of others.
async fn claim_due(
    connection: &mut Conn,
    states: &[&str],
    now: NaiveDateTime,
    lease_until: NaiveDateTime,
    limit: u32,
) -> QueryResult<Vec<Row>> {
    let due = dsl::fractals.filter(dsl::state.eq_any(states).and(dsl::due_at.lt(now)));
    let oldest = due.order((dsl::due_at, dsl::created_at, dsl::uuid)).limit(i64::from(limit));
    let (keys, rows) = match free!(oldest.clone()).load::<Row>(connection).await {
        Err(DeserializationError(_)) => {
            let keys: Vec<String> = free!(oldest.select(dsl::uuid)).load(connection).await?;
            let rows = one_by_one(connection, &keys).await?;
            (keys, rows)
        }
        rows => {
            let rows = rows?;
            (rows.iter().map(|row| row.uuid.clone()).collect(), rows)
        }
    };
    for chunk in keys.chunks(CHUNK) {
        let taken = dsl::fractals.filter(dsl::uuid.eq_any(chunk));
        diesel::update(taken).set(dsl::due_at.eq(lease_until)).execute(connection).await?;
    }
    Ok(rows)
}

async fn cancel(connection: &mut Conn, uuid: &str) -> QueryResult<bool> {
    let open = dsl::state.eq_any([State::New.name(), State::Queued.name()]);
    let task = dsl::fractals.filter(dsl::uuid.eq(uuid).and(open));
    let changed = diesel::update(task).set(dsl::state.eq(State::Cancelled.name())).execute(connection).await?;
    Ok(changed > 0)
}

async fn between(connection: &mut Conn, first: &str, last: &str) -> QueryResult<Vec<Row>> {
    let range = dsl::uuid.ge(first).and(dsl::uuid.le(last));
    dsl::fractals.filter(range).order(dsl::uuid).limit(8).load(connection).await
}

async fn list(connection: &mut Conn, filter: &Filter) -> QueryResult<Vec<Row>> {
    match wanted(filter).load(connection).await {
        Err(DeserializationError(_)) => {
            let keys: Vec<String> = wanted(filter).select(dsl::uuid).load(connection).await?;
            one_by_one(connection, &keys).await
        }
        rows => rows,
    }
}

/// The rows of these keys, in their order. One that cannot be read, since SQLite keeps any text as a time, hides no others.
async fn one_by_one(connection: &mut Conn, keys: &[String]) -> QueryResult<Vec<Row>> {
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        match fractals::table.find(key).first(connection).await.optional() {
            Err(DeserializationError(error)) => tracing::warn!(%error, "the record of {key} is left out"),
            row => rows.extend(row?),
        }
    }
    Ok(rows)
}

fn wanted(filter: &Filter) -> fractals::BoxedQuery<'_, Backend> {
    let mut query = dsl::fractals.into_boxed::<Backend>();
    if let Some(state) = filter.state {
        query = query.filter(dsl::state.eq(state.name()));
    }
    if let Some(worker) = &filter.worker {
        query = query.filter(dsl::worker.eq(worker));
    }
    query.order((dsl::created_at.desc(), dsl::uuid)).limit(i64::from(filter.limit))
}

async fn counts(connection: &mut Conn) -> QueryResult<Vec<(String, i64)>> {
    dsl::fractals.group_by(dsl::state).select((dsl::state, diesel::dsl::count_star())).load(connection).await
}

/// Locks the records of these outcomes, always in the same order, so that two trackers wait for each other
/// instead of embracing each other.
async fn lock(connection: &mut Conn, outcomes: &[Outcome]) -> QueryResult<HashMap<Uuid, Known>> {
    let mut keys: Vec<String> = outcomes.iter().map(|outcome| key(outcome.uuid)).collect();
    keys.sort_unstable();
    let mut known = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(CHUNK) {
        let query = dsl::fractals.filter(dsl::uuid.eq_any(chunk)).order(dsl::uuid);
        for row in locked!(query).load::<Row>(connection).await? {
            known.insert(identity(&row.uuid).map_err(corrupt)?, Known::try_from(row).map_err(corrupt)?);
        }
    }
    Ok(known)
}

async fn settle(connection: &mut Conn, outcome: &Outcome, finished: &Finished, now: DateTime<Utc>) -> QueryResult<()> {
    if let (Finished::Adopted, Some(task)) = (finished, &outcome.task) {
        adopt(connection, &Row::new(task, now, now)).await?;
    }
    let record = fractals::table.find(key(outcome.uuid));
    diesel::update(record).set(&Ending::new(outcome, now)).execute(connection).await?;
    Ok(())
}

/// Another tracker may have adopted the task since we looked. Looking again, as after any collision, will show it.
async fn adopt(connection: &mut Conn, row: &Row) -> QueryResult<()> {
    let inserted = diesel::insert_into(fractals::table).values(row).execute(connection).await;
    match inserted {
        Ok(_) => Ok(()),
        Err(DatabaseError(UniqueViolation, what)) => Err(DatabaseError(SerializationFailure, what)),
        Err(e) => Err(e),
    }
}

fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> diesel::result::Error {
    diesel::result::Error::DeserializationError(Box::new(error))
}
