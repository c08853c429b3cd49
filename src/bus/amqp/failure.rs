//! What a call of lapin ended with, and which of our errors that is.

use super::super::Error;
use lapin::ErrorKind;
use tokio::task::JoinError;

/// What the broker says at greater length of a queue that is exclusive, or that we call so and it is not.
const LOCKED: &str = "it is exclusive to another connection, or it is not exclusive and was declared so";

/// Why a call to the broker has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The session is gone, or as good as gone: the same call may succeed on the next one.
    Lost(String),
    /// The broker closed the channel or the connection with a code and its words.
    Said {
        /// AMQP's reply code.
        code: u16,
        /// Its reply text.
        text: String,
    },
}

/// An error, and whether trying again could help.
#[derive(Debug)]
pub(super) struct Trouble {
    pub error: Error,
    pub lasting: bool,
}

impl From<lapin::Error> for Failure {
    fn from(error: lapin::Error) -> Failure {
        match error.kind() {
            ErrorKind::ProtocolError(said) => {
                Failure::Said { code: said.get_id(), text: said.get_message().to_string() }
            }
            ErrorKind::IOError(io) => Failure::Lost(io.to_string()),
            _ => Failure::Lost(error.to_string()),
        }
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Failure {
        Failure::Lost(error.to_string())
    }
}

impl Failure {
    /// Whether only a channel is closed, and the session lives.
    pub fn spares_the_session(&self) -> bool {
        matches!(self, Failure::Said { code: 403..=406, .. })
    }

    /// For a log line.
    pub fn why(&self) -> &str {
        match self {
            Failure::Lost(why) => why,
            Failure::Said { text, .. } => text,
        }
    }

    /// What a failed `what` (such as `queue "tasks"`) means at `url`, which is masked.
    pub fn about(self, what: &str, url: &str) -> Trouble {
        let (code, text) = match self {
            Failure::Lost(why) => return Trouble::passing(Error::Unreachable { url: url.into(), why }),
            Failure::Said { code, text } => (code, text),
        };
        let what = what.to_owned();
        match code {
            403 if text.contains("reserved prefix") => Trouble::lasting(Error::Reserved { what }),
            403 => Trouble::lasting(Error::Refused { url: url.into(), why: text }),
            // A quorum queue that is just being started is announced in these words.
            404 if text.contains("process is") => Trouble::passing(Error::Unreachable { url: url.into(), why: text }),
            404 => Trouble::lasting(Error::Missing { what }),
            405 => Trouble::lasting(Error::Conflict { what, why: LOCKED.into() }),
            406 => Trouble::lasting(Error::Conflict { what, why: difference(&text).unwrap_or_else(|| bare(&text)) }),
            // It closes the connection, every time that it is asked for.
            540 => Trouble::lasting(Error::Unsupported { what, why: bare(&text) }),
            _ => Trouble::passing(Error::Unreachable { url: url.into(), why: text }),
        }
    }
}

impl Trouble {
    pub fn lasting(error: Error) -> Trouble {
        Trouble { error, lasting: true }
    }

    pub fn passing(error: Error) -> Trouble {
        Trouble { error, lasting: false }
    }

    /// What a failed attempt to connect to `url`, which is masked, means.
    pub fn connecting(error: &lapin::Error, url: &str) -> Trouble {
        let url = url.to_owned();
        match error.kind() {
            ErrorKind::ProtocolError(said) if [402, 403, 530].contains(&said.get_id()) => {
                Trouble::lasting(Error::Refused { url, why: explained(said.get_message().as_str()) })
            }
            ErrorKind::ProtocolError(said) => {
                Trouble::passing(Error::Unreachable { url, why: said.get_message().to_string() })
            }
            ErrorKind::AuthProviderError(why) => Trouble::lasting(Error::Refused { url, why: why.clone() }),
            ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) => {
                let why = "who answers there does not speak AMQP 0-9-1, or only with TLS (amqps://)";
                Trouble::passing(Error::Unreachable { url, why: why.into() })
            }
            // How `socket` marks a certificate that will not get better by waiting.
            ErrorKind::IOError(io) if io.kind() == std::io::ErrorKind::InvalidData => {
                Trouble::lasting(Error::Unreachable { url, why: io.to_string() })
            }
            ErrorKind::IOError(io) => Trouble::passing(Error::Unreachable { url, why: io.to_string() }),
            _ => Trouble::passing(Error::Unreachable { url, why: error.to_string() }),
        }
    }
}

/// The commonest slip with AMQP URLs deserves more than the broker's words.
fn explained(text: &str) -> String {
    match text.contains("vhost") && text.contains("not found") {
        true => format!("{text} (the path of the URL names the vhost; the vhost / is written %2f)"),
        false => text.into(),
    }
}

/// The broker's words without the name of the code in front.
fn bare(text: &str) -> String {
    text.split_once(" - ").map_or(text, |(_, words)| words).into()
}

/// Which property differs, and how, out of `inequivalent arg 'x-…' for queue '…' in vhost '…': received … but current is …`,
/// where a value is `'5'`, `the value '5' of type 'long'`, or `none`.
fn difference(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("inequivalent arg '")?;
    let (name, rest) = rest.split_once('\'')?;
    // The names of queue and vhost may hold anything, so from behind.
    let (rest, there) = rest.rsplit_once(" but current is ")?;
    let (_, here) = rest.rsplit_once(": received ")?;
    Some(format!("its {name} is {}, and here it is declared as {}", value(there), value(here)))
}

fn value(words: &str) -> &str {
    words.split('\'').nth(1).unwrap_or(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_the_property_and_both_values() {
        let table = [
            ("'x-message-ttl' for queue 'q' in vhost '/': received '6' but current is '5'", "x-message-ttl is 5", "6"),
            (
                "'x-queue-type' for queue 'q' in vhost '/': received none but current is the value 'quorum' of type 'longstr'",
                "x-queue-type is quorum",
                "none",
            ),
            (
                "'x-dead-letter-exchange' for queue ': received ' in vhost '/': received the value 'ab' of type 'longstr' \
                 but current is none",
                "x-dead-letter-exchange is none",
                "ab",
            ),
            (
                "'type' for exchange 'e' in vhost '/': received 'direct' but current is 'topic'",
                "type is topic",
                "direct",
            ),
        ];
        for (words, there, here) in table {
            let told = difference(&format!("PRECONDITION_FAILED - inequivalent arg {words}")).unwrap();
            assert_eq!(told, format!("its {there}, and here it is declared as {here}"));
        }
        assert_eq!(difference("PRECONDITION_FAILED - something else"), None);
    }
}
