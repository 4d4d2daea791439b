//! What is drafted for a cluster: pools, values and versions, over captures in files. The charts are small ones written
//! here, but for `charts.rs`, which asks the real ones.
#![allow(missing_docs, reason = "a test")]

mod archives;
mod charts;
#[path = "../scenarios/harness.rs"]
#[allow(dead_code, reason = "scenarios use more of it")]
mod harness;
mod pools;
#[path = "../clusters/programs.rs"]
#[allow(dead_code, reason = "clusters use more of it")]
mod programs;
mod small;
mod values;
mod versions;

use kubectl_byocni::core::{
    capture::{Capture, file},
    chart::Chart,
    cni::{self, Cni, calico::CALICO, cilium::CILIUM, flannel::FLANNEL},
    code::Change,
    facts::{Asked, Facts},
    plan::{Draft, Request, blocks, set, tree, values::draft},
};
use serde_json::{Value, json};

pub use small::{calico, cilium, flannel};

/// A cluster that is changed bit by bit.
pub struct Cluster {
    objects: Vec<Value>,
    server: Option<&'static str>,
    version: &'static str,
    reserved: Vec<ipnet::IpNet>,
}

impl Cluster {
    /// One of `tests/scenarios/bases`.
    pub fn of(base: &str) -> Self {
        Cluster {
            objects: harness::base(base),
            server: Some("https://network-abc.hcp.westeurope.azmk8s.io:443"),
            version: "v1.34.4",
            reserved: vec![],
        }
    }

    /// AKS with `--network-plugin none`, three nodes, no CNI.
    pub fn fresh() -> Self {
        Cluster::of("fresh-aks")
    }

    /// kubeadm, three nodes with podCIDRs, a kube-proxy that knows 10.244.0.0/16, no CNI.
    pub fn kubeadm() -> Self {
        let cluster = Cluster::of("flannel-healthy").without("DaemonSet", "kube-flannel-ds");
        let cluster = cluster.without("ConfigMap", "kube-flannel-cfg");
        cluster.server("https://10.10.0.4:6443")
    }

    pub fn server(mut self, server: &'static str) -> Self {
        self.server = Some(server);
        self
    }

    pub fn kubernetes(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    pub fn reserved(mut self, nets: &[&str]) -> Self {
        self.reserved = nets.iter().map(|n| n.parse().expect("a CIDR")).collect();
        self
    }

    /// Changes every object of a kind as `kubectl patch` does.
    pub fn every(mut self, kind: &str, patch: Value) -> Self {
        let mut touched = 0;
        for object in self.objects.iter_mut().filter(|o| o["kind"] == kind) {
            harness::merge(object, &patch);
            touched += 1;
        }
        assert!(touched > 0, "no {kind}");
        self
    }

    /// Changes one object.
    pub fn patched(mut self, kind: &str, name: &str, patch: Value) -> Self {
        let mut there = self.objects.iter_mut();
        let object = there.find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
        harness::merge(object.unwrap_or_else(|| panic!("no {kind}/{name}")), &patch);
        self
    }

    pub fn without(mut self, kind: &str, name: &str) -> Self {
        let before = self.objects.len();
        self.objects
            .retain(|o| !(o["kind"] == kind && o["metadata"]["name"] == name));
        assert!(self.objects.len() < before, "no {kind}/{name}");
        self
    }

    pub fn with(mut self, object: Value) -> Self {
        self.objects.push(object);
        self
    }

    /// kube-proxy with other flags.
    pub fn proxy(self, flags: &[&str]) -> Self {
        let mut command = vec!["kube-proxy"];
        command.extend(flags);
        let containers = json!([{"name": "kube-proxy", "command": command}]);
        self.patched(
            "DaemonSet",
            "kube-proxy",
            json!({"spec": {"template": {"spec": {"containers": containers}}}}),
        )
    }

    /// The first node many times over, each with an address of its own.
    pub fn nodes(mut self, count: u32, max_pods: &str) -> Self {
        let one = self
            .objects
            .iter()
            .find(|o| o["kind"] == "Node")
            .expect("a node")
            .clone();
        self.objects.retain(|o| o["kind"] != "Node");
        for n in 0..count {
            let mut node = one.clone();
            node["metadata"]["name"] = format!("node-{n:04}").into();
            let ip = format!("10.224.{}.{}", n / 200, n % 200 + 4);
            node["status"]["addresses"] = json!([{"type": "InternalIP", "address": ip}]);
            node["status"]["allocatable"]["pods"] = max_pods.into();
            self.objects.push(node);
        }
        self
    }

    pub fn names(&self, kind: &str) -> Vec<String> {
        let own = self.objects.iter().filter(|o| o["kind"] == kind);
        own.filter_map(|o| Some(o["metadata"]["name"].as_str()?.to_string()))
            .collect()
    }

    pub fn capture(&self) -> Capture {
        let mut capture = file::from_documents(self.objects.clone(), &cni::resources()).expect("a capture");
        capture.server = self.server.map(Into::into);
        capture.server_version = Some(self.version.into());
        capture
    }

    /// What is drafted; `sets` are texts of `--set`.
    pub fn draft(&self, cni: &'static Cni, chart: &Chart, pods: &[&str], sets: &[&str]) -> Drafted {
        let capture = self.capture();
        let asked = Asked {
            reserved: self.reserved.clone(),
        };
        let facts = Facts::of(&capture, &asked);
        let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
        let request = Request {
            change: Change::Install,
            cni: Some(cni),
            pod_cidrs: pods.iter().map(|p| p.parse().expect("a CIDR")).collect(),
            user_values: set::merge(&[], &[], &sets, &[]).expect("values"),
            namespace: None,
            timeout: None,
            take_ownership: false,
            assume_byocni: false,
            no_rollback: false,
        };
        Drafted(draft(&facts, chart, &request))
    }

    pub fn cilium(&self, pods: &[&str], sets: &[&str]) -> Drafted {
        self.draft(&CILIUM, &cilium("1.19.6"), pods, sets)
    }

    pub fn calico(&self, pods: &[&str], sets: &[&str]) -> Drafted {
        self.draft(&CALICO, &calico("v3.32.1"), pods, sets)
    }

    pub fn flannel(&self, pods: &[&str], sets: &[&str]) -> Drafted {
        self.draft(&FLANNEL, &flannel(), pods, sets)
    }
}

/// A draft, to be asked.
pub struct Drafted(pub Draft);

impl Drafted {
    /// The slugs of all findings, in order.
    pub fn slugs(&self) -> Vec<&str> {
        self.0.findings.iter().map(|f| f.code.slug).collect()
    }

    /// The slugs of those that forbid the installation.
    pub fn blocking(&self) -> Vec<&str> {
        let own = self.0.findings.iter().filter(|f| blocks(f, Change::Install));
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

    pub fn pools(&self) -> String {
        let pools: Vec<String> = self.0.pools.iter().map(ToString::to_string).collect();
        let masks: Vec<String> = self.0.masks.iter().map(ToString::to_string).collect();
        format!("{} /{}", pools.join(","), masks.join(",/"))
    }

    /// Message and fix of the only finding of a slug.
    pub fn said(&self, slug: &str) -> (&str, &str) {
        let all: Vec<_> = self.0.findings.iter().filter(|f| f.code.slug == slug).collect();
        assert_eq!(all.len(), 1, "{slug} among {:?}", self.slugs());
        (&all[0].message, &all[0].fix)
    }

    /// Nothing forbids it, and nothing is to be warned of.
    pub fn clean(self) -> Self {
        let said: Vec<&str> = self.0.findings.iter().map(|f| f.message.as_str()).collect();
        assert!(said.is_empty(), "{said:?}");
        self
    }

    /// The page of a snapshot.
    pub fn page(&self) -> String {
        let draft = &self.0;
        let mut lines = vec![format!(
            "{} in {}, pools {}",
            draft.release,
            draft.namespace,
            self.pools()
        )];
        lines.extend(draft.reasons.iter().map(|r| {
            let value = r
                .value
                .as_ref()
                .map_or("(not shown)".to_string(), Value::to_string);
            format!("{}={value}  {}: {}", r.key, r.origin.as_str(), r.reason)
        }));
        for finding in &draft.findings {
            let bars = if blocks(finding, Change::Install) {
                "blocks "
            } else {
                ""
            };
            lines.push(format!(
                "{bars}{}: {}\n    {}",
                finding.code.slug, finding.message, finding.fix
            ));
        }
        lines.join("\n")
    }
}
