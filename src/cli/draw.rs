//! `oat draw`: one picture, without a pipeline.

use super::failure::Usage;
use super::output::title;
use super::worker::drawing_threads;
use crate::fractal::{Formula, Limits, Palette, Scene, Stop, Viewport, tour};
use crate::services::worker::Encoded;
use crate::task::Task;
use anyhow::Context;
use clap::ValueEnum;
use num_complex::Complex64;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

/// Draws one picture, without a pipeline.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true, after_help = EXAMPLES)]
pub struct Args {
    /// A place of the tour, such as seahorse-valley
    #[arg(long, value_name = "NAME", conflicts_with_all = ["formula", "xa", "xb", "ya", "yb", "cx", "cy"])]
    at: Option<String>,
    /// What to draw
    #[arg(long, value_enum, default_value_t)]
    formula: FormulaArg,
    /// Real part of the Julia constant
    #[arg(long, default_value_t = -0.8)]
    cx: f64,
    /// Imaginary part of the Julia constant
    #[arg(long, default_value_t = 0.156)]
    cy: f64,
    /// Left bound
    #[arg(long, default_value_t = -2.0)]
    xa: f64,
    /// Right bound
    #[arg(long, default_value_t = 2.0)]
    xb: f64,
    /// Bound of the first row
    #[arg(long, default_value_t = -1.5)]
    ya: f64,
    /// Bound of the last row
    #[arg(long, default_value_t = 1.5)]
    yb: f64,
    /// Columns
    #[arg(long, default_value_t = 960)]
    width: u32,
    /// Rows
    #[arg(long, default_value_t = 720)]
    height: u32,
    /// Iteration limit [default: the place's own, else 512]
    #[arg(long)]
    iterations: Option<u32>,
    /// Threads that draw [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The file to write, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  oat draw --at the-set -o the-set.png
  oat draw --formula mandelbrot --xa -0.75 --xb -0.74 --ya 0.1 --yb 0.11 -o valley.png
  oat draw --at dragon --width 3840 --height 2160 -o - > dragon.png";

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormulaArg {
    #[default]
    Julia,
    Mandelbrot,
}

impl Args {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let task = Task { uuid: Uuid::nil(), name: self.at.clone(), scene: self.scene()? };
        // Nobody else is served here, so that the memory of the machine is the only limit.
        Limits { max_pixels: 4_000_000_000, max_iterations: u32::MAX }.check(&task.scene)?;
        let to_stdout = self.output.as_os_str() == "-";
        if to_stdout && std::io::stdout().is_terminal() {
            return Err(Usage::new("a PNG makes no sense on a terminal").fix("-o FILE.png").into());
        }
        drawing_threads(self.threads)?;
        let Encoded { png, drawn } = Encoded::draw(&task, &Stop::default()).expect("nobody calls it off");
        match to_stdout {
            true => std::io::stdout().write_all(&png).context("write to standard output")?,
            false => std::fs::write(&self.output, &png).with_context(|| format!("write {}", self.output.display()))?,
        }
        eprintln!("{} drawn in {:.3} s, {} bytes, sha256 {}", title(&task), drawn.duration, png.len(), drawn.checksum);
        Ok(ExitCode::SUCCESS)
    }

    fn scene(&self) -> anyhow::Result<Scene> {
        let scene = match &self.at {
            Some(name) => place(name)?.scene(self.width, self.height)?,
            None => {
                let formula = match self.formula {
                    FormulaArg::Julia => Formula::Julia { c: Complex64::new(self.cx, self.cy) },
                    FormulaArg::Mandelbrot => Formula::Mandelbrot,
                };
                let viewport = Viewport::new(self.width, self.height, [self.xa, self.xb, self.ya, self.yb])?;
                Scene::new(formula, viewport, self.iterations.unwrap_or(512), Palette::Classic)?
            }
        };
        let iterations = self.iterations.unwrap_or(scene.iterations());
        Ok(Scene::new(scene.formula(), scene.viewport(), iterations, scene.palette())?)
    }
}

fn place(name: &str) -> Result<&'static tour::Place, Usage> {
    let names = || tour::TOUR.map(|place| place.name).join(", ");
    tour::place(name)
        .ok_or_else(|| Usage::new(format!("there is no place called {name:?}")).fix(format!("one of {}", names())))
}
