//! Escapes to colours, by name.

use serde::{Deserialize, Serialize};

/// Red, green, blue, eight bits each.
pub type Rgb = [u8; 3];

/// A named way of colouring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Palette {
    /// The colours of 2015: (i mod 8 · 32, i mod 16 · 16, i mod 32 · 8), 32 in all.
    #[default]
    Classic,
}

impl Palette {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Palette; 1] = [Palette::Classic];

    /// The name in commands, messages and records.
    pub fn name(self) -> &'static str {
        match self {
            Palette::Classic => "classic",
        }
    }

    /// The palette with this name.
    pub fn named(name: &str) -> Option<Palette> {
        Palette::ALL.into_iter().find(|palette| palette.name() == name)
    }

    /// The colour of an escape after `steps`.
    #[inline]
    pub fn colour(self, steps: u32) -> Rgb {
        match self {
            // The products stay below 256: 7·32, 15·16 and 31·8 are the largest.
            Palette::Classic => [(steps % 8 * 32) as u8, (steps % 16 * 16) as u8, (steps % 32 * 8) as u8],
        }
    }
}
