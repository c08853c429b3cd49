//! The first of two services with a database each: here products are made, changed and deleted, and every change is
//! told to whoever keeps a copy. It reads commands from standard input:
//!
//!     create {"title": "Lamp", "price": "12.50"}
//!     update 1 {"price": "9.90"}
//!     delete 1
//!
//!     cargo run --example products_admin -- admin.db [sqlite:products.db | amqp://…]
//!
//! A change and the message about it are one transaction: the message waits in the table `outbox` until the bus has
//! confirmed it. So the broker may be down, and this program killed, at any moment.

mod products;

use anyhow::{Context, bail};
use oat::bus::{Connection, Message, Options};
use products::{Change, EXCHANGE, Product, topology};
use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA busy_timeout = 10000;
    CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, change TEXT NOT NULL);
";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("the path of the database is missing")?;
    let url = arguments.next().unwrap_or_else(|| "sqlite:products.db".into());
    let mut database = open(&file)?;
    let changed = Arc::new(Notify::new());
    let outbox = tokio::spawn(send(open(&file)?, url, changed.clone()));
    tokio::task::block_in_place(|| {
        for line in std::io::stdin().lines() {
            match carry_out(&mut database, &line?) {
                Ok(change) => println!("{} {}", change.name(), change.product.id),
                Err(error) => eprintln!("error: {error:#}"),
            }
            changed.notify_one();
        }
        anyhow::Ok(())
    })?;
    // Nothing more to do; the last messages may still have to wait for the bus.
    while !outbox.is_finished() && count(&database)? > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if outbox.is_finished() { outbox.await? } else { Ok(()) }
}

fn open(file: &str) -> anyhow::Result<rusqlite::Connection> {
    let database = rusqlite::Connection::open(file).with_context(|| format!("open {file}"))?;
    database.execute_batch(TABLES)?;
    Ok(database)
}

fn count(database: &rusqlite::Connection) -> rusqlite::Result<i64> {
    database.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))
}

/// Changes the product and writes the message about it, both or neither.
fn carry_out(database: &mut rusqlite::Connection, line: &str) -> anyhow::Result<Change> {
    let (verb, rest) = line.split_once(' ').context("expected a verb and what it is about")?;
    let transaction = database.transaction()?;
    let change = match verb {
        "create" => {
            transaction.execute("INSERT INTO products (body, version) VALUES ('', 1)", [])?;
            let fields = with(json!({"id": transaction.last_insert_rowid()}), rest)?;
            Change { product: serde_json::from_value(fields)?, version: 1, deleted: false }
        }
        "update" => {
            let (id, fields) = rest.split_once(' ').context("expected an id and the fields that change")?;
            let (product, version) = find(&transaction, id)?;
            let fields = with(serde_json::to_value(product)?, fields)?;
            Change { product: serde_json::from_value(fields)?, version: version + 1, deleted: false }
        }
        "delete" => {
            let (product, version) = find(&transaction, rest)?;
            Change { product, version: version + 1, deleted: true }
        }
        _ => bail!("there are create, update and delete, not {verb:?}"),
    };
    let Change { product, version, deleted } = &change;
    match deleted {
        true => transaction.execute("DELETE FROM products WHERE id = ?1", [product.id])?,
        false => {
            let sql = "UPDATE products SET body = ?2, version = ?3 WHERE id = ?1";
            transaction.execute(sql, params![product.id, serde_json::to_string(product)?, version])?
        }
    };
    transaction.execute("INSERT INTO outbox (change) VALUES (?1)", [serde_json::to_string(&change)?])?;
    transaction.commit()?;
    Ok(change)
}

/// These fields, over those that are there; the id never changes.
fn with(mut product: Value, fields: &str) -> anyhow::Result<Value> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(fields).context("read the fields")?;
    for (name, value) in fields.into_iter().filter(|(name, _)| name != "id") {
        product[name] = value;
    }
    Ok(product)
}

fn find(database: &rusqlite::Connection, id: &str) -> anyhow::Result<(Product, i64)> {
    let sql = "SELECT body, version FROM products WHERE id = ?1";
    let found = database.query_row(sql, [id.trim()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()?;
    let (body, version) = found.with_context(|| format!("there is no product {id}"))?;
    Ok((serde_json::from_str(&body)?, version))
}

/// Publishes what waits in the outbox, in order, for ever. A row goes when its message is confirmed in a queue: if this
/// program dies between the two, the message goes out twice, and whoever gets it recognises its version.
async fn send(database: rusqlite::Connection, url: String, changed: Arc<Notify>) -> anyhow::Result<()> {
    let pause = Duration::from_millis(500);
    let connection = loop {
        match Connection::open(&url, topology(), Options::default()).await {
            Ok(connection) => break connection,
            Err(error @ oat::bus::Error::Unreachable { .. }) => eprintln!("{error}; trying again"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
    };
    let publisher = connection.publisher();
    loop {
        let sql = "SELECT number, change FROM outbox ORDER BY number LIMIT 1";
        let first = database.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        let Some((number, change)) = first.optional()? else {
            changed.notified().await;
            continue;
        };
        let change: Change = serde_json::from_str(&change)?;
        match publisher.publish(EXCHANGE, change.name(), message(&change)?).await {
            Ok(()) => drop(database.execute("DELETE FROM outbox WHERE number = ?1", [number])?),
            Err(error) => {
                eprintln!("{error}; trying again");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn message(change: &Change) -> anyhow::Result<Message> {
    let id = format!("product-{}-{}", change.product.id, change.version);
    Ok(Message::new("application/json", serde_json::to_vec(change)?).id(id).kind(change.name()))
}
