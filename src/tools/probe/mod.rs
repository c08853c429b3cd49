//! The laboratory of heartbeats: one client under several ways to run a program, seen through a proxy that watches frames.
//!
//! A broker that hears nothing for two to three heartbeat intervals closes the connection. Whether a program is heard depends
//! on who sends its heartbeats: a thread that does nothing else, or one that also draws. Both are tried here, on purpose, and
//! so are a broker and a client that are frozen.

pub mod frames;
mod models;
pub mod proxy;

pub use models::options;

use anyhow::Context;
use proxy::{Proxy, Sight};
use std::io;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What the clocks and the scheduler of a busy machine may add.
const SLACK: Duration = Duration::from_millis(500);

/// A way to run a program, or an accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The program's only thread draws; the bus has its own.
    Thread,
    /// No traffic at all.
    Idle,
    /// All cores draw.
    Busy,
    /// The old bug on purpose: the thread that serves the network draws.
    Blocked,
    /// The broker says nothing any more, and keeps its connections open.
    FrozenBroker,
    /// The program is stopped for a while, as by SIGSTOP.
    FrozenClient,
}

impl Model {
    /// All of them.
    pub const ALL: [Model; 6] =
        [Model::Thread, Model::Idle, Model::Busy, Model::Blocked, Model::FrozenBroker, Model::FrozenClient];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Model::Thread => "thread",
            Model::Idle => "idle",
            Model::Busy => "busy",
            Model::Blocked => "blocked",
            Model::FrozenBroker => "frozen-broker",
            Model::FrozenClient => "frozen-client",
        }
    }

    /// What it does.
    pub fn about(self) -> &'static str {
        match self {
            Model::Thread => "heartbeats on a thread of their own, the program's draws",
            Model::Idle => "no traffic at all",
            Model::Busy => "drawing on all cores",
            Model::Blocked => "drawing on the network's thread (the bug)",
            Model::FrozenBroker => "the broker falls silent, connections stay open",
            Model::FrozenClient => "the program is stopped, then goes on",
        }
    }
}

/// Something to compute.
pub type Work = Arc<dyn Fn() + Send + Sync>;
/// Starts a program, given a URL.
pub type Program = Arc<dyn Fn(&str) -> io::Result<Child> + Send + Sync>;

/// What an experiment needs.
#[derive(Clone)]
pub struct Laboratory {
    /// The broker: `amqp://`, since what is encrypted cannot be watched.
    pub url: String,
    /// The interval that is asked for; the broker's own is longer.
    pub heartbeat: Duration,
    /// How long a connection that should survive is watched.
    pub watch: Duration,
    /// Keeps a processor busy for about a tenth of a second.
    pub work: Work,
    /// Starts a program that opens the bus at this URL, prints a line, and waits for the end of its standard input.
    pub program: Program,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its connections stayed.
    Survives,
    /// The broker closed a connection after so long without a frame. How soon there was another, if there was.
    Closed {
        /// Since the last frame.
        after: Duration,
        /// Since the program ran again.
        recovered: Option<Duration>,
    },
    /// The client gave up on a silent broker after so long.
    Noticed {
        /// Since the silence began.
        after: Duration,
        /// Since then.
        recovered: Option<Duration>,
    },
    /// Nothing happened that should have.
    Unnoticed,
}

/// The result of an experiment.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of which.
    pub model: Model,
    /// Frames that the client sent, on all its connections.
    pub frames: u32,
    /// Those of them that are heartbeats.
    pub heartbeats: u32,
    /// The longest time without any, on the worst of its connections.
    pub longest_gap: Duration,
    /// What became of the connections.
    pub verdict: Verdict,
    /// Whether it is what AMQP and our promises say.
    pub as_expected: bool,
}

impl Laboratory {
    /// Does one experiment.
    pub async fn run(&self, model: Model) -> anyhow::Result<Report> {
        let url = Url::parse(&self.url).context("read the URL of the broker")?;
        let addresses = url.socket_addrs(|| Some(5672)).context("find the broker")?;
        let proxy = Proxy::start(*addresses.first().context("the broker's host has no address")?).context("listen")?;
        let through = led_through(url, &proxy)?;
        let (verdict, sights) = match model {
            Model::Thread => self.thread(&proxy, through).await?,
            Model::Idle => self.idle(&proxy, &through).await?,
            Model::Busy => self.busy(&proxy, &through).await?,
            Model::Blocked => self.blocked(&proxy, through).await?,
            Model::FrozenBroker => self.frozen_broker(&proxy, &through).await?,
            Model::FrozenClient => self.frozen_client(&proxy, &through).await?,
        };
        Ok(self.report(model, verdict, &sights))
    }

    fn report(&self, model: Model, verdict: Verdict, sights: &[Sight]) -> Report {
        let longest_gap = sights.iter().map(|sight| sight.longest_gap).max().unwrap_or_default();
        let as_expected = match (model, verdict) {
            (Model::Thread | Model::Idle | Model::Busy, verdict) => {
                verdict == Verdict::Survives && longest_gap <= self.heartbeat / 2 + SLACK
            }
            (Model::Blocked | Model::FrozenClient, Verdict::Closed { after, recovered: Some(_) }) => {
                after <= self.heartbeat * 3 + SLACK
            }
            (Model::FrozenBroker, Verdict::Noticed { after, recovered: Some(_) }) => {
                after <= self.heartbeat * 2 + SLACK * 2
            }
            _ => false,
        };
        let sum = |count: fn(&Sight) -> u32| sights.iter().map(count).sum();
        let (frames, heartbeats) = (sum(|sight| sight.frames), sum(|sight| sight.heartbeats));
        Report { model, frames, heartbeats, longest_gap, verdict, as_expected }
    }
}

/// The URL of the broker by way of the proxy; what the URL itself says of heartbeats does not count here.
fn led_through(mut url: Url, proxy: &Proxy) -> anyhow::Result<String> {
    let address = proxy.address();
    let led = url.set_host(Some(&address.ip().to_string())).is_ok() && url.set_port(Some(address.port())).is_ok();
    anyhow::ensure!(led, "the URL has no place for a host");
    url.set_query(None);
    Ok(url.into())
}
