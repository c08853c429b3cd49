//! What every integration test leans on: servers of its own or shared ones, an empty database, and waiting for an event.
//!
//! The servers themselves are the business of `scripts/servers`; here they only get an owner. `scripts/test` starts the
//! shared ones once for the whole run and names them in the environment; a test program that is run without it starts
//! those it asks for. A server that is not installed is a failure which says how to get it, never a skipped test.
#![allow(dead_code, unused_imports)] // Each test program compiles its own copy and uses its own part of it.

mod certificates;
mod server;
mod wait;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub use server::Server;
pub use wait::{wait_until, wait_until_async, wait_until_equal};

/// What takes nothing, as a disk that is full.
pub fn full_disk() -> std::fs::File {
    std::fs::File::options().write(true).open("/dev/full").expect("Linux has it")
}

/// The URL of the broker that all tests share: declare names of your own on it, and never stop it.
pub fn rabbitmq_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| shared_url("OAT_TEST_AMQP_URL", rabbitmq()))
}

/// The URL of the MariaDB that all tests share; [`database`] makes a fresh database on it.
pub fn mariadb_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| shared_url("OAT_TEST_MYSQL_URL", mariadb()))
}

/// The URL of the PostgreSQL that all tests share; [`database`] makes a fresh database on it.
pub fn postgres_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| shared_url("OAT_TEST_POSTGRES_URL", postgres()))
}

/// The URL of a new, empty database on the shared server of `kind` ("mariadb" or "postgres"), owned by the caller alone.
pub fn database(kind: &str) -> String {
    let server = match kind {
        "mariadb" => mariadb(),
        "postgres" => postgres(),
        other => panic!("there are databases of mariadb and of postgres, not of {other}"),
    };
    let name = format!("oat_{}", uuid::Uuid::new_v4().simple());
    sql(server, &format!("CREATE DATABASE {name}"));
    let mut url = url::Url::parse(&url_in(server)).expect("scripts/servers prints a URL");
    url.set_path(&name);
    url.into()
}

/// `rabbitmqctl` against the shared broker, and what it prints.
pub fn rabbitmqctl(arguments: &[&str]) -> String {
    let mut command = servers();
    command.arg("ctl").arg(rabbitmq()).args(arguments);
    output(&mut command)
}

/// Runs SQL on the server in `folder` as the user oat, who may do everything there; the rows come back bare.
fn sql(folder: &Path, statement: &str) -> String {
    output(servers().arg("sql").arg(folder).arg(statement))
}

fn rabbitmq() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| shared("rabbitmq"))
}

fn mariadb() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| shared("mariadb"))
}

fn postgres() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| shared("postgres"))
}

/// The folder of the shared server of `kind`: the one that `scripts/test` started, or one for this process alone, which
/// ends with it. Nothing drops a static, so it is `scripts/servers` that watches for the end of the process.
fn shared(kind: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("OAT_TEST_SERVERS") {
        return Path::new(&folder).join(kind);
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made").keep();
    server::start(kind, &folder);
    folder
}

/// A URL set by hand wins: the suite can be pointed at a server elsewhere.
fn shared_url(variable: &str, folder: &Path) -> String {
    std::env::var(variable).unwrap_or_else(|_| url_in(folder))
}

fn url_in(folder: &Path) -> String {
    read(&folder.join("url"))
}

fn read(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.trim_end().to_owned()
}

fn servers() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/servers"))
}

/// What the command prints. If it fails, so does the test, in the command's own words.
fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?} failed ({}):\n{errors}", done.status);
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}
