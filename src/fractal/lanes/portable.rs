//! Arrays in plain Rust, for every other processor: what the compiler makes of them is its affair.

use super::mirror::Mirrored;
use super::vector::Vector;
use super::{Ends, pool};

/// Numbers side by side. Four fill two registers of SSE2 or NEON.
const LANES: usize = 4;

/// The numbers.
#[derive(Clone, Copy)]
pub struct Array([f64; LANES]);

/// The kernel for any processor.
pub fn escapes(block: &Mirrored, ends: &mut Ends) {
    pool::escapes::<Array, 1, 3>(block, ends);
}

/// The untested loop for any processor.
pub fn ceiling(iterations: u64) -> f64 {
    super::ceiling::untested::<Array, 2>(iterations)
}

#[inline(always)]
fn each<T>(one: Array, other: Array, operation: impl Fn(f64, f64) -> T) -> [T; LANES] {
    std::array::from_fn(|lane| operation(one.0[lane], other.0[lane]))
}

impl Vector for Array {
    /// All bits of a lane, or none: what comparisons of vectors give everywhere.
    type Mask = [u64; LANES];
    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(value: f64) -> Array {
        Array([value; LANES])
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Array {
        let from = &from[..LANES];
        Array(std::array::from_fn(|lane| from[lane]))
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        to[..LANES].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn store_where(self, mask: [u64; LANES], to: &mut [f64]) {
        Array::load(to).replace(mask, self).store(to);
    }

    #[inline(always)]
    fn store_low(self, to: &mut [u32]) {
        for (to, value) in to[..LANES].iter_mut().zip(self.0) {
            *to = value.to_bits() as u32;
        }
    }

    #[inline(always)]
    fn add(self, other: Array) -> Array {
        Array(each(self, other, |a, b| a + b))
    }

    #[inline(always)]
    fn sub(self, other: Array) -> Array {
        Array(each(self, other, |a, b| a - b))
    }

    #[inline(always)]
    fn mul(self, other: Array) -> Array {
        Array(each(self, other, |a, b| a * b))
    }

    #[inline(always)]
    fn not_above(self, other: Array) -> [u64; LANES] {
        each(self, other, |a, b| if a > b { 0 } else { !0 })
    }

    #[inline(always)]
    fn at_most(self, other: Array) -> [u64; LANES] {
        each(self, other, |a, b| if a <= b { !0 } else { 0 })
    }

    #[inline(always)]
    fn equals(self, other: Array) -> [u64; LANES] {
        each(self, other, |a, b| if a == b { !0 } else { 0 })
    }

    #[inline(always)]
    fn replace(self, mask: [u64; LANES], yes: Array) -> Array {
        let chosen = |lane: usize| (yes.0[lane].to_bits() & mask[lane]) | (self.0[lane].to_bits() & !mask[lane]);
        Array(std::array::from_fn(|lane| f64::from_bits(chosen(lane))))
    }

    #[inline(always)]
    fn count(self, mask: [u64; LANES], by: u64) -> Array {
        let counted = |lane: usize| self.0[lane].to_bits().wrapping_add(mask[lane] & by);
        Array(std::array::from_fn(|lane| f64::from_bits(counted(lane))))
    }

    #[inline(always)]
    fn is_negative(self) -> [u64; LANES] {
        std::array::from_fn(|lane| (self.0[lane].to_bits() as i64 >> 63) as u64)
    }

    #[inline(always)]
    fn and(one: [u64; LANES], other: [u64; LANES]) -> [u64; LANES] {
        std::array::from_fn(|lane| one[lane] & other[lane])
    }

    #[inline(always)]
    fn or(one: [u64; LANES], other: [u64; LANES]) -> [u64; LANES] {
        std::array::from_fn(|lane| one[lane] | other[lane])
    }

    #[inline(always)]
    fn bits(mask: [u64; LANES]) -> u64 {
        (0..LANES).map(|lane| (mask[lane] & 1) << lane).sum()
    }

    #[inline(always)]
    fn compress(self, bits: u64) -> Array {
        let (mut packed, mut rank) = ([0.0; LANES], 0);
        for lane in 0..LANES {
            // Each lane overwrites those before it that are not wanted: no branch to guess.
            packed[rank] = self.0[lane];
            rank += (bits >> lane & 1) as usize;
        }
        Array(packed)
    }
}
