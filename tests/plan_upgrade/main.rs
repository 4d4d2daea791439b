//! What is planned for a CNI that is there: hops, values carried over, what must not change, and the plan of a hop or
//! of a rollback, over captures in files. Charts are small ones, and the real ones where there is a folder of them.
#![allow(missing_docs, reason = "a test")]

#[path = "../plan_values/archives.rs"]
mod archives;
mod back;
mod charts;
mod frozen;
#[path = "../scenarios/harness.rs"]
#[allow(dead_code, reason = "scenarios use more of it")]
mod harness;
mod hops;
mod plans;
mod pools;
#[path = "../clusters/programs.rs"]
#[allow(dead_code, reason = "clusters use more of it")]
mod programs;
#[path = "../plan_values/small.rs"]
mod small;
mod values;

use kubectl_byocni::core::{
    capture::{Capture, file},
    chart::{Chart, Offered},
    cni::{self, Cni, calico::CALICO, cilium::CILIUM, flannel::FLANNEL},
    code::Change,
    facts::{Asked, Facts},
    judge,
    manifest::{self, Object},
    plan::{
        Draft, Inputs, Installed, Plan, Request, Surroundings,
        assemble::SETTLE,
        blocks, set, tree,
        upgrade::{self, Extra},
    },
    revision::Recorded,
    rollout::{self, Candidate, Settings},
};
use serde_json::{Value, json};

/// A release on a cluster, and what is done with it.
#[derive(Clone)]
pub struct Case {
    pub objects: Vec<Value>,
    pub cni: &'static Cni,
    pub from: Recorded,
    pub chart: Chart,
    pub user: Value,
    pub first: Option<&'static str>,
    pub change: Change,
    pub back_to: Option<Recorded>,
    pub offered: Vec<Offered>,
    pub rendered: Option<Vec<Object>>,
    pub surroundings: Surroundings,
    pub by_us: bool,
    pub server: &'static str,
}

/// A revision that is deployed.
pub fn recorded(revision: i64, chart: Chart, values: Value) -> Recorded {
    Recorded {
        revision,
        status: "deployed".into(),
        description: "Install complete".into(),
        chart,
        values,
        manifest: manifest::objects(documents(RENDERED)),
    }
}

pub fn documents(text: &str) -> Vec<Value> {
    kubectl_byocni::yaml::documents(text).expect("YAML")
}

/// What a chart of Cilium renders, cut down; the operator's tolerations are those of 1.18 and later.
pub const RENDERED: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
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
      - {key: node-role.kubernetes.io/master, operator: Exists}
      - {key: node.kubernetes.io/not-ready, operator: Exists}
      - {key: node.cloudprovider.kubernetes.io/uninitialized, operator: Exists}
      - {key: node.cilium.io/agent-not-ready, operator: Exists}
      containers:
      - {name: cilium-operator, image: 'quay.io/cilium/operator-generic:v1.19.6'}
";

impl Case {
    pub fn of(cni: &'static Cni, base: &str, from: Recorded, chart: Chart) -> Case {
        Case {
            objects: harness::base(base),
            cni,
            from,
            chart,
            user: json!({}),
            first: None,
            change: Change::Upgrade,
            back_to: None,
            offered: vec![],
            rendered: Some(manifest::objects(documents(RENDERED))),
            surroundings: Surroundings::default(),
            by_us: cni.id == "cilium",
            server: "https://network-abc.hcp.westeurope.azmk8s.io:443",
        }
    }

    /// Cilium on AKS without a CNI of its own, as this plugin installs it.
    pub fn cilium(from: &str, to: &str) -> Case {
        Case::cilium_of(small::cilium(from), small::cilium(to)).first("1.16")
    }

    pub fn cilium_of(from: Chart, to: Chart) -> Case {
        let values = json!({
            "aksbyocni": {"enabled": true},
            "ipam": {"mode": "cluster-pool", "operator": {
                "clusterPoolIPv4PodCIDRList": ["10.244.0.0/16"], "clusterPoolIPv4MaskSize": 24}},
            "operator": {"replicas": 2},
            "routingMode": "tunnel",
        });
        Case::of(&CILIUM, "cilium-healthy", recorded(3, from, values), to)
    }

    pub fn calico_of(from: Chart, to: Chart) -> Case {
        let values = json!({"installation": {
            "kubernetesProvider": "AKS",
            "cni": {"type": "Calico"},
            "calicoNetwork": {"bgp": "Disabled", "ipPools": [{
                "cidr": "10.244.0.0/16", "encapsulation": "VXLAN", "natOutgoing": "Enabled",
                "nodeSelector": "all()", "blockSize": 26}]},
        }});
        Case::of(&CALICO, "calico-healthy", recorded(1, from, values), to)
    }

    pub fn flannel_of(from: Chart, to: Chart) -> Case {
        let values = json!({"podCidr": "10.244.0.0/16"});
        Case::of(&FLANNEL, "flannel-healthy", recorded(1, from, values), to)
    }

    /// Other values of the release.
    pub fn carried(mut self, set: &str) -> Case {
        let over = set::merge(&[], &[], &[set.to_string()], &[]).expect(set);
        tree::merge(&mut self.from.values, &over);
        self
    }

    /// New values of the user's.
    pub fn set(mut self, set: &str) -> Case {
        let over = set::merge(&[], &[], &[set.to_string()], &[]).expect(set);
        tree::merge(&mut self.user, &over);
        self
    }

    pub fn set_json(mut self, set: &str) -> Case {
        let over = set::merge(&[], &[set.to_string()], &[], &[]).expect(set);
        tree::merge(&mut self.user, &over);
        self
    }

    pub fn first(mut self, first: &'static str) -> Case {
        self.first = Some(first);
        self
    }

    /// Changes every object of a kind whose name begins so, as `kubectl patch` does.
    pub fn every(mut self, kind: &str, name: &str, patch: Value) -> Case {
        let mut touched = 0;
        for object in &mut self.objects {
            let named = object["metadata"]["name"]
                .as_str()
                .is_some_and(|n| n.starts_with(name));
            if object["kind"] == kind && named {
                harness::merge(object, &patch);
                touched += 1;
            }
        }
        assert!(touched > 0, "no {kind} {name}");
        self
    }

    /// kube-proxy with other flags.
    pub fn proxy(self, flags: &[&str]) -> Case {
        let mut command = vec!["kube-proxy"];
        command.extend(flags);
        let containers = json!([{"name": "kube-proxy", "command": command}]);
        self.every(
            "DaemonSet",
            "kube-proxy",
            json!({"spec": {"template": {"spec": {"containers": containers}}}}),
        )
    }

    pub fn capture(&self) -> Capture {
        let mut capture = file::from_documents(self.objects.clone(), &cni::resources()).expect("a capture");
        capture.server = Some(self.server.into());
        capture.server_version = Some("v1.33.4".into());
        capture
    }

    pub fn request(&self) -> Request {
        Request {
            change: self.change,
            cni: Some(self.cni),
            pod_cidrs: vec![],
            user_values: self.user.clone(),
            namespace: None,
            timeout: None,
            take_ownership: false,
            assume_byocni: false,
            no_rollback: false,
        }
    }

    fn drafted(&self, facts: &Facts<'_>) -> Draft {
        match &self.back_to {
            Some(to) => upgrade::draft_back(facts, to, &self.request()),
            None => upgrade::draft(facts, &self.from, &self.chart, &self.request(), self.first),
        }
    }

    pub fn draft(&self) -> Drafted {
        let (capture, asked) = (self.capture(), Asked::default());
        Drafted(self.drafted(&Facts::of(&capture, &asked)))
    }

    pub fn plan(&self) -> Plan {
        let (capture, asked) = (self.capture(), Asked::default());
        let facts = Facts::of(&capture, &asked);
        let report = judge::report(&capture, &asked, &|_| true);
        let request = self.request();
        let chart = self.back_to.as_ref().map_or(&self.chart, |r| &r.chart);
        let settings = Settings::new(facts.nodes.len(), std::time::Duration::from_secs(600));
        let schedule = || rollout::schedule(&Candidate::all(&facts, &[]), &settings);
        upgrade::plan(
            Inputs {
                facts: &facts,
                report: &report,
                chart,
                crd_charts: &[],
                request: &request,
                draft: self.drafted(&facts),
                rendered: self.rendered.as_deref(),
                surroundings: self.surroundings.clone(),
            },
            Extra {
                settle: SETTLE,
                from: &self.from,
                to: self.back_to.as_ref(),
                diff: None,
                rollout: self.by_us.then(schedule),
                hop: (1, 1),
                offered: &self.offered,
            },
        )
    }

    /// The newest revision, as helm tells it.
    pub fn newest(mut self, revision: i64, status: &str) -> Case {
        self.surroundings.installed = Some(Installed {
            revision,
            status: status.into(),
            chart: self.from.chart.name.clone(),
            version: self.from.chart.version.clone(),
            values: self.from.values.clone(),
        });
        self
    }
}

/// A draft, to be asked.
pub struct Drafted(pub Draft);

impl Drafted {
    pub fn slugs(&self) -> Vec<&str> {
        self.0.findings.iter().map(|f| f.code.slug).collect()
    }

    /// The slugs of those that forbid the upgrade.
    pub fn blocking(&self) -> Vec<&str> {
        let own = self.0.findings.iter().filter(|f| blocks(f, Change::Upgrade));
        own.map(|f| f.code.slug).collect()
    }

    pub fn value(&self, key: &str) -> Value {
        tree::at(&self.0.values, key).cloned().unwrap_or(Value::Null)
    }

    pub fn reason(&self, key: &str) -> String {
        let found = self.0.reasons.iter().find(|r| r.key == key);
        found
            .map(|r| format!("{}: {}", r.origin.as_str(), r.reason))
            .unwrap_or_default()
    }

    /// Message and fix of the only finding of a slug.
    pub fn said(&self, slug: &str) -> (&str, &str) {
        let all: Vec<_> = self.0.findings.iter().filter(|f| f.code.slug == slug).collect();
        assert_eq!(all.len(), 1, "{slug} among {:?}", self.all());
        (&all[0].message, &all[0].fix)
    }

    pub fn all(&self) -> Vec<String> {
        let all = self.0.findings.iter();
        all.map(|f| format!("{}: {}", f.code.slug, f.message)).collect()
    }
}
