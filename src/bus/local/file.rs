//! Opens the file: which SQLite, which settings, and what its failures mean to a person.

use super::super::Error;
use super::schema;
use rusqlite::{Connection, Error as SqlError, ErrorCode, OpenFlags};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The first SQLite without the WAL-reset bug, which two writing processes can meet.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long other programs may keep the file locked while it is being opened.
const OPENING: Duration = Duration::from_secs(10);

/// Why something did not work, before the caller's words are put around it.
#[derive(Debug)]
pub(super) enum Failure {
    /// The bus says no.
    Refused(Error),
    /// SQLite says no.
    Sql(SqlError),
    /// The file cannot be a bus.
    Unfit(String),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Refused(error)
    }
}

impl Failure {
    /// What the caller is told.
    pub fn into_error(self, path: &Path) -> Error {
        let why = match self {
            Failure::Refused(error) => return error,
            Failure::Sql(error) => explain(&error),
            Failure::Unfit(why) => why,
        };
        Error::File { path: path.display().to_string(), why }
    }

    /// Whether it lies in what was asked. If not, the file or its disk is to blame, and no message.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Failure::Refused(_))
    }

    /// Whether somebody else only holds the lock at the moment.
    pub fn is_busy(&self) -> bool {
        let Failure::Sql(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }
}

/// SQLite's words, and ours where they say what to do.
pub(super) fn explain(error: &SqlError) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::ReadOnly) => "the file or its folder is read-only",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        Some(ErrorCode::CannotOpen) => "it cannot be opened; does the folder exist, and may this user write there?",
        Some(ErrorCode::PermissionDenied) => "this user may not use it",
        Some(ErrorCode::NotADatabase) => "it exists and is not an SQLite file",
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged",
        Some(ErrorCode::DatabaseBusy) => "another program keeps it locked",
        Some(ErrorCode::TooBig) => "the message is larger than SQLite can hold",
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

/// Opens the file at `path`, creating it with mode 0600, and its tables. Returns its one true path with it:
/// through a link the same file must lead to the same lock files.
pub(super) fn open(path: &Path) -> Result<(Connection, PathBuf), Failure> {
    let version = rusqlite::version_number();
    if version < OLDEST_SQLITE {
        return Err(Failure::Unfit(format!("SQLite {} can damage it; 3.51.3 or newer is needed", rusqlite::version())));
    }
    let path = create(path).map_err(|error| Failure::Unfit(error.to_string()))?;
    refuse_network(&path)?;
    // Not SQLITE_OPEN_URI: a path is a path, whatever characters it has.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&path, flags)?;
    db.busy_handler(Some(wait_for_lock))?;
    settle(&db)?;
    Ok((db, path))
}

/// Never opens a file that exists: closing any descriptor of it would drop the locks that SQLite holds on it in
/// this process. A new one is made elsewhere and moved here, unless somebody was faster.
fn create(path: &Path) -> std::io::Result<PathBuf> {
    if !path.exists() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let new = tempfile::NamedTempFile::new_in(folder)?.into_temp_path();
        match new.persist_noclobber(path) {
            Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.error),
            _ => {}
        }
    }
    path.canonicalize()
}

/// Which file lies at this path; `None` if there is none. What cannot be looked at now is taken for what it was.
pub(super) fn identity(path: &Path, known: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match std::fs::metadata(path) {
        Ok(about) => Some((about.dev(), about.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(_) => known,
    }
}

/// Write-ahead logs need shared memory, and the signs of life need locks: a network offers neither.
#[cfg(target_os = "linux")]
fn refuse_network(path: &Path) -> Result<(), Failure> {
    match rustix::fs::statfs(path) {
        Ok(about) if about.f_type == rustix::fs::NFS_SUPER_MAGIC => Err(Failure::Unfit(
            "it lies on NFS, where its locks do not work; put it on a local disk, or use amqp://".into(),
        )),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_network(_: &Path) -> Result<(), Failure> {
    Ok(())
}

/// The settings and the tables. Changing to WAL does not ask the busy handler, so this asks again itself.
fn settle(db: &Connection) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        match configure(db) {
            Err(failure) if failure.is_busy() && start.elapsed() < OPENING => {
                std::thread::sleep(Duration::from_millis(5))
            }
            outcome => return outcome,
        }
    }
}

fn configure(db: &Connection) -> Result<(), Failure> {
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Failure::Unfit(format!("it cannot have a write-ahead log here (its journal stays {mode:?})")));
    }
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;")?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = schema::ensure(db).and_then(|()| Ok(db.execute_batch("COMMIT")?));
    if outcome.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    outcome
}

/// SQLite's own handler sleeps up to 100 ms between two looks; writers here hold the lock for less than one.
fn wait_for_lock(looks: i32) -> bool {
    std::thread::sleep(Duration::from_micros(if looks < 40 { 250 } else { 2000 }));
    looks < 2500
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_file_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let (_db, path) = open(&folder.path().join("bus.db")).unwrap();
        for name in ["bus.db", "bus.db-wal", "bus.db-shm"] {
            let mode = path.with_file_name(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn many_who_open_a_new_file_at_once_all_get_its_tables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus.db");
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&path).map(drop))).collect();
            all.into_iter().for_each(|one| one.join().unwrap().unwrap());
        });
    }

    #[test]
    fn the_tables_of_others_are_left_alone_and_a_newer_bus_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        let records = Connection::open(&path).unwrap();
        records
            .execute_batch("CREATE TABLE fractal (id); INSERT INTO fractal VALUES (7); PRAGMA user_version = 42")
            .unwrap();
        open(&path).unwrap();
        let kept = |sql: &str| records.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((kept("SELECT id FROM fractal"), kept("PRAGMA user_version")), (7, 42));
        records.execute_batch("UPDATE bus_meta SET version = 99").unwrap();
        let why = open(&path).unwrap_err().into_error(&path).to_string();
        assert!(why.contains("version 99") && why.contains("records.db"), "{why}");
    }

    #[test]
    fn what_is_not_an_sqlite_file_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.txt");
        let letter = "dear reader, ".repeat(100);
        std::fs::write(&path, &letter).unwrap();
        let why = open(&path).unwrap_err().into_error(&path).to_string();
        assert!(why.contains("not an SQLite file"), "{why}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), letter);
    }
}
