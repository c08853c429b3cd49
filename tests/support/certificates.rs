//! A certificate authority and a server's certificate for `localhost`, made new for each server by the `openssl` program.

use std::path::Path;
use std::process::Command;

use super::output;

/// OpenSSL's own configuration would make every self-made certificate an authority, which rustls refuses in a server.
const CONFIGURATION: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = oat tests
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
";

/// Writes `ca.pem`, `cert.pem` and `key.pem` into `folder`, where `scripts/servers` looks for them.
pub fn make(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder for the certificates can be made");
    std::fs::write(folder.join("openssl.cnf"), CONFIGURATION).expect("the configuration can be written");
    certificate(folder, &["-extensions", "authority", "-keyout", "ca-key.pem", "-out", "ca.pem"]);
    let signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem"];
    certificate(folder, &[&["-extensions", "server", "-keyout", "key.pem", "-out", "cert.pem"], &signed[..]].concat());
}

fn certificate(folder: &Path, arguments: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-config", "openssl.cnf", "-days", "30", "-nodes"]);
    openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    output(openssl.args(arguments).current_dir(folder));
}
