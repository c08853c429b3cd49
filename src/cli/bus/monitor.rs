//! `oat bus monitor`, and listening as `oat bus logs` does it, too.

use super::words::show;
use super::{Common, absent};
use crate::bus::{Connection, Delivery, ExchangeKind, matches};
use crate::cli::connect::duration;
use crate::cli::output::{say, tell, unread};
use crate::config::Environment;
use crate::shutdown::Shutdown;
use crate::tools::filter::Where;
use crate::tools::letter::Letter;
use crate::tools::listen::{Ear, existing, listen};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  oat bus monitor
  oat bus monitor --events 'shop.#' --limit 1 --for 30s
  oat bus monitor --where order.id=123 --save letters
  oat bus monitor --exchange openstack:test

Patterns are those of topics: * is a word, # any number of words, words are
split at dots. A value after --where is JSON, so 123 is not \"123\"; what is no
JSON is a string.

Exit status: 0, or 4 if the time was over before --limit was reached, or 130 or
143 if a signal came before either.";

/// Shows what is published while it is published; takes nothing away from anybody.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Events and commands like this [default: all that is there]
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Events like this; all of them without a pattern
    #[arg(long, value_name = "PATTERN", num_args = 0.., default_missing_value = "#")]
    events: Vec<String>,
    /// Commands and results of services like this
    #[arg(long, value_name = "PATTERN", num_args = 0.., default_missing_value = "#")]
    commands: Vec<String>,
    /// Tasks on their way to the workers
    #[arg(long, value_name = "PATTERN", num_args = 0.., default_missing_value = "#")]
    tasks: Vec<String>,
    /// What the workers report
    #[arg(long, value_name = "PATTERN", num_args = 0.., default_missing_value = "#")]
    results: Vec<String>,
    /// Any other exchange, with the key to bind there
    #[arg(long, value_name = "NAME:KEY", value_parser = exchange)]
    exchange: Vec<(String, String)>,
    /// Only payloads with this value there; of several, all have to hold
    #[arg(long = "where", value_name = "PATH=VALUE")]
    wheres: Vec<Where>,
    #[command(flatten)]
    listening: Listening,
    #[command(flatten)]
    common: Common,
}

fn exchange(text: &str) -> Result<(String, String), String> {
    let (name, key) = text.split_once(':').ok_or("expected the exchange, a colon and a key, such as events:#")?;
    if name.is_empty() {
        Err("nobody can listen to the default exchange".into())
    } else {
        Ok((name.into(), key.into()))
    }
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let connection = self.common.visit(environment).await?;
        let ears = self.ears(&connection).await?;
        let names = (self.common.bus.names(), self.common.exchanges());
        let ending = self.listening.run(&connection, &ears, |delivery| {
            let letter = Letter::delivered(delivery);
            let payload = letter.payload();
            if !self.wheres.iter().all(|condition| condition.holds(&payload)) {
                return Ok(false);
            }
            if let Some(folder) = self.listening.folder() {
                letter.save(folder)?;
            }
            match self.common.json {
                true => tell!("{}", letter.json()),
                false => show(&letter, &names, &chrono::Local::now().format("%H:%M:%S").to_string()),
            }
            Ok(true)
        });
        let ending = ending.await;
        connection.close().await;
        ending
    }

    /// What was asked for; if nothing was, whatever there is.
    async fn ears(&self, connection: &Connection) -> anyhow::Result<Vec<Ear>> {
        let (names, exchanges) = (self.common.bus.names(), self.common.exchanges());
        let asked = [&self.events, &self.commands, &self.tasks, &self.results].iter().any(|keys| !keys.is_empty());
        let everything = !asked && self.patterns.is_empty() && self.exchange.is_empty();
        let all = vec!["#".to_owned()];
        let of = |keys: &Vec<String>| if everything { all.clone() } else { keys.clone() };
        let topic = |exchange: &str, keys: &Vec<String>| Ear {
            made: true,
            ..Ear::new(exchange, of(keys).iter().chain(&self.patterns))
        };
        let mut ears = vec![
            topic(&exchanges.events, &self.events),
            topic(&exchanges.commands, &self.commands),
            direct(&names.tasks, &of(&self.tasks)),
            direct(&names.results, &of(&self.results)),
        ];
        ears.extend(self.exchange.iter().map(|(name, key)| Ear::new(name, [key])));
        ears.retain(|ear| !ear.keys.is_empty());
        // Whoever asks for something by name gets an error if it is not there.
        if everything { Ok(existing(connection, ears).await?) } else { Ok(ears) }
    }
}

/// Tasks and results go through direct exchanges, under one key: a pattern is held against that.
fn direct(name: &str, patterns: &[String]) -> Ear {
    let key =
        |pattern: &String| if matches(ExchangeKind::Topic, pattern, name) { name.to_owned() } else { pattern.clone() };
    Ear::new(name, patterns.iter().map(key))
}

/// When listening ends, and what is kept.
#[derive(Debug, clap::Args)]
pub struct Listening {
    /// Ends after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Ends after this time: 30s, 5m
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Writes each into a file of this folder, for oat bus publish
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

impl Listening {
    pub fn folder(&self) -> Option<&Path> {
        self.save.as_deref()
    }

    /// Listens until the limit, the time or Ctrl-C. `hear` says whether a message counts.
    pub async fn run(
        &self,
        connection: &Connection,
        ears: &[Ear],
        mut hear: impl FnMut(&Delivery) -> anyhow::Result<bool>,
    ) -> anyhow::Result<ExitCode> {
        if let Some(folder) = &self.save {
            std::fs::create_dir_all(folder).with_context(|| format!("create the folder {}", folder.display()))?;
        }
        // Before anybody is told that this can be ended.
        let shutdown = Shutdown::on_signals()?;
        let consumer = listen(connection, ears).await;
        let mut consumer = consumer.map_err(|error| absent(error, "another one:     --exchange NAME:KEY"))?;
        let places: Vec<String> = ears.iter().map(|ear| format!("{} {}", ear.exchange, ear.keys.join(" "))).collect();
        say!("listening to {}; Ctrl-C ends", places.join(", "));
        let mut left = self.limit.unwrap_or(u64::MAX);
        let hearing = async {
            while left > 0 {
                let Some(delivery) = consumer.next().await else { break };
                if hear(&delivery)? {
                    left -= 1;
                }
                // Nobody else is waiting for it. If the connection is lost, so is the queue, and with it the message.
                let _ = delivery.ack().await;
            }
            Ok(())
        };
        let hearing = async {
            tokio::select! {
                heard = shutdown.or(hearing) => match heard {
                    Some(heard) => heard.map(|()| 0),
                    // Without an end of its own, a signal is the way to end it.
                    None if self.limit.is_none() && self.time.is_none() => anyhow::Ok(0),
                    None => Ok(shutdown.status()),
                },
                () = unread() => Ok(0),
            }
        };
        let late = if self.limit.is_some() { 4 } else { 0 };
        let ended = tokio::time::timeout(self.time.unwrap_or(Duration::MAX), hearing).await;
        Ok(ExitCode::from(ended.unwrap_or(Ok(late))?))
    }
}
