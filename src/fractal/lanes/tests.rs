//! Every fast kernel equals the definition.

use super::*;
use crate::fractal::escape;
use num_complex::Complex64;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn definition(block: &Block) -> Vec<Escape> {
    let points = block.ys.iter().flat_map(|&y| block.xs.iter().map(move |&x| Complex64::new(x, y)));
    let ends = points.map(|point| {
        let (start, c) = block.formula.orbit(point);
        escape(start, c, block.limit, block.bailout)
    });
    ends.collect()
}

type Kernel = (&'static str, fn(&Block, &mut [Escape]));

/// Every kernel that this processor can run, under its name.
fn kernels() -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = vec![("chosen", escapes), ("portable", portable::escapes::<8>)];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has just said that it knows these instructions.
        #[allow(unsafe_code)]
        kernels.push(("avx2", |block, escapes| unsafe { avx2(block, escapes) }));
    }
    kernels
}

fn assert_all_kernels_equal_the_definition(block: &Block) {
    let expected = definition(block);
    for (name, kernel) in kernels() {
        let mut found = vec![Escape::default(); expected.len()];
        kernel(block, &mut found);
        let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        assert!(differs.is_none(), "{name} differs at point {differs:?} of {block:?}");
    }
}

/// Windows around the set's own landmarks: the real axis, the seam of cardioid and disc, the cusp, and anywhere.
fn center(random: &mut StdRng) -> Complex64 {
    match random.random_range(0..4) {
        0 => Complex64::new(random.random_range(-2.0..0.5), 0.0),
        1 => Complex64::new(-0.75, 0.0),
        2 => Complex64::new(0.25, 0.0),
        _ => Complex64::new(random.random_range(-2.0..2.0), random.random_range(-2.0..2.0)),
    }
}

fn formula(random: &mut StdRng) -> Formula {
    match random.random_range(0..4) {
        0 => Formula::Julia { c: Complex64::new(random.random_range(-3.0..3.0), random.random_range(-3.0..3.0)) },
        1 => Formula::Julia { c: Complex64::new(random.random_range(-0.9..0.4), random.random_range(-0.9..0.9)) },
        _ => Formula::Mandelbrot,
    }
}

fn axis(random: &mut StdRng, center: f64, span: f64, longest: usize) -> Vec<f64> {
    let count = random.random_range(1..=longest);
    (0..count).map(|i| center + span * (i as f64 / count as f64 - 0.5)).collect()
}

#[test]
fn every_kernel_equals_the_definition() {
    let mut random = StdRng::seed_from_u64(2015);
    for _ in 0..2000 {
        let (center, span) = (center(&mut random), 10f64.powf(random.random_range(-12.0..1.0)));
        let (xs, ys) = (axis(&mut random, center.re, span, 257), axis(&mut random, center.im, span, 3));
        // Limits are spread over orders of magnitude, or the long ones would take all the time.
        let limit = 10f64.powf(random.random_range(0.0..3.7)) as u32;
        let bailout = if random.random() { 4.0 } else { 65_536.0 };
        assert_all_kernels_equal_the_definition(&Block {
            formula: formula(&mut random),
            xs: &xs,
            ys: &ys,
            limit,
            bailout,
        });
    }
}

/// Ten million points on both sides of the border of cardioid and disc would show a margin that is too small;
/// these are the closest ones that a picture can ask for.
#[test]
fn points_on_the_border_of_the_bulbs_keep_their_count() {
    let border = (0..2000).map(|i| f64::from(i) / 2000.0 * std::f64::consts::TAU).flat_map(|angle| {
        let cardioid = Complex64::from_polar(0.5, angle) - Complex64::from_polar(0.25, 2.0 * angle);
        [cardioid, Complex64::from_polar(0.25, angle) - 1.0]
    });
    for c in border {
        let xs: Vec<f64> = (-4..=4).map(|i| c.re + f64::from(i) * 2.5e-10).collect();
        let block = Block { formula: Formula::Mandelbrot, xs: &xs, ys: &[c.im], limit: 3000, bailout: 4.0 };
        assert_all_kernels_equal_the_definition(&block);
    }
}

/// Subnormal numbers, signed zeros, and points that overflow at once.
#[test]
fn numbers_at_the_edge_of_the_format_are_followed_too() {
    let xs = [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e-160, 2.0, -2.0, 1e154, 1.3e154, 1e200, -1e300, 1.7e308];
    for formula in [Formula::Mandelbrot, Formula::Julia { c: Complex64::new(-0.0, 5e-324) }] {
        for bailout in [4.0, 65_536.0] {
            assert_all_kernels_equal_the_definition(&Block { formula, xs: &xs, ys: &xs, limit: 500, bailout });
        }
    }
}
