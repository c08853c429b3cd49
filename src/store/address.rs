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

/// The URL without user, password and parameters. The last `@` ends the password, even one that should have been
/// percent-encoded and was not.
pub(crate) fn shown(url: &str) -> String {
    match url.split_once(':') {
        Some(("sqlite", _)) => url.into(),
        Some((scheme, rest)) => {
            let host = rest.rsplit('@').next().unwrap_or_default().trim_start_matches('/');
            format!("{scheme}://{}", host.split('?').next().unwrap_or_default())
        }
        None => "the URL of the store".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, expected) in [
            ("mysql://oat:hunter2@db.example:3306/oat?require_ssl=true", "mysql://db.example:3306/oat"),
            ("postgres://oat:hun/ter?2@db/oat", "postgres://db/oat"),
            ("postgres:///oat?host=/run&password=hunter2", "postgres://oat"),
            ("redis://:hunter2@cache", "redis://cache"),
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
