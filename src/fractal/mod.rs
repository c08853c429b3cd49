//! Draws. A [`Scene`] becomes escapes, escapes become colours, colours a [`Picture`], a picture a PNG.
//!
//! Everything here is a pure function of the scene: no clock, no randomness, no files, no bus. The same
//! scene gives the same bytes on every machine, which is what makes a redelivered task harmless and a
//! checksum worth recording.

mod border;
pub mod catalogue;
mod colouring;
mod constant;
mod distance;
mod draw;
mod escape;
mod formula;
pub mod lanes;
mod large;
mod light;
mod palette;
mod picture;
mod reading;
mod scene;
mod viewport;

pub use border::Border;
pub use colouring::{Colouring, Samples};
pub use constant::julia_constant;
pub use distance::distance;
pub use draw::{POINTS, Stop, bands, draw};
pub use escape::{Escape, escape};
pub use formula::Formula;
pub use large::{LARGE, write_large};
pub use palette::{Palette, Rgb};
pub use picture::Picture;
pub(crate) use scene::harmless;
pub use scene::{Invalid, Limits, Scene, SceneFields};
pub use viewport::Viewport;
