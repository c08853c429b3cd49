//! Routes and stores: SQL for what comes in. Always inside a transaction of `group`.

use super::super::limits::milliseconds;
use super::super::{Error, Message};
use super::declare;
use super::file::Failure;
use super::moments::{LATER, now};
use super::rows::{COLUMNS, encode};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;
use std::time::Duration;

/// A queue as far as a message that comes to it is concerned.
#[derive(Debug)]
pub(super) struct Home {
    id: i64,
    max_length: Option<i64>,
    message_ttl: Option<i64>,
    max_priority: Option<u8>,
}

/// What [`Home::read`] reads.
const HOME: &str = "bus_queues.id, max_length, message_ttl, max_priority";

impl Home {
    /// The queue of this number, which is there.
    pub fn of(db: &Connection, queue: i64) -> Result<Home, Failure> {
        let sql = format!("SELECT {HOME} FROM bus_queues WHERE id = ?1");
        Ok(db.prepare_cached(&sql)?.query_row([queue], |row| Home::read(row, 0))?)
    }

    /// The queue of this name, if it is there.
    pub fn named(db: &Connection, name: &str) -> Result<Option<Home>, Failure> {
        let sql = format!("SELECT {HOME} FROM bus_queues WHERE name = ?1");
        Ok(db.prepare_cached(&sql)?.query_row([name], |row| Home::read(row, 0)).optional()?)
    }

    fn read(row: &Row, first: usize) -> Result<Home, rusqlite::Error> {
        Ok(Home {
            id: row.get(first)?,
            max_length: row.get(first + 1)?,
            message_ttl: row.get(first + 2)?,
            max_priority: row.get(first + 3)?,
        })
    }

    /// Higher priorities come first, and what is beyond the highest counts as that.
    fn rank(&self, message: &Message) -> i64 {
        -i64::from(message.priority.unwrap_or(0).min(self.max_priority.unwrap_or(0)))
    }

    /// When a message that comes now will have waited too long.
    fn end(&self, message: &Message) -> Option<i64> {
        let spans = [self.message_ttl, message.expiration.map(milliseconds)];
        spans.into_iter().flatten().min().map(|span| now().saturating_add(span))
    }

    fn refuse_if_full(&self, db: &Connection) -> Result<(), Failure> {
        let Some(most) = self.max_length else { return Ok(()) };
        let sql = "SELECT count(*) FROM (SELECT 1 FROM bus_messages WHERE queue = ?1 AND owner IS NULL LIMIT ?2)";
        match db.prepare_cached(sql)?.query_row([self.id, most], |row| row.get::<_, i64>(0))? {
            waiting if waiting < most => Ok(()),
            _ => Err(Error::Nacked { why: format!("a queue is full, with {most} messages waiting in it") }.into()),
        }
    }
}

/// Stores a copy in every queue that it is routed to, of which there must be one.
pub(super) fn publish(db: &Connection, exchange: &str, key: &str, message: &Message) -> Result<(), Failure> {
    let homes = route(db, exchange, key, message)?;
    if homes.is_empty() {
        return Err(Error::Unroutable { exchange: exchange.into(), key: key.into() }.into());
    }
    for home in homes.values() {
        home.refuse_if_full(db)?;
        store(db, home, exchange, key, message)?;
    }
    Ok(())
}

/// Each queue once, however many of its bindings match.
fn route(db: &Connection, exchange: &str, key: &str, message: &Message) -> Result<BTreeMap<i64, Home>, Failure> {
    if exchange.is_empty() {
        return Ok(Home::named(db, key)?.map(|home| (home.id, home)).into_iter().collect());
    }
    let kind = declare::existing_exchange(db, exchange)?;
    let sql = format!(
        "SELECT key, headers, {HOME} FROM bus_bindings JOIN bus_queues ON bus_queues.id = queue WHERE exchange = ?1"
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query([exchange])?;
    let mut homes = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let binding = declare::binding(exchange, row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
        if binding.takes(kind, key, &message.headers) {
            let home = Home::read(row, 2)?;
            homes.insert(home.id, home);
        }
    }
    Ok(homes)
}

/// Puts a message at the end of a queue.
pub(super) fn store(db: &Connection, home: &Home, exchange: &str, key: &str, message: &Message) -> Result<(), Failure> {
    insert(db, home, None, home.end(message), exchange, key, message)
}

/// The same when `delay` is over. Whatever already had a place in a queue finds one again, however full it is.
pub(super) fn requeue(db: &Connection, queue: &str, message: &Message, delay: Duration) -> Result<(), Failure> {
    let home =
        Home::named(db, queue)?.ok_or_else(|| Error::Unroutable { exchange: String::new(), key: queue.into() })?;
    match delay.is_zero() {
        true => store(db, &home, "", queue, message),
        false => insert(db, &home, Some(LATER), Some(now().saturating_add(milliseconds(delay))), "", queue, message),
    }
}

fn insert(
    db: &Connection,
    home: &Home,
    owner: Option<i64>,
    due: Option<i64>,
    exchange: &str,
    key: &str,
    message: &Message,
) -> Result<(), Failure> {
    let sql = format!(
        "INSERT INTO bus_messages (queue, rank, owner, due, exchange, key, {COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"
    );
    db.prepare_cached(&sql)?.execute(params![
        home.id,
        home.rank(message),
        owner,
        due,
        exchange,
        key,
        message.content_type,
        message.content_encoding,
        message.message_id,
        message.correlation_id,
        message.reply_to,
        message.kind,
        message.app_id,
        message.timestamp.map(u64::cast_signed),
        message.priority,
        message.expiration.map(milliseconds),
        message.transient,
        encode(&message.headers),
        message.body
    ])?;
    Ok(())
}
