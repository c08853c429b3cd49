//! The command line: turns arguments into settings, opens what a part needs, starts it, prints, and exits with a
//! status that means something. How anything is done is not known here.

mod bench;
mod bus;
mod catalogue;
mod connect;
mod daemon;
mod draw;
mod failure;
mod file;
mod log_bus;
mod output;
mod producer;
mod records;
mod rpc;
mod scene;
mod setup;
mod terminal;
mod tracker;
mod up;
mod verify;
mod worker;

use crate::config::Environment;
use crate::fractal::lanes::{Kernel, choose};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

/// A message-queue pipeline you can watch: a producer invents fractals, a bus carries
/// them, workers draw, a tracker records.
#[derive(Debug, Parser)]
#[command(name = "oat", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  oat up                                the whole pipeline, without any server
  oat draw --at seahorse-valley         one picture, without a pipeline
  oat list                              what has been drawn
  oat verify --all                      draw it all again, and compare

The daemons are programs of their own: oat-producer, oat-worker, oat-tracker.

Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 partly done,
4 a server cannot be reached, 5 not found, 6 verification failed,
130 and 143 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole pipeline in one process, without servers: draws the tour.
    #[command(alias = "demo")]
    Up(up::Args),
    /// Draws one picture, without a pipeline.
    Draw(draw::Args),
    /// Lists pictures and their state, newest first.
    List(records::ListArgs),
    /// Shows everything that is known of one picture.
    Show(records::ShowArgs),
    /// Draws pictures again and compares their checksums.
    Verify(verify::Args),
    /// Lists the places of the tour.
    Scenes(catalogue::ScenesArgs),
    /// Lists the palettes.
    Palettes(catalogue::PalettesArgs),
    /// Measures how fast this machine draws, and how fast its bus is.
    Bench(bench::Args),
    /// Looks into the message bus, sends to it, and mends what died on it.
    Bus(bus::Args),
    /// Serves and calls methods over the bus, and probes heartbeats.
    Rpc(rpc::Args),
    /// Declares exchanges and queues, makes tables; harmless to repeat.
    Setup(setup::Args),
    /// Invents tasks (the daemon oat-producer).
    #[command(hide = true)]
    Producer(producer::Args),
    /// Draws tasks (the daemon oat-worker).
    #[command(hide = true)]
    Worker(worker::Args),
    /// Records results (the daemon oat-tracker).
    #[command(hide = true)]
    Tracker(tracker::Args),
}

/// `oat`.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// `oat` with these arguments.
pub fn main_with(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    run(std::iter::once("oat".to_owned()).chain(arguments).map(OsString::from).collect())
}

/// `oat-producer`.
pub fn producer() -> ExitCode {
    daemon::<producer::Args>("oat-producer", producer::Args::run)
}

/// `oat-worker`.
pub fn worker() -> ExitCode {
    daemon::<worker::Args>("oat-worker", worker::Args::run)
}

/// `oat-tracker`.
pub fn tracker() -> ExitCode {
    daemon::<tracker::Args>("oat-tracker", tracker::Args::run)
}

/// A daemon is a command of `oat` under a name of its own.
fn daemon<A: Args>(name: &'static str, run: impl Fn(A, &Environment) -> anyhow::Result<ExitCode>) -> ExitCode {
    let command = A::augment_args(clap::Command::new(name).version(env!("CARGO_PKG_VERSION")).max_term_width(100));
    let matches = command.try_get_matches().unwrap_or_else(|error| leave(&error));
    let arguments = A::from_arg_matches(&matches).unwrap_or_else(|error| leave(&error));
    with_environment(|environment| run(arguments, environment))
}

/// As clap leaves, but help that cannot be printed is a failure.
fn leave(error: &clap::Error) -> ! {
    let printed = error.print();
    let lost = !error.use_stderr() && output::lost(printed);
    std::process::exit(if lost { 1 } else { error.exit_code() })
}

/// Whatever goes wrong is told in one place.
fn with_environment(run: impl FnOnce(&Environment) -> anyhow::Result<ExitCode>) -> ExitCode {
    let environment = Environment::of_process();
    let run = || choose_kernel(&environment).and_then(|()| run(&environment));
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(ended) => ended.unwrap_or_else(|error| failure::report(&error)),
        Err(end) if end.is::<output::Lost>() => ExitCode::FAILURE,
        Err(panic) => resume_unwind(panic),
    }
}

/// `OAT_KERNEL` forces one of the ways to compute the same picture.
fn choose_kernel(environment: &Environment) -> anyhow::Result<()> {
    let Some(name) = environment.kernel() else { return Ok(()) };
    let kernel = Kernel::ALL.into_iter().find(|kernel| kernel.name() == name);
    let names = || Kernel::ALL.map(Kernel::name).join(", ");
    let unknown = || failure::Usage::new(format!("OAT_KERNEL is {name:?}")).fix(format!("one of {}", names()));
    Ok(choose(kernel.ok_or_else(unknown)?).map_err(failure::Usage::new)?)
}

/// The tree of commands and flags, for whoever documents or tests it.
pub fn command() -> clap::Command {
    Cli::command()
}

fn run(arguments: Vec<OsString>) -> ExitCode {
    if arguments.len() < 2 {
        // Whoever types only the name wants to know what there is.
        return ExitCode::from(u8::from(output::lost(command().print_help())));
    }
    let command = Cli::try_parse_from(&arguments).unwrap_or_else(|error| leave(&error)).command;
    with_environment(|environment| match command {
        Command::Up(args) => args.run(environment),
        Command::Draw(args) => args.run(environment),
        Command::List(args) => args.run(environment),
        Command::Show(args) => args.run(environment),
        Command::Verify(args) => args.run(environment),
        Command::Scenes(args) => args.run(environment),
        Command::Palettes(args) => args.run(environment),
        Command::Bench(args) => args.run(environment),
        Command::Bus(args) => args.run(environment),
        Command::Rpc(args) => args.run(environment),
        Command::Setup(args) => args.run(environment),
        Command::Producer(args) => args.run(environment),
        Command::Worker(args) => args.run(environment),
        Command::Tracker(args) => args.run(environment),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
