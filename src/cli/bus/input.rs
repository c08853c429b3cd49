//! What is to be sent: from a file, from standard input, or from the command line.

use crate::bus::service::CONVERSATION;
use crate::bus::{HeaderValue, Message};
use crate::cli::connect::EncodingArg;
use crate::cli::failure::Usage;
use crate::cli::file;
use crate::task::Encoding;
use crate::tools::payload;
use crate::tools::payload::{Unreadable, cbor, written};
use anyhow::Context;
use serde_json::Value;
use std::io::{IsTerminal, Read};
use std::path::Path;

#[derive(Debug, clap::Args)]
pub struct PayloadArgs {
    /// The payload: a file of JSON, or of CBOR if it ends with .cbor; - reads standard input [default: null]
    #[arg(value_name = "FILE", conflicts_with = "data")]
    file: Option<String>,
    /// The payload, as JSON
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// How it travels: json or cbor [default: as it is]
    #[arg(long = "as", value_name = "FORM", value_enum, hide_possible_values = true)]
    encoding: Option<EncodingArg>,
    /// The conversation it belongs to [default: a new one]
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
}

impl PayloadArgs {
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.data.is_none()
    }

    /// The bytes of the file, if there is one. A pipe gives them once.
    pub fn bytes(&self) -> anyhow::Result<Option<Vec<u8>>> {
        self.file.as_deref().map(read).transpose()
    }

    /// The message to send, in a conversation: eventail refuses messages that belong to none. `bytes` are those of the
    /// file.
    pub fn message(&self, bytes: Option<&[u8]>) -> anyhow::Result<Message> {
        let encoding = self.encoding.map(Encoding::from);
        let file = self.file.as_deref().unwrap_or_default();
        let message = match (bytes, self.data.as_deref()) {
            (Some(bytes), _) if file.ends_with(".cbor") => cbor(bytes).map_err(|why| unreadable(file, &why))?,
            (Some(bytes), _) => {
                let name = if file == "-" { "standard input" } else { file };
                written(bytes, encoding).map_err(|why| unreadable(name, &why))?
            }
            (None, Some(text)) => {
                let json = written(text.as_bytes(), Some(encoding.unwrap_or_default()));
                json.map_err(|why| unreadable("--data", &why))?
            }
            (None, None) => payload::message(&Value::Null, encoding.unwrap_or_default()),
        };
        let new = || format!("oat-{}", uuid::Uuid::new_v4());
        let conversation = HeaderValue::Text(self.conversation.clone().unwrap_or_else(new));
        let now = u64::try_from(chrono::Utc::now().timestamp()).ok();
        let message = Message { timestamp: now, ..message.header(CONVERSATION, conversation) };
        Ok(message.id(uuid::Uuid::new_v4().to_string()))
    }
}

/// A file, or standard input; a terminal there would wait for ever for whoever does not know that it waits.
pub fn read(name: &str) -> anyhow::Result<Vec<u8>> {
    if name != "-" {
        return file::read(Path::new(name));
    }
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        let what = "standard input is a terminal, and a payload was expected there";
        return Err(Usage::new(what).fix("on the command line:  --data '{\"id\": 7}'").into());
    }
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes).context("read standard input")?;
    Ok(bytes)
}

fn unreadable(name: &str, why: &Unreadable) -> Usage {
    match why {
        Unreadable::Json { line, column, why } => {
            let usage = Usage::new(format!("{name}:{line}:{column}: not JSON: {why}"));
            usage.fix("quotes are double, and nothing follows the last comma:  {\"id\": 7}")
        }
        Unreadable::Binary => Usage::new(format!("{name}:1:1: {why}"))
            .fix("if it is CBOR:       --as cbor, or a file whose name ends with .cbor"),
        Unreadable::TooLarge { .. } => {
            Usage::new(format!("{name}: {why}")).fix("as a text, in quotes; or as JSON, without --as cbor")
        }
        Unreadable::Cbor { .. } => Usage::new(format!("{name}: {why}")),
    }
}
