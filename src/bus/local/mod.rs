//! The embedded transport: one SQLite file that any number of processes on this machine open, no server.
//!
//! Every [`Connection`] owns one thread, and that thread owns the SQLite handle: the tokio side sends it work and
//! awaits the answers, so nothing here ever blocks a tokio thread. All work that waits is committed together, which
//! is what makes `synchronous=FULL` affordable. From the outside in:
//!
//! * `connection`, `publisher`, `consumer`, `receipt`: what callers hold; no SQL, only work to be sent.
//! * `work`: what is sent to the thread; `actor`: the thread; `group`: one
//!   `transaction` of it; `takers`: who waits.
//! * `inbox`: where the thread sleeps; `ears`: how it hears of the commits of others.
//! * `declare` makes and removes queues, `post` routes and stores, `claims` hands out and takes back, `look` only looks;
//!   `moments` is what happens by itself; `rows` turns rows into messages.
//! * `clients` tells the living from the dead; `file` opens, `schema` creates.
//!
//! Tables are called `bus_…`, so that the records of an application may live in the same file.

mod actor;
mod claims;
mod clients;
mod connection;
mod consumer;
mod declare;
mod ears;
mod file;
mod group;
mod inbox;
mod look;
mod moments;
mod post;
mod publisher;
mod receipt;
mod rows;
mod schema;
mod takers;
mod transaction;
mod work;

pub use connection::Connection;
pub use consumer::Consumer;
pub use publisher::Publisher;
pub(super) use receipt::Receipt;
