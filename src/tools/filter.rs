//! Which messages somebody wants to see: a path into the payload and the value that must stand there, of the same type.

use super::payload::Payload;
use serde_json::Value;
use std::str::FromStr;

/// `path=value`, such as `order.lines.0.id=123`. The value is JSON: `123` is not `"123"`; what is no JSON is a string.
#[derive(Clone, Debug, PartialEq)]
pub struct Where {
    path: Vec<String>,
    value: Value,
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Where, String> {
        let (path, value) = text.split_once('=').ok_or("expected path=value, such as order.id=123")?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
        match path.is_empty() {
            true => Err("the path is missing; it names fields of the payload, such as order.id".into()),
            false => Ok(Where { path: path.split('.').map(str::to_owned).collect(), value }),
        }
    }
}

impl Where {
    /// Whether the payload has that value there.
    pub fn holds(&self, payload: &Payload) -> bool {
        let Payload::Value(payload) = payload else { return false };
        let found = self.path.iter().try_fold(payload, |value, step| match value {
            Value::Object(fields) => fields.get(step),
            Value::Array(values) => values.get(step.parse::<usize>().ok()?),
            _ => None,
        });
        found.is_some_and(|found| same(found, &self.value))
    }
}

/// JSON has one kind of number: 1 is 1.0, however a sender wrote it.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_with_their_types() {
        let payload =
            Payload::Value(json!({"id": 123, "text": "123", "name": "ada", "on": true, "of": {"a": [null, 1.0]}}));
        let holds = |text: &str| text.parse::<Where>().unwrap().holds(&payload);
        for yes in ["id=123", "id=123.0", "text=\"123\"", "name=ada", "on=true", "of.a.0=null", "of.a.1=1"] {
            assert!(holds(yes), "{yes}");
        }
        for no in ["id=\"123\"", "text=123", "name=Ada", "on=\"true\"", "of.a.2=1", "missing=null", "id.deeper=1"] {
            assert!(!holds(no), "{no}");
        }
        assert!(!"id=1".parse::<Where>().unwrap().holds(&Payload::Text("1".into())));
        assert!("nothing".parse::<Where>().is_err() && "=1".parse::<Where>().is_err());
    }
}
