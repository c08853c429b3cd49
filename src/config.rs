//! Settings as plain values, and the only place that reads the environment.
//!
//! A flag wins over the environment, the environment over what is built in. Services never look here: they are
//! given what they need.

use anyhow::Context;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The variables of the process, taken once.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// Read once, by file: a pipe gives what it has only once.
    passwords: Arc<Mutex<HashMap<PathBuf, String>>>,
}

impl Environment {
    /// The environment of this process; variables that are not Unicode are as good as missing.
    pub fn of_process() -> Environment {
        let unicode = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Environment { variables: std::env::vars_os().filter_map(unicode).collect(), ..Environment::default() }
    }

    /// Variables given by a test.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Environment {
        let variables = variables.map(|(name, value)| (name.into(), value.into())).into();
        Environment { variables, ..Environment::default() }
    }

    /// A variable that is there and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where oat keeps things when nobody says otherwise: `$XDG_DATA_HOME/oat`, usually `~/.local/share/oat`.
    pub fn data_folder(&self) -> PathBuf {
        match (self.get("XDG_DATA_HOME"), self.get("HOME")) {
            (Some(data), _) => Path::new(data).join("oat"),
            (None, Some(home)) => Path::new(home).join(".local/share/oat"),
            (None, None) => PathBuf::from("/var/lib/oat"),
        }
    }

    /// `OAT_AMQP_URL`, then `AMQP_URL`, then the embedded bus in the data folder.
    pub fn bus_url(&self, flag: Option<&str>, password_file: Option<&Path>) -> anyhow::Result<String> {
        let url = flag.or(self.get("OAT_AMQP_URL")).or(self.get("AMQP_URL"));
        self.url(url, self.bus_password_file(password_file))
    }

    /// The file that holds the password of the bus, if there is one: `OAT_AMQP_PASSWORD_FILE`.
    pub fn bus_password_file<'a>(&'a self, flag: Option<&'a Path>) -> Option<&'a Path> {
        flag.or(self.get("OAT_AMQP_PASSWORD_FILE").map(Path::new))
    }

    /// `OAT_DATABASE_URL`, then `DATABASE_URL`, then the same file that holds the embedded bus.
    pub fn database_url(&self, flag: Option<&str>, password_file: Option<&Path>) -> anyhow::Result<String> {
        let url = flag.or(self.get("OAT_DATABASE_URL")).or(self.get("DATABASE_URL"));
        self.url(url, self.database_password_file(password_file))
    }

    /// The file that holds the password of the database, if there is one: `OAT_DATABASE_PASSWORD_FILE`.
    pub fn database_password_file<'a>(&'a self, flag: Option<&'a Path>) -> Option<&'a Path> {
        flag.or(self.get("OAT_DATABASE_PASSWORD_FILE").map(Path::new))
    }

    fn url(&self, url: Option<&str>, password_file: Option<&Path>) -> anyhow::Result<String> {
        match (url, password_file) {
            (None, _) => Ok(embedded(&self.data_folder())),
            (Some(url), Some(file)) if !url.starts_with("sqlite:") => with_password(url, &self.password(file)?),
            (Some(url), _) => Ok(url.to_owned()),
        }
    }

    fn password(&self, file: &Path) -> anyhow::Result<String> {
        let mut known = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(password) = known.get(file) {
            return Ok(password.clone());
        }
        let password = first_line(file).with_context(|| format!("read the password from {}", file.display()))?;
        Ok(known.entry(file.to_owned()).or_insert(password).clone())
    }

    /// `OAT_TARGET`, then `pictures` in the data folder.
    pub fn pictures(&self, flag: Option<&Path>) -> PathBuf {
        let folder = flag.map(Path::to_owned).or_else(|| self.get("OAT_TARGET").map(PathBuf::from));
        folder.unwrap_or_else(|| self.data_folder().join("pictures"))
    }

    /// Certificates to trust on `amqps://` instead of the system's: `OAT_AMQP_CA_FILE`.
    pub fn bus_ca_file(&self) -> Option<PathBuf> {
        self.get("OAT_AMQP_CA_FILE").map(PathBuf::from)
    }

    /// The kernel to draw with, instead of the fastest: `OAT_KERNEL`.
    pub fn kernel(&self) -> Option<&str> {
        self.get("OAT_KERNEL")
    }

    /// Whether colours are welcome (<https://no-color.org>).
    pub fn colour(&self) -> bool {
        self.get("NO_COLOR").is_none() && self.get("TERM") != Some("dumb")
    }
}

/// The URL of the one file in `folder` that holds bus and records.
pub fn embedded(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("oat.db").display())
}

/// The file behind a `sqlite:` URL that names one.
pub fn sqlite_path(url: &str) -> Option<&Path> {
    let rest = url.strip_prefix("sqlite:")?;
    Some(rest.strip_prefix("//").unwrap_or(rest)).filter(|path| !path.is_empty()).map(Path::new)
}

/// The first line of a file; `-` is standard input, unless whoever types could be watched.
fn first_line(file: &Path) -> io::Result<String> {
    let mut line = String::new();
    match (file == "-", io::stdin().is_terminal()) {
        (true, true) => return Err(io::Error::other("standard input is a terminal: add < FILE")),
        (true, false) => io::stdin().read_line(&mut line)?,
        (false, _) => BufReader::new(File::open(file)?).read_line(&mut line)?,
    };
    match line.trim_end_matches(['\r', '\n']) {
        // A login without a password would only be refused later, with words that lead nowhere.
        "" => Err(io::Error::other("its first line is empty")),
        password => Ok(password.to_owned()),
    }
}

/// The password for every URL that has none of its own: the brokers of a cluster are separated by semicolons.
fn with_password(urls: &str, password: &str) -> anyhow::Result<String> {
    let filled =
        urls.replace(";amqp", "\namqp").lines().map(|url| fill_in(url, password)).collect::<Result<Vec<_>, _>>();
    Ok(filled?.join(";"))
}

/// By the text: what PostgreSQL takes, several hosts or none, is no URL to stricter eyes. Without a user to put it beside,
/// PostgreSQL is given a parameter. Where an `@` comes late, there is a password that should have been percent-encoded.
fn fill_in(url: &str, password: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").context("the URL has no place for the password from a file")?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (password, postgres) = (encoded(password), matches!(scheme, "postgres" | "postgresql"));
    let parameter = postgres && ["?password=", "&password="].iter().any(|name| tail.contains(name));
    Ok(match authority.rsplit_once('@') {
        _ if parameter => url.into(),
        Some((login, _)) if login.contains(':') => url.into(),
        None if tail.contains('@') => url.into(),
        Some((user, host)) => format!("{scheme}://{user}:{password}@{host}{tail}"),
        None if postgres => format!("{url}{}password={password}", if tail.contains('?') { '&' } else { '?' }),
        None => format!("{scheme}://:{password}@{rest}"),
    })
}

/// Percent-encoded for any place in a URL.
fn encoded(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_what_is_built_in() {
        let nothing = Environment::of([("HOME", "/home/ada")]);
        assert_eq!(nothing.bus_url(None, None).unwrap(), "sqlite:/home/ada/.local/share/oat/oat.db");
        assert_eq!(nothing.database_url(None, None).unwrap(), nothing.bus_url(None, None).unwrap());
        let set = Environment::of([("OAT_AMQP_URL", "amqp://a"), ("AMQP_URL", "amqp://b"), ("OAT_TARGET", "")]);
        assert_eq!(set.bus_url(None, None).unwrap(), "amqp://a");
        assert_eq!(set.bus_url(Some("amqp://c"), None).unwrap(), "amqp://c");
        assert_eq!(set.pictures(Some(Path::new("/p"))), Path::new("/p"));
    }

    #[test]
    fn a_password_may_come_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "p@ss/word\n").unwrap();
        let url = Environment::default().bus_url(Some("amqp://ada@host/%2f"), Some(file.path())).unwrap();
        assert_eq!(url, "amqp://ada:p%40ss%2Fword@host/%2f");
    }

    #[test]
    fn an_empty_line_is_no_password() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for empty in ["", "\n", "\r\nsecond line"] {
            std::fs::write(file.path(), empty).unwrap();
            let refused = Environment::default().bus_url(Some("amqp://ada@host/%2f"), Some(file.path())).unwrap_err();
            let told = format!("{refused:#}");
            assert!(told.contains(&*file.path().to_string_lossy()) && told.contains("empty"), "{told}");
        }
    }

    #[test]
    fn a_password_is_read_once_because_a_pipe_gives_it_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "p@ss").unwrap();
        let environment = Environment::default();
        let url = || environment.bus_url(Some("amqp://ada@host/%2f"), Some(file.path())).unwrap();
        let first = url();
        std::fs::write(file.path(), "").unwrap();
        assert_eq!(url(), first);
    }

    #[test]
    fn a_password_from_a_file_is_for_every_broker_that_has_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "p@ss").unwrap();
        let urls = "amqp://ada@one/%2f;amqps://bob:a;b@two:5671/oat;amqp://ada@three/%2f";
        let filled = "amqp://ada:p%40ss@one/%2f;amqps://bob:a;b@two:5671/oat;amqp://ada:p%40ss@three/%2f";
        assert_eq!(Environment::default().bus_url(Some(urls), Some(file.path())).unwrap(), filled);
        let database = Environment::default().database_url(Some("mysql://eve:own@host/oat"), Some(file.path()));
        assert_eq!(database.unwrap(), "mysql://eve:own@host/oat");
    }

    #[test]
    fn a_password_finds_its_place_in_every_url() {
        for (url, expected) in [
            ("postgres://oat@h1:1,h2:2/oat", "postgres://oat:a%25b%20%26c@h1:1,h2:2/oat"),
            ("postgresql:///oat?host=/run&user=oat", "postgresql:///oat?host=/run&user=oat&password=a%25b%20%26c"),
            ("postgres://h1/oat", "postgres://h1/oat?password=a%25b%20%26c"),
            ("postgres://oat@h1/oat?password=own@1", "postgres://oat@h1/oat?password=own@1"),
            ("postgres://oat:own@h1,h2/oat", "postgres://oat:own@h1,h2/oat"),
            ("mysql://oat@db/oat?require_ssl=true", "mysql://oat:a%25b%20%26c@db/oat?require_ssl=true"),
            ("amqp://host", "amqp://:a%25b%20%26c@host"),
            ("amqp://ada:o/wn@host", "amqp://ada:o/wn@host"),
        ] {
            assert_eq!(fill_in(url, "a%b &c").unwrap(), expected);
        }
        assert!(fill_in("amqp:nowhere", "p").is_err());
    }
}
