//! The thread that owns the file. It sleeps until there is work; while a consumer waits it also listens whether another
//! process has committed something, and looks now and then whether somebody has died.

use super::super::{Error, QueueKind, Topology};
use super::clients::{Around, Client, Dead};
use super::declare::declare;
use super::ears::Ears;
use super::file::{self, Failure};
use super::group::{Done, Group, Owed, register, say_goodbye};
use super::inbox::Inbox;
use super::moments;
use super::takers::Takers;
use super::transaction::{begin_now, end, guarded};
use super::work::{Answer, Command, Door, Told, Work};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// For the deaf, between two looks for the commits of others while a consumer waits: half of it is the usual latency.
const POLL: Duration = Duration::from_millis(2);
/// The same after a second without any: idle processes should cost nothing that anybody notices.
const DOZE: Duration = Duration::from_millis(8);
const RESTLESS: Duration = Duration::from_secs(1);
/// Between two looks for the dead, and for what was committed by somebody who died before ringing.
const LOOK: Duration = Duration::from_millis(100);
/// As many clients look at each other that often; more look less often, or they would do nothing else.
const CROWD: u32 = 16;
/// A death is heard a moment before the lock of the dead is free.
const LAST_BREATH: Duration = Duration::from_millis(1);
/// After a failure that was nobody's fault, such as a full disk.
const RETRY: Duration = Duration::from_millis(100);
/// More work than this waits for the next transaction.
const GROUP: usize = 512;

/// All that one connection is, apart from its handles.
#[derive(Debug)]
pub(super) struct Actor {
    db: Connection,
    path: PathBuf,
    /// Which file it is, whatever its name.
    identity: Option<(u64, u64)>,
    client: Client,
    inbox: Inbox,
    /// Opened for the first consumer.
    ears: Option<Ears>,
    door: Door,
    takers: Takers,
    /// The queues that are this client's alone, should it be taken for dead.
    exclusive: Topology,
    owed: Owed,
    dead: Vec<Dead>,
    /// `data_version` of the last look: it changes when others commit.
    version: i64,
    next_look: Instant,
    /// When something happens by itself that consumers here may wait for, in milliseconds since 1970.
    due: Option<i64>,
    /// When something was committed last.
    busy: Instant,
    /// After a failure: not before then, unless there is new work.
    pause: Instant,
    /// Something changed after the last claims were made.
    hungry: bool,
    closing: Option<Option<oneshot::Sender<Answer>>>,
}

impl Actor {
    /// Opens the file and puts this client on its list.
    pub fn open(path: &Path, name: &str, inbox: Inbox, door: Door) -> Result<Actor, Error> {
        let open = || {
            let (db, path) = file::open(path)?;
            let client = Client::join(&db, &path, name)?;
            Ok((db, path, client))
        };
        let (db, path, client) = open().map_err(|failure: Failure| failure.into_error(path))?;
        let (now, identity) = (Instant::now(), file::identity(&path, None));
        let (takers, owed, exclusive) = (Takers::default(), Owed::default(), Topology::default());
        let (dead, version, due, hungry, closing, ears) = (Vec::new(), -1, None, false, None, None);
        Ok(Actor {
            db,
            path,
            identity,
            client,
            inbox,
            ears,
            door,
            takers,
            exclusive,
            owed,
            dead,
            version,
            next_look: now,
            due,
            busy: now,
            pause: now,
            hungry,
            closing,
        })
    }

    /// Works until it is told to stop or nobody holds a handle any more.
    pub fn run(mut self) {
        while self.closing.is_none() {
            let Some(batch) = self.next_batch() else { break };
            if self.is_orphaned() {
                break;
            }
            self.look_around(&batch);
            if !batch.is_empty() || self.is_due() {
                self.commit(batch);
            }
        }
        self.goodbye();
    }

    /// Whether the file was deleted, or another one put in its place. What is written into it from now on nobody would ever
    /// read: so all that waits is answered with an error, nothing is delivered any more, and the program has to start again.
    fn is_orphaned(&self) -> bool {
        let orphaned = file::identity(&self.path, self.identity) != self.identity;
        if orphaned {
            let path = self.path.display();
            tracing::error!("the bus file {path} was deleted or replaced while it was open; start this program again");
        }
        orphaned
    }

    /// Everything that waits, or nothing when it is time to look up; `None` when the last handle is gone.
    fn next_batch(&mut self) -> Option<Vec<Command>> {
        let ears = self.ears.as_ref().filter(|_| self.takers.any_waits());
        let mut next = self.inbox.wait(self.patience(), ears.and_then(Ears::fd)).ok()?;
        if self.ears.as_mut().is_some_and(Ears::drain) {
            self.next_look = self.next_look.min(Instant::now() + LAST_BREATH);
        }
        let mut batch = Vec::new();
        while let Some(command) = next {
            batch.extend(self.take_in(command));
            let full = batch.len() >= GROUP || self.closing.is_some();
            next = if full { None } else { self.inbox.take().unwrap_or(None) };
        }
        Some(batch)
    }

    fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        let pause = self.pause.saturating_duration_since(now);
        let hears = self.ears.as_ref().is_some_and(|ears| ears.fd().is_some());
        match () {
            () if self.hungry || !self.owed.is_empty() || !self.dead.is_empty() => Some(pause),
            () if !self.takers.any_waits() => None,
            () if hears => Some(pause.max(self.next_look.saturating_duration_since(now).min(self.until_due()))),
            () => Some(pause.max(if self.busy.elapsed() < RESTLESS { POLL } else { DOZE }.min(self.until_due()))),
        }
    }

    fn until_due(&self) -> Duration {
        self.due.map_or(Duration::MAX, |due| {
            Duration::from_millis(due.saturating_sub(moments::now()).max(0).unsigned_abs())
        })
    }

    /// What is true in memory from the moment it is said, whatever the file will answer.
    fn take_in(&mut self, command: Command) -> Option<Command> {
        match &command.work {
            Work::Settle { id, .. } => self.takers.release(*id),
            Work::GiveBack { id, counted } => self.owe(*id, *counted),
            Work::Cancel { consumer, unread } => {
                self.takers.remove(*consumer);
                self.owed.leavers.insert(*consumer);
                unread.iter().for_each(|id| self.owe(*id, false));
            }
            Work::Close => {
                self.closing = Some(command.reply);
                return None;
            }
            // Before the first claim, so that nothing falls between the two.
            Work::Consume { .. } if self.ears.is_none() => self.ears = Some(self.client.ears()),
            _ => {}
        }
        Some(command)
    }

    fn owe(&mut self, message: i64, counted: bool) {
        self.takers.release(message);
        self.owed.returns.insert(message, counted);
    }

    /// Looks for the dead: in time for consumers that wait, and at once for work that minds them.
    fn look_around(&mut self, batch: &[Command]) {
        let asked = batch.iter().any(|command| command.work.minds_the_dead());
        if !asked && (Instant::now() < self.next_look || !self.takers.any_waits()) {
            return;
        }
        self.next_look = Instant::now() + LOOK;
        match self.client.look_around(&self.db) {
            Ok(Around { dead, listed, clients }) => {
                self.next_look += LOOK * (clients / CROWD);
                let news =
                    dead.into_iter().filter(|new| self.dead.iter().all(|old| old.id != new.id)).collect::<Vec<_>>();
                self.dead.extend(news);
                if !listed {
                    self.relist();
                }
                // If this cannot be looked up, the next look will tell.
                self.owed.orphans |= super::claims::any_orphans(&self.db).unwrap_or(false);
            }
            Err(failure) => tracing::debug!(?failure, "cannot look for dead clients of the bus file"),
        }
    }

    /// Somebody took this client for dead, which only happens if its lock file was deleted by hand.
    fn relist(&mut self) {
        tracing::warn!(path = %self.path.display(), "the lock file of this program was deleted; its deliveries went to others");
        if let Err(failure) = self.list_again() {
            tracing::warn!(?failure, "cannot put this client back on the list of the bus file");
        }
        // The folder may be another one now.
        self.ears = self.ears.take().map(|_| self.client.ears());
    }

    /// The client, its consumers, and the queues that were its alone and went with it.
    fn list_again(&mut self) -> Result<(), Failure> {
        let Actor { db, client, exclusive, takers, .. } = self;
        begin_now(db)?;
        let mut listing = || {
            client.relist(db)?;
            if let Err(failure) = guarded(db, || declare(db, client.id, exclusive))? {
                tracing::warn!(?failure, "the exclusive queues of this program are gone");
            }
            takers.iter().try_for_each(|taker| register(db, client.id, taker.id, &taker.queue, taker.prefetch))
        };
        end(db, listing())
    }

    /// What has been declared for this client alone, and what has been deleted.
    fn remember(&mut self, work: &Work) {
        let queues = &mut self.exclusive.queues;
        match work {
            Work::Declare(topology) => {
                let mine = topology.queues.iter().filter(|queue| queue.kind == QueueKind::Exclusive);
                for queue in mine {
                    queues.retain(|known| known.name != queue.name);
                    queues.push(queue.clone());
                }
            }
            Work::Delete { queue, .. } => queues.retain(|known| known.name != *queue),
            _ => {}
        }
    }

    /// Whether a transaction is worth its while although nobody asked for one.
    fn is_due(&mut self) -> bool {
        if Instant::now() < self.pause {
            return false;
        }
        // If the look failed, the transaction will say why, or succeed.
        self.hungry || !self.owed.is_empty() || !self.dead.is_empty() || self.has_news().unwrap_or(true)
    }

    /// Whether others have committed something that a consumer here waits for.
    fn has_news(&mut self) -> Result<bool, Failure> {
        let version = self.db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version == self.version && self.until_due() > Duration::ZERO {
            return Ok(false);
        }
        self.due = moments::next(&self.db)?;
        if self.until_due().is_zero() {
            return Ok(true);
        }
        for queue in self.takers.wanted().into_keys() {
            if super::claims::any_ready(&self.db, queue)? {
                return Ok(true);
            }
        }
        // Only now: a look that failed, or led to a claim that may fail, is repeated.
        self.version = version;
        Ok(false)
    }

    /// If the group as a whole fails, each piece gets its own chance: one message that does not fit on the disk must
    /// not keep the others from being acknowledged.
    fn commit(&mut self, batch: Vec<Command>) {
        let resting = Instant::now() < self.pause;
        let Actor { db, client, dead, owed, takers, .. } = self;
        match (Group { db, client, batch: &batch, dead, owed, takers, resting }).commit() {
            Ok(done) => self.finish(batch, done),
            Err(_) if batch.len() > 1 => batch.into_iter().for_each(|command| self.commit(vec![command])),
            Err(failure) => self.fail(batch, failure),
        }
    }

    fn finish(&mut self, batch: Vec<Command>, done: Done) {
        self.client.ring(&done.bells);
        self.busy = Instant::now();
        self.owed = done.unpaid;
        self.due = done.next;
        self.hungry = done.unclaimed || !done.takers.is_empty();
        if done.trouble {
            self.pause = Instant::now() + RETRY;
        }
        let cleared = self.dead.extract_if(.., |dead| done.cleared.contains(&dead.id));
        cleared.for_each(Dead::forget);
        for (queue, parcels) in done.claimed {
            for parcel in parcels {
                if let Err(gone) = self.takers.hand_out(&queue, parcel) {
                    self.owed.returns.insert(gone.message, false);
                    self.owed.leavers.extend(gone.consumer);
                }
            }
        }
        for taker in done.takers {
            // Its consumer may have gone while it was being registered, and said so in the same batch.
            match taker.parcels.is_closed() {
                true => drop(self.owed.leavers.insert(taker.id)),
                false => self.takers.add(taker),
            }
        }
        for (command, outcome) in batch.into_iter().zip(done.answers) {
            if outcome.is_ok() {
                self.remember(&command.work);
            }
            self.reply(command, outcome);
        }
    }

    fn fail(&mut self, batch: Vec<Command>, failure: Failure) {
        self.pause = Instant::now() + RETRY;
        let Some(command) = batch.into_iter().next() else {
            return tracing::warn!(why = %failure.into_error(&self.path), "the bus file does not take changes; trying again");
        };
        if let Work::Settle { id, .. } = command.work {
            self.owed.returns.insert(id, failure.is_refusal());
        }
        self.reply(command, Err(failure));
    }

    fn reply(&self, command: Command, outcome: Result<Told, Failure>) {
        if let Some(reply) = command.reply {
            reply.send(outcome.map_err(|failure| failure.into_error(&self.path))).ok();
        }
    }

    /// Whatever is still out goes back. The reply comes when the file is closed.
    fn goodbye(self) {
        self.door.shut();
        drop((self.takers, self.inbox));
        let outcome = say_goodbye(&self.db, &self.client, &self.owed);
        drop(self.db);
        match outcome {
            Ok(bells) => {
                self.client.ring(&bells);
                self.client.leave();
            }
            Err(failure) => tracing::warn!(?failure, "left the bus file without a goodbye; others will clear up"),
        }
        if let Some(reply) = self.closing.flatten() {
            reply.send(Ok(Told::default())).ok();
        }
    }
}

#[cfg(test)]
mod tests;
