//! The URL of a broker: read once, and never shown with its password.

use super::super::{Error, Options};
use lapin::uri::AMQPUri;
use std::time::Duration;

/// URLs as they may be shown: passwords are starred, queries are left out.
///
/// It works on any text, because a URL that cannot be parsed is the one most likely to be shown.
pub(crate) fn mask(urls: &str) -> String {
    each(urls).into_iter().map(mask_one).collect::<Vec<_>>().join(";")
}

/// The brokers of one cluster, which kombu separates by semicolons. A password may hold one, too.
pub(super) fn each(urls: &str) -> Vec<&str> {
    let starts = urls.match_indices(';').map(|(at, _)| at);
    let ends: Vec<usize> =
        starts.filter(|at| ["amqp://", "amqps://"].iter().any(|scheme| urls[at + 1..].starts_with(scheme))).collect();
    let from = std::iter::once(0).chain(ends.iter().map(|at| at + 1));
    from.zip(ends.iter().copied().chain([urls.len()])).map(|(from, to)| &urls[from..to]).collect()
}

/// A text that begins like no URL of a broker may be a password from its first letter.
fn mask_one(url: &str) -> String {
    match url.split_once(':') {
        Some((scheme @ ("amqp" | "amqps"), rest)) => match rest.strip_prefix("//") {
            Some(rest) => format!("{scheme}://{}", place(rest)),
            None => format!("{scheme}:***"),
        },
        _ => "***".into(),
    }
}

/// User, host and vhost. The last `@` ends the password, even one that should have been percent-encoded and was not; where
/// one comes after a `/`, `?` or `#`, nobody can say what is the password. In `user:password` the host was forgotten.
fn place(rest: &str) -> String {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let vhost = tail.split(['?', '#']).next().unwrap_or_default();
    let first = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    match authority.rsplit_once('@') {
        _ if tail.contains('@') => "***".into(),
        Some((login, host)) => format!("{}:***@{host}{vhost}", first(login)),
        None if is_host(authority) => format!("{authority}{vhost}"),
        None => format!("{}:***", first(authority)),
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

/// What the URL says, with the defaults filled in.
pub(super) fn parse(url: &str, options: &Options) -> Result<AMQPUri, Error> {
    let wrong = |why: String| Error::Url { url: mask(url), why };
    let parsed = url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let mut uri: AMQPUri =
        url.parse().map_err(|_| wrong("not an AMQP URL: expected amqp://user:password@host:port/vhost".into()))?;
    match parsed.host() {
        // lapin takes any address in brackets for `localhost`.
        Some(url::Host::Ipv6(address)) => uri.authority.host = address.to_string(),
        Some(_) if !uri.authority.host.is_empty() => {}
        _ => uri.authority.host = "localhost".into(),
    }
    // AMQP knows a vhost with the empty name; who writes `amqp://host/` means the default one.
    if uri.vhost.is_empty() {
        uri.vhost = "/".into();
    }
    let heartbeat = u16::try_from(options.heartbeat.as_secs()).unwrap_or(u16::MAX);
    uri.query.heartbeat.get_or_insert(heartbeat);
    Ok(uri)
}

/// How long one attempt to connect may take, unless the URL says otherwise.
pub(super) fn patience(uri: &AMQPUri) -> Duration {
    uri.query.connection_timeout.map_or(super::HANDSHAKE, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_url_never_holds_its_password() {
        let table = [
            ("amqp://user:secret@host:5672/%2f", "amqp://user:***@host:5672/%2f"),
            ("amqps://user:se@cr:et@host", "amqps://user:***@host"),
            ("amqps://user:se@cr:et/secret@host", "amqps://***"),
            ("amqp://user@host/oat?password=sec@ret", "amqp://***"),
            ("amqp://[::1]:5672/oat", "amqp://[::1]:5672/oat"),
            ("amqp://user:secret", "amqp://user:***"),
            ("amqp:secret", "amqp:***"),
            ("amqp:user:secret@host", "amqp:***"),
            ("secret", "***"),
            ("secret://host", "***"),
            ("amqp://host/oat?password=secret", "amqp://host/oat"),
            ("user:secret@host", "***"),
            ("amqp://user@host", "amqp://user:***@host"),
            ("amqp://localhost//", "amqp://localhost//"),
            ("amqp://u:a;b@one;amqps://u:c@two/v?x=y", "amqp://u:***@one;amqps://u:***@two/v"),
        ];
        for (url, shown) in table {
            assert_eq!(mask(url), shown);
        }
    }

    #[test]
    fn an_empty_path_is_the_default_vhost() {
        for (url, vhost) in [
            ("amqp://h:5672", "/"),
            ("amqp://h:5672/", "/"),
            ("amqp://h:5672//", "/"),
            ("amqp://h:5672/%2f", "/"),
            ("amqp://h:5672/oat", "oat"),
        ] {
            assert_eq!(parse(url, &Options::default()).unwrap().vhost, vhost, "{url}");
        }
    }

    #[test]
    fn the_url_wins_over_the_options() {
        let uri = parse("amqp://u:p%40@[::1]:5673/?heartbeat=7", &Options::default()).unwrap();
        assert_eq!((uri.query.heartbeat, uri.authority.host.as_str(), uri.authority.port), (Some(7), "::1", 5673));
        assert_eq!(uri.authority.userinfo.password, "p@");
        assert_eq!(parse("amqp:///oat", &Options::default()).unwrap().query.heartbeat, Some(10));
    }

    #[test]
    fn a_bad_url_is_refused_without_its_password() {
        for url in ["amqp://user:secret@host:port/", "amqp://user:secret@host/?heartbeat=often"] {
            let error = parse(url, &Options::default()).unwrap_err().to_string();
            assert!(error.contains("user:***@host") && !error.contains("secret"), "{error}");
        }
    }
}
