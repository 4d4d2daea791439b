//! What became of a release: its revisions, with what is known of each beyond what Helm keeps.

use jiff::Timestamp;
use serde_json::Value;

use super::{revision::Recorded, words};

/// The revisions of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// The CNI's product name, else the chart's.
    pub cni: String,
    /// Oldest first. Helm forgets the oldest by and by.
    pub rows: Vec<Row>,
}

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1.
    pub revision: i64,
    /// When it was written, where that is known.
    pub when: Option<Timestamp>,
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// What the chart installs.
    pub app_version: String,
    /// Helm's word for it: `deployed`, `superseded`, `failed`, …
    pub status: String,
    /// The verdict that was recorded after the change, where it was one of ours.
    pub health: Option<String>,
    /// What was new in it, in a few words: see [`changed`].
    pub changed: String,
    /// Who made it, as `user@host`, where it is known.
    pub by: Option<String>,
    /// It only switched the update strategy for a rollout: nobody asked for it, and nobody goes back to it.
    pub hidden: bool,
}

impl History {
    /// The newest revision that counts.
    pub fn newest(&self) -> Option<&Row> {
        self.rows.iter().rev().find(|row| !row.hidden)
    }
}

/// What is new in a revision, in a few words: `1.18.12 → 1.19.6; 2 values`. Values are counted, never shown.
/// `before` is the revision that it came after; without one nothing is known of it but what it installed.
pub fn changed(before: Option<&Recorded>, after: &Recorded) -> String {
    let version = |one: &Recorded| one.chart.version.trim_start_matches('v').to_string();
    let Some(before) = before else {
        return match after.revision {
            1 => format!("{} installed", version(after)),
            _ => version(after),
        };
    };
    let mut parts = vec![];
    if before.chart.name != after.chart.name {
        let named = |one: &Recorded| format!("{} {}", one.chart.name, version(one));
        parts.push(format!("{} → {}", named(before), named(after)));
    } else if version(before) != version(after) {
        parts.push(format!("{} → {}", version(before), version(after)));
    }
    let values = different(&before.values, &after.values);
    if values > 0 {
        parts.push(words::count(values, "value"));
    }
    match parts.is_empty() {
        true if before.chart.digest != after.chart.digest => "another chart of the same version".into(),
        true => "nothing".into(),
        false => parts.join("; "),
    }
}

/// How many values are there on one side only, or are different. What is empty says nothing.
fn different(was: &Value, is: &Value) -> usize {
    let silent = |value: &Value| value.is_null() || value.as_object().is_some_and(|map| map.is_empty());
    match (was, is) {
        (Value::Object(a), Value::Object(b)) => {
            let none = Value::Null;
            let both = a
                .iter()
                .map(|(key, value)| different(value, b.get(key).unwrap_or(&none)));
            let new = b.iter().filter(|(key, _)| !a.contains_key(*key));
            both.sum::<usize>() + new.map(|(_, value)| different(&none, value)).sum::<usize>()
        }
        (Value::Object(map), other) | (other, Value::Object(map)) if silent(other) => {
            map.values().map(|value| different(&Value::Null, value)).sum()
        }
        (a, b) => usize::from(a != b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::tests::chart;
    use serde_json::json;

    fn recorded(revision: i64, version: &str, values: Value) -> Recorded {
        Recorded {
            revision,
            status: "deployed".into(),
            description: String::new(),
            chart: chart("cilium", version),
            values,
            manifest: vec![],
        }
    }

    #[test]
    fn what_changed_is_told_in_a_few_words() {
        let first = recorded(1, "1.18.12", json!({"a": {"b": 1, "c": [1, 2]}, "d": null}));
        assert_eq!(changed(None, &first), "1.18.12 installed");
        assert_eq!(changed(None, &recorded(7, "v1.18.12", json!({}))), "1.18.12");
        for (version, values, text) in [
            ("1.19.6", json!({"a": {"b": 1, "c": [1, 2]}}), "1.18.12 → 1.19.6"),
            ("1.18.12", json!({"a": {"b": 2, "c": [1]}, "e": {}}), "2 values"),
            ("1.18.12", json!({"a": {"b": 1, "c": [1, 2]}, "e": {}}), "nothing"),
            ("1.18.12", json!(null), "2 values"),
            (
                "v1.19.6",
                json!({"a": {"b": 1, "c": [1, 2], "f": {"g": 1}}}),
                "1.18.12 → 1.19.6; 1 value",
            ),
        ] {
            assert_eq!(changed(Some(&first), &recorded(2, version, values)), text);
        }
        let mut other = recorded(2, "1.18.12", first.values.clone());
        other.chart.name = "mine".into();
        assert_eq!(changed(Some(&first), &other), "cilium 1.18.12 → mine 1.18.12");
    }

    #[test]
    fn values_never_show() {
        let before = recorded(1, "1.18.12", json!({"token": "canary-1"}));
        let after = recorded(2, "1.18.12", json!({"token": "canary-2", "canary-3": true}));
        assert!(!changed(Some(&before), &after).contains("canary"));
    }
}
