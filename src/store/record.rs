//! What the store knows of a task, in the words of its callers. How it is kept is not known here.

use crate::task::{Drawn, Task};
use chrono::{DateTime, Utc};

/// Where a task stands. `Done`, `Failed` and `Cancelled` are ends; only a failure can still become a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Recorded; no broker has confirmed it yet.
    New,
    /// In a queue, or with a worker.
    Queued,
    /// Its picture is stored.
    Done,
    /// It will not be drawn.
    Failed,
    /// Nobody wants it any more.
    Cancelled,
}

impl State {
    /// All of them, in the order of a task's life.
    pub const ALL: [State; 5] = [State::New, State::Queued, State::Done, State::Failed, State::Cancelled];

    /// The name in the table, in commands and on pages.
    pub fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Queued => "queued",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    pub fn named(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What is known of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The task as it was sent.
    pub task: Task,
    /// Where it stands.
    pub state: State,
    /// The picture, when it is done.
    pub drawn: Option<Drawn>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Who drew it, or gave up on it.
    pub worker: Option<String>,
    /// The try that ended it, from 1; 0 while none has.
    pub attempt: u32,
    /// How often it was confirmed by a broker.
    pub publishes: u32,
    /// When it was recorded; like all times here it is kept to the microsecond.
    pub created_at: DateTime<Utc>,
    /// When a broker first had it.
    pub published_at: Option<DateTime<Utc>>,
    /// When the worker began, by the worker's clock.
    pub started_at: Option<DateTime<Utc>>,
    /// When the worker ended, by its clock where it told the time, or when the end was recorded.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What became of an outcome that was handed to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The record now shows it.
    Recorded,
    /// The task was not known; it came along with the outcome, and a record was made of both.
    Adopted,
    /// The same picture, or a failure after a failure: nothing changed.
    Duplicate,
    /// Too late to count: the task is cancelled, or its picture is there and this is a failure.
    Late,
    /// Another picture is on record and stays there. The same scene gives the same bytes, so somebody is wrong.
    Conflict {
        /// The checksum on record.
        recorded: String,
    },
    /// The record is of another scene: somebody used the identifier twice.
    Stranger,
    /// Neither a record nor, in the outcome, a task.
    Unknown,
}

/// A task that nobody has heard of for too long.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// What to publish again.
    pub task: Task,
    /// New: it was never confirmed. Queued: it was, and may be lost.
    pub state: State,
    /// How often it was confirmed until now.
    pub publishes: u32,
}

/// Which records to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only these.
    pub state: Option<State>,
    /// Only those that this worker ended.
    pub worker: Option<String>,
    /// The most that are wanted.
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter { state: None, worker: None, limit: 100 }
    }
}

/// How many tasks stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// [`State::New`].
    pub new: u64,
    /// [`State::Queued`].
    pub queued: u64,
    /// [`State::Done`].
    pub done: u64,
    /// [`State::Failed`].
    pub failed: u64,
    /// [`State::Cancelled`].
    pub cancelled: u64,
}

impl Counts {
    /// The count of one state.
    pub fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::New => &mut self.new,
            State::Queued => &mut self.queued,
            State::Done => &mut self.done,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
        }
    }
}
