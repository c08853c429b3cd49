//! Files that people have named. Whatever happens, there is the whole new one or the one that was there before.

use super::failure::Usage;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The longest chain of links that is followed, as in the kernel.
const LINKS: usize = 40;

/// All that is in a file. One that is not there is not found.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unread(path, error))
}

/// Why a file could not be read. To look for another place, which helps whoever writes, would be of no use here.
pub fn unread(path: &Path, error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => Usage::not_found(format!("there is no file {}", path.display())).into(),
        io::ErrorKind::PermissionDenied => Usage::new(format!("read {}: {error}", path.display())).into(),
        _ => anyhow::Error::new(error).context(format!("read {}", path.display())),
    }
}

/// Writes beside `path` and renames when everything is on the disk. An error and `None` leave nothing behind. What is
/// no file, such as a pipe or a device, cannot be replaced and is written to directly.
pub fn write_whole<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let path = followed(path)?;
    if path.exists() && !path.is_file() {
        return flushed(&File::options().write(true).open(path)?, write);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let old = path.metadata().ok().map(|data| data.permissions());
    let mut unfinished = tempfile::Builder::new();
    // Not the suffix of the workers' unfinished files: one that starts in this folder would take it for a dead one's.
    unfinished.prefix(".").suffix(".oat-part");
    // What nobody else may read is not shown to them while it is written, either.
    unfinished.permissions(old.clone().unwrap_or(Permissions::from_mode(0o666)));
    let unfinished = unfinished.tempfile_in(folder).map_err(bare)?;
    let written = flushed(unfinished.as_file(), write)?;
    if written.is_some() {
        if let Some(old) = old {
            unfinished.as_file().set_permissions(old)?;
        }
        unfinished.as_file().sync_all()?;
        unfinished.persist(path)?;
    }
    Ok(written)
}

/// What a link leads to is replaced, not the link; and if nothing is there yet, that is what is made.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if let Ok(whole) = path.canonicalize() {
            return Ok(whole);
        }
        match path.read_link() {
            // What a link says is meant from where the link is.
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("its links go round in a circle"))
}

/// Why it cannot be, without the name of an unfinished file that nobody has heard of.
fn bare(error: io::Error) -> io::Error {
    let told = error.to_string();
    io::Error::new(error.kind(), told.split(" at path ").next().unwrap_or_default())
}

fn flushed<T>(file: &File, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<T>) -> io::Result<T> {
    let mut out = BufWriter::new(file);
    let written = write(&mut out)?;
    out.flush().map(|()| written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::Pictures;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_was_there_stays_until_the_new_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let written = |end: io::Result<Option<()>>| write_whole(&path, |out| out.write_all(b"new").and(end));
        assert!(written(Err(io::ErrorKind::StorageFull.into())).is_err() && written(Ok(None)).unwrap().is_none());
        assert!(names(folder.path()).is_empty());
        fs::write(&path, "old").unwrap();
        assert!(written(Err(io::ErrorKind::StorageFull.into())).is_err() && written(Ok(None)).unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        written(Ok(Some(()))).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), names(folder.path()).len()), (b"new".as_slice(), 1));
    }

    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_whole(&link, |out| out.write_all(b"new").map(Some)).unwrap();
        assert_eq!((fs::read(&file).unwrap().as_slice(), link.is_symlink()), (b"new".as_slice(), true));
        write_whole(Path::new("/dev/null"), |out| out.write_all(b"new").map(Some)).unwrap();
        assert!(write_whole(Path::new("/dev/full"), |out| out.write_all(b"new").map(Some)).is_err());
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_link_to_what_is_not_there_yet_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, link, chain) = (folder.path().join("in"), folder.path().join("link"), folder.path().join("chain"));
        fs::create_dir(&inner).unwrap();
        std::os::unix::fs::symlink("in/file", &link).unwrap();
        std::os::unix::fs::symlink("link", &chain).unwrap();
        write_whole(&chain, |out| out.write_all(b"new").map(Some)).unwrap();
        assert_eq!(fs::read(inner.join("file")).unwrap(), b"new");
        assert!(link.is_symlink() && chain.is_symlink());
        let circle = folder.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).unwrap();
        assert!(write_whole(&circle, |out| out.write_all(b"new").map(Some)).is_err());
        assert!(circle.is_symlink());
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        fs::write(&path, "old").unwrap();
        for kept in [0o600, 0o640, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            write_whole(&path, |out| out.write_all(b"new").map(Some)).unwrap();
            assert_eq!((mode(), fs::read(&path).unwrap().as_slice()), (kept, b"new".as_slice()));
        }
    }

    #[test]
    fn a_worker_that_starts_in_the_same_folder_takes_nothing_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let drawn = write_whole(&path, |out| {
            Pictures::open(folder.path())?;
            out.write_all(b"new").map(Some)
        });
        drawn.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
