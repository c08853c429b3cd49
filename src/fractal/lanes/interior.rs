//! The two largest parts of the Mandelbrot set, by formula.

use super::vector::Vector;

/// Room between the border and the points that are taken for inside; see [`are_in_bulbs`].
const MARGIN: f64 = 1e-6;

/// Which c lie so far inside one of them that the orbit of 0 under z² + c stays for ever, in binary64 too.
///
/// *Disc.* c has a cycle of two with multiplier λ = 4(1 + c), so |1 + c|² < 1/16 − M means |λ|² < 1 − 16·M.
///
/// *Cardioid.* c = λ/2 − λ²/4 has a fixed point with multiplier λ. With s = 1 − λ, σ = Re s, ρ = |s|² the usual form is
/// F = q(q + x − ¼) − y²/4 = −(1 − |λ|²)·(ρ + 2σ)·(ρ² + 4ρ − 4σ²)/256; inside, ρ < 2σ ≤ 4 bounds the two factors by 8 and
/// 16, so |F| ≤ (1 − |λ|²)/2 ≤ 1 − |λ|, and F < −M means |λ| < 1 − M.
///
/// So M bounds δ = 1 − |λ| from below on the whole border, cusp and seam too. Near the fixed point an error e becomes
/// at most (1 − δ)e + e² + u, where u < 2·10⁻¹⁵ is what a step rounds: a disc of radius r is mapped into itself when
/// r² − δr + u ≤ 0, which has solutions as soon as δ² ≥ 4u, δ ≥ 10⁻⁷. M is ten times that.
/// So an orbit that comes near stays near. That the orbit of 0 comes near in binary64 too is not derived but tested,
/// along the whole border (`tests.rs`).
#[inline(always)]
pub fn are_in_bulbs<V: Vector>(cx: V, cy: V) -> V::Mask {
    let (yy, left, right) = (cy.mul(cy), cx.sub(V::splat(0.25)), cx.add(V::splat(1.0)));
    let q = left.mul(left).add(yy);
    let cardioid = q.mul(q.add(left)).sub(yy.mul(V::splat(0.25)));
    let disc = right.mul(right).add(yy);
    V::or(cardioid.at_most(V::splat(-MARGIN)), disc.at_most(V::splat(0.0625 - MARGIN)))
}
