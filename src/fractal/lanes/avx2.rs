//! AVX2: four orbits a register, sixteen registers.
//!
//! There is no compress; four lanes have only sixteen masks, so a table of permutations does instead.
#![allow(unsafe_code)]

use super::mirror::Mirrored;
use super::vector::Vector;
use super::{Ends, pool};
use std::arch::x86_64::*;

/// A YMM register. Who holds one is on a processor that has them: only the entries below make any.
#[derive(Clone, Copy)]
pub struct Ymm(__m256d);

/// The kernel for this instruction set.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub fn escapes(block: &Mirrored, ends: &mut Ends) {
    pool::escapes::<Ymm, 3, 4>(block, ends);
}

/// The untested loop for this instruction set.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub fn ceiling(iterations: u64) -> f64 {
    super::ceiling::untested::<Ymm, 4>(iterations)
}

/// For each mask the order that brings its lanes to the front, in halves of a lane as `vpermps` wants them.
const COMPRESS: [[i32; 8]; 16] = {
    let mut table = [[0; 8]; 16];
    let mut bits = 0;
    while bits < 16 {
        let (mut lane, mut rank) = (0, 0);
        while lane < 4 {
            if bits >> lane & 1 == 1 {
                table[bits][2 * rank] = 2 * lane;
                table[bits][2 * rank + 1] = 2 * lane + 1;
                rank += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    table
};

#[inline(always)]
fn permuted(value: __m256d, order: &[i32; 8]) -> __m256d {
    // SAFETY: called with a register at hand; the order has the eight numbers that are loaded.
    unsafe {
        let order = _mm256_loadu_si256(order.as_ptr().cast());
        _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(value), order))
    }
}

impl Vector for Ymm {
    type Mask = __m256d;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(value: f64) -> Ymm {
        // SAFETY, here and in all that follow: `Ymm` is private to the entries above, which need AVX2 themselves.
        unsafe { Ymm(_mm256_set1_pd(value)) }
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Ymm {
        let from = &from[..4];
        // SAFETY: four numbers, by the line above; the instruction asks for no alignment.
        unsafe { Ymm(_mm256_loadu_pd(from.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        let to = &mut to[..4];
        // SAFETY: as in `load`.
        unsafe { _mm256_storeu_pd(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn store_where(self, mask: __m256d, to: &mut [f64]) {
        Ymm::load(to).replace(mask, self).store(to);
    }

    #[inline(always)]
    fn store_low(self, to: &mut [u32]) {
        let to = &mut to[..4];
        let low = permuted(self.0, &[0, 2, 4, 6, 0, 0, 0, 0]);
        // SAFETY: four halves, by the first line.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_castpd_si128(_mm256_castpd256_pd128(low))) }
    }

    #[inline(always)]
    fn add(self, other: Ymm) -> Ymm {
        unsafe { Ymm(_mm256_add_pd(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Ymm) -> Ymm {
        unsafe { Ymm(_mm256_sub_pd(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Ymm) -> Ymm {
        unsafe { Ymm(_mm256_mul_pd(self.0, other.0)) }
    }

    #[inline(always)]
    fn not_above(self, other: Ymm) -> __m256d {
        unsafe { _mm256_cmp_pd::<_CMP_NGT_UQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn at_most(self, other: Ymm) -> __m256d {
        unsafe { _mm256_cmp_pd::<_CMP_LE_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn equals(self, other: Ymm) -> __m256d {
        unsafe { _mm256_cmp_pd::<_CMP_EQ_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn replace(self, mask: __m256d, yes: Ymm) -> Ymm {
        unsafe { Ymm(_mm256_blendv_pd(self.0, yes.0, mask)) }
    }

    #[inline(always)]
    fn count(self, mask: __m256d, by: u64) -> Ymm {
        unsafe {
            let by = _mm256_and_si256(_mm256_castpd_si256(mask), _mm256_set1_epi64x(by as i64));
            Ymm(_mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(self.0), by)))
        }
    }

    #[inline(always)]
    fn is_negative(self) -> __m256d {
        unsafe { _mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_setzero_si256(), _mm256_castpd_si256(self.0))) }
    }

    #[inline(always)]
    fn and(one: __m256d, other: __m256d) -> __m256d {
        unsafe { _mm256_and_pd(one, other) }
    }

    #[inline(always)]
    fn or(one: __m256d, other: __m256d) -> __m256d {
        unsafe { _mm256_or_pd(one, other) }
    }

    #[inline(always)]
    fn bits(mask: __m256d) -> u64 {
        unsafe { _mm256_movemask_pd(mask) as u64 }
    }

    #[inline(always)]
    fn compress(self, bits: u64) -> Ymm {
        Ymm(permuted(self.0, &COMPRESS[bits as usize & 15]))
    }
}
