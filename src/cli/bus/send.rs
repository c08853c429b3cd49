//! `oat bus send`.

use super::input::PayloadArgs;
use super::{Common, interruptible};
use crate::cli::failure::Usage;
use crate::cli::output::{say, tell};
use crate::config::Environment;
use crate::tools::STATUS;
use crate::tools::ask::{Reply, ask};
use crate::tools::payload::Payload;
use serde_json::json;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  oat bus send shop.Price --data '{\"id\": 7}'
  oat bus send shop.Price order.json --timeout 1m

Exit status: 0 success, 1 the service answers with an error, 4 no answer in
time, 5 no such service or command.";

/// Sends a command to a service and waits for its result.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which command of which service
    #[arg(value_name = "SERVICE.COMMAND")]
    command: String,
    #[command(flatten)]
    payload: PayloadArgs,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub async fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let message = self.payload.message(self.payload.bytes()?.as_deref())?;
        let exchange = self.common.exchanges().commands;
        let connection = self.common.visit(environment).await?;
        let asking = async { Ok(ask(&connection, (&exchange, &self.command), message, self.common.timeout).await?) };
        let reply = interruptible(asking).await;
        connection.close().await;
        match reply? {
            Err(status) => {
                say!("interrupted; the service may still carry out the command");
                Ok(status)
            }
            Ok(Reply::Answer(answer)) => {
                let status = answer.text(STATUS).unwrap_or("without a status").to_owned();
                self.print(&status, &Payload::of(&answer));
                Ok(ExitCode::from(if status == "success" { 0 } else { 1 }))
            }
            Ok(Reply::Late) => {
                let what = format!("{} has not answered within {:?}", self.command, self.common.timeout);
                Err(Usage::late(what)
                    .fix("wait longer:     --timeout 1m     (it may still carry out the command)")
                    .into())
            }
            Ok(Reply::Nobody) => {
                let what = format!("no service takes the command {}: it was not sent", self.command);
                Err(Usage::not_found(what)
                    .fix("start the service, or see what is sent:  oat bus monitor --commands")
                    .into())
            }
        }
    }

    /// The result alone on standard output, so that others can work with it.
    fn print(&self, status: &str, payload: &Payload) {
        if self.common.json {
            let payload = match payload {
                Payload::Value(value) => value.clone(),
                other => other.shown().into(),
            };
            tell!("{}", json!({"v": 1, "status": status, "payload": payload}));
            return;
        }
        tell!("{}", payload.shown());
        if status != "success" {
            say!("error: {} answers: {status}", self.command);
        }
    }
}
