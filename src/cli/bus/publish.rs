//! `oat bus publish`.

use super::Common;
use super::input::{PayloadArgs, read};
use super::words::messages;
use crate::bus::{self, Message};
use crate::cli::failure::Usage;
use crate::cli::output::tell;
use crate::config::Environment;
use crate::tools::letter::Letter;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  oat bus publish ProductCreated --data '{\"id\": 7}'
  oat bus publish ProductCreated product.cbor
  oat bus publish letters/000001-ProductCreated.json      as it was when saved
  oat bus monitor --limit 3 --json | oat bus publish -    once more

Exit status: 0 confirmed, 3 confirmed but no queue is bound to it.";

/// Publishes an event, or anything else, and says whether any queue got it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The event, which is the routing key; or what monitor or inspect have saved, - for standard input
    #[arg(value_name = "NAME|SAVED")]
    name: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Its exchange [default: events, or as it was saved]
    #[arg(long, value_name = "NAME")]
    exchange: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        // Before anything is opened: what cannot be read is not worth a connection.
        let parcels = self.parcels()?;
        let connection = self.common.visit(environment).await?;
        let publisher = connection.publisher();
        let (mut unheard, mut missing) = (0, None);
        let number = parcels.len();
        for (exchange, key, message) in parcels {
            match publisher.announce(&exchange, &key, message).await {
                Ok(true) => {}
                Ok(false) => unheard += 1,
                Err(bus::Error::Missing { .. }) => {
                    missing = Some(exchange);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        connection.close().await;
        if let Some(exchange) = missing {
            let what = format!("there is no exchange {exchange:?}: nothing has ever listened there");
            return Err(Usage::not_found(what).fix("another one:     --exchange NAME").into());
        }
        Ok(self.report(number, unheard))
    }

    /// A file that is not there is no event of that name.
    fn check(&self, is_file: bool) -> anyhow::Result<()> {
        let name = &self.name;
        let like_a_file = name.contains('/') || name.ends_with(".json") || name.ends_with(".cbor");
        if name.is_empty() || (like_a_file && !is_file) {
            let what = format!("there is no file {name:?}, and it is no name of an event");
            return Err(Usage::not_found(what).fix("an event:        oat bus publish NAME FILE").into());
        }
        Ok(())
    }

    /// Exchange, routing key and message of everything that is to be published.
    fn parcels(&self) -> anyhow::Result<Vec<(String, String, Message)>> {
        // A pipe can be read like a file.
        let is_file = Path::new(&self.name).metadata().is_ok_and(|found| !found.is_dir());
        self.check(is_file)?;
        let alone = self.payload.is_empty() && (self.name == "-" || is_file);
        let bytes = if alone { Some(read(&self.name)?) } else { self.payload.bytes()? };
        let Some(letters) = bytes.as_deref().and_then(Letter::read_all) else {
            if alone {
                let what = format!("{} holds no message that was saved by oat", self.name);
                return Err(Usage::new(what)
                    .fix(format!("a payload:       oat bus publish NAME {}", self.name))
                    .into());
            }
            let exchange = self.exchange.clone().unwrap_or_else(|| self.common.exchanges().events);
            return Ok(vec![(exchange, self.name.clone(), self.payload.message(bytes.as_deref())?)]);
        };
        let parcel = |letter: Letter| {
            let message = letter.message()?;
            let key = if alone { letter.routing_key } else { self.name.clone() };
            Ok((self.exchange.clone().unwrap_or(letter.exchange), key, message))
        };
        letters.into_iter().map(parcel).collect()
    }

    fn report(&self, number: usize, unheard: usize) -> ExitCode {
        let what = match number {
            1 => String::new(),
            number => format!("{} ", messages(number as u64)),
        };
        if self.common.json {
            tell!("{}", json!({"v": 1, "confirmed": number, "unrouted": unheard}));
        } else if unheard == 0 {
            tell!("{what}confirmed");
        } else if number == 1 {
            tell!("confirmed, but no queue is bound to it");
        } else {
            tell!("{what}confirmed, but to {unheard} of them no queue is bound");
        }
        ExitCode::from(if unheard == 0 { 0 } else { 3 })
    }
}
