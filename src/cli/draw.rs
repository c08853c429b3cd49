//! `oat draw`: one picture, without a pipeline.

use super::failure::Usage;
use super::scene::SceneArgs;
use super::worker::drawing_threads;
use crate::fractal::{Limits, Stop};
use crate::services::encoded::write;
use anyhow::Context;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Draws one picture, without a pipeline.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    scene: SceneArgs,
    /// Threads that draw [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The file to write, or - for standard output [default: the name of the place, or picture.png]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  oat draw --at seahorse-valley
  oat draw --julia -0.8,0.156 --palette ember -o dragon.png
  oat draw --center -0.745,0.105 --span 0.01 --iterations 2000 -o valley.png
  oat draw --like dragon.png --size 3840x2880 -o - > large.png";

impl Args {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let scene = self.scene.scene()?;
        // Nobody else is served here: the patience of whoever asked is the only limit.
        Limits { max_pixels: 100_000_000_000, max_iterations: u32::MAX }.check(&scene)?;
        let output = self.output();
        let to_stdout = output.as_os_str() == "-";
        if to_stdout && std::io::stdout().is_terminal() {
            return Err(Usage::new("a PNG makes no sense on a terminal").fix("-o FILE.png").into());
        }
        drawing_threads(self.threads)?;
        let out: Box<dyn Write> = match to_stdout {
            true => Box::new(std::io::stdout()),
            false => Box::new(File::create(&output).with_context(|| format!("write {}", output.display()))?),
        };
        let drawn = write(&scene, &Stop::default(), BufWriter::new(out));
        let drawn = drawn.with_context(|| format!("write {}", output.display()))?.expect("nobody calls it off");
        let (name, size) = (self.scene.at.as_deref().unwrap_or(scene.formula().name()), drawn.size.unwrap_or(0));
        eprintln!("{name} drawn in {:.3} s", drawn.duration);
        eprintln!("{}, {size} bytes, sha256 {}", output.display(), drawn.checksum);
        Ok(ExitCode::SUCCESS)
    }

    fn output(&self) -> PathBuf {
        let name = self.scene.at.as_deref().unwrap_or("picture");
        self.output.clone().unwrap_or_else(|| format!("{name}.png").into())
    }
}
