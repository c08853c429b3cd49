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

/// The rows of a picture in bands: of each the first part comes from the top of what is left, and the second, as long,
/// from its bottom. So rows that mirror each other meet in one band, as far from its two ends.
///
/// `unit` entries make a row, which has so many points.
pub fn bands<T>(mut rows: &mut [T], unit: usize, points: usize) -> Vec<[&mut [T]; 2]> {
    let most = 2 * (POINTS / points / 2).max(1);
    let mut bands = Vec::new();
    while !rows.is_empty() {
        let count = (rows.len() / unit).min(most);
        let (top, others) = rows.split_at_mut(count.div_ceil(2) * unit);
        let (others, bottom) = others.split_at_mut(others.len() - count / 2 * unit);
        bands.push([top, bottom]);
        rows = others;
    }
    bands
}

/// Draws; `None` if it was called off. The memory needed is three or four bytes a pixel and, for each thread, 12 bytes for
/// each sample of a band: little, but where two rows are more than [`POINTS`].
pub fn draw(scene: &Scene, stop: &Stop) -> Option<Picture> {
    Some(picture(scene, draw_rows(scene, 0..scene.viewport().height(), stop)?))
}

/// All that was drawn of a scene.
fn picture(scene: &Scene, drawn: Vec<u8>) -> Picture {
    let picture = if scene.colouring().is_indexed() { Picture::classic } else { Picture::new };
    picture(scene.viewport().width(), scene.viewport().height(), drawn)
}

/// The RGB of some rows, or their indices where the scene is [indexed](super::Colouring::is_indexed).
pub(super) fn draw_rows(scene: &Scene, rows: Range<u32>, stop: &Stop) -> Option<Vec<u8>> {
    let viewport = scene.viewport();
    let side = scene.colouring().samples.side();
    let xs: Vec<f64> = samples(0..viewport.width(), side).map(|column| viewport.x(column)).collect();
    let mut ys: Vec<f64> = samples(rows.clone(), side).map(|row| viewport.y(row)).collect();
    let (side, width) = (side as usize, viewport.width() as usize);
    let painter = Painter::new(scene);
    let bytes = painter.bytes();
    let mut drawn = vec![0; width * rows.len() * bytes];
    let points = xs.len() * side;
    let bands = (bands(&mut drawn, width * bytes, points), bands(&mut ys, side, points));
    bands.into_par_iter().with_max_len(1).for_each_init(
        || (Vec::new(), Vec::new()),
        |(steps, norms), ([top, bottom], ys)| {
            if stop.called_off.load(Ordering::Relaxed) {
                return;
            }
            let (above, ys) = (ys[0].len(), ys.concat());
            steps.resize(xs.len() * ys.len(), 0);
            if scene.colouring().palette != Palette::Classic {
                norms.resize(xs.len() * ys.len(), 0.0);
            }
            let mut ends = Ends { steps, norms };
            let (limit, bailout) = (scene.iterations(), scene.colouring().palette.bailout());
            let block = Block { formula: scene.formula(), xs: &xs, ys: &ys, limit, bailout, shortcuts: true };
            escapes(&block, &mut ends);
            let (first, second) = ends.split_at(above * xs.len());
            painter.paint(&Block { ys: &ys[..above], ..block }, &first, top);
            painter.paint(&Block { ys: &ys[above..], ..block }, &second, bottom);
            stop.rows.fetch_add((ys.len() / side) as u32, Ordering::Relaxed);
        },
    );
    (!stop.called_off.load(Ordering::Relaxed)).then_some(drawn)
}

/// Where the samples of pixels are, in pixels: `side` of them each, evenly spread around the pixel's own place, which is
/// where a single sample is.
fn samples(pixels: Range<u32>, side: u32) -> impl Iterator<Item = f64> {
    let offset = move |sample: u32| (f64::from(sample) + 0.5) / f64::from(side) - 0.5;
    pixels.flat_map(move |pixel| (0..side).map(move |sample| f64::from(pixel) + offset(sample)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fractal::lanes::{Kernel, escapes_with};
    use crate::fractal::{Border, Colouring, Formula, Samples, Viewport};
    use num_complex::Complex64;

    /// From the definition, in one band and in the order of the rows.
    fn drawn_plainly(scene: &Scene) -> Picture {
        let (viewport, side) = (scene.viewport(), scene.colouring().samples.side());
        let xs: Vec<f64> = samples(0..viewport.width(), side).map(|column| viewport.x(column)).collect();
        let ys: Vec<f64> = samples(0..viewport.height(), side).map(|row| viewport.y(row)).collect();
        let (limit, bailout) = (scene.iterations(), scene.colouring().palette.bailout());
        let block = Block { formula: scene.formula(), xs: &xs, ys: &ys, limit, bailout, shortcuts: false };
        let (mut steps, mut norms) = (vec![0; xs.len() * ys.len()], vec![0.0; xs.len() * ys.len()]);
        let mut ends = Ends { steps: &mut steps, norms: &mut norms };
        escapes_with(Kernel::Plain, &block, &mut ends);
        let painter = Painter::new(scene);
        let mut drawn = vec![0; viewport.pixels() as usize * painter.bytes()];
        painter.paint(&block, &ends, &mut drawn);
        picture(scene, drawn)
    }

    #[test]
    fn a_symmetric_picture_is_that_of_the_definition() {
        let julia = |re, im| Formula::Julia { c: Complex64::new(re, im) };
        for formula in [Formula::Mandelbrot, julia(-0.7269, 0.1889), julia(-1.0, 0.0)] {
            for (width, height, bounds) in
                [(101, 163, [-1.5, 1.5, -1.4, 1.4]), (64, 51, [1.5, -1.5, -1.0, 1.25]), (1, 40, [0.0, 0.1, 1.0, -1.0])]
            {
                let viewport = Viewport::new(width, height, bounds).unwrap();
                for (palette, border, samples) in [
                    (Palette::Classic, Border::None, 1),
                    (Palette::Aurora, Border::None, 1),
                    (Palette::Aurora, Border::Dark, 4),
                    (Palette::Classic, Border::None, 9),
                    (Palette::Aurora, Border::None, 16),
                ] {
                    let colouring = Colouring { border, samples: Samples::new(samples).unwrap(), ..palette.into() };
                    let scene = Scene::new(formula, viewport, 200, colouring).unwrap();
                    let stop = Stop::default();
                    assert!(draw(&scene, &stop).unwrap() == drawn_plainly(&scene), "{scene:?}");
                    assert_eq!(stop.rows(), height);
                }
            }
        }
    }

    #[test]
    fn bands_hold_every_row_once_and_the_mirror_of_each() {
        for (rows, points) in [(1, 5), (2, 5), (7, 5), (1000, 1000), (999, 1000), (1001, 700), (5, 9000), (6, 1 << 20)]
        {
            let mut numbers: Vec<usize> = (0..rows).flat_map(|row| [row, row]).collect();
            let mut seen = Vec::new();
            for band in bands(&mut numbers, 2, points) {
                assert!(band[0].len() == band[1].len() || (seen.len() + band[0].len() + band[1].len()) / 2 == rows);
                let band = band.concat();
                assert!(band.len() / 2 * points <= POINTS || band.len() <= 4);
                assert!(band.iter().zip(band.iter().rev()).all(|(row, mirror)| row + mirror == rows - 1));
                seen.extend(band);
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq((0..rows).flat_map(|row| [row, row])));
        }
    }
}
