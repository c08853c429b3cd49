//! The contact sheet that `oat up` leaves: the whole tour on one picture.

use crate::cli::file::write_whole;
use crate::fractal::{Invalid, Picture, Samples, Stop, catalogue, draw};
use anyhow::Context;
use std::io::Write;
use std::path::PathBuf;

/// One picture on the sheet, in pixels.
const SIZE: (u32, u32) = (320, 240);
const COLUMNS: usize = 6;

/// Draws the sheet and writes it, on a thread that serves nobody else.
pub async fn leave(file: PathBuf) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || {
        let png = contact_sheet()?.to_png(&[("Software", "oat")]);
        write_whole(&file, |out| out.write_all(&png).map(Some)).with_context(|| format!("write {}", file.display()))?;
        Ok(())
    })
    .await?
}

/// Draws the tour small, in rows of six. It takes a fraction of a second, less than shrinking the large pictures.
fn contact_sheet() -> Result<Picture, Invalid> {
    let scenes = catalogue::TOUR.iter().map(|place| place.scene(SIZE.0, SIZE.1, Samples::FOUR));
    let scenes = scenes.collect::<Result<Vec<_>, _>>()?;
    let pictures: Vec<Picture> =
        scenes.iter().map(|scene| draw(scene, &Stop::default()).expect("nobody calls it off")).collect();
    let line = SIZE.0 as usize * 3;
    let rgb: Vec<u8> = pictures
        .chunks_exact(COLUMNS)
        .flat_map(|row| {
            (0..SIZE.1 as usize).flat_map(move |y| row.iter().flat_map(move |p| &p.rgb()[y * line..][..line]))
        })
        .copied()
        .collect();
    let rows = (pictures.len() / COLUMNS) as u32;
    Ok(Picture::new(SIZE.0 * COLUMNS as u32, SIZE.1 * rows, rgb))
}
