//! `oat scenes` and `oat palettes`: the names there are, with a small preview in a terminal.

use super::output::tell;
use super::terminal::{half_blocks, in_colour};
use crate::config::Environment;
use crate::fractal::{Palette, Samples, Stop, catalogue, draw};
use std::process::ExitCode;

/// Lists the places of the tour.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  oat scenes\n  oat draw --at seahorse-valley")]
pub struct ScenesArgs {
    /// Without previews, in a terminal, too
    #[arg(long)]
    plain: bool,
}

/// Lists the palettes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  oat palettes\n  oat draw --at dragon --palette gold")]
pub struct PalettesArgs {
    /// Without previews, in a terminal, too
    #[arg(long)]
    plain: bool,
}

/// Colours in a preview of a palette.
const WIDTH: u32 = 48;

impl ScenesArgs {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let pictures = !self.plain && in_colour(environment);
        for place in &catalogue::TOUR {
            tell!("{:<16} {}", place.name, place.palette().name());
            if pictures {
                let scene = place.scene(32, 20, Samples::FOUR)?;
                let picture = draw(&scene, &Stop::default()).expect("nobody calls it off");
                tell!("{}", half_blocks(picture.rgb(), 32).trim_end());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl PalettesArgs {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let colours = !self.plain && in_colour(environment);
        for palette in Palette::ALL {
            let strip: String = (0..WIDTH)
                .map(|i| palette.wave(f64::from(i) / f64::from(WIDTH)))
                .map(|[r, g, b]| format!("\x1b[48;2;{r};{g};{b}m \x1b[0m"))
                .collect();
            tell!("{:<8} {}", palette.name(), if colours { strip.as_str() } else { "" }.trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}
