//! The user's values against the chart's own keys. Helm ignores what it does not know: a typing error, or a key that an
//! earlier chart had, silently leaves the chart's default in place.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Request, tree, version};
use crate::core::{
    chart::Chart,
    codes::values::{VALUE_REMOVED, VALUE_UNKNOWN},
    finding::Finding,
    text::Text,
    words,
};

/// What is known of a chart's keys beyond the chart itself.
#[derive(Debug)]
pub struct Keys {
    /// Keys, with all below them, whose values plans show: those that rules look at, and never secrets.
    pub shown: &'static [&'static str],
    /// Keys below which anything goes (a custom resource's own fields), or that only templates name.
    pub open: &'static [&'static str],
    /// Keys that charts had once.
    pub removed: &'static [Removed],
}

/// A key that charts had once.
#[derive(Debug)]
pub struct Removed {
    /// The key; everything below it is meant too.
    pub key: &'static str,
    /// The first minor whose chart ignores or rejects it.
    pub since: (u64, u64),
    /// What came in its place, in words; empty for nothing.
    pub instead: &'static str,
}

/// Words whose values are Kubernetes' own objects, or maps with keys of the user's, whatever the chart's default is.
const KUBERNETES: &[&str] = &[
    "affinity",
    "annotations",
    "dnsConfig",
    "env",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "podSecurityContext",
    "requests",
    "resources",
    "securityContext",
    "strategy",
    "tolerations",
    "updateStrategy",
];

/// Longer lists of unknown keys are cut in the message.
const SHOWN: usize = 6;

/// What is wrong with the keys of the user's values: one finding for all that the chart never had, one for all that it
/// no longer has.
pub fn check(chart: &Chart, keys: &Keys, request: &Request) -> Vec<Finding> {
    let user = &request.user_values;
    let gone = gone(user, chart, keys);
    let unknown = unknown_beside(&gone, user, chart, keys);
    removed(chart, &gone)
        .into_iter()
        .chain(strange(chart, &unknown))
        .collect()
}

/// Keys of these values that charts had once and this one no longer has. `null` takes a default away and harms nothing.
pub fn gone(values: &Value, chart: &Chart, keys: &Keys) -> Vec<&'static Removed> {
    let minor = version::parse(&chart.version).map(|v| (v.major, v.minor));
    keys.removed
        .iter()
        .filter(|r| minor.is_none_or(|m| m >= r.since))
        // Some went with a patch.
        .filter(|r| tree::at(&chart.values, r.key).is_none())
        .filter(|r| tree::at(values, r.key).is_some_and(|v| !v.is_null()))
        .collect()
}

/// Keys of these values that the chart does not have, but for those that are told as gone.
pub fn unknown_beside(gone: &[&Removed], values: &Value, chart: &Chart, keys: &Keys) -> Vec<String> {
    let gone: Vec<&str> = gone.iter().map(|r| r.key).collect();
    let mut all = unknown(values, chart, keys);
    all.retain(|key| !tree::below(key, &gone));
    all
}

/// The finding for keys that the chart no longer has.
pub fn removed(chart: &Chart, gone: &[&Removed]) -> Option<Finding> {
    let each: Vec<String> = gone.iter().map(|r| with_successor(r)).collect();
    (!each.is_empty()).then(|| {
        Finding::new(
            &VALUE_REMOVED,
            vec![],
            format!(
                "the chart {} {} no longer has {}",
                chart.name,
                chart.version,
                each.join("; ")
            ),
            "kubectl byocni explain value-removed",
        )
    })
}

/// The finding for keys that the chart does not have; the nearest ones are named.
pub fn strange(chart: &Chart, unknown: &[String]) -> Option<Finding> {
    if unknown.is_empty() {
        return None;
    }
    let all = known(chart);
    let each: Vec<String> = unknown
        .iter()
        .take(SHOWN)
        .map(|key| {
            let shown = Text::new(key).line(100);
            match nearest(key, &all) {
                Some(near) => format!("{shown} (nearest: {near})"),
                None => shown,
            }
        })
        .collect();
    let more = unknown.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(Finding::new(
        &VALUE_UNKNOWN,
        vec![],
        format!(
            "the chart {} {} has no value {}{more}",
            chart.name,
            chart.version,
            each.join(", ")
        ),
        format!("helm show values {} lists its keys", chart_reference(chart)),
    ))
}

fn chart_reference(chart: &Chart) -> String {
    format!("{} --version {}", chart.name, chart.version)
}

fn with_successor(removed: &Removed) -> String {
    let since = format!("{} (since {}.{}", removed.key, removed.since.0, removed.since.1);
    if removed.instead.is_empty() {
        format!("{since}, nothing in its place)")
    } else {
        format!("{since}: {})", removed.instead)
    }
}

/// Keys of the user's values that the chart does not have. A key is known if it is in `values.yaml` or below an empty
/// default there, in the schema, or stands in `values.yaml` as a comment. `null` takes a default away and harms nothing.
pub fn unknown(user: &Value, chart: &Chart, keys: &Keys) -> Vec<String> {
    let Some(user) = user.as_object() else {
        return vec![];
    };
    let mut walk = Walk {
        keys,
        text: &chart.values_text,
        path: vec![],
        found: vec![],
    };
    let nothing = Map::new();
    let defaults = chart.values.as_object().unwrap_or(&nothing);
    // A chart without values of its own takes anything, as far as can be told.
    if !defaults.is_empty() || chart.schema.is_some() {
        walk.map(user, defaults, chart.schema.as_ref());
    }
    walk.found
}

struct Walk<'k> {
    keys: &'k Keys,
    text: &'k str,
    path: Vec<String>,
    found: Vec<String>,
}

impl Walk<'_> {
    fn map(&mut self, user: &Map<String, Value>, defaults: &Map<String, Value>, schema: Option<&Value>) {
        for (word, value) in user {
            self.path.push(word.clone());
            self.entry(word, value, defaults.get(word), property(schema, word));
            self.path.pop();
        }
    }

    fn entry(&mut self, word: &str, value: &Value, default: Option<&Value>, schema: Option<&Value>) {
        let key = tree::key(&self.path);
        // `global` is Helm's own: every chart and its dependencies see it.
        let open = key == "global" || KUBERNETES.contains(&word) || tree::below(&key, self.keys.open);
        if open || value.is_null() {
            return;
        }
        match (default, schema) {
            (Some(Value::Object(default)), schema) if !default.is_empty() => {
                if let Some(inner) = value.as_object() {
                    self.map(inner, default, schema);
                }
            }
            (Some(_), _) => {}
            (None, Some(schema)) => {
                let properties = schema.get("properties").and_then(Value::as_object);
                if let (Some(_), Some(inner)) = (properties.filter(|p| !p.is_empty()), value.as_object()) {
                    self.map(inner, &Map::new(), Some(schema));
                }
            }
            (None, None) => {
                if !self.commented(word) {
                    let leaves = tree::leaves(value);
                    if leaves.is_empty() {
                        self.found.push(key.clone());
                    }
                    let given = leaves.into_iter().filter(|(_, leaf)| !leaf.is_null());
                    self.found.extend(given.map(|(rest, _)| format!("{key}.{rest}")));
                }
            }
        }
    }

    /// Whether the key stands as a comment in its part of `values.yaml`: from its top-level key to the next one.
    fn commented(&self, word: &str) -> bool {
        let stands = |line: &str| {
            let line = line.trim_start();
            let Some(comment) = line.strip_prefix('#') else {
                return false;
            };
            let comment = comment.trim_start_matches(['#', ' ', '-']);
            comment
                .strip_prefix(word)
                .is_some_and(|rest| rest.starts_with(':'))
        };
        match self.path.as_slice() {
            [_] => self
                .text
                .lines()
                .any(|line| line.starts_with('#') && stands(line)),
            [top, ..] => section(self.text, top).any(stands),
            [] => false,
        }
    }
}

/// The lines of a top-level key, with the comments that follow.
fn section<'t>(text: &'t str, top: &str) -> impl Iterator<Item = &'t str> {
    let begins =
        move |line: &str, key: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    let top = top.to_string();
    let key = |line: &str| line.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut inside = false;
    text.lines().filter(move |line| {
        if key(line) {
            inside = begins(line, &top);
        } else if !inside && line.starts_with('#') {
            // A key that is a comment as a whole has its section as a comment too.
            inside = begins(line.trim_start_matches(['#', ' ']), &top);
        }
        inside
    })
}

/// A property's schema, also where the schema offers several.
fn property<'s>(schema: Option<&'s Value>, word: &str) -> Option<&'s Value> {
    schema?.get("properties")?.get(word)
}

/// Every key that the chart has, from its values and its schema.
fn known(chart: &Chart) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = tree::leaves(&chart.values)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    fn walk(schema: &Value, path: &mut Vec<String>, all: &mut BTreeSet<String>) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        for (word, inner) in properties {
            path.push(word.clone());
            all.insert(tree::key(path));
            walk(inner, path, all);
            path.pop();
        }
    }
    if let Some(schema) = &chart.schema {
        walk(schema, &mut vec![], &mut all);
    }
    all
}

/// The key that was probably meant: off by a fifth of its length at most, letters' case aside.
fn nearest<'a>(key: &str, all: &'a BTreeSet<String>) -> Option<&'a str> {
    let wanted: Vec<char> = key.to_lowercase().chars().take(120).collect();
    let limit = (wanted.len() / 5).max(2);
    let distance = |known: &str| {
        let known: Vec<char> = known.to_lowercase().chars().collect();
        // The difference of lengths is a lower bound, and spares most of the work.
        (known.len().abs_diff(wanted.len()) <= limit).then(|| words::edit_distance(&wanted, &known))
    };
    let near = all
        .iter()
        .filter_map(|known| Some((distance(known)?, known.as_str())));
    near.filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEYS: Keys = Keys {
        shown: &[],
        open: &["spec", "monitor.eventTypes"],
        removed: &[Removed {
            key: "pool.cidr",
            since: (1, 19),
            instead: "pool.cidrs",
        }],
    };

    fn chart() -> Chart {
        let text = "pool:\n  cidrs: [10.0.0.0/8]\n  extra: {}\n  # size: 24\n# -- Replacement\n#replaced: true\n\
                    operator:\n  replicas: 2\n  nodeSelector: {kubernetes.io/os: linux}\n  tolerations: []\nnothing: ~\nmonitor: {enabled: true}\n";
        Chart {
            name: "cilium".into(),
            version: "1.19.6".into(),
            app_version: "1.19.6".into(),
            kube_version: None,
            digest: String::new(),
            source: String::new(),
            values: json!({"pool": {"cidrs": ["10.0.0.0/8"], "extra": {}}, "operator": {"replicas": 2,
                "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": []}, "nothing": null, "monitor": {"enabled": true}}),
            values_text: text.into(),
            schema: Some(
                json!({"properties": {"pool": {"properties": {"hidden": {"type": "string"}}}, "aksbyocni": {"properties": {"enabled": {"type": "boolean"}}}}}),
            ),
            crds: vec![],
        }
    }

    fn asked(values: Value) -> Vec<String> {
        unknown(&values, &chart(), &KEYS)
    }

    #[test]
    fn what_the_chart_has_in_any_way_is_known() {
        for values in [
            json!({"pool": {"cidrs": [], "extra": {"any": {"thing": 1}}, "size": 25, "hidden": "x"}}),
            json!({"replaced": true, "nothing": {"at": "all"}, "global": {"x": 1}}),
            json!({"operator": {"nodeSelector": {"pool": "system"}, "tolerations": [{"key": "a"}], "resources": {"limits": {"cpu": 1}}}}),
            json!({"aksbyocni": {"enabled": true}, "spec": {"a": {"b": 1}}, "monitor": {"eventTypes": {"drop": true}}}),
            json!({"unheardof": null}),
            json!({}),
            json!(null),
        ] {
            assert_eq!(asked(values.clone()), Vec::<String>::new(), "{values}");
        }
    }

    #[test]
    fn what_it_does_not_have_is_found_with_its_whole_key() {
        assert_eq!(
            asked(json!({"aksByoCni": {"enabled": true}})),
            ["aksByoCni.enabled"]
        );
        assert_eq!(asked(json!({"pool": {"cdirs": []}})), ["pool.cdirs"]);
        assert_eq!(
            asked(json!({"operator": {"size": 1}})),
            ["operator.size"],
            "a comment of another section"
        );
        assert_eq!(asked(json!({"monitor": {"event": {}}})), ["monitor.event"]);
        assert_eq!(asked(json!({"aksbyocni": {"on": true}})), ["aksbyocni.on"]);
    }

    #[test]
    fn the_nearest_key_is_named() {
        let all = known(&chart());
        assert_eq!(nearest("aksByoCni.enabled", &all), Some("aksbyocni.enabled"));
        assert_eq!(nearest("pool.cdirs", &all), Some("pool.cidrs"));
        assert_eq!(nearest("weather.forecast", &all), None);
    }
}
