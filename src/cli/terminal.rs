//! Pictures in a terminal: two pixels a character, one above the other, in 24-bit colours.

use super::failure::Usage;
use crate::config::Environment;
use crate::fractal::{Colouring, Invalid, Rgb, Samples, Scene, Viewport};
use std::io::IsTerminal;

/// Whether standard output is a terminal that shows colours.
pub fn in_colour(environment: &Environment) -> bool {
    environment.colour() && std::io::stdout().is_terminal()
}

/// The bytes of a PNG on a terminal would be noise.
pub fn no_png_on_a_terminal() -> Result<(), Usage> {
    match std::io::stdout().is_terminal() {
        true => Err(Usage::new("a PNG makes no sense on a terminal").fix("-o FILE.png")),
        false => Ok(()),
    }
}

/// The same scene in as many pixels as the terminal has room for, with two lines left for the prompt.
pub fn fitted(scene: &Scene) -> Result<Scene, Invalid> {
    let (columns, lines) = size();
    let (width, height) = fit(scene.viewport(), columns, 2 * lines.saturating_sub(2).max(1));
    let colouring = Colouring { samples: Samples::new(16)?, ..scene.colouring() };
    Scene::new(scene.formula(), Viewport::new(width, height, scene.viewport().bounds())?, scene.iterations(), colouring)
}

/// Columns and lines; 80 × 24 where the terminal does not know.
fn size() -> (u32, u32) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

/// The largest size of the viewport's shape that has at most so many columns and rows; the rows are even.
fn fit(viewport: Viewport, columns: u32, rows: u32) -> (u32, u32) {
    let (width, height) = (f64::from(viewport.width()), f64::from(viewport.height()));
    let scale = (f64::from(columns) / width).min(f64::from(rows) / height);
    let rows = (height * scale / 2.0).round().max(1.0) as u32 * 2;
    ((width * scale).round().max(1.0) as u32, rows)
}

/// An even number of rows of `width` RGB pixels as upper half blocks: the foreground is the upper pixel, the background
/// the lower.
pub fn half_blocks(rgb: &[u8], width: u32) -> String {
    let (pixels, width): (&[Rgb], usize) = (rgb.as_chunks::<3>().0, width as usize);
    let line = |rows: &[Rgb]| {
        let (upper, lower) = rows.split_at(width);
        let cell =
            |(u, l): (&Rgb, &Rgb)| format!("\x1b[38;2;{};{};{};48;2;{};{};{}m▀", u[0], u[1], u[2], l[0], l[1], l[2]);
        upper.iter().zip(lower).map(cell).collect::<String>() + "\x1b[0m\n"
    };
    pixels.chunks_exact(2 * width).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fits_and_keeps_its_shape() {
        let fitted = |width, height| fit(Viewport::new(width, height, [-1.0, 1.0, -1.0, 1.0]).unwrap(), 80, 44);
        assert_eq!(fitted(960, 720), (59, 44));
        assert_eq!(fitted(3000, 100), (80, 2));
        assert_eq!(fitted(1, 1000), (1, 44));
        assert_eq!(fitted(10, 10), (44, 44));
    }

    #[test]
    fn a_character_is_two_pixels() {
        let blocks = half_blocks(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 2);
        assert_eq!(blocks, "\x1b[38;2;1;2;3;48;2;7;8;9m▀\x1b[38;2;4;5;6;48;2;10;11;12m▀\x1b[0m\n");
    }
}
