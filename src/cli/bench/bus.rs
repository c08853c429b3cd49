//! `oat bench bus`: how fast the bus is that one has.

use crate::bus::{Connection, Queue, Topology};
use crate::cli::connect::BusArgs;
use crate::cli::daemon::{log_trouble, runtime};
use crate::cli::output::{say, table, tell};
use crate::config::Environment;
use crate::shutdown::Shutdown;
use crate::tools::speed::Load;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

const BYTES: usize = 1024;
/// Messages one at a time. A percentile of a few means little, and a slow disk should not take minutes.
const ROUNDS: usize = 500;
/// A queue without its measurement goes away after so long.
const LEFT_OVER: Duration = Duration::from_secs(600);

const EXAMPLES: &str = "\
Examples:
  oat bench bus
  oat bench bus --window 1000 --json
  oat bench bus --amqp-url amqp://guest@localhost/%2f

The messages are durable and go through a quorum queue of their own, which is
deleted at the end, after Ctrl-C too; if nobody can delete it, it goes away by
itself after ten minutes. A bus file that is not there is made.
PUBLISH/S is what was confirmed, CONSUME/S what was acknowledged. P50 and P99
are of 500 messages one at a time, from the publisher to the consumer.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// So many messages of 1 KiB
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    messages: u32,
    /// At most so many unconfirmed, or delivered and unacknowledged
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusArgs,
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        log_trouble(environment, None)?;
        runtime()?.block_on(async {
            let bus = self.bus.open_bare(environment, "oat bench").await?;
            let shutdown = Shutdown::on_signals()?;
            let name = format!("{}bench.{}", self.bus.queue_prefix, Uuid::new_v4().simple());
            let queue = Queue::new(&name).expires(LEFT_OVER);
            bus.declare(&Topology { exchanges: vec![], queues: vec![queue] }).await?;
            say!("measuring {} messages of 1 KiB through the queue {name}", self.messages);
            let measured = shutdown.or(self.measure(&bus, &name)).await;
            let deleted = bus.delete_queue(&name).await;
            bus.close().await;
            let Some(measured) = measured else { return Ok(ExitCode::from(shutdown.status())) };
            let row = measured?;
            match self.json {
                true => tell!("{row}"),
                false => tell!("{}", as_table(&row).trim_end()),
            }
            deleted?;
            Ok(ExitCode::SUCCESS)
        })
    }

    async fn measure(&self, bus: &Connection, queue: &str) -> anyhow::Result<Value> {
        let load = Load { messages: self.messages as usize, bytes: BYTES, window: self.window };
        let publishing = load.publish(bus, queue).await?;
        let consuming = load.consume(bus, queue).await?;
        let latencies = Load { messages: ROUNDS, ..load }.latencies(bus, queue).await?;
        let percentile = |part: usize| latencies[latencies.len() * part / 100].as_secs_f64();
        let kind = match bus {
            Connection::Amqp(_) => "rabbitmq",
            Connection::Local(_) => "file",
        };
        Ok(json!({
            "v": 1, "bus": kind, "messages": load.messages, "bytes": BYTES, "window": load.window,
            "publish_per_s": load.rate(publishing), "consume_per_s": load.rate(consuming),
            "p50_seconds": percentile(50), "p99_seconds": percentile(99),
        }))
    }
}

fn as_table(row: &Value) -> String {
    let number = |name: &str, factor: f64, digits: usize| {
        format!("{:.digits$}", row[name].as_f64().unwrap_or_default() * factor)
    };
    let cells = vec![
        row["bus"].as_str().unwrap_or_default().to_owned(),
        row["messages"].to_string(),
        row["window"].to_string(),
        number("publish_per_s", 1.0, 0),
        number("consume_per_s", 1.0, 0),
        number("p50_seconds", 1e3, 2),
        number("p99_seconds", 1e3, 2),
    ];
    table(&["BUS", "MESSAGES", "WINDOW", "PUBLISH/S", "CONSUME/S", "P50 MS", "P99 MS"], &[cells], true)
}
