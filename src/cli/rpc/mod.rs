//! `oat rpc …`: methods over the bus, as they are typed.

mod call;
mod http;
mod probe;
mod serve;

use super::connect::BusArgs;
use crate::bus::Connection;
use crate::bus::rpc::Target;
use crate::config::Environment;
use clap::{Subcommand, ValueEnum};
use std::process::ExitCode;
use std::time::Duration;

/// Serves and calls methods over the bus, and shows that heartbeats never stop.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  oat rpc serve                             answers until Ctrl-C
  oat rpc call adder 42                     43
  oat rpc call draw dragon                  writes dragon.png
  oat rpc http --listen 127.0.0.1:9090      what browsers ask, it calls
  oat rpc serve --wire oslo --topic test    for clients of oslo.messaging";

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers the methods adder and draw.
    Serve(serve::Args),
    /// Calls a method and prints what it answers.
    Call(call::Args),
    /// Answers GET /?num=1336 with 1337, by a call of its own.
    Http(http::Args),
    /// Watches heartbeats under several ways to run a program.
    Probe(probe::Args),
}

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => args.run(environment),
            Command::Call(args) => args.run(environment),
            Command::Http(args) => args.run(environment),
            Command::Probe(args) => args.run(environment),
        }
    }
}

/// Who is called, and in which words.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where")]
struct TargetArgs {
    /// The words: oat's own, or those of oslo.messaging
    #[arg(long, value_enum, default_value_t)]
    wire: Wire,
    /// Which service
    #[arg(long, value_name = "NAME", default_value = "test")]
    topic: String,
    /// Which server of it (oslo only)
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// The control exchange (oslo only)
    #[arg(long, value_name = "NAME", default_value = "openstack")]
    exchange: String,
    #[command(flatten)]
    bus: BusArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
enum Wire {
    #[default]
    Oat,
    Oslo,
}

impl TargetArgs {
    fn target(&self) -> Target {
        match self.wire {
            Wire::Oat => Target::oat(&format!("{}rpc.{}", self.bus.queue_prefix, self.topic)),
            Wire::Oslo => {
                Target::Oslo { exchange: self.exchange.clone(), topic: self.topic.clone(), server: self.server.clone() }
            }
        }
    }

    /// What becomes of a call whose caller goes.
    fn left_behind(&self) -> &'static str {
        match self.wire {
            Wire::Oat => "the method is called off",
            Wire::Oslo => "the method may still be executed",
        }
    }

    async fn open(&self, environment: &Environment, what: &str) -> anyhow::Result<Connection> {
        self.bus.open_bare(environment, &name(what)).await
    }

    /// The bus that is there already, for whoever waits no longer than `patience` to connect.
    async fn open_to_call(&self, environment: &Environment, patience: Duration) -> anyhow::Result<Connection> {
        self.bus.call_on(environment, &name("call"), patience).await
    }
}

fn name(what: &str) -> String {
    format!("oat rpc {what} {}", super::daemon::process_name())
}
