//! Objects side by side, in a form in which only what means something is different.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::rights;
use crate::core::{finding::Subject, manifest::Object};

/// What names an object, whatever version of its API it is written in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The kind.
    pub kind: String,
    /// The API group.
    pub group: String,
    /// Absent where it lives in none.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl Key {
    /// As a subject of plans.
    pub fn subject(&self) -> Subject {
        Subject {
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The objects of a rendering. Of two with one name the later counts, as it does when they are applied.
pub struct Index<'a>(BTreeMap<Key, &'a Object>);

impl<'a> Index<'a> {
    /// Of these objects, hooks left out; definitions of custom resources may be among the `others`. What names no
    /// namespace and lives in one is made in that of the release.
    pub fn of(objects: &'a [Object], others: &[Object], release: &str) -> Self {
        let defined = rights::defined(objects.iter().chain(others));
        let lasting = objects.iter().filter(|o| annotation(o, "helm.sh/hook").is_none());
        let keyed = lasting.map(|object| {
            let place = rights::place(object, &defined, release);
            let key = Key {
                kind: object.kind.clone(),
                group: place.group,
                namespace: place.namespace,
                name: object.name.clone(),
            };
            (key, object)
        });
        Index(keyed.collect())
    }

    /// The object of that name.
    pub fn get(&self, key: &Key) -> Option<&'a Object> {
        self.0.get(key).copied()
    }

    /// The names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.keys()
    }
}

fn annotation<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object
        .value
        .get("metadata")?
        .get("annotations")?
        .get(name)?
        .as_str()
}

/// Whether Helm leaves the object behind when it is no longer part of the release.
pub fn kept(object: &Object) -> bool {
    annotation(object, "helm.sh/resource-policy").is_some_and(|policy| policy.trim() == "keep")
}

/// How two of one name compare.
pub enum Compared {
    /// Nothing is different.
    Same,
    /// Only labels that name a version.
    Relabelled,
    /// Something else.
    Changed,
}

/// Compares two of one name.
pub fn compared(was: &Object, is: &Object) -> Compared {
    let (mut was, mut is) = (settled(was), settled(is));
    if was == is {
        return Compared::Same;
    }
    for side in [&mut was, &mut is] {
        if let Some(meta) = side.get_mut("metadata") {
            unlabelled(meta);
        }
    }
    match was == is {
        true => Compared::Relabelled,
        false => Compared::Changed,
    }
}

/// Labels and annotations that only say which version an object belongs to.
const OF_VERSION: &[&str] = &["helm.sh/chart", "app.kubernetes.io/version", "chart"];

/// Takes them out of `metadata`.
pub fn unlabelled(metadata: &mut Value) {
    for part in ["labels", "annotations"] {
        let Some(map) = metadata.get_mut(part).and_then(Value::as_object_mut) else {
            continue;
        };
        map.retain(|key, _| !OF_VERSION.contains(&key.as_str()));
        if map.is_empty()
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.remove(part);
        }
    }
}

/// The object without what the API server would add or drop by itself.
pub fn settled(object: &Object) -> Value {
    let mut value = object.value.clone();
    if let Some(map) = value.as_object_mut() {
        // The same object is served in every version of its API.
        map.remove("apiVersion");
        map.remove("status");
    }
    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        // The namespace is compared as part of the name.
        meta.remove("namespace");
        meta.remove("creationTimestamp");
    }
    match object.kind.as_str() {
        "DaemonSet" | "Deployment" | "StatefulSet" | "Job" | "CronJob" | "Pod" | "Service" => {
            plain(&mut value, true);
            pod_defaults(value.pointer_mut("/spec/template/spec"));
        }
        "Role" | "ClusterRole" => {
            plain(&mut value, false);
            rules(&mut value);
        }
        "MutatingWebhookConfiguration"
        | "ValidatingWebhookConfiguration"
        | "APIService"
        | "CustomResourceDefinition" => {
            // Charts generate certificates anew at each rendering.
            without(&mut value, "caBundle");
            plain(&mut value, false);
        }
        // In data, and in resources that nobody here knows, an empty value may mean something.
        _ => nulls(&mut value),
    }
    value
}

/// The pod template as it decides whether pods restart.
pub fn template(object: &Object) -> Value {
    let mut template = object
        .value
        .pointer("/spec/template")
        .cloned()
        .unwrap_or_default();
    plain(&mut template, true);
    pod_defaults(template.get_mut("spec"));
    template
}

fn nulls(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(nulls),
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(nulls);
        }
        _ => {}
    }
}

/// Maps that are left out where they are empty. An empty object elsewhere may say something: `emptyDir: {}`.
const MAPS: &[&str] = &[
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "requests",
    "resources",
];

/// Fields whose keys are anybody's: nothing in them is a default.
const FREE: &[&str] = &["annotations", "labels", "matchLabels", "nodeSelector", "data"];

/// What the API server fills in where a manifest of a workload is silent
/// (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>).
fn is_default(key: &str, value: &Value) -> bool {
    match (key, value) {
        ("protocol", Value::String(text)) => text == "TCP",
        ("scheme", Value::String(text)) => text == "HTTP",
        ("terminationMessagePath", Value::String(text)) => text == "/dev/termination-log",
        ("terminationMessagePolicy", Value::String(text)) => text == "File",
        ("type" | "value" | "subPath", Value::String(text)) => text.is_empty(),
        ("successThreshold" | "timeoutSeconds", Value::Number(n)) => n.as_i64() == Some(1),
        ("periodSeconds", Value::Number(n)) => n.as_i64() == Some(10),
        ("failureThreshold", Value::Number(n)) => n.as_i64() == Some(3),
        ("initialDelaySeconds" | "hostPort" | "minReadySeconds", Value::Number(n)) => n.as_i64() == Some(0),
        ("defaultMode", Value::Number(n)) => n.as_i64() == Some(420),
        ("hostNetwork" | "hostPID" | "hostIPC" | "readOnly" | "stdin" | "tty", Value::Bool(on)) => !on,
        _ => false,
    }
}

/// Takes out what is empty, and with `defaults` what the API server would add.
fn plain(value: &mut Value, defaults: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| plain(item, defaults)),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match FREE.contains(&key.as_str()) {
                    true => nulls(value),
                    false => plain(value, defaults),
                }
            }
            map.retain(|key, value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(inner) => !inner.is_empty() || !MAPS.contains(&key.as_str()),
                other => !(defaults && is_default(key, other)),
            });
        }
        _ => {}
    }
}

/// Defaults that hold in one place of a pod only.
fn pod_defaults(spec: Option<&mut Value>) {
    let Some(spec) = spec.and_then(Value::as_object_mut) else {
        return;
    };
    let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_string);
    for (key, default) in [
        ("restartPolicy", "Always"),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ] {
        if text(spec, key).as_deref() == Some(default) {
            spec.remove(key);
        }
    }
    // The older name of the same.
    if let Some(account) = spec.remove("serviceAccount") {
        spec.entry("serviceAccountName").or_insert(account);
    }
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64) == Some(30) {
        spec.remove("terminationGracePeriodSeconds");
    }
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let image = text(container, "image").unwrap_or_default();
            let name = image.rsplit('/').next().unwrap_or_default();
            let tagged = name.contains(':') && !name.ends_with(":latest");
            let default = if tagged { "IfNotPresent" } else { "Always" };
            if text(container, "imagePullPolicy").as_deref() == Some(default) {
                container.remove("imagePullPolicy");
            }
        }
    }
}

/// Rules mean the same in any order.
fn rules(role: &mut Value) {
    let Some(rules) = role.get_mut("rules").and_then(Value::as_array_mut) else {
        return;
    };
    for rule in rules.iter_mut() {
        let lists = rule.as_object_mut().into_iter().flat_map(Map::values_mut);
        for list in lists.filter_map(Value::as_array_mut) {
            list.sort_by_key(Value::to_string);
        }
    }
    rules.sort_by_key(Value::to_string);
}

fn without(value: &mut Value, key: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, key)),
        Value::Object(map) => {
            map.remove(key);
            map.values_mut().for_each(|value| without(value, key));
        }
        _ => {}
    }
}
