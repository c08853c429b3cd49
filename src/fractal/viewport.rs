//! The window on the complex plane and the grid of pixels laid over it. Valid by construction.

use super::Invalid;
use num_complex::Complex64;

/// The longest side of a picture, in pixels. What a worker accepts is a matter of [`super::Limits`].
pub const MAX_SIDE: u32 = 1_000_000;

/// Real bounds `xa xb`, imaginary bounds `ya yb`, and `width` × `height` pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    width: u32,
    height: u32,
    xa: f64,
    xb: f64,
    ya: f64,
    yb: f64,
}

impl Viewport {
    /// Refuses sides outside 1..=1 000 000 and bounds that are not finite, equal, or so far apart that a
    /// pixel's coordinate would overflow. Bounds in falling order are kept: they mirror the picture.
    pub fn new(width: u32, height: u32, [xa, xb, ya, yb]: [f64; 4]) -> Result<Viewport, Invalid> {
        for (name, side) in [("width", width), ("height", height)] {
            if side == 0 || side > MAX_SIDE {
                return Err(Invalid::new(format!("{name} is {side}, allowed is 1 to {MAX_SIDE}")));
            }
        }
        for (name, a, b, side) in [("x", xa, xb, width), ("y", ya, yb, height)] {
            if !a.is_finite() || !b.is_finite() || !((b - a) * (f64::from(side) + 1.0)).is_finite() {
                return Err(Invalid::new(format!(
                    "the bounds {name}a = {a} and {name}b = {b} must be finite numbers, and so must their distance"
                )));
            }
            if a == b {
                return Err(Invalid::new(format!("{name}a and {name}b are both {a}: the window is empty")));
            }
        }
        Ok(Viewport { width, height, xa, xb, ya, yb })
    }

    /// The window of this width around `center` that keeps the pixels square.
    pub fn around(width: u32, height: u32, center: Complex64, span: f64) -> Result<Viewport, Invalid> {
        let (rx, ry) = (span / 2.0, span / 2.0 * f64::from(height) / f64::from(width.max(1)));
        Viewport::new(width, height, [center.re - rx, center.re + rx, center.im - ry, center.im + ry])
    }

    /// Columns of pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows of pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `[xa, xb, ya, yb]`.
    pub fn bounds(&self) -> [f64; 4] {
        [self.xa, self.xb, self.ya, self.yb]
    }

    /// How many pixels there are.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// How many pixels a unit of the plane has, in the direction in which it has fewer.
    pub fn scale(&self) -> f64 {
        let pixels = |side: u32, a: f64, b: f64| f64::from(side.max(2) - 1) / (b - a).abs();
        pixels(self.width, self.xa, self.xb).min(pixels(self.height, self.ya, self.yb))
    }

    /// The real part of a column, or of a place between columns.
    #[inline]
    pub fn x(&self, column: f64) -> f64 {
        coordinate(column, self.width, self.xa, self.xb)
    }

    /// The imaginary part of a row, or of a place between rows. Row 0 is `ya`: the original did not flip its pictures.
    #[inline]
    pub fn y(&self, row: f64) -> f64 {
        coordinate(row, self.height, self.ya, self.yb)
    }
}

/// Multiply, then divide, then add, as the original did: another order rounds differently. A side of one
/// pixel, by which the original divided zero, shows its first bound.
#[inline]
fn coordinate(index: f64, side: u32, a: f64, b: f64) -> f64 {
    index * (b - a) / f64::from(side.max(2) - 1) + a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewport_cannot_be_invalid() {
        let window = [-1.0, 1.0, -1.0, 1.0];
        assert!(Viewport::new(0, 5, window).is_err());
        assert!(Viewport::new(5, u32::MAX, window).is_err());
        assert!(Viewport::new(5, 5, [f64::NAN, 1.0, -1.0, 1.0]).is_err());
        assert!(Viewport::new(5, 5, [-1.0, f64::INFINITY, -1.0, 1.0]).is_err());
        assert!(Viewport::new(5, 5, [-1e308, 1e308, -1.0, 1.0]).is_err());
        assert!(Viewport::new(5, 5, [1.0, 1.0, -1.0, 1.0]).is_err());
        assert!(Viewport::new(1, 1, window).is_ok());
    }

    #[test]
    fn the_corners_of_the_picture_are_the_bounds() {
        let view = Viewport::new(7, 3, [-2.0, 0.5, -1.25, 1.25]).unwrap();
        assert_eq!([view.x(0.0), view.x(6.0), view.y(0.0), view.y(2.0)], [-2.0, 0.5, -1.25, 1.25]);
        assert_eq!(Viewport::new(1, 1, [3.0, 4.0, 5.0, 6.0]).unwrap().x(0.0), 3.0);
    }
}
