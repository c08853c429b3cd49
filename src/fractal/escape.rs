//! The definition of a picture: how many steps a point takes to leave a circle, and where it is then.
//!
//! Every faster kernel in `lanes/` must give the same numbers for every point. The arithmetic is IEEE-754
//! binary64 with one rounding an operation and no fused multiply-add, in the order in which Python's
//! complex numbers compute it, so that anybody can port it in ten lines and get the same picture.

use num_complex::Complex64;

/// How an orbit ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Escape {
    /// The index of the first z outside the circle, or the limit if all of them were inside.
    pub steps: u32,
    /// |z|² of that z, for smooth colours; 0 if all of them were inside.
    pub norm: f64,
}

/// Follows z → z² + c from `start` for at most `limit` values of z. A z is outside when |z|² > `bailout` (at least 4).
///
/// The test comes before the step, so a start outside the circle gives 0. |z|² > 4 replaces the original's
/// hypot(z) > 2: both were compared over thousands of orbits without a difference, and the square needs no root.
pub fn escape(start: Complex64, c: Complex64, limit: u32, bailout: f64) -> Escape {
    let (mut x, mut y) = (start.re, start.im);
    for steps in 0..limit {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > bailout {
            return Escape { steps, norm: xx + yy };
        }
        // (x + x)·y is exactly Python's x·y + y·x: doubling never rounds.
        (x, y) = (xx - yy + c.re, (x + x) * y + c.im);
    }
    Escape { steps: limit, norm: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_examples_of_its_search_for_c_hold() {
        let k = |re, im, limit| escape(Complex64::new(re, im), Complex64::new(re, im), limit, 4.0).steps;
        assert_eq!(k(0.285, 0.01, 512), 18);
        assert_eq!(k(-0.4, 0.6, 395), 25);
        assert_eq!(k(-0.75, 0.11, 395), 28);
        assert_eq!(k(-0.8, 0.156, 255), 251);
        assert_eq!(k(-1.5, 0.0, 300), 300, "the original said 299: the last index of its loop");
        assert_eq!(k(0.5, 0.5, 300), 4);
        assert_eq!(k(2.0, 0.0, 300), 1);
        assert_eq!(k(2.1, 0.0, 300), 0);
    }
}
