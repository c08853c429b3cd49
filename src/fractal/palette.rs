//! Colours by name. The numbers of the palettes stand in `catalogue.rs`.

use super::catalogue::{WAVES, Wave};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Red, green, blue, eight bits each.
pub type Rgb = [u8; 3];

/// The classic colours, red in the lowest byte.
const CLASSIC: [u32; 32] = {
    let mut colours = [0; 32];
    let mut step = 0;
    while step < 32 {
        let [red, green, blue] = Palette::classic(step);
        colours[step as usize] = u32::from_le_bytes([red, green, blue, 0]);
        step += 1;
    }
    colours
};

/// A named way of colouring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Palette {
    /// The colours of 2015: (i mod 8 · 32, i mod 16 · 16, i mod 32 · 8), 32 in all, in bands.
    #[default]
    Classic,
    /// Night blue to fire.
    Ember,
    /// Deep water to foam.
    Ocean,
    /// Green and violet light in the sky.
    Aurora,
    /// Rose and slate.
    Dusk,
    /// Black and white.
    Ink,
    /// Bronze to cream.
    Gold,
}

impl Palette {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Palette; 7] =
        [Palette::Classic, Palette::Ember, Palette::Ocean, Palette::Aurora, Palette::Dusk, Palette::Ink, Palette::Gold];

    /// The name in commands, messages and records.
    pub fn name(self) -> &'static str {
        self.wave_data().map_or("classic", |wave| wave.name)
    }

    /// The palette with this name.
    pub fn named(name: &str) -> Option<Palette> {
        Palette::ALL.into_iter().find(|palette| palette.name() == name)
    }

    /// |z|² from which on an orbit has escaped. Smooth colours need to see it far outside.
    pub fn bailout(self) -> f64 {
        match self {
            Palette::Classic => 4.0,
            _ => 65_536.0,
        }
    }

    fn wave_data(self) -> Option<&'static Wave> {
        match self {
            Palette::Classic => None,
            Palette::Ember => Some(&WAVES[0]),
            Palette::Ocean => Some(&WAVES[1]),
            Palette::Aurora => Some(&WAVES[2]),
            Palette::Dusk => Some(&WAVES[3]),
            Palette::Ink => Some(&WAVES[4]),
            Palette::Gold => Some(&WAVES[5]),
        }
    }

    /// The classic colour of an escape after `steps`. The products stay below 256: 7·32, 15·16 and 31·8 are the largest.
    pub(super) const fn classic(steps: u32) -> Rgb {
        [(steps % 8 * 32) as u8, (steps % 16 * 16) as u8, (steps % 32 * 8) as u8]
    }

    /// The classic colours, all of them.
    pub(super) fn classic_colours() -> Vec<Rgb> {
        (0..32).map(Palette::classic).collect()
    }

    /// The place among them of the colour of an escape after `steps`.
    pub(super) fn classic_index(steps: u32) -> u8 {
        (steps % 32) as u8
    }

    /// The pixels, three bytes each, of indices into them.
    pub(super) fn classic_rgb(indices: &[u8]) -> Vec<u8> {
        const PIXELS: usize = 16_384;
        let mut rgb = vec![0; indices.len() * 3];
        rgb.par_chunks_mut(PIXELS * 3).zip(indices.par_chunks(PIXELS)).for_each(|(rgb, indices)| {
            let ((twelves, ends), (fours, rest)) = (rgb.as_chunks_mut::<12>(), indices.as_chunks::<4>());
            // Four pixels at once: three bytes alone are no word that a processor could store.
            for (twelve, four) in twelves.iter_mut().zip(fours) {
                let [a, b, c, d] = four.map(|index| u128::from(CLASSIC[usize::from(index % 32)]));
                twelve.copy_from_slice(&(a | b << 24 | c << 48 | d << 72).to_le_bytes()[..12]);
            }
            for (pixel, &index) in ends.as_chunks_mut::<3>().0.iter_mut().zip(rest) {
                *pixel = Palette::classic(index.into());
            }
        });
        rgb
    }

    /// Turns of the wave for each unit of the logarithm of the smooth count.
    pub(super) fn pace(self) -> f64 {
        self.wave_data().map_or(0.0, |wave| wave.pace * 10.0)
    }

    /// What never escapes. In 2015 that was the colour of the last step.
    pub(super) fn inside(self, limit: u32) -> Rgb {
        self.wave_data().map_or_else(|| Palette::classic(limit - 1), |wave| wave.inside)
    }

    /// The brightest that each channel becomes.
    pub(super) fn brightest(self) -> Rgb {
        let Some(wave) = self.wave_data() else { return [255; 3] };
        std::array::from_fn(|i| ((wave.mean[i] + wave.swing[i]).min(1.0) * 255.0).round() as u8)
    }

    /// The colour after a part of a turn, a + b·cos 2π(t + d) for each channel (Inigo Quilez, "Palettes", 1999).
    /// For classic, which has no wave, it is the band at that part of its period.
    pub fn wave(self, turn: f64) -> Rgb {
        let Some(wave) = self.wave_data() else { return Palette::classic((turn * 32.0) as u32) };
        std::array::from_fn(|i| {
            let value = wave.mean[i] + wave.swing[i] * libm::cos(std::f64::consts::TAU * (turn + wave.shift[i]));
            (value.clamp(0.0, 1.0) * 255.0).round() as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_become_the_classic_colours() {
        for count in [0, 1, 3, 4, 5, 31, 16_387] {
            let indices: Vec<u8> = (0..count).map(|i| Palette::classic_index(i * 7)).collect();
            let colours: Vec<u8> = (0..count).flat_map(|i| Palette::classic(i * 7)).collect();
            assert_eq!(Palette::classic_rgb(&indices), colours);
        }
    }
}
