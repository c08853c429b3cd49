//! Which consumers of this connection want how much, and who holds what. Memory only; the thread alone sees it.

use super::rows::Parcel;
use super::work::ConsumerId;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::mpsc::UnboundedSender;

/// A consumer as the thread knows it.
#[derive(Debug)]
pub(super) struct Taker {
    pub id: ConsumerId,
    /// The name of its queue, which may go and come back.
    pub queue: String,
    pub prefetch: usize,
    pub parcels: UnboundedSender<Parcel>,
}

/// All consumers of a connection, the one that was served longest ago first.
#[derive(Debug, Default)]
pub(super) struct Takers {
    all: Vec<(Taker, usize)>,
    held: HashMap<i64, ConsumerId>,
}

impl Takers {
    /// One more.
    pub fn add(&mut self, taker: Taker) {
        self.all.push((taker, 0));
    }

    /// One less. What it has handed out stays held until it is settled.
    pub fn remove(&mut self, id: ConsumerId) {
        self.all.retain(|(taker, _)| taker.id != id);
    }

    /// This message is settled or given back: its consumer has room again.
    pub fn release(&mut self, message: i64) {
        let holder = self.held.remove(&message);
        if let Some((_, out)) = self.all.iter_mut().find(|(taker, _)| Some(taker.id) == holder) {
            *out -= 1;
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Taker> {
        self.all.iter().map(|(taker, _)| taker)
    }

    /// How many messages are wanted from which queue.
    pub fn wanted(&self) -> BTreeMap<&str, usize> {
        let mut wanted = BTreeMap::new();
        for (taker, out) in self.all.iter().filter(|(taker, out)| *out < taker.prefetch) {
            *wanted.entry(taker.queue.as_str()).or_default() += taker.prefetch - out;
        }
        wanted
    }

    /// Whether somebody waits for a message.
    pub fn any_waits(&self) -> bool {
        self.all.iter().any(|(taker, out)| *out < taker.prefetch)
    }

    /// Gives a claimed message to the consumer of its queue whose turn it is, or says who was gone.
    pub fn hand_out(&mut self, queue: &str, parcel: Parcel) -> Result<(), Gone> {
        let message = parcel.id;
        // Claimed a second time by the same connection: others had taken it for dead, so the first holder has lost it.
        self.release(message);
        let free = |(taker, out): &(Taker, usize)| taker.queue == queue && *out < taker.prefetch;
        let Some(place) = self.all.iter().position(free) else { return Err(Gone { message, consumer: None }) };
        let (taker, out) = self.all.remove(place);
        let consumer = taker.id;
        if taker.parcels.send(parcel).is_err() {
            return Err(Gone { message, consumer: Some(consumer) });
        }
        self.held.insert(message, consumer);
        self.all.push((taker, out + 1));
        Ok(())
    }
}

/// A message that nobody took, for its consumer was dropped while it was claimed.
#[derive(Debug)]
pub(super) struct Gone {
    pub message: i64,
    pub consumer: Option<ConsumerId>,
}

#[cfg(test)]
mod tests {
    use super::super::super::Message;
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    fn parcel(id: i64) -> Parcel {
        Parcel { id, rank: 0, exchange: String::new(), key: String::new(), returns: 0, message: Message::default() }
    }

    #[test]
    fn messages_go_round_and_never_over_the_prefetch() {
        let mut takers = Takers::default();
        let mut ends = Vec::new();
        for (id, prefetch) in [(1, 1), (2, 3)] {
            let (parcels, end) = unbounded_channel();
            takers.add(Taker { id, queue: "q".into(), prefetch, parcels });
            ends.push(end);
        }
        assert_eq!(takers.wanted(), BTreeMap::from([("q", 4)]));
        (1..=4).for_each(|id| takers.hand_out("q", parcel(id)).unwrap());
        assert!(!takers.any_waits() && takers.hand_out("q", parcel(5)).is_err());
        assert_eq!(ends.iter().map(|end| end.len()).collect::<Vec<_>>(), [1, 3]);
        takers.release(1);
        takers.release(1);
        assert_eq!(takers.wanted(), BTreeMap::from([("q", 1)]));
    }

    #[test]
    fn a_message_that_is_claimed_again_takes_one_place_only() {
        let mut takers = Takers::default();
        let (parcels, _end) = unbounded_channel();
        takers.add(Taker { id: 1, queue: "q".into(), prefetch: 2, parcels });
        (0..3).for_each(|_| takers.hand_out("q", parcel(9)).unwrap());
        assert_eq!(takers.wanted(), BTreeMap::from([("q", 1)]));
        takers.release(9);
        assert_eq!(takers.wanted(), BTreeMap::from([("q", 2)]));
    }

    #[test]
    fn a_message_for_a_consumer_that_is_gone_is_not_lost() {
        let mut takers = Takers::default();
        let (parcels, end) = unbounded_channel();
        takers.add(Taker { id: 1, queue: "q".into(), prefetch: 5, parcels });
        drop(end);
        let gone = takers.hand_out("q", parcel(9)).unwrap_err();
        assert_eq!((gone.message, gone.consumer), (9, Some(1)));
        assert!(!takers.any_waits(), "it must not be fed again");
    }
}
