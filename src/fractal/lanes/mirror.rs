//! Points whose orbits mirror those of others of the block: they end alike, and are copied instead of followed.
//!
//! *Why they do.* A sign changes no rounding. z and −z have the same x·x, y·y and (x + x)·y, so the same norm and the
//! same next z, to the last bit: in a Julia set −z ends as z does. Where Im c is 0, and in the Mandelbrot set, the orbit
//! of the conjugate is the conjugate of the orbit, with the same norms. Only the sign of a zero may differ, and no norm
//! knows of that.
//!
//! *Where they are.* The row that may mirror a row is the one as far from the other end of the block, and so it is with
//! columns. Coordinates are rounded: only those count that are each other's negative to the last bit. Of two such rows
//! the second is copied, all of it, or, where it takes −z, those points whose columns have a mirror too. The others are
//! followed; their ends stand at the front of their row, and move to their places when all is done.

use super::{Block, Ends};
use crate::fractal::Formula;

/// Zeros behind the real parts of a row, so that its last points may be loaded as vectors.
pub const PADDING: usize = 32;

/// A block, and what in it is copied.
pub struct Mirrored<'a> {
    pub block: Block<'a>,
    /// Whether a point ends as −z does, or else as its conjugate.
    turns: bool,
    /// The columns that are followed in a row that is copied.
    columns: Vec<usize>,
    /// Their real parts, and those of all columns, padded.
    some: Vec<f64>,
    all: Vec<f64>,
}

impl<'a> Mirrored<'a> {
    /// Looks for what mirrors what.
    pub fn new(block: Block<'a>) -> Mirrored<'a> {
        let turns = matches!(block.formula, Formula::Julia { c } if c.im != 0.0);
        let all = [block.xs, &[0.0; PADDING]].concat();
        let mut mirrored = Mirrored { block, turns, columns: Vec::new(), some: vec![0.0; PADDING], all };
        if turns && mirrored.copies().next().is_some() {
            mirrored.columns = (0..block.xs.len()).filter(|&column| !has_mirror(block.xs, column)).collect();
            let xs = mirrored.columns.iter().map(|&column| block.xs[column]);
            mirrored.some = xs.chain([0.0; PADDING]).collect();
        }
        mirrored
    }

    /// The real parts of the points of a row that are followed, padded.
    pub fn followed(&self, row: usize) -> &[f64] {
        if self.is_copy(row) { &self.some } else { &self.all }
    }

    /// Whether this row mirrors one before it.
    fn is_copy(&self, row: usize) -> bool {
        self.block.shortcuts && row >= self.block.ys.len().div_ceil(2) && has_mirror(self.block.ys, row)
    }

    /// The rows that mirror others.
    fn copies(&self) -> impl Iterator<Item = usize> {
        (0..self.block.ys.len()).filter(|&row| self.is_copy(row))
    }

    /// Completes the rows that mirror others, when all that was followed has ended.
    pub fn complete(&self, ends: &mut Ends) {
        for row in self.copies() {
            self.complete_row(row, ends.steps);
            if !ends.norms.is_empty() {
                self.complete_row(row, ends.norms);
            }
        }
    }

    fn complete_row<T: Copy>(&self, row: usize, ends: &mut [T]) {
        let width = self.block.xs.len();
        let (before, ends) = ends.split_at_mut(row * width);
        let (others, ends) = (&before[(self.block.ys.len() - 1 - row) * width..][..width], &mut ends[..width]);
        let followed = ends[..self.columns.len()].to_vec();
        match self.turns {
            true => ends.iter_mut().zip(others.iter().rev()).for_each(|(end, other)| *end = *other),
            false => ends.copy_from_slice(others),
        }
        for (&column, end) in self.columns.iter().zip(followed) {
            ends[column] = end;
        }
    }
}

/// Whether the number as far from the other end is its negative.
fn has_mirror(numbers: &[f64], at: usize) -> bool {
    numbers[at] == -numbers[numbers.len() - 1 - at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fractal::{Viewport, bands};
    use num_complex::Complex64;

    fn followed(formula: Formula, xs: &[f64], ys: &[f64], shortcuts: bool) -> Vec<usize> {
        let mirrored = Mirrored::new(Block { formula, xs, ys, limit: 100, bailout: 4.0, shortcuts });
        (0..ys.len()).map(|row| mirrored.followed(row).len() - PADDING).collect()
    }

    #[test]
    fn what_has_a_mirror_is_not_followed_twice() {
        let turning = Formula::Julia { c: Complex64::new(-0.4, 0.6) };
        let upright = Formula::Julia { c: Complex64::new(-1.0, -0.0) };
        let (xs, ys) = ([-3.0, -1.5, 0.0, 1.0, 3.0], [-2.0, -1.0, -0.0, 1.5, 2.0]);
        assert_eq!(followed(turning, &xs, &ys, true), [5, 5, 5, 5, 2]);
        assert_eq!(followed(turning, &xs, &ys, false), [5; 5]);
        for formula in [Formula::Mandelbrot, upright] {
            assert_eq!(followed(formula, &xs, &ys, true), [5, 5, 5, 5, 0]);
        }
        assert_eq!(followed(turning, &xs, &[1.0, 0.0, -0.0, -1.0], true), [5, 5, 2, 2]);
        assert_eq!(followed(turning, &[f64::NAN], &[f64::NAN, f64::NAN], true), [1, 1]);
    }

    /// Of a thousand coordinates from −1.5 to 1.5 rounding spares 612, so that 187 of a thousand points of a Julia set need
    /// not be followed, and 306 of the others.
    #[test]
    fn in_the_bands_of_a_picture_rows_meet_their_mirrors() {
        let view = Viewport::new(1000, 1000, [-1.5, 1.5, -1.5, 1.5]).unwrap();
        let xs: Vec<f64> = (0..1000).map(|column| view.x(f64::from(column))).collect();
        let turning = Formula::Julia { c: Complex64::new(-0.7269, 0.1889) };
        for (formula, expected) in [(turning, 812_728), (Formula::Mandelbrot, 694_000)] {
            let mut ys: Vec<f64> = (0..1000).map(|row| view.y(f64::from(row))).collect();
            let bands = bands(&mut ys, 1, 1000);
            let points = bands.iter().flat_map(|ys| followed(formula, &xs, &ys.concat(), true));
            assert_eq!(points.sum::<usize>(), expected);
        }
    }
}
