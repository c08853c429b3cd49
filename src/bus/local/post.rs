//! Declares, routes and stores: SQL for what comes in. Always inside a transaction of `group`.

use super::super::routing::matches;
use super::super::{Binding, Error, Exchange, ExchangeKind, Message, Queue, Topology};
use super::file::Failure;
use super::rows::{COLUMNS, encode};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// All of it or nothing. The default exchange is there and leads to every queue, whatever is declared.
pub(super) fn declare(db: &Connection, topology: &Topology) -> Result<(), Failure> {
    let mut named = topology.exchanges.iter().filter(|exchange| !exchange.name.is_empty());
    named.try_for_each(|exchange| declare_exchange(db, exchange))?;
    topology.queues.iter().try_for_each(|queue| declare_queue(db, queue))
}

fn declare_exchange(db: &Connection, Exchange { name, kind, .. }: &Exchange) -> Result<(), Failure> {
    match kind_of(db, name)? {
        Some(found) if found == *kind => Ok(()),
        Some(found) => Err(conflict(format!("exchange {name:?}"), "type", found.name(), kind.name())),
        None => {
            db.execute("INSERT INTO bus_exchanges VALUES (?1, ?2)", [name.as_str(), kind.name()])?;
            Ok(())
        }
    }
}

fn declare_queue(db: &Connection, queue: &Queue) -> Result<(), Failure> {
    let id = match find_queue(db, &queue.name)? {
        None => insert_queue(db, queue)?,
        Some((id, found)) => {
            let what = || format!("queue {:?}", queue.name);
            if found.dead_letter != queue.dead_letter {
                return Err(conflict(what(), "dead letters", &found.dead_letter, &queue.dead_letter));
            }
            if found.delivery_limit != queue.delivery_limit {
                return Err(conflict(what(), "delivery limit", found.delivery_limit, queue.delivery_limit));
            }
            id
        }
    };
    let mut named = queue.bindings.iter().filter(|binding| !binding.exchange.is_empty());
    named.try_for_each(|binding| bind(db, binding, id))
}

fn conflict(what: String, property: &str, found: impl std::fmt::Debug, wanted: impl std::fmt::Debug) -> Failure {
    Error::Conflict { what, why: format!("its {property}: {found:?} there, {wanted:?} here") }.into()
}

fn insert_queue(db: &Connection, queue: &Queue) -> Result<i64, Failure> {
    let (exchange, key) = queue.dead_letter.as_ref().map(|dead| (&dead.exchange, &dead.key)).unzip();
    let sql = "INSERT INTO bus_queues (name, dead_exchange, dead_key, delivery_limit) VALUES (?1, ?2, ?3, ?4)";
    Ok(db.prepare(sql)?.insert(params![queue.name, exchange, key, queue.delivery_limit])?)
}

fn bind(db: &Connection, Binding { exchange, key, .. }: &Binding, queue: i64) -> Result<(), Failure> {
    kind_of(db, exchange)?.ok_or_else(|| Error::Missing { what: format!("exchange {exchange:?}") })?;
    db.execute("INSERT OR IGNORE INTO bus_bindings VALUES (?1, ?2, ?3)", params![exchange, key, queue])?;
    Ok(())
}

/// The queue of this name, without its bindings.
pub(super) fn find_queue(db: &Connection, name: &str) -> Result<Option<(i64, Queue)>, Failure> {
    let sql = "SELECT id, dead_exchange, dead_key, delivery_limit FROM bus_queues WHERE name = ?1";
    let found = db.prepare_cached(sql)?.query_row([name], |row| {
        let dead: (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
        let dead_letter = dead.0.zip(dead.1).map(|(exchange, key)| Binding::new(&exchange, &key));
        let delivery_limit = row.get(3)?;
        Ok((row.get(0)?, Queue { dead_letter, delivery_limit, ..Queue::new(name) }))
    });
    Ok(found.optional()?)
}

/// The same, for those to whom it must exist.
pub(super) fn existing_queue(db: &Connection, name: &str) -> Result<(i64, Queue), Failure> {
    find_queue(db, name)?.ok_or_else(|| Error::Missing { what: format!("queue {name:?}") }.into())
}

fn kind_of(db: &Connection, exchange: &str) -> Result<Option<ExchangeKind>, Failure> {
    let sql = "SELECT kind FROM bus_exchanges WHERE name = ?1";
    let name: Option<String> = db.prepare_cached(sql)?.query_row([exchange], |row| row.get(0)).optional()?;
    Ok(name.and_then(|name| ExchangeKind::ALL.into_iter().find(|kind| kind.name() == name)))
}

/// Stores a copy in every queue that it is routed to, of which there must be one.
pub(super) fn publish(db: &Connection, exchange: &str, key: &str, message: &Message) -> Result<(), Failure> {
    let queues = route(db, exchange, key)?;
    if queues.is_empty() {
        return Err(Error::Unroutable { exchange: exchange.into(), key: key.into() }.into());
    }
    let sql = format!(
        "INSERT INTO bus_messages (queue, exchange, key, {COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    );
    let mut insert = db.prepare_cached(&sql)?;
    let headers = encode(&message.headers);
    let Message { body, content_type, content_encoding, message_id, correlation_id, reply_to, kind, app_id, .. } =
        message;
    for queue in queues {
        insert.execute(params![
            queue,
            exchange,
            key,
            content_type,
            content_encoding,
            message_id,
            correlation_id,
            reply_to,
            kind,
            app_id,
            headers,
            body
        ])?;
    }
    Ok(())
}

/// Each queue once, however many of its bindings match.
fn route(db: &Connection, exchange: &str, key: &str) -> Result<BTreeSet<i64>, Failure> {
    if exchange.is_empty() {
        return Ok(find_queue(db, key)?.map(|(id, _)| id).into_iter().collect());
    }
    let kind = kind_of(db, exchange)?.ok_or_else(|| Error::Missing { what: format!("exchange {exchange:?}") })?;
    let mut select = db.prepare_cached("SELECT key, queue FROM bus_bindings WHERE exchange = ?1")?;
    let mut queues = BTreeSet::new();
    for row in select.query_map([exchange], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let (pattern, queue) = row?;
        if matches(kind, &pattern, key) {
            queues.insert(queue);
        }
    }
    Ok(queues)
}
