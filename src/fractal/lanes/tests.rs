//! Every fast kernel equals the definition.

use super::*;
use crate::fractal::{Palette, Samples, Viewport, catalogue, escape};
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

fn assert_all_kernels_equal_the_definition(block: &Block) {
    let expected = definition(block);
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        let (mut steps, mut norms) = (vec![0; expected.len()], vec![0.0; expected.len()]);
        escapes_with(kernel, block, &mut Ends { steps: &mut steps, norms: &mut norms });
        let found = steps.iter().zip(&norms).map(|(&steps, &norm)| Escape { steps, norm });
        let differs = found.zip(&expected).position(|(found, expected)| found != *expected);
        assert!(differs.is_none(), "{} differs at point {differs:?} of {block:?}", kernel.name());
        let mut alone = vec![0; expected.len()];
        escapes_with(kernel, block, &mut Ends { steps: &mut alone, norms: &mut [] });
        assert!(alone == steps, "{} counts otherwise without norms", kernel.name());
    }
}

/// Windows around the set's own landmarks: the real axis, the seam of cardioid and disc, the cusp, the cardioid's border,
/// the tip and the border of what the pool takes, and anywhere, far outside too.
fn center(random: &mut StdRng) -> Complex64 {
    match random.random_range(0..7) {
        3 => {
            let angle = random.random_range(0.0..std::f64::consts::TAU);
            Complex64::from_polar(0.5, angle) - Complex64::from_polar(0.25, 2.0 * angle)
        }
        4 => Complex64::new(-2.0, 0.0),
        5 => Complex64::from_polar(3.9f64.sqrt(), random.random_range(0.0..std::f64::consts::TAU)),
        0 => Complex64::new(random.random_range(-2.0..0.5), 0.0),
        1 => Complex64::new(-0.75, 0.0),
        2 => Complex64::new(0.25, 0.0),
        _ => Complex64::new(random.random_range(-4.0..4.0), random.random_range(-4.0..4.0)),
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
        let limit = 10f64.powf(random.random_range(0.0..3.7)).round().min(5000.0) as u32;
        let bailout = if random.random() { 4.0 } else { 65_536.0 };
        assert_all_kernels_equal_the_definition(&Block {
            formula: formula(&mut random),
            xs: &xs,
            ys: &ys,
            limit,
            bailout,
            shortcuts: random.random(),
        });
    }
}

/// The places that people will look at, in bands and in smooth colours.
#[test]
fn every_kernel_equals_the_definition_on_the_tour() {
    for place in &catalogue::TOUR {
        let scene = place.scene(48, 36, Samples::default()).unwrap();
        let xs: Vec<f64> = (0..48).map(|column| scene.viewport().x(f64::from(column))).collect();
        let ys: Vec<f64> = (0..36).map(|row| scene.viewport().y(f64::from(row))).collect();
        for palette in [Palette::Classic, place.palette()] {
            let (formula, limit, bailout) = (scene.formula(), scene.iterations(), palette.bailout());
            assert_all_kernels_equal_the_definition(&Block {
                formula,
                xs: &xs,
                ys: &ys,
                limit,
                bailout,
                shortcuts: true,
            });
        }
    }
}

/// On both sides of the border of cardioid and disc, where a margin that is too small would show.
#[test]
fn points_on_the_border_of_the_bulbs_keep_their_count() {
    let border = (0..2000).map(|i| f64::from(i) / 2000.0 * std::f64::consts::TAU).flat_map(|angle| {
        let cardioid = Complex64::from_polar(0.5, angle) - Complex64::from_polar(0.25, 2.0 * angle);
        [cardioid, Complex64::from_polar(0.25, angle) - 1.0]
    });
    for c in border {
        let xs: Vec<f64> = (-4..=4).map(|i| c.re + f64::from(i) * 2.5e-10).collect();
        let block =
            Block { formula: Formula::Mandelbrot, xs: &xs, ys: &[c.im], limit: 3000, bailout: 4.0, shortcuts: true };
        assert_all_kernels_equal_the_definition(&block);
    }
}

/// Subnormal numbers, signed zeros, and points that overflow at once.
#[test]
fn numbers_at_the_edge_of_the_format_are_followed_too() {
    let xs = [
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        2.2e-308,
        1e-160,
        2.0,
        -2.0,
        1e154,
        1.3e154,
        1e200,
        -1e300,
        1.7e308,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let constants = [(-0.0, 5e-324), (-1.0, 0.0), (-2.0, 0.0), (0.0, 0.0), (-1.9748417658131499, 0.0), (1e200, -1e200)];
    let julias = constants.map(|(re, im)| Formula::Julia { c: Complex64::new(re, im) });
    for formula in julias.into_iter().chain([Formula::Mandelbrot]) {
        for bailout in [4.0, 65_536.0, 1e101, f64::MAX] {
            assert_all_kernels_equal_the_definition(&Block {
                formula,
                xs: &xs,
                ys: &xs,
                limit: 500,
                bailout,
                shortcuts: true,
            });
        }
    }
}

/// The limit ends an orbit within the first pass, within a block, and on the border of a block.
#[test]
fn every_limit_is_kept() {
    let xs: Vec<f64> = (0..200).map(|i| -2.1 + f64::from(i) * 0.013).collect();
    for limit in 1..100 {
        let block =
            Block { formula: Formula::Mandelbrot, xs: &xs, ys: &[0.0, 0.3, 0.7], limit, bailout: 4.0, shortcuts: true };
        assert_all_kernels_equal_the_definition(&block);
    }
}

/// A block that is larger than all buffers on the way, with orbits of every length.
#[test]
fn a_large_block_comes_back_in_order() {
    let axis = |from: f64, count: u32| (0..count).map(|i| from + f64::from(i) * 0.0083).collect::<Vec<f64>>();
    for formula in [Formula::Mandelbrot, Formula::Julia { c: Complex64::new(-0.7269, 0.1889) }] {
        let block = Block {
            formula,
            xs: &axis(-2.0, 301),
            ys: &axis(-1.2, 290),
            limit: 700,
            bailout: 65_536.0,
            shortcuts: true,
        };
        assert_all_kernels_equal_the_definition(&block);
    }
}

/// Windows around 0, whole, shifted and turned over: some coordinates mirror others to the last bit, some only nearly.
#[test]
fn what_mirrors_another_point_ends_as_it_does() {
    let mut random = StdRng::seed_from_u64(612);
    let constants = [(-0.7269, 0.1889), (-0.4, 0.6), (-1.0, 0.0), (-0.75, -0.0), (0.0, 0.0), (1.5, 1.5)];
    let julias = constants.map(|(re, im)| Formula::Julia { c: Complex64::new(re, im) });
    for round in 0..800 {
        let bounds = |random: &mut StdRng| {
            let (half, shift) =
                (random.random_range(0.5..2.0), [0.0, 0.0, 0.0, 0.25, 1e-16][random.random_range(0..5)]);
            if random.random() { [shift - half, shift + half] } else { [shift + half, shift - half] }
        };
        let ([xa, xb], [ya, yb]) = (bounds(&mut random), bounds(&mut random));
        let (width, height) = (random.random_range(1..70), random.random_range(1..50));
        let view = Viewport::new(width, height, [xa, xb, ya, yb]).unwrap();
        // Samples of a pixel: 1 to 4 along a side.
        let samples =
            |pixels: u32| (0..pixels * (round % 4 + 1)).map(move |at| f64::from(at) / f64::from(round % 4 + 1));
        let xs: Vec<f64> = samples(width).map(|column| view.x(column)).collect();
        let ys: Vec<f64> = samples(height).map(|row| view.y(row)).collect();
        assert_all_kernels_equal_the_definition(&Block {
            formula: *julias.get(random.random_range(0..8)).unwrap_or(&Formula::Mandelbrot),
            xs: &xs,
            ys: &ys,
            limit: [9, 10, 11, 60, 300, 1500][random.random_range(0..6)],
            bailout: if random.random() { 4.0 } else { 65_536.0 },
            shortcuts: random.random_range(0..8) > 0,
        });
    }
}

fn is_in_bulb(c: Complex64) -> bool {
    use {portable::Array, vector::Vector};
    Array::bits(interior::are_in_bulbs(Array::splat(c.re), Array::splat(c.im))) != 0
}

/// The margin of the bulbs, which `interior.rs` derives, against orbits that are followed for long.
#[test]
fn what_is_taken_for_a_bulb_never_escapes() {
    for i in 0..400 {
        let angle = f64::from(i * i) / 160_000.0 * std::f64::consts::PI;
        let (one, two) = (Complex64::from_polar(1.0, angle), Complex64::from_polar(1.0, 2.0 * angle));
        for (border, center) in
            [(one * 0.5 - two * 0.25, Complex64::new(0.0, 0.0)), (one * 0.25 - 1.0, Complex64::new(-1.0, 0.0))]
        {
            let shrunk = |by: f64| center + (border - center) * (1.0 - by);
            let c = (0..40).map(|k| shrunk(1e-7 * 1.5f64.powi(k))).find(|c| is_in_bulb(*c));
            let c = c.expect("the margin leaves nothing of the bulb");
            assert_eq!(escape(Complex64::new(0.0, 0.0), c, 20_000, 4.0).steps, 20_000, "{c} leaves");
        }
    }
}

#[test]
fn the_best_kernel_is_one_that_can_be_chosen() {
    assert!(Kernel::best().is_available());
    assert_eq!(choose(Kernel::best()), Ok(()));
    assert_eq!(choose(Kernel::Plain), Err(NotChosen::InUse(Kernel::best())));
}
