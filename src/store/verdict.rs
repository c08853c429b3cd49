//! What an outcome means for a record: the rules of the store, without a database.
//!
//! Outcomes come twice, late and in any order. A cancelled task stays cancelled, a done one stays done, a failed
//! one becomes done when a success arrives after all, since a picture that exists is the truth.

use super::{Finished, State};
use crate::task::{End, Outcome};

/// As much of a record as the rules look at.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub state: State,
    pub checksum: Option<String>,
}

impl Known {
    /// What a record shows after this outcome.
    pub fn after(outcome: &Outcome) -> Known {
        match &outcome.end {
            End::Drawn(drawn) => Known { state: State::Done, checksum: Some(drawn.checksum.clone()) },
            End::Failed { .. } => Known { state: State::Failed, checksum: None },
        }
    }
}

pub(super) fn verdict(known: Option<&Known>, outcome: &Outcome) -> Finished {
    let Some(known) = known else {
        return if outcome.task.is_some() { Finished::Adopted } else { Finished::Unknown };
    };
    match (known.state, &outcome.end) {
        (State::New | State::Queued, _) | (State::Failed, End::Drawn(_)) => Finished::Recorded,
        (State::Failed, End::Failed { .. }) => Finished::Duplicate,
        (State::Cancelled, _) | (State::Done, End::Failed { .. }) => Finished::Late,
        (State::Done, End::Drawn(drawn)) if known.checksum.as_ref() == Some(&drawn.checksum) => Finished::Duplicate,
        (State::Done, End::Drawn(_)) => Finished::Conflict { recorded: known.checksum.clone().unwrap_or_default() },
    }
}
