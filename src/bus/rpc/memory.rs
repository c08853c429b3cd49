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
pub(super) struct Memory(Mutex<VecDeque<Arc<Case>>>);

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
        let mut cases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who comes again comes soon: the newest are looked at first.
        if let Some(known) = cases.iter().rev().find(|case| case.id == id) {
            return known.clone();
        }
        let size = |case: &Arc<Case>| case.answer.get().map_or(0, |answer| answer.body.len());
        while cases.len() >= MOST || cases.iter().map(size).sum::<usize>() > LARGEST {
            cases.pop_front();
        }
        let case = Arc::new(Case { id: id.into(), ..Case::default() });
        cases.push_back(case.clone());
        case
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
}
