//! Looks into a bus without harming it, and mends what died on it: what `oat bus …` does, without its words.
//!
//! Everything here but the [`probe`] works through [`bus`](crate::bus) alone and so on both transports. A tool
//! declares nothing that others use, listens on queues that are its own, and takes a message away only when its
//! successor is confirmed in a queue.

pub mod ask;
pub mod filter;
pub mod gelf;
pub mod letter;
pub mod listen;
pub mod payload;
pub mod probe;
pub mod resurrect;
pub mod speed;

/// The header with which a service says how a command ended: `success` or `error`.
pub const STATUS: &str = "status";
