//! A vhost of one test's own, since eventail's names are fixed, and Python programs that run against it.

use crate::support::{rabbitmq_url, rabbitmqctl, wait_until};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// `scripts/test` makes it.
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin");

/// A vhost, gone with this value.
pub struct World {
    /// How to get there.
    pub url: String,
    name: String,
    folder: TempDir,
}

impl World {
    pub fn new() -> World {
        let name = format!("eventail-{}", uuid::Uuid::new_v4().simple());
        rabbitmqctl(&["add_vhost", &name]);
        let mut url = url::Url::parse(rabbitmq_url()).unwrap();
        rabbitmqctl(&["set_permissions", "-p", &name, url.username(), ".*", ".*", ".*"]);
        url.set_path(&name);
        World { url: url.into(), name, folder: tempfile::tempdir().unwrap() }
    }

    /// Starts one of eventail's scripts: its URL comes first.
    pub fn script(&self, name: &str, arguments: &[&str]) -> Script {
        let script = Path::new(VENV).join(name);
        assert!(script.exists(), "{} is missing; scripts/test makes it, with eventail in it", script.display());
        Script::start(&script, &[&[self.url.as_str()], arguments].concat())
    }

    /// Starts `tests/tools/service.py` under this name. It keeps what it handles in the folder [`Self::kept`] reads.
    pub fn service(&self, name: &str) -> Script {
        let service = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/service.py");
        let folder = self.folder.path().to_str().unwrap();
        let service = Script::start(Path::new(service), &[&self.url, name, folder]);
        service.says("ready");
        service
    }

    /// What the service has handled, a line each.
    pub fn kept(&self) -> Vec<String> {
        let kept = std::fs::read_to_string(self.folder.path().join("kept")).unwrap_or_default();
        kept.lines().map(str::to_owned).collect()
    }

    /// A payload in a file, as the scripts want it. They read JSON from `.json`, and send CBOR whatever they read.
    pub fn payload(&self, json: &str) -> String {
        let path: PathBuf = self.folder.path().join("payload.json");
        std::fs::write(&path, json).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        rabbitmqctl(&["delete_vhost", &self.name]);
    }
}

/// A Python program and what it has printed so far. Dropped, it is killed.
pub struct Script {
    child: Child,
    name: String,
    printed: Arc<Mutex<String>>,
}

impl Script {
    fn start(path: &Path, arguments: &[&str]) -> Script {
        let mut python = Command::new(Path::new(VENV).join("python"));
        python.arg("-u").arg(path).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = python.spawn().expect("scripts/test makes the Python");
        let (printed, mut lines) = (Arc::<Mutex<String>>::default(), BufReader::new(child.stdout.take().unwrap()));
        let printing = printed.clone();
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                printing.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
            let _ = lines.read_to_string(&mut line);
        });
        Script { child, name: path.display().to_string(), printed }
    }

    /// All that it has printed.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Waits until it has printed this.
    #[track_caller]
    pub fn says(&self, what: &str) {
        wait_until(&format!("{} says {what:?}", self.name), || self.printed().contains(what));
    }

    /// Waits until it ends by itself, and returns all that it printed.
    pub fn ends(mut self) -> String {
        wait_until(&format!("{} ends", self.name), || self.child.try_wait().unwrap().is_some());
        let printed = self.printed();
        assert!(self.child.wait().unwrap().success(), "{}: {printed}", self.name);
        printed
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
