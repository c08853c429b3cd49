//! The second of two services with a database each: it keeps a copy of the products of `products_admin`, under the same
//! ids, and does not mind when a change comes twice, late, or while it is not running.
//!
//!     cargo run --example products_service -- service.db [sqlite:products.db | amqp://…]

mod products;

use anyhow::Context;
use oat::bus::{Connection, Delivery, Options};
use oat::shutdown::Shutdown;
use products::{Change, QUEUE, topology};
use rusqlite::params;

/// A product that was deleted leaves its version: a change that comes late must not bring it back.
const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS products (
        id INTEGER PRIMARY KEY, title TEXT NOT NULL, description TEXT NOT NULL, price TEXT NOT NULL, image TEXT NOT NULL,
        version INTEGER NOT NULL, deleted INTEGER NOT NULL
    );
";

/// Only what is newer than what is known: doing it again changes nothing.
const APPLY: &str = "
    INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (id) DO UPDATE SET title = ?2, description = ?3, price = ?4, image = ?5, version = ?6, deleted = ?7
    WHERE excluded.version > version
";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("the path of the database is missing")?;
    let url = arguments.next().unwrap_or_else(|| "sqlite:products.db".into());
    let database = rusqlite::Connection::open(&file).with_context(|| format!("open {file}"))?;
    database.execute_batch(TABLES)?;
    // Nobody sleeps thirty seconds "to give the broker time": opening is tried until it succeeds.
    let connection = loop {
        match Connection::open(&url, topology(), Options::default()).await {
            Err(error @ oat::bus::Error::Unreachable { .. }) => eprintln!("{error}; trying again"),
            other => break other?,
        }
    };
    let mut changes = connection.consume(QUEUE, 20).await?;
    let shutdown = Shutdown::on_signals()?;
    println!("ready");
    while let Some(Some(delivery)) = shutdown.or(changes.next()).await {
        keep_in_step(&database, delivery).await?;
    }
    connection.close().await;
    Ok(())
}

/// Acknowledges last, when the change is committed. An error ends the program, and the change comes again.
async fn keep_in_step(database: &rusqlite::Connection, delivery: Delivery) -> anyhow::Result<()> {
    let change: Change = match serde_json::from_slice(&delivery.message.body) {
        Ok(change) => change,
        Err(error) => return Ok(delivery.reject(&format!("not a change of a product: {error}")).await?),
    };
    let Change { product, version, deleted } = &change;
    let row = params![product.id, product.title, product.description, product.price, product.image, version, deleted];
    let applied = database.execute(APPLY, row)?;
    println!("{} {} {}", change.name(), product.id, if applied == 1 { "applied" } else { "known already" });
    // A lost connection is no reason to stop: the change comes again, and is known already then.
    if let Err(error) = delivery.ack().await {
        eprintln!("{error}");
    }
    Ok(())
}
