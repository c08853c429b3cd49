//! The first pass: a few tested steps over whole rows, in the order of the points.
//!
//! Most points of most pictures escape at once, and moving them into lanes would cost more than their steps. Those that
//! do not escape here are handed on, closely packed. Every step is tested, so nothing is assumed about c or the start.

use super::points::Points;
use super::vector::Vector;
use super::{Block, interior, plain};
use crate::fractal::{Escape, Formula};
use num_complex::Complex64;

/// How many steps are tested here.
pub const STEPS: u32 = 8;

/// The most points that are swept at a time.
pub const CHUNK: usize = 32;

/// Orbits that wait for a lane. Room for a chunk more than is asked for, and for a vector's idle lanes.
pub type Pending = Points<PENDING>;

/// A power of two.
pub const PENDING: usize = 512;

/// The place in the block where the sweep has arrived.
pub struct Sweep<'a> {
    block: Block<'a>,
    row: usize,
    column: usize,
}

impl<'a> Sweep<'a> {
    /// At the first point.
    pub fn new(block: Block<'a>) -> Sweep<'a> {
        Sweep { block, row: 0, column: 0 }
    }

    /// Whether all points were swept.
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.row == self.block.ys.len()
    }

    /// Sweeps the next points of a row: writes the ends of those that end, adds the others to `pending`.
    #[inline(always)]
    pub fn chunk<V: Vector>(&mut self, pending: &mut Pending, ends: &mut [Escape]) {
        let (xs, y, first) = (self.block.xs, self.block.ys[self.row], self.row * self.block.xs.len() + self.column);
        let mut padded = [0.0; CHUNK];
        let rest = &xs[self.column..];
        let points = if rest.len() >= CHUNK { &rest[..CHUNK] } else { pad(rest, &mut padded) };
        let here = rest.len().min(CHUNK);
        self.vectors::<V>(points, y, first, here, pending, ends);
        self.column += here;
        if self.column == xs.len() {
            (self.row, self.column) = (self.row + 1, 0);
        }
    }

    #[inline(always)]
    fn vectors<V: Vector>(
        &self,
        xs: &[f64],
        row: f64,
        first: usize,
        here: usize,
        pending: &mut Pending,
        ends: &mut [Escape],
    ) {
        const MOST: usize = 8;
        let vectors = CHUNK / V::LANES;
        let zero = V::splat(0.0);
        let bailout = V::splat(self.block.bailout);
        let (mut x, mut y, mut cx, mut cy) = ([zero; MOST], [zero; MOST], [zero; MOST], [zero; MOST]);
        let (mut count, mut norm) = ([V::splat(UNITS - 1.0); MOST], [zero; MOST]);
        for i in 0..vectors {
            let point = (V::load(&xs[i * V::LANES..]), V::splat(row));
            ((x[i], y[i]), (cx[i], cy[i])) = match self.block.formula {
                Formula::Mandelbrot => ((zero, zero), point),
                Formula::Julia { c } => (point, (V::splat(c.re), V::splat(c.im))),
            };
        }
        // A norm outside stays as it is, and is itself the sign that the orbit has left: a mask would have to travel
        // from step to step through general registers. No number is inside, as it is for the definition.
        for done in 0..=STEPS {
            let mut any = 0;
            for i in 0..vectors {
                let inside = norm[i].not_above(bailout);
                any |= V::bits(inside);
                let (xx, yy) = (x[i].mul(x[i]), y[i].mul(y[i]));
                norm[i] = norm[i].replace(inside, xx.add(yy));
                count[i] = count[i].count(inside);
                if done < STEPS {
                    (x[i], y[i]) = (xx.sub(yy).add(cx[i]), x[i].add(x[i]).mul(y[i]).add(cy[i]));
                }
            }
            if any == 0 {
                break;
            }
        }
        let (mut steps, mut norms) = ([0.0; CHUNK], [0.0; CHUNK]);
        for i in 0..vectors {
            count[i].store(&mut steps[i * V::LANES..]);
            norm[i].store(&mut norms[i * V::LANES..]);
        }
        for ((end, steps), &norm) in ends[first..first + here].iter_mut().zip(&steps).zip(&norms) {
            *end = Escape { steps: steps.to_bits() as u32, norm };
        }
        let tame = V::splat(super::refill::TAME);
        for i in 0..vectors {
            let at = i * V::LANES;
            let mut left = V::bits(norm[i].not_above(bailout)) & lanes(here.saturating_sub(at));
            if left == 0 {
                continue;
            }
            let safe = V::bits(V::and(cx[i].mul(cx[i]).add(cy[i].mul(cy[i])).at_most(tame), norm[i].at_most(bailout)));
            if self.block.formula == Formula::Mandelbrot || left & !safe != 0 {
                left = self.settle(left, safe, &xs[at..], row, &mut ends[first + at..]);
            }
            let (to, index) = (pending.len, V::splat((first + at) as f64).add(V::load(&COUNTING)));
            pending.x.store(to, x[i].compress(left));
            pending.y.store(to, y[i].compress(left));
            pending.cx.store(to, cx[i].compress(left));
            pending.cy.store(to, cy[i].compress(left));
            pending.index.store(to, index.compress(left));
            pending.len += left.count_ones() as usize;
        }
    }

    /// Ends the orbits that need no lane or may not have one, and returns the others.
    #[inline(always)]
    fn settle(&self, mut left: u64, safe: u64, xs: &[f64], row: f64, ends: &mut [Escape]) -> u64 {
        let mut seen = left;
        while seen != 0 {
            let lane = seen.trailing_zeros() as usize;
            seen &= seen - 1;
            if safe >> lane & 1 == 0 {
                ends[lane] = plain::point(&self.block, Complex64::new(xs[lane], row));
                left &= !(1 << lane);
            } else if self.block.formula == Formula::Mandelbrot && interior::is_in_bulb(xs[lane], row) {
                ends[lane] = Escape { steps: self.block.limit, norm: 0.0 };
                left &= !(1 << lane);
            }
        }
        left
    }
}

/// 2⁵²: from here on the last bit of a number is worth 1, and its low bits are a whole number without conversion.
const UNITS: f64 = 4_503_599_627_370_496.0;

const COUNTING: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];

#[inline(always)]
fn lanes(count: usize) -> u64 {
    if count >= 64 { !0 } else { (1 << count) - 1 }
}

/// The rest of a row, filled up with zeros.
#[inline(always)]
fn pad<'a>(rest: &[f64], padded: &'a mut [f64; CHUNK]) -> &'a [f64] {
    padded[..rest.len()].copy_from_slice(rest);
    padded
}
