//! Everything needed to draw: formula, viewport, iteration limit and colouring. Invalid scenes do not exist;
//! what arrives from outside is [`SceneFields`] until it has been checked.

use super::{Formula, Palette, Viewport};
use num_complex::Complex64;
use serde::{Deserialize, Serialize};

/// The highest iteration limit that a record can hold. What a worker accepts is a matter of [`Limits`].
pub const MAX_ITERATIONS: u32 = i32::MAX as u32;

/// Why a scene was refused, in words for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// A refusal with its reason.
    pub fn new(reason: impl Into<String>) -> Invalid {
        Invalid(reason.into())
    }
}

/// The same scene gives the same pixels and the same PNG bytes everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SceneFields", into = "SceneFields")]
pub struct Scene {
    formula: Formula,
    viewport: Viewport,
    iterations: u32,
    palette: Palette,
}

impl Scene {
    /// Refuses an iteration limit outside 1..=2³¹−1 and a Julia constant that is not finite.
    pub fn new(formula: Formula, viewport: Viewport, iterations: u32, palette: Palette) -> Result<Scene, Invalid> {
        if iterations == 0 || iterations > MAX_ITERATIONS {
            return Err(Invalid::new(format!("iterations is {iterations}, allowed is 1 to {MAX_ITERATIONS}")));
        }
        if let Some(c) = formula.c()
            && !(c.re.is_finite() && c.im.is_finite())
        {
            return Err(Invalid::new(format!("the Julia constant {c} must be finite")));
        }
        Ok(Scene { formula, viewport, iterations, palette })
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
    pub fn palette(&self) -> Palette {
        self.palette
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
        let (pixels, iterations) = (scene.viewport.pixels(), scene.iterations);
        if pixels > self.max_pixels {
            return Err(Invalid::new(format!("too many pixels: {pixels}, this worker draws {}", self.max_pixels)));
        }
        if iterations > self.max_iterations {
            return Err(Invalid::new(format!(
                "too many iterations: {iterations}, this worker draws {}",
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
        Scene::new(formula, fields.viewport()?, fields.iterations, fields.palette)
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
            palette: scene.palette,
        }
    }
}
