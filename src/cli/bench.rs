//! `oat bench`: how fast this machine draws, and how near that is to what it could do at all.
//!
//! The ceiling is a loop of the seven operations of a step without any test, measured beside each view, because a
//! machine's other work comes and goes. Iterations are those of the definition: a kernel that proves that an orbit never
//! escapes is credited with the steps it did not do.

use super::output::{table, tell};
use crate::fractal::lanes::{Block, Kernel, ceiling, escapes_with};
use crate::fractal::{Escape, Formula, POINTS, Palette, Scene, Stop, Viewport, draw};
use num_complex::Complex64;
use serde_json::{Value, json};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

/// Measures how fast this machine draws.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Each kernel on one core, beside the machine's ceiling; then whole pictures with PNG and checksums.
    Kernel {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Medians of so many rounds
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
        /// Only kernels and views whose names contain one of these
        only: Vec<String>,
    },
}

/// Steps of the ceiling's loop: a tenth of a second or so.
const CEILING: u64 = 200_000_000;

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
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let What::Kernel { json, rounds, only } = self.what;
        let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
        let kernels: Vec<Kernel> = Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()).collect();
        let named = kernels.iter().any(|kernel| only.iter().any(|part| kernel.name().contains(part.as_str())));
        let mut rows = Vec::new();
        for view in views().iter().filter(|view| wanted(view.name) || named) {
            for &kernel in kernels.iter().filter(|kernel| wanted(kernel.name()) || !named) {
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

/// All points of a view on one core, in bands as they are drawn.
fn run(kernel: Kernel, view: &View, viewport: &Viewport, ends: &mut [Escape]) {
    let xs: Vec<f64> = (0..view.side[0]).map(|column| viewport.x(f64::from(column))).collect();
    let ys: Vec<f64> = (0..view.side[1]).map(|row| viewport.y(f64::from(row))).collect();
    let rows = (POINTS / xs.len()).max(1);
    for (ys, ends) in ys.chunks(rows).zip(ends.chunks_mut(rows * xs.len())) {
        escapes_with(kernel, &Block { formula: view.formula, xs: &xs, ys, limit: view.limit, bailout: 4.0 }, ends);
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn viewport(view: &View) -> Viewport {
    Viewport::new(view.side[0], view.side[1], view.bounds).expect("the views are valid")
}

fn measure(kernel: Kernel, view: &View, rounds: usize) -> Value {
    let viewport = viewport(view);
    let mut ends = vec![Escape::default(); viewport.pixels() as usize];
    // Without shortcuts the deep view takes minutes: one round must do.
    let rounds = if kernel == Kernel::Plain && view.limit > 10_000 { 1 } else { rounds };
    let (mut times, mut ceilings) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        times.push(seconds(|| run(kernel, view, &viewport, black_box(&mut ends))));
        ceilings.push(CEILING as f64 / 1e9 / seconds(|| _ = black_box(ceiling(kernel, CEILING))));
    }
    let giter = ends.iter().map(|end| u64::from(end.steps)).sum::<u64>() as f64 / 1e9;
    let (time, ceiling) = (median(times), median(ceilings));
    json!({
        "v": 1, "view": view.name, "kernel": kernel.name(), "threads": 1, "seconds": time,
        "giter_per_s": giter / time, "ceiling_giter_per_s": ceiling, "of_ceiling": giter / time / ceiling,
        "mpixel_per_s": viewport.pixels() as f64 / 1e6 / time,
    })
}

/// On all threads, with the chosen kernel, and what comes after the drawing: PNG and both checksums.
fn whole_picture(view: &View, rounds: usize) -> anyhow::Result<Value> {
    let scene = Scene::new(view.formula, viewport(view), view.limit, Palette::Classic)?;
    let (mut draws, mut rests, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let mut picture = None;
        draws.push(seconds(|| picture = draw(&scene, &Stop::default())));
        let picture = picture.expect("nobody calls it off");
        rests.push(seconds(|| {
            let png = picture.to_png_of(&scene);
            size = png.len();
            black_box((picture.checksum(), <sha2::Sha256 as sha2::Digest>::digest(&png)));
        }));
    }
    let (time, rest) = (median(draws), median(rests));
    Ok(json!({
        "v": 1, "view": view.name, "kernel": "picture", "threads": rayon::current_num_threads(), "seconds": time,
        "png_seconds": rest, "png_bytes": size, "mpixel_per_s": scene.viewport().pixels() as f64 / 1e6 / (time + rest),
    }))
}

fn as_table(rows: &[Value]) -> String {
    let number = |value: &Value, digits: usize| value.as_f64().map_or("–".into(), |n| format!("{n:.digits$}"));
    let cells = |row: &Value| {
        let percent = row["of_ceiling"].as_f64().map_or("–".into(), |part| format!("{:.0} %", part * 100.0));
        vec![
            row["view"].as_str().unwrap_or_default().to_owned(),
            row["kernel"].as_str().unwrap_or_default().to_owned(),
            row["threads"].to_string(),
            number(&json!(row["seconds"].as_f64().map(|s| s * 1e3)), 2),
            number(&row["giter_per_s"], 2),
            number(&row["ceiling_giter_per_s"], 2),
            percent,
            number(&row["mpixel_per_s"], 1),
            number(&json!(row["png_seconds"].as_f64().map(|s| s * 1e3)), 2),
            row["png_bytes"].as_u64().map_or("–".into(), |bytes| bytes.to_string()),
        ]
    };
    let header =
        ["VIEW", "KERNEL", "THREADS", "MS", "GITER/S", "CEILING", "OF IT", "MPIXEL/S", "PNG+SUMS MS", "PNG BYTES"];
    table(&header, &rows.iter().map(cells).collect::<Vec<_>>(), true)
}
