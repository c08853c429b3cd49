//! Where a message waits for its next try: a queue without consumers, one for each queue and delay, whose messages expire
//! into the queue they came from. The broker does the waiting, so no process has to live that long.

use super::super::{Error, Message, Queue, QueueKind, Topology};
use super::connection::Bus;
use super::publisher::Publisher;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between the name of the queue and the delay.
const MARK: &str = ".retry-after-";
/// How long such a queue is there after its last message went on. Publishing does not prolong it, declaring does: so it is
/// declared again long before.
const KEPT: Duration = Duration::from_secs(3600);
const DECLARED_AGAIN: Duration = Duration::from_secs(1800);
/// The longest delay: with what is [`KEPT`], RabbitMQ's timers hold it.
const LONGEST: Duration = Duration::from_secs(40 * 86_400);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(100);
/// A decade of delays: ten, about evenly spread, so that back-offs with jitter make few queues. Doubling stays on it.
const STEPS: [u128; 10] = [100, 125, 160, 200, 250, 320, 400, 500, 640, 800];

/// Which of these queues were declared, and when.
#[derive(Debug, Default)]
pub(super) struct WaitingRooms(Mutex<HashMap<String, Instant>>);

impl WaitingRooms {
    fn is_fresh(&self, name: &str) -> bool {
        let mut declared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        declared.retain(|_, when| when.elapsed() < DECLARED_AGAIN);
        declared.contains_key(name)
    }

    fn declared(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), Instant::now());
    }

    /// Somebody has deleted it.
    fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl Bus {
    /// Publishes a message of `queue` to where it waits for at least `delay`.
    pub async fn keep_waiting(self: &Arc<Bus>, queue: &str, message: Message, delay: Duration) -> Result<(), Error> {
        let publisher = Publisher::new(self.clone());
        let room = self.waiting_room(queue, delay).await?;
        match publisher.republish("", &room, message.clone()).await {
            Err(Error::Unroutable { .. }) => {
                self.waiting.forget(&room);
                let again = self.waiting_room(queue, delay).await?;
                publisher.republish("", &again, message).await
            }
            published => published,
        }
    }

    /// The queue, declared, in which a message of `queue` waits for at least `delay`.
    async fn waiting_room(&self, queue: &str, delay: Duration) -> Result<String, Error> {
        if delay > LONGEST {
            let why = format!("a message waits {} days at most", LONGEST.as_secs() / 86_400);
            return Err(Error::Unsupported { what: format!("queue {queue:?}"), why });
        }
        let kind = self.plan.queue(queue).map_or(QueueKind::Quorum, |known| known.kind);
        let room = room(queue, kind, delay);
        let name = room.name.clone();
        if !self.waiting.is_fresh(&name) {
            self.declare(&Topology { exchanges: vec![], queues: vec![room] }).await?;
            self.waiting.declared(&name);
        }
        Ok(name)
    }
}

/// As lasting as the queue that it is for.
fn room(queue: &str, kind: QueueKind, delay: Duration) -> Queue {
    let delay = step(delay);
    let kind = if kind == QueueKind::Classic { QueueKind::Quorum } else { kind };
    let room = Queue::new(&format!("{queue}{MARK}{}ms", delay.as_millis())).kind(kind).dead_letters_to("", queue);
    room.message_ttl(delay).expires(delay + KEPT)
}

/// Whether messages only wait in this queue: nobody dies there.
pub(super) fn is_waiting_room(queue: &str) -> bool {
    let delay = queue.rsplit_once(MARK).and_then(|(_, delay)| delay.strip_suffix("ms"));
    delay.is_some_and(|delay| !delay.is_empty() && delay.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The next longer delay for which there may be a queue.
fn step(delay: Duration) -> Duration {
    let wanted = delay.max(SHORTEST).as_nanos().div_ceil(1_000_000);
    let mut decade = 1;
    while wanted > 1000 * decade {
        decade *= 10;
    }
    let found = STEPS.iter().map(|step| step * decade).find(|step| *step >= wanted);
    Duration::from_millis(u64::try_from(found.unwrap_or(1000 * decade)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_rounded_up_to_a_step() {
        let table = [(0, 100), (100, 100), (101, 125), (900, 1000), (1000, 1000), (1001, 1250), (32_000, 32_000)];
        for (wanted, given) in table.into_iter().chain([(900_000, 1_000_000), (3_456_000_000, 4_000_000_000)]) {
            assert_eq!(step(Duration::from_millis(wanted)), Duration::from_millis(given), "{wanted}");
        }
        assert_eq!(step(Duration::from_nanos(100_000_001)), Duration::from_millis(125));
        assert!(step(LONGEST) + KEPT < Duration::from_millis(u32::MAX.into()));
    }

    #[test]
    fn who_waits_has_not_died() {
        let room = room("work", QueueKind::Classic, Duration::from_secs(3));
        assert_eq!((room.name.as_str(), room.kind), ("work.retry-after-3200ms", QueueKind::Quorum));
        assert!(is_waiting_room(&room.name));
        assert!(!is_waiting_room("work") && !is_waiting_room("work.retry-after-ms"));
    }
}
