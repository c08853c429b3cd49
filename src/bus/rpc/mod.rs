//! Calling a method of a program at the other end of a bus: a request, an answer, and never a doubt what became of it.
//!
//! A [`Server`] takes requests from a queue and answers each to the queue that it names; a [`Client`] sends them and waits.
//! Both speak to a [`Target`], which is either one of ours or one of oslo.messaging's.
//!
//! * A call has a deadline. A request that is late is not executed, and one whose caller is gone is called off.
//! * Nobody serves: the caller learns it at once, as [`Error::Unroutable`].
//! * A request may come twice, after a lost connection for instance. It is executed once in a server, and answered twice.
//! * A method that fails answers with a [`Failure`]: a kind for programs, a message for people.

mod client;
mod line;
mod memory;
mod oat;
mod oslo;
mod server;
mod target;

pub use client::Client;
pub use server::Server;
pub use target::Target;

use serde_json::Value;
use std::time::Duration;

/// What a method is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its name.
    pub method: String,
    /// Its arguments by name.
    pub args: Value,
    /// How long the caller still waited when the request arrived; nobody hears what comes later.
    pub within: Option<Duration>,
}

/// Why a method has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Failure {
    /// For programs, such as `ValueError`: Python callers get a built-in exception of this name as such.
    pub kind: String,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: &str, message: impl Into<String>) -> Failure {
        Failure { kind: kind.into(), message: message.into() }
    }

    /// There is no such method.
    pub fn unknown(method: &str) -> Failure {
        Failure::new(UNKNOWN, format!("there is no method {method:?}"))
    }
}

/// The kind of [`Failure::unknown`], and oslo's word for it.
const UNKNOWN: &str = "NoSuchMethod";

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer in time. The method may have been executed or not.
    #[error("no answer from {target} to {method:?} within {:.1} s", within.as_secs_f64())]
    Timeout {
        /// Who was asked.
        target: String,
        /// For what.
        method: String,
        /// How long was waited.
        within: Duration,
    },
    /// Nobody serves there: the method was not executed.
    #[error("nobody serves {target}")]
    Unroutable {
        /// Who was asked.
        target: String,
    },
    /// The method failed, there.
    #[error("{target} failed: {failure}")]
    Remote {
        /// Who was asked.
        target: String,
        /// What it said.
        failure: Failure,
    },
    /// An answer came that nobody can read.
    #[error("the answer of {target} cannot be read: {why}")]
    Answer {
        /// Who was asked.
        target: String,
        /// What is wrong with it.
        why: String,
    },
    /// The bus could not carry it.
    #[error(transparent)]
    Bus(#[from] super::Error),
}
