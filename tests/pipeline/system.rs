//! The three daemons as processes of their own, on one bus and one database, and what has become of their work.

use crate::support;
use oat::bus::{self, Connection, Message, Publisher};
use oat::fractal::{Samples, catalogue};
use oat::store::{Filter, Record, State, Store};
use oat::task::{Encoding, JSON, Task};
use oat::topology::Names;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Sweepers that do not let a test wait for minutes.
const IMPATIENT: [&str; 2] = ["--unpublished-after=3", "--lost-after=5"];

/// Where everything of one test is.
pub struct System {
    pub bus: String,
    pub database: String,
    pub prefix: String,
    folder: TempDir,
    runtime: Runtime,
    store: Store,
}

impl System {
    /// Bus and records in one SQLite file: no server at all.
    pub fn on_a_file() -> System {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("oat.db").display());
        System::new(folder, url.clone(), url)
    }

    /// On the broker and the database server that all tests share, under names of its own.
    pub fn on_shared_servers(database: &str) -> System {
        System::on(support::rabbitmq_url(), &support::database(database))
    }

    /// On these servers, under names of its own.
    pub fn on(bus: &str, database: &str) -> System {
        System::new(tempfile::tempdir().unwrap(), bus.into(), database.into())
    }

    fn new(folder: TempDir, bus: String, database: String) -> System {
        let runtime = Runtime::new().unwrap();
        let store = runtime.block_on(async {
            let store = Store::open(&database).await.unwrap();
            store.migrate().await.unwrap();
            store
        });
        let prefix = format!("{}-", uuid::Uuid::new_v4().simple());
        System { bus, database, prefix, folder, runtime, store }
    }

    pub fn names(&self) -> Names {
        Names::new(&self.prefix)
    }

    pub fn pictures(&self) -> PathBuf {
        self.folder.path().join("pictures")
    }

    /// Makes `count` small tasks, a few at a time, without long pauses.
    pub fn producer(&self, count: usize) -> Daemon {
        self.producer_with(count, &[])
    }

    pub fn producer_with(&self, count: usize, more: &[&str]) -> Daemon {
        let small = ["width", "height"].map(|side| [format!("--min-{side}=30"), format!("--max-{side}=120")]);
        let mut command = self.daemon("oat-producer", "producer");
        command.args(["--database-url", &self.database, "--min-pause=0.01", "--max-pause=0.1"]);
        command.args(small.as_flattened()).arg(format!("--count={count}")).args(IMPATIENT).args(more);
        Daemon::start(command)
    }

    pub fn worker(&self, name: &str) -> Daemon {
        let mut command = self.daemon("oat-worker", name);
        command.args(["--name", name, "--target"]).arg(self.pictures());
        Daemon::start(command)
    }

    pub fn tracker(&self) -> Daemon {
        let mut command = self.daemon("oat-tracker", "tracker");
        command.args(["--database-url", &self.database]);
        command.arg("--sweep-every=0.5").args(IMPATIENT);
        Daemon::start(command)
    }

    fn daemon(&self, program: &str, log: &str) -> Command {
        let folder = Path::new(env!("CARGO_BIN_EXE_oat")).parent().unwrap();
        let mut command = Command::new(folder.join(program));
        command.args(["--amqp-url", &self.bus, "--queue-prefix", &self.prefix, "--log-file"]);
        command.arg(self.folder.path().join(format!("{log}.log")));
        command
    }

    /// What a daemon has logged so far.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    /// A task that keeps a worker busy for a second or two: the rim of a Siegel disk, where no shortcut helps.
    pub fn send_heavy_task(&self) -> Task {
        let scene = catalogue::place("siegel-disk").unwrap().scene(750, 750, Samples::FOUR).unwrap();
        let task = Task { uuid: uuid::Uuid::new_v4(), name: None, scene };
        let message = Message::new(JSON, task.encode(Encoding::Json));
        self.block_on(async {
            self.publisher().await.publish(&self.names().tasks, &self.names().tasks, message).await.unwrap();
        });
        task
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A connection of the test's own to the bus.
    pub async fn connect(&self) -> Connection {
        let options = bus::Options { name: "the test".into(), ..bus::Options::default() };
        Connection::open(&self.bus, self.names().topology(), options).await.unwrap()
    }

    pub async fn publisher(&self) -> Publisher {
        self.connect().await.publisher()
    }

    pub fn records(&self) -> Vec<Record> {
        let all = Filter { limit: u32::MAX, ..Filter::default() };
        self.block_on(self.store.list(&all)).unwrap()
    }

    pub fn stored(&self) -> usize {
        let counts = self.block_on(self.store.counts()).unwrap();
        (counts.new + counts.queued + counts.done + counts.failed) as usize
    }

    pub fn done(&self) -> usize {
        self.block_on(self.store.counts()).unwrap().done as usize
    }

    pub fn wait_until_done(&self, number: usize) {
        support::wait_until(&format!("{number} records are done"), || self.done() >= number);
    }

    /// Every one of `number` tasks is recorded once, as done, with the checksum of its file; there is no other file,
    /// and nothing is left on the bus.
    pub fn assert_everything_is_whole(&self, number: usize) {
        let records = self.records();
        assert_eq!(records.len(), number);
        for record in &records {
            assert_eq!(record.state, State::Done, "{record:?}");
            let file = std::fs::read(self.pictures().join(format!("{}.png", record.task.uuid))).unwrap();
            let drawn = record.drawn.as_ref().unwrap();
            assert_eq!(hex::encode(Sha256::digest(&file)), drawn.checksum, "{record:?}");
            assert_eq!(drawn.size, Some(file.len() as u64));
        }
        let expected: BTreeSet<_> = records.iter().map(|record| format!("{}.png", record.task.uuid)).collect();
        let files = std::fs::read_dir(self.pictures()).unwrap();
        let found: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(found, expected);
        self.assert_the_bus_is_empty();
    }

    /// Files that are no pictures.
    pub fn unfinished(&self) -> usize {
        let files = std::fs::read_dir(self.pictures()).unwrap();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_none_or(|end| end != "png")).count()
    }

    /// Results that came twice may still be on their way when the last record is done.
    pub fn assert_the_bus_is_empty(&self) {
        let (names, connection) = (self.names(), self.block_on(self.connect()));
        let ready = |queue: &str| self.block_on(connection.depth(queue)).unwrap().ready;
        support::wait_until("the queues of tasks and results are empty", || {
            ready(&names.tasks) == 0 && ready(&names.results) == 0
        });
        assert_eq!(ready(&names.dead), 0, "nothing died");
        self.block_on(connection.close());
    }
}

impl Drop for System {
    /// A test that failed shows what its daemons had to say.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for file in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "log") {
                let log = std::fs::read_to_string(file.path()).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = &lines[lines.len().saturating_sub(40)..];
                eprintln!("--- {}\n{}", file.path().display(), tail.join("\n"));
            }
        }
    }
}

/// A daemon. Dropping it kills it.
pub struct Daemon(Child);

impl Daemon {
    fn start(mut command: Command) -> Daemon {
        Daemon(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// SIGKILL, as a power cut would.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM; its exit status.
    pub fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code()
    }

    /// Waits for it to end by itself; its exit status.
    pub fn wait(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }

    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
