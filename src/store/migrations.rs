//! The scripts in `migrations/`, compiled in. Each database has its own, with the same versions.

use diesel::backend::Backend;
use diesel::migration::{MigrationSource, Result};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

/// The versions that this program knows.
pub(super) fn known<B: Backend>(source: EmbeddedMigrations) -> Vec<String> {
    let scripts = MigrationSource::<B>::migrations(&source).expect("the names were checked when this was compiled");
    scripts.iter().map(|script| script.name().version().to_string()).collect()
}

/// Runs what is missing, oldest first, and says what that was. Whoever calls this holds the lock: two that
/// run at once would both find the same scripts missing.
pub(super) fn run<B: Backend>(
    database: &mut impl MigrationHarness<B>,
    source: EmbeddedMigrations,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for script in database.pending_migrations(source)? {
        database.run_migration(&*script)?;
        names.push(script.name().to_string());
    }
    Ok(names)
}

/// The reason why a script failed, in the store's terms.
pub(super) fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> super::Error {
    match error.downcast::<diesel::result::Error>() {
        Ok(error) => super::Error::from(*error),
        Err(other) => super::Error::Query { why: format!("setting up the tables: {other}"), environment: true },
    }
}
