//! Where pictures are kept: a folder, one file a picture, named after its uuid.
//!
//! A reader never sees half a picture, and what [`Pictures::save`] has returned for survives a power cut. The bus
//! and the records are not known here.

use std::fs::{self, DirEntry, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tracing::warn;
use uuid::Uuid;

/// What the names of unfinished files end in.
const UNFINISHED: &str = ".oat-tmp";

/// A folder of pictures. Several processes may write to it.
#[derive(Clone, Debug)]
pub struct Pictures {
    folder: PathBuf,
}

impl Pictures {
    /// Creates the folder if need be, and takes away what dead workers left unfinished.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Pictures> {
        let pictures = Pictures::at(folder);
        fs::create_dir_all(&pictures.folder)?;
        pictures.sweep()?;
        Ok(pictures)
    }

    /// The pictures in a folder as it is, for whoever only looks.
    pub fn at(folder: impl Into<PathBuf>) -> Pictures {
        Pictures { folder: folder.into() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a picture, whether it exists or not. A name made from a parsed uuid cannot lead elsewhere.
    pub fn path(&self, uuid: Uuid) -> PathBuf {
        self.folder.join(format!("{uuid}.png"))
    }

    /// Writes a picture: temporary file, fsync, rename, fsync of the folder. A picture that is there already is
    /// replaced in one step. After an error nothing is left behind, and it may be tried again.
    pub fn save(&self, uuid: Uuid, png: &[u8]) -> io::Result<PathBuf> {
        // Not the process number: on a shared folder two containers may both be number 1.
        let unfinished = self.folder.join(format!(".{uuid}.{}{UNFINISHED}", Uuid::new_v4().simple()));
        let path = self.path(uuid);
        let written = write(&unfinished, png).and_then(|_lock| fs::rename(&unfinished, &path));
        if written.is_err() {
            // Whatever could be created must not stay; the first error is the one worth telling.
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        File::open(&self.folder)?.sync_all()?;
        Ok(path)
    }

    /// Removes unfinished files whose writer is dead: the kernel has then freed the lock on them. One that cannot be
    /// removed, since it is another user's for instance, is in nobody's way.
    pub fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if is_unfinished(&entry)
                && let Err(error) = remove_if_abandoned(&entry.path())
            {
                warn!("cannot remove the unfinished {}: {error}", entry.path().display());
            }
        }
        Ok(())
    }
}

/// A folder or a pipe with such a name is not ours, and to open a pipe would take until somebody writes.
fn is_unfinished(entry: &DirEntry) -> bool {
    let named = entry.file_name().as_bytes().ends_with(UNFINISHED.as_bytes());
    named && entry.file_type().is_ok_and(|kind| kind.is_file())
}

/// The file comes back open, since its lock tells the others that its writer lives.
fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.try_lock()?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    let removed = match File::open(path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => fs::remove_file(path),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) => Err(error),
    };
    // Another sweeper, or the writer's own rename, was faster.
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_picture_is_there_whole_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(folder.path().join("new")).unwrap();
        let uuid = Uuid::new_v4();
        pictures.save(uuid, b"first").unwrap();
        let path = pictures.save(uuid, b"second").unwrap();
        assert_eq!(fs::read(path).unwrap(), b"second");
        assert_eq!(names(pictures.folder()), [format!("{uuid}.png")]);
    }

    #[test]
    fn what_a_dead_worker_left_is_swept_and_what_a_living_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (dead, living) = (folder.path().join(".a.oat-tmp"), folder.path().join(".b.oat-tmp"));
        fs::write(&dead, b"half").unwrap();
        let _lock = write(&living, b"half").unwrap();
        Pictures::open(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".b.oat-tmp"]);
    }

    /// The name is Latin-1, as of an older system: é is one byte.
    #[test]
    fn a_folder_is_swept_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(folder.path().join(OsStr::from_bytes(b"caf\xe9"))).unwrap();
        fs::write(pictures.folder().join(".a.oat-tmp"), b"half").unwrap();
        pictures.sweep().unwrap();
        assert!(names(pictures.folder()).is_empty());
    }

    #[test]
    fn what_cannot_be_swept_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("folder.oat-tmp")).unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("link.oat-tmp")).unwrap();
        fs::write(folder.path().join(".z.oat-tmp"), b"half").unwrap();
        Pictures::open(folder.path()).unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, ["folder.oat-tmp", "link.oat-tmp"]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(folder.path()).unwrap();
        let uuid = Uuid::new_v4();
        fs::create_dir(pictures.path(uuid)).unwrap();
        assert!(pictures.save(uuid, b"png").is_err());
        assert_eq!(names(folder.path()), [format!("{uuid}.png")]);
    }
}
