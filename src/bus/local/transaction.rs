//! Transactions: how one begins, how it ends, and how a part of one fails alone.

use super::file::Failure;
use rusqlite::Connection;

/// The thread waits for the write lock as long as it takes; callers have time-outs of their own.
pub(super) fn begin(db: &Connection) -> Result<(), Failure> {
    loop {
        match begin_now(db) {
            Err(failure) if failure.is_busy() => {
                tracing::warn!("another program keeps the bus file locked; waiting for it")
            }
            outcome => return outcome,
        }
    }
}

/// The same for who cannot wait longer than [`file`](super::file) lets it.
pub(super) fn begin_now(db: &Connection) -> Result<(), Failure> {
    Ok(db.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)?)
}

/// Commits, or undoes what went wrong.
pub(super) fn end<T>(db: &Connection, outcome: Result<T, Failure>) -> Result<T, Failure> {
    let outcome = outcome.and_then(|done| {
        db.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    });
    if outcome.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK").ok();
    }
    outcome
}

/// What fails inside leaves no trace and harms nobody else. The outer error means that SQLite has given up the whole
/// transaction.
pub(super) fn guarded<T>(
    db: &Connection,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<Result<T, Failure>, Failure> {
    let run = |sql: &str| db.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT bus_one")?;
    let outcome = work();
    match outcome {
        Err(failure) if db.is_autocommit() => return Err(failure),
        Err(_) => run("ROLLBACK TO bus_one")?,
        Ok(_) => 0,
    };
    run("RELEASE bus_one")?;
    Ok(outcome)
}
