//! The Vagrantfile is one that Vagrant accepts, and its provisioning script does on a bare Debian what README.rst says.
//!
//! No virtual machine is started: the script runs in a folder with a fresh Debian, on a network of its own.

use std::path::Path;
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn vagrant_accepts_the_vagrantfile() {
    let home = tempfile::tempdir().unwrap();
    let mut vagrant = Command::new("vagrant");
    vagrant.args(["validate", "--ignore-provider"]).current_dir(ROOT);
    vagrant.env("HOME", home.path()).env("VAGRANT_HOME", home.path()).env("VAGRANT_CHECKPOINT_DISABLE", "1");
    // Vagrant keeps its notes beside the Vagrantfile unless told otherwise.
    succeed(vagrant.env("VAGRANT_DOTFILE_PATH", home.path().join("state")));
}

#[test]
fn a_provisioned_machine_keeps_what_the_readme_promises() {
    let temporary = tempfile::tempdir().unwrap();
    let (base, machine) = (format!("{ROOT}/target/vagrant-base"), temporary.path().join("root"));
    succeed(as_root("tests/vagrant/machine").args(["base", &base]));
    succeed(as_root("cp").arg("-a").arg(&base).arg(&machine));
    let mut run = as_root("tests/vagrant/machine");
    run.arg("run").arg(&machine).args(["target/venv/bin/python", "tests/vagrant/logins.py"]);
    let done = run.output();
    succeed(as_root("rm").args(["-rf", "--one-file-system"]).arg(&machine));
    check(&run, done);
}

/// A command that may make a root folder and a network; whoever is not root needs sudo for it.
fn as_root(program: &str) -> Command {
    assert!(
        Path::new(ROOT).join("target/venv/bin/python").exists(),
        "kombu is missing: run scripts/test, which gets it"
    );
    let mut command = if rustix::process::geteuid().is_root() { Command::new("env") } else { Command::new("sudo") };
    command.current_dir(ROOT).stdin(std::process::Stdio::null());
    if !rustix::process::geteuid().is_root() {
        command.arg("-n");
    }
    command.arg(program);
    command
}

fn succeed(command: &mut Command) {
    let done = command.output();
    check(command, done);
}

fn check(command: &Command, done: std::io::Result<Output>) {
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error} (scripts/test installs what is missing)"));
    let (printed, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?} failed ({})\n{printed}\n{errors}", done.status);
}
