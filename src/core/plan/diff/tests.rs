//! Differences by hand: small renderings, one thing different at a time.

use serde_json::{Value, json};

use super::*;
use crate::core::{cni, manifest};

const CILIUM: Option<&Cni> = Some(&cni::cilium::CILIUM);

/// A release as a chart renders it: agents, operator, envoy, their configuration.
const RELEASE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data: {enable-ipv4: "true", routing-mode: tunnel, mtu: "1450"}
---
apiVersion: v1
kind: Secret
metadata: {name: cilium-ca, namespace: kube-system}
data: {ca.key: Y2FuYXJ5}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system, labels: {helm.sh/chart: cilium-1.19.6}}
spec:
  selector: {matchLabels: {k8s-app: cilium}}
  updateStrategy: {type: RollingUpdate}
  template:
    metadata: {labels: {k8s-app: cilium}}
    spec:
      initContainers:
      - {name: config, image: 'quay.io/cilium/cilium:v1.19.6'}
      containers:
      - name: cilium-agent
        image: quay.io/cilium/cilium:v1.19.6
        args: [--debug-bind-port=1]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium-envoy, namespace: kube-system}
spec:
  template:
    metadata: {labels: {k8s-app: cilium-envoy}}
    spec:
      containers:
      - {name: cilium-envoy, image: 'quay.io/cilium/cilium-envoy:v1.36'}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cilium-operator, namespace: kube-system}
spec:
  replicas: 2
  template:
    metadata: {labels: {io.cilium/app: operator}}
    spec:
      containers:
      - {name: cilium-operator, image: 'quay.io/cilium/operator-generic:v1.19.6'}
      volumes:
      - {name: cilium-config-path, configMap: {name: cilium-config}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hubble-relay, namespace: kube-system}
spec:
  template:
    spec:
      containers:
      - {name: hubble-relay, image: 'quay.io/cilium/hubble-relay:v1.19.6'}
"#;

fn release() -> Vec<Value> {
    crate::yaml::documents(RELEASE).expect("YAML")
}

fn objects_of(documents: Vec<Value>) -> Vec<Object> {
    manifest::objects(documents)
}

/// The release with a change to it.
fn with(change: impl FnOnce(&mut Vec<Value>)) -> Vec<Object> {
    let mut documents = release();
    change(&mut documents);
    objects_of(documents)
}

fn named<'v>(documents: &'v mut [Value], kind: &str, name: &str) -> &'v mut Value {
    let found = documents
        .iter_mut()
        .find(|d| d["kind"] == kind && d["metadata"]["name"] == name);
    found.expect(name)
}

/// The diff of the release and the same after a change, rendered once.
fn after(change: impl FnOnce(&mut Vec<Value>)) -> Diff {
    let after = with(change);
    let before = objects_of(release());
    diff(&before, &[(Because::Default, &after)], "kube-system", CILIUM)
}

fn text(text: &str) -> Option<Content> {
    Some(Content::Text(text.into()))
}

fn names(subjects: &[Subject]) -> Vec<String> {
    subjects.iter().map(ToString::to_string).collect()
}

#[test]
fn the_same_is_no_difference() {
    let diff = after(|_| {});
    assert!(diff.is_empty());
    assert_eq!(diff.summary(), "nothing is different");
    assert_eq!(names(&diff.not_compared), ["secret/cilium-ca"]);
}

/// Scenario 52: what the API server would fill in, the order of keys, versions in labels, certificates made anew.
#[test]
fn what_means_nothing_is_no_difference() {
    let diff = after(|all| {
        let agent = named(all, "DaemonSet", "cilium");
        agent["metadata"]["labels"]["helm.sh/chart"] = json!("cilium-1.20.0");
        agent["metadata"]["creationTimestamp"] = Value::Null;
        let pod = &mut agent["spec"]["template"]["spec"];
        pod["restartPolicy"] = json!("Always");
        pod["dnsPolicy"] = json!("ClusterFirst");
        pod["nodeSelector"] = json!({});
        pod["tolerations"] = json!([]);
        pod["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        pod["containers"][0]["terminationMessagePolicy"] = json!("File");
        pod["containers"][0]["ports"] = Value::Null;
        named(all, "Secret", "cilium-ca")["data"]["ca.key"] = json!("YW5ldw==");
        // The namespace of the release, not written.
        let config = named(all, "ConfigMap", "cilium-config")["metadata"].as_object_mut();
        config.expect("metadata").remove("namespace");
        all.reverse();
    });
    assert!(diff.is_empty(), "{diff:#?}");
    assert_eq!(diff.relabelled, 1);
}

/// Nothing is looked into that is a Secret.
#[test]
fn scenario_41_secrets_are_left_out() {
    let diff = after(|all| {
        named(all, "Secret", "cilium-ca")["data"]["ca.key"] = json!("canary-a");
        all.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new"}, "stringData": {"a": "canary-b"}}));
        let config = named(all, "ConfigMap", "cilium-config");
        config["data"]["api-token"] = json!("canary-c");
        config["data"]["proxy"] = json!("http://me:canary-d@proxy.example");
        config["binaryData"] = json!({"blob": "canary-e"});
        config["data"]["certs"] = json!("canary-f\n".repeat(3));
        let agent = named(all, "DaemonSet", "cilium");
        agent["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "A", "value": "canary-g"}]);
    });
    assert!(!format!("{diff:?}").contains("canary"), "{diff:?}");
    assert_eq!(names(&diff.creates), ["secret/new"]);
    assert_eq!(names(&diff.not_compared), ["secret/cilium-ca"]);
    assert_eq!(
        names(&diff.changes),
        ["configmap/cilium-config", "daemonset/cilium"]
    );
    let of = |key: &str| {
        diff.settings
            .iter()
            .find(|s| s.key == key)
            .expect(key)
            .after
            .clone()
    };
    assert_eq!(of("api-token"), Some(Content::Hidden));
    assert_eq!(of("proxy"), Some(Content::Hidden));
    assert_eq!(of("certs"), Some(Content::Long("3 lines".into())));
    assert_eq!(of("blob"), Some(Content::Long("binary".into())));
}

#[test]
fn a_difference_belongs_to_the_last_stage_that_made_it() {
    let set = |pairs: &[(&str, &str)]| {
        with(|all| {
            let data = &mut named(all, "ConfigMap", "cilium-config")["data"];
            for (key, value) in pairs {
                data[*key] = json!(value);
            }
        })
    };
    let before = objects_of(release());
    let defaults = set(&[
        ("mtu", "0"),
        ("xds", "ads"),
        ("routing-mode", "native"),
        ("back", "x"),
    ]);
    let forced = set(&[
        ("mtu", "0"),
        ("xds", "sotw"),
        ("routing-mode", "native"),
        ("enable-ipv4", "false"),
    ]);
    let yours = set(&[
        ("mtu", "0"),
        ("xds", "sotw"),
        ("routing-mode", "geneve"),
        ("enable-ipv4", "false"),
    ]);
    let stages: [(Because, &[Object]); 3] = [
        (Because::Default, &defaults),
        (Because::Forced, &forced),
        (Because::Yours, &yours),
    ];
    let diff = super::diff(&before, &stages, "kube-system", CILIUM);
    let told: Vec<_> = diff
        .settings
        .iter()
        .map(|s| (s.key.as_str(), s.before.clone(), s.after.clone(), s.because))
        .collect();
    assert!(diff.attributed);
    assert_eq!(
        told,
        [
            ("enable-ipv4", text("true"), text("false"), Some(Because::Forced)),
            ("mtu", text("1450"), text("0"), Some(Because::Default)),
            (
                "routing-mode",
                text("tunnel"),
                text("geneve"),
                Some(Because::Yours)
            ),
            ("xds", None, text("sotw"), Some(Because::Forced)),
        ]
    );
    let alone = super::diff(&before, &stages[2..], "kube-system", CILIUM);
    assert!(!alone.attributed && alone.settings.iter().all(|s| s.because.is_none()));
    assert_eq!(super::diff(&before, &[], "kube-system", CILIUM), Diff::default());
}

#[test]
fn a_new_version_restarts_the_operator_then_the_agents_then_the_rest() {
    let mut diff = after(|all| {
        for document in all.iter_mut() {
            let whole = document
                .to_string()
                .replace("v1.19.6", "v1.20.0")
                .replace("v1.36", "v1.37");
            *document = serde_json::from_str(&whole).expect("JSON");
        }
        let agent = named(all, "DaemonSet", "cilium");
        agent["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--x"]);
        named(all, "ConfigMap", "cilium-config")["data"]["mtu"] = json!("0");
    });
    diff.count_pods(&|workload| (workload.kind == "DaemonSet").then_some(50));
    let told: Vec<(String, Part, Vec<Why>, Option<usize>)> = diff
        .restarts
        .iter()
        .map(|r| (r.workload.to_string(), r.part, r.why.clone(), r.pods))
        .collect();
    use Why::{Configuration, Image, Template};
    assert_eq!(
        told,
        [
            (
                "deployment/cilium-operator".into(),
                Part::Operator,
                vec![Image, Configuration],
                Some(2)
            ),
            (
                "daemonset/cilium".into(),
                Part::Agent,
                vec![Image, Configuration, Template],
                Some(50)
            ),
            (
                "daemonset/cilium-envoy".into(),
                Part::Beside,
                vec![Image],
                Some(50)
            ),
            (
                "deployment/hubble-relay".into(),
                Part::Other,
                vec![Image],
                Some(1)
            ),
        ]
    );
    assert_eq!(diff.inert, []);
    assert_eq!(diff.images.len(), 4);
    let agent = &diff.images[0];
    assert_eq!(agent.containers, ["config", "cilium-agent"]);
    assert_eq!(agent.before.as_deref(), Some("quay.io/cilium/cilium:v1.19.6"));
    assert_eq!(agent.after.as_deref(), Some("quay.io/cilium/cilium:v1.20.0"));
    assert_eq!(diff.summary(), "1 setting, 4 images, 4 workloads restart");
}

/// Scenario 46: only the ConfigMap is another; operator and agents would have to restart, in that order.
#[test]
fn scenario_46_configuration_that_nobody_would_read_is_told() {
    let diff = after(|all| named(all, "ConfigMap", "cilium-config")["data"]["debug"] = json!("true"));
    assert_eq!(diff.restarts, []);
    let [inert] = diff.inert.as_slice() else {
        panic!("{:?}", diff.inert)
    };
    assert_eq!(inert.config_map.to_string(), "configmap/cilium-config");
    assert_eq!(
        names(&inert.readers),
        ["deployment/cilium-operator", "daemonset/cilium"]
    );
    // A checksum in the template is what restarts them.
    let rolled = after(|all| {
        named(all, "ConfigMap", "cilium-config")["data"]["debug"] = json!("true");
        let agent = named(all, "DaemonSet", "cilium");
        agent["spec"]["template"]["metadata"]["annotations"] =
            json!({"cilium.io/cilium-configmap-checksum": "ab"});
    });
    assert_eq!(rolled.restarts.len(), 1);
    assert_eq!(rolled.restarts[0].why, [Why::Configuration]);
    assert_eq!(names(&rolled.inert[0].readers), ["deployment/cilium-operator"]);
}

#[test]
fn what_agents_read_anew_is_not_inert() {
    let both = |name: &str| {
        let map = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}});
        let mount = |all: &mut Vec<Value>, value: &str| {
            all.push(map(value));
            let agent = named(all, "DaemonSet", "cilium");
            agent["spec"]["template"]["spec"]["volumes"] =
                json!([{"name": "a", "configMap": {"name": name}}]);
        };
        let (before, after) = (with(|all| mount(all, "1")), with(|all| mount(all, "2")));
        diff(&before, &[(Because::Default, &after)], "kube-system", CILIUM)
    };
    assert_eq!(both("ip-masq-agent").inert, []);
    assert_eq!(both("another").inert.len(), 1);
}

/// Only the strategy is another: no pod restarts.
#[test]
fn a_strategy_restarts_nothing() {
    let diff = after(|all| {
        named(all, "DaemonSet", "cilium")["spec"]["updateStrategy"] = json!({"type": "OnDelete"})
    });
    assert_eq!(diff.restarts, []);
    assert_eq!(names(&diff.changes), ["daemonset/cilium"]);
    assert_eq!(diff.summary(), "1 object changed");
}

#[test]
fn objects_come_go_and_stay() {
    let definition = |name: &str, version: &str| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
               "spec": {"group": "example.org", "scope": "Cluster", "names": {"kind": "Pool", "plural": "pools"},
                        "versions": [{"name": version}]}})
    };
    let pool = |cidr: &str| json!({"apiVersion": "example.org/v1", "kind": "Pool", "metadata": {"name": "a"}, "spec": {"cidrs": [cidr, "b"], "nodes": [{"all": true}]}});
    let before = with(|all| {
        all.extend([
            definition("pools.example.org", "v1"),
            definition("old.example.org", "v1"),
            pool("1.0.0.0/8"),
        ]);
        all.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "stays", "annotations": {"helm.sh/resource-policy": "keep"}}}));
    });
    let after = with(|all| {
        all.retain(|d| d["metadata"]["name"] != "hubble-relay");
        all.extend([definition("pools.example.org", "v2"), pool("2.0.0.0/8")]);
        all.push(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}));
        // A hook is not in Helm's record, and is in what it renders.
        all.push(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "b", "annotations": {"helm.sh/hook": "post-upgrade"}}}));
    });
    let diff = diff(&before, &[(Because::Default, &after)], "kube-system", CILIUM);
    assert_eq!(
        diff.creates,
        [Subject::namespaced("ServiceAccount", "kube-system", "a")]
    );
    assert_eq!(
        names(&diff.removes),
        [
            "customresourcedefinition/old.example.org",
            "deployment/hubble-relay"
        ]
    );
    assert_eq!(names(&diff.keeps), ["configmap/stays"]);
    assert_eq!(
        names(&diff.changes),
        ["customresourcedefinition/pools.example.org", "pool/a"]
    );
    // A custom resource is configuration too: an operator reads it.
    let [setting] = diff.settings.as_slice() else {
        panic!("{:?}", diff.settings)
    };
    assert_eq!(setting.object, Subject::new("Pool", "a"));
    assert_eq!(setting.key, "spec.cidrs");
    assert_eq!(
        (&setting.before, &setting.after),
        (&text("1.0.0.0/8,b"), &text("2.0.0.0/8,b"))
    );
}

/// The operator alone is rendered: the agents follow it.
#[test]
fn agents_that_an_operator_makes_restart_by_it() {
    let operator = |version: &str| {
        objects_of(vec![json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "tigera-operator", "namespace": "tigera-operator"},
            "spec": {"template": {"spec": {"containers": [
                {"name": "tigera-operator", "image": format!("quay.io/tigera/operator:{version}")}]}}}})])
    };
    let calico = Some(&cni::calico::CALICO);
    let of = |to: &str| {
        let (before, after) = (operator("v1.40"), operator(to));
        diff(&before, &[(Because::Default, &after)], "tigera-operator", calico).by_operator
    };
    assert!(of("v1.42"));
    assert!(!of("v1.40"));
}
