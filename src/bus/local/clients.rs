//! Who is alive. Every connection keeps the lock of a file of its own, in a folder beside the bus file, and the
//! kernel lets go of it when the process dies, however it dies. Whoever gets that lock may bury the dead. Touching
//! that file says to its owner that there is something new in the bus file.
//!
//! The order makes it safe: a lock is held before its client is listed, and a listed client is dead only for
//! somebody who holds its lock or finds it gone. Names are never used twice; a number is, by a client that others struck
//! because its lock file was deleted by hand: so the dead are known by both.

use super::ears::{self, Ears};
use super::file::Failure;
use super::{declare, moments};
use rusqlite::{Connection, params};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// This connection as others see it. Dropping it lets go of the lock.
#[derive(Debug)]
pub(super) struct Client {
    /// Its number in the file, never used twice.
    pub id: i64,
    name: String,
    lock: PathBuf,
    held: File,
    /// The folder of the lock files.
    queue: File,
}

/// Who waits for the bus file in an orderly queue is next. Dropping it lets the next one come.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.unlock().ok();
    }
}

/// A client that has died, and the right to clear up after it.
#[derive(Debug)]
pub(super) struct Dead {
    pub id: i64,
    lock: PathBuf,
    _held: Option<File>,
}

impl Client {
    /// Takes a lock, then a number.
    pub fn join(db: &Connection, path: &Path, name: &str) -> Result<Client, Failure> {
        let folder = folder(path);
        let trouble = |error| Failure::Unfit(format!("{} cannot be used: {error}", folder.display()));
        let (lock, held) = new_lock(&folder).map_err(trouble)?;
        let queue = File::open(&folder).map_err(trouble)?;
        sweep(db, &folder);
        let id = list(db, None, &lock, name)?;
        Ok(Client { id, name: name.into(), lock, held, queue })
    }

    /// The same client, listed again with a new lock, after somebody deleted the old one.
    pub fn relist(&mut self, db: &Connection) -> Result<(), Failure> {
        let trouble = |error: Error| Failure::Unfit(error.to_string());
        (self.lock, self.held) = new_lock(self.folder()).map_err(trouble)?;
        self.queue = File::open(self.folder()).map_err(trouble)?;
        list(db, Some(self.id), &self.lock, &self.name)?;
        Ok(())
    }

    /// Waits until nobody else is about to write. SQLite's own lock would be asked for again and again, by everybody; it
    /// remains what keeps the file whole, and whoever does not queue only makes others wait longer.
    pub fn turn(&self) -> Turn<'_> {
        self.queue.lock().ok();
        Turn(&self.queue)
    }

    /// Says to the owners of these locks that there is something new. Call it when that is committed.
    pub fn ring(&self, bells: &[String]) {
        bells.iter().for_each(|lock| ears::touch(&self.lock.with_file_name(lock)));
    }

    /// The locks of those who wait for what has been put into queues after the message of this number.
    pub fn listeners(&self, db: &Connection, after: i64) -> Result<Vec<String>, Failure> {
        let sql = "SELECT DISTINCT lock
            FROM (SELECT DISTINCT queue AS id FROM bus_messages WHERE bus_messages.id > ?2 AND ifnull(owner, -1) < 0) AS filled
            CROSS JOIN bus_queues USING (id) CROSS JOIN bus_consumers ON bus_consumers.queue = bus_queues.name
            CROSS JOIN bus_clients ON bus_clients.id = client WHERE client <> ?1";
        self.locks(db, sql, after)
    }

    /// The locks of all who may wait for anything.
    pub fn everybody(&self, db: &Connection) -> Result<Vec<String>, Failure> {
        let sql = "SELECT lock FROM bus_clients WHERE id <> ?1 AND id IN (SELECT client FROM bus_consumers) AND ?2 = 0";
        self.locks(db, sql, 0)
    }

    fn locks(&self, db: &Connection, sql: &str, after: i64) -> Result<Vec<String>, Failure> {
        let mut select = db.prepare_cached(sql)?;
        Ok(select.query_map([self.id, after], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Listens to what others say to this client.
    pub fn ears(&self) -> Ears {
        Ears::open(&self.lock)
    }

    /// Where the lock files are.
    fn folder(&self) -> &Path {
        self.lock.parent().unwrap_or(Path::new("."))
    }

    /// As if somebody deleted it by hand.
    #[cfg(test)]
    pub fn lose_lock(&self) {
        fs::remove_file(&self.lock).unwrap();
    }

    /// Takes this client off the list, as part of a transaction.
    pub fn strike(&self, db: &Connection) -> Result<(), Failure> {
        strike(db, self.id)
    }

    /// Call it when [`strike`](Self::strike) is committed. The folder goes with its last lock.
    pub fn leave(self) {
        fs::remove_file(&self.lock).ok();
        fs::remove_dir(self.folder()).ok();
    }

    /// Everybody else who has died, and how many there are besides.
    pub fn look_around(&self, db: &Connection) -> Result<Around, Failure> {
        let mut select = db.prepare_cached("SELECT id, lock FROM bus_clients")?;
        let mut around = Around::default();
        for row in select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (id, lock): (i64, String) = row?;
            around.clients += 1;
            match id == self.id {
                true => around.listed = true,
                false => around.dead.extend(probe(id, self.lock.with_file_name(lock))),
            }
        }
        Ok(around)
    }
}

/// What a look around finds.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub dead: Vec<Dead>,
    /// Whether this client itself is still on the list: who deletes the folder of locks makes the living look dead.
    pub listed: bool,
    /// How many are on the list.
    pub clients: u32,
}

impl Dead {
    /// Whether it is on the list as it was found, in a transaction. If not, others have cleared up after it, and whoever is on
    /// the list under its number is alive, with another lock: his file was deleted by hand.
    pub fn is_listed(&self, db: &Connection) -> Result<bool, Failure> {
        let lock = self.lock.file_name().map(|name| name.to_string_lossy());
        let sql = "SELECT EXISTS (SELECT 1 FROM bus_clients WHERE id = ?1 AND lock = ?2)";
        Ok(db.prepare_cached(sql)?.query_row(params![self.id, lock], |row| row.get(0))?)
    }

    /// Takes it off the list, as part of the transaction that takes back what it held.
    pub fn strike(&self, db: &Connection) -> Result<(), Failure> {
        strike(db, self.id)
    }

    /// Call it when that is committed.
    pub fn forget(self) {
        fs::remove_file(&self.lock).ok();
    }
}

/// `<file>.clients`
fn folder(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".clients");
    name.into()
}

/// A new file, and its lock. Another may have swept the file or the folder away before it was locked: then again.
fn new_lock(folder: &Path) -> Result<(PathBuf, File), Error> {
    for _ in 0..100 {
        let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
        let file = match create(folder, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            outcome => outcome?,
        };
        if file.try_lock().is_ok() && file.metadata()?.nlink() > 0 {
            return Ok((path, file));
        }
    }
    Err(Error::other("somebody keeps deleting the lock files"))
}

fn create(folder: &Path, path: &Path) -> Result<File, Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// `Some` if that client is dead. A lock that cannot be asked about belongs to somebody alive.
fn probe(id: i64, lock: PathBuf) -> Option<Dead> {
    match File::open(&lock) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Some(Dead { id, lock, _held: Some(file) }),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Dead { id, lock, _held: None }),
        Err(_) => None,
    }
}

/// Removes files that nobody has locked and nobody has listed: left by who died between the two.
fn sweep(db: &Connection, folder: &Path) {
    let listed = |name: &str| {
        db.query_row("SELECT EXISTS (SELECT 1 FROM bus_clients WHERE lock = ?1)", [name], |row| row.get::<_, bool>(0))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Locked first and looked up then: who is being born holds its lock until it is listed.
        let Ok(file) = File::open(entry.path()) else { continue };
        if file.try_lock().is_ok() && listed(&entry.file_name().to_string_lossy()).is_ok_and(|listed| !listed) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn list(db: &Connection, id: Option<i64>, lock: &Path, name: &str) -> Result<i64, Failure> {
    let lock = lock.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut insert = db.prepare("INSERT INTO bus_clients (id, lock, name, pid) VALUES (?1, ?2, ?3, ?4)")?;
    Ok(insert.insert(params![id, lock, name, std::process::id()])?)
}

fn strike(db: &Connection, id: i64) -> Result<(), Failure> {
    moments::leave(db, id, None)?;
    declare::remove_owned(db, id)?;
    db.prepare_cached("DELETE FROM bus_clients WHERE id = ?1")?.execute([id])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn bus() -> (tempfile::TempDir, Connection, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (db, path) = file::open(&folder.path().join("bus.db")).unwrap();
        (folder, db, path)
    }

    #[test]
    fn the_living_are_never_taken_for_dead_and_the_dead_are_found_once() {
        let (_folder, db, path) = bus();
        let here = Client::join(&db, &path, "here").unwrap();
        let there = Client::join(&db, &path, "there").unwrap();
        let around = here.look_around(&db).unwrap();
        assert!(around.dead.is_empty() && around.listed && around.clients == 2);
        let id = there.id;
        drop(there);
        let dead = here.look_around(&db).unwrap().dead;
        assert_eq!(dead.iter().map(|dead| dead.id).collect::<Vec<_>>(), [id]);
        let again = here.look_around(&db).unwrap().dead;
        assert!(again.is_empty(), "the first who looks holds the dead one's lock");
    }

    #[test]
    fn nothing_is_left_beside_the_file_when_all_have_left() {
        let (_bus, db, path) = bus();
        let client = Client::join(&db, &path, "here").unwrap();
        let debris = folder(&path).join("debris");
        File::create(&debris).unwrap();
        let other = Client::join(&db, &path, "there").unwrap();
        assert!(!debris.exists());
        for client in [client, other] {
            client.strike(&db).unwrap();
            client.leave();
        }
        assert!(!folder(&path).exists());
    }

    #[test]
    fn a_client_whose_lock_file_was_deleted_is_dead_to_others() {
        let (_bus, db, path) = bus();
        let (here, there) = (Client::join(&db, &path, "a").unwrap(), Client::join(&db, &path, "b").unwrap());
        fs::remove_file(&there.lock).unwrap();
        let dead = here.look_around(&db).unwrap().dead;
        assert_eq!(dead.len(), 1);
        dead[0].strike(&db).unwrap();
        assert!(!there.look_around(&db).unwrap().listed);
    }
}
