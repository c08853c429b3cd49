//! The front door: `oat bus …` as a process, once it has ended or while it listens.

use crate::fixture::Bus;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// `oat bus` with the settings of this bus and of nobody else.
pub fn command(bus: &Bus, arguments: &[&str]) -> Command {
    program(bus, &[&["bus"], arguments].concat())
}

/// The same of any other command.
pub fn program(bus: &Bus, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oat"));
    command.env_clear().env("OAT_AMQP_URL", &bus.url).env("HOME", "/nonexistent").stdin(Stdio::null());
    command.args(arguments);
    command
}

/// What it printed when it had ended.
pub fn oat(bus: &Bus, arguments: &[&str]) -> Output {
    command(bus, arguments).output().unwrap()
}

/// The same, with the status that it must have.
#[track_caller]
pub fn ends_with(status: i32, bus: &Bus, arguments: &[&str]) -> (String, String) {
    with_status(status, arguments, &oat(bus, arguments))
}

/// The same with something to read on its standard input, which is a pipe.
#[track_caller]
pub fn fed(status: i32, bus: &Bus, arguments: &[&str], input: &str) -> (String, String) {
    let mut fed = command(bus, arguments);
    let fed = fed.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut fed = fed.spawn().unwrap();
    fed.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    with_status(status, arguments, &fed.wait_with_output().unwrap())
}

#[track_caller]
fn with_status(status: i32, arguments: &[&str], output: &Output) -> (String, String) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "oat bus {arguments:?}\n{out}\n{err}");
    (out, err)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A tool that listens until it has heard enough. Dropped, it is killed.
pub struct Listener {
    child: Child,
    _stderr: BufReader<ChildStderr>,
}

impl Listener {
    /// Returns when it listens: what is published from now on, it hears.
    pub fn start(bus: &Bus, arguments: &[&str]) -> Listener {
        let mut child =
            command(bus, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("oat starts");
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.starts_with("listening to "), "oat bus {arguments:?}: {line}");
        Listener { child, _stderr: stderr }
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// All that it printed and its status, when it has ended.
    pub fn end(mut self) -> (String, i32) {
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (printed, self.child.wait().unwrap().code().unwrap())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
