//! The fast kernels and the one that chooses between them.
//!
//! There is one kernel, written so that a compiler turns it into vector code, and compiled for each instruction
//! set; the processor decides at run time. It must give what [`super::escape`] gives, for every point.

mod portable;

use super::Scene;

/// Fills `steps`, one number a column, with the escapes of one row of the picture.
pub fn escape_row(scene: &Scene, row: u32, steps: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has just said that it knows these instructions.
            #[allow(unsafe_code)]
            return unsafe { avx512(scene, row, steps) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            #[allow(unsafe_code)]
            return unsafe { avx2(scene, row, steps) };
        }
    }
    portable::escape_row::<8>(scene, row, steps);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
fn avx512(scene: &Scene, row: u32, steps: &mut [u32]) {
    portable::escape_row::<32>(scene, row, steps);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(scene: &Scene, row: u32, steps: &mut [u32]) {
    portable::escape_row::<16>(scene, row, steps);
}

#[cfg(test)]
mod tests;
