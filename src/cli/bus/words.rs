//! Messages as lines for people.

use crate::bus::service::Exchanges;
use crate::cli::output::{counted, tell};
use crate::tools::STATUS;
use crate::tools::letter::Letter;
use crate::topology::Names;
use serde_json::Value;

/// A message, with all that is known of it: a heading, its properties and headers, its payload.
pub fn show(letter: &Letter, names: &(Names, Exchanges), note: &str) {
    let object: Value = serde_json::to_value(letter).expect("a letter has a form");
    tell!("{} {}  {note}", kind(letter, &object, names), harmless(&letter.routing_key));
    let listed = ["properties", "headers"].map(|part| object[part].as_object().cloned().unwrap_or_default());
    for (name, value) in listed.into_iter().flatten() {
        // Everybody knows what it is from what it looks like.
        if !["content_type", "x-death"].contains(&name.as_str()) {
            tell!("  {:<18} {}", harmless(&name), plain(&value));
        }
    }
    for death in &letter.deaths {
        tell!("  {:<18} {}", "died in", harmless(death));
    }
    let payload = letter.payload().shown();
    payload.lines().for_each(|line| tell!("  {}", harmless(line)));
    tell!("");
}

/// What a message is, by the exchange it came through.
fn kind(letter: &Letter, object: &Value, (names, exchanges): &(Names, Exchanges)) -> String {
    match letter.exchange.as_str() {
        exchange if exchange == exchanges.events => "event".into(),
        exchange if exchange == exchanges.commands && object["headers"][STATUS].is_string() => "result".into(),
        exchange if exchange == exchanges.commands => "command".into(),
        exchange if exchange == names.tasks => "task".into(),
        exchange if exchange == names.results => "outcome".into(),
        "" => "message".into(),
        exchange => format!("{}:", harmless(exchange)),
    }
}

/// A value without the quotes of a string.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), harmless)
}

/// Text from strangers, on one line and without what a terminal would obey.
pub fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() && c != '\t' { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// "1 message", "2 messages".
pub fn messages(number: u64) -> String {
    counted(number, "message")
}
