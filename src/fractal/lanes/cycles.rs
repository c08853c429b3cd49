//! Orbits that never leave, found because they repeat.
//!
//! A z that equals an earlier one of its orbit, to the last bit, repeats for ever. This is Brent's way of finding that:
//! compare with one saved z, and save another now and then. Here all orbits of the pool do so at the same time, after
//! spans of 1, 2, 4, … passes and then 1 again: long enough for long cycles, and soon for those that came late.

use super::points::Column;
use super::pool::ROOM;
use super::vector::Vector;

/// Limits up to which looking costs more than it saves.
const SHORT: u32 = 1000;

/// The longest span, in passes.
const LONGEST: u32 = 32;

/// What is saved of each orbit of the pool.
pub struct Cycles {
    x: Column<ROOM>,
    y: Column<ROOM>,
    /// Whether anybody looks.
    pub looking: bool,
    span: u32,
    left: u32,
}

impl Cycles {
    /// Nothing is saved yet.
    pub fn new(looking: bool, limit: u32) -> Cycles {
        let none = Column([f64::NAN; ROOM]);
        Cycles { x: none, y: none, looking: looking && limit > SHORT, span: 1, left: 1 }
    }

    /// Orbits came to these places; no number equals nothing, so that they are not taken for those before them.
    #[inline(always)]
    pub fn forget(&mut self, places: std::ops::Range<usize>) {
        if self.looking {
            self.x.0[places].fill(f64::NAN);
        }
    }

    /// Whether the next pass saves.
    #[inline(always)]
    pub fn saves(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.span = if self.span == LONGEST { 1 } else { self.span * 2 };
        self.left = self.span;
        true
    }

    /// Which orbits of the vector at place `at`, now at x and y, are where they were.
    #[inline(always)]
    pub fn are_closed<V: Vector>(&self, at: usize, x: V, y: V) -> u64 {
        V::bits(V::and(x.equals(self.x.load(at)), y.equals(self.y.load(at))))
    }

    /// What was saved of the orbits in the lanes `bits` of the vector at place `from` moves together at `to`.
    #[inline(always)]
    pub fn keep<V: Vector>(&mut self, from: usize, to: usize, bits: u64) {
        self.save(to, bits, self.x.load::<V>(from), self.y.load::<V>(from));
    }

    /// Saves where those in the lanes `bits` are now, at place `to`.
    #[inline(always)]
    pub fn save<V: Vector>(&mut self, to: usize, bits: u64, x: V, y: V) {
        self.x.store(to, x.compress(bits));
        self.y.store(to, y.compress(bits));
    }
}
