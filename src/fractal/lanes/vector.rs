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
    /// The same number in all lanes.
    fn splat(value: f64) -> Self;
    /// The first numbers of a slice.
    fn load(from: &[f64]) -> Self;
    /// Over the first numbers of a slice.
    fn store(self, to: &mut [f64]);
    /// Over the first numbers of a slice, in the lanes of the mask.
    fn store_where(self, mask: Self::Mask, to: &mut [f64]);
    /// The low halves of the bits, over the first numbers of a slice.
    fn store_low(self, to: &mut [u32]);
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
    /// The bits of self, taken for a whole number, + `by` in the lanes of the mask; self elsewhere.
    fn count(self, mask: Self::Mask, by: u64) -> Self;
    /// The bits of self, taken for a whole number with a sign, are below zero.
    fn is_negative(self) -> Self::Mask;
    /// In both.
    fn and(one: Self::Mask, other: Self::Mask) -> Self::Mask;
    /// In one of both.
    fn or(one: Self::Mask, other: Self::Mask) -> Self::Mask;
    /// Bit i is lane i.
    fn bits(mask: Self::Mask) -> u64;
    /// The lanes of `bits`, moved together to the front. What the others hold is open.
    fn compress(self, bits: u64) -> Self;
}

/// One step: seven operations, each rounded by itself. (x + x)·y is the original's x·y + y·x: doubling never rounds.
#[inline(always)]
pub fn step<V: Vector>(x: V, y: V, cx: V, cy: V) -> (V, V) {
    (x.mul(x).sub(y.mul(y)).add(cx), x.add(x).mul(y).add(cy))
}

/// The first lanes, at most `count` of them.
#[inline(always)]
pub fn first(count: usize) -> u64 {
    if count >= 64 { !0 } else { (1 << count) - 1 }
}
