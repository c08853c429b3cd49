//! One transaction: the work of many, committed together, each piece with a savepoint of its own.

use super::claims::{self, claim, give_back, give_back_all, give_back_orphans};
use super::clients::{Client, Dead};
use super::file::Failure;
use super::rows::Parcel;
use super::takers::{Taker, Takers};
use super::transaction::{begin, begin_now, end, guarded};
use super::work::{Command, ConsumerId, Told, Work};
use super::{declare, look, moments, post};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};

/// What the file does not say yet and must say soon: it is kept until it is committed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Messages that go back, and whether that counts as a try.
    pub returns: BTreeMap<i64, bool>,
    /// Consumers that are gone.
    pub leavers: BTreeSet<ConsumerId>,
    /// Messages that go back because their owner is not on the list of clients.
    pub orphans: bool,
}

impl Owed {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.returns.is_empty() && self.leavers.is_empty() && !self.orphans
    }
}

/// What a group is made of.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub db: &'a Connection,
    pub client: &'a Client,
    pub batch: &'a [Command],
    pub dead: &'a [Dead],
    pub owed: &'a mut Owed,
    pub takers: &'a Takers,
    /// Something failed a moment ago through nobody's fault: take nothing new yet.
    pub resting: bool,
}

/// What is true once a group is committed.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// One for each command.
    pub answers: Vec<Result<Told, Failure>>,
    /// New consumers.
    pub takers: Vec<Taker>,
    /// New claims, by queue.
    pub claimed: Vec<(String, Vec<Parcel>)>,
    /// The dead whose messages are back.
    pub cleared: Vec<i64>,
    /// What the file did not take, and is still owed.
    pub unpaid: Owed,
    /// When something will happen by itself.
    pub next: Option<i64>,
    /// The locks of those who may have waited for something in it.
    pub bells: Vec<String>,
    /// Part of it failed through nobody's fault: rest before the next try.
    pub trouble: bool,
    /// Nothing was claimed, or not all that is wanted.
    pub unclaimed: bool,
}

impl Done {
    /// What failed is tried again, after a rest.
    fn failed(&mut self, doing: &str, failure: &Failure) {
        tracing::warn!(?failure, "the bus file does not take a change, trying again: {doing}");
        self.trouble = true;
    }
}

impl Group<'_> {
    /// Commits everything, or nothing: then the error is not one command's alone.
    pub fn commit(mut self) -> Result<Done, Failure> {
        let _turn = self.client.turn();
        begin(self.db)?;
        let db = self.db;
        end(db, self.inside())
    }

    /// The dead come first, so that their messages count as ready; the claims last, when all room is known.
    fn inside(&mut self) -> Result<Done, Failure> {
        let mut done = Done::default();
        let last = "SELECT ifnull(max(id), 0) FROM bus_messages";
        let last = self.db.prepare_cached(last)?.query_row([], |row| row.get(0))?;
        let mut wide = !self.dead.is_empty();
        for dead in self.dead {
            match guarded(self.db, || clear_up(self.db, dead))? {
                Ok(()) => done.cleared.push(dead.id),
                Err(failure) => done.failed("clearing up after a client", &failure),
            }
        }
        wide |= self.pass(&mut done)?;
        for command in self.batch {
            let answer = self.answer(command, &mut done)?;
            done.answers.push(answer);
        }
        pay(self.db, self.client.id, self.owed, &mut done)?;
        if !self.owed.is_empty() {
            // What came back may have died in the meantime.
            self.pass(&mut done)?;
            wide = true;
        }
        self.claim(&mut done)?;
        done.next = moments::next(self.db)?;
        done.bells = match wide {
            true => self.client.everybody(self.db)?,
            false => self.client.listeners(self.db, last)?,
        };
        Ok(done)
    }

    /// What is due. Whether there was anything.
    fn pass(&self, done: &mut Done) -> Result<bool, Failure> {
        let passed = guarded(self.db, || moments::pass(self.db))?;
        Ok(passed.unwrap_or_else(|failure| {
            done.failed("what is due", &failure);
            false
        }))
    }

    /// A message whose settlement failed goes back, and only what was refused is counted as a try.
    fn answer(&mut self, command: &Command, done: &mut Done) -> Result<Result<Told, Failure>, Failure> {
        if command.is_abandoned() {
            return Ok(Ok(Told::default()));
        }
        let answer = guarded(self.db, || perform(self.db, self.client.id, &command.work, &mut done.takers))?;
        if let (Err(failure), Work::Settle { id, .. }) = (&answer, &command.work) {
            self.owed.returns.insert(*id, failure.is_refusal());
            // What goes back through nobody's fault would come again as fast as it can fail: nothing is claimed now.
            done.trouble |= !failure.is_refusal();
            done.unclaimed |= !failure.is_refusal();
        }
        Ok(answer)
    }

    fn claim(&self, done: &mut Done) -> Result<(), Failure> {
        done.unclaimed |= self.resting;
        if done.unclaimed {
            return Ok(());
        }
        for (queue, room) in self.takers.wanted() {
            match guarded(self.db, || claim(self.db, self.client.id, queue, room))? {
                Ok(parcels) => done.claimed.push((queue.into(), parcels)),
                Err(failure) => {
                    done.failed("taking messages", &failure);
                    done.unclaimed = true;
                }
            }
        }
        Ok(())
    }
}

/// Takes back what somebody held who has died, unless others have done so.
fn clear_up(db: &Connection, dead: &Dead) -> Result<(), Failure> {
    if dead.is_listed(db)? {
        give_back_all(db, dead.id)?;
        dead.strike(db)?;
    }
    Ok(())
}

fn perform(db: &Connection, me: i64, work: &Work, takers: &mut Vec<Taker>) -> Result<Told, Failure> {
    match work {
        Work::Declare(topology) => declare::declare(db, me, topology)?,
        Work::Publish { exchange, key, message } => post::publish(db, exchange, key, message)?,
        Work::Settle { id, how } => claims::settle(db, me, *id, how)?,
        Work::Look(question) => return look::answer(db, me, question),
        Work::Purge { queue } => return Ok(Told { purged: declare::purge(db, me, queue)?, ..Told::default() }),
        Work::Delete { queue, unused } => {
            return Ok(Told { deleted: declare::delete(db, me, queue, *unused)?, ..Told::default() });
        }
        Work::Consume { consumer, queue, prefetch, parcels } => {
            declare::usable_queue(db, me, queue)?;
            let prefetch = usize::from((*prefetch).max(1));
            register(db, me, *consumer, queue, prefetch)?;
            takers.push(Taker { id: *consumer, queue: queue.clone(), prefetch, parcels: parcels.clone() });
        }
        // Already among the debts of this group; here they only wait for its commit.
        Work::Cancel { .. } | Work::GiveBack { .. } | Work::Close => {}
    }
    Ok(Told::default())
}

/// Puts a consumer on the list.
pub(super) fn register(
    db: &Connection,
    me: i64,
    consumer: ConsumerId,
    queue: &str,
    prefetch: usize,
) -> Result<(), Failure> {
    let (consumer, prefetch) = (consumer.cast_signed(), i64::try_from(prefetch).unwrap_or(i64::MAX));
    let sql = "INSERT OR REPLACE INTO bus_consumers VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, params![me, consumer, queue, prefetch])?;
    Ok(())
}

/// Each debt by itself; what cannot be paid now stays owed.
fn pay(db: &Connection, me: i64, owed: &Owed, done: &mut Done) -> Result<(), Failure> {
    for (id, counted) in &owed.returns {
        if let Err(failure) = guarded(db, || give_back(db, me, *id, *counted))? {
            done.failed("giving a message back", &failure);
            done.unpaid.returns.insert(*id, *counted);
        }
    }
    for consumer in &owed.leavers {
        if let Err(failure) = guarded(db, || moments::leave(db, me, Some(consumer.cast_signed())))? {
            done.failed("removing a consumer", &failure);
            done.unpaid.leavers.insert(*consumer);
        }
    }
    if owed.orphans
        && let Err(failure) = guarded(db, || give_back_orphans(db))?
    {
        done.failed("giving back what nobody holds", &failure);
        done.unpaid.orphans = true;
    }
    Ok(())
}

/// The last transaction of a connection. It does not wait for ever: whoever does not get through is taken for dead
/// by the others, to the same effect.
/// Returns the locks of those who may have waited for what goes back.
pub(super) fn say_goodbye(db: &Connection, client: &Client, owed: &Owed) -> Result<Vec<String>, Failure> {
    begin_now(db)?;
    let outcome = pay(db, client.id, owed, &mut Done::default())
        .and_then(|()| give_back_all(db, client.id))
        .and_then(|()| client.strike(db))
        .and_then(|()| client.everybody(db));
    end(db, outcome)
}
