//! The original's search for a Julia constant that is worth drawing.

use super::{Invalid, Viewport, escape};
use num_complex::Complex64;

/// How many points are tried. With the original's ranges 44 are needed on average and 346 was the worst of
/// 300 searches; the original itself never gave up, and hung a worker for ever when there was nothing to find.
const TRIES: u32 = 20_000;

/// Steps after which a point is of no interest: no task, however high its limit, can make the search take long.
/// (Up to 100 iterations the original took points that never escape for such that do at the last step; so do we.)
const ENOUGH: u32 = 101;

/// The first point of the window whose orbit escapes after more than 10 and fewer than 100 steps.
///
/// `draw` gives the next number of a uniform distribution over [0, 1): the same numbers, the same constant.
/// Such a point is near the border of the Mandelbrot set, where Julia sets have the most to show.
pub fn julia_constant(
    viewport: &Viewport,
    iterations: u32,
    mut draw: impl FnMut() -> f64,
) -> Result<Complex64, Invalid> {
    let [xa, xb, ya, yb] = viewport.bounds();
    if iterations < 12 {
        return Err(Invalid::new(format!(
            "iterations is {iterations}: the search for a Julia constant needs 12 or more; give cx and cy to draw with fewer"
        )));
    }
    (0..TRIES)
        .map(|_| {
            let re = draw() * (xb - xa) + xa;
            Complex64::new(re, draw() * (yb - ya) + ya)
        })
        .find(|&c| matches!(escape(c, c, iterations.min(ENOUGH), 4.0).steps.min(iterations - 1), 11..=99))
        .ok_or_else(|| {
            Invalid::new(format!("no Julia constant escapes after 11 to 99 steps in {TRIES} points of this window"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_where_the_original_hung() {
        let far = Viewport::new(8, 8, [50.0, 60.0, 50.0, 60.0]).unwrap();
        assert!(julia_constant(&far, 300, || 0.5).is_err());
        let inside = Viewport::new(8, 8, [-0.1, 0.1, -0.1, 0.1]).unwrap();
        assert!(julia_constant(&inside, u32::MAX, || 0.5).is_err());
        let near = Viewport::new(8, 8, [-2.0, 2.0, -2.0, 2.0]).unwrap();
        assert!(julia_constant(&near, 11, || 0.5).is_err());
    }

    #[test]
    fn the_same_numbers_find_the_same_constant() {
        let view = Viewport::new(8, 8, [-1.0, 1.0, -1.0, 1.0]).unwrap();
        let numbers = || (0..).map(|i| f64::from(i * 7919 % 10_007) / 10_007.0);
        let search = || {
            let mut numbers = numbers();
            julia_constant(&view, 300, || numbers.next().unwrap()).unwrap()
        };
        assert_eq!(search(), search());
    }
}
