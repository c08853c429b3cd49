//! What a call of lapin ended with, and which of our errors that is.

use super::super::Error;
use lapin::ErrorKind;

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
            403 => Trouble::lasting(Error::Refused { url: url.into(), why: text }),
            // A quorum queue that is just being started is announced in these words.
            404 if text.contains("process is") => Trouble::passing(Error::Unreachable { url: url.into(), why: text }),
            404 => Trouble::lasting(Error::Missing { what }),
            405 | 406 => Trouble::lasting(Error::Conflict { what, why: bare(&text) }),
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
                Trouble::passing(Error::Unreachable { url, why: "who answers there does not speak AMQP 0-9-1".into() })
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
