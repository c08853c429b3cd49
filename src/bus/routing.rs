//! How an exchange finds queues, as AMQP 0-9-1 has it (§3.1.3): pure functions, used by the embedded transport.

use super::{Binding, ExchangeKind, HeaderMatch, HeaderValue};
use std::collections::BTreeMap;

impl Binding {
    /// Whether it takes a message with this routing key and these headers from an exchange of this kind.
    pub fn takes(&self, kind: ExchangeKind, key: &str, headers: &BTreeMap<String, HeaderValue>) -> bool {
        match (kind, &self.headers) {
            (ExchangeKind::Headers, Some((how, wanted))) => headers_match(*how, wanted, headers),
            // AMQP's binding without arguments: all of nothing.
            (ExchangeKind::Headers, None) => true,
            _ => matches(kind, &self.key, key),
        }
    }
}

/// As RabbitMQ has it: what starts with `x-` is not compared, and values of different kinds differ.
fn headers_match(
    how: HeaderMatch,
    wanted: &BTreeMap<String, HeaderValue>,
    found: &BTreeMap<String, HeaderValue>,
) -> bool {
    let mut wanted = wanted.iter().filter(|(name, _)| !name.starts_with("x-"));
    let has = |(name, value): (&String, &HeaderValue)| found.get(name) == Some(value);
    match how {
        HeaderMatch::All => wanted.all(has),
        HeaderMatch::Any => wanted.any(has),
    }
}

/// Whether a binding with `pattern` on an exchange of this kind takes a message with `key`.
pub fn matches(kind: ExchangeKind, pattern: &str, key: &str) -> bool {
    match kind {
        ExchangeKind::Direct => pattern == key,
        ExchangeKind::Fanout => true,
        // It looks at headers, not at keys: see `Binding::takes`.
        ExchangeKind::Headers => false,
        ExchangeKind::Topic => {
            let (pattern, key): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), key.split('.').collect());
            topic(&pattern, &key)
        }
    }
}

/// `*` is exactly one word, `#` any number of words, none included.
fn topic(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), _) => (0..=key.len()).any(|skipped| topic(rest, &key[skipped..])),
        (Some((word, rest)), Some((first, tail))) => (*word == "*" || word == first) && topic(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_match_as_the_specification_says() {
        let table = [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*", "a", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#", "", true),
            ("#.c", "a.b.c", true),
            ("*.stock.#", "usd.stock", true),
            ("*.stock.#", "stock", false),
            ("a.#.b", "a.x.y.b", true),
            ("a.#.b", "a.x.y", false),
        ];
        for (pattern, key, expected) in table {
            assert_eq!(matches(ExchangeKind::Topic, pattern, key), expected, "{pattern} against {key}");
        }
        assert!(matches(ExchangeKind::Fanout, "", "anything"));
        assert!(!matches(ExchangeKind::Direct, "a", "b"));
    }

    #[test]
    fn headers_match_as_in_rabbitmq() {
        use HeaderMatch::{All, Any};
        let headers = |text: &str| {
            let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
            let value = |text: &str| match text.parse() {
                Ok(number) => HeaderValue::Int(number),
                Err(_) => HeaderValue::Text(text.into()),
            };
            pairs.map(|(name, text)| (name.to_owned(), value(text))).collect::<BTreeMap<_, _>>()
        };
        let table = [
            (All, "a=1 b=x", "a=1 b=x c=2", true),
            (All, "a=1 b=x", "a=1", false),
            (All, "a=1", "a=2", false),
            (All, "a=one", "a=1", false),
            (All, "", "a=1", true),
            (All, "x-a=1", "", true),
            (All, "x-a=1 b=x", "b=x", true),
            (Any, "a=1 b=x", "b=x", true),
            (Any, "a=1 b=x", "a=2 b=y", false),
            (Any, "a=1", "", false),
            (Any, "", "a=1", false),
            (Any, "x-a=1", "x-a=1", false),
        ];
        for (how, wanted, found, expected) in table {
            let binding = Binding::headers("in", how, headers(wanted));
            let takes = |kind| binding.takes(kind, "any", &headers(found));
            assert_eq!(takes(ExchangeKind::Headers), expected, "{how:?} of {wanted} in {found}");
            assert!(takes(ExchangeKind::Fanout) && !takes(ExchangeKind::Direct));
        }
        assert!(Binding::new("in", "").takes(ExchangeKind::Headers, "any", &headers("a=1")));
    }
}
