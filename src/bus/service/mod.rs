//! Services that talk by events and commands, as [eventail](https://pypi.org/project/eventail/) 2.3.6 has them on the wire:
//! either side may be written with either.
//!
//! * An **event** says what has happened, `OrderPlaced`. It goes to every service that subscribes to it, and there to one
//!   instance.
//! * A **command** asks one service for something, `stock.Reserve`. It is answered by a **result**, which says `success`
//!   or `error`.
//! * A **configuration** goes to every instance of the services that subscribe to it, and may be waited for at the start.
//! * All that belongs together bears the same *conversation* identifier, through any number of services.
//!
//! A [`Service`] publishes, asks and answers; [`Service::run`] handles what comes. An incoming message is acknowledged when
//! everything that its handler published is confirmed. What fails is tried again, with growing pauses and a count of its
//! own; what fails too often lies in `<service>.dead`, with its reason. Whoever asks is answered, or told that time is up.

mod calls;
mod conversation;
mod desk;
mod gelf;
mod incoming;
mod ledger;
mod logs;
mod open;
mod options;
mod queues;
mod run;
mod wire;

pub use conversation::{CallError, Conversation};
pub use gelf::{Log, Severity};
pub use incoming::{Failure, Incoming, Kind};
pub use logs::{LogPump, Logs, logs};
pub use open::Service;
pub use options::{Exchanges, Queues, ServiceOptions};
pub use wire::CONVERSATION;
