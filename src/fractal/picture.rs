//! Pixels, and the PNG they become. The same scene gives the same bytes, for a given version of oat.

use super::{Palette, Rgb, Scene};
use std::collections::HashMap;
use std::io::Write;

/// The keyword of the text chunk that holds the scene.
pub(super) const SCENE: &str = "oat:scene";

/// The text chunk that every PNG of ours begins with.
pub(super) const SOFTWARE: (&str, &str) = ("Software", "oat");

/// A scene as it stands in its text chunk.
pub(super) fn json(scene: &Scene) -> String {
    serde_json::to_string(scene).expect("a scene is plain data")
}

/// What every PNG of ours has in common up to its pixels: eight bits, quickly compressed, indexed where colours are given.
pub(super) fn header<W: Write>(
    out: W,
    (width, height): (u32, u32),
    colours: Option<&[Rgb]>,
    text: &[(&str, &str)],
) -> Result<png::Writer<W>, png::EncodingError> {
    let mut encoder = png::Encoder::new(out, width, height);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_color(if colours.is_some() { png::ColorType::Indexed } else { png::ColorType::Rgb });
    if let Some(colours) = colours {
        // Choosing a filter for each row takes as long as all the rest, and saves nothing where neighbours are alike.
        encoder.set_filter(png::Filter::Sub);
        encoder.set_palette(colours.as_flattened().to_vec());
    }
    for (keyword, value) in text {
        encoder.add_itxt_chunk((*keyword).into(), (*value).into())?;
    }
    encoder.write_header()
}

/// Colours, and an index into them for each pixel.
type Indexed = (Vec<Rgb>, Vec<u8>);

/// RGB pixels, top row first, three bytes each.
#[derive(Clone)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
    /// The same pixels, if they came as indices: to find those again would take longer than to compress them.
    indexed: Option<Indexed>,
}

/// The pixels decide, however they came.
impl PartialEq for Picture {
    fn eq(&self, other: &Picture) -> bool {
        (self.width, self.height, &self.rgb) == (other.width, other.height, &other.rgb)
    }
}

impl Eq for Picture {}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Picture {}×{}", self.width, self.height)
    }
}

impl Picture {
    /// `rgb` holds `width` × `height` × 3 bytes.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Picture {
        assert_eq!(rgb.len() as u64, u64::from(width) * u64::from(height) * 3, "three bytes a pixel");
        Picture { width, height, rgb, indexed: None }
    }

    /// `indices` are places among the classic colours, `width` × `height` of them.
    pub(super) fn classic(width: u32, height: u32, indices: Vec<u8>) -> Picture {
        let picture = Picture::new(width, height, Palette::classic_rgb(&indices));
        Picture { indexed: Some((Palette::classic_colours(), indices)), ..picture }
    }

    /// The raw rows, three bytes a pixel.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// BLAKE3 of the raw rows, in lower-case hexadecimal. It survives a change of the PNG encoder.
    pub fn checksum(&self) -> String {
        blake3::hash(&self.rgb).to_hex().to_string()
    }

    /// The PNG of a scene's picture. The scene is written into it, so that it can be drawn again from the file alone.
    /// Nothing else is, no time and no name: the same scene gives the same bytes.
    pub fn to_png_of(&self, scene: &Scene) -> Vec<u8> {
        self.to_png(&[SOFTWARE, (SCENE, &json(scene))])
    }

    /// A PNG, indexed if 256 colours are enough: a third of the bytes to compress. `text` becomes text chunks.
    pub fn to_png(&self, text: &[(&str, &str)]) -> Vec<u8> {
        const MEMORY: &str = "a Vec takes every write, and the header is valid";
        let counted = if self.indexed.is_none() { self.count() } else { None };
        let indexed = self.indexed.as_ref().or(counted.as_ref());
        let mut png = Vec::new();
        let colours = indexed.map(|(colours, _)| colours.as_slice());
        let mut writer = header(&mut png, (self.width, self.height), colours, text).expect(MEMORY);
        writer.write_image_data(indexed.map_or(&self.rgb, |(_, indices)| indices)).expect(MEMORY);
        writer.finish().expect(MEMORY);
        png
    }

    /// The colours in order of appearance and an index for each pixel, unless there are more than 256.
    fn count(&self) -> Option<Indexed> {
        let (mut colours, mut known) = (Vec::new(), HashMap::new());
        let mut indices = Vec::with_capacity(self.rgb.len() / 3);
        let mut last = None;
        for &pixel in self.rgb.as_chunks::<3>().0 {
            // Neighbours mostly share their colour: look it up only when it changes.
            let index = match last {
                Some((colour, index)) if colour == pixel => index,
                _ => *known.entry(pixel).or_insert_with(|| {
                    colours.push(pixel);
                    colours.len() - 1
                }),
            };
            last = Some((pixel, index));
            indices.push(u8::try_from(index).ok()?);
        }
        Some((colours, indices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fractal::{Samples, Stop, catalogue, draw};

    /// How the pixels are stored, and what they are; every checksum in the file counts.
    fn decoded(png: &[u8]) -> (png::ColorType, Vec<u8>) {
        let mut options = png::DecodeOptions::default();
        options.set_ignore_checksums(false);
        let mut decoder = png::Decoder::new_with_options(std::io::Cursor::new(png), options);
        let stored = decoder.read_header_info().unwrap().color_type;
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut rgb).unwrap();
        reader.finish().unwrap();
        (stored, rgb)
    }

    fn scenes((width, height): (u32, u32)) -> [Scene; 2] {
        let smooth = catalogue::place("galaxies").unwrap().scene(width, height, Samples::FOUR).unwrap();
        [Scene::new(smooth.formula(), smooth.viewport(), 300, Palette::Classic).unwrap(), smooth]
    }

    #[test]
    fn a_png_holds_the_pixels_whatever_the_number_of_colours() {
        for (width, height) in [(40, 30), (41, 29), (1, 1201), (1203, 1)] {
            for colours in [1, 2, 255, 256, 257] {
                let pixel = |i| [(i % colours) as u8, (i % colours / 256) as u8, 7];
                let rgb: Vec<u8> = (0..width * height).flat_map(pixel).collect();
                let png = Picture::new(width, height, rgb.clone()).to_png(&[("Software", "oat")]);
                let stored = if colours > 256 { png::ColorType::Rgb } else { png::ColorType::Indexed };
                assert_eq!(decoded(&png), (stored, rgb), "{colours} colours, {width} × {height}");
            }
        }
    }

    #[test]
    fn a_drawn_picture_of_any_size_comes_back_from_its_png() {
        for size in [(1, 1), (1, 2), (3, 1), (1, 57), (59, 1), (41, 29), (200, 173)] {
            let [classic, smooth] = scenes(size);
            let picture = draw(&classic, &Stop::default()).unwrap();
            let (stored, rgb) = decoded(&picture.to_png_of(&classic));
            assert_eq!((stored, rgb.as_slice()), (png::ColorType::Indexed, picture.rgb()), "{size:?}");
            let picture = draw(&smooth, &Stop::default()).unwrap();
            assert_eq!(decoded(&picture.to_png_of(&smooth)).1, picture.rgb(), "{size:?}");
        }
    }

    #[test]
    fn a_png_has_the_same_bytes_on_any_number_of_threads() {
        for scene in scenes((301, 203)) {
            let [one, two, eight] = [1, 2, 8].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| draw(&scene, &Stop::default()).unwrap().to_png_of(&scene))
            });
            assert!(one == two && one == eight);
        }
    }

    #[test]
    fn pixels_are_equal_however_they_came() {
        let [classic, _] = scenes((21, 13));
        let drawn = draw(&classic, &Stop::default()).unwrap();
        assert_eq!(drawn, Picture::new(21, 13, drawn.rgb().to_vec()));
        let mut rgb = drawn.rgb().to_vec();
        rgb[0] ^= 1;
        assert_ne!(drawn, Picture::new(21, 13, rgb));
    }
}
