//! What taking over a CNI that is there changes: its objects as they stand against what the chart renders.
//!
//! What stands was filled in by the API server and by controllers, and says more than any chart does. Compared is what
//! the chart speaks of: the rest is left out, but for keys of a ConfigMap, which agents read one and all.

use serde_json::{Map, Value};

use super::{
    diff::{self, Diff},
    upgrade::Frozen,
};
use crate::core::{cni::Cni, finding::Finding, manifest::Object, text::Text};

/// The objects of the rendering that can be compared: what Secrets hold is not looked at, definitions of custom
/// resources are not Helm's to change, and hooks are not part of a release.
pub fn comparable(rendered: &[Object]) -> Vec<&Object> {
    let hook = |object: &Object| {
        object
            .value
            .pointer("/metadata/annotations")
            .is_some_and(|annotations| annotations.get("helm.sh/hook").is_some())
    };
    rendered
        .iter()
        .filter(|o| !matches!(o.kind.as_str(), "Secret" | "CustomResourceDefinition") && !hook(o))
        .collect()
}

/// An object that stands, as far as the `rendered` one of its name speaks of it.
pub fn standing(rendered: &Object, stands: &Value) -> Object {
    let mut value = spoken_of(&rendered.value, stands);
    if rendered.kind == "ConfigMap" {
        for part in ["data", "binaryData"] {
            if let Some(all) = stands.get(part) {
                value[part] = all.clone();
            }
        }
    }
    Object {
        value,
        ..rendered.clone()
    }
}

/// What is different where `stands` are the objects that are there, as [`standing`] gives them. `rendered` is all that
/// the chart renders, `namespace` the release's.
pub fn compare(stands: &[Object], rendered: &[Object], namespace: &str, cni: Option<&'static Cni>) -> Diff {
    let new: Vec<Object> = comparable(rendered).into_iter().cloned().collect();
    let mut diff = diff::diff(stands, &[(diff::Because::Default, &new)], namespace, cni);
    diff.not_compared = rendered
        .iter()
        .filter(|object| object.kind == "Secret")
        .map(Object::subject)
        .collect();
    diff.not_compared.sort();
    diff
}

/// What would change of the CNI's configuration and must not while pods run: the same rows that hold for an upgrade, by
/// the keys of the CNI's ConfigMap.
pub fn findings(stands: &[Object], rendered: &[Object], cni: &'static Cni) -> Vec<Finding> {
    let Some(rules) = cni.installing.map(|installing| installing.upgrading) else {
        return vec![];
    };
    let map = |objects: &[Object]| -> Option<Value> {
        let of_cni = |o: &&Object| o.kind == "ConfigMap" && cni.config_map == Some(o.name.as_str());
        objects
            .iter()
            .find(of_cni)
            .and_then(|o| o.value.get("data").cloned())
    };
    let (Some(was), Some(becomes)) = (map(stands), map(rendered)) else {
        return vec![];
    };
    let of = |rule: &'static Frozen| -> Option<Finding> {
        let (was, becomes) = (said(&was, rule)?, said(&becomes, rule)?);
        if was == becomes || (rule.grows && words(&becomes).starts_with(&words(&was))) {
            return None;
        }
        let clean = |text: &str| Text::new(text).line(200);
        Some(Finding::new(
            rule.code,
            vec![],
            format!(
                "{} ({}) is {} and would become {}: {}",
                rule.what,
                rule.key,
                clean(&was),
                clean(&becomes),
                rule.why
            ),
            format!(
                "kubectl byocni install {} --take-ownership --set-json '{}={}' keeps what is in force",
                cni.id,
                rule.key,
                clean(&as_value(rule, &was).to_string())
            ),
        ))
    };
    rules.frozen.iter().filter_map(of).collect()
}

/// What a ConfigMap says of a rule's subject.
fn said(data: &Value, rule: &Frozen) -> Option<String> {
    let text = data.get(rule.configured).and_then(Value::as_str)?;
    if rule.within.is_empty() {
        return Some(text.trim().to_string());
    }
    let document: Value = serde_json::from_str(text).ok()?;
    match document.pointer(rule.within)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn words(text: &str) -> Vec<&str> {
    let between = |c: char| c == ',' || c.is_whitespace();
    text.split(between).filter(|word| !word.is_empty()).collect()
}

/// What is in force, as a value for the chart.
fn as_value(rule: &Frozen, was: &str) -> Value {
    match () {
        () if rule.grows => words(was).into_iter().map(Value::from).collect(),
        () => match serde_json::from_str(was) {
            Ok(plain @ (Value::Number(_) | Value::Bool(_))) => plain,
            _ => was.into(),
        },
    }
}

/// The part of `stands` that `rendered` speaks of.
fn spoken_of(rendered: &Value, stands: &Value) -> Value {
    match (rendered, stands) {
        (Value::Object(wanted), Value::Object(there)) => {
            let mut part = Map::new();
            for (key, wanted) in wanted {
                match there.get(key) {
                    Some(there) => part.insert(key.clone(), spoken_of(wanted, there)),
                    // What is empty is not stored.
                    None if is_empty(wanted) => part.insert(key.clone(), wanted.clone()),
                    None => None,
                };
            }
            Value::Object(part)
        }
        (Value::Array(wanted), Value::Array(there)) => items(wanted, there),
        // `cpu: 1` is stored as text.
        (Value::Number(_) | Value::Bool(_), Value::String(text))
            if serde_json::from_str::<Value>(text).is_ok_and(|stored| stored == *rendered) =>
        {
            rendered.clone()
        }
        _ => stands.clone(),
    }
}

/// Items by what names them, in the order of the rendering; what is there besides comes last. Without names, side by
/// side.
fn items(wanted: &[Value], there: &[Value]) -> Value {
    let named = ["mountPath", "containerPort", "name", "key"]
        .into_iter()
        .find(|key| wanted.iter().chain(there).all(|item| item.get(key).is_some()));
    let Some(key) = named else {
        return match wanted.len() == there.len() {
            true => wanted.iter().zip(there).map(|(w, t)| spoken_of(w, t)).collect(),
            false => there.to_vec().into(),
        };
    };
    let mut part = vec![];
    for item in wanted {
        let same = there.iter().find(|other| other.get(key) == item.get(key));
        part.extend(same.map(|other| spoken_of(item, other)));
    }
    let besides = there
        .iter()
        .filter(|other| wanted.iter().all(|item| item.get(key) != other.get(key)));
    part.extend(besides.cloned());
    part.into()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::cni::{cilium::CILIUM, flannel::FLANNEL};

    fn object(value: Value) -> Object {
        Object::of(value).expect("an object")
    }

    fn agents() -> Object {
        object(json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "cilium", "namespace": "kube-system", "labels": {"k8s-app": "cilium"}},
            "spec": {"template": {"metadata": {"labels": {"k8s-app": "cilium"}}, "spec": {
                "hostNetwork": true, "hostPID": false, "nodeSelector": {},
                "containers": [{
                    "name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.19.6",
                    "resources": {"limits": {"cpu": 1}},
                    "volumeMounts": [{"name": "run", "mountPath": "/a"}, {"name": "run", "mountPath": "/b"}],
                }],
                "tolerations": [{"operator": "Exists"}],
            }}},
        }))
    }

    /// The same as the API server stores it.
    fn stored() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "cilium", "namespace": "kube-system", "uid": "1", "resourceVersion": "7",
                "annotations": {"deprecated.daemonset.template.generation": "1"}, "labels": {"k8s-app": "cilium"}},
            "spec": {"revisionHistoryLimit": 10, "template": {"metadata": {"labels": {"k8s-app": "cilium"}}, "spec": {
                "hostNetwork": true, "dnsPolicy": "ClusterFirst", "securityContext": {},
                "containers": [{
                    "name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.19.6", "imagePullPolicy": "IfNotPresent",
                    "resources": {"limits": {"cpu": "1"}}, "terminationMessagePath": "/dev/termination-log",
                    "volumeMounts": [{"name": "run", "mountPath": "/b"}, {"name": "run", "mountPath": "/a"}],
                }],
                "tolerations": [{"operator": "Exists"}],
            }}},
            "status": {"numberReady": 3},
        })
    }

    fn config(data: Value) -> Object {
        object(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cilium-config", "namespace": "kube-system"}, "data": data}))
    }

    fn compared(stands: &[(&Object, Value)], rendered: &[Object]) -> Diff {
        let stands: Vec<Object> = stands.iter().map(|(of, value)| standing(of, value)).collect();
        compare(&stands, rendered, "kube-system", Some(&CILIUM))
    }

    #[test]
    fn what_the_server_filled_in_is_no_difference() {
        let agents = agents();
        let diff = compared(&[(&agents, stored())], std::slice::from_ref(&agents));
        assert!(diff.is_empty(), "{diff:#?}");
        // Nor is what it drops, whatever the kind: lists and maps that say nothing.
        let account = object(json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "cilium", "namespace": "kube-system", "annotations": {}}, "imagePullSecrets": []}));
        let there = json!({"kind": "ServiceAccount", "metadata": {"name": "cilium", "uid": "2"}});
        let diff = compared(&[(&account, there)], std::slice::from_ref(&account));
        assert!(diff.is_empty(), "{diff:#?}");
    }

    #[test]
    fn what_the_chart_says_otherwise_is_one() {
        let agents = agents();
        for (pointer, value) in [
            (
                "/spec/template/spec/containers/0/image",
                json!("quay.io/cilium/cilium:v1.18.0"),
            ),
            ("/spec/template/spec/hostNetwork", json!(false)),
            ("/spec/template/spec/tolerations", json!([])),
            (
                "/spec/template/spec/containers/0/volumeMounts",
                json!([{"name": "run", "mountPath": "/a"}, {"name": "run", "mountPath": "/b"}, {"name": "own", "mountPath": "/c"}]),
            ),
        ] {
            let mut there = stored();
            *there.pointer_mut(pointer).expect(pointer) = value;
            let diff = compared(&[(&agents, there)], std::slice::from_ref(&agents));
            assert_eq!(diff.restarts.len(), 1, "{pointer}: {diff:#?}");
        }
    }

    #[test]
    fn every_key_of_the_configuration_counts_and_what_is_not_there_comes() {
        let rendered = [
            config(json!({"debug": "false", "ipam": "cluster-pool"})),
            agents(),
            object(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certs"}})),
        ];
        let there =
            json!({"kind": "ConfigMap", "data": {"debug": "true", "ipam": "cluster-pool", "own": "x"}});
        let diff = compared(&[(&rendered[0], there)], &rendered);
        let keys: Vec<&str> = diff.settings.iter().map(|s| s.key.as_str()).collect();
        assert_eq!(keys, ["debug", "own"]);
        let names = |all: &[crate::core::finding::Subject]| -> Vec<String> {
            all.iter().map(|s| s.name.clone()).collect()
        };
        assert_eq!(names(&diff.creates), ["cilium"]);
        assert_eq!(names(&diff.not_compared), ["certs"]);
    }

    fn forbidden(was: Value, becomes: Value) -> Vec<(&'static str, String)> {
        let found = findings(&[config(was)], &[config(becomes)], &CILIUM);
        found.into_iter().map(|f| (f.code.slug, f.fix)).collect()
    }

    #[test]
    fn what_must_not_change_while_pods_run_is_refused_with_what_keeps_it() {
        let healthy = json!({"ipam": "cluster-pool", "cluster-pool-ipv4-cidr": "10.1.0.0/16", "cluster-pool-ipv4-mask-size": "24",
            "routing-mode": "tunnel", "tunnel-protocol": "vxlan", "cluster-id": "0", "debug": "false"});
        assert_eq!(forbidden(healthy.clone(), healthy.clone()), []);
        for (key, value, slug, keeps) in [
            (
                "ipam",
                "kubernetes",
                "ipam-mode-change",
                "'ipam.mode=\"cluster-pool\"'",
            ),
            (
                "cluster-pool-ipv4-cidr",
                "10.244.0.0/16",
                "pool-element-changed",
                "'ipam.operator.clusterPoolIPv4PodCIDRList=[\"10.1.0.0/16\"]'",
            ),
            (
                "cluster-pool-ipv4-mask-size",
                "26",
                "mask-size-change",
                "'ipam.operator.clusterPoolIPv4MaskSize=24'",
            ),
            (
                "tunnel-protocol",
                "geneve",
                "encapsulation-change",
                "'tunnelProtocol=\"vxlan\"'",
            ),
            ("cluster-id", "3", "live-change-forbidden", "'cluster.id=0'"),
        ] {
            let mut becomes = healthy.clone();
            becomes[key] = value.into();
            let found = forbidden(healthy.clone(), becomes);
            assert_eq!(found.len(), 1, "{key}: {found:?}");
            assert_eq!(found[0].0, slug);
            assert!(found[0].1.contains(keeps), "{}", found[0].1);
        }
        // What is added at the end takes nothing away; other settings are the user's to change.
        let mut more = healthy.clone();
        more["cluster-pool-ipv4-cidr"] = "10.1.0.0/16 10.2.0.0/16".into();
        more["debug"] = "true".into();
        assert_eq!(forbidden(healthy.clone(), more.clone()), []);
        assert_eq!(forbidden(more, healthy).len(), 1);
    }

    #[test]
    fn flannels_network_is_read_from_its_document() {
        let net = |network: &str, kind: &str| {
            let text = json!({"Network": network, "Backend": {"Type": kind}}).to_string();
            object(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-flannel-cfg"},
                "data": {"net-conf.json": text}}),
            )
        };
        let was = [net("10.244.0.0/16", "vxlan")];
        let slugs = |becomes: Object| -> Vec<&str> {
            let found = findings(&was, &[becomes], &FLANNEL);
            found.into_iter().map(|f| f.code.slug).collect()
        };
        assert!(slugs(net("10.244.0.0/16", "vxlan")).is_empty());
        assert_eq!(slugs(net("10.1.0.0/16", "vxlan")), ["pool-element-changed"]);
        assert_eq!(slugs(net("10.244.0.0/16", "host-gw")), ["encapsulation-change"]);
    }
}
