//! Plans by hand for the tests of this room and of the renderers: a cluster from `tests/scenarios/bases`, a chart and
//! what it renders, cut down to what the rules look at.

use serde_json::{Value, json};

use super::{Draft, Inputs, Origin, Plan, PlannedValue, Request, Surroundings, install};
use crate::core::{
    capture::{Capture, file},
    chart::Chart,
    cni,
    code::Change,
    facts::{Asked, Facts},
    judge,
    manifest::{self, Object},
};

/// The clusters, by name.
const BASES: &[(&str, &str)] = &[
    (
        "azure-cilium-managed",
        include_str!("../../../tests/scenarios/bases/azure-cilium-managed.yaml"),
    ),
    (
        "calico-healthy",
        include_str!("../../../tests/scenarios/bases/calico-healthy.yaml"),
    ),
    (
        "cilium-healthy",
        include_str!("../../../tests/scenarios/bases/cilium-healthy.yaml"),
    ),
    (
        "flannel-healthy",
        include_str!("../../../tests/scenarios/bases/flannel-healthy.yaml"),
    ),
    (
        "fresh-aks",
        include_str!("../../../tests/scenarios/bases/fresh-aks.yaml"),
    ),
    ("k3s", include_str!("../../../tests/scenarios/bases/k3s.yaml")),
    ("kind", include_str!("../../../tests/scenarios/bases/kind.yaml")),
    (
        "kubenet",
        include_str!("../../../tests/scenarios/bases/kubenet.yaml"),
    ),
    (
        "unknown-cni",
        include_str!("../../../tests/scenarios/bases/unknown-cni.yaml"),
    ),
];

/// An install of Cilium 1.19.6 that nothing stands against, on a cluster to be changed.
pub(crate) struct Case {
    pub objects: Vec<Value>,
    pub request: Request,
    pub chart: Chart,
    pub crd_charts: Vec<Chart>,
    pub draft: Draft,
    pub rendered: Option<Vec<Object>>,
    pub surroundings: Surroundings,
    pub context: Option<&'static str>,
}

/// A chart of this name and version.
pub(crate) fn chart(name: &str, version: &str) -> Chart {
    Chart {
        name: name.into(),
        version: version.into(),
        app_version: version.into(),
        kube_version: None,
        digest: "sha256:2f6e1e2a5f0c7b9d4a8e3c1b6d7f8a90b1c2d3e4f5061728394a5b6c7d8e9f00".into(),
        source: "https://helm.cilium.io".into(),
        values: json!({}),
        values_text: String::new(),
        schema: None,
        crds: vec![],
    }
}

/// What the chart renders, cut down; the operator's tolerations are those of 1.19.
const RENDERED: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: cilium, namespace: kube-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cilium-operator, namespace: kube-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cilium}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system, labels: {k8s-app: cilium}}
spec:
  selector: {matchLabels: {k8s-app: cilium}}
  template:
    metadata: {labels: {k8s-app: cilium}}
    spec:
      hostNetwork: true
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{operator: Exists}]
      containers:
      - name: cilium-agent
        image: quay.io/cilium/cilium:v1.19.6
        startupProbe: {failureThreshold: 300, periodSeconds: 2}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cilium-operator, namespace: kube-system, labels: {io.cilium/app: operator}}
spec:
  replicas: 2
  selector: {matchLabels: {io.cilium/app: operator}}
  template:
    metadata: {labels: {io.cilium/app: operator}}
    spec:
      hostNetwork: true
      nodeSelector: {kubernetes.io/os: linux}
      tolerations:
      - {key: node-role.kubernetes.io/control-plane, operator: Exists}
      - {key: node.kubernetes.io/not-ready, operator: Exists}
      - {key: node.cilium.io/agent-not-ready, operator: Exists}
      containers:
      - {name: cilium-operator, image: 'quay.io/cilium/operator-generic:v1.19.6'}
---
apiVersion: batch/v1
kind: Job
metadata: {name: farewell, namespace: kube-system, annotations: {helm.sh/hook: pre-delete}}
"#;

fn documents(text: &str) -> Vec<Value> {
    crate::yaml::documents(text).expect("YAML")
}

fn value(key: &str, value: Value, origin: Origin, reason: &str) -> PlannedValue {
    PlannedValue {
        key: key.into(),
        value: Some(value),
        origin,
        reason: reason.into(),
    }
}

impl Case {
    /// On one of the bases.
    pub fn on(base: &str) -> Case {
        let text = BASES.iter().find(|(name, _)| *name == base).expect(base).1;
        let objects = manifest::objects(documents(text)).into_iter();
        Case {
            objects: objects.map(|o| o.value).collect(),
            request: Request {
                change: Change::Install,
                cni: Some(&cni::cilium::CILIUM),
                pod_cidrs: vec![],
                user_values: json!({}),
                namespace: None,
                timeout: None,
                take_ownership: false,
                assume_byocni: false,
                no_rollback: false,
            },
            chart: chart("cilium", "1.19.6"),
            crd_charts: vec![],
            draft: Draft {
                namespace: "kube-system".into(),
                release: "cilium".into(),
                values: json!({"aksbyocni": {"enabled": true}, "operator": {"replicas": 2}}),
                reasons: vec![
                    value(
                        "operator.replicas",
                        json!(2),
                        Origin::Cluster,
                        "3 nodes: two, so that one can go",
                    ),
                    value(
                        "aksbyocni.enabled",
                        json!(true),
                        Origin::Cluster,
                        "AKS made with --network-plugin none",
                    ),
                    value(
                        "ipam.operator.clusterPoolIPv4PodCIDRList",
                        json!(["10.244.0.0/16"]),
                        Origin::Cluster,
                        "kube-proxy's cluster CIDR; apart from services, nodes and reserved ranges",
                    ),
                    value(
                        "ipam.operator.clusterPoolIPv4MaskSize",
                        json!(24),
                        Origin::Default,
                        "254 addresses a node, for at most 250 pods",
                    ),
                    PlannedValue {
                        value: None,
                        ..value(
                            "hubble.tls.server",
                            Value::Null,
                            Origin::User,
                            "given with --values",
                        )
                    },
                ],
                pools: vec!["10.244.0.0/16".parse().expect("a CIDR")],
                masks: vec![24],
                findings: vec![],
            },
            rendered: Some(manifest::objects(documents(RENDERED))),
            surroundings: Surroundings::default(),
            context: Some("aks-prod"),
        }
    }

    /// Another object in the cluster.
    pub fn add(mut self, object: Value) -> Self {
        self.objects.push(object);
        self
    }

    /// Merges into every object of a kind whose name begins so; lists are replaced whole.
    pub fn merge(mut self, kind: &str, name: &str, patch: &Value) -> Self {
        let mut met = 0;
        for object in &mut self.objects {
            let named = object["metadata"]["name"]
                .as_str()
                .is_some_and(|n| n.starts_with(name));
            if object["kind"] == kind && named {
                merge(object, patch);
                met += 1;
            }
        }
        assert!(met > 0, "no {kind} {name}");
        self
    }

    /// The same without some objects.
    pub fn without(mut self, kind: &str, name: &str) -> Self {
        let before = self.objects.len();
        self.objects.retain(|o| {
            o["kind"] != kind
                || o["metadata"]["name"]
                    .as_str()
                    .is_none_or(|n| !n.starts_with(name))
        });
        assert!(self.objects.len() < before, "no {kind} {name}");
        self
    }

    /// Changes anything else.
    pub fn with(mut self, change: impl FnOnce(&mut Case)) -> Self {
        change(&mut self);
        self
    }

    /// The capture.
    fn capture(&self) -> Capture {
        let mut capture = file::from_documents(self.objects.clone(), &cni::resources()).expect("a cluster");
        capture.context = self.context.map(Into::into);
        capture
    }

    /// The plan.
    pub fn plan(&self) -> Plan {
        let (capture, asked) = (self.capture(), Asked::default());
        install(Inputs {
            facts: &Facts::of(&capture, &asked),
            report: &judge::report(&capture, &asked, &|_| true),
            chart: &self.chart,
            crd_charts: &self.crd_charts,
            request: &self.request,
            draft: self.draft.clone(),
            rendered: self.rendered.as_deref(),
            surroundings: self.surroundings.clone(),
        })
    }

    /// The slugs of the findings that are the plan's own, in order.
    pub fn own(&self) -> Vec<&'static str> {
        let plan = self.plan();
        let own = plan.findings.len() - plan.before;
        plan.findings[..own].iter().map(|f| f.code.slug).collect()
    }

    /// The message of the plan's first finding of a code.
    pub fn says(&self, slug: &str) -> String {
        let plan = self.plan();
        let finding = plan.findings.iter().find(|f| f.code.slug == slug);
        finding
            .unwrap_or_else(|| panic!("no {slug}: {:?}", self.own()))
            .message
            .clone()
    }
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}
