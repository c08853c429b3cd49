//! Errors as people meet them: what, why, and what to type next; and the status that scripts meet.

use super::output::say;
use crate::{bus, fractal, store};
use std::io::ErrorKind;
use std::process::ExitCode;

/// Wrong usage or settings: trying again will never help.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Usage {
    what: String,
    fix: Option<String>,
    status: u8,
}

impl Usage {
    pub fn new(what: impl ToString) -> Usage {
        Usage { what: what.to_string(), fix: None, status: 2 }
    }

    /// What was asked for is not there.
    pub fn not_found(what: impl ToString) -> Usage {
        Usage { status: NOT_FOUND, ..Usage::new(what) }
    }

    /// Nobody answered in time, or nobody is there yet; trying again may help.
    pub fn late(what: impl ToString) -> Usage {
        Usage { status: UNREACHABLE, ..Usage::new(what) }
    }

    /// The same with a line that says what to type.
    pub fn fix(mut self, fix: impl Into<String>) -> Usage {
        self.fix = Some(fix.into());
        self
    }
}

const UNREACHABLE: u8 = 4;
const NOT_FOUND: u8 = 5;

/// Prints an error and says with which status to leave.
pub fn report(error: &anyhow::Error) -> ExitCode {
    say!("error: {error}");
    let mut told = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Many libraries repeat their cause in their own message.
        if !told.contains(&cause) {
            say!("  why: {cause}");
            told = cause;
        }
    }
    let (status, fixes) = advice(error);
    for (number, fix) in fixes.iter().enumerate() {
        say!("  {} {fix}", if number == 0 { "fix:" } else { "    " });
    }
    ExitCode::from(status)
}

fn advice(error: &anyhow::Error) -> (u8, Vec<String>) {
    for cause in error.chain() {
        if let Some(usage) = cause.downcast_ref::<Usage>() {
            return (usage.status, usage.fix.iter().cloned().collect());
        }
        if cause.is::<fractal::Invalid>() {
            return (2, Vec::new());
        }
        if let Some(error) = cause.downcast_ref::<bus::Error>() {
            return bus_advice(error);
        }
        if let Some(error) = cause.downcast_ref::<bus::rpc::Error>() {
            return rpc_advice(error);
        }
        if let Some(error) = cause.downcast_ref::<store::Error>() {
            return store_advice(error);
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return io_advice(error);
        }
    }
    (1, Vec::new())
}

fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.map(str::to_owned).to_vec()
}

fn bus_advice(error: &bus::Error) -> (u8, Vec<String>) {
    use bus::Error;
    match error {
        Error::Unreachable { .. } => (
            UNREACHABLE,
            lines([
                "need no broker:  oat up",
                "start one:       sudo systemctl start rabbitmq-server",
                "elsewhere:       export OAT_AMQP_URL=amqp://user@host:5672/%2f",
            ]),
        ),
        Error::TimedOut { .. } | Error::Lost { .. } | Error::Nacked { .. } => (UNREACHABLE, Vec::new()),
        Error::Url { .. } => (
            2,
            lines([
                "a broker:        --amqp-url amqp://user@host:5672/%2f",
                "one machine:     --amqp-url sqlite:/path/to/oat.db",
            ]),
        ),
        Error::Refused { why, .. } if why.contains("vhost") => (
            2,
            lines([
                "sudo rabbitmqctl add_vhost NAME",
                "sudo rabbitmqctl set_permissions -p NAME USER '.*' '.*' '.*'",
                "or the usual one, which is called / and written so:  amqp://user@host:5672/%2f",
            ]),
        ),
        Error::Refused { url, .. } => (2, login_advice(url)),
        Error::Conflict { .. } => (
            2,
            lines([
                "live beside it:  --queue-prefix other-",
                "or, once it is empty, delete it (sudo rabbitmqctl delete_queue NAME) and run: oat setup",
            ]),
        ),
        Error::Missing { .. } | Error::Unroutable { .. } => (1, lines(["oat setup"])),
        Error::Reserved { .. } => (2, lines(["another name:    --queue-prefix oat-"])),
        Error::Unsupported { .. } => (2, Vec::new()),
        Error::NoDeadLetter { .. } | Error::Body { .. } | Error::File { .. } => (1, Vec::new()),
    }
}

/// A slip in what was typed is likelier than a user that is missing. `url` is masked.
fn login_advice(url: &str) -> Vec<String> {
    let login = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    let user = login.map_or("guest", |(login, _)| login.split(':').next().unwrap_or_default());
    vec![
        format!("check the user {user} and its password in --amqp-url (OAT_AMQP_URL), or --amqp-password-file"),
        "else, where the broker runs:".to_owned(),
        format!("sudo rabbitmqctl add_user {user}          (asks for a password; change_password if it is there)"),
        format!("sudo rabbitmqctl set_permissions {user} '.*' '.*' '.*'"),
    ]
}

fn rpc_advice(error: &bus::rpc::Error) -> (u8, Vec<String>) {
    use bus::rpc::Error;
    match error {
        Error::Unroutable { .. } => {
            (UNREACHABLE, lines(["serve it:        oat rpc serve      with the same --topic and --wire"]))
        }
        Error::Timeout { .. } => (UNREACHABLE, lines(["wait longer:     --timeout 5m"])),
        Error::Remote { .. } | Error::Answer { .. } => (1, Vec::new()),
        Error::Bus(error) => bus_advice(error),
    }
}

fn store_advice(error: &store::Error) -> (u8, Vec<String>) {
    use store::Error;
    match error {
        Error::NotFound { .. } | Error::Ambiguous { .. } => (NOT_FOUND, lines(["oat list"])),
        Error::Url { .. } => (
            2,
            lines([
                "a server:        --database-url mysql://user@host/name      or  postgres://user@host/name",
                "one machine:     --database-url sqlite:/path/to/oat.db",
            ]),
        ),
        Error::Refused { .. } => (
            2,
            lines([
                "as an administrator of the server:",
                "MariaDB, MySQL:  CREATE DATABASE oat; GRANT ALL ON oat.* TO user@'%' IDENTIFIED BY '...';",
                "PostgreSQL:      CREATE ROLE user LOGIN PASSWORD '...'; CREATE DATABASE oat OWNER user;",
                "then             export OAT_DATABASE_URL=postgres://user:password@host/oat",
            ]),
        ),
        Error::SchemaMissing => (2, lines(["begin here:      oat up", "on servers:      oat setup"])),
        Error::Newer { .. } => (2, lines(["use the oat that wrote it, or a newer one"])),
        // No server will help a file, nor will waiting, unless somebody only keeps it locked.
        Error::Unreachable { url, why } if url.starts_with("sqlite:") => (
            if why.contains("is locked") { UNREACHABLE } else { 2 },
            lines(["another file:    --database-url sqlite:/path/to/oat.db"]),
        ),
        Error::Unreachable { .. } => (
            UNREACHABLE,
            lines([
                "need no server:  --database-url sqlite:/path/to/oat.db",
                "start one:       sudo systemctl start mariadb      or  postgresql",
            ]),
        ),
        error if error.is_environment() => (UNREACHABLE, Vec::new()),
        _ => (1, Vec::new()),
    }
}

fn io_advice(error: &std::io::Error) -> (u8, Vec<String>) {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            (2, lines(["a folder of your own:  --target DIR, --dir DIR, --log-file FILE or -o FILE"]))
        }
        // What somebody asked for by name and is not there is told where it is read; this is where to write.
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ReadOnlyFilesystem => (2, Vec::new()),
        _ => (1, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::file::unread;
    use std::path::Path;

    /// Whoever may not read a file is not helped by another folder to write to.
    #[test]
    fn another_place_is_named_to_whoever_may_not_write() {
        let denied = || std::io::Error::from(ErrorKind::PermissionDenied);
        let reading = unread(Path::new("secret.png"), denied());
        assert!(reading.to_string().contains("read secret.png: permission denied"), "{reading}");
        assert_eq!(advice(&reading), (2, Vec::new()));
        let (status, fixes) = advice(&anyhow::Error::new(denied()).context("write a.png"));
        assert!(status == 2 && fixes[0].contains("-o FILE"), "{fixes:?}");
    }
}
