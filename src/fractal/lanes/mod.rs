//! The fast kernels and the one that chooses between them.
//!
//! There is one algorithm (`sweep.rs`, then `pool.rs`), written over a dozen vector operations (`vector.rs`) and
//! compiled once for each instruction set; the processor decides at run time. It must give what
//! [`super::escape`] gives, for every point, to the last bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod ceiling;
mod cycles;
mod derivative;
mod interior;
mod mirror;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
mod points;
mod pool;
mod portable;
mod replay;
mod sweep;
mod vector;

pub use ceiling::ceiling;
pub use derivative::{derivatives, derivatives_with};

use super::{Escape, Formula};
use mirror::Mirrored;
use std::sync::OnceLock;

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
    /// Whether orbits that provably never leave are ended before the limit, and those that mirror others (in the row and
    /// column as far from the other end of the block) take their ends: the result is the same, sooner.
    pub shortcuts: bool,
}

/// Where a kernel leaves what it finds, row by row, a place for each point.
#[derive(Debug)]
pub struct Ends<'a> {
    /// [`Escape::steps`]
    pub steps: &'a mut [u32],
    /// [`Escape::norm`]; empty if nobody wants to know.
    pub norms: &'a mut [f64],
}

impl<'a> Ends<'a> {
    /// Those of the first places, so many, and those of the others.
    pub fn split_at(self, places: usize) -> (Ends<'a>, Ends<'a>) {
        let (steps, other_steps) = self.steps.split_at_mut(places);
        let (norms, other_norms) = self.norms.split_at_mut(places.min(self.norms.len()));
        (Ends { steps, norms }, Ends { steps: other_steps, norms: other_norms })
    }

    /// The end of the point at this place; its norm is 0 if nobody wanted to know.
    pub fn get(&self, at: usize) -> Escape {
        Escape { steps: self.steps[at], norm: self.norms.get(at).copied().unwrap_or_default() }
    }

    #[inline(always)]
    fn set(&mut self, at: usize, end: Escape) {
        self.steps[at] = end.steps;
        if !self.norms.is_empty() {
            self.norms[at] = end.norm;
        }
    }
}

/// The ways to compute the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The definition, point by point.
    Plain,
    /// The pool of orbits, in arrays: for any processor.
    Portable,
    /// The pool of orbits with two lanes a register: for every processor of 64-bit ARM.
    Neon,
    /// The pool of orbits with four lanes a register.
    Avx2,
    /// The pool of orbits with eight lanes a register.
    Avx512,
}

impl Kernel {
    /// From the slowest to the fastest.
    pub const ALL: [Kernel; 5] = [Kernel::Plain, Kernel::Portable, Kernel::Neon, Kernel::Avx2, Kernel::Avx512];

    /// As it is written in settings: `plain`, `portable`, `neon`, `avx2`, `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Plain => "plain",
            Kernel::Portable => "portable",
            Kernel::Neon => "neon",
            Kernel::Avx2 => "avx2",
            Kernel::Avx512 => "avx512",
        }
    }

    /// Whether this processor (and this build) can run it.
    pub fn is_available(self) -> bool {
        match self {
            Kernel::Plain | Kernel::Portable => true,
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => popcnt() && is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => popcnt() && is_x86_feature_detected!("avx512f"),
            _ => false,
        }
    }

    /// The fastest that is available.
    pub fn best() -> Kernel {
        let available = Kernel::ALL.into_iter().rev().find(|kernel| kernel.is_available());
        available.expect("the plain kernel is available everywhere")
    }
}

/// The small instructions that came before AVX2: counting bits, and shifts without flags.
#[cfg(target_arch = "x86_64")]
fn popcnt() -> bool {
    is_x86_feature_detected!("popcnt") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

static CHOSEN: OnceLock<Kernel> = OnceLock::new();

/// Why a kernel was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChosen {
    /// The instructions are missing.
    #[error("this processor cannot run the kernel {}", .0.name())]
    Unavailable(Kernel),
    /// Another one was chosen before, or has already been drawn with.
    #[error("the kernel {} is already in use", .0.name())]
    InUse(Kernel),
}

/// Chooses the kernel of this process, once, before the first picture; without it, [`Kernel::best`] is used.
pub fn choose(kernel: Kernel) -> Result<(), NotChosen> {
    if !kernel.is_available() {
        return Err(NotChosen::Unavailable(kernel));
    }
    match *CHOSEN.get_or_init(|| kernel) {
        chosen if chosen == kernel => Ok(()),
        other => Err(NotChosen::InUse(other)),
    }
}

/// The kernel that [`escapes`] uses from now on.
pub fn chosen() -> Kernel {
    *CHOSEN.get_or_init(Kernel::best)
}

/// Finds the ends with the chosen kernel.
pub fn escapes(block: &Block, ends: &mut Ends) {
    escapes_with(chosen(), block, ends);
}

/// Finds the ends with this kernel.
///
/// # Panics
/// If the kernel is not available here, or there are not as many places as points.
pub fn escapes_with(kernel: Kernel, block: &Block, ends: &mut Ends) {
    let points = block.xs.len() * block.ys.len();
    assert_eq!(ends.steps.len(), points, "a place for each point");
    assert!(ends.norms.is_empty() || ends.norms.len() == points, "a place for each point, or none");
    assert!(kernel.is_available(), "this processor cannot run the kernel {}", kernel.name());
    if kernel == Kernel::Plain || !pool::is_for(block) {
        return plain::escapes(block, ends);
    }
    let block = Mirrored::new(*block);
    match kernel {
        Kernel::Portable => portable::escapes(&block, ends),
        // SAFETY: available, as asserted above.
        #[cfg(target_arch = "aarch64")]
        #[allow(unsafe_code)]
        Kernel::Neon => unsafe { neon::escapes(&block, ends) },
        // SAFETY: available, as asserted above.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        Kernel::Avx2 => unsafe { avx2::escapes(&block, ends) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        Kernel::Avx512 => unsafe { avx512::escapes(&block, ends) },
        _ => unreachable!("not available on this processor"),
    }
    block.complete(ends);
}

#[cfg(test)]
mod tests;
