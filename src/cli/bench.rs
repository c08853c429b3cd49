//! `oat bench`: how fast this machine draws, and how near that is to what it could do at all.
//!
//! The ceiling is a loop of the seven operations of a step without any test, measured beside each view, because a
//! machine's other work comes and goes; for the same reason of each band the fastest of the rounds counts. Iterations are
//! those of the definition: a kernel that proves that an orbit never escapes, or that it mirrors another, is credited
//! with the steps it did not do. The last part of the ceiling is the one without such shortcuts, where every step was done.

mod bus;

use super::failure::Usage;
use super::output::{table, tell};
use crate::config::Environment;
use crate::fractal::lanes::{Block, Ends, Kernel, ceiling, escapes_with};
use crate::fractal::{Formula, POINTS, Palette, Scene, Stop, Viewport, bands};
use crate::services::encoded::Encoded;
use num_complex::Complex64;
use serde_json::{Value, json};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

/// Measures how fast this machine draws, and how fast its bus is.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Each kernel on one core, beside the machine's ceiling; then pictures.
    #[command(after_help = "Examples:\n  oat bench kernel\n  oat bench kernel --json seed plain")]
    Kernel {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// The fastest of so many rounds
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
        /// Only kernels and views whose names contain one of these
        only: Vec<String>,
    },
    /// The message bus: publishing, consuming, and one message at a time.
    Bus(bus::Args),
}

/// Steps of the ceiling's loop: a millisecond or less, as short as a band.
const CEILING: u64 = 1_000_000;

/// Limits from which on nobody wants to wait for a view without shortcuts.
const DEEP: u32 = 10_000;

struct View {
    name: &'static str,
    formula: Formula,
    side: [u32; 2],
    bounds: [f64; 4],
    limit: u32,
}

fn views() -> [View; 5] {
    let julia = |re, im| Formula::Julia { c: Complex64::new(re, im) };
    let seed = [-1.2576814065507933, 1.6486035545865234, -2.8587178863035616, 2.6351683415972076];
    let (side, whole) = ([1000, 1000], [-2.0, 0.5, -1.25, 1.25]);
    [
        View { name: "seed", formula: julia(-0.4, 0.6), side: [728, 876], bounds: seed, limit: 395 },
        View { name: "julia", formula: julia(-0.7269, 0.1889), side, bounds: [-1.5, 1.5, -1.5, 1.5], limit: 1000 },
        View { name: "seahorse", formula: Formula::Mandelbrot, side, bounds: [-0.75, -0.74, 0.1, 0.11], limit: 2000 },
        View { name: "whole", formula: Formula::Mandelbrot, side, bounds: whole, limit: 1000 },
        View { name: "whole-50000", formula: Formula::Mandelbrot, side, bounds: whole, limit: 50_000 },
    ]
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let (json, rounds, only) = match self.what {
            What::Kernel { json, rounds, only } => (json, rounds, only),
            What::Bus(args) => return args.run(environment),
        };
        let (views, kernels) = chosen(&only)?;
        let mut rows = Vec::new();
        for view in &views {
            for &kernel in &kernels {
                rows.push(measure(kernel, view, rounds.into()));
            }
            rows.push(whole_picture(view, rounds.into())?);
        }
        match json {
            true => rows.iter().for_each(|row| tell!("{row}")),
            false => tell!("{}", as_table(&rows).trim_end()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The views and the kernels that have one of these words in their names; all of those of which none is named.
fn chosen(words: &[String]) -> Result<(Vec<View>, Vec<Kernel>), Usage> {
    let kernels = || Kernel::ALL.into_iter().filter(|kernel| kernel.is_available());
    let names = || views().map(|view| view.name).into_iter().chain(kernels().map(Kernel::name));
    if let Some(word) = words.iter().find(|word| !names().any(|name| name.contains(word.as_str()))) {
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(
            Usage::not_found(format!("there is no view and no kernel {word:?} here")).fix(format!("one of {known}"))
        );
    }
    let is_named = |name: &str| words.iter().any(|word| name.contains(word.as_str()));
    let some_view = views().iter().any(|view| is_named(view.name));
    let some_kernel = kernels().any(|kernel| is_named(kernel.name()));
    Ok((
        views().into_iter().filter(|view| is_named(view.name) || !some_view).collect(),
        kernels().filter(|kernel| is_named(kernel.name()) || !some_kernel).collect(),
    ))
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn viewport(view: &View) -> Viewport {
    Viewport::new(view.side[0], view.side[1], view.bounds).expect("the views are valid")
}

/// All points of a view on one core, in bands as they are drawn.
struct Run {
    seconds: f64,
    iterations: u64,
    /// Steps a second of the untested loop.
    ceiling: f64,
}

impl Run {
    fn of(kernel: Kernel, view: &View, rounds: usize, shortcuts: bool) -> Run {
        let viewport = viewport(view);
        let xs: Vec<f64> = (0..view.side[0]).map(|column| viewport.x(f64::from(column))).collect();
        let mut ys: Vec<f64> = (0..view.side[1]).map(|row| viewport.y(f64::from(row))).collect();
        let mut steps = vec![0; POINTS.max(2 * xs.len())];
        let mut run = Run { seconds: 0.0, iterations: 0, ceiling: 0.0 };
        for ys in bands(&mut ys, 1, xs.len()) {
            let ys = ys.concat();
            let steps = &mut steps[..xs.len() * ys.len()];
            let block = Block { formula: view.formula, xs: &xs, ys: &ys, limit: view.limit, bailout: 4.0, shortcuts };
            let times = (0..rounds).map(|_| {
                let untested = seconds(|| _ = black_box(ceiling(kernel, CEILING)));
                run.ceiling = run.ceiling.max(CEILING as f64 / untested);
                seconds(|| escapes_with(kernel, &block, &mut Ends { steps: black_box(steps), norms: &mut [] }))
            });
            run.seconds += times.fold(f64::INFINITY, f64::min);
            run.iterations += steps.iter().map(|&steps| u64::from(steps)).sum::<u64>();
        }
        run
    }

    fn speed(&self) -> f64 {
        self.iterations as f64 / self.seconds
    }

    fn of_ceiling(&self) -> f64 {
        self.speed() / self.ceiling
    }
}

fn measure(kernel: Kernel, view: &View, rounds: usize) -> Value {
    let is_deep = view.limit > DEEP;
    // Without shortcuts the deep view takes minutes: one round must do.
    let run = Run::of(kernel, view, if is_deep && kernel == Kernel::Plain { 1 } else { rounds }, true);
    let in_full = (!is_deep).then(|| Run::of(kernel, view, rounds, false).of_ceiling());
    json!({
        "v": 1, "view": view.name, "kernel": kernel.name(), "threads": 1, "seconds": run.seconds,
        "giter_per_s": run.speed() / 1e9, "ceiling_giter_per_s": run.ceiling / 1e9,
        "of_ceiling": run.of_ceiling(), "of_ceiling_without_shortcuts": in_full,
        "mpixel_per_s": viewport(view).pixels() as f64 / 1e6 / run.seconds,
    })
}

/// On all threads, with the chosen kernel, and what comes after the drawing: PNG and both checksums.
fn whole_picture(view: &View, rounds: usize) -> anyhow::Result<Value> {
    let scene = Scene::new(view.formula, viewport(view), view.limit, Palette::Classic)?;
    let mut best: Option<(f64, f64, usize)> = None;
    for _ in 0..rounds {
        let start = Instant::now();
        let picture = Encoded::draw(&scene, &Stop::default()).expect("nobody calls it off");
        let all = start.elapsed().as_secs_f64();
        if best.is_none_or(|(fastest, ..)| all < fastest) {
            best = Some((all, picture.drawn.duration, picture.png.len()));
        }
    }
    let (all, drawing, size) = best.expect("there is a round");
    Ok(json!({
        "v": 1, "view": view.name, "kernel": "picture", "threads": rayon::current_num_threads(), "seconds": drawing,
        "png_seconds": all - drawing, "png_bytes": size, "mpixel_per_s": scene.viewport().pixels() as f64 / 1e6 / all,
    }))
}

fn as_table(rows: &[Value]) -> String {
    let number = |value: &Value, digits: usize| value.as_f64().map_or("–".into(), |n| format!("{n:.digits$}"));
    let cells = |row: &Value| {
        let percent = |part: &Value| part.as_f64().map_or("–".into(), |part| format!("{:.0} %", part * 100.0));
        vec![
            row["view"].as_str().unwrap_or_default().to_owned(),
            row["kernel"].as_str().unwrap_or_default().to_owned(),
            row["threads"].to_string(),
            number(&json!(row["seconds"].as_f64().map(|s| s * 1e3)), 2),
            number(&row["giter_per_s"], 2),
            number(&row["ceiling_giter_per_s"], 2),
            percent(&row["of_ceiling"]),
            percent(&row["of_ceiling_without_shortcuts"]),
            number(&row["mpixel_per_s"], 1),
            number(&json!(row["png_seconds"].as_f64().map(|s| s * 1e3)), 2),
            row["png_bytes"].as_u64().map_or("–".into(), |bytes| bytes.to_string()),
        ]
    };
    let header = [
        "VIEW",
        "KERNEL",
        "THREADS",
        "MS",
        "GITER/S",
        "CEILING",
        "OF IT",
        "NO SHORTCUTS",
        "MPIXEL/S",
        "PNG+SUMS MS",
        "PNG BYTES",
    ];
    table(&header, &rows.iter().map(cells).collect::<Vec<_>>(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_views_and_kernels_and_nothing_is_chosen_by_mistake() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let (views, kernels) = chosen(&words)?;
            Ok::<_, Usage>((views.iter().map(|view| view.name).collect(), kernels))
        };
        let (all, every): (Vec<_>, _) = of(&[]).unwrap();
        assert_eq!(of(&["seed", "plain"]).unwrap(), (vec!["seed"], vec![Kernel::Plain]));
        assert_eq!(of(&["whole"]).unwrap(), (vec!["whole", "whole-50000"], every));
        assert_eq!(of(&["portable"]).unwrap(), (all, vec![Kernel::Portable]));
        assert!(of(&["seed", "nix"]).unwrap_err().to_string().contains("nix"));
    }
}
