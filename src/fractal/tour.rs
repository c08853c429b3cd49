//! The tour: 24 places worth a visit, cheap ones first, so that the first picture is there at once.

use super::{Formula, Invalid, Palette, Scene, Viewport};
use num_complex::Complex64;

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
}

impl Place {
    /// The scene at this place, in this size, with square pixels.
    pub fn scene(&self, width: u32, height: u32) -> Result<Scene, Invalid> {
        let viewport = Viewport::around(width, height, self.center, self.span)?;
        Scene::new(self.formula, viewport, self.iterations, Palette::Classic)
    }
}

/// The place with this name.
pub fn place(name: &str) -> Option<&'static Place> {
    TOUR.iter().find(|place| place.name == name)
}

const fn m(name: &'static str, re: f64, im: f64, span: f64, iterations: u32) -> Place {
    Place { name, formula: Formula::Mandelbrot, center: Complex64::new(re, im), span, iterations }
}

const fn j(name: &'static str, re: f64, im: f64, span: f64, iterations: u32) -> Place {
    let c = Complex64::new(re, im);
    Place { name, formula: Formula::Julia { c }, center: Complex64::new(0.0, 0.0), span, iterations }
}

/// All of them, in the order in which they are drawn.
#[rustfmt::skip]
pub const TOUR: [Place; 24] = [
    m("the-set",         -0.65,               0.0,               3.2,       600),
    j("dragon",          -0.8,                0.156,             3.2,       2000),
    j("snowflake",       -0.70176,           -0.3842,            3.1,       2000),
    j("coral",           -0.4,                0.6,               3.0,       2000),
    j("dendrite",         0.0,                1.0,               3.1,       800),
    m("seahorse-valley", -0.7445,             0.1315,            0.016,     2000),
    j("galaxies",        -0.7269,             0.1889,            3.2,       2500),
    j("spirals",          0.285,              0.01,              2.6,       2000),
    j("fireworks",       -0.835,             -0.2321,            3.2,       2000),
    j("lace",            -0.7454,             0.113,             3.2,       2000),
    j("flower",          -0.194,              0.6557,            2.7,       1500),
    j("douady-rabbit",   -0.123,              0.745,             3.0,       1500),
    m("mini-brot",       -1.7585,             0.0,               0.062,     1500),
    m("needle",          -1.9412,             0.0,               0.0052,    1500),
    m("lightning",       -0.1592,            -1.0317,            0.022,     2000),
    m("star-fish",       -0.374004139,        0.659792175,       0.0022,    3000),
    m("scepter",         -1.2498,             0.0204,            0.0032,    2500),
    m("double-hook",     -0.8115312340458353, 0.2014296112433656, 0.0006,   4000),
    m("seahorse-tail",   -0.743643887037151,  0.131825904205330, 0.00051,   5000),
    m("satellite",       -0.16070135,         1.0375665,         0.0000095, 5000),
    m("triple-spiral",   -0.0885,             0.65465,           0.0045,    3000),
    m("elephant-valley",  0.2765,             0.0075,            0.0075,    3000),
    j("san-marco",       -0.75,               0.0,               3.4,       4000),
    j("siegel-disk",     -0.391,             -0.587,             2.9,       4000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_can_be_drawn_and_has_a_name_of_its_own() {
        for (number, stop) in TOUR.iter().enumerate() {
            stop.scene(960, 720).unwrap();
            assert_eq!(TOUR.iter().position(|other| other.name == stop.name), Some(number));
        }
    }
}
