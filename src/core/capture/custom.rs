//! The CNIs' own kinds, as JSON cut down to what is judged: a new CNI needs no new type here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{Meta, null_as_default};
use crate::core::text::Text;

/// A custom resource that some CNI is judged by.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// `plural.group`.
    pub name: &'static str,
    /// The group.
    pub group: &'static str,
    /// Versions to ask for, newest first.
    pub versions: &'static [&'static str],
    /// The plural.
    pub plural: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// JSON pointers of what is kept of each object, beside its metadata.
    pub keep: &'static [&'static str],
}

/// One object of a custom resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Custom {
    /// Name, labels, kept annotations.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// What is kept of `spec`.
    #[serde(skip_serializing_if = "Value::is_null", deserialize_with = "null_as_default")]
    pub spec: Value,
    /// What is kept of `status`.
    #[serde(skip_serializing_if = "Value::is_null", deserialize_with = "null_as_default")]
    pub status: Value,
}

impl Custom {
    /// The object cut down to what its resource keeps, its text sanitized.
    pub fn trimmed(self, resource: &Resource) -> Self {
        let whole = serde_json::json!({ "spec": self.spec, "status": self.status });
        let mut kept = Value::Null;
        for pointer in resource.keep {
            if let Some(value) = whole.pointer(pointer) {
                put(&mut kept, pointer, harmless(value.clone()));
            }
        }
        let mut part = |name: &str| kept.get_mut(name).map(Value::take).unwrap_or_default();
        Custom {
            meta: self.meta,
            spec: part("spec"),
            status: part("status"),
        }
    }

    /// A value by JSON pointer, `/spec/…` or `/status/…`.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        match pointer.strip_prefix("/spec") {
            Some(rest) => self.spec.pointer(rest),
            None => self.status.pointer(pointer.strip_prefix("/status")?),
        }
    }

    /// A string by JSON pointer; empty counts as absent.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.pointer(pointer)?.as_str().filter(|s| !s.is_empty())
    }

    /// The strings of a list by JSON pointer.
    pub fn texts(&self, pointer: &str) -> Vec<&str> {
        let list = self.pointer(pointer).and_then(Value::as_array);
        list.map(|l| l.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }
}

/// Puts `value` at `pointer`, making the objects on the way.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let mut place = root;
    for key in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        // Just made an object: indexing creates the key.
        place = &mut place[key];
    }
    *place = value;
}

/// JSON whose strings have passed the one sanitizer.
fn harmless(value: Value) -> Value {
    match value {
        Value::String(s) => Value::String(Text::new(&s).as_str().to_string()),
        Value::Array(items) => Value::Array(items.into_iter().map(harmless).collect()),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(k, v)| (Text::new(&k).as_str().to_string(), harmless(v)))
                .collect(),
        ),
        other => other,
    }
}
