//! What a `status` says, before any format: plain data, sorted, complete.

use ipnet::IpNet;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;

use super::{code::Severity, finding::Finding};

/// The state of the cluster's network in one word (DESIGN: "Words").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No error. Warnings may be there.
    Healthy,
    /// Errors, and pods can still get a working network on at least one node.
    Degraded,
    /// Errors, and no node can give a new pod a working network, or nothing answers DNS.
    Broken,
    /// Nodes, DaemonSets or the CNI's pods could not be read.
    Unknown,
}

impl Verdict {
    /// The word that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Healthy => "healthy",
            Verdict::Degraded => "degraded",
            Verdict::Broken => "broken",
            Verdict::Unknown => "unknown",
        }
    }
}

/// Whether the platform leaves the CNI to its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Byocni {
    /// No sign of a CNI that the platform runs, and proof that users bring it.
    Confirmed,
    /// The platform runs the CNI: it must not be changed.
    Managed,
    /// Neither could be shown.
    Unknown,
}

impl Byocni {
    /// The word that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Byocni::Confirmed => "confirmed",
            Byocni::Managed => "managed",
            Byocni::Unknown => "unknown",
        }
    }
}

/// Where the cluster runs.
#[derive(Debug, Clone)]
pub struct Platform {
    /// `aks`, `azure`, `eks`, `gke`, `kind`, `k3s`, `kubeadm`, … or `unknown`.
    pub name: &'static str,
    /// Who brings the CNI.
    pub byocni: Byocni,
    /// What both were judged from, one sentence each.
    pub evidence: Vec<String>,
    /// The API server's version, `v1.34.4`.
    pub kubernetes_version: Option<String>,
}

/// One node's row.
#[derive(Debug, Clone)]
pub struct NodeRow {
    /// The node's name.
    pub name: String,
    /// The node pool, where the platform has pools.
    pub pool: Option<String>,
    /// The Ready condition; absent when the node has none.
    pub ready: Option<bool>,
    /// The Ready condition's reason, only where the node is not Ready.
    pub reason: Option<String>,
    /// The Ready condition's message, only where the node is not Ready.
    pub message: Option<String>,
    /// What the CNI's agent does there: `ready`, `crash-looping`, `missing`, …; absent where there is no CNI.
    pub agent: Option<String>,
    /// The blocks that the CNI really uses on this node (else `node.spec.podCIDRs`).
    pub pod_cidrs: Vec<IpNet>,
    /// The node's InternalIPs.
    pub internal_ips: Vec<IpAddr>,
    /// Pods with an address of their own (not hostNetwork); absent when pods could not be read.
    pub pod_count: Option<usize>,
    /// The kubelet's version.
    pub kubelet_version: Option<String>,
    /// When the node was created.
    pub created: Option<Timestamp>,
    /// Worst severity of the findings about this node.
    pub worst: Option<Severity>,
    /// Codes of the errors and warnings about this node, worst first.
    pub codes: Vec<&'static str>,
}

/// The nodes together.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    /// All nodes, whatever the selector shows.
    pub total: usize,
    /// Nodes whose Ready condition is True.
    pub ready: usize,
    /// The others.
    pub not_ready: usize,
    /// The rows, those with errors first; `-l` decides which.
    pub items: Vec<NodeRow>,
}

/// One workload of the CNI.
#[derive(Debug, Clone)]
pub struct Workload {
    /// `DaemonSet` or `Deployment`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Pods wanted.
    pub desired: i64,
    /// Pods of the current template.
    pub updated: i64,
    /// Pods that are Ready.
    pub ready: i64,
    /// Pods that are available (Ready for `minReadySeconds`).
    pub available: i64,
}

/// The Helm release behind the CNI; what the reader may not see is absent.
#[derive(Debug, Clone)]
pub struct Release {
    /// The release's name.
    pub name: String,
    /// The namespace that holds its Secrets.
    pub namespace: String,
    /// The newest revision.
    pub revision: Option<i64>,
    /// Helm's word for the newest revision: `deployed`, `failed`, `pending-upgrade`, …
    pub status: Option<String>,
    /// The chart's name.
    pub chart: Option<String>,
    /// The chart's version.
    pub version: Option<String>,
}

/// The CNI that was found.
#[derive(Debug, Clone)]
pub struct Cni {
    /// The product's name: `Cilium`.
    pub name: String,
    /// The version that its agents run, as far as their image's tag says it.
    pub version: Option<String>,
    /// Where its agent's DaemonSet lives.
    pub namespace: String,
    /// `helm`, `operator`, `manifest`, `platform`, or the reconciler's name.
    pub managed_by: String,
    /// The Helm release, where there is one.
    pub release: Option<Release>,
    /// The agent's DaemonSet first, then operator and companions.
    pub workloads: Vec<Workload>,
    /// Other CNIs and companions beside it, by name.
    pub others: Vec<String>,
}

/// Cluster DNS.
#[derive(Debug, Clone, Default)]
pub struct CoreDns {
    /// The Deployment's name.
    pub deployment: Option<String>,
    /// Replicas wanted.
    pub desired: Option<i64>,
    /// Replicas ready.
    pub ready: Option<i64>,
    /// Ready endpoints of the kube-dns Service.
    pub endpoints: Option<usize>,
    /// The kube-dns Service's ClusterIP.
    pub service_ip: Option<IpAddr>,
}

/// A pool of pod addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The pool.
    pub cidr: IpNet,
    /// Prefix length of the blocks cut from it, where the CNI cuts blocks.
    pub mask_size: Option<u8>,
    /// Where the pool is written: `kube-system/cilium-config`.
    pub source: String,
}

/// A range of service addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRange {
    /// The range.
    pub cidr: IpNet,
    /// `ServiceCIDR/kubernetes`, or how it was inferred.
    pub source: String,
}

/// Every place where a pod or service CIDR lives.
#[derive(Debug, Clone, Default)]
pub struct PodCidr {
    /// What the CNI hands out.
    pub pools: Vec<Pool>,
    /// Service ranges.
    pub service_cidrs: Vec<ServiceRange>,
    /// The smallest networks that hold the nodes' InternalIPs, one a family.
    pub node_network: Vec<IpNet>,
    /// kube-proxy's cluster CIDRs.
    pub kube_proxy_cluster_cidr: Vec<IpNet>,
    /// How many nodes the pools have blocks for, where the CNI cuts blocks.
    pub capacity_nodes: Option<u64>,
    /// Blocks in use.
    pub blocks_used: Option<u64>,
}

/// A check that could not run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The check's title, a question of the cluster.
    pub check: String,
    /// What it lacked: `list nodes`.
    pub missing: String,
    /// Whether the verdict is incomplete without it.
    pub needed: bool,
}

/// The whole of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// The state in one word.
    pub verdict: Verdict,
    /// The time that every age in the report is reckoned from.
    pub taken_at: Timestamp,
    /// The kubeconfig context, absent for files.
    pub context: Option<String>,
    /// Where the cluster runs.
    pub platform: Platform,
    /// The nodes.
    pub nodes: Nodes,
    /// The CNI, absent where none was found.
    pub cni: Option<Cni>,
    /// Cluster DNS.
    pub core_dns: CoreDns,
    /// Every place where a CIDR lives.
    pub pod_cidr: PodCidr,
    /// Worst first; consequences directly behind their cause.
    pub findings: Vec<Finding>,
    /// Checks that could not run.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// How many findings are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }

    /// Whether something that the verdict needs could not be read.
    pub fn incomplete(&self) -> bool {
        self.verdict == Verdict::Unknown || self.skipped.iter().any(|s| s.needed)
    }
}
