//! Palettes and places: the numbers behind the names, and nothing else.

use super::{Colouring, Formula, Invalid, Palette, Rgb, Samples, Scene, Viewport};
use num_complex::Complex64;

/// A palette that goes round: in each channel a + b·cos 2π(t + d).
pub(super) struct Wave {
    pub name: &'static str,
    /// a, for red, green and blue.
    pub mean: [f64; 3],
    /// b.
    pub swing: [f64; 3],
    /// d, in turns.
    pub shift: [f64; 3],
    /// How far t goes when the logarithm of the count grows by a tenth.
    pub pace: f64,
    /// What never escapes.
    pub inside: Rgb,
}

const NIGHT: Rgb = [6, 6, 14];

#[rustfmt::skip]
pub(super) const WAVES: [Wave; 6] = [
    Wave { name: "ember",  mean: [0.50, 0.34, 0.24], swing: [0.50, 0.36, 0.26], shift: [0.55, 0.62, 0.72], pace: 0.045, inside: NIGHT },
    Wave { name: "ocean",  mean: [0.38, 0.52, 0.62], swing: [0.40, 0.44, 0.38], shift: [0.68, 0.60, 0.50], pace: 0.045, inside: NIGHT },
    Wave { name: "aurora", mean: [0.30, 0.50, 0.52], swing: [0.30, 0.44, 0.40], shift: [0.72, 0.52, 0.40], pace: 0.040, inside: NIGHT },
    Wave { name: "dusk",   mean: [0.50, 0.36, 0.50], swing: [0.44, 0.34, 0.36], shift: [0.50, 0.62, 0.36], pace: 0.040, inside: NIGHT },
    Wave { name: "ink",    mean: [0.52, 0.52, 0.54], swing: [0.47, 0.47, 0.45], shift: [0.50, 0.51, 0.53], pace: 0.040, inside: [12, 12, 16] },
    Wave { name: "gold",   mean: [0.56, 0.44, 0.28], swing: [0.44, 0.42, 0.30], shift: [0.50, 0.54, 0.62], pace: 0.045, inside: NIGHT },
];

/// A named place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// What people call it.
    pub name: &'static str,
    formula: Formula,
    center: Complex64,
    /// Width of the window on the real axis.
    span: f64,
    iterations: u32,
    palette: Palette,
    offset: f64,
    density: f64,
}

impl Place {
    /// The scene at this place, in this size, with square pixels.
    pub fn scene(&self, width: u32, height: u32, samples: Samples) -> Result<Scene, Invalid> {
        let viewport = Viewport::around(width, height, self.center, self.span)?;
        let Place { palette, offset, density, .. } = *self;
        Scene::new(self.formula, viewport, self.iterations, Colouring { offset, density, samples, ..palette.into() })
    }

    /// The colours that suit it.
    pub fn palette(&self) -> Palette {
        self.palette
    }
}

/// The place with this name.
pub fn place(name: &str) -> Option<&'static Place> {
    TOUR.iter().find(|place| place.name == name)
}

#[rustfmt::skip]
#[allow(clippy::too_many_arguments)] // a row of the table below
const fn m(name: &'static str, re: f64, im: f64, span: f64, iterations: u32, palette: Palette, offset: f64, density: f64) -> Place {
    Place { name, formula: Formula::Mandelbrot, center: Complex64::new(re, im), span, iterations, palette, offset, density }
}

#[rustfmt::skip]
#[allow(clippy::too_many_arguments)] // a row of the table below
const fn j(name: &'static str, re: f64, im: f64, span: f64, iterations: u32, palette: Palette, offset: f64, density: f64) -> Place {
    let formula = Formula::Julia { c: Complex64::new(re, im) };
    Place { name, formula, center: Complex64::new(0.0, 0.0), span, iterations, palette, offset, density }
}

use Palette::{Aurora, Dusk, Ember, Gold, Ink, Ocean};

/// The tour: 24 places worth a visit, cheap ones first, so that the first picture is there at once.
#[rustfmt::skip]
pub const TOUR: [Place; 24] = [
    m("the-set",         -0.65,                0.0,               3.2,        600, Ocean,  0.0,  1.0),
    j("dragon",          -0.8,                 0.156,             3.2,       2000, Ember,  0.0,  1.0),
    j("snowflake",       -0.70176,            -0.3842,            3.1,       2000, Ocean,  0.35, 1.1),
    j("coral",           -0.4,                 0.6,               3.0,       2000, Aurora, 0.5,  1.0),
    j("dendrite",         0.0,                 1.0,               3.1,        800, Ink,    0.4,  1.0),
    m("seahorse-valley", -0.7445,              0.1315,            0.016,     2000, Gold,   0.0,  1.0),
    j("galaxies",        -0.7269,              0.1889,            3.2,       2500, Dusk,   0.0,  1.0),
    j("spirals",          0.285,               0.01,              2.6,       2000, Gold,   0.3,  1.1),
    j("fireworks",       -0.835,              -0.2321,            3.2,       2000, Ember,  0.25, 1.1),
    j("lace",            -0.7454,              0.113,             3.2,       2000, Ink,    0.55, 1.0),
    j("flower",          -0.194,               0.6557,            2.7,       1500, Ocean,  0.6,  1.0),
    j("douady-rabbit",   -0.123,               0.745,             3.0,       1500, Aurora, 0.55, 0.8),
    m("mini-brot",       -1.7585,              0.0,               0.062,     1500, Gold,   0.1,  1.0),
    m("needle",          -1.9412,              0.0,               0.0052,    1500, Ember,  0.35, 1.2),
    m("lightning",       -0.1592,             -1.0317,            0.022,     2000, Aurora, 0.75, 1.1),
    m("star-fish",       -0.374004139,         0.659792175,       0.0022,    3000, Ember,  0.0,  1.1),
    m("scepter",         -1.2498,              0.0204,            0.0032,    2500, Ink,    0.45, 1.0),
    m("double-hook",     -0.8115312340458353,  0.2014296112433656, 0.0006,   4000, Dusk,   0.5,  1.2),
    m("seahorse-tail",   -0.743643887037151,   0.131825904205330, 0.00051,   5000, Ember,  0.1,  1.2),
    m("satellite",       -0.16070135,          1.0375665,         0.0000095, 5000, Ocean,  0.3,  1.2),
    m("triple-spiral",   -0.0885,              0.65465,           0.0045,    3000, Aurora, 0.2,  1.0),
    m("elephant-valley",  0.2765,              0.0075,            0.0075,    3000, Dusk,   0.15, 1.0),
    j("san-marco",       -0.75,                0.0,               3.4,       4000, Gold,   0.1,  1.0),
    j("siegel-disk",     -0.391,              -0.587,             2.9,       4000, Ocean,  0.2,  0.9),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_can_be_drawn_and_has_a_name_of_its_own() {
        for (number, stop) in TOUR.iter().enumerate() {
            stop.scene(960, 720, Samples::FOUR).unwrap();
            assert_eq!(TOUR.iter().position(|other| other.name == stop.name), Some(number));
        }
    }

    #[test]
    fn every_palette_has_a_name_of_its_own() {
        for palette in Palette::ALL {
            assert_eq!(Palette::named(palette.name()), Some(palette));
            assert_eq!(serde_json::to_value(palette).unwrap(), palette.name());
        }
    }
}
