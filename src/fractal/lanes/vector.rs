//! What an instruction set must be able to do for the kernel: a dozen operations on a few numbers side by side.
//!
//! The kernel is written once, over this trait, and compiled once for each instruction set; so there is one thing to
//! read and to prove, and each set's own file is a list. (The house owns no traits unless there are three
//! implementations: AVX-512, AVX2, and arrays for all other processors.)
//!
//! How it becomes machine code: everything from here up to an entry function with `#[target_feature]` is
//! `#[inline(always)]`, so the operations are compiled inside that function, for its instruction set.

/// `LANES` binary64 numbers. Every operation is IEEE-754's, in each lane by itself.
pub trait Vector: Copy {
    /// A yes or no for each lane.
    type Mask: Copy;
    /// How many numbers, at most 8.
    const LANES: usize;
    /// How many vectors a group of lanes has, at most 8: as many chains as hide the latency of a step, as long as
    /// the registers hold their x and y.
    const GROUP: usize;

    /// The same number in all lanes.
    fn splat(value: f64) -> Self;
    /// The first numbers of a slice.
    fn load(from: &[f64]) -> Self;
    /// Over the first numbers of a slice.
    fn store(self, to: &mut [f64]);
    /// self + other
    fn add(self, other: Self) -> Self;
    /// self − other
    fn sub(self, other: Self) -> Self;
    /// self · other
    fn mul(self, other: Self) -> Self;
    /// Not self > other; so it is where one of them is no number.
    fn not_above(self, other: Self) -> Self::Mask;
    /// self ≤ other; not where one of them is no number.
    fn at_most(self, other: Self) -> Self::Mask;
    /// self = other; not where one of them is no number.
    fn equals(self, other: Self) -> Self::Mask;
    /// `yes` in the lanes of the mask, self elsewhere.
    fn replace(self, mask: Self::Mask, yes: Self) -> Self;
    /// self + 1 in the lanes of the mask, self elsewhere.
    fn count(self, mask: Self::Mask) -> Self;
    /// In both.
    fn and(one: Self::Mask, other: Self::Mask) -> Self::Mask;
    /// Bit i is lane i.
    fn bits(mask: Self::Mask) -> u64;
    /// The lanes of `bits`, moved together to the front. What the others hold is open.
    fn compress(self, bits: u64) -> Self;
    /// The opposite: the first lanes of `source` spread over the lanes of `bits`; elsewhere self stays.
    fn expand(self, bits: u64, source: Self) -> Self;
}
