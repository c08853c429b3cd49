//! How far a point outside is from its set, estimated from the end of its orbit and the derivative there.
//!
//! With z′ the derivative of the last z by the pixel, d = |z|·ln|z| / |z′|. Near the border of a connected set the true
//! distance lies between d/2 and 2d, by Koebe's quarter theorem. (John Milnor, "Self-similarity and hairiness in the
//! Mandelbrot set", 1989; Yuval Fisher in Peitgen and Saupe, "The Science of Fractal Images", 1988, appendix D.)
//! z′ follows its own recurrence: z′ ← 2·z·z′, plus 1 where the pixel is c.

use super::lanes::{Block, derivatives};
use super::{Escape, Formula};
use num_complex::Complex64;

/// The definition: follows z and z′ for the steps that the end tells. 0 where the orbit stays, and where z′ overflows.
pub fn distance(formula: Formula, point: Complex64, end: Escape) -> f64 {
    let ((mut z, c), (mut derivative, one)) = (formula.orbit(point), start(formula));
    for _ in 0..end.steps {
        (z, derivative) = (z * z + c, (z + z) * derivative + one);
    }
    estimate(end, derivative)
}

/// z′ of the start, and what each step adds.
pub(super) fn start(formula: Formula) -> (Complex64, f64) {
    match formula {
        Formula::Mandelbrot => (Complex64::new(0.0, 0.0), 1.0),
        Formula::Julia { .. } => (Complex64::new(1.0, 0.0), 0.0),
    }
}

fn estimate(end: Escape, derivative: Complex64) -> f64 {
    let distance = libm::sqrt(end.norm / derivative.norm_sqr()) * libm::log(end.norm) / 2.0;
    // No number is not above zero either.
    if distance > 0.0 { distance } else { 0.0 }
}

/// The distances of all points of a block, whose `ends` are known. Equals [`distance`] to the last bit.
pub fn distances(block: &Block, ends: &[Escape]) -> Vec<f64> {
    let mut distances = vec![0.0; ends.len()];
    let outside = outside(block, ends);
    for (&place, derivative) in outside.iter().zip(derivatives(block, &outside, ends)) {
        distances[place] = estimate(ends[place], derivative);
    }
    distances
}

/// The places of those that escape, in the order of their counts, so that neighbours take the same number of steps.
fn outside(block: &Block, ends: &[Escape]) -> Vec<usize> {
    let mut outside: Vec<usize> = (0..ends.len()).filter(|&place| ends[place].steps < block.limit).collect();
    outside.sort_unstable_by_key(|&place| ends[place].steps);
    outside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fractal::lanes::{Kernel, derivatives_with};
    use crate::fractal::{Samples, catalogue, escape};

    fn of(formula: Formula, point: Complex64) -> f64 {
        let (start, c) = formula.orbit(point);
        distance(formula, point, escape(start, c, 100_000, 65_536.0))
    }

    /// Before the tip of the set, where it is half the estimate, and around the unit circle the distance is known.
    #[test]
    fn the_distance_is_right_within_a_factor_of_two() {
        let circle = Formula::Julia { c: Complex64::new(0.0, 0.0) };
        for far in (1..12).map(|exponent| 10f64.powi(-exponent)) {
            let tip = of(Formula::Mandelbrot, Complex64::new(-2.0 - far, 0.0)) / far;
            let round = of(circle, Complex64::from_polar(1.0 + far, far)) / far;
            let right = |ratio| (0.4999..=2.0001).contains(&ratio);
            assert!(right(tip) && right(round), "{far}: {tip} and {round}");
        }
        assert_eq!(of(Formula::Mandelbrot, Complex64::new(-1.0, 0.0)), 0.0);
    }

    #[test]
    fn every_kernel_follows_the_derivative_of_the_definition() {
        for place in &catalogue::TOUR {
            let scene = place.scene(53, 41, Samples::default()).unwrap();
            let xs: Vec<f64> = (0..53).map(|column| scene.viewport().x(f64::from(column))).collect();
            let ys: Vec<f64> = (0..41).map(|row| scene.viewport().y(f64::from(row))).collect();
            let (formula, limit) = (scene.formula(), scene.iterations());
            let block = Block { formula, xs: &xs, ys: &ys, limit, bailout: 65_536.0, shortcuts: true };
            let points: Vec<Complex64> =
                ys.iter().flat_map(|&y| xs.iter().map(move |&x| Complex64::new(x, y))).collect();
            let end = |point: &Complex64| {
                let (start, c) = block.formula.orbit(*point);
                escape(start, c, block.limit, block.bailout)
            };
            let ends: Vec<Escape> = points.iter().map(end).collect();
            let expected: Vec<f64> =
                points.iter().zip(&ends).map(|(&point, &end)| distance(block.formula, point, end)).collect();
            let outside = outside(&block, &ends);
            for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
                let mut found = vec![0.0; ends.len()];
                for (&place, derivative) in outside.iter().zip(derivatives_with(kernel, &block, &outside, &ends)) {
                    found[place] = estimate(ends[place], derivative);
                }
                assert!(found == expected, "{} differs at {}", kernel.name(), place.name);
            }
            assert!(distances(&block, &ends) == expected, "{}", place.name);
        }
    }
}
