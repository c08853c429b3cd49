//! Everything needed to draw: formula, viewport, iteration limit and colouring. Invalid scenes do not exist;
//! what arrives from outside is [`SceneFields`] until it has been checked.

use super::{Border, Colouring, Formula, Palette, Samples, Viewport};
use num_complex::Complex64;
use serde::{Deserialize, Serialize};

/// The highest iteration limit that a record can hold. What a worker accepts is a matter of [`Limits`].
pub const MAX_ITERATIONS: u32 = i32::MAX as u32;

/// Why a scene was refused, in words for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// A refusal with its reason. It may quote what was sent, and a hostile sender sends much: what follows the first
    /// 300 characters is left out, and control characters are replaced.
    pub fn new(reason: impl Into<String>) -> Invalid {
        let reason = harmless(&reason.into());
        match reason.char_indices().nth(300) {
            Some((end, _)) => Invalid(format!("{}…", &reason[..end])),
            None => Invalid(reason),
        }
    }
}

/// What a stranger says, on one line and with nothing in it that a terminal would obey.
pub fn harmless(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// The same scene gives the same pixels and the same PNG bytes everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SceneFields", into = "SceneFields")]
pub struct Scene {
    formula: Formula,
    viewport: Viewport,
    iterations: u32,
    colouring: Colouring,
}

impl Scene {
    /// Refuses an iteration limit outside 1..=2³¹−1, a Julia constant that is not finite, and impossible colours.
    pub fn new(
        formula: Formula,
        viewport: Viewport,
        iterations: u32,
        colouring: impl Into<Colouring>,
    ) -> Result<Scene, Invalid> {
        let colouring = colouring.into().checked()?;
        if iterations == 0 || iterations > MAX_ITERATIONS {
            return Err(Invalid::new(format!("iterations is {iterations}, allowed is 1 to {MAX_ITERATIONS}")));
        }
        if let Some(c) = formula.c()
            && !(c.re.is_finite() && c.im.is_finite())
        {
            return Err(Invalid::new(format!("the Julia constant {c} must be finite")));
        }
        Ok(Scene { formula, viewport, iterations, colouring })
    }

    /// Mandelbrot or Julia.
    pub fn formula(&self) -> Formula {
        self.formula
    }

    /// The window and its grid.
    pub fn viewport(&self) -> Viewport {
        self.viewport
    }

    /// The most steps that an orbit is followed.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// How escapes become colours.
    pub fn colouring(&self) -> Colouring {
        self.colouring
    }

    /// How many points are followed: the samples of all pixels.
    pub fn points(&self) -> u64 {
        self.viewport.pixels() * u64::from(self.colouring.samples.count())
    }
}

/// What one worker is willing to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels of a picture: width × height.
    pub max_pixels: u64,
    /// The highest iteration limit.
    pub max_iterations: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_pixels: 100_000_000, max_iterations: 1_000_000 }
    }
}

impl Limits {
    /// Whether a scene stays within them. Nothing has been allocated when this is asked.
    pub fn check(&self, scene: &Scene) -> Result<(), Invalid> {
        let (pixels, iterations) = (scene.points(), scene.iterations);
        if pixels > self.max_pixels {
            return Err(Invalid::new(format!(
                "too many pixels: {pixels} with all their samples, {} are the limit",
                self.max_pixels
            )));
        }
        if iterations > self.max_iterations {
            return Err(Invalid::new(format!(
                "too many iterations: {iterations}, {} are the limit",
                self.max_iterations
            )));
        }
        Ok(())
    }
}

/// A scene as it travels and as it is stored: the original's names, and nothing checked yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SceneFields {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The iteration limit.
    pub iterations: u32,
    /// Left bound (real).
    pub xa: f64,
    /// Right bound (real).
    pub xb: f64,
    /// Bound of the first row (imaginary).
    pub ya: f64,
    /// Bound of the last row (imaginary).
    pub yb: f64,
    /// `julia` or `mandelbrot`; the original knew only Julia, so that is what a missing name means.
    #[serde(default = "julia")]
    pub formula: String,
    /// Real part of the Julia constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cx: Option<f64>,
    /// Imaginary part of the Julia constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cy: Option<f64>,
    /// The palette's name; `classic` when missing.
    #[serde(default)]
    pub palette: Palette,
    /// Where in the palette to begin, in turns.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: f64,
    /// How fast the colours follow each other.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub density: f64,
    /// Points in a pixel: 1, 4, 9 or 16.
    #[serde(default = "single", skip_serializing_if = "is_single")]
    pub samples: u32,
    /// How the border of the set is drawn.
    #[serde(default, skip_serializing_if = "Border::is_none")]
    pub border: Border,
}

fn is_zero(offset: &f64) -> bool {
    offset.to_bits() == 0
}

fn one() -> f64 {
    1.0
}

fn is_one(density: &f64) -> bool {
    *density == 1.0
}

fn single() -> u32 {
    1
}

fn is_single(samples: &u32) -> bool {
    *samples == 1
}

fn julia() -> String {
    "julia".into()
}

impl SceneFields {
    /// The window alone, for whoever has to find a Julia constant in it first.
    pub fn viewport(&self) -> Result<Viewport, Invalid> {
        Viewport::new(self.width, self.height, [self.xa, self.xb, self.ya, self.yb])
    }
}

impl TryFrom<SceneFields> for Scene {
    type Error = Invalid;

    fn try_from(fields: SceneFields) -> Result<Scene, Invalid> {
        let formula = match (fields.formula.as_str(), fields.cx, fields.cy) {
            ("mandelbrot", _, _) => Formula::Mandelbrot,
            ("julia", Some(re), Some(im)) => Formula::Julia { c: Complex64::new(re, im) },
            ("julia", _, _) => return Err(Invalid::new("a Julia scene needs its constant: cx and cy")),
            (other, _, _) => {
                return Err(Invalid::new(format!("formula is {other:?}, known are \"julia\" and \"mandelbrot\"")));
            }
        };
        let SceneFields { palette, offset, density, border, .. } = fields;
        let colouring = Colouring { palette, offset, density, samples: Samples::new(fields.samples)?, border };
        Scene::new(formula, fields.viewport()?, fields.iterations, colouring)
    }
}

impl From<Scene> for SceneFields {
    fn from(scene: Scene) -> SceneFields {
        let [xa, xb, ya, yb] = scene.viewport.bounds();
        let c = scene.formula.c();
        SceneFields {
            width: scene.viewport.width(),
            height: scene.viewport.height(),
            iterations: scene.iterations,
            xa,
            xb,
            ya,
            yb,
            formula: scene.formula.name().into(),
            cx: c.map(|c| c.re),
            cy: c.map(|c| c.im),
            palette: scene.colouring.palette,
            offset: scene.colouring.offset,
            density: scene.colouring.density,
            samples: scene.colouring.samples.count(),
            border: scene.colouring.border,
        }
    }
}
