//! `oat bus resurrect`.

use super::inspect::SpareArgs;
use super::words::{harmless, messages};
use super::{Common, confirmed, depth_of, interruptible};
use crate::cli::output::{age, say, tell};
use crate::config::Environment;
use crate::tools::resurrect::{Fate, Settings, Summary, Target, Verdict, rehearse, resurrect};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  oat bus resurrect dead --dry-run
  oat bus resurrect dead --only 'shop.#' --limit 10 --yes

Each message is taken from the dead only when its copy is confirmed in a queue.
What stays is put back.

Exit status: 0 all that was meant is alive, 3 some stay dead.";

/// Sends dead messages back to the queue in which they died.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The queue of the dead
    queue: String,
    /// Only what was sent with a routing key like this; * is a word, # any number
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// At most so many
    #[arg(long, visible_alias = "count", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// What has died more often than this stays dead
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    max_deaths: u64,
    /// To the exchange it was sent to, and so to every queue bound there
    #[arg(long)]
    to_exchange: bool,
    /// To the queue in which it died, even if its service expects it to come through an exchange
    #[arg(long, conflicts_with = "to_exchange")]
    to_queue: bool,
    /// Says what would happen, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Does not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    spare: SpareArgs,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let connection = self.common.visit(environment).await?;
        let dead = depth_of(&connection, &self.queue).await?.ready;
        let settings = self.settings();
        if self.dry_run {
            let spare = self.spare.limit(&self.queue, &self.common.bus.names());
            let (summary, verdicts) = rehearse(&connection, &settings, Some(spare)).await?;
            connection.close().await;
            verdicts.iter().for_each(|verdict| self.print(verdict));
            self.sum_up(&summary, "would go back");
            return Ok(ExitCode::SUCCESS);
        }
        let again = format!("oat bus resurrect {} --yes     (first:  --dry-run)", self.queue);
        let question = format!("{} in {}. Send them back where they died? [y/N]", messages(dead), self.queue);
        if dead > 0 && !confirmed(self.yes, &question, "y", &again)? {
            say!("nothing was changed");
            return Ok(ExitCode::FAILURE);
        }
        let moving = async { Ok(resurrect(&connection, &settings, |verdict| self.print(verdict)).await?) };
        let summary = interruptible(moving).await;
        connection.close().await;
        let summary = match summary? {
            Ok(summary) => summary,
            Err(status) => {
                say!("interrupted; what had not gone back by then is where it was");
                return Ok(status);
            }
        };
        self.sum_up(&summary, "went back");
        Ok(ExitCode::from(if summary.stayed == 0 { 0 } else { 3 }))
    }

    fn settings(&self) -> Settings {
        let target = match (self.to_exchange, self.to_queue) {
            (true, _) => Target::Exchange,
            (false, true) => Target::Queue,
            (false, false) => Target::Home,
        };
        let Args { queue, only, limit, max_deaths, .. } = self;
        Settings {
            queue: queue.clone(),
            only: only.clone(),
            limit: limit.map(|limit| limit as usize),
            max_deaths: *max_deaths,
            target,
            exchanges: self.common.exchanges(),
        }
    }

    fn print(&self, verdict: &Verdict) {
        if verdict.fate == Fate::NotMeant {
            return;
        }
        if self.common.json {
            tell!("{}", as_json(verdict));
            return;
        }
        let id: String = verdict.id.as_deref().unwrap_or("–").chars().take(8).collect();
        let place = match &verdict.fate {
            Fate::Queue(queue) => format!("→ {queue}"),
            Fate::Exchange { exchange, key } => format!("→ exchange {exchange}, key {key}"),
            Fate::Stays(_) | Fate::NotMeant => "stays dead".into(),
        };
        let death = verdict.death.as_ref();
        let when = death.and_then(|death| DateTime::from_timestamp(i64::try_from(death.time?).ok()?, 0));
        let when = when.map_or_else(String::new, |when| format!(" {} ago", age(when, Utc::now())));
        let reason = death.map_or_else(String::new, |death| harmless(&death.reason));
        tell!("{id:<8}  {place}  {}  died {}×{when}: {reason}", harmless(&verdict.sent.1), verdict.deaths);
        if let Fate::Stays(why) = &verdict.fate {
            tell!("{:<8}  {why}", "");
        }
    }

    fn sum_up(&self, summary: &Summary, went: &str) {
        let Summary { moved, stayed, passed_over } = *summary;
        if self.common.json {
            tell!(
                "{}",
                json!({"v": 1, "moved": moved, "stayed": stayed, "passed_over": passed_over, "dry_run": self.dry_run})
            );
            return;
        }
        let all = messages((moved + stayed + passed_over) as u64);
        tell!("{moved} of {all} {went}, {stayed} stay dead, {passed_over} not meant");
        if self.dry_run {
            tell!("nothing was changed; without --dry-run they go");
        }
    }
}

fn as_json(verdict: &Verdict) -> Value {
    let (to, why) = match &verdict.fate {
        Fate::Queue(queue) => (json!({"queue": queue}), None),
        Fate::Exchange { exchange, key } => (json!({"exchange": exchange, "routing_key": key}), None),
        Fate::Stays(why) => (Value::Null, Some(why)),
        Fate::NotMeant => (Value::Null, None),
    };
    let death = verdict.death.as_ref();
    json!({
        "v": 1,
        "message_id": verdict.id,
        "exchange": verdict.sent.0,
        "routing_key": verdict.sent.1,
        "died_in": death.map(|death| &death.queue),
        "reason": death.map(|death| &death.reason),
        "deaths": verdict.deaths,
        "to": to,
        "stays": why,
    })
}
