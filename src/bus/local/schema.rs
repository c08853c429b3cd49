//! The tables of the bus. They are all called `bus_…`; nothing else in the file is ever touched.

use super::file::Failure;
use rusqlite::Connection;

/// Written into `bus_meta`. Not `user_version`: that belongs to the whole file, which others may share.
const VERSION: i64 = 1;

/// A claimed message has an owner. The two partial indexes are the queue and the list of claims.
const TABLES: &str = "
    CREATE TABLE bus_exchanges (name TEXT PRIMARY KEY, kind TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE bus_queues (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        dead_exchange TEXT, dead_key TEXT, delivery_limit INTEGER);
    CREATE TABLE bus_bindings (
        exchange TEXT NOT NULL, key TEXT NOT NULL, queue INTEGER NOT NULL,
        PRIMARY KEY (exchange, key, queue)) WITHOUT ROWID;
    CREATE TABLE bus_clients (
        id INTEGER PRIMARY KEY AUTOINCREMENT, lock TEXT NOT NULL UNIQUE, name TEXT NOT NULL, pid INTEGER NOT NULL);
    CREATE TABLE bus_consumers (
        client INTEGER NOT NULL, number INTEGER NOT NULL, queue INTEGER NOT NULL, prefetch INTEGER NOT NULL,
        PRIMARY KEY (client, number)) WITHOUT ROWID;
    CREATE TABLE bus_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL, owner INTEGER, returns INTEGER NOT NULL DEFAULT 0,
        exchange TEXT NOT NULL, key TEXT NOT NULL,
        content_type TEXT, content_encoding TEXT, message_id TEXT, correlation_id TEXT, reply_to TEXT,
        kind TEXT, app_id TEXT, headers BLOB NOT NULL, body BLOB NOT NULL);
    CREATE INDEX bus_ready ON bus_messages (queue, id) WHERE owner IS NULL;
    CREATE INDEX bus_claimed ON bus_messages (owner, queue) WHERE owner IS NOT NULL;";

/// Creates the tables unless they are there. Call it inside an immediate transaction: whoever comes second waits.
pub(super) fn ensure(db: &Connection) -> Result<(), Failure> {
    db.execute_batch("CREATE TABLE IF NOT EXISTS bus_meta (version INTEGER NOT NULL)")?;
    let found: Option<i64> = db.query_row("SELECT max(version) FROM bus_meta", [], |row| row.get(0))?;
    match found {
        None => {
            db.execute_batch(TABLES)?;
            db.execute("INSERT INTO bus_meta VALUES (?1)", [VERSION])?;
            Ok(())
        }
        Some(VERSION) => Ok(()),
        Some(other) => Err(Failure::Unfit(format!(
            "it was written by another oat: its bus has version {other}, this program knows version {VERSION}"
        ))),
    }
}
