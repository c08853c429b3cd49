//! One transaction: the work of many, committed together, each piece with a savepoint of its own.

use super::super::Depth;
use super::claims::{self, claim, give_back, give_back_all};
use super::clients::{Client, Dead};
use super::file::Failure;
use super::post;
use super::rows::Parcel;
use super::takers::{Taker, Takers};
use super::work::{Command, ConsumerId, Work};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};

/// What the file does not say yet and must say soon: it is kept until it is committed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Messages that go back, and whether that counts as a try.
    pub returns: BTreeMap<i64, bool>,
    /// Consumers that are gone.
    pub leavers: BTreeSet<ConsumerId>,
}

impl Owed {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.returns.is_empty() && self.leavers.is_empty()
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
}

/// What is true once a group is committed.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// One for each command.
    pub answers: Vec<Result<Option<Depth>, Failure>>,
    /// New consumers.
    pub takers: Vec<Taker>,
    /// New claims, by queue.
    pub claimed: Vec<(i64, Parcel)>,
    /// Others may have waited for something in it.
    pub news: bool,
}

impl Group<'_> {
    /// Commits everything, or nothing: then the error is not one command's alone.
    pub fn commit(mut self) -> Result<Done, Failure> {
        begin(self.db)?;
        let db = self.db;
        end(db, self.inside())
    }

    /// The dead come first, so that their messages count as ready; the claims last, when all room is known.
    fn inside(&mut self) -> Result<Done, Failure> {
        for dead in self.dead {
            give_back_all(self.db, dead.id)?;
            dead.strike(self.db)?;
        }
        let mut done = Done::default();
        for Command { work, .. } in self.batch {
            let answer = guarded(self.db, || perform(self.db, self.client.id, work, &mut done.takers))?;
            if let (Err(_), Work::Settle { id, .. }) = (&answer, work) {
                self.owed.returns.insert(*id, true);
            }
            done.answers.push(answer);
        }
        pay(self.db, self.client.id, self.owed)?;
        done.news = !self.dead.is_empty()
            || !self.owed.returns.is_empty()
            || self.batch.iter().any(|command| command.work.fills_a_queue());
        for (queue, room) in self.takers.wanted() {
            match guarded(self.db, || claim(self.db, self.client.id, queue, room))? {
                Ok(parcels) => done.claimed.extend(parcels.into_iter().map(|parcel| (queue, parcel))),
                Err(failure) => tracing::warn!(?failure, "cannot take messages from the bus file"),
            }
        }
        Ok(done)
    }
}

/// The thread waits for the write lock as long as it takes; callers have time-outs of their own.
fn begin(db: &Connection) -> Result<(), Failure> {
    loop {
        match begin_now(db) {
            Err(failure) if failure.is_busy() => {
                tracing::warn!("another program keeps the bus file locked; waiting for it")
            }
            outcome => return outcome,
        }
    }
}

fn begin_now(db: &Connection) -> Result<(), Failure> {
    Ok(db.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)?)
}

fn end<T>(db: &Connection, outcome: Result<T, Failure>) -> Result<T, Failure> {
    let outcome = outcome.and_then(|done| {
        db.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    });
    if outcome.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK").ok();
    }
    outcome
}

/// What fails inside leaves no trace and harms nobody else. The outer error means that SQLite has given up the whole
/// transaction.
fn guarded<T>(db: &Connection, work: impl FnOnce() -> Result<T, Failure>) -> Result<Result<T, Failure>, Failure> {
    let run = |sql: &str| db.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT bus_one")?;
    let outcome = work();
    match outcome {
        Err(failure) if db.is_autocommit() => return Err(failure),
        Err(_) => run("ROLLBACK TO bus_one")?,
        Ok(_) => 0,
    };
    run("RELEASE bus_one")?;
    Ok(outcome)
}

fn perform(db: &Connection, me: i64, work: &Work, takers: &mut Vec<Taker>) -> Result<Option<Depth>, Failure> {
    match work {
        Work::Declare(topology) => post::declare(db, topology)?,
        Work::Publish { exchange, key, message } => post::publish(db, exchange, key, message)?,
        Work::Settle { id, how } => claims::settle(db, me, *id, how)?,
        Work::Look { queue } => return claims::depth(db, queue).map(Some),
        Work::Consume { consumer, queue, prefetch, parcels } => {
            let (queue, _) = post::existing_queue(db, queue)?;
            let prefetch = usize::from((*prefetch).max(1));
            register(db, me, *consumer, queue, prefetch)?;
            takers.push(Taker { id: *consumer, queue, prefetch, parcels: parcels.clone() });
        }
        // Already among the debts of this group; here they only wait for its commit.
        Work::Cancel { .. } | Work::GiveBack { .. } | Work::Close => {}
    }
    Ok(None)
}

fn register(db: &Connection, me: i64, consumer: ConsumerId, queue: i64, prefetch: usize) -> Result<(), Failure> {
    let (consumer, prefetch) = (consumer.cast_signed(), i64::try_from(prefetch).unwrap_or(i64::MAX));
    db.execute("INSERT INTO bus_consumers VALUES (?1, ?2, ?3, ?4)", params![me, consumer, queue, prefetch])?;
    Ok(())
}

fn pay(db: &Connection, me: i64, owed: &Owed) -> Result<(), Failure> {
    owed.returns.iter().try_for_each(|(id, counted)| give_back(db, me, *id, *counted))?;
    for consumer in &owed.leavers {
        let sql = "DELETE FROM bus_consumers WHERE client = ?1 AND number = ?2";
        db.prepare_cached(sql)?.execute([me, consumer.cast_signed()])?;
    }
    Ok(())
}

/// The last transaction of a connection. It does not wait for ever: whoever does not get through is taken for dead
/// by the others, to the same effect.
pub(super) fn say_goodbye(db: &Connection, client: &Client, owed: &Owed) -> Result<(), Failure> {
    begin_now(db)?;
    let outcome = pay(db, client.id, owed).and_then(|()| give_back_all(db, client.id)).and_then(|()| client.strike(db));
    end(db, outcome)
}
