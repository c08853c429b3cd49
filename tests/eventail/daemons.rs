//! What the daemons tell, as eventail's scripts show it: the events of tasks, and the log.

use crate::scripts::World;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// One of our programs. Dropped, it is killed.
struct Daemon(Child);

impl Daemon {
    fn start(world: &World, home: &Path, name: &str, arguments: &[&str]) -> Daemon {
        let program = Path::new(env!("CARGO_BIN_EXE_oat")).with_file_name(name);
        let mut command = Command::new(program);
        command.env_clear().env("OAT_AMQP_URL", &world.url).env("HOME", home);
        Daemon(command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn ends(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }

    fn interrupt(self) -> Option<i32> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::INT).unwrap();
        self.ends()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn its_monitor_and_logger_show_what_our_daemons_tell() {
    let (world, home) = (World::new(), tempfile::tempdir().unwrap());
    let monitor = world.script("monitor.py", &["--events", "TaskCreated", "TaskDrawn", "TaskFailed"]);
    let logger = world.script("logger.py", &[]);
    monitor.says("Started");
    logger.says("connected!");
    let start = |name, arguments: &[&str]| Daemon::start(&world, home.path(), name, arguments);
    let worker = start("oat-worker", &["--log-bus", "--max-pixels=5000", "--name=first"]);
    let tracker = start("oat-tracker", &["--log-bus"]);
    let sized = |size: &str| {
        let sides = ["min-width", "max-width", "min-height", "max-height"].map(|side| format!("--{side}={size}"));
        let sides = sides.each_ref().map(String::as_str);
        start("oat-producer", &[&["--one-shot", "--max-tasks=1", "--log-bus"], &sides[..]].concat())
    };
    assert_eq!(sized("50").ends(), Some(0));
    monitor.says("Got an Event TaskDrawn");
    assert_eq!(sized("100").ends(), Some(0));
    monitor.says("Got an Event TaskFailed");
    monitor.says("pixels");
    let shown = monitor.printed();
    assert_eq!(shown.matches("Got an Event TaskCreated").count(), 2, "{shown}");
    let conversations: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("Conversation ID: ")).collect();
    assert_eq!(conversations.len(), 4);
    let is_uuid = |id: &&str| uuid::Uuid::parse_str(id).is_ok() && shown.contains(&format!("'uuid': '{id}'"));
    assert!(conversations.iter().all(is_uuid), "{shown}");
    assert_eq!((worker.interrupt(), tracker.interrupt()), (Some(0), Some(0)));

    for service in ["oat-producer.INFO", "oat-worker.INFO", "oat-worker.WARNING", "oat-tracker.INFO"] {
        logger.says(&format!("[{service}] "));
    }
    let logged = logger.printed();
    let line = logged.lines().find(|line| line.contains("processing task")).unwrap();
    let gelf: Value = serde_json::from_str(line.split_once("] ").unwrap().1).unwrap();
    assert_eq!((&gelf["_levelname"], &gelf["_target"]), (&"INFO".into(), &"oat::services::worker".into()));
}
