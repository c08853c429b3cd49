//! Carries. The words of AMQP as kombu uses them, over two transports chosen by URL: `amqp[s]://` is RabbitMQ,
//! `sqlite:PATH` is one file that any number of processes on this machine may open.
//!
//! Both keep the same promises, and `tests/bus.rs` holds them to it:
//!
//! * [`Publisher::publish`] returns once the message is durable *and* routed to a queue.
//! * A [`Delivery`] is settled exactly once, by value. One that is dropped, or whose process dies, goes back to
//!   its queue and is delivered again, with its attempt counted.
//! * What is rejected, or came back too often, goes to the dead-letter exchange of its queue, with its reason.
//! * A [`Consumer`] never holds more than its prefetch, and shares a queue fairly with others.
//! * A lost connection is rebuilt, with its topology; nobody above needs to notice.
//!
//! This room has never heard of a fractal.

pub mod amqp;
pub mod local;
pub mod rpc;
pub mod service;

mod backoff;
mod body;
mod connection;
mod consumer;
mod entity;
mod error;
mod limits;
mod message;
mod publisher;
mod routing;

pub(crate) use amqp::mask as shown;
pub use backoff::Backoff;
pub use body::Compression;
pub use connection::{Connection, Depth, Options, Senders};
pub use consumer::Consumer;
pub use entity::{Binding, Exchange, ExchangeKind, HeaderMatch, Queue, QueueKind, Topology};
pub use error::Error;
pub use message::{Death, Delivery, HeaderValue, Message, Seen};
pub use publisher::Publisher;
pub use routing::matches;
