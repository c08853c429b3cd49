//! Where commands wait for the thread, and where the thread waits for them. A channel alone cannot be polled together
//! with what else may wake the thread, so whoever sends also rings a bell; but only if the thread sleeps.

use super::work::Command;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Error, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

/// The sending end, one for each handle.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    // Before the bell: when the last bell goes, which wakes the thread, it must find that all senders are gone.
    sender: Sender<Command>,
    bell: Arc<Bell>,
}

#[derive(Debug)]
struct Bell {
    asleep: Arc<AtomicBool>,
    wire: UnixStream,
}

/// The thread's end.
#[derive(Debug)]
pub(super) struct Inbox {
    commands: Receiver<Command>,
    asleep: Arc<AtomicBool>,
    wire: UnixStream,
}

/// Both ends.
pub(super) fn pair() -> Result<(Outbox, Inbox), Error> {
    let (sender, commands) = channel();
    let (far, wire) = UnixStream::pair()?;
    far.set_nonblocking(true)?;
    wire.set_nonblocking(true)?;
    let asleep = Arc::new(AtomicBool::new(false));
    let bell = Arc::new(Bell { asleep: asleep.clone(), wire: far });
    Ok((Outbox { sender, bell }, Inbox { commands, asleep, wire }))
}

impl Outbox {
    /// `Err` when the thread has ended.
    pub fn send(&self, command: Command) -> Result<(), Gone> {
        self.sender.send(command).map_err(|_| Gone)?;
        // Either this sees that the thread is about to sleep, or the thread sees the command: see `Inbox::wait`.
        fence(Ordering::SeqCst);
        if self.bell.asleep.swap(false, Ordering::Relaxed) {
            // If it is full, it rings already; and if the thread is gone, nobody minds.
            (&self.bell.wire).write_all(&[0]).ok();
        }
        Ok(())
    }
}

/// The other end is no more.
#[derive(Debug)]
pub(super) struct Gone;

impl Inbox {
    /// A command that is there already.
    pub fn take(&self) -> Result<Option<Command>, Gone> {
        match self.commands.try_recv() {
            Ok(command) => Ok(Some(command)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Gone),
        }
    }

    /// Sleeps until there is a command, or something to hear, or `patience` is over; not at all if there is one.
    pub fn wait(&self, patience: Option<Duration>, ears: Option<BorrowedFd>) -> Result<Option<Command>, Gone> {
        if let Some(command) = self.take()? {
            return Ok(Some(command));
        }
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut next = self.take();
        if matches!(next, Ok(None)) {
            self.sleep(patience, ears);
            next = self.take();
        }
        self.asleep.store(false, Ordering::Relaxed);
        next
    }

    /// An interrupted sleep is a short one: the caller looks around and comes back.
    fn sleep(&self, patience: Option<Duration>, ears: Option<BorrowedFd>) {
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let fd = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut fds = vec![fd(std::os::fd::AsFd::as_fd(&self.wire))];
        fds.extend(ears.map(fd));
        poll(&mut fds, patience.as_ref()).ok();
        if !fds[0].revents().is_empty() {
            while matches!((&self.wire).read(&mut [0; 16]), Ok(1..)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::work::Work;
    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    fn send(outbox: &Outbox, id: i64) {
        outbox.send(Command { work: Work::GiveBack { id, counted: true }, reply: None }).unwrap();
    }

    #[test]
    fn no_command_is_slept_through() {
        let (there, inbox) = pair().unwrap();
        let (back, answers) = pair().unwrap();
        let echo = std::thread::spawn(move || {
            while let Ok(command) = inbox.wait(LONG, None) {
                // None: a bell that was rung for a command which was seen without it.
                if let Some(Command { work: Work::GiveBack { id, .. }, .. }) = command {
                    send(&back, id);
                }
            }
        });
        let start = std::time::Instant::now();
        for id in 0..5_000 {
            send(&there, id);
            while answers.wait(LONG, None).unwrap().is_none() {}
        }
        assert!(start.elapsed() < Duration::from_secs(60), "slept to the end of its patience");
        drop(there);
        echo.join().unwrap();
    }

    #[test]
    fn the_last_end_that_goes_wakes_the_thread() {
        let (outbox, inbox) = pair().unwrap();
        let thread = std::thread::spawn(move || while inbox.wait(None, None).is_ok() {});
        drop(outbox.clone());
        drop(outbox);
        thread.join().unwrap();
    }
}
