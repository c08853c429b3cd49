//! Hands out and takes back: SQL for what goes out. Always inside a transaction of `group`.
//!
//! Every statement names the owner: who was taken for dead in the meantime settles nothing.

use super::super::Error;
use super::super::message::{dead, sent};
use super::declare::{existing_queue, find_queue};
use super::file::Failure;
use super::post;
use super::rows::{COLUMNS, PLACE, Parcel, parcel, remains};
use super::transaction::guarded;
use super::work::Settlement;
use rusqlite::{Connection, OptionalExtension, params};

/// The owner of what is never handed out: clients are numbered from 1.
const NOBODY: i64 = 0;
const ORPHANS: &str = "SELECT id, owner FROM bus_messages INDEXED BY bus_claimed WHERE owner > 0 AND owner NOT IN (SELECT id FROM bus_clients) ORDER BY id";

/// Whether anything waits in this queue. Reads only, so that looking costs nobody a lock.
pub(super) fn any_ready(db: &Connection, queue: &str) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM bus_messages WHERE owner IS NULL
        AND queue = (SELECT id FROM bus_queues WHERE name = ?1))";
    Ok(db.prepare_cached(sql)?.query_row([queue], |row| row.get(0))?)
}

/// Claims the first messages of a queue, `room` at most, in their order. What cannot be read is cleared out of the way,
/// or it would be the first for ever. A queue that was deleted may come back; until then nothing is in it.
pub(super) fn claim(db: &Connection, owner: i64, queue: &str, room: usize) -> Result<Vec<Parcel>, Failure> {
    let mut parcels = Vec::new();
    let Some(queue) = find_queue(db, queue)?.map(|known| known.id) else { return Ok(parcels) };
    loop {
        let unreadable = claim_once(db, owner, queue, room - parcels.len(), &mut parcels)?;
        if unreadable.is_empty() {
            break;
        }
        unreadable.into_iter().try_for_each(|(id, why)| clear_away(db, id, &why))?;
    }
    // RETURNING promises no order.
    parcels.sort_unstable_by_key(|parcel| (parcel.rank, parcel.id));
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
             (SELECT id FROM bus_messages WHERE queue = ?2 AND owner IS NULL ORDER BY rank, id LIMIT ?3)
         RETURNING {PLACE}, {COLUMNS}"
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
fn clear_away(db: &Connection, id: i64, why: &str) -> Result<(), Failure> {
    tracing::error!(message = id, why, "a message in the bus file cannot be read; somebody else wrote it");
    match bury(db, id, format!("the bus file holds something else than a message: {why}"))? {
        Burial::Done => {}
        Burial::NoGrave | Burial::Refused => {
            db.prepare_cached("UPDATE bus_messages SET owner = ?2 WHERE id = ?1")?.execute([id, NOBODY])?;
        }
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
        Settlement::Retry { queue, message, delay } => post::requeue(db, queue, message, *delay),
        Settlement::Bury { queue, message } => {
            let dead = existing_queue(db, queue)?.queue.dead_letter;
            let dead = dead.ok_or_else(|| Error::NoDeadLetter { queue: queue.clone() })?;
            post::publish(db, &dead.exchange, &dead.key, message)
        }
    }
}

/// Back to its place in the queue. With `counted` it was handed out, and that was one try; after too many of them it
/// goes where dead letters go.
pub(super) fn give_back(db: &Connection, owner: i64, id: i64, counted: bool) -> Result<(), Failure> {
    let sql = "UPDATE bus_messages SET owner = NULL, returns = returns + ?3 WHERE id = ?1 AND owner = ?2
               RETURNING returns, (SELECT delivery_limit FROM bus_queues AS queues WHERE queues.id = bus_messages.queue)";
    let row = |row: &rusqlite::Row| Ok((row.get::<_, u32>(0)?, row.get::<_, Option<u32>>(1)?));
    match db.prepare_cached(sql)?.query_row(params![id, owner, counted], row).optional()? {
        Some((returns, Some(limit))) if counted && returns > limit => bury_worn(db, id, returns),
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
fn bury_worn(db: &Connection, id: i64, returns: u32) -> Result<(), Failure> {
    let reason = format!("delivered {returns} times, the limit of the queue");
    if let Err(failure) = guarded(db, || bury(db, id, reason))? {
        tracing::warn!(message = id, ?failure, "a message came back too often and cannot be buried now");
    }
    Ok(())
}

/// What became of a message that is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Burial {
    /// It is where the dead letters of its queue go.
    Done,
    /// They go nowhere. It is where it was.
    NoGrave,
    /// They are not taken there. It is where it was.
    Refused,
}

/// Moves a message to where the dead letters of its queue go.
pub(super) fn bury(db: &Connection, id: i64, reason: String) -> Result<Burial, Failure> {
    let sql = "SELECT name, iif(dead_untold, NULL, dead_exchange), dead_key FROM bus_queues
        WHERE id = (SELECT queue FROM bus_messages WHERE id = ?1)";
    let row = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (name, exchange, key): (String, Option<String>, Option<String>) =
        db.prepare_cached(sql)?.query_row([id], row)?;
    let Some((exchange, key)) = exchange.zip(key) else { return Ok(Burial::NoGrave) };
    let (_, remains) = unearth(db, id)?;
    let remains = dead(sent(remains.message, remains.exchange, remains.key), &reason, &name);
    match guarded(db, || post::publish(db, &exchange, &key, &remains))? {
        Ok(()) => {
            db.prepare_cached("DELETE FROM bus_messages WHERE id = ?1")?.execute([id])?;
            Ok(Burial::Done)
        }
        Err(Failure::Refused(error)) => {
            tracing::warn!(queue = name, %error, "a message is dead and the dead-letter exchange does not take it");
            Ok(Burial::Refused)
        }
        Err(failure) => Err(failure),
    }
}

/// A message and the number of its queue, as much of it as can be read.
pub(super) fn unearth(db: &Connection, id: i64) -> Result<(i64, Parcel), Failure> {
    let sql = format!("SELECT {PLACE}, {COLUMNS}, queue FROM bus_messages WHERE id = ?1");
    let row = |row: &rusqlite::Row| Ok((row.get("queue")?, parcel(row).or_else(|_| remains(row))?));
    Ok(db.prepare_cached(&sql)?.query_row([id], row)?)
}
