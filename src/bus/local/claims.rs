//! Hands out and takes back: SQL for what goes out. Always inside a transaction of `group`.
//!
//! Every statement names the owner: who was taken for dead in the meantime settles nothing.

use super::super::message::{CAME_FROM, CAME_WITH, DIED_IN, REASON};
use super::super::{Depth, Error, HeaderValue, Message, Queue};
use super::file::Failure;
use super::post;
use super::rows::{COLUMNS, Parcel, parcel, remains};
use super::transaction::guarded;
use super::work::Settlement;
use rusqlite::{Connection, OptionalExtension, params};

/// The owner of what is never handed out: clients are numbered from 1.
const NOBODY: i64 = 0;
const ORPHANS: &str =
    "SELECT id, owner FROM bus_messages WHERE owner > 0 AND owner NOT IN (SELECT id FROM bus_clients) ORDER BY id";

/// Whether anything waits in this queue. Reads only, so that looking costs nobody a lock.
pub(super) fn any_ready(db: &Connection, queue: i64) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_messages WHERE queue = ?1 AND owner IS NULL)";
    Ok(db.prepare_cached(sql)?.query_row([queue], |row| row.get(0))?)
}

/// Claims the oldest messages of a queue, `room` at most, in their order. What cannot be read is cleared out of the way,
/// or it would be the oldest for ever.
pub(super) fn claim(db: &Connection, owner: i64, queue: i64, room: usize) -> Result<Vec<Parcel>, Failure> {
    let mut parcels = Vec::new();
    loop {
        let unreadable = claim_once(db, owner, queue, room - parcels.len(), &mut parcels)?;
        if unreadable.is_empty() {
            break;
        }
        unreadable.into_iter().try_for_each(|(id, why)| clear_away(db, queue, id, &why))?;
    }
    // RETURNING promises no order.
    parcels.sort_unstable_by_key(|parcel| parcel.id);
    Ok(parcels)
}

/// The numbers of those that cannot be read, and why.
fn claim_once(
    db: &Connection,
    owner: i64,
    queue: i64,
    room: usize,
    parcels: &mut Vec<Parcel>,
) -> Result<Vec<(i64, String)>, Failure> {
    let sql = format!(
        "UPDATE bus_messages SET owner = ?1 WHERE id IN
             (SELECT id FROM bus_messages WHERE queue = ?2 AND owner IS NULL ORDER BY id LIMIT ?3)
         RETURNING id, exchange, key, returns, {COLUMNS}"
    );
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    let mut update = db.prepare_cached(&sql)?;
    let mut rows = update.query([owner, queue, room])?;
    let mut unreadable = Vec::new();
    while let Some(row) = rows.next()? {
        match parcel(row) {
            Ok(parcel) => parcels.push(parcel),
            Err(error) => unreadable.push((row.get(0)?, error.to_string())),
        }
    }
    Ok(unreadable)
}

/// Buries what is no message; if its queue has no place for that, it is set aside.
fn clear_away(db: &Connection, queue: i64, id: i64, why: &str) -> Result<(), Failure> {
    let name: String =
        db.prepare_cached("SELECT name FROM bus_queues WHERE id = ?1")?.query_row([queue], |row| row.get(0))?;
    tracing::error!(
        queue = name,
        message = id,
        why,
        "a message in the bus file cannot be read; somebody else wrote it"
    );
    let (_, queue) = post::existing_queue(db, &name)?;
    if !bury(db, id, format!("the bus file holds something else than a message: {why}"), &queue)? {
        db.prepare_cached("UPDATE bus_messages SET owner = ?2 WHERE id = ?1")?.execute([id, NOBODY])?;
    }
    Ok(())
}

/// Removes a message for good, and sends on what takes its place.
pub(super) fn settle(db: &Connection, owner: i64, id: i64, how: &Settlement) -> Result<(), Failure> {
    let removed = db.prepare_cached("DELETE FROM bus_messages WHERE id = ?1 AND owner = ?2")?.execute([id, owner])?;
    if removed == 0 {
        return Err(Error::Lost { doing: "settling a message that others have taken back".into() }.into());
    }
    match how {
        Settlement::Ack => Ok(()),
        Settlement::Replace { exchange, key, message } => post::publish(db, exchange, key, message),
        Settlement::Bury { queue, message } => {
            let dead = post::existing_queue(db, queue)?.1.dead_letter;
            let dead = dead.ok_or_else(|| Error::NoDeadLetter { queue: queue.clone() })?;
            post::publish(db, &dead.exchange, &dead.key, message)
        }
    }
}

/// Back to its place in the queue. With `counted` it was handed out, and that was one try; after too many of them it
/// goes where dead letters go.
pub(super) fn give_back(db: &Connection, owner: i64, id: i64, counted: bool) -> Result<(), Failure> {
    let sql = "UPDATE bus_messages SET owner = NULL, returns = returns + ?3 WHERE id = ?1 AND owner = ?2
               RETURNING returns, (SELECT name FROM bus_queues AS queues WHERE queues.id = bus_messages.queue)";
    let row = |row: &rusqlite::Row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?));
    let Some((returns, queue)) = db.prepare_cached(sql)?.query_row(params![id, owner, counted], row).optional()? else {
        return Ok(());
    };
    let (_, queue) = post::existing_queue(db, &queue)?;
    match queue.delivery_limit {
        Some(limit) if counted && returns > limit => bury_worn(db, id, returns, &queue),
        _ => Ok(()),
    }
}

/// Whether there is something to do for [`give_back_orphans`].
pub(super) fn any_orphans(db: &Connection) -> Result<bool, Failure> {
    let sql = format!("SELECT EXISTS ({ORPHANS})");
    Ok(db.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
}

/// What was claimed by somebody whom others had taken for dead goes back, should he not have come back to the list.
pub(super) fn give_back_orphans(db: &Connection) -> Result<(), Failure> {
    let mut select = db.prepare_cached(ORPHANS)?;
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, i64)>, _>>()?;
    found.into_iter().try_for_each(|(id, owner)| give_back(db, owner, id, true))
}

/// All that this owner holds goes back, for it has died or says goodbye.
pub(super) fn give_back_all(db: &Connection, owner: i64) -> Result<(), Failure> {
    let mut select = db.prepare_cached("SELECT id FROM bus_messages WHERE owner = ?1 ORDER BY id")?;
    let ids = select.query_map([owner], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    ids.into_iter().try_for_each(|id| give_back(db, owner, id, true))
}

/// If it cannot be buried now, it stays and is delivered on: a failure here must not keep others from coming back.
fn bury_worn(db: &Connection, id: i64, returns: u32, queue: &Queue) -> Result<(), Failure> {
    let reason = format!("delivered {returns} times, the limit of the queue");
    if let Err(failure) = guarded(db, || bury(db, id, reason, queue))? {
        tracing::warn!(queue = queue.name, ?failure, "a message came back too often and cannot be buried now");
    }
    Ok(())
}

/// Moves a message to where the dead letters of `queue` go. `false`: they go nowhere, and it would be lost.
fn bury(db: &Connection, id: i64, reason: String, queue: &Queue) -> Result<bool, Failure> {
    let Some(dead) = &queue.dead_letter else { return Ok(false) };
    let sql = format!("SELECT id, exchange, key, returns, {COLUMNS} FROM bus_messages WHERE id = ?1");
    let remains = db.prepare_cached(&sql)?.query_row([id], remains)?;
    match post::publish(db, &dead.exchange, &dead.key, &epitaph(remains, reason, &queue.name)) {
        Ok(()) => {
            db.prepare_cached("DELETE FROM bus_messages WHERE id = ?1")?.execute([id])?;
            Ok(true)
        }
        Err(Failure::Refused(error)) => {
            tracing::warn!(queue = queue.name, %error, "a message is dead and the dead-letter exchange does not take it");
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

fn epitaph(worn: Parcel, reason: String, queue: &str) -> Message {
    worn.message
        .header(REASON, HeaderValue::Text(reason))
        .header(DIED_IN, HeaderValue::Text(queue.into()))
        .header(CAME_FROM, HeaderValue::Text(worn.exchange))
        .header(CAME_WITH, HeaderValue::Text(worn.key))
}

/// How full a queue is. Clear away the dead first, or their claims and consumers count.
pub(super) fn depth(db: &Connection, queue: &str) -> Result<Depth, Failure> {
    let (id, _) = post::existing_queue(db, queue)?;
    let count = |sql: &str| db.prepare_cached(sql)?.query_row([id], |row| row.get::<_, i64>(0));
    Ok(Depth {
        ready: count("SELECT count(*) FROM bus_messages WHERE queue = ?1 AND owner IS NULL")?.unsigned_abs(),
        unacked: Some(
            count("SELECT count(*) FROM bus_messages WHERE queue = ?1 AND owner IS NOT NULL")?.unsigned_abs(),
        ),
        consumers: count("SELECT count(*) FROM bus_consumers WHERE queue = ?1")?.unsigned_abs(),
    })
}
