//! A server of one test's own, which it may stop, kill and start again without anybody else noticing.

use std::path::Path;

use tempfile::TempDir;

use super::{certificates, output, read, servers};

/// A private server under a temporary folder. Dropping it ends the server and removes the folder; should the test process
/// be killed before that, `scripts/servers` does the same within a second.
pub struct Server {
    folder: TempDir,
}

impl Server {
    /// Starts a fresh server of `kind` ("rabbitmq", "mariadb" or "postgres") and waits until it answers.
    pub fn start(kind: &str) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        start(kind, folder.path());
        Server { folder }
    }

    /// A fresh RabbitMQ that also serves TLS, see [`Server::tls_url`], with a certificate for `localhost`.
    pub fn start_with_tls() -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        certificates::make(&folder.path().join("tls"));
        start("rabbitmq", folder.path());
        Server { folder }
    }

    /// Where it listens, with user and password. It stays the same over [`Server::restart`].
    pub fn url(&self) -> String {
        read(&self.folder.path().join("url"))
    }

    /// Where it listens for TLS. The certificate authority to trust is [`Server::authority`].
    pub fn tls_url(&self) -> String {
        read(&self.folder.path().join("tls-url"))
    }

    /// The PEM file of the certificate authority that signed the server's certificate.
    pub fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join("tls/ca.pem")
    }

    /// The process that is the server (RabbitMQ's is beam itself): signals for it go here.
    pub fn pid(&self) -> u32 {
        read(&self.folder.path().join("pid")).parse().expect("the pid file holds a number")
    }

    /// Ends it as a power cut would, and returns when it is gone. [`Server::restart`] brings it back.
    pub fn kill(&self) {
        output(servers().arg("kill").arg(self.folder.path()));
    }

    /// Asks it to end, and returns when it has. [`Server::restart`] brings it back.
    pub fn stop(&self) {
        output(servers().arg("stop").arg(self.folder.path()));
    }

    /// Ends it in good order if it still runs and starts it again: same port, same data.
    pub fn restart(&self) {
        self.stop();
        let kind = read(&self.folder.path().join("kind"));
        output(servers().arg("start").arg(kind).arg(self.folder.path()));
    }

    /// `rabbitmqctl` against this broker, and what it prints.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        output(servers().arg("ctl").arg(self.folder.path()).args(arguments))
    }

    /// Runs SQL as the user oat, who may do everything; the rows come back bare.
    pub fn sql(&self, statement: &str) -> String {
        super::sql(self.folder.path(), statement)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data is about to go, so there is nothing to end in good order. A failure here would hide the test's own.
        let _ = servers().arg("kill").arg(self.folder.path()).status();
    }
}

/// Starts a server of `kind` in `folder` that ends, at the latest, with this process.
pub fn start(kind: &str, folder: &Path) {
    let us = std::process::id().to_string();
    output(servers().args(["start", "--until", &us, kind]).arg(folder));
}
