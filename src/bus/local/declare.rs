//! Exchanges, queues and bindings: SQL for what is declared and for what goes. Always inside a transaction of `group`.

use super::super::limits::milliseconds;
use super::super::{Binding, Error, Exchange, ExchangeKind, HeaderMatch, HeaderValue, Queue, QueueKind, Topology};
use super::file::Failure;
use super::moments::now;
use super::rows::{decode, encode};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::fmt::Display;
use std::time::Duration;

/// How AMQP's arguments of a binding say what they mean.
const MATCH: &str = "x-match";

/// A queue as the file knows it, without its bindings.
#[derive(Debug)]
pub(super) struct Known {
    pub id: i64,
    /// The client to whom an exclusive one belongs.
    owner: Option<i64>,
    pub queue: Queue,
}

/// All of it or nothing. The default exchange is there and leads to every queue, whatever is declared.
pub(super) fn declare(db: &Connection, me: i64, topology: &Topology) -> Result<(), Failure> {
    let mut named = topology.exchanges.iter().filter(|exchange| !exchange.name.is_empty());
    named.try_for_each(|exchange| declare_exchange(db, exchange))?;
    topology.queues.iter().try_for_each(|queue| declare_queue(db, me, queue))
}

/// Whether all of it is there.
pub(super) fn check(db: &Connection, me: i64, topology: &Topology) -> Result<(), Failure> {
    let mut named = topology.exchanges.iter().filter(|exchange| !exchange.name.is_empty());
    named.try_for_each(|exchange| existing_exchange(db, &exchange.name).map(drop))?;
    topology.queues.iter().try_for_each(|queue| usable_queue(db, me, &queue.name).map(drop))
}

fn declare_exchange(db: &Connection, Exchange { name, kind, durable, .. }: &Exchange) -> Result<(), Failure> {
    let what = || format!("exchange {name:?}");
    match find_exchange(db, name)? {
        Some((found, _)) if found != *kind => Err(conflict(what(), "type", found.name(), kind.name())),
        Some((_, found)) if found != *durable => Err(conflict(what(), "durability", found, durable)),
        Some(_) => Ok(()),
        None => {
            db.execute("INSERT INTO bus_exchanges VALUES (?1, ?2, ?3)", params![name, kind.name(), durable])?;
            Ok(())
        }
    }
}

fn declare_queue(db: &Connection, me: i64, queue: &Queue) -> Result<(), Failure> {
    let id = match find_queue(db, &queue.name)? {
        None => insert_queue(db, me, queue)?,
        Some(found) => {
            found.is_for(me)?;
            let mut pairs = properties(&found.queue).into_iter().zip(properties(queue));
            if let Some(((property, there), (_, here))) = pairs.find(|(there, here)| there != here) {
                return Err(conflict(format!("queue {:?}", queue.name), property, there, here));
            }
            db.execute("UPDATE bus_queues SET used = ?2 WHERE id = ?1", [found.id, now()])?;
            if let Some(dead) = queue.dead_letter.as_ref().filter(|_| queue.dead_letter_untold) {
                let sql = "UPDATE bus_queues SET dead_exchange = ?2, dead_key = ?3, dead_untold = 1 WHERE id = ?1";
                db.execute(sql, params![found.id, dead.exchange, dead.key])?;
            }
            found.id
        }
    };
    let mut named = queue.bindings.iter().filter(|binding| !binding.exchange.is_empty());
    named.try_for_each(|binding| bind(db, binding, id))
}

fn conflict(what: String, property: &str, found: impl Display, wanted: impl Display) -> Failure {
    Error::Conflict { what, why: format!("its {property}: {found} there, {wanted} here") }.into()
}

/// What must be the same whenever it is declared, by the names that AMQP gives it.
fn properties(queue: &Queue) -> [(&'static str, String); 8] {
    fn text(value: Option<impl ToString>) -> String {
        value.map_or("none".into(), |value| value.to_string())
    }
    let dead = queue.dead_letter.as_ref().filter(|_| !queue.dead_letter_untold);
    [
        ("kind", queue.kind.name().into()),
        ("x-dead-letter-exchange", text(dead.map(|dead| format!("{:?}", dead.exchange)))),
        ("x-dead-letter-routing-key", text(dead.map(|dead| format!("{:?}", dead.key)))),
        ("x-delivery-limit", text(queue.delivery_limit)),
        ("x-expires", text(queue.expires.map(milliseconds))),
        ("x-message-ttl", text(queue.message_ttl.map(milliseconds))),
        ("x-max-length", text(queue.max_length)),
        ("x-max-priority", text(queue.max_priority)),
    ]
}

fn insert_queue(db: &Connection, me: i64, queue: &Queue) -> Result<i64, Failure> {
    let (exchange, key) = queue.dead_letter.as_ref().map(|dead| (&dead.exchange, &dead.key)).unzip();
    let owner = (queue.kind == QueueKind::Exclusive).then_some(me);
    let sql = "INSERT INTO bus_queues (name, kind, owner, used, dead_exchange, dead_key, dead_untold, delivery_limit,
        expires, message_ttl, max_length, max_priority) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    Ok(db.prepare_cached(sql)?.insert(params![
        queue.name,
        queue.kind.name(),
        owner,
        now(),
        exchange,
        key,
        queue.dead_letter_untold,
        queue.delivery_limit,
        queue.expires.map(milliseconds),
        queue.message_ttl.map(milliseconds),
        queue.max_length,
        queue.max_priority
    ])?)
}

fn bind(db: &Connection, binding: &Binding, queue: i64) -> Result<(), Failure> {
    existing_exchange(db, &binding.exchange)?;
    let sql = "INSERT OR IGNORE INTO bus_bindings VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![binding.exchange, binding.key, queue, arguments(binding)])?;
    Ok(())
}

/// A binding's headers as AMQP has them: among them is the one that says how many must match.
fn arguments(binding: &Binding) -> Vec<u8> {
    let Some((how, headers)) = &binding.headers else { return Vec::new() };
    let how = if *how == HeaderMatch::Any { "any" } else { "all" };
    let mut headers = headers.clone();
    headers.insert(MATCH.into(), HeaderValue::Text(how.into()));
    encode(&headers)
}

/// A binding from what [`bind`] wrote.
pub(super) fn binding(exchange: &str, key: String, arguments: &[u8]) -> Binding {
    let headers = decode(arguments).map(|mut headers| match headers.remove(MATCH) {
        Some(HeaderValue::Text(how)) if how == "any" => (HeaderMatch::Any, headers),
        _ => (HeaderMatch::All, headers),
    });
    Binding { exchange: exchange.into(), key, headers }
}

impl Known {
    /// Whether this client may use it.
    fn is_for(&self, me: i64) -> Result<(), Failure> {
        match self.owner {
            Some(owner) if owner != me => Err(Error::Conflict {
                what: format!("queue {:?}", self.queue.name),
                why: "it is exclusive to another connection".into(),
            }
            .into()),
            _ => Ok(()),
        }
    }
}

/// The queue of this name.
pub(super) fn find_queue(db: &Connection, name: &str) -> Result<Option<Known>, Failure> {
    let sql = "SELECT id, owner, kind, dead_exchange, dead_key, delivery_limit, expires, message_ttl, max_length,
        max_priority, dead_untold FROM bus_queues WHERE name = ?1";
    Ok(db.prepare_cached(sql)?.query_row([name], |row| known(name, row)).optional()?)
}

fn known(name: &str, row: &Row) -> Result<Known, rusqlite::Error> {
    let kind: String = row.get(2)?;
    let (exchange, key): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
    let span = |column| {
        Ok::<_, rusqlite::Error>(
            row.get::<_, Option<i64>>(column)?.map(|span| Duration::from_millis(span.unsigned_abs())),
        )
    };
    let queue = Queue {
        kind: QueueKind::ALL.into_iter().find(|known| known.name() == kind).unwrap_or_default(),
        dead_letter: exchange.zip(key).map(|(exchange, key)| Binding::new(&exchange, &key)),
        delivery_limit: row.get(5)?,
        expires: span(6)?,
        message_ttl: span(7)?,
        max_length: row.get(8)?,
        max_priority: row.get(9)?,
        dead_letter_untold: row.get(10)?,
        ..Queue::new(name)
    };
    Ok(Known { id: row.get(0)?, owner: row.get(1)?, queue })
}

/// The same, for those to whom it must exist.
pub(super) fn existing_queue(db: &Connection, name: &str) -> Result<Known, Failure> {
    find_queue(db, name)?.ok_or_else(|| Error::Missing { what: format!("queue {name:?}") }.into())
}

/// The same, for who wants to do more than look.
pub(super) fn usable_queue(db: &Connection, me: i64, name: &str) -> Result<Known, Failure> {
    let known = existing_queue(db, name)?;
    known.is_for(me)?;
    Ok(known)
}

fn find_exchange(db: &Connection, name: &str) -> Result<Option<(ExchangeKind, bool)>, Failure> {
    let sql = "SELECT kind, durable FROM bus_exchanges WHERE name = ?1";
    let found =
        db.prepare_cached(sql)?.query_row([name], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()?;
    let kind = |name: String| ExchangeKind::ALL.into_iter().find(|kind| kind.name() == name);
    Ok(found.and_then(|(name, durable)| Some((kind(name)?, durable))))
}

/// The kind of an exchange that must exist.
pub(super) fn existing_exchange(db: &Connection, name: &str) -> Result<ExchangeKind, Failure> {
    match find_exchange(db, name)? {
        Some((kind, _)) => Ok(kind),
        None => Err(Error::Missing { what: format!("exchange {name:?}") }.into()),
    }
}

/// Deletes a queue that is there, if this client may; if `unused` only one without consumers and messages. Whether it is gone.
pub(super) fn delete(db: &Connection, me: i64, name: &str, unused: bool) -> Result<bool, Failure> {
    let Some(found) = find_queue(db, name)? else { return Ok(true) };
    found.is_for(me)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_consumers WHERE queue = ?1)
        OR EXISTS (SELECT 1 FROM bus_messages WHERE queue = ?2)";
    if unused && db.prepare_cached(sql)?.query_row((name, found.id), |row| row.get(0))? {
        return Ok(false);
    }
    remove(db, found.id)?;
    Ok(true)
}

/// Removes all messages that wait in a queue, and counts them.
pub(super) fn purge(db: &Connection, me: i64, name: &str) -> Result<u64, Failure> {
    let queue = usable_queue(db, me, name)?.id;
    let sql = "DELETE FROM bus_messages WHERE queue = ?1 AND owner IS NULL";
    Ok(db.prepare_cached(sql)?.execute([queue])? as u64)
}

/// The exclusive queues of a client go with it.
pub(super) fn remove_owned(db: &Connection, client: i64) -> Result<(), Failure> {
    let mut select = db.prepare_cached("SELECT id FROM bus_queues WHERE owner = ?1")?;
    let queues = select.query_map([client], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    queues.into_iter().try_for_each(|queue| remove(db, queue))
}

/// A queue, and all that is in it or leads to it. Who consumes it waits for one of the same name.
pub(super) fn remove(db: &Connection, queue: i64) -> Result<(), Failure> {
    db.prepare_cached("DELETE FROM bus_bindings WHERE queue = ?1")?.execute([queue])?;
    // Each by its index: a client that leaves must not read through all messages of all others.
    db.prepare_cached("DELETE FROM bus_messages WHERE queue = ?1 AND owner IS NULL")?.execute([queue])?;
    db.prepare_cached("DELETE FROM bus_messages WHERE queue = ?1 AND owner IS NOT NULL")?.execute([queue])?;
    db.prepare_cached("DELETE FROM bus_queues WHERE id = ?1")?.execute([queue])?;
    Ok(())
}
