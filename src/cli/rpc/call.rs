//! `oat rpc call`: one call, and its answer.

use super::super::connect::duration;
use super::super::daemon::{log_trouble, runtime};
use super::super::failure::Usage;
use super::super::file::write_whole;
use super::super::output::{is_stdout, put, say, tell};
use super::super::terminal::no_png_on_a_terminal;
use super::TargetArgs;
use crate::bus::rpc::Client;
use crate::config::Environment;
use crate::shutdown::Shutdown;
use crate::tools::payload::too_large;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Calls a method and prints what it answers; a picture is written to a file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The method: adder, draw, or what else is served there
    method: String,
    /// Its arguments: NAME=VALUE, the value in JSON or a bare word; of adder and draw the first needs no name
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    values: Vec<String>,
    /// How long to wait for bus or answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// Where to write a picture, - for standard output
    /// [default: the place's name]
    #[arg(short, long, value_name = "FILE", verbatim_doc_comment)]
    output: Option<PathBuf>,
    /// One JSON object; of a picture it names the file
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

const EXAMPLES: &str = "\
Examples:
  oat rpc call adder 42                             43
  oat rpc call adder 42 --json                      {\"answer\":43,\"v\":1}
  oat rpc call draw dragon width=640 height=480 -o dragon.png
  oat rpc call --topic shop order item=tea count=2  a service of your own
  oat rpc call adder 42 --wire oslo --topic test    a server of oslo.messaging";

impl Args {
    pub fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        log_trouble(environment, None)?;
        self.check()?;
        let args = arguments(&self.method, &self.values)?;
        runtime()?.block_on(self.call(environment, args))
    }

    fn is_for_stdout(&self) -> bool {
        self.output.as_deref().is_some_and(is_stdout)
    }

    /// What could not be written anywhere is not worth a call.
    fn check(&self) -> Result<(), Usage> {
        match self.is_for_stdout() {
            true if self.json => {
                let what = "standard output takes the picture or the JSON, not both";
                Err(Usage::new(what).fix("a file for the picture:  -o FILE.png"))
            }
            true => no_png_on_a_terminal(),
            false => Ok(()),
        }
    }

    async fn call(&self, environment: &Environment, args: Value) -> anyhow::Result<ExitCode> {
        let bus = self.target.open_to_call(environment, self.timeout).await?;
        let client = Client::open(&bus, &self.target.target()).await?;
        let shutdown = Shutdown::on_signals()?;
        let answer = shutdown.or(client.call(&self.method, &args, self.timeout)).await;
        client.close().await;
        bus.close().await;
        let Some(answer) = answer else {
            say!("interrupted; {}", self.target.left_behind());
            return Ok(ExitCode::from(shutdown.status()));
        };
        self.print(&args, answer?)?;
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, args: &Value, mut answer: Value) -> anyhow::Result<()> {
        let picture = self.write(args, &mut answer)?;
        match (picture, answer) {
            (_, answer) if self.json => tell!("{}", json!({"v": 1, "answer": answer})),
            (Some(picture), _) if self.is_for_stdout() => say!("{picture}"),
            (Some(picture), _) => tell!("{picture}"),
            (None, Value::String(text)) => tell!("{text}"),
            (None, answer) => tell!("{answer}"),
        }
        Ok(())
    }

    /// Writes the picture of an answer, if it is one, to a file, which takes its place in the answer; and says so.
    fn write(&self, args: &Value, answer: &mut Value) -> anyhow::Result<Option<String>> {
        let Some(digits) = answer["png"].as_str() else { return self.no_picture(answer) };
        let png = hex::decode(digits).context("read the picture of the answer")?;
        let name = args["at"].as_str().unwrap_or("picture");
        let file = self.output.clone().unwrap_or_else(|| format!("{name}.png").into());
        match is_stdout(&file) {
            true => put(&png),
            false => drop(
                write_whole(&file, |out| out.write_all(&png).map(Some))
                    .with_context(|| format!("write {}", file.display()))?,
            ),
        }
        let checksum = answer["checksum"].as_str().unwrap_or_default();
        let said = format!("{}, {} bytes, sha256 {checksum}", file.display(), png.len());
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("png");
            fields.insert("file".into(), file.display().to_string().into());
        }
        Ok(Some(said))
    }

    /// Whoever has named a file waits for it; the answer is told, for the method has been executed.
    fn no_picture(&self, answer: &Value) -> anyhow::Result<Option<String>> {
        match &self.output {
            Some(file) => Err(anyhow::anyhow!("{answer}")
                .context(format!("the answer is no picture: {} was not written", file.display()))),
            None => Ok(None),
        }
    }
}

fn arguments(method: &str, values: &[String]) -> Result<Value, Usage> {
    let mut args = Map::new();
    for (place, text) in values.iter().enumerate() {
        let (name, text) = match (text.split_once('='), method, place) {
            (Some((name, text)), _, _) => (name, text),
            (None, "adder", 0) => ("arg", text.as_str()),
            (None, "draw", 0) => ("at", text.as_str()),
            _ => return Err(Usage::new(format!("{text:?} has no name")).fix(format!("NAME={text}"))),
        };
        if args.insert(name.into(), value(name, text)?).is_some() {
            return Err(Usage::new(format!("{name} is given twice")).fix(format!("one of them:     {name}={text}")));
        }
    }
    Ok(args.into())
}

/// JSON or a bare word. A whole number that is too large would become a float, which is another number; and what begins as
/// JSON does is meant to be some.
fn value(name: &str, text: &str) -> Result<Value, Usage> {
    match serde_json::from_str(text) {
        Ok(value) => match too_large(text) {
            Some(number) => Err(Usage::new(format!("{number} does not fit into 64 bits"))
                .fix(format!("{name}='{}'      as a text", text.replace(&number, &format!("\"{number}\""))))),
            None => Ok(value),
        },
        Err(error) if text.starts_with(['{', '[', '"']) => Err(Usage::new(format!("{name} is not JSON: {error}"))
            .fix(format!("{name}='{}'      as a text", Value::from(text)))),
        Err(_) => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_json_or_bare_words() {
        let read = |method: &str, values: &[&str]| {
            arguments(method, &values.iter().map(|value| value.to_string()).collect::<Vec<_>>()).ok()
        };
        assert_eq!(read("adder", &["42"]), Some(json!({"arg": 42})));
        assert_eq!(read("draw", &["dragon", "width=64"]), Some(json!({"at": "dragon", "width": 64})));
        assert_eq!(read("other", &["x=[1]", "y=word"]), Some(json!({"x": [1], "y": "word"})));
        assert_eq!(read("other", &["42"]), None);
        assert_eq!(read("adder", &["18446744073709551615"]), Some(json!({"arg": u64::MAX})));
        assert_eq!(read("adder", &["18446744073709551616"]), None);
        assert_eq!(read("other", &["x={\"y\": [1, -9223372036854775809]}"]), None);
        let text = r#"{"18446744073709551616\"": "99999999999999999999", "z": 1e20}"#;
        assert_eq!(
            read("other", &[&format!("x={text}")]),
            Some(json!({"x": serde_json::from_str::<Value>(text).unwrap()}))
        );
        assert_eq!(read("adder", &["-0"]), Some(json!({"arg": -0.0})));
        assert_eq!(read("other", &["x=a{1", "y="]), Some(json!({"x": "a{1", "y": ""})));
        for wrong in [r#"x={"a":1,}"#, "x=[1", "x=\"a", "x=[1] 2"] {
            assert_eq!(read("other", &[wrong]), None, "{wrong}");
        }
        assert_eq!(read("adder", &["1", "arg=2"]), None, "which one is meant?");
    }
}
