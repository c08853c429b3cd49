//! Many orbits side by side, one in each lane, in plain code that compilers vectorise.
//!
//! Each lane does the arithmetic of [`crate::fractal::escape`] in the same order, so its numbers are the same to
//! the last bit. No fused multiply-add: Rust never contracts, whatever the target can do.

use super::Block;
use crate::fractal::{Escape, Formula};
use num_complex::Complex64;

/// Steps between two looks at the lanes. A look costs about as much as a step.
const STEPS: u32 = 8;

/// The orbits of `L` neighbouring points.
struct Lanes<const L: usize> {
    x: [f64; L],
    y: [f64; L],
    cx: [f64; L],
    cy: [f64; L],
    /// How many z of the orbit were inside the circle; whole numbers, in the type that the vectors hold.
    steps: [f64; L],
    /// 1 while every z was inside the circle, then 0 for good: an orbit with a large |c| may come back.
    inside: [f64; L],
    /// |z|² of the first z outside.
    norm: [f64; L],
}

/// Fills `escapes` with the ends of the orbits, row by row.
#[inline(always)]
pub fn escapes<const L: usize>(block: &Block, escapes: &mut [Escape]) {
    for (&y, escapes) in block.ys.iter().zip(escapes.chunks_exact_mut(block.xs.len())) {
        for (xs, escapes) in block.xs.chunks(L).zip(escapes.chunks_mut(L)) {
            // The last group is filled up with copies of its last point.
            let points = std::array::from_fn(|lane| Complex64::new(xs[lane.min(xs.len() - 1)], y));
            let lanes = run::<L>(block, points);
            for (lane, escape) in escapes.iter_mut().enumerate() {
                *escape = Escape { steps: lanes.steps[lane] as u32, norm: lanes.norm[lane] };
            }
        }
    }
}

#[inline(always)]
fn run<const L: usize>(block: &Block, points: [Complex64; L]) -> Lanes<L> {
    let orbits = points.map(|point| block.formula.orbit(point));
    let mut lanes = Lanes {
        x: orbits.map(|(z, _)| z.re),
        y: orbits.map(|(z, _)| z.im),
        cx: orbits.map(|(_, c)| c.re),
        cy: orbits.map(|(_, c)| c.im),
        steps: [0.0; L],
        inside: [1.0; L],
        norm: [0.0; L],
    };
    if block.formula == Formula::Mandelbrot {
        lanes.settle_bulbs(block.limit);
    }
    let (mut saved, mut next_save, mut done) = ((lanes.x, lanes.y), STEPS, 0);
    while done < block.limit && lanes.inside != [0.0; L] {
        let steps = STEPS.min(block.limit - done);
        (0..steps).for_each(|_| lanes.step(block.bailout));
        done += steps;
        lanes.settle_cycles(&saved, block.limit);
        if done >= next_save {
            (saved, next_save) = ((lanes.x, lanes.y), done.saturating_mul(2));
        }
    }
    lanes
}

impl<const L: usize> Lanes<L> {
    /// Tests, counts and steps, in that order, in every lane.
    #[inline(always)]
    fn step(&mut self, bailout: f64) {
        for i in 0..L {
            let (x, y) = (self.x[i], self.y[i]);
            let (xx, yy) = (x * x, y * y);
            let outside = xx + yy > bailout;
            self.norm[i] = if outside && self.inside[i] == 1.0 { xx + yy } else { self.norm[i] };
            self.inside[i] = if outside { 0.0 } else { self.inside[i] };
            self.steps[i] += self.inside[i];
            self.x[i] = xx - yy + self.cx[i];
            self.y[i] = (x + x) * y + self.cy[i];
        }
    }

    /// A z that equals an earlier one of its orbit, to the last bit, repeats for ever and never escapes. This is
    /// Brent's way of finding cycles: compare with a z that is saved at every power of two.
    #[inline(always)]
    fn settle_cycles(&mut self, (x, y): &([f64; L], [f64; L]), limit: u32) {
        for i in 0..L {
            if self.x[i] == x[i] && self.y[i] == y[i] && self.inside[i] == 1.0 {
                (self.steps[i], self.inside[i]) = (f64::from(limit), 0.0);
            }
        }
    }

    /// The cardioid and the disc of period 2 make up most of the Mandelbrot set, and a point is in them or not by
    /// a formula. The margin keeps away from the border, where rounding could put a point on the wrong side.
    #[inline(always)]
    fn settle_bulbs(&mut self, limit: u32) {
        const MARGIN: f64 = 1e-9;
        for i in 0..L {
            let (x, yy) = (self.cx[i], self.cy[i] * self.cy[i]);
            let (left, right) = (x - 0.25, x + 1.0);
            let q = left * left + yy;
            if q * (q + left) < 0.25 * yy - MARGIN || right * right + yy < 0.0625 - MARGIN {
                (self.steps[i], self.inside[i]) = (f64::from(limit), 0.0);
            }
        }
    }
}
