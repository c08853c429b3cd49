//! Looks, and changes nothing: how full a queue is, what lies in it, which there are. Inside a transaction of `group`, when
//! the dead are cleared away and what is due has happened.

use super::super::{Depth, Seen};
use super::declare::{self, existing_queue};
use super::file::Failure;
use super::moments::LATER;
use super::rows::{COLUMNS, PLACE, parcel, remains};
use super::work::{Question, Told};
use rusqlite::Connection;

/// Answers a question of the client `me`.
pub(super) fn answer(db: &Connection, me: i64, question: &Question) -> Result<Told, Failure> {
    let told = Told::default();
    Ok(match question {
        Question::Depth { queue } => Told { depth: depth(db, queue)?, ..told },
        Question::Browse { queue, limit } => Told { seen: browse(db, queue, *limit)?, ..told },
        Question::Names => Told { names: names(db)?, ..told },
        Question::Check(topology) => {
            declare::check(db, me, topology)?;
            told
        }
    })
}

/// What waits for its time is neither ready nor out.
fn depth(db: &Connection, queue: &str) -> Result<Depth, Failure> {
    let known = existing_queue(db, queue)?;
    let sql = "SELECT (SELECT count(*) FROM bus_messages WHERE queue = ?1 AND owner IS NULL),
        (SELECT count(*) FROM bus_messages WHERE queue = ?1 AND owner IS NOT NULL AND owner <> ?2),
        (SELECT count(*) FROM bus_consumers WHERE queue = ?3)";
    let depth = db.prepare_cached(sql)?.query_row((known.id, LATER, queue), |row| {
        let count = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
        let kind = Some(known.queue.kind);
        Ok(Depth { ready: count(0)?, unacked: Some(count(1)?), consumers: count(2)?, kind })
    });
    Ok(depth?)
}

/// What would be claimed first.
fn browse(db: &Connection, queue: &str, limit: usize) -> Result<Vec<Seen>, Failure> {
    let id = existing_queue(db, queue)?.id;
    let sql = format!(
        "SELECT {PLACE}, {COLUMNS} FROM bus_messages WHERE queue = ?1 AND owner IS NULL ORDER BY rank, id LIMIT ?2"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = db.prepare_cached(&sql)?;
    let seen = select.query_map([id, limit], |row| Ok(parcel(row).or_else(|_| remains(row))?.into_seen()))?;
    Ok(seen.collect::<Result<_, _>>()?)
}

fn names(db: &Connection) -> Result<Vec<String>, Failure> {
    let mut select = db.prepare_cached("SELECT name FROM bus_queues ORDER BY name")?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
