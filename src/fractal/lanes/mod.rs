//! The fast kernels and the one that chooses between them.
//!
//! There is one kernel, written so that a compiler turns it into vector code, and compiled for each instruction
//! set; the processor decides at run time. It must give what [`super::escape`] gives, for every point.

mod portable;

use super::{Escape, Formula};

/// A block of points, and how long to follow each: all that a kernel needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// What is iterated.
    pub formula: Formula,
    /// Real parts, one a column.
    pub xs: &'a [f64],
    /// Imaginary parts, one a row.
    pub ys: &'a [f64],
    /// The most values of z that are looked at, at least 1.
    pub limit: u32,
    /// Outside is |z|² > `bailout`, at least 4.
    pub bailout: f64,
}

/// Fills `escapes`, row by row; it has `xs.len()` × `ys.len()` places.
pub fn escapes(block: &Block, escapes: &mut [Escape]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has just said that it knows these instructions.
            #[allow(unsafe_code)]
            return unsafe { avx512(block, escapes) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            #[allow(unsafe_code)]
            return unsafe { avx2(block, escapes) };
        }
    }
    portable::escapes::<8>(block, escapes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(block: &Block, escapes: &mut [Escape]) {
    portable::escapes::<32>(block, escapes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(block: &Block, escapes: &mut [Escape]) {
    portable::escapes::<16>(block, escapes);
}

#[cfg(test)]
mod tests;
