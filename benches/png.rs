//! `cargo bench --bench png -- 9`: time and size of ways to write a PNG, the least of nine rounds, as the table of
//! `docs/performance.rst`. Every file is read again and must show the same pixels.

use libdeflater::{CompressionLvl, Compressor, crc32};
use num_complex::Complex64;
use oat::fractal::{Formula, Palette, Picture, Rgb, Samples, Scene, Stop, Viewport, catalogue, draw};
use png::{BitDepth, ColorType, Compression, DeflateCompression, Filter};
use std::collections::HashMap;
use std::time::Instant;

struct Image {
    name: &'static str,
    size: (u32, u32),
    picture: Picture,
}

/// The colours and an index for each pixel, if 256 colours are enough.
type Indexed = Option<(Vec<Rgb>, Vec<u8>)>;

#[derive(Clone, Copy)]
enum Way {
    /// What `oat` does.
    Ours,
    /// A mode of the png crate with the filter that belongs to it; indexed or not.
    Mode(Compression, bool),
    /// The png crate's parts, put together by hand.
    Parts(DeflateCompression, Filter, bool),
    /// libdeflate at this level, without filters, which do not help here.
    Libdeflate(i32, bool),
}

fn ways() -> Vec<(String, Way)> {
    use Compression::{Balanced, Fast, Fastest, High, NoCompression};
    let mut ways = vec![("oat: Picture::to_png".to_owned(), Way::Ours)];
    for indexed in [true, false] {
        let form = if indexed { "indexed" } else { "RGB8" };
        for mode in [NoCompression, Fastest, Fast, Balanced, High] {
            ways.push((format!("png {form} {mode:?}"), Way::Mode(mode, indexed)));
        }
        for filter in [Filter::Sub, Filter::Up] {
            let fdeflate = DeflateCompression::FdeflateUltraFast;
            ways.push((format!("png {form} fdeflate, {filter:?}"), Way::Parts(fdeflate, filter, indexed)));
        }
        for level in [1, 6] {
            let parts = Way::Parts(DeflateCompression::Level(level), Filter::NoFilter, indexed);
            ways.push((format!("png {form} flate2 {level}, NoFilter"), parts));
        }
        for level in [1, 6, 9] {
            let way = Way::Libdeflate(level, indexed);
            ways.push((format!("libdeflate {form} {level}, NoFilter"), way));
        }
    }
    ways
}

fn images() -> Vec<Image> {
    let julia = |size: (u32, u32), bounds, c, limit| {
        let viewport = Viewport::new(size.0, size.1, bounds).expect("a window");
        Scene::new(Formula::Julia { c }, viewport, limit, Palette::Classic).expect("a scene")
    };
    let place = |name| catalogue::place(name).expect("on the tour").scene(960, 720, Samples::FOUR).expect("a scene");
    let seed = [-1.2576814065507933, 1.6486035545865234, -2.8587178863035616, 2.6351683415972076];
    let scenes = [
        ("julia", julia((1000, 1000), [-1.5, 1.5, -1.5, 1.5], Complex64::new(-0.7269, 0.1889), 1000)),
        ("seed", julia((728, 876), seed, Complex64::new(-0.4, 0.6), 395)),
        ("dragon", place("dragon")),
        ("seahorse-valley", place("seahorse-valley")),
    ];
    let image = |(name, scene): (&'static str, Scene)| Image {
        name,
        size: (scene.viewport().width(), scene.viewport().height()),
        picture: draw(&scene, &Stop::default()).expect("nobody calls it off"),
    };
    scenes.map(image).into()
}

fn indexed(rgb: &[u8]) -> Indexed {
    let (mut colours, mut known, mut indices) = (Vec::new(), HashMap::new(), Vec::with_capacity(rgb.len() / 3));
    let mut last = (rgb.as_chunks::<3>().0[0], None);
    for &pixel in rgb.as_chunks::<3>().0 {
        let index = last.1.filter(|_| last.0 == pixel).unwrap_or_else(|| {
            *known.entry(pixel).or_insert_with(|| {
                colours.push(pixel);
                colours.len() - 1
            })
        });
        last = (pixel, Some(index));
        indices.push(u8::try_from(index).ok()?);
    }
    Some((colours, indices))
}

/// `None` where the picture has too many colours for this way.
fn encode(image: &Image, way: Way) -> Option<Vec<u8>> {
    let form = |wanted: bool| if wanted { indexed(image.picture.rgb()).map(Some) } else { Some(None) };
    Some(match way {
        Way::Ours => image.picture.to_png(&[]),
        Way::Mode(mode, wanted) => with_png(image, &form(wanted)?, |encoder| encoder.set_compression(mode)),
        Way::Parts(deflate, filter, wanted) => with_png(image, &form(wanted)?, |encoder| {
            encoder.set_deflate_compression(deflate);
            encoder.set_filter(filter);
        }),
        Way::Libdeflate(level, wanted) => with_libdeflate(image, &form(wanted)?, level),
    })
}

fn with_png(image: &Image, indexed: &Indexed, set: impl FnOnce(&mut png::Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, image.size.0, image.size.1);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(if indexed.is_some() { ColorType::Indexed } else { ColorType::Rgb });
    if let Some((colours, _)) = indexed {
        encoder.set_palette(colours.as_flattened().to_vec());
    }
    set(&mut encoder);
    let mut writer = encoder.write_header().expect("a header");
    let data = indexed.as_ref().map_or(image.picture.rgb(), |(_, indices)| indices);
    writer.write_image_data(data).expect("memory takes every write");
    writer.finish().expect("memory takes every write");
    file
}

fn with_libdeflate(image: &Image, indexed: &Indexed, level: i32) -> Vec<u8> {
    let (step, data) = indexed.as_ref().map_or((3, image.picture.rgb()), |(_, indices)| (1, indices.as_slice()));
    let rows: Vec<u8> =
        data.chunks_exact(image.size.0 as usize * step).flat_map(|row| [&[0][..], row].concat()).collect();
    let mut compressor = Compressor::new(CompressionLvl::new(level).expect("a level"));
    let mut packed = vec![0; compressor.zlib_compress_bound(rows.len())];
    let len = compressor.zlib_compress(&rows, &mut packed).expect("enough room");
    let (width, height) = image.size;
    let colour = if indexed.is_some() { 3 } else { 2 };
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, colour, 0, 0, 0]].concat();
    chunk(&mut file, b"IHDR", &header);
    if let Some((colours, _)) = indexed {
        chunk(&mut file, b"PLTE", colours.as_flattened());
    }
    chunk(&mut file, b"IDAT", &packed[..len]);
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let begin = file.len();
    file.extend(kind);
    file.extend(data);
    let sum = crc32(&file[begin..]);
    file.extend(sum.to_be_bytes());
}

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let (ways, images) = (ways(), images());
    let mut times = vec![f64::INFINITY; ways.len() * images.len()];
    let mut sizes = vec![None; times.len()];
    // In turns, since a machine's other work comes and goes.
    for _ in 0..rounds {
        for (number, (name, way)) in ways.iter().enumerate() {
            for (column, image) in images.iter().enumerate() {
                let begun = Instant::now();
                let Some(file) = encode(image, *way) else { continue };
                let at = number * images.len() + column;
                times[at] = times[at].min(begun.elapsed().as_secs_f64() * 1e3);
                if sizes[at].replace(file.len()).is_none() {
                    assert!(Picture::from_png(&file).expect("a PNG").0 == image.picture, "{name} of {}", image.name);
                }
            }
        }
    }
    println!("{:<30}{}", "ms, kB", images.iter().map(|image| format!("{:>18}", image.name)).collect::<String>());
    for (number, (name, _)) in ways.iter().enumerate() {
        let cells = (0..images.len()).map(|column| {
            let at = number * images.len() + column;
            match sizes[at] {
                Some(size) => format!("{:>10.1} {:>7.0}", times[at], size as f64 / 1e3),
                None => format!("{:>18}", "–"),
            }
        });
        println!("{name:<30}{}", cells.collect::<String>());
    }
}
