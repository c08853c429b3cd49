//! The flags that say where bus and records are, and how to open them.

use super::failure::Usage;
use crate::bus::{self, Connection, Senders, Topology};
use crate::config::{Environment, sqlite_path};
use crate::services::announce::Announcer;
use crate::services::outbox::Patience;
use crate::store::Store;
use crate::task::Encoding;
use crate::topology::Names;
use anyhow::Context;
use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
#[command(next_help_heading = "Where")]
pub struct BusArgs {
    /// The bus: amqp://user@host/%2f, amqps://… or sqlite:PATH
    /// [env: OAT_AMQP_URL] [default: sqlite:~/.local/share/oat/oat.db]
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    pub amqp_url: Option<String>,
    /// Holds the password of --amqp-url, if the URL has none; - is standard input
    /// [env: OAT_AMQP_PASSWORD_FILE]
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub amqp_password_file: Option<PathBuf>,
    /// Begins the names of exchanges and queues: several systems, one broker
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub queue_prefix: String,
    /// Offered to the broker; the lower of both wins
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub amqp_heartbeat: u16,
    /// Connections to publish on, at least and at most
    #[arg(long, value_name = "LEAST-MOST", default_value = "1-4", value_parser = senders, hide_short_help = true)]
    pub amqp_senders: Senders,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Where")]
pub struct StoreArgs {
    /// The records: mysql://…, postgres://… or sqlite:PATH
    /// [env: OAT_DATABASE_URL] [default: sqlite:~/.local/share/oat/oat.db]
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    pub database_url: Option<String>,
    /// Holds the password of --database-url, if the URL has none; - is standard input
    /// [env: OAT_DATABASE_PASSWORD_FILE]
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub database_password_file: Option<PathBuf>,
}

/// When the sweeper takes an interest in a task. The producer writes it into the record, the tracker acts on it.
#[derive(Args, Debug)]
pub struct PatienceArgs {
    /// After so long, a stored task that was not published has lost its producer
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    unpublished_after: f64,
    /// After so long, a published task is lost, if the queue is empty
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0, value_parser = seconds)]
    lost_after: f64,
}

impl From<&PatienceArgs> for Patience {
    fn from(args: &PatienceArgs) -> Patience {
        let span = |seconds: f64| TimeDelta::milliseconds((seconds * 1000.0) as i64);
        Patience { unpublished: span(args.unpublished_after), lost: span(args.lost_after) }
    }
}

/// A positive number of seconds, as clap is to read it.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.01..=1e7).contains(&value) => Ok(value),
        _ => Err("expected seconds, from 0.01 to 10000000".into()),
    }
}

/// A time as people write it, `500ms`, `10s`, `5m`, `2h`, as clap is to read it; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a time, such as 500ms, 10s, 5m or 2h".into()),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * unit);
    match seconds.filter(|seconds| (0.001..=1e7).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
        None => Err("expected a time, such as 500ms, 10s, 5m or 2h".into()),
    }
}

/// How many connections to publish on, `2` or `2-8`, as clap is to read it.
fn senders(text: &str) -> Result<Senders, String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    match (least.parse(), most.parse()) {
        (Ok(least), Ok(most)) if 1 <= least && least <= most && most <= 64 => {
            Ok(Senders { least, most, ..Senders::default() })
        }
        _ => Err("expected how many at least and how many at most, such as 1-4; 64 is the end".into()),
    }
}

/// How bodies are written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum EncodingArg {
    #[default]
    Json,
    Cbor,
}

impl From<EncodingArg> for Encoding {
    fn from(arg: EncodingArg) -> Encoding {
        match arg {
            EncodingArg::Json => Encoding::Json,
            EncodingArg::Cbor => Encoding::Cbor,
        }
    }
}

impl BusArgs {
    pub fn names(&self) -> Names {
        Names::new(&self.queue_prefix)
    }

    /// Where the bus is; it may hold a password.
    pub fn url(&self, environment: &Environment) -> anyhow::Result<String> {
        Ok(environment.bus_url(self.amqp_url.as_deref(), self.amqp_password_file.as_deref()).map_err(settings)?)
    }

    /// Whence its password comes.
    pub fn password_file<'a>(&'a self, environment: &'a Environment) -> Option<&'a Path> {
        environment.bus_password_file(self.amqp_password_file.as_deref())
    }

    /// Opens the bus and declares everything on it. `name` is how the broker lists this program.
    pub async fn open(&self, environment: &Environment, name: &str) -> anyhow::Result<Connection> {
        self.open_with(environment, self.names().topology(), name).await
    }

    /// Opens the bus and declares nothing on it; a file is made.
    pub async fn open_bare(&self, environment: &Environment, name: &str) -> anyhow::Result<Connection> {
        self.open_with(environment, Topology::default(), name).await
    }

    async fn open_with(&self, environment: &Environment, topology: Topology, name: &str) -> anyhow::Result<Connection> {
        let url = self.url(environment)?;
        make_room(&url)?;
        Ok(Connection::open(&url, topology, self.options(environment, name)).await?)
    }

    /// Opens a bus that is there already, as it is: looking must not make anything. Waits no longer than `patience`.
    pub async fn visit(&self, environment: &Environment, name: &str, patience: Duration) -> anyhow::Result<Connection> {
        let nowhere = |path: &Path| {
            let what = format!("there is no bus yet: there is no {}", path.display());
            Usage::not_found(what).fix("begin here:      oat up")
        };
        let usual = self.options(environment, name);
        let options = bus::Options { connect_timeout: patience, confirm_timeout: patience, ..usual };
        self.open_existing(environment, options, nowhere).await
    }

    /// Opens a bus to call who serves there: where no bus is, nobody does. Waits no longer than `patience` to connect.
    pub async fn call_on(
        &self,
        environment: &Environment,
        name: &str,
        patience: Duration,
    ) -> anyhow::Result<Connection> {
        let nobody = |path: &Path| {
            Usage::late(format!("nobody serves: there is no {}", path.display())).fix("serve it:        oat rpc serve")
        };
        let usual = self.options(environment, name);
        let connect_timeout = patience.min(usual.connect_timeout);
        self.open_existing(environment, bus::Options { connect_timeout, ..usual }, nobody).await
    }

    async fn open_existing(
        &self,
        environment: &Environment,
        options: bus::Options,
        missing: impl Fn(&Path) -> Usage,
    ) -> anyhow::Result<Connection> {
        let url = self.url(environment)?;
        match sqlite_path(&url).filter(|path| !path.exists()) {
            Some(path) => Err(missing(path).into()),
            None => Ok(Connection::open(&url, Topology::default(), options).await?),
        }
    }

    fn options(&self, environment: &Environment, name: &str) -> bus::Options {
        bus::Options {
            name: name.into(),
            heartbeat: Duration::from_secs(self.amqp_heartbeat.into()),
            ca_file: environment.bus_ca_file(),
            senders: self.amqp_senders,
            ..bus::Options::default()
        }
    }
}

/// Whether events tell what becomes of tasks.
#[derive(Args, Debug)]
pub struct AnnounceArgs {
    /// Publishes no events: TaskCreated, TaskDrawn, TaskFailed
    #[arg(long)]
    no_announce: bool,
}

impl AnnounceArgs {
    /// Announces on this bus, unless that is not wanted or not allowed.
    pub async fn open(&self, connection: &Connection, names: &Names) -> Announcer {
        match self.no_announce {
            true => Announcer::default(),
            false => Announcer::open(connection, &names.events).await,
        }
    }
}

impl StoreArgs {
    /// Where the records are; it may hold a password.
    pub fn url(&self, environment: &Environment) -> anyhow::Result<String> {
        let (url, file) = (self.database_url.as_deref(), self.database_password_file.as_deref());
        Ok(environment.database_url(url, file).map_err(settings)?)
    }

    /// Whence their password comes.
    pub fn password_file<'a>(&'a self, environment: &'a Environment) -> Option<&'a Path> {
        environment.database_password_file(self.database_password_file.as_deref())
    }

    /// Opens the records as they are.
    pub async fn open(&self, environment: &Environment) -> anyhow::Result<Store> {
        let url = self.url(environment)?;
        make_room(&url)?;
        Ok(Store::open(&url).await?)
    }

    /// Opens records that are there already: looking must not make anything.
    pub async fn open_existing(&self, environment: &Environment) -> anyhow::Result<Store> {
        let url = self.url(environment)?;
        let file = sqlite_path(&url);
        let nothing = |what: String| {
            Usage::not_found(format!("nothing has been drawn yet: {what}")).fix("begin here:      oat up")
        };
        if let Some(path) = file.filter(|path| !path.exists()) {
            return Err(nothing(format!("there is no {}", path.display())).into());
        }
        let store = Store::open(&url).await?;
        match file {
            // The bus lives in the same file, and may have been there first.
            Some(path) if store.is_blank().await? => {
                Err(nothing(format!("there are no records in {}", path.display())).into())
            }
            _ => Ok(store),
        }
    }

    /// Opens the records and brings the tables up to date, as the original's daemons did at their start.
    pub async fn open_migrated(&self, environment: &Environment) -> anyhow::Result<Store> {
        let store = self.open(environment).await?;
        store.migrate().await?;
        Ok(store)
    }
}

/// A URL that does not come about, for want of its password, is a matter of settings.
fn settings(error: anyhow::Error) -> Usage {
    Usage::new(format!("{error:#}"))
}

/// The folder of a SQLite file is ours to make: nothing else in the world has to be set up first.
fn make_room(url: &str) -> anyhow::Result<()> {
    match sqlite_path(url).and_then(|path| path.parent()).filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder).with_context(|| format!("create the folder {}", folder.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, milliseconds) in [("500ms", 500), ("10s", 10_000), ("1.5", 1500), ("5m", 300_000), ("2h", 7_200_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for wrong in ["", "s", "-1s", "0", "ten", "3 weeks", "nan", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn senders_are_read_as_a_number_or_a_range() {
        let range = |text| senders(text).map(|senders| (senders.least, senders.most));
        assert_eq!((range("2"), range("2-8")), (Ok((2, 2)), Ok((2, 8))));
        assert_eq!(senders("1-4"), Ok(Senders::default()), "the default of the flag is that of the library");
        for wrong in ["", "0", "0-4", "4-1", "1-65", "-2", "2-", "two"] {
            assert!(senders(wrong).is_err(), "{wrong}");
        }
    }
}
