//! AVX-512: eight orbits a register, 32 registers, and masks that cost nothing.
//!
//! The instruction that makes it cheap to move orbits together is here alone: `vcompresspd` moves the lanes of a mask to
//! the front. It is used from register to register: with memory as the target, AMD's processors run it as microcode, a
//! hundred cycles each.
#![allow(unsafe_code)]

use super::mirror::Mirrored;
use super::vector::Vector;
use super::{Ends, pool};
use std::arch::x86_64::*;

/// A ZMM register. Who holds one is on a processor that has them: only the entries below make any.
#[derive(Clone, Copy)]
pub struct Zmm(__m512d);

/// The kernel for this instruction set.
#[target_feature(enable = "avx512f,bmi1,bmi2,popcnt")]
pub fn escapes(block: &Mirrored, ends: &mut Ends) {
    pool::escapes::<Zmm, 4, 6>(block, ends);
}

/// The untested loop for this instruction set.
#[target_feature(enable = "avx512f,bmi1,bmi2,popcnt")]
pub fn ceiling(iterations: u64) -> f64 {
    super::ceiling::untested::<Zmm, 7>(iterations)
}

impl Vector for Zmm {
    type Mask = __mmask8;
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(value: f64) -> Zmm {
        // SAFETY, here and in all that follow: `Zmm` is private to the entries above, which need AVX-512 themselves.
        unsafe { Zmm(_mm512_set1_pd(value)) }
    }

    #[inline(always)]
    fn load(from: &[f64]) -> Zmm {
        let from = &from[..8];
        // SAFETY: eight numbers, by the line above; the instruction asks for no alignment.
        unsafe { Zmm(_mm512_loadu_pd(from.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f64]) {
        let to = &mut to[..8];
        // SAFETY: as in `load`.
        unsafe { _mm512_storeu_pd(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn store_where(self, mask: __mmask8, to: &mut [f64]) {
        let to = &mut to[..8];
        // SAFETY: as in `load`.
        unsafe { _mm512_mask_storeu_pd(to.as_mut_ptr(), mask, self.0) }
    }

    #[inline(always)]
    fn store_low(self, to: &mut [u32]) {
        let to = &mut to[..8];
        // SAFETY: eight halves, by the line above.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtepi64_epi32(_mm512_castpd_si512(self.0))) }
    }

    #[inline(always)]
    fn add(self, other: Zmm) -> Zmm {
        unsafe { Zmm(_mm512_add_pd(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Zmm) -> Zmm {
        unsafe { Zmm(_mm512_sub_pd(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Zmm) -> Zmm {
        unsafe { Zmm(_mm512_mul_pd(self.0, other.0)) }
    }

    #[inline(always)]
    fn not_above(self, other: Zmm) -> __mmask8 {
        unsafe { _mm512_cmp_pd_mask::<_CMP_NGT_UQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn at_most(self, other: Zmm) -> __mmask8 {
        unsafe { _mm512_cmp_pd_mask::<_CMP_LE_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn equals(self, other: Zmm) -> __mmask8 {
        unsafe { _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn replace(self, mask: __mmask8, yes: Zmm) -> Zmm {
        unsafe { Zmm(_mm512_mask_mov_pd(self.0, mask, yes.0)) }
    }

    #[inline(always)]
    fn count(self, mask: __mmask8, by: u64) -> Zmm {
        unsafe {
            let bits = _mm512_castpd_si512(self.0);
            Zmm(_mm512_castsi512_pd(_mm512_mask_add_epi64(bits, mask, bits, _mm512_set1_epi64(by as i64))))
        }
    }

    #[inline(always)]
    fn is_negative(self) -> __mmask8 {
        unsafe { _mm512_cmplt_epi64_mask(_mm512_castpd_si512(self.0), _mm512_setzero_si512()) }
    }

    #[inline(always)]
    fn and(one: __mmask8, other: __mmask8) -> __mmask8 {
        one & other
    }

    #[inline(always)]
    fn or(one: __mmask8, other: __mmask8) -> __mmask8 {
        one | other
    }

    #[inline(always)]
    fn bits(mask: __mmask8) -> u64 {
        u64::from(mask)
    }

    #[inline(always)]
    fn compress(self, bits: u64) -> Zmm {
        unsafe { Zmm(_mm512_maskz_compress_pd(bits as __mmask8, self.0)) }
    }
}
