//! The store's URL: which database, and how it may be shown. A password is never shown.

use super::Error;
use std::path::PathBuf;

/// Where the records are.
pub(super) enum Address {
    Sqlite(PathBuf),
    /// `mysql://…`, as the driver wants it.
    Mysql(String),
    /// `postgres://…`, as the driver wants it, and still with the parameters that the driver does not know.
    Postgres(String),
}

impl Address {
    /// Understands `sqlite:PATH`, `mysql://`, `mariadb://`, `postgres://` and `postgresql://`.
    pub fn parse(url: &str) -> Result<Address, Error> {
        let refuse = |why: &str| Error::Url { url: shown(url), why: why.into() };
        match url.split_once(':').ok_or_else(|| refuse(KNOWN))? {
            ("sqlite", path) => match path.strip_prefix("//").unwrap_or(path) {
                "" | ":memory:" => Err(refuse("the path of a file is missing, as in sqlite:oat.db")),
                path => Ok(Address::Sqlite(path.into())),
            },
            ("mysql" | "mariadb", rest) => Ok(Address::Mysql(format!("mysql:{rest}"))),
            ("postgres" | "postgresql", rest) => Ok(Address::Postgres(format!("postgres:{rest}"))),
            _ => Err(refuse(KNOWN)),
        }
    }
}

const KNOWN: &str = "the store is one of sqlite:PATH, mysql://… and postgres://…";

/// Instead of a driver's words that quote a part of the URL: what looks like a parameter may be the end of a password.
pub(super) const PARAMETERS: &str = "a parameter of it is not known or has a wrong value; in a password write %2F for /, \
    %3F for ?, %23 for # and %40 for @";

/// The URL without user, password and parameters. A text that begins like no URL of a store may be a password from its
/// first letter.
pub(crate) fn shown(url: &str) -> String {
    match url.split_once(':') {
        Some(("sqlite", _)) => url.into(),
        Some((scheme @ ("mysql" | "mariadb" | "postgres" | "postgresql"), rest)) => match rest.strip_prefix("//") {
            Some(rest) => format!("{scheme}://{}", place(rest)),
            None => format!("{scheme}:…"),
        },
        _ => "the URL of the store".into(),
    }
}

/// Hosts and database. The last `@` ends the password, even one that should have been percent-encoded and was not; where
/// one comes after a `/`, `?` or `#`, nobody can say what is the password. In `user:password` the host was forgotten.
fn place(rest: &str) -> &str {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (start, hosts) = authority.rsplit_once('@').map_or((0, authority), |(login, hosts)| (login.len() + 1, hosts));
    let path = tail.find(['?', '#']).unwrap_or(tail.len());
    match (tail.contains('@'), hosts.split(',').all(is_host)) {
        (true, _) => "…",
        (false, true) => &rest[start..authority.len() + path],
        (false, false) => hosts.split(':').next().unwrap_or_default(),
    }
}

/// `host`, `host:port` or `[address]:port`.
fn is_host(text: &str) -> bool {
    let port = match text.starts_with('[') {
        true => text.rsplit(']').next().unwrap_or_default(),
        false => text.find(':').map_or("", |at| &text[at..]),
    };
    port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, expected) in [
            ("mysql://oat:hunter2@db.example:3306/oat?require_ssl=true", "mysql://db.example:3306/oat"),
            ("mysql://db:3306/oat", "mysql://db:3306/oat"),
            ("postgres://oat@h1:1,[::1]:2/oat", "postgres://h1:1,[::1]:2/oat"),
            ("postgres:///oat?host=/run&password=hunter2", "postgres:///oat"),
            ("postgres://oat:hun/ter?2@db/oat", "postgres://…"),
            ("postgres://oat@127.0.0.1:1/oat?password=hunt@er2", "postgres://…"),
            ("mysql://oat:hunt#er2@db/oat", "mysql://…"),
            ("mysql://oat:hunt@er2@db/oat", "mysql://db/oat"),
            ("mysql://oat:hunter2", "mysql://oat"),
            ("mysql://oat:hunt/er2", "mysql://oat"),
            ("mysql:oat:hunter2@db", "mysql:…"),
            ("redis://:hunter2@cache", "the URL of the store"),
            ("host=127.0.0.1 user=oat password=hun:ter2", "the URL of the store"),
            ("sqlite:/var/lib/oat/oat.db", "sqlite:/var/lib/oat/oat.db"),
            ("hunter2", "the URL of the store"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn an_unknown_scheme_is_told_the_known_ones() {
        for url in ["redis://cache", "oat.db", "sqlite:", "sqlite::memory:", ""] {
            assert!(matches!(Address::parse(url), Err(Error::Url { .. })), "{url}");
        }
    }
}
