//! The only file that names `serde_yaml`, so that the library can be changed in one place.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};

/// Writes a value as YAML.
///
/// # Errors
/// When the value cannot be represented, such as a map with keys that are not strings.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|e| e.to_string())
}

/// Reads every document of a YAML (or JSON) stream.
///
/// # Errors
/// The parser's message with line and column, for the first document that cannot be read.
pub fn documents<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| T::deserialize(document).map_err(|e| e.to_string()))
        .collect()
}

/// Reads every document the way Helm reads values: merge keys (`<<`) are carried out, keys that are numbers or
/// booleans become text. Plain words keep YAML 1.2's meaning (`no` is text), unlike Helm's.
///
/// # Errors
/// The parser's message with line and column, or what JSON cannot say.
pub fn values(text: &str) -> Result<Vec<Json>, String> {
    documents::<serde_yaml::Value>(text)?
        .into_iter()
        .map(|mut document| {
            document.apply_merge().map_err(|e| e.to_string())?;
            json(document)
        })
        .collect()
}

fn json(value: serde_yaml::Value) -> Result<Json, String> {
    use serde_yaml::Value;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(is) => Json::Bool(is),
        Value::Number(number) => {
            serde_json::to_value(&number).map_err(|_| format!("JSON cannot say {number}"))?
        }
        Value::String(text) => Json::String(text),
        Value::Sequence(items) => Json::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Value::Mapping(fields) => {
            let mut object = Map::new();
            for (key, value) in fields {
                let key = match key {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    Value::Bool(is) => is.to_string(),
                    _ => return Err("a key is neither text nor a number".into()),
                };
                object.insert(key, json(value)?);
            }
            Json::Object(object)
        }
        Value::Tagged(tagged) => json(tagged.value)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_keys_and_odd_keys_are_read_as_helm_reads_them() {
        let text = "base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\n80: http\ntrue: yes\n";
        let wanted = serde_json::json!({
            "base": {"x": 1, "y": 2}, "mine": {"x": 1, "y": 3}, "80": "http", "true": "yes",
        });
        assert_eq!(values(text), Ok(vec![wanted]));
        assert!(values("a: .inf").is_err() || values("a: .inf") == Ok(vec![serde_json::json!({"a": null})]));
        assert!(values("? [a]\n: b").is_err());
    }
}
