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
        "adder" => {
            known("adder", &["arg"], &request.args)?;
            adder(&request.args)
        }
        "draw" => {
            known("draw", &["at", "width", "height"], &request.args)?;
            draw(&request.args, limits).await
        }
        other => Err(Failure::unknown(other)),
    }
}

/// As Python would: whoever misspells an argument does not get the usual value for it.
fn known(method: &str, names: &[&str], args: &Value) -> Result<(), Failure> {
    let mut given = args.as_object().into_iter().flat_map(|args| args.keys());
    match given.find(|name| !names.contains(&name.as_str())) {
        Some(other) => {
            let what = format!("{method} has no argument {other:?}; it takes {}", names.join(", "));
            Err(Failure::new("TypeError", what))
        }
        None => Ok(()),
    }
}

/// `arg` and one, exactly or not at all: whole numbers have 64 bits here, and beyond 2⁵³ a float has no room for the one.
fn adder(args: &Value) -> Result<Value, Failure> {
    let arg = &args["arg"];
    let whole = arg.as_i64().map(i128::from).or_else(|| arg.as_u64().map(i128::from)).map(|whole| whole + 1);
    let sum = match (whole, arg.as_f64()) {
        (Some(sum), _) => u64::try_from(sum).map(Value::from).or_else(|_| i64::try_from(sum).map(Value::from)).ok(),
        (None, Some(real)) => Some(json!(real + 1.0)).filter(|_| real.abs() < (1u64 << 53) as f64),
        (None, None) => return Err(Failure::new("TypeError", format!("arg is {arg}, and no number"))),
    };
    sum.ok_or_else(|| Failure::new("OverflowError", format!("the sum of {arg} and 1 does not fit into 64 bits")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_exact_sum_has_none() {
        let sum = |arg: Value| adder(&json!({"arg": arg})).map_err(|failure| failure.kind);
        assert_eq!(sum(json!(i64::MAX)), Ok(json!(1_u64 << 63)));
        assert_eq!(sum(json!(i64::MIN)), Ok(json!(i64::MIN + 1)));
        assert_eq!((sum(json!(-1)), sum(json!(0.5))), (Ok(json!(0)), Ok(json!(1.5))));
        for arg in [json!(u64::MAX), json!(2_f64.powi(53)), json!(-1e300)] {
            assert_eq!(sum(arg), Err("OverflowError".into()));
        }
        assert_eq!(sum(json!("1")), Err("TypeError".into()));
    }

    #[test]
    fn an_argument_that_nobody_knows_is_refused() {
        let told = |args: Value| known("draw", &["at", "width"], &args).map_err(|failure| failure.message);
        assert_eq!(told(json!({"at": "dragon", "width": 1})), Ok(()));
        assert_eq!(
            told(json!({"at": "dragon", "widht": 1})),
            Err(r#"draw has no argument "widht"; it takes at, width"#.into())
        );
    }
}
