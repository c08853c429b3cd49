//! The definition of a picture: how many steps a point takes to leave the circle of radius 2.
//!
//! Every faster kernel in `lanes/` must give the same number for every point. The arithmetic is IEEE-754
//! binary64 with one rounding an operation and no fused multiply-add, in the order in which Python's
//! complex numbers compute it, so that anybody can port it in ten lines and get the same picture.

use num_complex::Complex64;

/// The index of the first `z` with |z| > 2 in the orbit z → z² + c, or `limit` − 1 if there is none.
///
/// The test comes before the step, so a start outside the circle gives 0. A point that escapes exactly at the
/// last step cannot be told from one that never does: so it was in 2015, and the colours depend on it.
///
/// |z|² > 4 replaces the original's hypot(z) > 2. Both were compared over thousands of orbits without a
/// difference, and the square needs no root.
pub fn escape(start: Complex64, c: Complex64, limit: u32) -> u32 {
    let (mut x, mut y) = (start.re, start.im);
    for step in 0..limit {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 4.0 {
            return step;
        }
        // (x + x)·y is exactly Python's x·y + y·x: doubling never rounds.
        (x, y) = (xx - yy + c.re, (x + x) * y + c.im);
    }
    limit.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_examples_of_its_search_for_c_hold() {
        let k = |re, im, limit| escape(Complex64::new(re, im), Complex64::new(re, im), limit);
        assert_eq!(k(0.285, 0.01, 512), 18);
        assert_eq!(k(-0.4, 0.6, 395), 25);
        assert_eq!(k(-0.75, 0.11, 395), 28);
        assert_eq!(k(-0.8, 0.156, 255), 251);
        assert_eq!(k(-1.5, 0.0, 300), 299);
        assert_eq!(k(0.5, 0.5, 300), 4);
        assert_eq!(k(2.0, 0.0, 300), 1);
        assert_eq!(k(2.1, 0.0, 300), 0);
    }
}
