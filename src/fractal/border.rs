//! Lines along the border of the set, where it is thinner than a pixel too.

use super::light::linear;
use super::{Palette, Rgb};
use serde::{Deserialize, Serialize};

/// How the border of the set is drawn, by its estimated distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Border {
    /// Not at all: the colours follow from the smooth count alone.
    #[default]
    None,
    /// The colours sink into the colour of the inside.
    Dark,
    /// The colours rise to the brightest of the palette.
    Bright,
}

impl Border {
    /// All of them.
    pub const ALL: [Border; 3] = [Border::None, Border::Dark, Border::Bright];

    /// The name in commands, messages and records.
    pub fn name(self) -> &'static str {
        match self {
            Border::None => "none",
            Border::Dark => "dark",
            Border::Bright => "bright",
        }
    }

    /// The border with this name.
    pub fn named(name: &str) -> Option<Border> {
        Border::ALL.into_iter().find(|border| border.name() == name)
    }

    /// Whether it is not drawn.
    pub fn is_none(&self) -> bool {
        *self == Border::None
    }

    /// The colour of the line.
    pub(super) fn colour(self, palette: Palette) -> Rgb {
        match self {
            Border::Bright => palette.brightest(),
            Border::None | Border::Dark => palette.inside(1),
        }
    }
}

/// The light of a colour at this distance, in pixels, from a line: the line's own at 0, three quarters the colour's at a
/// third of a pixel, all of it at one and a half. What is thinner than a pixel is as strong as it is near.
pub fn blend(colour: Rgb, line: Rgb, distance: f64) -> [u32; 3] {
    const WHOLE: u32 = 32_768;
    let part = (libm::tanh(3.0 * distance) * f64::from(WHOLE)) as u32;
    std::array::from_fn(|i| (linear(colour[i]) * part + linear(line[i]) * (WHOLE - part)) / WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fades_into_the_colour() {
        let light = |distance| blend([255, 200, 0], [0, 50, 255], distance);
        assert_eq!((light(0.0), light(9.0)), ([0, 50, 255].map(linear), [255, 200, 0].map(linear)));
        let reds: Vec<u32> = (0..20).map(|step| light(f64::from(step) / 10.0)[0]).collect();
        assert!(reds.is_sorted() && reds[3] > reds[19] / 2);
    }

    #[test]
    fn every_border_has_a_name_of_its_own() {
        for border in Border::ALL {
            assert_eq!(Border::named(border.name()), Some(border));
            assert_eq!(serde_json::to_value(border).unwrap(), border.name());
        }
    }
}
