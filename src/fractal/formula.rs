//! Which orbit a pixel starts: the Mandelbrot set asks it of every c, a Julia set of every start.

use num_complex::Complex64;

/// Mandelbrot, or Julia with its constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Formula {
    /// z starts at 0 and the pixel is c.
    Mandelbrot,
    /// z starts at the pixel and c is the same for the whole picture.
    Julia {
        /// The constant: finite, by construction of the scene.
        c: Complex64,
    },
}

impl Formula {
    /// The start of the orbit and its constant, for the pixel at `point`.
    #[inline]
    pub fn orbit(self, point: Complex64) -> (Complex64, Complex64) {
        match self {
            Formula::Mandelbrot => (Complex64::new(0.0, 0.0), point),
            Formula::Julia { c } => (point, c),
        }
    }

    /// The name that travels in messages and stands in the database.
    pub fn name(self) -> &'static str {
        match self {
            Formula::Mandelbrot => "mandelbrot",
            Formula::Julia { .. } => "julia",
        }
    }

    /// The Julia constant, if there is one.
    pub fn c(self) -> Option<Complex64> {
        match self {
            Formula::Mandelbrot => None,
            Formula::Julia { c } => Some(c),
        }
    }
}
