//! What `oat rpc serve` can do: `adder`, the method of oslo.messaging's example, and `draw`.

use super::encoded::Encoded;
use crate::bus::rpc::{Failure, Request};
use crate::fractal::{Limits, Samples, Stop, catalogue};
use serde_json::{Value, json};
use std::sync::Arc;

/// A picture whose caller names no size.
const SIZE: (u32, u32) = (320, 240);

/// Answers one request; dropping the future ends a drawing within milliseconds.
pub async fn answer(request: Request, limits: Limits) -> Result<Value, Failure> {
    match request.method.as_str() {
        "adder" => adder(&request.args),
        "draw" => draw(&request.args, limits).await,
        other => Err(Failure::unknown(other)),
    }
}

/// `arg` and one.
fn adder(args: &Value) -> Result<Value, Failure> {
    let whole = args["arg"].as_i64().and_then(|number| number.checked_add(1)).map(|sum| json!(sum));
    let sum = whole.or_else(|| args["arg"].as_f64().map(|number| json!(number + 1.0)));
    sum.ok_or_else(|| Failure::new("TypeError", format!("arg is {}, and no number", args["arg"])))
}

/// The place `at`, `width` by `height`: its PNG in hexadecimal digits, and the checksums.
async fn draw(args: &Value, limits: Limits) -> Result<Value, Failure> {
    let name = args["at"].as_str().unwrap_or_default();
    let unknown = || Failure::new("LookupError", format!("there is no place called {name:?}; oat scenes lists them"));
    let place = catalogue::place(name).ok_or_else(unknown)?;
    let side = |name: &str, usual: u32| match &args[name] {
        Value::Null => Some(usual),
        value => value.as_u64().and_then(|side| u32::try_from(side).ok()),
    };
    let wrong = |why: String| Failure::new("ValueError", why);
    let sides = side("width", SIZE.0).zip(side("height", SIZE.1));
    let (width, height) = sides.ok_or_else(|| wrong("width and height are numbers of pixels".into()))?;
    let scene = place.scene(width, height, Samples::FOUR).map_err(|error| wrong(error.to_string()))?;
    limits.check(&scene).map_err(|error| wrong(error.to_string()))?;
    let calling = CallingOff(Arc::default());
    let stop = calling.0.clone();
    let drawing = tokio::task::spawn_blocking(move || Encoded::draw(&scene, &stop)).await;
    let broken = || Failure::new("RuntimeError", "the drawing broke");
    let Encoded { png, drawn } = drawing.ok().flatten().ok_or_else(broken)?;
    Ok(json!({
        "png": hex::encode(png),
        "duration": drawn.duration,
        "checksum": drawn.checksum,
        "pixel_checksum": drawn.pixel_checksum,
    }))
}

/// Ends a drawing that nobody waits for.
struct CallingOff(Arc<Stop>);

impl Drop for CallingOff {
    fn drop(&mut self) {
        self.0.call_off();
    }
}
