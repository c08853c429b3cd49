//! The first pass: a few tested steps of all points, in their order.
//!
//! Most points of most pictures escape at once, and listing them would cost more than their steps. Those that do not
//! escape here are handed on, closely packed. Every step is tested, so nothing is assumed about c or the start.

use super::mirror::{Mirrored, PADDING};
use super::points::{Orbits, Points, tag};
use super::vector::{Vector, first};
use super::{Block, Ends, interior, plain, pool};
use crate::fractal::{Escape, Formula};
use num_complex::Complex64;

/// How many steps are tested here.
pub const STEPS: u32 = 8;

/// Every so many it is asked whether any orbit is left.
const OFTEN: u32 = 2;

/// The place in the block where the sweep has arrived.
pub struct Sweep<'a> {
    block: Block<'a>,
    mirrored: &'a Mirrored<'a>,
    row: usize,
    column: usize,
    /// The real parts of the row's points, and room for a vector more.
    xs: &'a [f64],
}

impl<'a> Sweep<'a> {
    /// At the first point.
    pub fn new(mirrored: &'a Mirrored<'a>) -> Sweep<'a> {
        let mut sweep = Sweep { block: mirrored.block, mirrored, row: 0, column: 0, xs: &[0.0; PADDING] };
        sweep.enter(0);
        sweep
    }

    /// To the first point of this row, or of the next in which there is one to follow.
    #[inline(always)]
    fn enter(&mut self, row: usize) {
        (self.row, self.column) = (row, 0);
        while !self.is_done() {
            self.xs = self.mirrored.followed(self.row);
            if self.xs.len() > PADDING {
                break;
            }
            self.row += 1;
        }
    }

    /// Whether all points were swept.
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.row >= self.block.ys.len()
    }

    /// The next neighbours in a row, at most `count`: their real parts, padded, their imaginary part, the place of the
    /// first, and which are points.
    #[inline(always)]
    fn next(&mut self, count: usize) -> (&'a [f64], f64, usize, u64) {
        let left = self.xs.len() - PADDING - self.column;
        let place = self.row * self.block.xs.len() + self.column;
        let next = (&self.xs[self.column..], self.block.ys[self.row], place, first(left));
        self.column += count;
        if left <= count {
            self.enter(self.row + 1);
        }
        next
    }

    /// Sweeps the next `G` vectors of points, of which there are some: writes the ends of those that end, and adds the
    /// others to the pool.
    #[inline(always)]
    pub fn chunk<V: Vector, const G: usize, const N: usize>(&mut self, pool: &mut Points<N>, ends: &mut Ends) {
        let (zero, bailout) = (V::splat(0.0), V::splat(self.block.bailout));
        let all = zero.equals(zero);
        let (mut x, mut y, mut cx, mut cy) = ([zero; G], [zero; G], [zero; G], [zero; G]);
        let (mut count, mut norm) = ([V::splat(f64::from_bits(u64::MAX)); G], [zero; G]);
        let (xs, row, first_place, points) = self.next(V::LANES * G);
        let (mut place, mut left) = ([0; G], [0; G]);
        for i in 0..G {
            (x[i], y[i], place[i]) = (V::load(&xs[i * V::LANES..]), V::splat(row), first_place + i * V::LANES);
            left[i] = points >> (i * V::LANES) & first(V::LANES);
        }
        match self.block.formula {
            Formula::Mandelbrot => (cx, cy, x, y) = (x, y, cx, cy),
            Formula::Julia { c } => (cx, cy) = ([V::splat(c.re); G], [V::splat(c.im); G]),
        }
        'steps: {
            for done in 0..STEPS {
                for i in 0..G {
                    let (xx, yy) = (x[i].mul(x[i]), y[i].mul(y[i]));
                    look(xx.add(yy), bailout, &mut norm[i], &mut count[i]);
                    (x[i], y[i]) = (xx.sub(yy).add(cx[i]), x[i].add(x[i]).mul(y[i]).add(cy[i]));
                }
                let any_left = |bits, norm: &V| bits | V::bits(norm.not_above(bailout));
                if done % OFTEN == 0 && norm.iter().fold(0, any_left) == 0 {
                    break 'steps;
                }
            }
            for i in 0..G {
                look(x[i].mul(x[i]).add(y[i].mul(y[i])), bailout, &mut norm[i], &mut count[i]);
            }
        }
        for i in 0..G {
            write(place[i], count[i], norm[i], ends);
        }
        let mut any = 0;
        for i in 0..G {
            left[i] &= V::bits(norm[i].not_above(bailout));
            any |= left[i];
        }
        if any == 0 {
            return;
        }
        for i in 0..G {
            let tame = cx[i].mul(cx[i]).add(cy[i].mul(cy[i])).at_most(V::splat(pool::TAME));
            let wild = left[i] & !V::bits(V::and(tame, norm[i].at_most(bailout)));
            if wild != 0 {
                left[i] ^= wild;
                self.follow(wild, place[i], ends);
            }
        }
        if self.block.shortcuts && self.block.formula == Formula::Mandelbrot {
            for i in 0..G {
                let bulb = left[i] & V::bits(interior::are_in_bulbs(cx[i], cy[i]));
                left[i] ^= bulb;
                self.stay(bulb, place[i], ends);
            }
        }
        for i in 0..G {
            let tag = V::load(&COUNTING).count(all, tag(STEPS, self.block.limit, place[i]));
            pool.add(left[i], Orbits { x: x[i], y: y[i], cx: cx[i], cy: cy[i], tag });
        }
    }

    /// Ends, point by point, the orbits of which the pool knows too little.
    #[cold]
    fn follow(&self, wild: u64, place: usize, ends: &mut Ends) {
        for place in (0..8).filter(|lane| wild >> lane & 1 == 1).map(|lane| place + lane) {
            let (row, column) = (place / self.block.xs.len(), place % self.block.xs.len());
            let point = Complex64::new(self.mirrored.followed(row)[column], self.block.ys[row]);
            ends.set(place, plain::point(&self.block, point));
        }
    }

    /// Ends the orbits that never leave.
    #[inline(always)]
    fn stay(&self, mut bulb: u64, place: usize, ends: &mut Ends) {
        while bulb != 0 {
            let lane = bulb.trailing_zeros() as usize;
            bulb &= bulb - 1;
            ends.set(place + lane, Escape { steps: self.block.limit, norm: 0.0 });
        }
    }
}

/// Looks at the norm of the next z, and counts it if all before it were inside.
///
/// A norm outside stays as it is, and is itself the sign that the orbit has left: a mask would have to travel from step to
/// step through general registers. No number is inside, as it is for the definition.
#[inline(always)]
fn look<V: Vector>(next: V, bailout: V, norm: &mut V, count: &mut V) {
    let inside = norm.not_above(bailout);
    *norm = norm.replace(inside, next);
    *count = count.count(inside, 1);
}

/// Writes what was found. What this writes behind the end of a row is written again, with the row.
#[inline(always)]
fn write<V: Vector>(place: usize, count: V, norm: V, ends: &mut Ends) {
    let room = ends.steps.len().saturating_sub(place);
    if room >= V::LANES {
        count.store_low(&mut ends.steps[place..]);
        if !ends.norms.is_empty() {
            norm.store(&mut ends.norms[place..]);
        }
    } else if room > 0 {
        let (mut steps, mut norms) = ([0; 8], [0.0; 8]);
        count.store_low(&mut steps);
        norm.store(&mut norms);
        for i in 0..room {
            ends.set(place + i, Escape { steps: steps[i], norm: norms[i] });
        }
    }
}

/// Whole numbers, as bits.
const COUNTING: [f64; 8] = {
    let mut counting = [0.0; 8];
    let mut i = 0;
    while i < 8 {
        counting[i] = f64::from_bits(i as u64);
        i += 1;
    }
    counting
};
