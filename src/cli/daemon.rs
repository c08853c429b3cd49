//! What the three daemons have in common: log file, detaching, pid file, signals, and their own runtime.

use super::failure::Usage;
use super::log_bus::LogBus;
use super::output::tell;
use crate::config::Environment;
use crate::shutdown::Shutdown;
use crate::telemetry::{self, Listener, Logging};
use anyhow::Context;
use clap::Args;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

#[derive(Args, Debug)]
#[command(next_help_heading = "Daemon")]
pub struct DaemonArgs {
    /// Appends the log to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Goes to the background, not under systemd; needs --log-file
    #[arg(long, requires = "log_file")]
    daemonize: bool,
    /// Holds the number of the process until its end
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// More log lines; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Only warnings and errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Publishes the log as well, for oat bus logs
    #[arg(long)]
    log_bus: bool,
    /// Marks the process that `--daemonize` has started
    #[arg(long, hide = true)]
    detached: bool,
}

impl DaemonArgs {
    /// Starts logging and runs `service` until it ends or a signal has brought it to its end. `passwords` are the files
    /// that it will read.
    pub fn run<F>(
        &self,
        environment: &Environment,
        passwords: &[Option<&Path>],
        service: impl FnOnce(Shutdown, LogBus) -> F,
    ) -> anyhow::Result<ExitCode>
    where
        F: Future<Output = anyhow::Result<ExitCode>>,
    {
        if self.daemonize && !self.detached {
            stays_behind(passwords)?;
            return self.detach();
        }
        if self.detached {
            rustix::process::setsid().context("leave the terminal")?;
        }
        let (log_bus, listener) = LogBus::new(self.log_bus);
        let log_file = || format!("open the log file {}", self.log_file.clone().unwrap_or_default().display());
        telemetry::start(&self.logging(environment), listener).with_context(log_file)?;
        let _pid_file = self.pid_file.clone().map(PidFile::write).transpose()?;
        let status = runtime()?.block_on(async { service(Shutdown::on_signals()?, log_bus).await });
        // What never began has not stopped; its error is told by whoever called.
        if status.is_ok() {
            tracing::info!("stopped");
        }
        status
    }

    fn logging(&self, environment: &Environment) -> Logging {
        let verbosity = if self.quiet { -1 } else { self.verbose.min(2) as i8 };
        Logging { file: self.log_file.clone(), verbosity, colour: environment.colour() }
    }

    /// Starts this program again, detached. Forking would be shorter, but not safe: threads do not survive it. What
    /// the new process has to say before its log is open goes to the log file, too.
    fn detach(&self) -> anyhow::Result<ExitCode> {
        let path = self.log_file.as_ref().expect("clap requires it");
        let log = File::options().append(true).create(true).open(path);
        let log = log.with_context(|| format!("open the log file {}", path.display()))?;
        let child = Command::new(std::env::current_exe().context("find this program")?)
            .args(std::env::args_os().skip(1))
            .arg("--detached")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start the background process")?;
        tell!("{}", child.id());
        Ok(ExitCode::SUCCESS)
    }
}

/// A process in the background has no standard input: a password on it would never arrive.
fn stays_behind(passwords: &[Option<&Path>]) -> anyhow::Result<()> {
    let inputs = ["-", "/dev/stdin"].map(Path::new);
    match passwords.iter().flatten().find(|file| inputs.contains(*file)) {
        Some(file) => {
            let why = format!("with --daemonize the password cannot come from standard input ({})", file.display());
            Err(Usage::new(why).fix("a file that holds it, or no --daemonize").into())
        }
        None => Ok(()),
    }
}

/// The log of a command that is no daemon: only trouble, on standard error. Waiting for a broker is told; whoever waits in
/// silence believes that it hangs.
pub fn log_trouble(environment: &Environment, listener: Option<Listener>) -> anyhow::Result<()> {
    let logging = Logging { file: None, verbosity: -1, colour: environment.colour() };
    telemetry::start(&logging, listener).context("start the log")
}

/// Threads for everything that waits. Drawing has rayon's threads, the bus its own.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("start the runtime")
}

/// The name under which this process appears in results and in the broker's lists: host:pid.
pub fn process_name() -> String {
    format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), std::process::id())
}

/// How often a pid file is looked for anew that vanishes while it is locked.
const LOCKING: u32 = 8;

/// The lock on it says that its daemon lives. The number in it is for people: after a crash it may be a stranger's.
struct PidFile {
    path: PathBuf,
    locked: File,
}

impl PidFile {
    /// Refuses a file that another running process holds; one that was left behind is taken over.
    fn write(path: PathBuf) -> anyhow::Result<PidFile> {
        let mut file = lock(&path)?;
        let number = format!("{}\n", std::process::id());
        let written = file.set_len(0).and_then(|()| file.write_all(number.as_bytes()));
        written.with_context(|| format!("write {}", path.display()))?;
        Ok(PidFile { path, locked: file })
    }
}

/// The file behind `path`, which nobody else can lock until it is closed.
fn lock(path: &Path) -> anyhow::Result<File> {
    for _ in 0..LOCKING {
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.with_context(|| format!("write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => return Ok(file),
            // Its daemon has ended meanwhile, and removed it.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
    }
    Err(held(path).into())
}

/// Whether others who open `path` get this file.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |data: Metadata| (data.dev(), data.ino());
    let (here, there) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    here.is_ok() && here.ok() == there.ok()
}

fn held(path: &Path) -> Usage {
    let number = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let who = number.map_or("another process".to_owned(), |number| format!("process {number}, which runs,"));
    Usage::new(format!("{who} holds {}", path.display())).fix("wait for its end, or another --pid-file")
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // While it is locked, so that it cannot become somebody else's. It may have been removed already.
        if is_at(&self.locked, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
