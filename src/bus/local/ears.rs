//! What others do is heard by lock files, which the kernel watches for this thread: who commits something that others wait
//! for touches theirs afterwards, and who dies closes its own, which is heard in their folder.
//!
//! A watch on the write-ahead log would not do. SQLite writes its last page there, then syncs it, and only then shows
//! it to others, in shared memory: whoever is woken by the log looks too early, and hears nothing more.
//!
//! It must not know what is done about it. Without such a watch the thread is deaf and has to look again and again.

use std::io::Error;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The watch, if there is one.
#[derive(Debug)]
pub(super) struct Ears(Option<OwnedFd>);

impl Ears {
    /// The ears of whoever owns this lock file. From here on nothing is missed. The number of watches is limited, and not
    /// every system has them.
    pub fn open(lock: &Path) -> Ears {
        let watch = watch(lock);
        if let Err(error) = &watch {
            tracing::debug!(lock = %lock.display(), %error, "cannot watch the bus file; looking every few milliseconds");
        }
        Ears(watch.ok())
    }

    /// What to poll; `None` if deaf.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Forgets what was heard so far. Whether somebody may have died among it.
    pub fn drain(&mut self) -> bool {
        let mut died = false;
        while let Some(heard) = self.0.as_ref().and_then(read) {
            died |= heard.died;
            if heard.last {
                self.0 = None;
            }
        }
        died
    }
}

/// A part of what was heard.
#[derive(Debug)]
struct Heard {
    died: bool,
    /// The file or the folder is gone; its successor is another one.
    last: bool,
}

#[cfg(target_os = "linux")]
fn watch(lock: &Path) -> Result<OwnedFd, Error> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    add_watch(&watch, lock, WatchFlags::ATTRIB)?;
    add_watch(&watch, lock.parent().unwrap_or(lock), WatchFlags::CLOSE_WRITE | WatchFlags::ONLYDIR)?;
    Ok(watch)
}

/// Heard by the owner of this lock file, who alone is woken. Should it fail, he looks by himself before long.
pub(super) fn touch(lock: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    utimensat(CWD, lock, &Timestamps { last_access: now, last_modification: now }, AtFlags::empty()).ok();
}

/// As much as the kernel gives at once; `None` if there is nothing more.
#[cfg(target_os = "linux")]
fn read(watch: &OwnedFd) -> Option<Heard> {
    use rustix::fs::inotify::{ReadFlags, Reader};
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(watch, &mut buffer);
    let mut heard = ReadFlags::empty();
    loop {
        heard |= events.next().ok()?.events();
        if events.is_buffer_empty() {
            // What overflowed may have been anything.
            let died = ReadFlags::CLOSE_WRITE | ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED;
            return Some(Heard { died: heard.intersects(died), last: heard.contains(ReadFlags::IGNORED) });
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn watch(_: &Path) -> Result<OwnedFd, Error> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn read(_: &OwnedFd) -> Option<Heard> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::File;

    /// Whether anything is heard, and whether somebody may have died.
    fn heard(ears: &mut Ears) -> (bool, bool) {
        let fd = ears.fd().unwrap();
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        let any = rustix::event::poll(&mut fds, Some(&Default::default())).unwrap() == 1;
        (any, ears.drain())
    }

    #[test]
    fn a_touch_and_a_death_are_heard_and_what_concerns_others_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [mine, theirs] = ["mine", "theirs"].map(|name| folder.path().join(name));
        let (_lock, other) = (File::create(&mine).unwrap(), File::create(&theirs).unwrap());
        let mut ears = Ears::open(&mine);
        drop(File::open(&theirs).unwrap());
        touch(&theirs);
        assert_eq!(heard(&mut ears), (false, false));
        for _ in 0..3 {
            touch(&mine);
            assert_eq!(heard(&mut ears), (true, false));
        }
        drop(other);
        assert_eq!(heard(&mut ears), (true, true));
        assert_eq!(heard(&mut ears), (false, false));
    }

    #[test]
    fn more_than_the_kernel_keeps_is_heard_as_if_somebody_had_died() {
        let folder = tempfile::tempdir().unwrap();
        let [mine, theirs] = ["mine", "theirs"].map(|name| folder.path().join(name));
        File::create(&mine).unwrap();
        let mut ears = Ears::open(&mine);
        let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        for _ in 0..limit.trim().parse::<usize>().unwrap() / 2 + 10 {
            // In turns, for the same thing twice is kept once.
            touch(&mine);
            drop(File::create(&theirs).unwrap());
        }
        assert_eq!(heard(&mut ears), (true, true));
        assert_eq!(heard(&mut ears), (false, false));
    }

    #[test]
    fn who_watches_a_deleted_folder_knows_that_it_is_deaf() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        File::create(&lock).unwrap();
        let mut ears = Ears::open(&lock);
        folder.close().unwrap();
        assert!(ears.drain() && ears.fd().is_none() && !ears.drain());
        assert!(Ears::open(&lock).fd().is_none());
    }
}
