//! Orbits in columns: the form in which vectors are loaded.

use super::vector::Vector;

/// One number of each lane of a group, or of each orbit of a queue.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Column<const N: usize>(pub [f64; N]);

impl<const N: usize> Column<N> {
    /// The same number everywhere.
    pub fn new(value: f64) -> Column<N> {
        Column([value; N])
    }

    /// The vector that begins at place `at`.
    #[inline(always)]
    pub fn load<V: Vector>(&self, at: usize) -> V {
        V::load(&self.0[at..])
    }

    /// Over the vector that begins at place `at`.
    #[inline(always)]
    pub fn store<V: Vector>(&mut self, at: usize, vector: V) {
        vector.store(&mut self.0[at..]);
    }
}

/// What is not the index of any point: a lane that has nothing to do.
pub const IDLE: f64 = -1.0;

/// Orbits on their way: where they are, their constant, the index of their point, and a count of steps.
pub struct Points<const N: usize> {
    /// Re z
    pub x: Column<N>,
    /// Im z
    pub y: Column<N>,
    /// Re c
    pub cx: Column<N>,
    /// Im c
    pub cy: Column<N>,
    /// Which place of the block's result; whole numbers, in the type that the vectors hold.
    pub index: Column<N>,
    /// How many steps were done.
    pub steps: Column<N>,
    /// How many orbits there are.
    pub len: usize,
}

impl<const N: usize> Points<N> {
    /// None, and all places idle.
    pub fn new() -> Points<N> {
        let zero = Column::new(0.0);
        Points { x: zero, y: zero, cx: zero, cy: zero, index: Column::new(IDLE), steps: zero, len: 0 }
    }
}
