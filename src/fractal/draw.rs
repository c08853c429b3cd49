//! From scene to picture, on as many cores as rayon was given.

use super::{Picture, Scene, lanes};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How the one who ordered a picture watches it, and calls it off.
#[derive(Debug, Default)]
pub struct Stop {
    called_off: AtomicBool,
    rows: AtomicU32,
}

impl Stop {
    /// Ends the drawing within a row of pixels.
    pub fn call_off(&self) {
        self.called_off.store(true, Ordering::Relaxed);
    }

    /// How many rows are drawn.
    pub fn rows(&self) -> u32 {
        self.rows.load(Ordering::Relaxed)
    }
}

/// Draws; `None` if it was called off. The memory needed is three bytes a pixel.
pub fn draw(scene: &Scene, stop: &Stop) -> Option<Picture> {
    let viewport = scene.viewport();
    let width = viewport.width() as usize;
    let mut rgb = vec![0; width * 3 * viewport.height() as usize];
    // Rows are handed out one at a time: neighbours differ a lot in cost, and the slowest must not hold up the picture.
    rgb.par_chunks_exact_mut(width * 3).enumerate().with_max_len(1).for_each_init(
        || vec![0; width],
        |steps, (row, pixels)| {
            if stop.called_off.load(Ordering::Relaxed) {
                return;
            }
            lanes::escape_row(scene, row as u32, steps);
            for (pixel, &steps) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(steps.iter()) {
                *pixel = scene.palette().colour(steps);
            }
            stop.rows.fetch_add(1, Ordering::Relaxed);
        },
    );
    match stop.called_off.load(Ordering::Relaxed) {
        true => None,
        false => Some(Picture::new(viewport.width(), viewport.height(), rgb)),
    }
}
