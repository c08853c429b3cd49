//! The tables of the bus. They are all called `bus_…`; nothing else in the file is ever touched. Moments are in
//! milliseconds since 1970, spans in milliseconds.

use super::file::Failure;
use rusqlite::Connection;

/// Written into `bus_meta`. Not `user_version`: that belongs to the whole file, which others may share.
const VERSION: i64 = 2;

/// A claimed message has an owner, and so has what waits for its time: see `moments`. The partial indexes are the queue
/// (`rank` is the priority, negative), the list of claims, and the two lists of what is to happen by itself: a message in
/// its queue is dead when it is `due`, any other comes back then.
const TABLES: &str = "
    CREATE TABLE bus_exchanges (name TEXT PRIMARY KEY, kind TEXT NOT NULL, durable INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE bus_queues (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, owner INTEGER, used INTEGER NOT NULL,
        dead_exchange TEXT, dead_key TEXT, dead_untold INTEGER NOT NULL, delivery_limit INTEGER,
        expires INTEGER, message_ttl INTEGER, max_length INTEGER, max_priority INTEGER);
    CREATE INDEX bus_passing ON bus_queues (used + expires) WHERE expires IS NOT NULL;
    CREATE INDEX bus_owned ON bus_queues (owner) WHERE owner IS NOT NULL;
    CREATE TABLE bus_bindings (
        exchange TEXT NOT NULL, key TEXT NOT NULL, queue INTEGER NOT NULL, headers BLOB NOT NULL,
        PRIMARY KEY (exchange, key, queue, headers)) WITHOUT ROWID;
    CREATE TABLE bus_clients (
        id INTEGER PRIMARY KEY AUTOINCREMENT, lock TEXT NOT NULL UNIQUE, name TEXT NOT NULL, pid INTEGER NOT NULL);
    CREATE TABLE bus_consumers (
        client INTEGER NOT NULL, number INTEGER NOT NULL, queue TEXT NOT NULL, prefetch INTEGER NOT NULL,
        PRIMARY KEY (client, number)) WITHOUT ROWID;
    CREATE INDEX bus_listening ON bus_consumers (queue);
    CREATE TABLE bus_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL, owner INTEGER, rank INTEGER NOT NULL DEFAULT 0, due INTEGER,
        returns INTEGER NOT NULL DEFAULT 0, exchange TEXT NOT NULL, key TEXT NOT NULL,
        content_type TEXT, content_encoding TEXT, message_id TEXT, correlation_id TEXT, reply_to TEXT,
        kind TEXT, app_id TEXT, timestamp INTEGER, priority INTEGER, expiration INTEGER,
        transient INTEGER NOT NULL DEFAULT 0, headers BLOB NOT NULL, body BLOB NOT NULL);
    CREATE INDEX bus_ready ON bus_messages (queue, rank, id) WHERE owner IS NULL;
    CREATE INDEX bus_claimed ON bus_messages (owner, queue) WHERE owner IS NOT NULL;
    CREATE INDEX bus_mortal ON bus_messages (due) WHERE owner IS NULL AND due IS NOT NULL;
    CREATE INDEX bus_later ON bus_messages (due) WHERE owner < 0;";

/// Version 1 had no properties of queues but their dead letters and limits.
const SET_ASIDE_1: &str = "
    DROP INDEX bus_ready;
    DROP INDEX bus_claimed;
    ALTER TABLE bus_exchanges RENAME TO bus_exchanges_1;
    ALTER TABLE bus_queues RENAME TO bus_queues_1;
    ALTER TABLE bus_bindings RENAME TO bus_bindings_1;
    ALTER TABLE bus_clients RENAME TO bus_clients_1;
    ALTER TABLE bus_messages RENAME TO bus_messages_1;
    DROP TABLE bus_consumers;";
/// Numbers are never used twice: neither those of clients nor those of messages.
const TAKE_OVER_1: &str = "
    INSERT INTO bus_exchanges SELECT name, kind, 1 FROM bus_exchanges_1;
    INSERT INTO bus_queues (id, name, kind, used, dead_untold, dead_exchange, dead_key, delivery_limit)
        SELECT id, name, 'quorum', 0, 0, dead_exchange, dead_key, delivery_limit FROM bus_queues_1;
    INSERT INTO bus_bindings SELECT exchange, key, queue, x'' FROM bus_bindings_1;
    INSERT INTO bus_clients SELECT * FROM bus_clients_1;
    INSERT INTO bus_messages
        (id, queue, owner, returns, exchange, key, content_type, content_encoding, message_id, correlation_id, reply_to,
         kind, app_id, headers, body)
        SELECT id, queue, owner, returns, exchange, key, content_type, content_encoding, message_id, correlation_id,
            reply_to, kind, app_id, headers, body FROM bus_messages_1;
    DELETE FROM sqlite_sequence WHERE name IN ('bus_clients', 'bus_messages');
    INSERT INTO sqlite_sequence SELECT substr(name, 1, length(name) - 2), seq FROM sqlite_sequence
        WHERE name IN ('bus_clients_1', 'bus_messages_1');
    DROP TABLE bus_exchanges_1;
    DROP TABLE bus_queues_1;
    DROP TABLE bus_bindings_1;
    DROP TABLE bus_clients_1;
    DROP TABLE bus_messages_1;
    UPDATE bus_meta SET version = 2;";

/// Creates the tables unless they are there, or takes over those of an older oat. Call it inside an immediate
/// transaction: whoever comes second waits.
pub(super) fn ensure(db: &Connection) -> Result<(), Failure> {
    db.execute_batch("CREATE TABLE IF NOT EXISTS bus_meta (version INTEGER NOT NULL)")?;
    let found: Option<i64> = db.query_row("SELECT max(version) FROM bus_meta", [], |row| row.get(0))?;
    match found {
        None => {
            db.execute_batch(TABLES)?;
            db.execute("INSERT INTO bus_meta VALUES (?1)", [VERSION])?;
            Ok(())
        }
        Some(1) => {
            tracing::info!("the bus file was written by an older oat; bringing its tables up to date");
            [SET_ASIDE_1, TABLES, TAKE_OVER_1].into_iter().try_for_each(|sql| Ok(db.execute_batch(sql)?))
        }
        Some(VERSION) => Ok(()),
        Some(other) => Err(Failure::Unfit(format!(
            "it was written by another oat: its bus has version {other}, this program knows version {VERSION}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    /// As it was written: a claimed message of a client that has died, one that waits, and one that was the last.
    const VERSION_1: &str = "
        CREATE TABLE bus_meta (version INTEGER NOT NULL);
        INSERT INTO bus_meta VALUES (1);
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
        CREATE INDEX bus_claimed ON bus_messages (owner, queue) WHERE owner IS NOT NULL;
        INSERT INTO bus_exchanges VALUES ('in', 'topic');
        INSERT INTO bus_queues VALUES (3, 'work', '', 'dead', 2), (5, 'dead', NULL, NULL, NULL);
        INSERT INTO bus_bindings VALUES ('in', 'a.#', 3);
        INSERT INTO bus_clients VALUES (7, 'gone', 'oat', 1);
        INSERT INTO bus_consumers VALUES (7, 0, 3, 1);
        INSERT INTO bus_messages VALUES
            (11, 3, 7, 1, 'in', 'a.b', 'text/plain', NULL, 'm-1', NULL, NULL, NULL, NULL, x'a0', x'31'),
            (12, 3, NULL, 0, 'in', 'a.b', 'text/plain', NULL, 'm-2', NULL, NULL, NULL, NULL, x'a0', x'32'),
            (13, 3, NULL, 0, 'in', 'a.b', 'text/plain', NULL, 'm-3', NULL, NULL, NULL, NULL, x'a0', x'33');
        DELETE FROM bus_messages WHERE id = 13;";

    #[tokio::test]
    async fn a_file_of_version_1_opens_with_all_that_is_in_it() {
        use super::super::super::{Binding, Connection as Bus, Exchange, ExchangeKind, Message, Queue, Topology};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus.db");
        Connection::open(&path).unwrap().execute_batch(VERSION_1).unwrap();
        let topology = Topology {
            exchanges: vec![Exchange::new("in", ExchangeKind::Topic)],
            queues: vec![
                Queue::new("work").bound(Binding::new("in", "a.#")).dead_letters_to("", "dead").delivery_limit(2),
            ],
        };
        let bus = Bus::open(&format!("sqlite:{}", path.display()), topology, Default::default()).await.unwrap();
        bus.publisher().publish("in", "a.c", Message::default().id("m-4")).await.unwrap();
        let mut consumer = bus.consume("work", 3).await.unwrap();
        for (id, attempt) in [("m-1", 3), ("m-2", 1), ("m-4", 1)] {
            let delivery = consumer.next().await.unwrap();
            assert_eq!((delivery.message.message_id.as_deref(), delivery.attempt), (Some(id), attempt));
            delivery.ack().await.unwrap();
        }
        assert_eq!(bus.depth("work").await.unwrap().consumers, 1);
        let (db, _) = file::open(&path).unwrap();
        let next = |table| {
            db.query_row("SELECT seq FROM sqlite_sequence WHERE name = ?1", [table], |row| row.get::<_, i64>(0))
        };
        assert_eq!(["bus_messages", "bus_clients"].map(|table| next(table).unwrap()), [14, 8]);
    }
}
