//! The derivatives of orbits whose ends are known: no test is needed, only as many steps as the end tells.

use super::vector::Vector;
use super::{Block, Kernel, chosen};
use crate::fractal::Escape;
use crate::fractal::distance::start;
use num_complex::Complex64;

/// How many vectors are in flight: each has two chains of four operations.
const VECTORS: usize = 2;

/// The most lanes of all instruction sets.
const MOST: usize = 8 * VECTORS;

/// The derivatives of the last z by the pixel, for these places of the block. Those side by side should take the same
/// number of steps, or nearly so, and never fewer than those before.
pub fn derivatives(block: &Block, places: &[usize], ends: &[Escape]) -> Vec<Complex64> {
    derivatives_with(chosen(), block, places, ends)
}

/// The same with this kernel, which must be available here.
pub fn derivatives_with(kernel: Kernel, block: &Block, places: &[usize], ends: &[Escape]) -> Vec<Complex64> {
    assert!(kernel.is_available(), "this processor cannot run the kernel {}", kernel.name());
    match kernel {
        // SAFETY, here and below: available, by the line above.
        #[cfg(target_arch = "aarch64")]
        #[allow(unsafe_code)]
        Kernel::Neon => unsafe { with_neon(block, places, ends) },
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        Kernel::Avx2 => unsafe { with_avx2(block, places, ends) },
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        Kernel::Avx512 => unsafe { with_avx512(block, places, ends) },
        _ => batches::<super::portable::Array>(block, places, ends),
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn with_neon(block: &Block, places: &[usize], ends: &[Escape]) -> Vec<Complex64> {
    batches::<super::neon::Pair>(block, places, ends)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn with_avx2(block: &Block, places: &[usize], ends: &[Escape]) -> Vec<Complex64> {
    batches::<super::avx2::Ymm>(block, places, ends)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,bmi1,bmi2,popcnt")]
fn with_avx512(block: &Block, places: &[usize], ends: &[Escape]) -> Vec<Complex64> {
    batches::<super::avx512::Zmm>(block, places, ends)
}

#[inline(always)]
fn batches<V: Vector>(block: &Block, places: &[usize], ends: &[Escape]) -> Vec<Complex64> {
    let mut derivatives = Vec::with_capacity(places.len());
    for places in places.chunks(V::LANES * VECTORS) {
        let arrived = batch::<V>(block, places, ends);
        derivatives.extend_from_slice(&arrived[..places.len()]);
    }
    derivatives
}

/// Follows the orbits of all lanes. What becomes of those that have arrived does not matter.
#[inline(always)]
fn batch<V: Vector>(block: &Block, places: &[usize], ends: &[Escape]) -> [Complex64; MOST] {
    let (mut x, mut y, mut cx, mut cy) = ([0.0; MOST], [0.0; MOST], [0.0; MOST], [0.0; MOST]);
    for (lane, place) in places.iter().enumerate() {
        let point = Complex64::new(block.xs[place % block.xs.len()], block.ys[place / block.xs.len()]);
        let (z, c) = block.formula.orbit(point);
        (x[lane], y[lane], cx[lane], cy[lane]) = (z.re, z.im, c.re, c.im);
    }
    let load = |numbers: [f64; MOST]| -> [V; VECTORS] { std::array::from_fn(|i| V::load(&numbers[i * V::LANES..])) };
    let (mut x, mut y, cx, cy) = (load(x), load(y), load(cx), load(cy));
    let (first, one) = start(block.formula);
    let (mut dx, mut dy) = ([V::splat(first.re); VECTORS], [V::splat(first.im); VECTORS]);
    let one = V::splat(one);
    let (mut arrived, mut lane, mut done) = ([first; MOST], 0, 0);
    while lane < places.len() {
        let steps = ends[places[lane]].steps;
        for _ in done..steps {
            for i in 0..VECTORS {
                let (tx, ty) = (x[i].add(x[i]), y[i].add(y[i]));
                (dx[i], dy[i]) = (tx.mul(dx[i]).sub(ty.mul(dy[i])).add(one), tx.mul(dy[i]).add(ty.mul(dx[i])));
                (x[i], y[i]) = (x[i].mul(x[i]).sub(y[i].mul(y[i])).add(cx[i]), tx.mul(y[i]).add(cy[i]));
            }
        }
        done = steps;
        let (mut re, mut im) = ([0.0; MOST], [0.0; MOST]);
        for i in 0..VECTORS {
            dx[i].store(&mut re[i * V::LANES..]);
            dy[i].store(&mut im[i * V::LANES..]);
        }
        while lane < places.len() && ends[places[lane]].steps == done {
            arrived[lane] = Complex64::new(re[lane], im[lane]);
            lane += 1;
        }
    }
    arrived
}
