//! Orbits in columns: the form in which vectors are loaded.

use super::Ends;
use super::vector::Vector;
use crate::fractal::Escape;

/// One number of each orbit.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Column<const N: usize>(pub [f64; N]);

impl<const N: usize> Column<N> {
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

    /// Over the vector that begins at place `at`, in the lanes of the mask.
    #[inline(always)]
    pub fn store_where<V: Vector>(&mut self, at: usize, mask: V::Mask, vector: V) {
        vector.store_where(mask, &mut self.0[at..]);
    }
}

/// A vector of orbits: where they are, their constant, and their tag.
#[derive(Clone, Copy)]
pub struct Orbits<V> {
    pub x: V,
    pub y: V,
    pub cx: V,
    pub cy: V,
    pub tag: V,
}

/// A step more, for a tag.
pub const STEP: u64 = 1 << 32;

/// Two whole numbers in one: the steps that were done, less the limit, and below them the place of the point. It is
/// negative as long as there are steps to do.
pub fn tag(steps: u32, limit: u32, place: usize) -> u64 {
    (u64::from(steps.wrapping_sub(limit)) * STEP) | place as u64
}

/// The steps of a tag, at most the limit, and the place.
#[inline(always)]
pub fn steps_and_place(tag: f64, limit: u32) -> (u32, usize) {
    let steps = (tag.to_bits() / STEP) as i32;
    (limit.wrapping_add_signed(steps.min(0)), tag.to_bits() as u32 as usize)
}

/// A list of orbits, `N` at most.
pub struct Points<const N: usize> {
    /// Re z
    pub x: Column<N>,
    /// Im z
    pub y: Column<N>,
    /// Re c
    pub cx: Column<N>,
    /// Im c
    pub cy: Column<N>,
    /// See [`tag`].
    pub tag: Column<N>,
    /// Whether all have the same c, so that it need not be moved with them.
    same: bool,
    /// How many orbits there are.
    pub len: usize,
}

impl<const N: usize> Points<N> {
    /// None yet; all will have this c, if one is given.
    pub fn new(c: Option<num_complex::Complex64>) -> Points<N> {
        let column = Column([0.0; N]);
        let (cx, cy) = c.map_or((0.0, 0.0), |c| (c.re, c.im));
        let (cx, cy) = (Column([cx; N]), Column([cy; N]));
        Points { x: column, y: column, cx, cy, tag: column, same: c.is_some(), len: 0 }
    }

    /// The vector of orbits that begins at place `at`.
    #[inline(always)]
    pub fn load<V: Vector>(&self, at: usize) -> Orbits<V> {
        let (cx, cy, tag) = (self.cx.load(at), self.cy.load(at), self.tag.load(at));
        Orbits { x: self.x.load(at), y: self.y.load(at), cx, cy, tag }
    }

    /// Adds those of a vector. Whatever was stored in the vector's room behind the list is lost.
    #[inline(always)]
    pub fn add<V: Vector>(&mut self, bits: u64, orbits: Orbits<V>) {
        // Never less, but so the compiler sees it.
        let at = self.len.min(N - V::LANES);
        self.x.store(at, orbits.x.compress(bits));
        self.y.store(at, orbits.y.compress(bits));
        self.tag.store(at, orbits.tag.compress(bits));
        if !self.same {
            self.cx.store(at, orbits.cx.compress(bits));
            self.cy.store(at, orbits.cy.compress(bits));
        }
        self.len = at + bits.count_ones() as usize;
    }

    /// Ends those in the lanes `closed` of the vector at place `at`, which never leave.
    #[inline(always)]
    pub fn end(&self, at: usize, mut closed: u64, limit: u32, ends: &mut Ends) {
        while closed != 0 {
            let (_, place) = steps_and_place(self.tag.0[at + closed.trailing_zeros() as usize], limit);
            ends.set(place, Escape { steps: limit, norm: 0.0 });
            closed &= closed - 1;
        }
    }

    /// Leaves only the orbits from place `from` on.
    #[inline(always)]
    pub fn keep_from(&mut self, from: usize) {
        for column in [&mut self.x, &mut self.y, &mut self.cx, &mut self.cy, &mut self.tag] {
            column.0.copy_within(from..self.len, 0);
        }
        self.len -= from;
    }
}
