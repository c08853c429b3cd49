//! PNGs come back as pictures. Anybody may have written one: what it claims costs nothing until it is there.

use super::picture::SCENE;
use super::viewport::MAX_SIDE;
use super::{Invalid, Picture, Scene};
use std::io::Cursor;

type Reader<'a> = png::Reader<Cursor<&'a [u8]>>;

impl Picture {
    /// The pixels of a PNG of 8 bits, and the scene, if oat has written one into it. It takes as much memory as there are
    /// pixels: [`Picture::claims`] says beforehand how many are to be expected.
    pub fn from_png(png: &[u8]) -> Result<(Picture, Option<Scene>), Invalid> {
        let mut reader = open(png)?;
        let (width, height) = reader.info().size();
        let rgb = rows(&mut reader)?;
        reader.finish().map_err(damaged)?;
        if rgb.len() as u64 != u64::from(width) * u64::from(height) * 3 {
            return Err(Invalid::new("not a PNG that can be read: its rows are not those of its size"));
        }
        Ok((Picture::new(width, height, rgb), scene(&reader)))
    }

    /// Columns and rows of a PNG, and the scene, if oat has written one into it. No pixels are kept.
    pub fn claims(png: &[u8]) -> Result<((u32, u32), Option<Scene>), Invalid> {
        let mut reader = open(png)?;
        reader.finish().map_err(damaged)?;
        Ok((reader.info().size(), scene(&reader)))
    }
}

fn damaged(error: png::DecodingError) -> Invalid {
    Invalid::new(format!("not a PNG that can be read: {error}"))
}

/// Up to the pixels; refuses what oat would never write.
fn open(png: &[u8]) -> Result<Reader<'_>, Invalid> {
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let (width, height) = decoder.read_header_info().map_err(damaged)?.size();
    if width.max(height) > MAX_SIDE {
        return Err(Invalid::new(format!(
            "not a picture of oat's: it is {width}×{height}, a side has at most {MAX_SIDE}"
        )));
    }
    let reader = decoder.read_info().map_err(damaged)?;
    if reader.output_color_type().0 != png::ColorType::Rgb {
        return Err(Invalid::new("not a picture of oat's: those are red, green and blue"));
    }
    if reader.info().interlaced {
        return Err(Invalid::new("not a picture of oat's: it is interlaced"));
    }
    Ok(reader)
}

/// Room is made for the rows that are there, not for those that the header speaks of.
fn rows(reader: &mut Reader) -> Result<Vec<u8>, Invalid> {
    let mut rgb = Vec::new();
    while let Some(row) = reader.next_row().map_err(damaged)? {
        rgb.try_reserve(row.data().len()).map_err(|_| Invalid::new("the picture is larger than the memory"))?;
        rgb.extend_from_slice(row.data());
    }
    Ok(rgb)
}

/// Ours is written as it is. A compressed text has no length that one knows beforehand, and is left alone.
fn scene(reader: &Reader) -> Option<Scene> {
    let ours = |chunk: &&png::text_metadata::ITXtChunk| chunk.keyword == SCENE && !chunk.compressed;
    let chunk = reader.info().utf8_text.iter().find(ours)?;
    serde_json::from_str(&chunk.get_text().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fractal::{Samples, Stop, catalogue, draw};
    use png::text_metadata::ITXtChunk;

    /// A PNG without a pixel, whatever its size; `change` is made to what it says first.
    fn bare(side: u32, change: impl FnOnce(&mut png::Info)) -> Vec<u8> {
        let mut png = Vec::new();
        let mut info = png::Info::with_size(side, side);
        (info.bit_depth, info.color_type) = (png::BitDepth::Eight, png::ColorType::Rgb);
        change(&mut info);
        let mut writer = png::Encoder::with_info(&mut png, info).unwrap().write_header().unwrap();
        writer.write_chunk(png::chunk::IDAT, &[]).unwrap();
        drop(writer);
        png
    }

    #[test]
    fn the_size_of_a_png_is_a_claim_that_takes_no_memory() {
        for side in [1, MAX_SIDE, MAX_SIDE + 1, u32::MAX / 2] {
            let refused = Picture::from_png(&bare(side, |_| {})).unwrap_err();
            let why = if side > MAX_SIDE { "a side has at most" } else { "not a PNG that can be read" };
            assert!(refused.to_string().contains(why), "{side}: {refused}");
        }
        let interlaced = Picture::from_png(&bare(9, |info| info.interlaced = true)).unwrap_err();
        assert!(interlaced.to_string().contains("interlaced"), "{interlaced}");
    }

    #[test]
    fn a_text_that_is_compressed_is_not_unpacked() {
        let scene = catalogue::place("dragon").unwrap().scene(4, 3, Samples::default()).unwrap();
        let json = serde_json::to_string(&scene).unwrap() + &" ".repeat(1_000_000);
        let said = |compressed| {
            let (mut png, mut chunk) = (Vec::new(), ITXtChunk::new(SCENE, &json));
            chunk.compressed = compressed;
            let mut info = png::Info::with_size(4, 3);
            (info.bit_depth, info.color_type) = (png::BitDepth::Eight, png::ColorType::Rgb);
            info.utf8_text.push(chunk);
            let mut writer = png::Encoder::with_info(&mut png, info).unwrap().write_header().unwrap();
            writer.write_image_data(draw(&scene, &Stop::default()).unwrap().rgb()).unwrap();
            writer.finish().unwrap();
            assert!(!compressed || png.len() < 20_000, "it is {} bytes", png.len());
            (Picture::from_png(&png).unwrap().1, Picture::claims(&png).unwrap())
        };
        assert_eq!(said(false), (Some(scene), ((4, 3), Some(scene))));
        assert_eq!(said(true), (None, ((4, 3), None)));
    }
}
