//! The machine's ceiling: the seven operations of a step and nothing else.
//!
//! No test, no count, no end: what no kernel that computes the definition can pass. A kernel's speed is told as a
//! part of it, which means the same on a fast machine and on a slow one, on a quiet one and on a busy one.

use super::Kernel;
use super::vector::Vector;
use std::hint::black_box;

/// Does `iterations` steps of the untested loop, rounded up to what the registers hold, and returns something made of
/// all of them.
///
/// # Panics
/// If this processor does not have the kernel's instructions.
pub fn ceiling(kernel: Kernel, iterations: u64) -> f64 {
    assert!(kernel.is_available(), "this processor cannot run the kernel {}", kernel.name());
    match kernel {
        Kernel::Plain => plain(iterations),
        Kernel::Portable => super::portable::ceiling(iterations),
        // SAFETY: available, by the line above.
        #[cfg(target_arch = "aarch64")]
        #[allow(unsafe_code)]
        Kernel::Neon => unsafe { super::neon::ceiling(iterations) },
        // SAFETY: available, by the line above.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        Kernel::Avx2 => unsafe { super::avx2::ceiling(iterations) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        Kernel::Avx512 => unsafe { super::avx512::ceiling(iterations) },
        _ => unreachable!("not available on this processor"),
    }
}

fn plain(iterations: u64) -> f64 {
    let (mut x, mut y) = (black_box(0.1f64), black_box(0.1f64));
    let (cx, cy) = (black_box(-0.1), black_box(0.2));
    for _ in 0..iterations {
        (x, y) = (x * x - y * y + cx, (x + x) * y + cy);
    }
    x + y
}

/// `V` vectors in flight: the number that is fastest for an instruction set is found by trying.
#[inline(always)]
pub fn untested<T: Vector, const V: usize>(iterations: u64) -> f64 {
    let constant = |i: usize, scale: f64| T::splat(black_box(i as f64 * scale));
    let (cx, cy): ([T; V], [T; V]) =
        (std::array::from_fn(|i| constant(i, -0.01)), std::array::from_fn(|i| constant(i, 0.02)));
    let (mut x, mut y) = (cx, cy);
    for _ in 0..iterations.div_ceil((8 * V * T::LANES) as u64) {
        for _ in 0..8 {
            for i in 0..V {
                (x[i], y[i]) = super::vector::step(x[i], y[i], cx[i], cy[i]);
            }
        }
    }
    let mut sum = [0.0; 8];
    (0..V).fold(T::splat(0.0), |all, i| all.add(x[i]).add(y[i])).store(&mut sum);
    sum.iter().sum()
}
