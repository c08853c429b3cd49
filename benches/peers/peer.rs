//! Two peers of `scripts/peers`: oat itself, and the program that most tutorials on rayon and num-complex end with.
//!
//!     cargo bench --bench peer -- oat|tutorial|FILE WIDTH HEIGHT XA XB YA YB LIMIT [CX CY]
//!
//! The counts, as 32-bit integers, go to standard output, the seconds to standard error. A FILE gets oat's whole picture
//! with its checksums, for `scripts/original`.

use num_complex::Complex64;
use oat::fractal::lanes::{Block, Ends, escapes};
use oat::fractal::{Formula, POINTS, Palette, Scene, Stop, Viewport};
use oat::services::encoded;
use rayon::prelude::*;
use std::fs::File;
use std::io::Write;
use std::time::Instant;

/// In bands of neighbours. In those that oat draws, rows meet their mirrors, and points that mirror others are copied: no
/// other program does that, so it is left out.
fn oat(formula: Formula, view: &Viewport, limit: u32) -> Vec<u32> {
    let xs: Vec<f64> = (0..view.width()).map(|column| view.x(f64::from(column))).collect();
    let ys: Vec<f64> = (0..view.height()).map(|row| view.y(f64::from(row))).collect();
    let rows = (POINTS / xs.len()).max(1);
    let mut counts = vec![0; xs.len() * ys.len()];
    let bands = counts.par_chunks_mut(rows * xs.len()).zip(ys.par_chunks(rows)).with_max_len(1);
    bands.for_each(|(steps, ys)| {
        let block = Block { formula, xs: &xs, ys, limit, bailout: 4.0, shortcuts: true };
        escapes(&block, &mut Ends { steps, norms: &mut [] });
    });
    counts
}

/// Pixel by pixel, rows in parallel.
fn tutorial(formula: Formula, view: &Viewport, limit: u32) -> Vec<u32> {
    let width = view.width() as usize;
    let mut counts = vec![0; width * view.height() as usize];
    counts.par_chunks_mut(width).enumerate().for_each(|(row, counts)| {
        for (column, count) in counts.iter_mut().enumerate() {
            let point = Complex64::new(view.x(column as f64), view.y(row as f64));
            let (mut z, c) = formula.orbit(point);
            while *count < limit && z.norm_sqr() <= 4.0 {
                z = z * z + c;
                *count += 1;
            }
        }
    });
    counts
}

/// From the parameters to the file.
fn picture(file: &str, formula: Formula, view: Viewport, limit: u32) -> Vec<u32> {
    let scene = Scene::new(formula, view, limit, Palette::Classic).expect("a scene");
    let file = File::create(file).expect("a file that can be written");
    encoded::write(&scene, &Stop::default(), file).expect("a disk that is not full").expect("nobody calls it off");
    Vec::new()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some((program, numbers)) = arguments.split_first().filter(|(_, numbers)| numbers.len() >= 7) else {
        return eprintln!("oat|tutorial|FILE WIDTH HEIGHT XA XB YA YB LIMIT [CX CY]; scripts/peers knows the views");
    };
    let whole = |at: usize| numbers[at].parse::<u32>().expect("a whole number");
    let real = |at: usize| numbers[at].parse::<f64>().expect("a number");
    let formula = match numbers.len() {
        9 => Formula::Julia { c: Complex64::new(real(7), real(8)) },
        _ => Formula::Mandelbrot,
    };
    let view = Viewport::new(whole(0), whole(1), [real(2), real(3), real(4), real(5)]).expect("a window");
    rayon::broadcast(|_| ()); // the threads are there when the clock starts, as they are for the others
    let begun = Instant::now();
    let counts = match program.as_str() {
        "oat" => oat(formula, &view, whole(6)),
        "tutorial" => tutorial(formula, &view, whole(6)),
        file => picture(file, formula, view, whole(6)),
    };
    eprintln!("{:.6}", begun.elapsed().as_secs_f64());
    let bytes: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
    std::io::stdout().write_all(&bytes).expect("somebody reads the counts");
}
