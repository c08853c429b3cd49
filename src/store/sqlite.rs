//! The store in one SQLite file, shared by any number of processes on one machine and perhaps with the bus, whose
//! tables begin with `bus_` and are never touched here. Never on a network file system: its locks are not to be
//! trusted.

use super::{Error, migrations};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::RecyclingMethod;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub(super) type Conn = SyncConnectionWrapper<SqliteConnection>;
pub(super) type Backend = diesel::sqlite::Sqlite;

/// Readers do not wait for the writer; writers wait for each other in the file anyway.
const CONNECTIONS: usize = 4;
/// A transaction that reads first and writes later would fail at once when another wrote in between.
const BEGIN: &str = "BEGIN IMMEDIATE";
const HAS_MIGRATIONS: &str = "EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations')";
const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// FULL, since a result is acknowledged as soon as it is committed, and NORMAL may lose commits with the power.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF";
/// How long a connection waits for another one's lock.
const PATIENCE: Duration = Duration::from_secs(5);

fn recycling() -> RecyclingMethod<Conn> {
    RecyclingMethod::Fast
}

fn is_gone(server: &Server) -> bool {
    server.is_gone()
}

/// SQLite has a statement for many rows, but not one that diesel can prepare once.
macro_rules! insert_rows {
    ($connection:expr, $rows:expr) => {
        for row in $rows {
            diesel::insert_into(fractals::table).values(row).execute($connection).await?;
        }
    };
}

/// The whole file is locked by then.
macro_rules! locked {
    ($query:expr) => {
        $query
    };
}

macro_rules! free {
    ($query:expr) => {
        $query
    };
}

#[path = "connections.rs"]
mod connections;
#[path = "queries.rs"]
mod queries;

pub(super) use connections::Database;

/// The file: its path, and which one it was when it was first opened, by device and inode.
#[derive(Clone)]
pub(super) struct Server {
    path: PathBuf,
    identity: Arc<OnceLock<(u64, u64)>>,
}

impl Server {
    pub fn new(path: PathBuf) -> Server {
        Server { path, identity: Arc::default() }
    }

    async fn connect(&self) -> ConnectionResult<Conn> {
        let server = self.clone();
        blocking(move || server.establish()).await.map(Conn::new)
    }

    /// Another file in its place must not be written half of the records, nor a new one be made there.
    fn establish(&self) -> ConnectionResult<SqliteConnection> {
        if self.is_gone() {
            return Err(refused("it was deleted or replaced"));
        }
        let connection = establish(&self.path)?;
        if let Ok(about) = std::fs::metadata(&self.path) {
            self.identity.get_or_init(|| (about.dev(), about.ino()));
        }
        Ok(connection)
    }

    /// Whether the file was deleted, or another one put in its place. What cannot be looked at now is taken for what it was.
    fn is_gone(&self) -> bool {
        match (self.identity.get(), std::fs::metadata(&self.path)) {
            (Some(known), Ok(about)) => *known != (about.dev(), about.ino()),
            (Some(_), Err(error)) => error.kind() == std::io::ErrorKind::NotFound,
            (None, _) => false,
        }
    }

    /// One exclusive transaction around everything is the lock that keeps other processes out.
    async fn migrate(&self, _: Conn) -> Result<Vec<String>, Error> {
        let server = self.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let mut connection = server.establish()?;
            connection.exclusive_transaction(|connection| migrations::run(connection, MIGRATIONS))
        });
        ran.await.unwrap_or_else(|e| Err(e.into())).map_err(migrations::failed)
    }
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> ConnectionResult<R> + Send + 'static,
) -> ConnectionResult<R> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(ConnectionError::BadConnection(e.to_string())))
}

/// Opens the file. A new one is for its owner alone, and the files that SQLite puts beside it follow its mode. It
/// must not be opened by other means than SQLite's: closing it again would drop the locks of this whole process.
fn establish(path: &Path) -> ConnectionResult<SqliteConnection> {
    let fresh = !path.exists();
    check(path, fresh)?;
    // A relative name could otherwise begin with `file:` and be taken for a URI.
    let absolute = std::path::absolute(path).map_err(refused)?;
    let mut connection = SqliteConnection::establish(&absolute.to_string_lossy())?;
    if fresh {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(refused)?;
    }
    settle(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// SQLite's own words for all of this are "unable to open database file".
fn check(path: &Path, fresh: bool) -> ConnectionResult<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(refused(format!("there is no folder {}", folder.display())));
    }
    if path.is_dir() {
        return Err(refused("it is a folder"));
    }
    let needed = if fresh { folder } else { path };
    rustix::fs::access(needed, rustix::fs::Access::WRITE_OK)
        .map_err(|e| refused(format!("{} cannot be written: {e}", needed.display())))
}

/// Changing the journal does not always wait for others who are just doing the same, so we do.
fn settle(connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", PATIENCE.as_millis()))?;
    let began = Instant::now();
    loop {
        match connection.batch_execute(SETTINGS) {
            Err(e) if super::error::is_contention(&e) && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(rand::random_range(1..10)));
            }
            done => return done,
        }
    }
}

fn refused(why: impl ToString) -> ConnectionError {
    ConnectionError::BadConnection(why.to_string())
}
