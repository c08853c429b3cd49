//! The definition, point by point: what the fast kernel must equal, and where it sends the points it is not for.

use super::{Block, Ends};
use crate::fractal::{Escape, escape};
use num_complex::Complex64;

/// Finds the ends, row by row.
pub fn escapes(block: &Block, ends: &mut Ends) {
    for (row, &y) in block.ys.iter().enumerate() {
        for (column, &x) in block.xs.iter().enumerate() {
            ends.set(row * block.xs.len() + column, point(block, Complex64::new(x, y)));
        }
    }
}

/// The end of one orbit.
pub fn point(block: &Block, point: Complex64) -> Escape {
    let (start, c) = block.formula.orbit(point);
    escape(start, c, block.limit, block.bailout)
}
