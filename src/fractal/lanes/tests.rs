//! Every fast kernel equals the definition.

use super::*;
use crate::fractal::{Formula, Palette, Viewport, escape};
use num_complex::Complex64;
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn definition(scene: &Scene, row: u32) -> Vec<u32> {
    let view = scene.viewport();
    let point = |column| Complex64::new(view.x(column), view.y(row));
    (0..view.width())
        .map(|column| {
            let (start, c) = scene.formula().orbit(point(column));
            escape(start, c, scene.iterations())
        })
        .collect()
}

fn random_scene(random: &mut StdRng) -> Scene {
    let size = |random: &mut StdRng| random.random_range(1..=257);
    let span = 10f64.powf(random.random_range(-12.0..1.5));
    // Windows around the set's own landmarks: the real axis, the seam of cardioid and disc, and anywhere.
    let center = match random.random_range(0..4) {
        0 => Complex64::new(random.random_range(-2.0..0.5), 0.0),
        1 => Complex64::new(-0.75, 0.0),
        2 => Complex64::new(0.25, 0.0),
        _ => Complex64::new(random.random_range(-2.0..2.0), random.random_range(-2.0..2.0)),
    };
    let viewport = Viewport::around(size(random), 9, center, span).unwrap();
    let c = Complex64::new(random.random_range(-3.0..3.0), random.random_range(-3.0..3.0));
    let near = Complex64::new(random.random_range(-0.9..0.4), random.random_range(-0.9..0.9));
    let formula = match random.random_range(0..4) {
        0 => Formula::Julia { c },
        1 => Formula::Julia { c: near },
        _ => Formula::Mandelbrot,
    };
    Scene::new(formula, viewport, random.random_range(1..2000), Palette::Classic).unwrap()
}

#[test]
fn every_kernel_equals_the_definition() {
    let mut random = StdRng::seed_from_u64(2015);
    for number in 0..500 {
        let scene = random_scene(&mut random);
        let row = random.random_range(0..9);
        let mut steps = vec![0; scene.viewport().width() as usize];
        let check = |kernel: &str, steps: &[u32]| {
            assert_eq!(steps, definition(&scene, row), "{kernel}, scene {number}, row {row}: {scene:?}");
        };
        escape_row(&scene, row, &mut steps);
        check("chosen", &steps);
        portable::escape_row::<8>(&scene, row, &mut steps);
        check("portable", &steps);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has just said that it knows these instructions.
            #[allow(unsafe_code)]
            unsafe {
                avx2(&scene, row, &mut steps)
            };
            check("avx2", &steps);
        }
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
        let viewport = Viewport::new(9, 1, [c.re - 1e-9, c.re + 1e-9, c.im, c.im + 1.0]).unwrap();
        let scene = Scene::new(Formula::Mandelbrot, viewport, 3000, Palette::Classic).unwrap();
        let mut steps = vec![0; 9];
        escape_row(&scene, 0, &mut steps);
        assert_eq!(steps, definition(&scene, 0), "around {c}");
    }
}
