//! What happens by itself when its time has come: a message that was put off goes to the end of its queue, one that has
//! waited too long is dead, a queue that nobody uses goes away. Whoever works on the file next does it, and who waits for
//! messages wakes up for it. Always inside a transaction of `group`, but for [`next`].

use super::super::limits::milliseconds;
use super::claims::{Burial, bury, unearth};
use super::declare;
use super::file::Failure;
use super::post;
use rusqlite::{Connection, params};
use std::time::{SystemTime, UNIX_EPOCH};

/// The owner of what is put off: nobody sees it, and when it is due it goes to the end of its queue.
pub(super) const LATER: i64 = -1;
/// The owner of what is dead and had no place where dead letters go: it is tried again.
const DYING: i64 = -2;
/// How long after.
const AGAIN: i64 = 10_000;

/// Milliseconds since 1970, the same in all processes.
pub(super) fn now() -> i64 {
    milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// When something is to happen next. Reads only.
pub(super) fn next(db: &Connection) -> Result<Option<i64>, Failure> {
    let sql = "SELECT
        (SELECT due FROM bus_messages WHERE owner IS NULL AND due IS NOT NULL ORDER BY due LIMIT 1),
        (SELECT due FROM bus_messages INDEXED BY bus_later WHERE owner < 0 ORDER BY due LIMIT 1),
        (SELECT used + expires FROM bus_queues WHERE expires IS NOT NULL
            AND name NOT IN (SELECT queue FROM bus_consumers) ORDER BY used + expires LIMIT 1)";
    let row = |row: &rusqlite::Row| (0..3).map(|n| row.get(n)).collect::<Result<Vec<Option<i64>>, _>>();
    Ok(db.prepare_cached(sql)?.query_row([], row)?.into_iter().flatten().min())
}

/// Does all that is due by now. Whether there was anything.
pub(super) fn pass(db: &Connection) -> Result<bool, Failure> {
    let now = now();
    if next(db)?.is_none_or(|due| due > now) {
        return Ok(false);
    }
    for (queue, _) in list(
        db,
        "SELECT id, 0 FROM bus_queues WHERE used + expires <= ?1
         AND expires IS NOT NULL AND name NOT IN (SELECT queue FROM bus_consumers)",
        now,
    )? {
        declare::remove(db, queue)?;
    }
    for (id, owner) in
        list(db, "SELECT id, owner FROM bus_messages WHERE owner < 0 AND due <= ?1 ORDER BY due, id", now)?
    {
        match owner {
            LATER => ripen(db, id)?,
            _ => expire(db, id, now)?,
        }
    }
    let mortal = "SELECT id, 0 FROM bus_messages WHERE owner IS NULL AND due <= ?1 ORDER BY due, id";
    list(db, mortal, now)?.into_iter().try_for_each(|(id, _)| expire(db, id, now))?;
    Ok(true)
}

fn list(db: &Connection, sql: &str, now: i64) -> Result<Vec<(i64, i64)>, Failure> {
    let mut select = db.prepare_cached(sql)?;
    Ok(select.query_map([now], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// To the end of its queue, under a new number.
fn ripen(db: &Connection, id: i64) -> Result<(), Failure> {
    let (queue, parcel) = unearth(db, id)?;
    db.prepare_cached("DELETE FROM bus_messages WHERE id = ?1")?.execute([id])?;
    let home = post::Home::of(db, queue)?;
    post::store(db, &home, &parcel.exchange, &parcel.key, &parcel.message)
}

/// To the dead letters of its queue, or away if there are none.
fn expire(db: &Connection, id: i64, now: i64) -> Result<(), Failure> {
    match bury(db, id, "expired".into())? {
        Burial::Done => {}
        Burial::NoGrave => drop(db.prepare_cached("DELETE FROM bus_messages WHERE id = ?1")?.execute([id])?),
        Burial::Refused => {
            let sql = "UPDATE bus_messages SET owner = ?2, due = ?3 WHERE id = ?1";
            db.prepare_cached(sql)?.execute([id, DYING, now + AGAIN])?;
        }
    }
    Ok(())
}

/// A consumer is gone, or all of a client: from now on their queues wait for a successor.
pub(super) fn leave(db: &Connection, client: i64, consumer: Option<i64>) -> Result<(), Failure> {
    let theirs = "FROM bus_consumers WHERE client = ?1 AND (?2 IS NULL OR number = ?2)";
    let sql = format!("UPDATE bus_queues SET used = ?3 WHERE expires IS NOT NULL AND name IN (SELECT queue {theirs})");
    db.prepare_cached(&sql)?.execute(params![client, consumer, now()])?;
    db.prepare_cached(&format!("DELETE {theirs}"))?.execute(params![client, consumer])?;
    Ok(())
}
