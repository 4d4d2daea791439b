//! A capture as a Kubernetes List, and any List as a capture. Pure: documents in, documents out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Capture, Custom, NodeNames, PodRow, Resource, Source, State,
    object::{ConfigMap, FieldTime},
    pod::Pod,
};
use crate::core::text::Text;

/// The kind of our header item, and the API version of everything that is ours.
const HEADER: (&str, &str) = ("byocni.io/v1alpha1", "Capture");

/// The journal of changes and the Lease that locks them, both in kube-system.
pub const JOURNAL: &str = "kubectl-byocni";

/// The ConfigMaps that something is judged by, wherever they live. Only these are read, kept and captured.
pub const CONFIG_MAPS: &[&str] = &[
    "antrea-config",
    "calico-config",
    "canal-config",
    "cilium-config",
    "kube-flannel-cfg",
    "kube-proxy",
    "kube-router-cfg",
    "kubeadm-config",
    JOURNAL,
    "weave-net",
];

/// One core kind: how it is called, where it is kept.
struct Kind {
    api_version: &'static str,
    kind: &'static str,
    source: Source,
    add: fn(&mut Capture, Value) -> Result<(), String>,
    items: fn(&Capture) -> Vec<Value>,
}

/// Every kind that is read, but for the CNIs' own.
const KINDS: &[Kind] = &[
    Kind {
        api_version: "v1",
        kind: "Node",
        source: Source::Nodes,
        add: |c, v| push(&mut c.nodes, v, super::Node::trimmed),
        items: |c| values(&c.nodes),
    },
    Kind {
        api_version: "apps/v1",
        kind: "DaemonSet",
        source: Source::DaemonSets,
        add: |c, v| push(&mut c.daemon_sets, v, super::Workload::trimmed),
        items: |c| values(&c.daemon_sets),
    },
    Kind {
        api_version: "apps/v1",
        kind: "Deployment",
        source: Source::Deployments,
        add: |c, v| push(&mut c.deployments, v, super::Workload::trimmed),
        items: |c| values(&c.deployments),
    },
    Kind {
        api_version: "v1",
        kind: "Pod",
        source: Source::Pods,
        add: |c, v| push(&mut c.pods, v, Pod::trimmed),
        items: pods,
    },
    Kind {
        api_version: "v1",
        kind: "Service",
        source: Source::Services,
        add: |c, v| push(&mut c.services, v, |s| s),
        items: |c| values(&c.services),
    },
    Kind {
        api_version: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        source: Source::EndpointSlices,
        add: |c, v| push(&mut c.endpoint_slices, v, |s| s),
        items: |c| values(&c.endpoint_slices),
    },
    Kind {
        api_version: "v1",
        kind: "ConfigMap",
        source: Source::ConfigMaps,
        add: |c, v| {
            let map = config_map(v)?;
            if CONFIG_MAPS.iter().any(|name| map.meta.name == *name) {
                c.config_maps.push(map);
            }
            Ok(())
        },
        items: |c| values(&c.config_maps),
    },
    Kind {
        api_version: "v1",
        kind: "Event",
        source: Source::Events,
        add: |c, v| push(&mut c.events, v, |e| e),
        items: |c| values(&c.events),
    },
    Kind {
        api_version: "networking.k8s.io/v1",
        kind: "ServiceCIDR",
        source: Source::ServiceCidrs,
        add: |c, v| push(&mut c.service_cidrs, v, |s| s),
        items: |c| values(&c.service_cidrs),
    },
    Kind {
        api_version: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        source: Source::Crds,
        add: |c, v| push(&mut c.crds, v, |d| d),
        items: |c| values(&c.crds),
    },
    Kind {
        api_version: "meta.k8s.io/v1",
        kind: "PartialObjectMetadata",
        source: Source::Releases,
        add: |c, v| push(&mut c.releases, v, |r| r),
        items: |c| values(&c.releases),
    },
    Kind {
        api_version: "coordination.k8s.io/v1",
        kind: "Lease",
        source: Source::Lock,
        add: |c, v| {
            push(&mut c.leases, v, |lease: super::Lease| lease)?;
            c.leases.retain(|lease| lease.meta.name == JOURNAL);
            Ok(())
        },
        items: |c| values(&c.leases),
    },
    Kind {
        api_version: "admissionregistration.k8s.io/v1",
        kind: "ValidatingWebhookConfiguration",
        source: Source::ValidatingWebhooks,
        add: |c, v| push(&mut c.validating_webhooks, v, |w| w),
        items: |c| values(&c.validating_webhooks),
    },
    Kind {
        api_version: "admissionregistration.k8s.io/v1",
        kind: "MutatingWebhookConfiguration",
        source: Source::MutatingWebhooks,
        add: |c, v| push(&mut c.mutating_webhooks, v, |w| w),
        items: |c| values(&c.mutating_webhooks),
    },
    Kind {
        api_version: "v1",
        kind: "Namespace",
        source: Source::Namespaces,
        add: |c, v| push(&mut c.namespaces, v, |n| n),
        items: |c| values(&c.namespaces),
    },
];

/// Reads one object and keeps it, trimmed.
fn push<T: DeserializeOwned>(list: &mut Vec<T>, value: Value, trim: fn(T) -> T) -> Result<(), String> {
    list.push(trim(serde_json::from_value(value).map_err(|e| e.to_string())?));
    Ok(())
}

fn values<T: Serialize>(list: &[T]) -> Vec<Value> {
    list.iter()
        .filter_map(|item| serde_json::to_value(item).ok())
        .collect()
}

/// Pods in full, then a short Pod for every row that stands for no pod in full.
fn pods(capture: &Capture) -> Vec<Value> {
    let full: std::collections::HashSet<(&str, &str)> = capture
        .pods
        .iter()
        .map(|p| (p.meta.name.as_str(), p.spec.node_name.as_str()))
        .collect();
    let rows = capture
        .pod_rows
        .iter()
        .filter(|row| !full.contains(&(&*row.name, &*row.node)));
    let short: Vec<Pod> = rows.map(|row| row.to_pod(capture.taken_at)).collect();
    [values(&capture.pods), values(&short)].concat()
}

/// A ConfigMap with the times at which its data last changed, which every other kind goes without.
///
/// # Errors
/// Where the value has not a ConfigMap's shape.
pub fn config_map(mut value: Value) -> Result<ConfigMap, String> {
    let fields = value
        .pointer_mut("/metadata/managedFields")
        .map(Value::take)
        .unwrap_or_default();
    let mut map: ConfigMap = serde_json::from_value(value).map_err(|e| e.to_string())?;
    map.meta.managed_fields = changes_of_data(fields);
    Ok(map)
}

/// Who gave each key of a ConfigMap the value that it has, and when. What somebody did to labels and annotations alone is
/// none of it, as where Helm takes over what was applied by hand. Nor is an apply that repeats a value: whoever owned the
/// key before still does (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>), so of
/// several owners the earliest counts. Entries without fields, as in a capture of ours, stand for what they say.
fn changes_of_data(fields: Value) -> Vec<FieldTime> {
    let Value::Array(entries) = fields else {
        return vec![];
    };
    let mut all: Vec<FieldTime> = vec![];
    let mut by_key: BTreeMap<String, FieldTime> = BTreeMap::new();
    for mut entry in entries {
        let owned = entry.get_mut("fieldsV1").map(Value::take);
        let Ok(change) = serde_json::from_value::<FieldTime>(entry) else {
            continue;
        };
        let Some(owned) = owned else {
            all.push(change);
            continue;
        };
        for part in ["f:data", "f:binaryData"] {
            let keys = owned.get(part).and_then(Value::as_object);
            for key in keys.into_iter().flat_map(|keys| keys.keys()) {
                // The map itself is owned by whoever made it.
                if key != "." {
                    let first = by_key
                        .entry(format!("{part} {key}"))
                        .or_insert_with(|| change.clone());
                    let earlier = change.time.is_some_and(|t| first.time.is_none_or(|f| t < f));
                    if earlier {
                        first.clone_from(&change);
                    }
                }
            }
        }
    }
    for change in by_key.into_values() {
        if !all.contains(&change) {
            all.push(change);
        }
    }
    all
}

/// Makes a capture of the documents of one or several files.
///
/// A kind counts as read if there is one object of it, or if our own header says so. A CNI's own kinds that are not
/// there count as absent, as do ServiceCIDRs (ranges are then inferred) and CustomResourceDefinitions.
///
/// # Errors
/// In words, naming the item: where something is not a Kubernetes object, or one has not its kind's shape, or there
/// is nothing at all.
pub fn from_documents(documents: Vec<Value>, resources: &[&'static Resource]) -> Result<Capture, String> {
    let mut capture = Capture::new(Timestamp::UNIX_EPOCH);
    let mut newest = None;
    let mut header = None;
    let mut count = 0;
    for item in objects(documents)? {
        count += 1;
        let text = |key: &str| {
            item.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_string()
        };
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let name = item
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or("without a name")
            .to_string();
        if (api_version.as_str(), kind.as_str()) == HEADER {
            header = Some(item);
            continue;
        }
        latest_time(&item, &mut newest);
        add(&mut capture, &api_version, &kind, item, resources)
            .map_err(|why| Text::new(&format!("item {count} ({kind} {name}): {why}")).line(300))?;
    }
    if count == 0 {
        return Err("there is no Kubernetes object in it".into());
    }
    if !capture.pods.is_empty() {
        capture.states.insert(Source::CniPods, State::Read);
    }
    for source in [Source::ServiceCidrs, Source::Crds] {
        capture.states.entry(source).or_insert(State::Absent);
    }
    for resource in resources {
        capture
            .states
            .entry(Source::Custom(resource.name))
            .or_insert(State::Absent);
    }
    capture.taken_at = newest.unwrap_or(Timestamp::UNIX_EPOCH);
    if let Some(header) = header {
        read_header(&mut capture, &header, resources);
    }
    settle_pods(&mut capture);
    Ok(capture)
}

/// Lists within lists, typed lists of raw API answers included, as one stream of objects.
///
/// # Errors
/// In words, where a document is no Kubernetes object.
pub fn objects(documents: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut flat = vec![];
    for document in documents {
        let Value::Object(mut object) = document else {
            if document.is_null() {
                continue;
            }
            return Err(
                "it is not a Kubernetes object: a mapping with apiVersion and kind was expected".into(),
            );
        };
        let kind = object
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_string();
        let api_version = object.get("apiVersion").cloned().unwrap_or_default();
        // Lists are written by the alphabet: kind is among the last lines.
        if kind.is_empty() && object.contains_key("items") {
            return Err("it is a list without its kind: is the file cut short?".into());
        }
        if kind.is_empty() || !api_version.is_string() {
            return Err("it is not a Kubernetes object: apiVersion or kind is missing".into());
        }
        match (
            kind.strip_suffix("List"),
            object.get_mut("items").map(Value::take),
        ) {
            (Some(item_kind), Some(Value::Array(items))) => {
                for mut item in items {
                    if item_kind.is_empty() {
                        flat.extend(objects(vec![item])?);
                        continue;
                    }
                    // Items of a typed list carry no kind of their own.
                    if let Value::Object(item) = &mut item {
                        item.entry("kind").or_insert(json!(item_kind));
                        item.entry("apiVersion").or_insert(api_version.clone());
                    }
                    flat.push(item);
                }
            }
            (Some(_), Some(Value::Null) | None) => {}
            _ => flat.push(Value::Object(object)),
        }
    }
    Ok(flat)
}

/// Puts one object where it belongs; kinds that nothing is judged by are passed over.
fn add(
    capture: &mut Capture,
    api_version: &str,
    kind: &str,
    item: Value,
    resources: &[&'static Resource],
) -> Result<(), String> {
    let group = |version: &str| {
        version
            .rsplit_once('/')
            .map(|(group, _)| group.to_string())
            .unwrap_or_default()
    };
    let known = KINDS
        .iter()
        .find(|k| k.kind == kind && group(k.api_version) == group(api_version));
    if let Some(known) = known {
        capture.states.insert(known.source, State::Read);
        return (known.add)(capture, item);
    }
    if kind == "Secret" {
        // Only the metadata of Helm's own records; what a Secret holds is never looked at.
        let of_helm = item.pointer("/metadata/labels/owner").and_then(Value::as_str) == Some("helm");
        return if of_helm {
            push(&mut capture.releases, item, |r| r)
        } else {
            Ok(())
        };
    }
    if let Some(resource) = resources
        .iter()
        .find(|r| r.kind == kind && r.group == group(api_version))
    {
        capture.states.insert(Source::Custom(resource.name), State::Read);
        let object: Custom = serde_json::from_value(item).map_err(|e| e.to_string())?;
        capture
            .custom
            .entry(resource.name)
            .or_default()
            .push(object.trimmed(resource));
    }
    Ok(())
}

/// Our own header knows what the objects cannot say: what was read and found empty, what was not allowed, and when.
fn read_header(capture: &mut Capture, header: &Value, resources: &[&'static Resource]) {
    let text = |key: &str| header.get(key).and_then(Value::as_str);
    capture.own = true;
    capture.server_version = text("serverVersion").map(Text::new);
    capture.server = text("server").map(Text::new);
    if let Some(time) = text("takenAt").and_then(|t| t.parse().ok()) {
        capture.taken_at = time;
    }
    let custom = resources.iter().map(|r| Source::Custom(r.name));
    for source in Source::ALL.iter().copied().chain(custom) {
        let state = header.pointer("/read").and_then(|read| read.get(source.key()));
        if let Some(state) = state.and_then(|s| serde_json::from_value::<State>(s.clone()).ok()) {
            capture.states.insert(source, harmless(state));
        }
    }
}

/// A state whose words have passed the sanitizer.
fn harmless(state: State) -> State {
    let clean = |words: String| Text::new(&words).line(300);
    match state {
        State::Forbidden { right } => State::Forbidden { right: clean(right) },
        State::Failed { why } => State::Failed { why: clean(why) },
        other => other,
    }
}

/// Every pod is a row; pods without containers were rows of a capture of ours and are nothing else.
fn settle_pods(capture: &mut Capture) {
    let mut names = NodeNames::default();
    capture.pod_rows = capture
        .pods
        .iter()
        .filter_map(|pod| PodRow::of(pod, &mut names))
        .collect();
    if capture.own {
        capture.pods.retain(|pod| !pod.spec.containers.is_empty());
    }
}

/// Keeps the newest time that is written anywhere in `value`. Only whole RFC 3339 times count.
fn latest_time(value: &Value, newest: &mut Option<Timestamp>) {
    match value {
        Value::String(text) if (20..=35).contains(&text.len()) && text.as_bytes().get(10) == Some(&b'T') => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *newest = (*newest).max(Some(time));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| latest_time(item, newest)),
        Value::Object(map) => map.values().for_each(|item| latest_time(item, newest)),
        _ => {}
    }
}

/// The capture as a plain Kubernetes List, our header first.
pub fn to_list(capture: &Capture, resources: &[&'static Resource]) -> Value {
    let read: serde_json::Map<String, Value> = capture
        .states
        .iter()
        .filter_map(|(source, state)| Some((source.key().to_string(), serde_json::to_value(state).ok()?)))
        .collect();
    let mut items = vec![json!({
        "apiVersion": HEADER.0,
        "kind": HEADER.1,
        "metadata": { "name": "capture" },
        "takenAt": capture.taken_at.to_string(),
        "server": capture.server,
        "serverVersion": capture.server_version,
        "read": read,
    })];
    for kind in KINDS {
        items.extend(
            (kind.items)(capture)
                .into_iter()
                .map(|v| typed(v, kind.api_version, kind.kind)),
        );
    }
    for resource in resources {
        let api_version = format!(
            "{}/{}",
            resource.group,
            resource.versions.first().unwrap_or(&"v1")
        );
        let objects = values(capture.custom(resource));
        items.extend(objects.into_iter().map(|v| typed(v, &api_version, resource.kind)));
    }
    json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items })
}

/// An object with its type in front.
fn typed(value: Value, api_version: &str, kind: &str) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("apiVersion".into(), json!(api_version));
    object.insert("kind".into(), json!(kind));
    if let Value::Object(rest) = value {
        object.extend(rest);
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(entries: &Value) -> Vec<(String, String)> {
        let map = config_map(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cilium-config", "namespace": "kube-system", "managedFields": entries},
            "data": {"debug": "false", "mtu": "0"},
        }));
        let fields = map.expect("a ConfigMap").meta.managed_fields;
        let of = |f: &FieldTime| {
            (
                f.manager.to_string(),
                f.time.map(|t| t.to_string()).unwrap_or_default(),
            )
        };
        fields.iter().map(of).collect()
    }

    fn entry(manager: &str, time: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields})
    }

    fn at(manager: &str, time: &str) -> (String, String) {
        (manager.to_string(), time.to_string())
    }

    const EARLY: &str = "2026-11-10T09:00:00Z";
    const LATE: &str = "2026-11-21T07:00:00Z";

    #[test]
    fn who_changes_annotations_alone_changed_no_data() {
        let data = json!({"f:data": {".": {}, "f:debug": {}, "f:mtu": {}}});
        let marks = json!({"f:metadata": {"f:annotations": {"f:meta.helm.sh/release-name": {}}}});
        let entries = json!([
            entry("kubectl-client-side-apply", EARLY, &data),
            entry("helm", LATE, &marks)
        ]);
        assert_eq!(changed(&entries), [at("kubectl-client-side-apply", EARLY)]);
    }

    #[test]
    fn who_applies_the_same_value_again_changed_nothing() {
        let data = json!({"f:data": {"f:debug": {}, "f:mtu": {}}});
        let entries = json!([entry("helm", LATE, &data), entry("kubectl", EARLY, &data)]);
        assert_eq!(changed(&entries), [at("kubectl", EARLY)]);
        // Had helm changed it, kubectl would own it no more.
        let one = json!({"f:data": {"f:debug": {}}});
        let entries = json!([entry("helm", LATE, &data), entry("kubectl", EARLY, &one)]);
        assert_eq!(changed(&entries), [at("kubectl", EARLY), at("helm", LATE)]);
    }

    #[test]
    fn entries_without_fields_stand_for_what_they_say() {
        let entries = json!([{"manager": "helm", "time": EARLY}, {"manager": "kubectl-edit", "time": LATE}]);
        assert_eq!(changed(&entries), [at("helm", EARLY), at("kubectl-edit", LATE)]);
        assert_eq!(changed(&Value::Null), []);
    }
}
