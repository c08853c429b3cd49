//! What an outcome means for a record: the rules of the store, without a database.
//!
//! Outcomes come twice, late and in any order. A cancelled task stays cancelled, a done one stays done, a failed
//! one becomes done when a success arrives after all, since a picture that exists is the truth. What is told of another
//! scene than the record's changes nothing: somebody used an identifier twice.

use super::{Finished, State};
use crate::fractal::Scene;
use crate::task::{End, Outcome};

/// As much of a record as the rules look at.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub state: State,
    pub scene: Option<Scene>,
    pub checksum: Option<String>,
    pub pixel_checksum: Option<String>,
}

impl Known {
    /// What a record of this scene shows after this outcome.
    pub fn after(outcome: &Outcome, scene: Option<Scene>) -> Known {
        let (state, checksum, pixel_checksum) = match &outcome.end {
            End::Drawn(drawn) => (State::Done, Some(drawn.checksum.clone()), drawn.pixel_checksum.clone()),
            End::Failed { .. } => (State::Failed, None, None),
        };
        Known { state, scene, checksum, pixel_checksum }
    }

    /// Whether it is told of another scene than this one.
    fn is_not_of(&self, outcome: &Outcome) -> bool {
        matches!((&self.scene, &outcome.task), (Some(scene), Some(task)) if *scene != task.scene)
    }
}

pub(super) fn verdict(known: Option<&Known>, outcome: &Outcome) -> Finished {
    let Some(known) = known else {
        return if outcome.task.is_some() { Finished::Adopted } else { Finished::Unknown };
    };
    if known.is_not_of(outcome) {
        return Finished::Stranger;
    }
    match (known.state, &outcome.end) {
        (State::New | State::Queued, _) | (State::Failed, End::Drawn(_)) => Finished::Recorded,
        (State::Failed, End::Failed { .. }) => Finished::Duplicate,
        (State::Cancelled, _) | (State::Done, End::Failed { .. }) => Finished::Late,
        (State::Done, End::Drawn(drawn)) if known.checksum.as_ref() == Some(&drawn.checksum) => Finished::Duplicate,
        // Another encoder: the file that is there now has these bytes.
        (State::Done, End::Drawn(drawn))
            if known.pixel_checksum.is_some() && known.pixel_checksum == drawn.pixel_checksum =>
        {
            Finished::Recorded
        }
        (State::Done, End::Drawn(_)) => Finished::Conflict { recorded: known.checksum.clone().unwrap_or_default() },
    }
}
