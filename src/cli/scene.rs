//! The flags that say what to draw: a place, a file to draw again, or numbers.

use super::failure::Usage;
use super::file::read;
use crate::fractal::{Border, Colouring, Formula, Palette, Picture, Samples, Scene, Viewport, catalogue};
use anyhow::Context;
use catalogue::Place;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use num_complex::Complex64;
use std::path::{Path, PathBuf};

const NUMBERS: [&str; 10] = ["formula", "julia", "cx", "cy", "center", "span", "xa", "xb", "ya", "yb"];

#[derive(Args, Debug)]
#[command(next_help_heading = "Scene", allow_negative_numbers = true)]
pub struct SceneArgs {
    /// A place of the tour; oat scenes lists them
    #[arg(long, value_name = "NAME", value_parser = place(), hide_possible_values = true)]
    #[arg(conflicts_with = "like", conflicts_with_all = NUMBERS)]
    pub at: Option<&'static Place>,
    /// The scene of a picture that oat has drawn
    #[arg(long, value_name = "FILE", conflicts_with_all = NUMBERS)]
    like: Option<PathBuf>,
    /// What to iterate
    /// [default: julia with a constant, else mandelbrot]
    #[arg(long, value_enum, hide_possible_values = true, verbatim_doc_comment)]
    formula: Option<FormulaArg>,
    /// The Julia constant
    #[arg(long, value_name = "RE,IM", value_parser = complex, conflicts_with_all = ["cx", "cy"], allow_hyphen_values = true)]
    julia: Option<Complex64>,
    /// Real part of the Julia constant
    #[arg(long, value_name = "X", requires = "cy")]
    cx: Option<f64>,
    /// Imaginary part of the Julia constant
    #[arg(long, value_name = "Y", requires = "cx")]
    cy: Option<f64>,
    /// Middle of the window
    #[arg(long, value_name = "RE,IM", value_parser = complex, conflicts_with_all = ["xa", "xb", "ya", "yb"], allow_hyphen_values = true)]
    center: Option<Complex64>,
    /// Width of the window; the pixels are square
    #[arg(long, value_name = "W", value_parser = span, conflicts_with_all = ["xa", "xb", "ya", "yb"])]
    span: Option<f64>,
    /// Left bound, instead of centre and span
    #[arg(long, value_name = "X", requires_all = ["xb", "ya", "yb"])]
    xa: Option<f64>,
    /// Right bound
    #[arg(long, value_name = "X", requires = "xa")]
    xb: Option<f64>,
    /// Bound of the first row
    #[arg(long, value_name = "Y", requires = "xa")]
    ya: Option<f64>,
    /// Bound of the last row
    #[arg(long, value_name = "Y", requires = "xa")]
    yb: Option<f64>,
    /// Columns and rows [default: 960x720]
    #[arg(long, value_name = "WxH", value_parser = dimensions, conflicts_with_all = ["width", "height"])]
    size: Option<(u32, u32)>,
    /// Columns
    #[arg(long, value_name = "N", requires = "height")]
    width: Option<u32>,
    /// Rows
    #[arg(long, value_name = "N", requires = "width")]
    height: Option<u32>,
    /// Iteration limit [default: the place's, else 1000]
    #[arg(long, value_name = "N")]
    iterations: Option<u32>,
    /// Colours; oat palettes lists them
    /// [default: the place's, else ocean]
    #[arg(long, value_name = "NAME", value_parser = palette(), hide_possible_values = true, verbatim_doc_comment)]
    palette: Option<Palette>,
    /// Where in the palette to begin, in turns
    #[arg(long, value_name = "T")]
    offset: Option<f64>,
    /// How fast the colours follow each other
    #[arg(long, value_name = "D")]
    density: Option<f64>,
    /// Points in a pixel: 1, 4, 9 or 16
    /// [default: 4, or 1 in classic]
    #[arg(long, value_name = "N", value_parser = samples, verbatim_doc_comment)]
    samples: Option<Samples>,
    /// Lines along the border: dark, bright or none
    #[arg(long, value_name = "KIND", value_parser = border)]
    border: Option<Border>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum FormulaArg {
    Julia,
    Mandelbrot,
}

/// `re,im`.
fn complex(text: &str) -> Result<Complex64, String> {
    let parts = text.split_once(',').and_then(|(re, im)| Some((re.trim().parse().ok()?, im.trim().parse().ok()?)));
    parts.map(|(re, im)| Complex64::new(re, im)).ok_or_else(|| "expected two numbers, such as -0.8,0.156".into())
}

/// `WxH`.
pub fn dimensions(text: &str) -> Result<(u32, u32), String> {
    let parse = |side: &str| side.parse().ok().filter(|side| (1..=100_000).contains(side));
    let sides = text.split_once(['x', '×']).and_then(|(width, height)| Some((parse(width)?, parse(height)?)));
    sides.ok_or_else(|| "expected width x height in pixels, such as 960x720, each from 1 to 100000".into())
}

/// Further down a negative width turns the picture around, which is what bounds are for.
fn span(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|span| *span > 0.0).ok_or_else(|| "expected a number above 0".into())
}

pub fn samples(text: &str) -> Result<Samples, String> {
    text.parse().ok().and_then(|count| Samples::new(count).ok()).ok_or_else(|| "expected 1, 4, 9 or 16".into())
}

fn border(text: &str) -> Result<Border, String> {
    let names = || Border::ALL.map(Border::name).join(", ");
    Border::named(text).ok_or_else(|| format!("expected one of {}", names()))
}

fn palette() -> impl TypedValueParser<Value = Palette> {
    let names = PossibleValuesParser::new(Palette::ALL.map(Palette::name));
    names.map(|name| Palette::named(&name).expect("it is one of them"))
}

fn place() -> impl TypedValueParser<Value = &'static Place> {
    let names = PossibleValuesParser::new(catalogue::TOUR.map(|place| place.name));
    names.map(|name| catalogue::place(&name).expect("it is one of them"))
}

impl SceneArgs {
    /// The scene that the flags mean.
    pub fn scene(&self) -> anyhow::Result<Scene> {
        let base = match (&self.at, &self.like) {
            (Some(place), _) => {
                let (width, height) = self.size().unwrap_or((960, 720));
                place.scene(width, height, Samples::FOUR)?
            }
            (None, Some(file)) => scene_of(file)?,
            (None, None) => self.numbers()?,
        };
        Ok(Scene::new(
            base.formula(),
            self.resized(&base)?,
            self.iterations.unwrap_or(base.iterations()),
            self.colouring(base.colouring()),
        )?)
    }

    fn numbers(&self) -> anyhow::Result<Scene> {
        let (width, height) = self.size().unwrap_or((960, 720));
        let c = self.julia.or_else(|| Some(Complex64::new(self.cx?, self.cy?)));
        let formula = match (self.formula, c) {
            (Some(FormulaArg::Mandelbrot), None) | (None, None) => Formula::Mandelbrot,
            (Some(FormulaArg::Mandelbrot), Some(_)) => {
                return Err(Usage::new("the Mandelbrot set has no constant")
                    .fix("leave out --julia, or --formula")
                    .into());
            }
            (_, Some(c)) => Formula::Julia { c },
            (Some(FormulaArg::Julia), None) => {
                return Err(Usage::new("a Julia set needs its constant").fix("--julia -0.8,0.156").into());
            }
        };
        let viewport = match (self.xa, self.xb, self.ya, self.yb) {
            (Some(xa), Some(xb), Some(ya), Some(yb)) => Viewport::new(width, height, [xa, xb, ya, yb])?,
            _ => {
                let middle = if c.is_some() { Complex64::new(0.0, 0.0) } else { Complex64::new(-0.65, 0.0) };
                Viewport::around(width, height, self.center.unwrap_or(middle), self.span.unwrap_or(3.2))?
            }
        };
        Ok(Scene::new(formula, viewport, 1000, Palette::Ocean)?)
    }

    fn size(&self) -> Option<(u32, u32)> {
        self.size.or_else(|| Some((self.width?, self.height?)))
    }

    /// A file's scene in another size keeps its bounds: it is the same picture, larger or smaller.
    fn resized(&self, base: &Scene) -> anyhow::Result<Viewport> {
        let viewport = base.viewport();
        let (width, height) = self.size().unwrap_or((viewport.width(), viewport.height()));
        Ok(Viewport::new(width, height, viewport.bounds())?)
    }

    fn colouring(&self, base: Colouring) -> Colouring {
        let palette = self.palette.unwrap_or(base.palette);
        let samples = match (self.at.is_some() || self.like.is_some(), palette) {
            (true, _) => base.samples,
            (false, Palette::Classic) => Samples::default(),
            (false, _) => Samples::FOUR,
        };
        Colouring {
            palette,
            offset: self.offset.unwrap_or(base.offset),
            density: self.density.unwrap_or(base.density),
            samples: self.samples.unwrap_or(samples),
            border: self.border.unwrap_or(base.border),
        }
    }
}

/// The scene that oat has written into a PNG.
pub fn scene_of(file: &Path) -> anyhow::Result<Scene> {
    let png = read(file)?;
    let (_, scene) = Picture::claims(&png).with_context(|| format!("read {}", file.display()))?;
    Ok(scene.ok_or_else(|| Usage::new(format!("{} does not say how it was drawn: it is not oat's", file.display())))?)
}
