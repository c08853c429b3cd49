//! The experiments themselves. Each opens a connection through the proxy, does what its model is about, and says what became
//! of it together with what was seen of the connections that it began with.

use super::proxy::{End, Proxy, Sight};
use super::{Laboratory, Verdict};
use crate::bus::{Connection, Options, Topology};
use anyhow::Context;
use async_rs::TokioRuntime;
use lapin::ConnectionProperties;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::task::spawn_blocking;

/// What is awaited though nothing is measured by it: a program that starts, a connection that is made anew.
const SOON: Duration = Duration::from_secs(30);

type Outcome = anyhow::Result<(Verdict, Vec<Sight>)>;

impl Laboratory {
    /// The bus is opened from a runtime of one thread, and then that thread draws.
    pub(super) async fn thread(&self, proxy: &Proxy, url: String) -> Outcome {
        let laboratory = self.clone();
        let bus = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let bus = laboratory.open(&url).await?;
                let end = Instant::now() + laboratory.watch;
                while Instant::now() < end {
                    (laboratory.work)();
                }
                anyhow::Ok(bus)
            })
        });
        let bus = bus.await??;
        let sights = proxy.sights();
        bus.close().await;
        Ok((surviving(&sights), sights))
    }

    pub(super) async fn idle(&self, proxy: &Proxy, url: &str) -> Outcome {
        let bus = self.open(url).await?;
        tokio::time::sleep(self.watch).await;
        let sights = proxy.sights();
        bus.close().await;
        Ok((surviving(&sights), sights))
    }

    pub(super) async fn busy(&self, proxy: &Proxy, url: &str) -> Outcome {
        let bus = self.open(url).await?;
        let over = Arc::new(AtomicBool::new(false));
        let (work, seen) = (self.work.clone(), over.clone());
        let drawing = spawn_blocking(move || {
            while !seen.load(Ordering::Relaxed) {
                work();
            }
        });
        tokio::time::sleep(self.watch).await;
        let sights = proxy.sights();
        over.store(true, Ordering::Relaxed);
        drawing.await?;
        bus.close().await;
        Ok((surviving(&sights), sights))
    }

    /// Not our bus, which does not let itself be used in this way: lapin as its examples show it, on the runtime that it finds.
    pub(super) async fn blocked(&self, proxy: &Proxy, url: String) -> Outcome {
        let laboratory = self.clone();
        let closed = proxy.watcher();
        let working = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let connection = laboratory.bare(&url).await?;
                let end = Instant::now() + laboratory.heartbeat * 4;
                // The bug: until the last picture is done, nothing else runs on this thread.
                while Instant::now() < end && closed.borrow()[0].ended.is_none() {
                    (laboratory.work)();
                }
                let resumed = Instant::now();
                let again = laboratory.bare(&url).await?;
                again.create_channel().await?;
                let recovered = resumed.elapsed();
                let _ = again.close(200, "OK".into()).await;
                drop(connection);
                anyhow::Ok(recovered)
            })
        });
        let recovered = working.await?.context("connect again")?;
        let sights = proxy.sights()[..1].to_vec();
        Ok((closing(&sights, Some(recovered)), sights))
    }

    pub(super) async fn frozen_broker(&self, proxy: &Proxy, url: &str) -> Outcome {
        let bus = self.open(url).await?;
        let before = proxy.sights().len();
        // It is heard twice an interval, and falls silent halfway between.
        tokio::time::sleep(self.heartbeat * 5 / 4).await;
        proxy.freeze();
        let frozen = Instant::now();
        let given_up = |sights: &Vec<Sight>| sights[..before].iter().all(|sight| sight.ended.is_some());
        let noticed = proxy.until(given_up, self.heartbeat * 4).await;
        let sights = proxy.sights()[..before].to_vec();
        let after = sights.iter().filter_map(|sight| Some(sight.ended?.1.saturating_duration_since(frozen))).max();
        let verdict = match after.filter(|_| noticed) {
            Some(after) => Verdict::Noticed { after, recovered: self.recovered(proxy, before).await },
            None => Verdict::Unnoticed,
        };
        bus.close().await;
        Ok((verdict, sights))
    }

    pub(super) async fn frozen_client(&self, proxy: &Proxy, url: &str) -> Outcome {
        let program = Program::start(self, url).await?;
        let before = proxy.sights().len();
        tokio::time::sleep(self.heartbeat).await;
        program.signal(Signal::STOP)?;
        let closed = |sights: &Vec<Sight>| sights[..before].iter().all(|sight| sight.ended.is_some());
        proxy.until(closed, self.heartbeat * 4).await;
        let sights = proxy.sights()[..before].to_vec();
        program.signal(Signal::CONT)?;
        let recovered = self.recovered(proxy, before).await;
        program.end().await?;
        Ok((closing(&sights, recovered), sights))
    }

    /// How long it takes from now until there are as many new connections as there were before.
    async fn recovered(&self, proxy: &Proxy, before: usize) -> Option<Duration> {
        let begun = Instant::now();
        let renewed = |sights: &Vec<Sight>| sights[before..].iter().filter(|sight| sight.is_live()).count() >= before;
        proxy.until(renewed, SOON).await.then(|| begun.elapsed())
    }

    async fn open(&self, url: &str) -> anyhow::Result<Connection> {
        Ok(Connection::open(url, Topology::default(), options(self.heartbeat)).await?)
    }

    async fn bare(&self, url: &str) -> anyhow::Result<lapin::Connection> {
        let mut uri: lapin::uri::AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
        uri.query.heartbeat = u16::try_from(self.heartbeat.as_secs()).ok();
        let runtime = TokioRuntime::tokio_with_handle(Handle::current());
        let properties = ConnectionProperties::default().with_connection_name("oat rpc probe blocked".into());
        Ok(lapin::Connection::connect_uri_with_runtime(uri, properties, runtime).await?)
    }
}

/// How the probe's own clients connect.
pub fn options(heartbeat: Duration) -> Options {
    Options { name: "oat rpc probe".into(), heartbeat, ..Options::default() }
}

fn surviving(sights: &[Sight]) -> Verdict {
    let ended = sights.iter().find_map(|sight| Some((sight, sight.ended?.1)));
    match ended {
        None => Verdict::Survives,
        Some((sight, when)) => Verdict::Closed { after: when.saturating_duration_since(sight.last), recovered: None },
    }
}

fn closing(sights: &[Sight], recovered: Option<Duration>) -> Verdict {
    let by_broker = |sight: &Sight| match sight.ended {
        Some((End::Broker, when)) => Some(when.saturating_duration_since(sight.last)),
        _ => None,
    };
    let all: Option<Vec<Duration>> = sights.iter().map(by_broker).collect();
    match all.and_then(|all| all.into_iter().max()) {
        Some(after) => Verdict::Closed { after, recovered },
        None => Verdict::Unnoticed,
    }
}

/// A process of its own; dropping it kills it.
struct Program(Child);

impl Program {
    /// Returns when its connections are open.
    async fn start(laboratory: &Laboratory, url: &str) -> anyhow::Result<Program> {
        let mut program = Program((laboratory.program)(url).context("start a program to freeze")?);
        let output = program.0.stdout.take().context("the program has no standard output")?;
        let line = spawn_blocking(move || BufReader::new(output).lines().next());
        line.await?.context("the program that was to be frozen ended too early")??;
        Ok(program)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.0), signal)?)
    }

    async fn end(mut self) -> anyhow::Result<()> {
        drop(self.0.stdin.take());
        spawn_blocking(move || self.0.wait()).await??;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already, which is what was wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
