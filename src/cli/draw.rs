//! `oat draw`: one picture, without a pipeline.

use super::daemon::runtime;
use super::file::write_whole;
use super::output::{is_stdout, say, tell};
use super::scene::SceneArgs;
use super::terminal::{fitted, half_blocks, in_colour, no_png_on_a_terminal};
use super::worker::drawing_threads;
use crate::config::Environment;
use crate::fractal::{Limits, Scene, Stop, draw};
use crate::services::encoded::write;
use crate::shutdown::Shutdown;
use anyhow::Context;
use std::io::{BufWriter, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Draws one picture, without a pipeline.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Threads that draw [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// The PNG to write, - for standard output
    /// [default: shown in a terminal; else named like the place]
    #[arg(short, long, value_name = "FILE", verbatim_doc_comment)]
    output: Option<PathBuf>,
    #[command(flatten)]
    scene: SceneArgs,
}

const EXAMPLES: &str = "\
Examples:
  oat draw --at seahorse-valley                     in the terminal
  oat draw --julia -0.8,0.156 --palette ember -o dragon.png
  oat draw --center -0.745,0.105 --span 0.01 --iterations 2000 -o valley.png
  oat draw --at satellite --border dark -o satellite.png
  oat draw --like dragon.png --size 3840x2880 -o - > large.png";

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let scene = self.scene.scene()?;
        // Nobody else is served here: the patience of whoever asked is the only limit.
        Limits { max_pixels: 100_000_000_000, max_iterations: u32::MAX }.check(&scene)?;
        drawing_threads(self.threads)?;
        if self.output.is_none() && in_colour(environment) {
            return self.show(&scene);
        }
        let (output, stop) = (self.output(), Arc::new(Stop::default()));
        let (_waiting, shutdown) = call_off_on_signals(stop.clone())?;
        let drawn = match is_stdout(&output) {
            true => {
                no_png_on_a_terminal()?;
                write(&scene, &stop, BufWriter::new(std::io::stdout()))
            }
            false => write_whole(&output, |out| write(&scene, &stop, out)),
        };
        if drawn.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
            // Whoever reads has seen enough.
            return Ok(ExitCode::SUCCESS);
        }
        let Some(drawn) = drawn.with_context(|| format!("write {}", output.display()))? else {
            return Ok(ExitCode::from(shutdown.status()));
        };
        say!("{} drawn in {:.3} s", self.name(&scene), drawn.duration);
        say!("{}, {} bytes, sha256 {}", output.display(), drawn.size.unwrap_or(0), drawn.checksum);
        Ok(ExitCode::SUCCESS)
    }

    /// In the terminal, as large as it allows.
    fn show(&self, scene: &Scene) -> anyhow::Result<ExitCode> {
        let small = fitted(scene)?;
        let picture = draw(&small, &Stop::default()).expect("nobody calls it off");
        tell!("{}", half_blocks(picture.rgb(), small.viewport().width()).trim_end());
        let (width, height) = (scene.viewport().width(), scene.viewport().height());
        say!("{}; -o FILE.png writes it, {width}×{height}", self.name(scene));
        Ok(ExitCode::SUCCESS)
    }

    fn name(&self, scene: &Scene) -> &str {
        self.scene.at.map_or(scene.formula().name(), |place| place.name)
    }

    fn output(&self) -> PathBuf {
        let name = self.scene.at.map_or("picture", |place| place.name);
        self.output.clone().unwrap_or_else(|| format!("{name}.png").into())
    }
}

/// Signals end the drawing and not the process, which has an unfinished file to remove. It works as long as the runtime
/// lives.
fn call_off_on_signals(stop: Arc<Stop>) -> anyhow::Result<(Runtime, Shutdown)> {
    let runtime = runtime()?;
    let shutdown = runtime.block_on(async { Shutdown::on_signals() }).context("wait for signals")?;
    let requested = shutdown.clone();
    runtime.spawn(async move {
        requested.requested().await;
        stop.call_off();
    });
    Ok((runtime, shutdown))
}
