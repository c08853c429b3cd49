//! Copies of what came: a message that is tried again, put off, buried or given back goes on as one. Whoever wrote its
//! headers, a copy fits into a frame with what we add, and it goes nowhere but where it is sent.

use super::super::message::{ATTEMPT, CAME_FROM, CAME_WITH, DIED_IN, HeaderValue, Message, REASON, cut};
use super::convert::{fault, properties_within, weight};
use lapin::BasicProperties;

/// What we write ourselves, and never give up.
const OURS: [&str; 5] = [ATTEMPT, REASON, DIED_IN, CAME_FROM, CAME_WITH];
/// What makes the broker send copies elsewhere: they are there already.
pub(super) const ELSEWHERE: [&str; 2] = ["CC", "BCC"];
/// What a copy may have in headers: as much as a frame of 128 KiB holds beside the other properties and beside what the broker
/// adds when it delivers a message again, or buries it. lapin gives up the connection that brings it a longer frame.
pub(super) const MOST_HEADERS: usize = 124_000;

/// The properties of a copy; an error if it has too many headers.
pub(super) fn properties(message: &mut Message) -> Result<BasicProperties, String> {
    message.headers.retain(|name, _| !ELSEWHERE.contains(&name.as_str()));
    properties_within(message, MOST_HEADERS)
}

/// Why no copy can be made of this message, if that is so.
pub(super) fn obstacle(message: &Message) -> Option<String> {
    let size: usize = message.headers.iter().map(|(name, value)| weight(name, value)).sum();
    let long = || format!("{size} bytes of headers, where a copy of it may have {MOST_HEADERS}");
    let faults = message.headers.iter().find_map(|(name, value)| fault(name, value));
    faults.or_else(|| (size > MOST_HEADERS).then(long))
}

/// The same message with headers of which a copy can be made, if need be without the longest of others.
pub(super) fn fitting(mut message: Message) -> Message {
    let Some(why) = obstacle(&message) else { return message };
    message.headers.retain(|name, value| fault(name, value).is_none());
    for name in OURS {
        if let Some(HeaderValue::Text(text)) = message.headers.get_mut(name) {
            *text = cut(text);
        }
    }
    while obstacle(&message).is_some() {
        let foreign = message.headers.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
        let Some((longest, _)) = foreign.max_by_key(|(name, value)| weight(name, value)) else { break };
        let longest = longest.clone();
        tracing::warn!(why, header = longest, "a message goes on without a header that others gave it");
        message.headers.remove(&longest);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::new("text/plain", b"body".to_vec()).id("m").kind("task")
    }

    #[test]
    fn what_is_too_long_goes_on_without_the_longest_headers_of_others() {
        let long = |length| HeaderValue::Text("x".repeat(length));
        let reason = HeaderValue::Text("none".into());
        let name = "x".repeat(300);
        for (foreign, length) in [("big", 200_000), (&name, 9), (CAME_WITH, 200_000), ("big", MOST_HEADERS)] {
            let sent = message().header("small", long(9)).header(foreign, long(length)).header(REASON, reason.clone());
            let mut copy = fitting(sent.clone());
            assert!(properties(&mut copy).is_ok(), "{foreign}");
            assert_eq!((copy.text(REASON), &copy.body, &copy.kind), (Some("none"), &sent.body, &sent.kind));
            assert_eq!(copy.text("small"), sent.text("small"));
        }
        let many: Vec<_> = (0..1000).map(|n| (n.to_string(), long(200))).collect();
        let crowded = Message { headers: many.into_iter().collect(), ..message() };
        assert!(properties(&mut fitting(crowded)).is_ok());
        let modest = message().header(REASON, reason);
        assert_eq!(fitting(modest.clone()), modest);
    }

    #[test]
    fn a_copy_goes_nowhere_else() {
        let sent = message().header("CC", HeaderValue::Text("elsewhere".into()));
        let headers = properties(&mut sent.clone()).unwrap().headers().clone().unwrap();
        assert!(!headers.contains_key("CC"));
    }
}
