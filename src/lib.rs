//! *A **producer** writes **tasks**, the **bus** carries them, **workers** draw, the **tracker** records.*
//!
//! oat draws Julia and Mandelbrot pictures on as many machines as you have. The library is the house in which its
//! programs live; every room has a sentence of its own, and knows only the rooms below it:
//!
//! * [`fractal`] draws: a [`Scene`](fractal::Scene) becomes a [`Picture`](fractal::Picture), the same everywhere.
//! * [`bus`] carries: [`Publisher`](bus::Publisher), [`Consumer`](bus::Consumer) and [`Delivery`](bus::Delivery), over
//!   RabbitMQ or over one SQLite file.
//! * [`task`] is what crosses the bus: a [`Task`](task::Task) there, an [`Outcome`](task::Outcome) back.
//! * [`topology`] says which exchange and queue carries what.
//! * [`store`] remembers a [`Record`](store::Record) of each task, in SQLite, MySQL/MariaDB or PostgreSQL.
//! * [`pictures`] keeps the files.
//! * [`services`] are the producer, the worker, the tracker and its sweeper, and the methods that can be called over the bus.
//! * [`tools`] look into a bus without harming it, and mend what died on it.
//! * [`config`], [`telemetry`], [`shutdown`] serve the programs; [`cli`] is their front door.
//!
//! A picture needs none of the rest:
//!
//! ```
//! use oat::fractal::{Samples, Stop, catalogue, draw};
//!
//! let scene = catalogue::place("seahorse-valley").expect("it is on the tour").scene(64, 48, Samples::FOUR)?;
//! let picture = draw(&scene, &Stop::default()).expect("nobody calls it off");
//! assert_eq!(picture.rgb().len(), 64 * 48 * 3);
//! # Ok::<(), oat::fractal::Invalid>(())
//! ```

// Tests may unwrap: their panic is the report.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod bus;
pub mod cli;
pub mod config;
pub mod fractal;
pub mod pictures;
pub mod services;
pub mod shutdown;
pub mod store;
pub mod task;
pub mod telemetry;
pub mod tools;
pub mod topology;
