//! Scenario files: a base cluster, what is changed in it, and what must be found.
//!
//! `tests/scenarios/bases/*.yaml` are healthy clusters as `kubectl get -o yaml` shows them, trimmed. Every
//! `tests/scenarios/*.yaml` names one and changes it:
//!
//! ```yaml
//! about: what happened, in a sentence (and the number of the acceptance scenario that it is, if it is one)
//! base: cilium-healthy
//! change:
//! - merge: {kind: Node, name: node-1, spec: {unschedulable: true}}
//! - remove: {kind: Pod, name: cilium-envoy-*}
//! - add: {apiVersion: v1, kind: Node, …}
//! verdict: healthy
//! exit: 0
//! findings: [warning agent-restarting Node/node-1, info coredns-pending Deployment/coredns because cni-missing]
//! says: [words that some message must hold]
//! ```
//!
//! `merge` merges as `kubectl patch` does: lists whose items have a `type` or a `name` are merged item by item, `null`
//! takes a key away. A name may end in `*`; what matches no object is an error. `findings` is complete: nothing else
//! may be raised. A finding about the whole cluster names no subject.

use std::{fs, path::PathBuf};

use kubectl_byocni::{
    core::{
        capture::{Capture, file},
        cni,
        code::Severity,
        facts::Asked,
        finding::{Finding, Subject},
        judge,
        report::Report,
    },
    yaml,
};
use serde::Deserialize;
use serde_json::Value;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// What happened.
    pub about: String,
    /// The base that is changed.
    pub base: String,
    /// What is changed.
    #[serde(default)]
    pub change: Vec<Change>,
    /// `--reserved-cidr`.
    #[serde(default)]
    pub reserved: Vec<ipnet::IpNet>,
    /// The verdict in a word.
    pub verdict: String,
    /// The exit code of `status`.
    pub exit: u8,
    /// All findings, in any order.
    pub findings: Vec<String>,
    /// Words that some finding's message holds.
    #[serde(default)]
    pub says: Vec<String>,
    /// Whether the table at 80 columns is kept as a snapshot.
    #[serde(default)]
    pub snapshot: bool,
}

/// One change.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Change {
    /// Merged into every object of that kind and name.
    Merge(Value),
    /// Every object of that kind and name goes.
    Remove(Value),
    /// A new object.
    Add(Value),
}

/// The folder.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Every scenario, by name.
pub fn all() -> Vec<Scenario> {
    let mut scenarios = vec![];
    for entry in fs::read_dir(folder()).expect("the folder of scenarios") {
        let path = entry.expect("an entry").path();
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_dir() || ending == "rs" {
            continue;
        }
        assert_eq!(ending, "yaml", "{} is no scenario", path.display());
        let name = path
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default();
        let text = fs::read_to_string(&path).expect("a readable file");
        // As JSON, whose enums are plain mappings.
        let mut documents: Vec<Value> = yaml::documents(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(documents.len(), 1, "{name}: one document a file");
        let parsed = serde_json::from_value::<Scenario>(documents.remove(0));
        let mut scenario = parsed.unwrap_or_else(|why| panic!("{name}: {why}"));
        scenario.name = name;
        scenarios.push(scenario);
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    scenarios
}

/// The names of all bases.
pub fn bases() -> Vec<String> {
    let entries = fs::read_dir(folder().join("bases")).expect("the folder of bases");
    let mut names: Vec<String> = entries
        .filter_map(|e| Some(e.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// The objects of a base.
pub fn base(name: &str) -> Vec<Value> {
    let path = folder().join("bases").join(format!("{name}.yaml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let documents: Vec<Value> = yaml::documents(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
    let items = documents[0]["items"].as_array();
    items.unwrap_or_else(|| panic!("{name} is no List")).clone()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an object is of this kind, and its name the one that is asked for (`a*` is a beginning).
fn is(object: &Value, wanted: &Value) -> bool {
    let (name, asked) = (text(object, "/metadata/name"), text(wanted, "/name"));
    let named = match asked.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == asked,
    };
    let namespace = text(wanted, "/namespace");
    let here = namespace.is_empty() || text(object, "/metadata/namespace") == namespace;
    named && here && text(object, "/kind") == text(wanted, "/kind")
}

impl Scenario {
    /// The objects of the changed cluster.
    pub fn objects(&self) -> Vec<Value> {
        let mut objects = base(&self.base);
        for change in &self.change {
            let before = objects.len();
            let mut touched = 0;
            match change {
                Change::Add(object) => {
                    objects.push(object.clone());
                    touched = 1;
                }
                Change::Remove(wanted) => {
                    objects.retain(|o| !is(o, wanted));
                    touched = before - objects.len();
                }
                Change::Merge(patch) => {
                    let mut rest = patch.clone();
                    if let Value::Object(map) = &mut rest {
                        ["kind", "name", "namespace"].iter().for_each(|key| {
                            map.remove(*key);
                        });
                    }
                    for object in objects.iter_mut().filter(|o| is(o, patch)) {
                        merge(object, &rest);
                        touched += 1;
                    }
                }
            }
            assert!(touched > 0, "{}: {change:?} matches nothing", self.name);
        }
        objects
    }

    /// The changed cluster as a capture.
    pub fn capture(&self) -> Capture {
        file::from_documents(self.objects(), &cni::resources())
            .unwrap_or_else(|why| panic!("{}: {why}", self.name))
    }

    /// What the flags add.
    pub fn asked(&self) -> Asked {
        Asked {
            reserved: self.reserved.clone(),
        }
    }

    /// The changed cluster, judged.
    pub fn report(&self) -> Report {
        report(&self.capture(), &self.asked())
    }

    /// What is expected, in order.
    pub fn expected(&self) -> Vec<String> {
        let mut lines = self.findings.clone();
        lines.sort();
        lines
    }
}

/// Judges with all nodes shown.
pub fn report(capture: &Capture, asked: &Asked) -> Report {
    judge::report(capture, asked, &|_| true)
}

/// A finding as a scenario writes it.
pub fn line(finding: &Finding) -> String {
    let mut words = vec![
        finding.severity.as_str().to_string(),
        finding.code.slug.to_string(),
    ];
    let named = finding.subjects.iter().filter(|s| **s != Subject::cluster());
    words.extend(named.map(|s| format!("{}/{}", s.kind, s.name)));
    words.extend(finding.caused_by.map(|cause| format!("because {cause}")));
    words.join(" ")
}

/// All findings as a scenario writes them, in order.
pub fn lines(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report.findings.iter().map(line).collect();
    lines.sort();
    lines
}

/// The exit code of `status` (DESIGN: "Exit codes").
pub fn exit(report: &Report) -> u8 {
    if report.count(Severity::Error) > 0 {
        3
    } else if report.incomplete() {
        5
    } else {
        0
    }
}

/// Merges as `kubectl patch` does.
pub fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(key);
                } else {
                    merge(target.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(target), Value::Array(patch)) if keyed(target) && keyed(patch) => {
            for item in patch {
                match target.iter_mut().find(|t| identity(t) == identity(item)) {
                    Some(same) => merge(same, item),
                    None => target.push(item.clone()),
                }
            }
        }
        (target, patch) => {
            *target = patch.clone();
            clean(target);
        }
    }
}

/// A patch that replaces something takes no key away from it.
fn clean(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, v| !v.is_null());
        map.values_mut().for_each(clean);
    }
}

fn identity(item: &Value) -> Option<&str> {
    ["type", "name"]
        .iter()
        .find_map(|key| item.get(key).and_then(Value::as_str))
}

/// Whether the items of a list can be told apart: a node has two InternalIPs.
fn keyed(items: &[Value]) -> bool {
    let mut names: Vec<&str> = items.iter().filter_map(identity).collect();
    names.sort_unstable();
    names.dedup();
    !items.is_empty() && names.len() == items.len()
}
