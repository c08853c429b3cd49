//! The definition, point by point: what the fast kernel must equal, and where it sends the points it is not for.

use super::Block;
use crate::fractal::{Escape, escape};
use num_complex::Complex64;

/// Fills `escapes`, row by row.
pub fn escapes(block: &Block, escapes: &mut [Escape]) {
    for (&y, row) in block.ys.iter().zip(escapes.chunks_exact_mut(block.xs.len())) {
        for (&x, end) in block.xs.iter().zip(row) {
            *end = point(block, Complex64::new(x, y));
        }
    }
}

/// The end of one orbit.
pub fn point(block: &Block, point: Complex64) -> Escape {
    let (start, c) = block.formula.orbit(point);
    escape(start, c, block.limit, block.bailout)
}
