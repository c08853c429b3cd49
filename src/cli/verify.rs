//! `oat verify`: draws again and compares. A picture that cannot be reproduced proves nothing.

use super::connect::StoreArgs;
use super::daemon::runtime;
use super::failure::Usage;
use super::file::unread;
use super::output::{counted, tell, title};
use super::records::is_file;
use super::worker::{LimitArgs, drawing_threads};
use crate::config::Environment;
use crate::fractal::{Invalid, Limits, Picture, Scene, Stop};
use crate::pictures::Pictures;
use crate::services::encoded::Encoded;
use crate::store::{Filter, Record, State};
use crate::task::Drawn;
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Draws pictures again and compares their checksums: with the record, and with the file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Uuids, their beginnings, or PNGs that oat has drawn
    #[arg(value_name = "ID|FILE.png", required_unless_present = "all")]
    what: Vec<String>,
    /// Every picture on record
    #[arg(long, conflicts_with = "what")]
    all: bool,
    /// Threads that draw [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    store: StoreArgs,
    /// The folder of the pictures
    /// [env: OAT_TARGET]
    /// [default: ~/.local/share/oat/pictures]
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    target: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  oat verify 5f2c81d0
  oat verify --all
  oat verify dragon.png          without records: the file says how to draw it

Exit status: 0 everything is as recorded, 5 not found, 6 something differs.";

const DIFFERS: u8 = 6;

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        drawing_threads(self.threads)?;
        let (begun, mut differ, limits) = (Instant::now(), 0, Limits::from(&self.limits));
        let files: Vec<&str> = self.what.iter().map(String::as_str).filter(|what| is_file(what)).collect();
        for file in &files {
            differ += u32::from(!told(file, compare_file(Path::new(file), &limits)?));
        }
        let records = self.records(environment)?;
        let pictures = Pictures::at(environment.pictures(self.target.as_deref()));
        for record in &records {
            let name = format!("{} {}", &record.task.uuid.to_string()[..8], title(&record.task));
            differ += u32::from(!told(&name, compare_record(record, &pictures, &limits)?));
        }
        let checked = files.len() + records.len();
        let seconds = begun.elapsed().as_secs_f64();
        let pictures = counted(checked as u64, "picture");
        tell!("checked {pictures} in {seconds:.1} s: {} match, {differ} differ", checked - differ as usize);
        Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
    }

    /// The records that were asked for; nothing is opened if only files were.
    fn records(&self, environment: &Environment) -> anyhow::Result<Vec<Record>> {
        let ids: Vec<&String> = self.what.iter().filter(|what| !is_file(what)).collect();
        if ids.is_empty() && !self.all {
            return Ok(Vec::new());
        }
        runtime()?.block_on(async {
            let store = self.store.open_existing(environment).await?;
            if self.all {
                let done = Filter { state: Some(State::Done), limit: u32::MAX, ..Filter::default() };
                return Ok(store.list(&done).await?);
            }
            let mut records = Vec::new();
            for id in ids {
                let record = store.find(id).await?;
                if record.drawn.is_none() {
                    let state = record.state.name();
                    return Err(Usage::new(format!("{id} has not been drawn: it is {state}")).into());
                }
                records.push(record);
            }
            Ok(records)
        })
    }
}

/// Prints what differs; true if nothing does.
fn told(name: &str, differences: Vec<String>) -> bool {
    for difference in &differences {
        tell!("✗ {name}: {difference}");
    }
    differences.is_empty()
}

/// What a scene looks like. A stranger may have thought of it, so it is drawn within limits only.
fn redrawn(scene: &Scene, limits: &Limits) -> Result<Encoded, String> {
    let refused = |reason: Invalid| format!("not drawn again: {reason}; --max-pixels and --max-iterations raise it");
    limits.check(scene).map_err(refused)?;
    Ok(Encoded::draw(scene, &Stop::default()).expect("nobody calls it off"))
}

/// A file alone: what it shows against what it says it shows.
fn compare_file(file: &Path, limits: &Limits) -> anyhow::Result<Vec<String>> {
    match std::fs::read(file) {
        Ok(png) => Ok(compare_png(&png, limits).err().into_iter().collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unread(file, error)),
        Err(error) => Ok(vec![format!("it cannot be read: {error}")]),
    }
}

/// Its size is compared first: that of the file is then within the limits, too, and may be unpacked.
fn compare_png(png: &[u8], limits: &Limits) -> Result<(), String> {
    let damaged = |reason: Invalid| format!("it is damaged: {reason}");
    let (size, scene) = Picture::claims(png).map_err(damaged)?;
    let scene = scene.ok_or("it does not say how it was drawn: it is not oat's")?;
    if size != size_of(&scene) {
        return Err("its size is not that of its scene".into());
    }
    let again = redrawn(&scene, limits)?;
    let (picture, _) = Picture::from_png(png).map_err(damaged)?;
    match again.drawn.pixel_checksum == Some(picture.checksum()) {
        true => Ok(()),
        false => Err("its pixels are not those of its scene".into()),
    }
}

fn size_of(scene: &Scene) -> (u32, u32) {
    (scene.viewport().width(), scene.viewport().height())
}

/// Three sides: the record, the file, and a new drawing. What two of them agree on, the third has lost.
fn compare_record(record: &Record, pictures: &Pictures, limits: &Limits) -> anyhow::Result<Vec<String>> {
    let drawn = record.drawn.as_ref().context("only what is drawn is compared")?;
    let again = redrawn(&record.task.scene, limits);
    let mut differences = Vec::new();
    let path = pictures.path(record.task.uuid);
    match std::fs::read(&path) {
        Ok(png) if hex::encode(Sha256::digest(&png)) == drawn.checksum => {}
        Ok(png) if again.is_ok() && same_pixels(&png, &record.task.scene, drawn) => {
            differences.push("the file was encoded anew: same pixels, other bytes than recorded".into());
        }
        Ok(_) => differences.push("the file was changed: it is not what was recorded".into()),
        Err(error) => differences.push(format!("the file cannot be read: {} ({error})", path.display())),
    }
    match again {
        Ok(again) => differences.extend(compare_drawn(drawn, &again.drawn)),
        Err(refused) => differences.push(refused),
    }
    Ok(differences)
}

/// Whether the pixels of a file are those on record. Only as many as the scene has are worth unpacking.
fn same_pixels(png: &[u8], scene: &Scene, recorded: &Drawn) -> bool {
    let fits = Picture::claims(png).is_ok_and(|(size, _)| size == size_of(scene));
    fits && Picture::from_png(png).is_ok_and(|(picture, _)| recorded.pixel_checksum == Some(picture.checksum()))
}

fn compare_drawn(recorded: &Drawn, again: &Drawn) -> Option<String> {
    let different = match &recorded.pixel_checksum {
        Some(pixels) if again.pixel_checksum.as_ref() != Some(pixels) => {
            "drawn again it has other pixels than recorded"
        }
        None if again.checksum != recorded.checksum => {
            "drawn again it has another checksum than recorded, and its pixels are not on record"
        }
        _ => return None,
    };
    Some(different.into())
}
