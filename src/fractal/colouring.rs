//! From the ends of orbits to pixels.

use super::border::{Border, blend};
use super::distance::distances;
use super::lanes::{Block, Ends};
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
    /// How the border of the set is drawn.
    pub border: Border,
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
        Colouring { palette, offset: 0.0, density: 1.0, samples: Samples::default(), border: Border::None }
    }
}

impl Colouring {
    /// Whether nothing but the classic colours comes out: then a pixel is a byte, an index into them, otherwise three.
    pub(super) fn is_indexed(self) -> bool {
        self.palette == Palette::Classic && self.samples == Samples::default()
    }

    /// Refuses what is not a number, or would turn the palette so fast that nothing but noise is left.
    pub fn checked(mut self) -> Result<Colouring, Invalid> {
        if !(-1000.0..=1000.0).contains(&self.offset) {
            return Err(Invalid::new(format!("offset is {}, allowed is -1000 to 1000 turns", self.offset)));
        }
        if !(1e-3..=1e3).contains(&self.density) {
            return Err(Invalid::new(format!("density is {}, allowed is 0.001 to 1000", self.density)));
        }
        if self.palette == Palette::Classic && !self.border.is_none() {
            return Err(Invalid::new("a border needs smooth colours: the palette classic has none"));
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
    /// The colour of the border, and how many pixels a unit of the plane has.
    line: Rgb,
    scale: f64,
}

impl Painter {
    pub fn new(scene: &Scene) -> Painter {
        let (colouring, limit) = (scene.colouring(), scene.iterations());
        let palette = colouring.palette;
        let turn = (0..TURN).map(|i| palette.wave((i as f64 + 0.5) / TURN as f64)).collect();
        let line = colouring.border.colour(palette);
        Painter { colouring, limit, inside: palette.inside(limit), turn, line, scale: scene.viewport().scale() }
    }

    /// Bytes of a pixel: one where the picture is indexed.
    pub fn bytes(&self) -> usize {
        if self.colouring.is_indexed() { 1 } else { 3 }
    }

    /// Paints rows of pixels from a block of samples and their ends.
    pub fn paint(&self, block: &Block, ends: &Ends, pixels: &mut [u8]) {
        if self.colouring.is_indexed() {
            let index = |&steps: &u32| Palette::classic_index(self.last(steps));
            return pixels.iter_mut().zip(ends.steps.iter().map(index)).for_each(|(pixel, index)| *pixel = index);
        }
        let (pixels, stride) = (pixels.as_chunks_mut::<3>().0, block.xs.len());
        if !self.colouring.border.is_none() {
            let ends: Vec<Escape> = (0..ends.steps.len()).map(|at| ends.get(at)).collect();
            let distances = distances(block, &ends);
            return self.paint_means(pixels, stride, |at| self.bordered(&ends[at], distances[at]));
        }
        if self.colouring.samples == Samples::default() {
            return pixels.iter_mut().enumerate().for_each(|(at, pixel)| *pixel = self.colour(&ends.get(at)));
        }
        self.paint_means(pixels, stride, |at| self.colour(&ends.get(at)).map(linear));
    }

    /// The mean of the light of a pixel's samples, which is not the mean of the numbers that stand for it.
    #[inline]
    fn paint_means(&self, pixels: &mut [Rgb], stride: usize, light: impl Fn(usize) -> [u32; 3]) {
        let (side, count) = (self.colouring.samples.side() as usize, self.colouring.samples.count());
        let width = stride / side;
        for (number, pixel) in pixels.iter_mut().enumerate() {
            let first = number / width * side * stride + number % width * side;
            let mut sums = [0; 3];
            for at in (0..side).flat_map(|row| first + row * stride..first + row * stride + side) {
                for (sum, light) in sums.iter_mut().zip(light(at)) {
                    *sum += light;
                }
            }
            *pixel = sums.map(|sum| encode((sum + count / 2) / count));
        }
    }

    /// The light of a point with the border near it; the inside is no line.
    fn bordered(&self, end: &Escape, distance: f64) -> [u32; 3] {
        match end.steps == self.limit {
            true => self.inside.map(linear),
            false => blend(self.colour(end), self.line, distance * self.scale),
        }
    }

    /// The last step of 2015: an orbit that escapes there looks like one that never does.
    #[inline]
    fn last(&self, steps: u32) -> u32 {
        steps.min(self.limit - 1)
    }

    #[inline]
    fn colour(&self, end: &Escape) -> Rgb {
        match self.colouring.palette {
            Palette::Classic => Palette::classic(self.last(end.steps)),
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
