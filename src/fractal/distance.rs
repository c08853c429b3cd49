//! How far a point outside is from its set, estimated from the end of its orbit and the derivative there.
//!
//! With z′ the derivative of the last z by the pixel, d = |z|·ln|z| / |z′|. Near the border of a connected set the true
//! distance lies between d/2 and 2d, by Koebe's quarter theorem. (John Milnor, "Self-similarity and hairiness in the
//! Mandelbrot set", 1989; Yuval Fisher in Peitgen and Saupe, "The Science of Fractal Images", 1988, appendix D.)
//! z′ follows its own recurrence: z′ ← 2·z·z′, plus 1 where the pixel is c.

use super::lanes::Block;
use super::{Escape, Formula};
use num_complex::Complex64;

/// The definition: follows z and z′ for the steps that the end tells. 0 where the orbit stays, and where z′ overflows.
pub fn distance(formula: Formula, point: Complex64, end: Escape) -> f64 {
    let ((mut z, c), (mut derivative, one)) = (formula.orbit(point), derivative(formula));
    for _ in 0..end.steps {
        (z, derivative) = (z * z + c, (z + z) * derivative + one);
    }
    estimate(end, derivative)
}

/// z′ of the start, and what each step adds.
fn derivative(formula: Formula) -> (Complex64, f64) {
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

/// Orbits side by side, which the compiler puts into vectors.
const LANES: usize = 8;

/// The distances of all points of a block, whose `ends` are known. Equals [`distance`] to the last bit.
pub fn distances(block: &Block, ends: &[Escape]) -> Vec<f64> {
    let mut distances = vec![0.0; ends.len()];
    let mut outside: Vec<usize> = (0..ends.len()).filter(|&at| ends[at].steps < block.limit).collect();
    // Side by side are those that take the same number of steps, or nearly so.
    outside.sort_unstable_by_key(|&at| ends[at].steps);
    for batch in outside.chunks(LANES) {
        // A short last batch follows its last point several times.
        let at: [usize; LANES] = std::array::from_fn(|lane| batch[lane.min(batch.len() - 1)]);
        let derivatives = derivatives(block, at, at.map(|at| ends[at].steps));
        for (at, derivative) in at.into_iter().zip(derivatives) {
            distances[at] = estimate(ends[at], derivative);
        }
    }
    distances
}

/// The derivatives after so many steps each, in rising order.
fn derivatives(block: &Block, at: [usize; LANES], steps: [u32; LANES]) -> [Complex64; LANES] {
    let points = at.map(|at| Complex64::new(block.xs[at % block.xs.len()], block.ys[at / block.xs.len()]));
    let (start, one) = derivative(block.formula);
    let orbits = points.map(|point| block.formula.orbit(point));
    let (mut x, mut y) = (orbits.map(|(z, _)| z.re), orbits.map(|(z, _)| z.im));
    let (cx, cy) = (orbits.map(|(_, c)| c.re), orbits.map(|(_, c)| c.im));
    let (mut dx, mut dy) = ([start.re; LANES], [start.im; LANES]);
    let (mut done, mut arrived) = (0, [start; LANES]);
    for first in 0..LANES {
        // All go on until the next has arrived; what becomes of those that had arrived before does not matter.
        for _ in done..steps[first] {
            for i in 0..LANES {
                let (tx, ty) = (x[i] + x[i], y[i] + y[i]);
                (dx[i], dy[i]) = (tx * dx[i] - ty * dy[i] + one, tx * dy[i] + ty * dx[i]);
                (x[i], y[i]) = (x[i] * x[i] - y[i] * y[i] + cx[i], tx * y[i] + cy[i]);
            }
        }
        done = steps[first];
        arrived[first] = Complex64::new(dx[first], dy[first]);
    }
    arrived
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn side_by_side_they_equal_the_definition() {
        for place in &catalogue::TOUR {
            let scene = place.scene(53, 41, Samples::default()).unwrap();
            let xs: Vec<f64> = (0..53).map(|column| scene.viewport().x(f64::from(column))).collect();
            let ys: Vec<f64> = (0..41).map(|row| scene.viewport().y(f64::from(row))).collect();
            let block =
                Block { formula: scene.formula(), xs: &xs, ys: &ys, limit: scene.iterations(), bailout: 65_536.0 };
            let points: Vec<Complex64> =
                ys.iter().flat_map(|&y| xs.iter().map(move |&x| Complex64::new(x, y))).collect();
            let end = |point: &Complex64| {
                let (start, c) = block.formula.orbit(*point);
                escape(start, c, block.limit, block.bailout)
            };
            let ends: Vec<Escape> = points.iter().map(end).collect();
            let expected: Vec<f64> =
                points.iter().zip(&ends).map(|(&point, &end)| distance(block.formula, point, end)).collect();
            assert!(distances(&block, &ends) == expected, "{}", place.name);
        }
    }
}
