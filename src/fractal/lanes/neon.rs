//! NEON: four orbits in two registers, of which there are 32.
//!
//! There is no compress, as for AVX2; `tbl` looks bytes up in a pair of registers, so a table of orders
//! does instead. `scripts/aarch64` runs the tests of the kernels on an emulated processor.
#![allow(unsafe_code)]

use super::mirror::Mirrored;
use super::vector::Vector;
use super::{Ends, pool};
use std::arch::aarch64::*;

/// Two registers: lanes 0 and 1, lanes 2 and 3. Who holds them is on a processor that has them: only the entries below
/// make any.
#[derive(Clone, Copy)]
pub struct Pair([float64x2_t; 2]);

/// The kernel for this instruction set.
#[target_feature(enable = "neon")]
pub fn escapes(block: &Mirrored, ends: &mut Ends) {
    pool::escapes::<Pair, 3, 4>(block, ends);
}

/// The untested loop for this instruction set.
#[target_feature(enable = "neon")]
pub fn ceiling(iterations: u64) -> f64 {
    super::ceiling::untested::<Pair, 4>(iterations)
}

/// For each mask the order that brings its lanes to the front, byte by byte as `tbl` wants it.
const COMPRESS: [[u8; 32]; 16] = {
    let mut table = [[0; 32]; 16];
    let mut bits = 0;
    while bits < 16 {
        let (mut lane, mut rank) = (0, 0);
        while lane < 4 {
            if bits >> lane & 1 == 1 {
                let mut byte = 0;
                while byte < 8 {
                    table[bits][8 * rank + byte] = (8 * lane + byte) as u8;
                    byte += 1;
                }
                rank += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    table
};

/// What each lane is worth in a number of bits.
const WORTH: [u64; 4] = [1, 2, 4, 8];

#[inline(always)]
fn worth() -> [uint64x2_t; 2] {
    // SAFETY: called with registers at hand; the array has the two times two numbers that are loaded.
    unsafe { [vld1q_u64(WORTH.as_ptr()), vld1q_u64(WORTH[2..].as_ptr())] }
}

#[inline(always)]
fn permuted(value: Pair, order: &[u8; 32]) -> Pair {
    // SAFETY: called with registers at hand; the order has the two times sixteen bytes that are loaded.
    unsafe {
        let bytes = uint8x16x2_t(vreinterpretq_u8_f64(value.0[0]), vreinterpretq_u8_f64(value.0[1]));
        let [low, high] = [vld1q_u8(order.as_ptr()), vld1q_u8(order[16..].as_ptr())];
        Pair([vreinterpretq_f64_u8(vqtbl2q_u8(bytes, low)), vreinterpretq_f64_u8(vqtbl2q_u8(bytes, high))])
    }
}

impl Vector for Pair {
    /// All bits of a lane, or none.
    type Mask = [uint64x2_t; 2];
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: f64) -> Pair {
        // SAFETY, here and in all that follow: `Pair` is private to the entries above, which need NEON themselves.
        unsafe { Pair([vdupq_n_f64(value); 2]) }
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Pair {
        let from = &from[..4];
        // SAFETY: four numbers, by the line above; the instruction asks for no alignment.
        unsafe { Pair([vld1q_f64(from.as_ptr()), vld1q_f64(from[2..].as_ptr())]) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        let to = &mut to[..4];
        // SAFETY: as in `load`.
        unsafe {
            vst1q_f64(to.as_mut_ptr(), self.0[0]);
            vst1q_f64(to[2..].as_mut_ptr(), self.0[1]);
        }
    }

    #[inline(always)]
    fn store_where(self, mask: Self::Mask, to: &mut [f64]) {
        Pair::load(to).replace(mask, self).store(to);
    }

    #[inline(always)]
    fn store_low(self, to: &mut [u32]) {
        let to = &mut to[..4];
        // SAFETY: four halves, by the line above.
        unsafe {
            let [low, high] = [vreinterpretq_u64_f64(self.0[0]), vreinterpretq_u64_f64(self.0[1])];
            vst1q_u32(to.as_mut_ptr(), vcombine_u32(vmovn_u64(low), vmovn_u64(high)));
        }
    }

    #[inline(always)]
    fn add(self, other: Pair) -> Pair {
        unsafe { Pair([vaddq_f64(self.0[0], other.0[0]), vaddq_f64(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn sub(self, other: Pair) -> Pair {
        unsafe { Pair([vsubq_f64(self.0[0], other.0[0]), vsubq_f64(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn mul(self, other: Pair) -> Pair {
        unsafe { Pair([vmulq_f64(self.0[0], other.0[0]), vmulq_f64(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn not_above(self, other: Pair) -> Self::Mask {
        // All bits turned over: a lane of zeros is equal to zero.
        unsafe { [vceqzq_u64(vcgtq_f64(self.0[0], other.0[0])), vceqzq_u64(vcgtq_f64(self.0[1], other.0[1]))] }
    }

    #[inline(always)]
    fn at_most(self, other: Pair) -> Self::Mask {
        unsafe { [vcleq_f64(self.0[0], other.0[0]), vcleq_f64(self.0[1], other.0[1])] }
    }

    #[inline(always)]
    fn equals(self, other: Pair) -> Self::Mask {
        unsafe { [vceqq_f64(self.0[0], other.0[0]), vceqq_f64(self.0[1], other.0[1])] }
    }

    #[inline(always)]
    fn replace(self, mask: Self::Mask, yes: Pair) -> Pair {
        unsafe { Pair([vbslq_f64(mask[0], yes.0[0], self.0[0]), vbslq_f64(mask[1], yes.0[1], self.0[1])]) }
    }

    #[inline(always)]
    fn count(self, mask: Self::Mask, by: u64) -> Pair {
        unsafe {
            let [low, high] = Self::and(mask, [vdupq_n_u64(by); 2]);
            let low = vaddq_u64(vreinterpretq_u64_f64(self.0[0]), low);
            let high = vaddq_u64(vreinterpretq_u64_f64(self.0[1]), high);
            Pair([vreinterpretq_f64_u64(low), vreinterpretq_f64_u64(high)])
        }
    }

    #[inline(always)]
    fn is_negative(self) -> Self::Mask {
        unsafe { [vcltzq_s64(vreinterpretq_s64_f64(self.0[0])), vcltzq_s64(vreinterpretq_s64_f64(self.0[1]))] }
    }

    #[inline(always)]
    fn and(one: Self::Mask, other: Self::Mask) -> Self::Mask {
        unsafe { [vandq_u64(one[0], other[0]), vandq_u64(one[1], other[1])] }
    }

    #[inline(always)]
    fn or(one: Self::Mask, other: Self::Mask) -> Self::Mask {
        unsafe { [vorrq_u64(one[0], other[0]), vorrq_u64(one[1], other[1])] }
    }

    #[inline(always)]
    fn bits(mask: Self::Mask) -> u64 {
        let [low, high] = Self::and(mask, worth());
        unsafe { vaddvq_u64(vorrq_u64(low, high)) }
    }

    #[inline(always)]
    fn compress(self, bits: u64) -> Pair {
        permuted(self, &COMPRESS[bits as usize & 15])
    }
}
