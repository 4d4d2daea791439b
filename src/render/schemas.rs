//! JSON Schemas of the documents that `-o json` prints, derived from the types that are written: their fields, which of
//! them are always there, their words, and what their comments say. `docs/schema` and `docs/json.md` are made from them.

use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::Value;

use super::{
    history::ReleaseHistory,
    outcome::ChangeResult,
    plan::{ChangePlan, ChangePlanList},
    versions::Versions,
    wire::ClusterStatus,
};

/// The version of every document's format. Within it keys are only ever added.
pub const API_VERSION: &str = "byocni.io/v1alpha1";

/// The schema of every document by its kind, in the order in which they are documented. JSON Schema 2020-12. Objects may
/// hold more than their schema names, as keys are added over time.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        (ClusterStatus::KIND, of::<ClusterStatus<'_>>()),
        (ChangePlan::KIND, of::<ChangePlan<'_>>()),
        (ChangePlanList::KIND, of::<ChangePlanList<'_>>()),
        (ChangeResult::KIND, of::<ChangeResult<'_>>()),
        (ReleaseHistory::KIND, of::<ReleaseHistory>()),
        (Versions::KIND, of::<Versions<'_>>()),
    ]
}

fn of<T: JsonSchema>() -> Value {
    // What is written is described, not what could be read: a key that is left out at times is the only optional one.
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(Plain);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Words that a field may have where it can also be `null`.
pub(super) fn or_null(words: &[&str]) -> Vec<Value> {
    let words = words.iter().map(|word| Value::from(*word));
    words.chain([Value::Null]).collect()
}

/// How wide Rust's integers are: no formats that JSON Schema knows.
const WIDTHS: &[&str] = &["uint", "uint8", "uint64", "int64"];

/// What the derivation tells of Rust, in the terms of JSON.
#[derive(Debug, Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(text) = schema.get("description").and_then(Value::as_str) {
            // Comments are lines of sentences; what is said of a key is one, and stands in tables.
            let text = text.replace('\n', " ").trim_end_matches('.').to_string();
            schema.insert("description".into(), text.into());
        }
        let format = schema.get("format").and_then(Value::as_str);
        if format.is_some_and(|format| WIDTHS.contains(&format)) {
            schema.remove("format");
        }
        // Words whose variants have comments come one by one.
        let each = schema.get("oneOf").and_then(Value::as_array);
        let words: Option<Vec<Value>> =
            each.and_then(|all| all.iter().map(|one| one.get("const").cloned()).collect());
        if let Some(words) = words {
            schema.remove("oneOf");
            schema.insert("type".into(), "string".into());
            schema.insert("enum".into(), words.into());
        }
        transform_subschemas(self, schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        code::{Change, Severity},
        plan::{
            Origin,
            diff::{Because, Part, Why},
        },
        report::{Byocni, Verdict},
    };

    /// What JSON says is what pages say, and the schema has every word of it.
    fn words<T: JsonSchema + serde::Serialize + Copy>(all: &[T], as_str: fn(T) -> &'static str) {
        let told: Vec<Value> = all.iter().map(|one| as_str(*one).into()).collect();
        let written: Vec<Value> = all.iter().map(|one| serde_json::json!(one)).collect();
        assert_eq!(written, told);
        assert_eq!(of::<T>()["enum"], Value::from(told));
    }

    #[test]
    fn words_are_the_same_everywhere() {
        words(
            &[
                Verdict::Healthy,
                Verdict::Degraded,
                Verdict::Broken,
                Verdict::Unknown,
            ],
            Verdict::as_str,
        );
        words(
            &[Byocni::Confirmed, Byocni::Managed, Byocni::Unknown],
            Byocni::as_str,
        );
        words(
            &[Severity::Error, Severity::Warning, Severity::Info],
            Severity::as_str,
        );
        words(Change::ALL, Change::as_str);
        words(
            &[Origin::Cluster, Origin::User, Origin::Default, Origin::Chart],
            Origin::as_str,
        );
        words(
            &[Because::Yours, Because::Forced, Because::Default],
            Because::as_str,
        );
        words(
            &[Part::Operator, Part::Agent, Part::Beside, Part::Other],
            Part::as_str,
        );
        words(&[Why::Image, Why::Configuration, Why::Template], Why::as_str);
    }

    /// Every key is described, for its comment is all that a reader of the documents gets.
    #[test]
    fn nothing_is_left_unsaid() {
        fn look(schema: &Value, place: &str, wrong: &mut Vec<String>) {
            if let Some(properties) = schema["properties"].as_object() {
                for (name, inner) in properties {
                    if inner["description"].as_str().is_none_or(str::is_empty) {
                        wrong.push(format!("{place}.{name}"));
                    }
                    look(inner, &format!("{place}.{name}"), wrong);
                }
            }
            for (name, inner) in schema["$defs"].as_object().into_iter().flatten() {
                look(inner, &format!("{place} {name}"), wrong);
            }
        }
        let mut wrong = vec![];
        for (kind, schema) in schemas() {
            assert_eq!(schema["properties"]["kind"]["const"], kind);
            assert_eq!(schema["title"], kind);
            look(&schema, kind, &mut wrong);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }
}
