//! A picture ready to be stored, and what there is to say of it.

use crate::fractal::{LARGE, Scene, Stop, draw, write_large};
use crate::task::Drawn;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::time::Instant;

/// The bytes of a PNG file, its duration and its checksums.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The file's bytes.
    pub png: Vec<u8>,
    /// Duration and checksums.
    pub drawn: Drawn,
}

impl Encoded {
    /// Draws and encodes; `None` if it was called off. The same scene gives the same bytes, and the same as [`write()`].
    pub fn draw(scene: &Scene, stop: &Stop) -> Option<Encoded> {
        if scene.viewport().pixels() >= LARGE {
            let mut png = Vec::new();
            let drawn = write(scene, stop, &mut png).expect("a Vec takes every write")?;
            return Some(Encoded { png, drawn });
        }
        let begun = Instant::now();
        let picture = draw(scene, stop)?;
        let duration = begun.elapsed().as_secs_f64();
        let file = || {
            let png = picture.to_png_of(scene);
            (hex::encode(Sha256::digest(&png)), png)
        };
        let ((checksum, png), pixel_checksum) = rayon::join(file, || picture.checksum());
        let drawn = Drawn { duration, checksum, pixel_checksum: Some(pixel_checksum), size: Some(png.len() as u64) };
        Some(Encoded { png, drawn })
    }
}

/// Draws and writes, a large picture band by band, so that its duration has the writing in it.
pub fn write(scene: &Scene, stop: &Stop, mut out: impl Write) -> io::Result<Option<Drawn>> {
    if scene.viewport().pixels() < LARGE {
        let Some(Encoded { png, drawn }) = Encoded::draw(scene, stop) else { return Ok(None) };
        out.write_all(&png)?;
        return out.flush().map(|()| Some(drawn));
    }
    let begun = Instant::now();
    let mut hashing = Hashing { out, hash: Sha256::new(), size: 0 };
    let pixel_checksum = write_large(scene, stop, &mut hashing)?;
    hashing.flush()?;
    let drawn = pixel_checksum.map(|pixel_checksum| Drawn {
        duration: begun.elapsed().as_secs_f64(),
        checksum: hex::encode(hashing.hash.finalize()),
        pixel_checksum: Some(pixel_checksum),
        size: Some(hashing.size),
    });
    Ok(drawn)
}

/// Hashes what passes through.
struct Hashing<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
