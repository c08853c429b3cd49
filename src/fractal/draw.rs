//! From scene to picture, on as many cores as rayon was given.

use super::colouring::Painter;
use super::lanes::{Block, Ends, escapes};
use super::{Palette, Picture, Scene};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How the one who ordered a picture watches it, and calls it off.
#[derive(Debug, Default)]
pub struct Stop {
    called_off: AtomicBool,
    rows: AtomicU32,
}

impl Stop {
    /// Ends the drawing within a band of rows.
    pub fn call_off(&self) {
        self.called_off.store(true, Ordering::Relaxed);
    }

    /// How many rows are drawn.
    pub fn rows(&self) -> u32 {
        self.rows.load(Ordering::Relaxed)
    }
}

/// Points in a band: enough to keep every lane of a kernel busy, and few enough that the slowest band does not hold up
/// the picture, and that calling it off takes milliseconds.
pub const POINTS: usize = 16_384;

/// Draws; `None` if it was called off. The memory needed is three bytes a pixel, and a little for each thread.
pub fn draw(scene: &Scene, stop: &Stop) -> Option<Picture> {
    let (width, height) = (scene.viewport().width(), scene.viewport().height());
    Some(Picture::new(width, height, draw_rows(scene, 0..height, stop)?))
}

/// The RGB of some rows.
pub(super) fn draw_rows(scene: &Scene, rows: Range<u32>, stop: &Stop) -> Option<Vec<u8>> {
    let viewport = scene.viewport();
    let side = scene.colouring().samples.side();
    let xs: Vec<f64> = samples(0..viewport.width(), side).map(|column| viewport.x(column)).collect();
    let ys: Vec<f64> = samples(rows.clone(), side).map(|row| viewport.y(row)).collect();
    let (side, width) = (side as usize, viewport.width() as usize);
    let painter = Painter::new(scene);
    let band = (POINTS / (xs.len() * side)).max(1);
    let mut rgb = vec![0; width * rows.len() * 3];
    rgb.par_chunks_mut(band * width * 3).zip(ys.par_chunks(band * side)).with_max_len(1).for_each_init(
        || (Vec::new(), Vec::new()),
        |(steps, norms), (pixels, ys)| {
            if stop.called_off.load(Ordering::Relaxed) {
                return;
            }
            steps.resize(xs.len() * ys.len(), 0);
            if scene.colouring().palette != Palette::Classic {
                norms.resize(xs.len() * ys.len(), 0.0);
            }
            let ends = &mut Ends { steps, norms };
            let (limit, bailout) = (scene.iterations(), scene.colouring().palette.bailout());
            let block = Block { formula: scene.formula(), xs: &xs, ys, limit, bailout, shortcuts: true };
            escapes(&block, ends);
            painter.paint(&block, ends, pixels);
            stop.rows.fetch_add((ys.len() / side) as u32, Ordering::Relaxed);
        },
    );
    (!stop.called_off.load(Ordering::Relaxed)).then_some(rgb)
}

/// Where the samples of pixels are, in pixels: `side` of them each, evenly spread around the pixel's own place, which is
/// where a single sample is.
fn samples(pixels: Range<u32>, side: u32) -> impl Iterator<Item = f64> {
    let offset = move |sample: u32| (f64::from(sample) + 0.5) / f64::from(side) - 0.5;
    pixels.flat_map(move |pixel| (0..side).map(move |sample| f64::from(pixel) + offset(sample)))
}
