//! The bus over RabbitMQ, by lapin. What each part is for:
//!
//! * a `Session` is one AMQP connection while it lasts; it is never repaired, only replaced;
//! * a `Link` always has the latest session: its supervisor replaces a lost one, with its topology;
//! * a [`Connection`] is one link to consume and a `Pool` of links to publish, so that an alarm of the
//!   broker, which stops whoever publishes, stops no acks; they live on a small runtime of their own, so that heartbeats
//!   go out whatever the program is busy with.
//!
//! lapin's own recovery is not used: it doubles bindings and leaves dead channels behind. Nothing awaits lapin
//! without a time-out or an eye on the session: some of its futures never end when the connection does.
//!
//! From the outside in:
//!
//! * `connection`, `publisher`, `consumer`, `receipt`, `requester`: what callers hold.
//! * Publishing: a `seat` on a `sender` of the `pool`, and there the `lane`, or a channel `alone`.
//! * Consuming: the `keeper` keeps the subscription, the `tap` takes its deliveries from the stream into the `inbox` of the
//!   consumer, the `lease` is the channel and what is out on it; in `waiting` messages wait for their next try.
//! * Asking about queues: `looking`; into them, which AMQP does not know: `browsing`.
//! * Being connected: `link`, `session`, the `plan` that each session is built from, the `socket` and its `wire`, and what lapin
//!   reads from it through the `reactor`, not too deep (`depth`); `news` is what the log tells of it.
//! * Words: `url`, `arguments` of declarations, messages as they come and go (`convert`, `copying`, `deaths`), and `failure`,
//!   which of our errors it is when lapin has one.

mod alone;
mod arguments;
mod browsing;
mod connection;
mod consumer;
mod convert;
mod copying;
mod deaths;
mod depth;
mod failure;
mod inbox;
mod keeper;
mod lane;
mod lease;
mod link;
mod looking;
mod news;
mod plan;
mod pool;
mod publisher;
mod reactor;
mod receipt;
mod requester;
mod seat;
mod sender;
mod session;
mod socket;
mod tap;
mod url;
mod waiting;
mod wire;

pub use connection::Connection;
pub use consumer::Consumer;
pub use publisher::Publisher;
pub use receipt::Receipt;
pub use requester::{Hear, Requester};
pub(crate) use url::mask;

use std::time::Duration;

/// One attempt to connect: the socket, TLS and AMQP's greetings.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// One question to the broker. A quorum queue may elect a leader before it answers.
const ANSWER: Duration = Duration::from_secs(15);
/// Saying goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
