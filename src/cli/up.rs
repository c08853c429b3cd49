//! `oat up`: the whole pipeline in one process. Not a toy mode: these are the three daemons, on the embedded bus
//! and one SQLite file unless told otherwise, and other processes may join them.

mod progress;
mod sheet;

use super::connect::{AnnounceArgs, BusArgs, StoreArgs};
use super::daemon::{log_trouble, runtime};
use super::failure::Usage;
use super::log_bus::LogBus;
use super::output::{counted, quoted, tell};
use super::scene::{dimensions, samples};
use super::worker::drawing_threads;
use crate::bus::{self, Connection};
use crate::config::{Environment, embedded};
use crate::fractal::{Limits, Samples, catalogue};
use crate::pictures::Pictures;
use crate::services::outbox::{Outbox, Patience};
use crate::services::plan::{Plan, Range};
use crate::services::sweeper::{self, Sweeper};
use crate::services::tracker::{self, Tracker};
use crate::services::worker::{self, Worker};
use crate::services::{Events, producer};
use crate::shutdown::Shutdown;
use crate::store::{self, Counts, Store};
use crate::task::{Encoding, Task};
use anyhow::Context;
use progress::Progress;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

/// The whole pipeline in one process, without servers: draws the tour, then waits for work.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// How many pictures: first the tour, then at random
    /// [default: the tour's 24, at the first start]
    #[arg(long, value_name = "N", verbatim_doc_comment)]
    tasks: Option<u32>,
    /// The same seed gives the same random tasks
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Draws the tour again although it has been drawn
    #[arg(long)]
    again: bool,
    /// The size of a picture
    #[arg(long, value_name = "WxH", default_value = "960x720", value_parser = dimensions)]
    size: (u32, u32),
    /// Points in a pixel of the tour: 1, 4, 9 or 16
    #[arg(long, value_name = "N", default_value = "4", value_parser = samples)]
    samples: Samples,
    /// Leaves when everything is drawn
    #[arg(long)]
    exit: bool,
    /// Keeps everything in this folder
    /// [default: ~/.local/share/oat]
    #[arg(long, value_name = "DIR", conflicts_with = "fresh", verbatim_doc_comment)]
    dir: Option<PathBuf>,
    /// Keeps everything in a temporary folder that is removed at the end
    #[arg(long)]
    fresh: bool,
    /// Workers; 0 leaves the drawing to oat-worker
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: u16,
    /// Threads that draw [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// One JSON object a line: each picture, then a summary
    #[arg(long)]
    json: bool,
    /// Publishes the log, for oat bus logs
    #[arg(long)]
    log_bus: bool,
    #[command(flatten)]
    announce: AnnounceArgs,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    store: StoreArgs,
}

const EXAMPLES: &str = "\
Examples:
  oat up
  oat up --exit --fresh --tasks 100       a hundred pictures, and nothing stays
  oat up --workers 0                      start oat-worker in other terminals

While it runs, oat-producer in another terminal gives it more to do, and
oat-worker takes a share of it: they find its file by themselves.";

/// Where everything is. A temporary folder lives as long as this does.
struct Place {
    folder: PathBuf,
    pictures: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

/// Everything that is open.
struct House {
    connection: Connection,
    store: Store,
    outbox: Outbox,
}

impl Args {
    pub fn run(mut self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let (log_bus, listener) = LogBus::new(self.log_bus);
        log_trouble(environment, listener)?;
        drawing_threads(self.threads)?;
        let place = self.place(environment)?;
        // Gone before the place is: until then somebody may write there.
        let runtime = runtime()?;
        runtime.block_on(self.up(environment, &place, log_bus))
    }

    /// Unless a flag or the environment names another bus or database, both are the one file of the folder.
    fn place(&mut self, environment: &Environment) -> anyhow::Result<Place> {
        let temporary = self.fresh.then(|| tempfile::Builder::new().prefix("oat-").tempdir()).transpose()?;
        let chosen = temporary.as_ref().map(|folder| folder.path().to_owned()).or(self.dir.clone());
        if let Some(folder) = &chosen {
            self.bus.amqp_url.get_or_insert_with(|| embedded(folder));
            self.store.database_url.get_or_insert_with(|| embedded(folder));
        }
        let pictures = match &chosen {
            Some(folder) => folder.join("pictures"),
            None => environment.pictures(None),
        };
        let folder = chosen.unwrap_or_else(|| environment.data_folder());
        Ok(Place { folder, pictures, _temporary: temporary })
    }

    async fn up(&self, environment: &Environment, place: &Place, log_bus: LogBus) -> anyhow::Result<ExitCode> {
        let shutdown = Shutdown::on_signals()?;
        let Some(house) = shutdown.or(self.open(environment)).await.transpose()? else {
            return Ok(ExitCode::from(shutdown.status()));
        };
        let logging = log_bus.open(&house.connection, &self.bus.names().logs, "oat-up").await?;
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let mut services = self.start(&house, &place.pictures, Events::to(sender), &shutdown)?;

        let before = house.store.counts().await?;
        let tasks = self.tasks(&before)?;
        let mut progress =
            Progress::new(events, self.json, pending(&before) + tasks.len() as u64, environment.colour());
        self.greet(environment, place, &before)?;
        if !tasks.is_empty() && producer::store(&house.outbox, &tasks, &shutdown).await? {
            producer::publish(&house.outbox, &tasks, &shutdown).await;
        }

        let finished = progress.watch(&house.store, &shutdown, &mut services).await?;
        progress.summary(&self.hints(&house, place, finished).await?);
        if finished && !self.exit {
            progress.stay(&shutdown, &mut services).await?;
        }
        shutdown.request();
        progress.end(&mut services).await?;
        // Without an answer there is nothing to add to what was told already.
        let after = house.store.counts().await.unwrap_or(before);
        logging.finish().await;
        house.connection.close().await;
        house.store.close().await;
        if !finished && pending(&after) > 0 {
            let next = if self.fresh { "they go with the folder" } else { "the next oat up here goes on with them" };
            progress.say(&format!("{} not drawn: {next}", counted(pending(&after), "picture")));
        }
        Ok(match (finished, after.failed.saturating_sub(before.failed)) {
            (false, _) => ExitCode::from(shutdown.status()),
            (true, 0) => ExitCode::SUCCESS,
            (true, _) => ExitCode::from(3),
        })
    }

    /// Where to look and what to ask. The contact sheet is made when the tour has been drawn and it is not there yet.
    async fn hints(&self, house: &House, place: &Place, finished: bool) -> anyhow::Result<Vec<String>> {
        if self.fresh {
            return Ok(Vec::new());
        }
        let sheet = place.folder.join("contact-sheet.png");
        let toured = finished && house.store.counts().await?.done >= catalogue::TOUR.len() as u64;
        if toured && !sheet.exists() {
            sheet::leave(sheet.clone()).await?;
        }
        let look = if sheet.exists() { &sheet } else { &place.pictures };
        let records = self.store.database_url.as_deref().map_or(String::new(), records_at);
        Ok(vec![format!("look   {}", look.display()), format!("ask    oat list{records}")])
    }

    async fn open(&self, environment: &Environment) -> anyhow::Result<House> {
        let store = self.store.open_migrated(environment).await?;
        let connection = self.bus.open(environment, "oat up").await?;
        let announcer = self.announce.open(&connection, &self.bus.names()).await;
        let outbox = Outbox {
            store: store.clone(),
            publisher: connection.publisher(),
            exchange: self.bus.names().tasks,
            encoding: Encoding::Json,
            patience: Patience::default(),
            announcer,
        };
        Ok(House { connection, store, outbox })
    }

    fn start(
        &self,
        house: &House,
        folder: &Path,
        events: Events,
        shutdown: &Shutdown,
    ) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
        let pictures = Pictures::open(folder).with_context(|| format!("use the folder {}", folder.display()))?;
        let (names, connection, mut services) = (self.bus.names(), &house.connection, JoinSet::new());
        for number in 1..=self.workers {
            let worker = Worker {
                name: format!("worker-{number}"),
                connection: connection.clone(),
                publisher: connection.publisher(),
                tasks: names.tasks.clone(),
                results: names.results.clone(),
                encoding: Encoding::Json,
                pictures: pictures.clone(),
                limits: Limits::default(),
                slots: 1,
                max_attempts: 5,
                grace: Duration::from_secs(10),
                idle_exit: None,
                events: events.clone(),
            };
            services.spawn(worker::run(worker, shutdown.clone()));
        }
        let tracker = Tracker {
            connection: connection.clone(),
            results: names.results,
            store: house.store.clone(),
            prefetch: 50,
            events,
            announcer: house.outbox.announcer.clone(),
        };
        services.spawn(tracker::run(tracker, shutdown.clone()));
        let interval = Duration::from_secs(15);
        let sweeper = Sweeper { outbox: house.outbox.clone(), connection: connection.clone(), interval };
        services.spawn(sweeper::run(sweeper, shutdown.clone()));
        Ok(services)
    }

    /// The tour, then random pictures. Where pictures are already, or are to be drawn, the tour is not drawn again unless
    /// that is asked for.
    fn tasks(&self, before: &Counts) -> anyhow::Result<Vec<Task>> {
        let tour: &[catalogue::Place] = if known(before) && !self.again { &[] } else { &catalogue::TOUR };
        let number = self.tasks.map_or(tour.len(), |number| number as usize);
        let (width, height) = self.size;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed.unwrap_or_else(rand::random));
        let plan = Plan { width: Range(width, width), height: Range(height, height), ..Plan::default() };
        let stops = tour.iter().take(number).map(|place| {
            // The seed says what is drawn at random; the tour is the same for all, and may be drawn again.
            let uuid = Uuid::new_v4();
            Ok(Task { uuid, name: Some(place.name.into()), scene: place.scene(width, height, self.samples)? })
        });
        let mut tasks = stops.collect::<anyhow::Result<Vec<_>>>()?;
        while tasks.len() < number {
            let uuid = uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid();
            tasks.push(Task { uuid, ..plan.task(&mut random).map_err(Usage::new)? });
        }
        Ok(tasks)
    }

    fn greet(&self, environment: &Environment, place: &Place, before: &Counts) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        let (bus, database) = (self.bus.url(environment)?, self.store.url(environment)?);
        tell!("oat {} — the whole pipeline in one process", env!("CARGO_PKG_VERSION"));
        tell!("  bus       {}", bus::shown(&bus));
        tell!("  database  {}", store::shown(&database));
        tell!("  pictures  {}", place.pictures.display());
        tell!("  workers   {}, {} threads", self.workers, rayon::current_num_threads());
        if known(before) && self.tasks.is_none() && !self.again {
            let (done, left) = (counted(before.done, "picture"), pending(before));
            let left = if left > 0 { format!(", {left} still to be drawn") } else { String::new() };
            tell!("{done} here already in {}{left}; --again draws the tour again", place.folder.display());
        }
        tell!("");
        Ok(())
    }
}

/// What `oat list` takes to find the records; the URL of a server may hold a password.
fn records_at(url: &str) -> String {
    match url.starts_with("sqlite:") {
        true => format!(" --database-url {}", quoted(url)),
        false => "        (with the same --database-url)".into(),
    }
}

/// Whether anything is drawn, or will be.
fn known(counts: &Counts) -> bool {
    counts.done + pending(counts) > 0
}

fn pending(counts: &Counts) -> u64 {
    counts.new + counts.queued
}
