//! Broken captures: whatever a file holds, the whole pure path ends, and ends well.

use kubectl_byocni::{
    core::{capture::file, cni, facts::Asked},
    render::{self, Style},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness;

/// What a value can become.
#[derive(Debug, Clone)]
enum Blow {
    Delete,
    Replace(Value),
    Twice,
    Many,
}

fn wild() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!([])),
        Just(json!({})),
        any::<i64>().prop_map(|n| json!(n)),
        Just(json!(1.5e300)),
        Just(json!("")),
        ".{0,40}".prop_map(|s| json!(s)),
        Just(json!("\u{1b}]0;owned\u{7}\r\u{202e}txt.exe\u{200b}")),
        Just(json!("x".repeat(300_000))),
        prop::sample::select(vec![
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/33",
            "10.1.2.3/16",
            "::ffff:10.0.0.0/112",
            "255.255.255.255",
            "fd00::1",
            "-1",
            "9223372036854775807",
            "99999-01-01T00:00:00Z",
            "-009999-01-01T00:00:00Z",
            "2026-11-21T08:00:00Z",
            "True",
        ])
        .prop_map(|s| json!(s)),
    ]
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        2 => Just(Blow::Delete),
        6 => wild().prop_map(Blow::Replace),
        1 => Just(Blow::Twice),
        1 => Just(Blow::Many),
    ]
}

/// How many values there are in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Strikes the `at`th value below `value`; tells how many values it went past.
fn strike(value: &mut Value, at: usize, blow: &Blow) -> usize {
    let mut seen = 0;
    match value {
        Value::Array(items) => {
            for i in 0..items.len() {
                if seen == at {
                    match blow {
                        Blow::Delete => drop(items.remove(i)),
                        Blow::Replace(with) => items[i] = with.clone(),
                        Blow::Twice => items.push(items[i].clone()),
                        Blow::Many => items.extend(vec![items[i].clone(); 500]),
                    }
                    return at + 1;
                }
                seen += 1;
                seen += strike(&mut items[i], at - seen, blow);
                if seen > at {
                    return seen;
                }
            }
        }
        Value::Object(map) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            for key in keys {
                if seen == at {
                    match blow {
                        Blow::Delete => drop(map.remove(&key)),
                        Blow::Replace(with) => drop(map.insert(key, with.clone())),
                        Blow::Twice => {
                            let copy = map[&key].clone();
                            map.insert(format!("{key}\u{202e}2"), copy);
                        }
                        Blow::Many => {
                            let copy = map[&key].clone();
                            map.insert(key, Value::Array(vec![copy; 500]));
                        }
                    }
                    return at + 1;
                }
                seen += 1;
                if let Some(inner) = map.get_mut(&key) {
                    seen += strike(inner, at - seen, blow);
                }
                if seen > at {
                    return seen;
                }
            }
        }
        _ => {}
    }
    seen
}

fn clusters() -> &'static [Vec<Value>] {
    static CLUSTERS: std::sync::OnceLock<Vec<Vec<Value>>> = std::sync::OnceLock::new();
    CLUSTERS.get_or_init(|| harness::all().iter().map(harness::Scenario::objects).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_it_panic(
        which in any::<prop::sample::Index>(),
        blows in prop::collection::vec((any::<prop::sample::Index>(), blow()), 1..12),
    ) {
        let mut objects = Value::Array(which.get(clusters()).clone());
        for (at, blow) in &blows {
            let size = count(&objects) - 1;
            if size > 0 {
                strike(&mut objects, at.index(size), blow);
            }
        }
        let Value::Array(objects) = objects else { unreachable!() };
        if let Ok(capture) = file::from_documents(objects, &cni::resources()) {
            let report = harness::report(&capture, &Asked::default());
            for entry in &render::ALL {
                let width = if entry.name == "wide" { 140 } else { 60 };
                let text = render::render(&report, &Style { width, color: false, unicode: true }, entry.format);
                prop_assert!(!text.chars().any(crate::forbidden), "{}", entry.name);
            }
        }
    }
}
