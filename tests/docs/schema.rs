//! A small validator of JSON Schema: as much of it as docs/schema uses, and an error for everything else, so that no
//! schema says what nobody checks.
//!
//! It is stricter than the schemas: an object may hold nothing that its schema does not name. Whoever reads the
//! documents must allow for more, as keys are added over time.

use serde_json::Value;

/// What says nothing about the value.
const TOLD: &[&str] = &["$schema", "$defs", "title", "description"];

/// Everything that is wrong with a value, each with its place.
pub fn complaints(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = vec![];
    check(schema, schema, value, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        found.push(format!("{place}: the schema is no object"));
        return;
    };
    for (rule, wanted) in rules {
        match rule.as_str() {
            known if TOLD.contains(&known) => {}
            "$ref" => match wanted
                .as_str()
                .and_then(|r| root.pointer(r.trim_start_matches('#')))
            {
                Some(target) => check(root, target, value, place, found),
                None => found.push(format!("{place}: {wanted} is not in the schema")),
            },
            "anyOf" => {
                let all = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
                let each: Vec<Vec<String>> = all
                    .iter()
                    .map(|one| {
                        let mut wrong = vec![];
                        check(root, one, value, place, &mut wrong);
                        wrong
                    })
                    .collect();
                if each.iter().all(|wrong| !wrong.is_empty()) {
                    found.extend(each.into_iter().flatten());
                }
            }
            "type" => {
                let names: Vec<&str> = match wanted {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                if !names.iter().any(|name| is(name, value)) {
                    found.push(format!("{place}: {} is no {}", short(value), names.join(" or ")));
                }
            }
            "const" if value != wanted => found.push(format!("{place}: {} is not {wanted}", short(value))),
            "enum" if !wanted.as_array().is_some_and(|all| all.contains(value)) => {
                found.push(format!("{place}: {} is none of {wanted}", short(value)));
            }
            "const" | "enum" => {}
            "minimum" => {
                if value.as_i64().zip(wanted.as_i64()).is_some_and(|(v, w)| v < w) {
                    found.push(format!("{place}: {value} is less than {wanted}"));
                }
            }
            "maximum" => {
                if value.as_i64().zip(wanted.as_i64()).is_some_and(|(v, w)| v > w) {
                    found.push(format!("{place}: {value} is more than {wanted}"));
                }
            }
            "format" if wanted == "date-time" => {
                if value
                    .as_str()
                    .is_some_and(|t| t.parse::<jiff::Timestamp>().is_err())
                {
                    found.push(format!("{place}: {} is no time", short(value)));
                }
            }
            "pattern" if wanted == "^BYO[0-9]{4}$" => {
                let fits = |t: &str| {
                    t.len() == 7
                        && t.strip_prefix("BYO")
                            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
                };
                if value.as_str().is_some_and(|t| !fits(t)) {
                    found.push(format!("{place}: {} is no code", short(value)));
                }
            }
            "required" => {
                let names = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
                for name in names.iter().filter_map(Value::as_str) {
                    if value.as_object().is_some_and(|o| !o.contains_key(name)) {
                        found.push(format!("{place}: {name} is not there"));
                    }
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    match wanted.get(name) {
                        Some(schema) => check(root, schema, inner, &format!("{place}.{name}"), found),
                        None => found.push(format!("{place}: {name} is not in the schema")),
                    }
                }
            }
            "items" => {
                for (at, inner) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, inner, &format!("{place}[{at}]"), found);
                }
            }
            other => found.push(format!("{place}: {other} is a rule that nobody checks")),
        }
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

#[test]
fn what_does_not_fit_is_told() {
    use serde_json::json;
    let schema = json!({
        "type": "object", "required": ["a", "b"], "$defs": {"c": {"type": "integer", "minimum": 0, "maximum": 9}},
        "properties": {
            "a": {"enum": ["x", null]}, "b": {"type": "array", "items": {"$ref": "#/$defs/c"}},
            "t": {"type": ["string", "null"], "format": "date-time"},
            "d": {"anyOf": [{"$ref": "#/$defs/c"}, {"type": "null"}]}
        }
    });
    let good = json!({"a": null, "b": [1, 2], "t": "2026-11-21T10:00:00Z", "d": null});
    assert_eq!(complaints(&schema, &good), Vec::<String>::new());
    for (value, complaint) in [
        (json!({"a": "y", "b": []}), "$.a: \"y\" is none of [\"x\",null]"),
        (json!({"a": "x"}), "$: b is not there"),
        (json!({"a": "x", "b": [1, "2"]}), "$.b[1]: \"2\" is no integer"),
        (json!({"a": "x", "b": [-1]}), "$.b[0]: -1 is less than 0"),
        (json!({"a": "x", "b": [10]}), "$.b[0]: 10 is more than 9"),
        (json!({"a": "x", "b": [], "e": 1}), "$: e is not in the schema"),
        (
            json!({"a": "x", "b": [], "t": "today"}),
            "$.t: \"today\" is no time",
        ),
        (json!({"a": "x", "b": [], "d": "1"}), "$.d: \"1\" is no integer"),
    ] {
        let found = complaints(&schema, &value);
        assert!(
            found.iter().any(|c| c.starts_with(complaint)),
            "{value}: {found:?}"
        );
    }
    assert_eq!(
        complaints(&json!({"maxLength": 3}), &json!("a")),
        ["$: maxLength is a rule that nobody checks"]
    );
}
