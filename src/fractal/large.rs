//! Pictures larger than one likes to hold in memory: drawn band by band, and written as they come.

use super::draw::draw_rows;
use super::picture::{SCENE, SOFTWARE, header, json};
use super::{Palette, Rgb, Scene, Stop};
use std::io::{self, Write};

/// Pixels from which on a picture is written this way. It is part of the format: the way decides over the bytes.
pub const LARGE: u64 = 128_000_000;

/// Pixels of a band: some megabytes of RGB, and work for many threads.
const BAND: u64 = 4_000_000;

/// Draws and writes the PNG, and returns the BLAKE3 of its raw RGB rows in hexadecimal; `None` if it was called off.
///
/// What colours there are is known only at the end, so it is indexed only where the palette says it beforehand.
pub fn write_large(scene: &Scene, stop: &Stop, out: impl Write) -> io::Result<Option<String>> {
    write_bands(scene, stop, out, BAND)
}

fn write_bands(scene: &Scene, stop: &Stop, out: impl Write, pixels_of_a_band: u64) -> io::Result<Option<String>> {
    let mut out = Remembering { out, error: None };
    let written = encode_bands(scene, stop, &mut out, pixels_of_a_band);
    written.map_err(|told| out.error.unwrap_or(told))
}

/// Keeps the error of a write: the encoder hands on its words, and not whether it was a reader who has gone.
struct Remembering<W> {
    out: W,
    error: Option<io::Error>,
}

impl<W> Remembering<W> {
    fn kept<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        written.map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }
}

impl<W: Write> Write for Remembering<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.kept(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.kept(flushed)
    }
}

fn encode_bands(scene: &Scene, stop: &Stop, out: impl Write, pixels_of_a_band: u64) -> io::Result<Option<String>> {
    let size @ (width, height) = (scene.viewport().width(), scene.viewport().height());
    let indexed = scene.colouring().is_indexed();
    let colours: Option<Vec<Rgb>> = indexed.then(Palette::classic_colours);
    let text = [SOFTWARE, (SCENE, &json(scene))];
    let mut file = header(out, size, colours.as_deref(), &text).map_err(io::Error::other)?;
    let mut png = file.stream_writer().map_err(io::Error::other)?;
    let mut pixels = blake3::Hasher::new();
    let band = (pixels_of_a_band / u64::from(width)).max(1) as u32;
    for first in (0..height).step_by(band as usize) {
        let Some(drawn) = draw_rows(scene, first..height.min(first + band), stop) else { return Ok(None) };
        match indexed {
            true => pixels.update(&Palette::classic_rgb(&drawn)),
            false => pixels.update(&drawn),
        };
        png.write_all(&drawn)?;
    }
    png.finish().map_err(io::Error::other)?;
    file.finish().map_err(io::Error::other)?;
    Ok(Some(pixels.finalize().to_hex().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fractal::{Picture, Samples, catalogue, draw};

    #[test]
    fn a_picture_written_in_bands_has_the_same_pixels() {
        for samples in [Samples::default(), Samples::FOUR] {
            let place = catalogue::place("galaxies").unwrap().scene(170, 130, samples).unwrap();
            let classic = Scene::new(place.formula(), place.viewport(), 300, Palette::Classic).unwrap();
            for scene in [place, classic] {
                let mut png = Vec::new();
                let checksum = write_bands(&scene, &Stop::default(), &mut png, 170 * 40).unwrap().unwrap();
                let (picture, said) = Picture::from_png(&png).unwrap();
                assert_eq!(said, Some(scene));
                assert_eq!(checksum, picture.checksum());
                assert!(picture == draw(&scene, &Stop::default()).unwrap());
            }
        }
    }

    /// Takes so many bytes, and then its reader is gone.
    struct Until(usize);

    impl Write for Until {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Whoever has seen enough is no failure, and only the kind of the error says so.
    #[test]
    fn why_a_picture_could_not_be_written_is_told_as_it_was() {
        let scene = catalogue::place("galaxies").unwrap().scene(170, 130, Samples::default()).unwrap();
        let mut png = Vec::new();
        write_bands(&scene, &Stop::default(), &mut png, 170 * 40).unwrap();
        for taken in [0, 7, 20, 100, 500, 5000, png.len() - 1] {
            let error = write_bands(&scene, &Stop::default(), Until(taken), 170 * 40).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "after {taken} bytes: {error}");
        }
    }
}
