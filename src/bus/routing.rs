//! How an exchange finds queues, as AMQP 0-9-1 has it (§3.1.3): pure functions, used by the embedded transport.

use super::ExchangeKind;

/// Whether a binding with `pattern` on an exchange of this kind takes a message with `key`.
pub fn matches(kind: ExchangeKind, pattern: &str, key: &str) -> bool {
    match kind {
        ExchangeKind::Direct => pattern == key,
        ExchangeKind::Fanout => true,
        // It looks at headers, not at keys.
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
}
