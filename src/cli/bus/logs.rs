//! `oat bus logs`.

use super::Common;
use super::monitor::Listening;
use super::words::{harmless, plain};
use crate::cli::output::tell;
use crate::config::Environment;
use crate::tools::gelf::{LEVELS, Line, pattern};
use crate::tools::letter::Letter;
use crate::tools::listen::Ear;
use chrono::{SecondsFormat, Utc};
use clap::builder::PossibleValuesParser;
use serde_json::json;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  oat bus logs
  oat bus logs shop '*.ERROR' --for 1m
  oat bus logs --level warning --json";

/// Shows what services log on the bus.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Whose lines and which; a service alone means all its levels
    #[arg(value_name = "SERVICE.LEVEL")]
    patterns: Vec<String>,
    /// eventail's flag for the same
    #[arg(long, hide = true, num_args = 0.., value_name = "PATTERN")]
    filter: Vec<String>,
    /// Only this level and worse: debug, info, notice, warning, error, critical, alert or emergency
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(LEVELS), default_value = "debug")]
    #[arg(hide_possible_values = true)]
    level: String,
    #[command(flatten)]
    listening: Listening,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let worst = LEVELS.iter().position(|level| *level == self.level).unwrap_or(LEVELS.len());
        let keys = match self.patterns.iter().chain(&self.filter).map(|text| pattern(text)).collect::<Vec<_>>() {
            keys if keys.is_empty() => vec!["#".into()],
            keys => keys,
        };
        let ears = [Ear { made: true, ..Ear::new(&self.common.exchanges().logs, keys) }];
        let connection = self.common.visit(environment).await?;
        let ending = self.listening.run(&connection, &ears, |delivery| {
            let line = Line::of(&delivery.routing_key, &delivery.message);
            if line.level > worst {
                return Ok(false);
            }
            if let Some(folder) = self.listening.folder() {
                Letter::delivered(delivery).save(folder)?;
            }
            if self.common.json {
                print_json(&line)
            } else {
                print(&line)
            }
            Ok(true)
        });
        let ending = ending.await;
        connection.close().await;
        ending
    }
}

fn print(line: &Line) {
    let time = line.time.unwrap_or_else(Utc::now).to_rfc3339_opts(SecondsFormat::Millis, true);
    let fields = line.fields.iter().filter(|(name, value)| {
        // Said in another place of the line, or said by nothing.
        !["levelname", "logical_service"].contains(&name.as_str()) && !plain(value).is_empty()
    });
    let fields: String = fields.map(|(name, value)| format!("  {}={}", harmless(name), plain(value))).collect();
    tell!("{time} {:<9} {}  {}{fields}", LEVELS[line.level], harmless(&line.host), harmless(&line.text));
    for text in line.full.iter().flat_map(|full| full.lines()) {
        tell!("    {}", harmless(text));
    }
}

fn print_json(line: &Line) {
    tell!(
        "{}",
        json!({"v": 1, "time": line.time, "level": LEVELS[line.level], "host": line.host, "text": line.text,
            "full": line.full, "fields": line.fields})
    );
}
