//! `oat rpc probe`: the laboratory, as it is typed.

use super::super::connect::duration;
use super::super::daemon::runtime;
use super::super::failure::Usage;
use super::super::output::{say, table, tell};
use super::super::worker::drawing_threads;
use crate::bus::{Connection, Topology};
use crate::config::Environment;
use crate::fractal::{Samples, Stop, catalogue, draw};
use crate::tools::probe::{Laboratory, Model, Report, Verdict, options};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Watches heartbeats under several ways to run a program, the wrong one included. Exit status 0 if all went as expected.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to try [default: everything]
    #[arg(value_enum, value_name = "MODEL")]
    models: Vec<Model>,
    /// The broker: amqp://user@host/%2f [env: OAT_AMQP_URL]
    #[arg(long, value_name = "URL")]
    amqp_url: Option<String>,
    /// Holds the password of --amqp-url, if the URL has none; - is standard input
    /// [env: OAT_AMQP_PASSWORD_FILE]
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    amqp_password_file: Option<PathBuf>,
    /// The heartbeat interval, in whole seconds
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = heartbeat)]
    heartbeat: Duration,
    /// How long to watch what should survive [default: four intervals]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    watch: Option<Duration>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Is the program that gets frozen
    #[arg(long, hide = true)]
    stand_in: bool,
}

const EXAMPLES: &str = "\
Examples:
  oat rpc probe --amqp-url amqp://user@host:5672/%2f --heartbeat 2s
  oat rpc probe blocked --heartbeat 60s     the bug as slow as it was: minutes";

impl ValueEnum for Model {
    fn value_variants<'a>() -> &'a [Model] {
        &Model::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.about()))
    }
}

/// AMQP counts heartbeats in seconds, in 16 bits.
fn heartbeat(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    match interval.subsec_nanos() == 0 && (1..=65_535).contains(&interval.as_secs()) {
        true => Ok(interval),
        false => Err("expected whole seconds, such as 2s".into()),
    }
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let url = environment.bus_url(self.amqp_url.as_deref(), self.amqp_password_file.as_deref())?;
        if self.stand_in {
            return runtime()?.block_on(stand_in(&url, self.heartbeat));
        }
        if !url.starts_with("amqp://") {
            let what = match url.starts_with("amqps:") {
                true => "what is encrypted cannot be watched",
                false => "the embedded bus has no heartbeats to watch",
            };
            return Err(Usage::new(what).fix("--amqp-url amqp://user@host:5672/%2f").into());
        }
        drawing_threads(None)?;
        runtime()?.block_on(self.probe(url))
    }

    async fn probe(&self, url: String) -> anyhow::Result<ExitCode> {
        let place = catalogue::place("seahorse-valley").expect("it is on the tour");
        let scene = place.scene(320, 240, Samples::FOUR)?;
        let heartbeat = self.heartbeat;
        let laboratory = Laboratory {
            url,
            heartbeat,
            watch: self.watch.unwrap_or(heartbeat * 4),
            work: Arc::new(move || drop(draw(&scene, &Stop::default()))),
            program: Arc::new(move |url| program(url, heartbeat).spawn()),
        };
        let models = if self.models.is_empty() { Model::ALL.to_vec() } else { self.models.clone() };
        let mut reports = Vec::new();
        for model in models {
            if !self.json {
                say!("{}: {} …", model.name(), model.about());
            }
            let report = laboratory.run(model).await?;
            if self.json {
                tell!("{}", object(&report));
            }
            reports.push(report);
        }
        if !self.json {
            let header = ["model", "what happens", "frames sent", "longest gap", "verdict"];
            tell!("{}", table(&header, &reports.iter().map(row).collect::<Vec<_>>(), true).trim_end());
        }
        let status = if reports.iter().all(|report| report.as_expected) { 0 } else { 1 };
        Ok(ExitCode::from(status))
    }
}

/// This program once more, to be frozen. The URL, which may hold a password, is not among the arguments.
fn program(url: &str, heartbeat: Duration) -> Command {
    // A path that is gone is an error of `spawn`.
    let mut command = Command::new(std::env::current_exe().unwrap_or_default());
    command.args(["rpc", "probe", "--stand-in", "--heartbeat", &format!("{}s", heartbeat.as_secs())]);
    command.env("OAT_AMQP_URL", url).env_remove("OAT_AMQP_PASSWORD_FILE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

async fn stand_in(url: &str, heartbeat: Duration) -> anyhow::Result<ExitCode> {
    let bus = Connection::open(url, Topology::default(), options(heartbeat)).await?;
    tell!("open");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    bus.close().await;
    Ok(ExitCode::SUCCESS)
}

fn row(report: &Report) -> Vec<String> {
    vec![
        report.model.name().into(),
        report.model.about().into(),
        report.frames.to_string(),
        format!("{:.1} s", report.longest_gap.as_secs_f64()),
        verdict(report),
    ]
}

fn verdict(report: &Report) -> String {
    let again = |recovered: Option<Duration>| match recovered {
        Some(time) => format!("recovered in {:.1} s", time.as_secs_f64()),
        None => "not recovered".into(),
    };
    let words = match report.verdict {
        Verdict::Survives => "survives".into(),
        Verdict::Closed { after, recovered } => {
            format!("closed by the broker after {:.1} s of silence, {}", after.as_secs_f64(), again(recovered))
        }
        Verdict::Noticed { after, recovered } => {
            format!("noticed after {:.1} s, {}", after.as_secs_f64(), again(recovered))
        }
        Verdict::Unnoticed => "unnoticed".into(),
    };
    let mark = if matches!(report.verdict, Verdict::Closed { .. } | Verdict::Unnoticed) { '✗' } else { '✓' };
    let surprise = if report.as_expected { "" } else { "  (not as expected)" };
    format!("{mark} {words}{surprise}")
}

fn object(report: &Report) -> Value {
    let seconds = |time: Duration| json!((time.as_secs_f64() * 1000.0).round() / 1000.0);
    let (verdict, after, recovered) = match report.verdict {
        Verdict::Survives => ("survives", None, None),
        Verdict::Closed { after, recovered } => ("closed", Some(after), recovered),
        Verdict::Noticed { after, recovered } => ("noticed", Some(after), recovered),
        Verdict::Unnoticed => ("unnoticed", None, None),
    };
    json!({
        "v": 1,
        "model": report.model.name(),
        "frames": report.frames,
        "heartbeats": report.heartbeats,
        "longest_gap": seconds(report.longest_gap),
        "verdict": verdict,
        "after": after.map(seconds),
        "recovered": recovered.map(seconds),
        "as_expected": report.as_expected,
    })
}
