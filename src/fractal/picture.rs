//! Pixels, and the PNG they become. The same picture gives the same bytes, for a given version of oat.

use super::{Invalid, Palette, Rgb, Scene};
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

/// For each blue the classic colour that has it, and its index in the highest byte.
const CLASSIC: [u32; 256] = {
    let mut table = [u32::MAX; 256];
    let mut step = 0;
    while step < 32 {
        let [red, green, blue] = Palette::classic(step);
        table[blue as usize] = u32::from_le_bytes([red, green, blue, step as u8]);
        step += 1;
    }
    table
};

/// RGB pixels, top row first, three bytes each.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Picture {}×{}", self.width, self.height)
    }
}

impl Picture {
    /// `rgb` holds `width` × `height` × 3 bytes.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Picture {
        assert_eq!(rgb.len() as u64, u64::from(width) * u64::from(height) * 3, "three bytes a pixel");
        Picture { width, height, rgb }
    }

    /// The raw rows, three bytes a pixel.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// BLAKE3 of the raw rows, in lower-case hexadecimal. It survives a change of the PNG encoder.
    pub fn checksum(&self) -> String {
        blake3::hash(&self.rgb).to_hex().to_string()
    }

    /// The pixels of a PNG of 8 bits, and the scene, if oat has written one into it.
    pub fn from_png(png: &[u8]) -> Result<(Picture, Option<Scene>), Invalid> {
        let invalid = |error: png::DecodingError| Invalid::new(format!("not a PNG that can be read: {error}"));
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(invalid)?;
        let (width, height) = reader.info().size();
        if reader.output_color_type().0 != png::ColorType::Rgb {
            return Err(Invalid::new("not a picture of oat's: those are red, green and blue"));
        }
        let mut rgb = vec![0; reader.output_buffer_size().ok_or_else(|| Invalid::new("the picture is too large"))?];
        reader.next_frame(&mut rgb).map_err(invalid)?;
        reader.finish().map_err(invalid)?;
        let chunk = reader.info().utf8_text.iter().find(|chunk| chunk.keyword == SCENE);
        let scene = chunk.and_then(|chunk| serde_json::from_str(&chunk.get_text().ok()?).ok());
        Ok((Picture::new(width, height, rgb), scene))
    }

    /// The PNG of a scene's picture. The scene is written into it, so that it can be drawn again from the file alone.
    /// Nothing else is, no time and no name: the same scene gives the same bytes.
    pub fn to_png_of(&self, scene: &Scene) -> Vec<u8> {
        self.to_png(&[SOFTWARE, (SCENE, &json(scene))])
    }

    /// A PNG, indexed if 256 colours are enough: a third of the bytes to compress. `text` becomes text chunks.
    pub fn to_png(&self, text: &[(&str, &str)]) -> Vec<u8> {
        const MEMORY: &str = "a Vec takes every write, and the header is valid";
        let (mut png, indexed) = (Vec::new(), self.classic().or_else(|| self.indexed()));
        let colours = indexed.as_ref().map(|(colours, _)| colours.as_slice());
        let mut writer = header(&mut png, (self.width, self.height), colours, text).expect(MEMORY);
        writer.write_image_data(indexed.as_ref().map_or(&self.rgb, |(_, indices)| indices)).expect(MEMORY);
        writer.finish().expect(MEMORY);
        png
    }

    /// The colours of 2015 and an index for each pixel, if there are no others.
    fn classic(&self) -> Option<(Vec<Rgb>, Vec<u8>)> {
        let mut indices = vec![0; self.rgb.len() / 3];
        for (pixels, indices) in self.rgb.chunks(3 * 4096).zip(indices.chunks_mut(4096)) {
            // What is not as it should be, of all pixels together: a question for each would take longer.
            let mut strange = 0;
            for (&[red, green, blue], index) in pixels.as_chunks().0.iter().zip(indices) {
                let entry = CLASSIC[usize::from(blue)];
                strange |= entry ^ u32::from_le_bytes([red, green, blue, 0]);
                *index = (entry >> 24) as u8;
            }
            if strange << 8 != 0 {
                return None;
            }
        }
        Some((Palette::classic_colours(), indices))
    }

    /// The colours in order of appearance and an index for each pixel, unless there are more than 256.
    fn indexed(&self) -> Option<(Vec<Rgb>, Vec<u8>)> {
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

    fn decoded(png: &[u8]) -> (png::ColorType, Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        let stored = decoder.read_header_info().unwrap().color_type;
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut rgb).unwrap();
        (stored, rgb)
    }

    #[test]
    fn a_png_holds_the_pixels_whatever_the_number_of_colours() {
        for (colours, stored) in
            [(2, png::ColorType::Indexed), (256, png::ColorType::Indexed), (257, png::ColorType::Rgb)]
        {
            let rgb: Vec<u8> = (0..40 * 30).flat_map(|i| [(i % colours) as u8, (i % colours / 256) as u8, 7]).collect();
            let png = Picture::new(40, 30, rgb.clone()).to_png(&[("Software", "oat")]);
            assert_eq!(decoded(&png), (stored, rgb));
        }
    }
}
