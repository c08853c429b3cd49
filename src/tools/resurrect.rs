//! Sends dead messages back to where they died, each only once its copy is confirmed in a queue.

mod verdict;

pub use verdict::{Fate, Verdict};

use crate::bus::service::Exchanges;
use crate::bus::{Connection, Consumer, Delivery, Error};
use std::time::Duration;

/// The header that counts how often a message was sent back.
pub const RESURRECTED: &str = "x-oat-resurrected";

/// How many are fetched at first: what is fetched and not wanted has to be put back.
const FIRST_WINDOW: u16 = 16;
/// The most that is fetched at once.
const WIDEST_WINDOW: u16 = 16_384;
/// How long a message that is there may take to come, before the queue is asked whether it is.
const MOMENT: Duration = Duration::from_secs(1);
/// How many such moments, if the queue says it is not empty and yet gives nothing: somebody else is served before us.
const MOMENTS: usize = 10;
/// A message that came back this often goes back as a copy: RabbitMQ drops what came back too often, from 20 times on.
const WORN: u32 = 10;

/// Where to send what died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The queue it died in, unless its service would not know it there, see [`Verdict`].
    #[default]
    Home,
    /// The queue it died in, in any case.
    Queue,
    /// The exchange it was sent to, and so every queue that is bound there.
    Exchange,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The queue of the dead.
    pub queue: String,
    /// A topic pattern for the routing key with which a message was sent; others stay.
    pub only: Option<String>,
    /// How many to send back at most.
    pub limit: Option<usize>,
    /// What died more often than this stays.
    pub max_deaths: u64,
    /// Where to.
    pub target: Target,
    /// What the exchanges of services are called.
    pub exchanges: Exchanges,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many are alive again, or would be.
    pub moved: usize,
    /// How many could not or should not go, and stay dead.
    pub stayed: usize,
    /// How many were not meant.
    pub passed_over: usize,
}

impl Summary {
    fn count(&mut self, verdict: &Verdict) {
        match verdict.fate {
            Fate::Queue(_) | Fate::Exchange { .. } => self.moved += 1,
            Fate::Stays(_) => self.stayed += 1,
            Fate::NotMeant => self.passed_over += 1,
        }
    }
}

/// What would happen, without making it happen. Looking costs what [`Connection::browse`] says; so does `spare`.
pub async fn rehearse(
    connection: &Connection,
    settings: &Settings,
    spare: Option<u32>,
) -> Result<(Summary, Vec<Verdict>), Error> {
    let waiting = connection.depth(&settings.queue).await?.ready;
    let seen = connection.browse(&settings.queue, usize::try_from(waiting).unwrap_or(usize::MAX), spare).await?;
    let (mut summary, mut verdicts) = (Summary::default(), Vec::new());
    for seen in &seen {
        if settings.limit.is_some_and(|limit| summary.moved >= limit) {
            break;
        }
        let verdict = Verdict::of(&seen.message, &seen.deaths, settings, is_file(connection));
        summary.count(&verdict);
        verdicts.push(verdict);
    }
    Ok((summary, verdicts))
}

/// Sends back what was dead when it began, and ends: what dies again meanwhile is left for the next time. `tell` hears
/// of each message. What stays is put back at the end; dropped halfway, this puts back all that it holds.
pub async fn resurrect(
    connection: &Connection,
    settings: &Settings,
    mut tell: impl FnMut(&Verdict),
) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    let waiting = connection.depth(&settings.queue).await?.ready;
    let mut window = FIRST_WINDOW;
    let mut consumer = connection.consume(&settings.queue, window).await?;
    let (mut held, mut room) = (Vec::new(), usize::from(window));
    for _ in 0..waiting {
        if settings.limit.is_some_and(|limit| summary.moved >= limit) {
            break;
        }
        if held.len() == room {
            // Everything that may be out is in our hands, and more is wanted.
            consumer.cancel().await;
            window = window.saturating_mul(2).min(WIDEST_WINDOW);
            consumer = connection.consume(&settings.queue, window).await?;
            room += usize::from(window);
        }
        let Some(delivery) = next(connection, &settings.queue, &mut consumer).await? else { break };
        let mut verdict = Verdict::of(&delivery.message, &delivery.deaths, settings, is_file(connection));
        match revive(connection, &delivery, &verdict).await? {
            None => delivery.ack().await?,
            Some(fate) => {
                verdict.fate = fate;
                held.push(delivery);
            }
        }
        summary.count(&verdict);
        tell(&verdict);
    }
    consumer.cancel().await;
    for delivery in held {
        put_back(connection, delivery).await?;
    }
    Ok(summary)
}

/// Publishes a living copy. `None` if there is one now, and otherwise what becomes of the dead one.
async fn revive(connection: &Connection, delivery: &Delivery, verdict: &Verdict) -> Result<Option<Fate>, Error> {
    let (exchange, key) = match &verdict.fate {
        Fate::Queue(queue) => ("", queue.as_str()),
        Fate::Exchange { exchange, key } => (exchange.as_str(), key.as_str()),
        stays => return Ok(Some(stays.clone())),
    };
    match connection.publisher().publish(exchange, key, verdict.living(&delivery.message)).await {
        Ok(()) => Ok(None),
        Err(error @ (Error::Unroutable { .. } | Error::Missing { .. } | Error::Nacked { .. })) => {
            Ok(Some(Fate::Stays(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

/// The next of the dead, or `None` if there is none any more.
async fn next(connection: &Connection, queue: &str, consumer: &mut Consumer) -> Result<Option<Delivery>, Error> {
    for _ in 0..MOMENTS {
        match tokio::time::timeout(MOMENT, consumer.next()).await {
            Ok(delivery) => return Ok(delivery),
            Err(_) if connection.depth(queue).await?.ready == 0 => return Ok(None),
            Err(_) => {}
        }
    }
    Ok(None)
}

/// As it was, as far as the bus can do that: a file can; RabbitMQ marks it as redelivered and may count that.
async fn put_back(connection: &Connection, delivery: Delivery) -> Result<(), Error> {
    match is_file(connection) || delivery.attempt >= WORN {
        true => delivery.give_back().await,
        false => {
            drop(delivery);
            Ok(())
        }
    }
}

fn is_file(connection: &Connection) -> bool {
    matches!(connection, Connection::Local(_))
}
