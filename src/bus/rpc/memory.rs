//! What a server remembers of its last requests: the answer, so that one that comes again is answered and not executed
//! again; and whether its caller still waits.

use super::super::Message;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// Requests remembered.
const MOST: usize = 1000;
/// Bytes of answers remembered.
const LARGEST: usize = 64 << 20;

/// The last requests.
#[derive(Default)]
pub(super) struct Memory(Mutex<Known>);

#[derive(Default)]
struct Known {
    cases: VecDeque<Arc<Case>>,
    /// What was called off and is no case of ours: it may come yet, or be another server's.
    strangers: VecDeque<String>,
}

/// A request, whoever is busy with it.
#[derive(Default)]
pub(super) struct Case {
    id: String,
    /// Filled once; who comes meanwhile waits for it, and does the work himself if the first one did not.
    pub answer: OnceCell<Message>,
    /// The caller waits no longer.
    pub called_off: CancellationToken,
}

impl Memory {
    /// The request of this identifier, new or not.
    pub fn case(&self, id: &str) -> Arc<Case> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(case) = known.find(id) {
            return case.clone();
        }
        let case = Arc::new(Case { id: id.into(), ..Case::default() });
        if known.strangers.iter().any(|stranger| stranger == id) {
            case.called_off.cancel();
        }
        known.make_room();
        known.cases.push_back(case.clone());
        case
    }

    /// The caller of this request waits no longer. Other servers' callers are heard, too: they must not cost us an answer.
    pub fn call_off(&self, id: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(case) = known.find(id) {
            return case.called_off.cancel();
        }
        if known.strangers.len() >= MOST {
            known.strangers.pop_front();
        }
        known.strangers.push_back(id.into());
    }
}

impl Known {
    /// Who comes again comes soon: the newest are looked at first.
    fn find(&self, id: &str) -> Option<&Arc<Case>> {
        self.cases.iter().rev().find(|case| case.id == id)
    }

    /// Forgets the oldest, but nothing that somebody is busy with.
    fn make_room(&mut self) {
        let size = |case: &Arc<Case>| case.answer.get().map_or(0, |answer| answer.body.len());
        while self.cases.len() >= MOST || self.cases.iter().map(size).sum::<usize>() > LARGEST {
            let Some(oldest) = self.cases.iter().position(|case| Arc::strong_count(case) == 1) else { return };
            self.cases.remove(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_thousand_requests_are_known() {
        let memory = Memory::default();
        for number in 0..=MOST {
            memory.case(&number.to_string()).answer.get_or_init(async || Message::default()).await;
        }
        assert!(memory.case("1").answer.initialized() && !memory.case("0").answer.initialized());
    }

    #[tokio::test]
    async fn large_answers_are_forgotten_earlier() {
        let memory = Memory::default();
        for number in 0..4 {
            let large = Message { body: vec![0; LARGEST / 2], ..Message::default() };
            memory.case(&number.to_string()).answer.get_or_init(async || large).await;
        }
        assert!(memory.case("3").answer.initialized() && !memory.case("0").answer.initialized());
    }

    #[test]
    fn what_somebody_is_busy_with_is_not_forgotten() {
        let memory = Memory::default();
        let busy: Vec<_> = (0..=MOST).map(|number| memory.case(&number.to_string())).collect();
        memory.call_off("0");
        assert!(busy[0].called_off.is_cancelled());
        drop(busy);
        assert!(!memory.case("new").called_off.is_cancelled() && !memory.case("0").called_off.is_cancelled());
    }

    #[test]
    fn of_the_unknown_the_last_thousand_that_were_called_off_are_known() {
        let memory = Memory::default();
        (0..=MOST).for_each(|number| memory.call_off(&number.to_string()));
        assert!(memory.case("1").called_off.is_cancelled() && !memory.case("0").called_off.is_cancelled());
    }
}
