//! From the ends of orbits to pixels.

use super::light::{encode, linear};
use super::{Escape, Invalid, Palette, Rgb, Scene};

/// How a scene is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Colouring {
    /// Which colours.
    pub palette: Palette,
    /// Where in the palette to begin, in turns; classic has no use for it.
    pub offset: f64,
    /// How fast the colours follow each other, 1 for the palette's own pace.
    pub density: f64,
    /// How many points a pixel stands for.
    pub samples: Samples,
}

/// Points in a pixel: 1, 4, 9 or 16, in a square. Their colours are averaged as light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples(u32);

impl Default for Samples {
    fn default() -> Samples {
        Samples(1)
    }
}

impl Samples {
    /// Four points a pixel: what makes the difference between a grainy picture and a smooth one.
    pub const FOUR: Samples = Samples(2);

    /// So many points in a pixel.
    pub fn new(count: u32) -> Result<Samples, Invalid> {
        let side = (1..=4).find(|side| side * side == count);
        side.map(Samples).ok_or_else(|| Invalid::new(format!("samples is {count}, allowed are 1, 4, 9 and 16")))
    }

    /// Points in a pixel.
    pub fn count(self) -> u32 {
        self.0 * self.0
    }

    /// Points along one side of it.
    pub fn side(self) -> u32 {
        self.0
    }
}

impl From<Palette> for Colouring {
    /// One point a pixel, the palette as it is.
    fn from(palette: Palette) -> Colouring {
        Colouring { palette, offset: 0.0, density: 1.0, samples: Samples::default() }
    }
}

impl Colouring {
    /// Refuses what is not a number, or would turn the palette so fast that nothing but noise is left.
    pub fn checked(mut self) -> Result<Colouring, Invalid> {
        if !(-1000.0..=1000.0).contains(&self.offset) {
            return Err(Invalid::new(format!("offset is {}, allowed is -1000 to 1000 turns", self.offset)));
        }
        if !(1e-3..=1e3).contains(&self.density) {
            return Err(Invalid::new(format!("density is {}, allowed is 0.001 to 1000", self.density)));
        }
        // Not every database keeps -0 apart from 0, and there is no difference.
        self.offset += 0.0;
        Ok(self)
    }
}

/// Entries of the table that stands for one turn of a palette: neighbours differ by a fifth of an 8-bit level at most.
const TURN: usize = 4096;

/// Everything that can be computed once for a picture.
pub struct Painter {
    colouring: Colouring,
    limit: u32,
    inside: Rgb,
    turn: Vec<Rgb>,
}

impl Painter {
    pub fn new(scene: &Scene) -> Painter {
        let (colouring, limit) = (scene.colouring(), scene.iterations());
        let palette = colouring.palette;
        let turn = (0..TURN).map(|i| palette.wave((i as f64 + 0.5) / TURN as f64)).collect();
        Painter { colouring, limit, inside: palette.inside(limit), turn }
    }

    /// Paints rows of pixels from the escapes of their samples; `stride` is the number of samples in a row.
    pub fn paint(&self, ends: &[Escape], stride: usize, pixels: &mut [u8]) {
        let side = self.colouring.samples.side() as usize;
        let pixels = pixels.as_chunks_mut::<3>().0;
        if side == 1 {
            return pixels.iter_mut().zip(ends).for_each(|(pixel, end)| *pixel = self.colour(end));
        }
        let width = stride / side;
        for (number, pixel) in pixels.iter_mut().enumerate() {
            let (row, column) = (number / width * side, number % width * side);
            let samples = (row..row + side).flat_map(|row| &ends[row * stride + column..][..side]);
            *pixel = self.average(samples);
        }
    }

    /// The mean of the light, which is not the mean of the numbers that stand for it.
    fn average<'a>(&self, samples: impl Iterator<Item = &'a Escape>) -> Rgb {
        let mut sums = [0u32; 3];
        for end in samples {
            for (sum, value) in sums.iter_mut().zip(self.colour(end)) {
                *sum += linear(value);
            }
        }
        let count = self.colouring.samples.count();
        sums.map(|sum| encode((sum + count / 2) / count))
    }

    #[inline]
    fn colour(&self, end: &Escape) -> Rgb {
        match self.colouring.palette {
            // The last step of 2015: an orbit that escapes there looks like one that never does.
            Palette::Classic => Palette::classic(end.steps.min(self.limit - 1)),
            _ if end.steps == self.limit => self.inside,
            palette => {
                let turns = smooth(end) * palette.pace() * self.colouring.density + self.colouring.offset;
                self.turn[((turns - turns.floor()) * TURN as f64) as usize % TURN]
            }
        }
    }
}

/// The logarithm of the smooth number of steps, v = n + 1 − log₂(ln|z| / ln 256), of an orbit that has left the circle of
/// radius 256: it grows without jumps from one step to the next. (Linas Vepstas, "Renormalizing the Mandelbrot Escape", 1997.)
fn smooth(end: &Escape) -> f64 {
    const LN_256: f64 = 5.545177444479562;
    // A start far outside has a huge |z|, even an infinite |z|², and would come out below zero.
    let ratio = libm::log(end.norm.min(1e300)) / 2.0 / LN_256;
    let steps = f64::from(end.steps) + 1.0 - libm::log2(ratio);
    libm::log(steps.max(0.0) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fractal::escape;
    use num_complex::Complex64;

    #[test]
    fn the_smooth_count_has_no_jumps() {
        let at = |x: f64| smooth(&escape(Complex64::new(0.0, 0.0), Complex64::new(x, 0.0), 1000, 65_536.0));
        let values: Vec<f64> = (0..20_000).map(|i| at(0.3 + f64::from(i) * 1e-4)).collect();
        let steepest = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        assert!(steepest < 0.01, "{steepest}");
        assert!(values[0] > values[19_999]);
    }

    #[test]
    fn only_squares_up_to_16_are_samples() {
        let allowed: Vec<u32> = (0..40).filter(|&count| Samples::new(count).is_ok()).collect();
        assert_eq!(allowed, [1, 4, 9, 16]);
    }
}
