//! The machine's view: `ClusterStatus` of byocni.io/v1alpha1, for JSON and YAML.
//!
//! A mirror of [`Report`] of its own, so that the report can change without the contract. Keys are only ever added,
//! and always optional ones; absent values are `null`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Style,
    schemas::{API_VERSION, or_null},
};
use crate::core::{
    code::Severity,
    facts::{AgentState, platform},
    finding::{Finding, Subject},
    report::{self, Byocni, Report, Verdict},
};

/// `-o json`.
pub fn json(report: &Report, _style: &Style) -> String {
    let mut text = serde_json::to_string_pretty(&ClusterStatus::of(report))
        .expect("strings, numbers and lists of them always have a JSON form");
    text.push('\n');
    text
}

/// `-o yaml`.
pub fn yaml(report: &Report, style: &Style) -> String {
    // JSON is YAML too: should the writer ever refuse, the reader still gets the document.
    crate::yaml::to_string(&ClusterStatus::of(report)).unwrap_or_else(|_| json(report, style))
}

/// What `status -o json` prints.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus<'a> {
    /// The version of this format.
    #[schemars(extend("const" = API_VERSION))]
    api_version: &'static str,
    /// Which document it is.
    #[schemars(extend("const" = ClusterStatus::KIND))]
    kind: &'static str,
    /// The state of the cluster's network in a word.
    verdict: Verdict,
    /// When the cluster was looked at; every age is reckoned from it.
    taken_at: Timestamp,
    /// The kubeconfig's context; `null` for a file.
    context: Option<&'a str>,
    /// Where the cluster runs.
    platform: Platform<'a>,
    /// The nodes.
    nodes: Nodes<'a>,
    /// The CNI; `null` where none was found.
    cni: Option<Cni<'a>>,
    /// Cluster DNS; `null` is what was not found or not read.
    #[serde(rename = "coreDNS")]
    core_dns: CoreDns<'a>,
    /// Every place where a network of pods or services is written.
    #[serde(rename = "podCIDR")]
    pod_cidr: PodCidr<'a>,
    /// Worst first; what follows from another stands behind it.
    findings: Vec<FindingItem<'a>>,
    /// What could not be checked. Where the verdict needs it, the exit code is 5 unless there is an error.
    skipped: Vec<SkippedItem<'a>>,
}

/// Where the cluster runs.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Platform<'a> {
    /// The platform.
    #[schemars(extend("enum" = platform::NAMES))]
    name: &'a str,
    /// Whether the CNI is the users' to bring.
    byocni: Byocni,
    /// What both were judged from.
    evidence: &'a [String],
    /// The API server's version: `v1.34.4`.
    kubernetes_version: Option<&'a str>,
}

/// The nodes.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Nodes<'a> {
    /// All of them, whatever `-l` shows.
    total: usize,
    /// Those that are Ready.
    ready: usize,
    /// The others.
    not_ready: usize,
    /// Those that `-l` shows, with errors first.
    items: Vec<NodeItem<'a>>,
}

/// One node.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Node")]
struct NodeItem<'a> {
    /// Its name.
    name: &'a str,
    /// Its node pool, where the platform has pools.
    pool: Option<&'a str>,
    /// The Ready condition.
    ready: Option<bool>,
    /// The condition's reason, where it is not Ready.
    reason: Option<&'a str>,
    /// The condition's message, where it is not Ready.
    message: Option<&'a str>,
    /// What the CNI's agent does there; `null` where none is expected.
    #[schemars(extend("enum" = or_null(&AgentState::WORDS)))]
    agent: Option<&'a str>,
    /// The blocks that the CNI uses there, else `node.spec.podCIDRs`.
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
    /// Its InternalIPs.
    #[serde(rename = "internalIPs")]
    internal_ips: Vec<String>,
    /// Pods with an address of their own.
    pod_count: Option<usize>,
}

/// The CNI.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Cni<'a> {
    /// The product.
    name: &'a str,
    /// What its agents' image says.
    version: Option<&'a str>,
    /// Where its agents are.
    namespace: &'a str,
    /// `helm`, `operator`, `manifest`, `platform`, or the reconciler's name.
    managed_by: &'a str,
    /// Its Helm release.
    release: Option<Release<'a>>,
    /// The agents' DaemonSet first.
    workloads: Vec<WorkloadItem<'a>>,
}

/// A Helm release; `null` is what may not be read.
#[derive(Serialize, JsonSchema)]
struct Release<'a> {
    /// Its name.
    name: &'a str,
    /// The namespace of its records.
    namespace: &'a str,
    /// The newest revision.
    revision: Option<i64>,
    /// Helm's word: `deployed`, `failed`, ….
    status: Option<&'a str>,
    /// The chart's name.
    chart: Option<&'a str>,
    /// The chart's version.
    version: Option<&'a str>,
}

/// A workload of the CNI.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Workload")]
struct WorkloadItem<'a> {
    /// Its kind.
    #[schemars(extend("enum" = ["DaemonSet", "Deployment"]))]
    kind: &'a str,
    /// Its namespace.
    namespace: &'a str,
    /// Its name.
    name: &'a str,
    /// Pods wanted.
    #[schemars(range(min = 0))]
    desired: i64,
    /// Pods of the current template.
    #[schemars(range(min = 0))]
    updated: i64,
    /// Pods that are Ready.
    #[schemars(range(min = 0))]
    ready: i64,
    /// Pods that are available.
    #[schemars(range(min = 0))]
    available: i64,
}

/// Cluster DNS; `null` is what was not found or not read.
#[derive(Serialize, JsonSchema)]
struct CoreDns<'a> {
    /// The Deployment's name.
    deployment: Option<&'a str>,
    /// Replicas wanted.
    #[schemars(range(min = 0))]
    desired: Option<i64>,
    /// Replicas ready.
    #[schemars(range(min = 0))]
    ready: Option<i64>,
    /// Ready endpoints of the Service.
    endpoints: Option<usize>,
    /// The Service's address.
    #[serde(rename = "serviceIP")]
    service_ip: Option<String>,
}

/// Every place where a network of pods or services is written.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PodCidr<'a> {
    /// What the CNI hands out.
    pools: Vec<Pool<'a>>,
    /// Ranges of service addresses.
    #[serde(rename = "serviceCIDRs")]
    service_cidrs: Vec<ServiceRange<'a>>,
    /// The smallest networks that hold the nodes' InternalIPs, one a family.
    node_network: Vec<String>,
    /// kube-proxy's cluster CIDR as its flag takes it: two families have a comma between them.
    #[serde(rename = "kubeProxyClusterCIDR")]
    kube_proxy_cluster_cidr: Option<String>,
    /// How many nodes the pools have blocks for.
    capacity_nodes: Option<u64>,
}

/// A pool.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Pool<'a> {
    /// The network.
    cidr: String,
    /// Prefix length of the blocks cut from it; `null` where none are.
    #[schemars(range(max = 128))]
    mask_size: Option<u8>,
    /// Where it is written.
    source: &'a str,
}

/// A range.
#[derive(Serialize, JsonSchema)]
struct ServiceRange<'a> {
    /// The network.
    cidr: String,
    /// `ServiceCIDR/…`, or how it was inferred.
    source: &'a str,
}

/// One code that stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Finding")]
struct FindingItem<'a> {
    /// The code, `BYO` and four digits: docs/codes.md.
    #[schemars(regex(pattern = "^BYO[0-9]{4}$"))]
    code: &'static str,
    /// The code's name in words.
    slug: &'static str,
    /// How bad it is; `info` also for what follows from another finding.
    severity: Severity,
    /// What it is about; the first of `subjects` where there are several.
    subject: Option<SubjectItem<'a>>,
    /// What was seen, with the evidence in it; one line.
    message: &'a str,
    /// What to do, a command where there is one; one line.
    fix: &'a str,
    /// All of them, only where there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<SubjectItem<'a>>,
    /// The slug of the finding that this one follows from; only where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    caused_by: Option<&'static str>,
}

/// An object of the cluster, or the cluster itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Subject")]
struct SubjectItem<'a> {
    /// As Kubernetes writes it; `Cluster` for the cluster itself.
    kind: &'a str,
    /// `null` for what lives in no namespace.
    namespace: Option<&'a str>,
    /// Its name.
    name: &'a str,
}

/// A check that could not be made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Skipped")]
struct SkippedItem<'a> {
    /// What was to be checked.
    check: &'a str,
    /// For want of what: `list nodes`.
    missing: &'a str,
}

/// Each item as text.
fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

impl<'a> ClusterStatus<'a> {
    /// What `kind` says.
    pub const KIND: &'static str = "ClusterStatus";

    fn of(report: &'a Report) -> Self {
        ClusterStatus {
            api_version: API_VERSION,
            kind: Self::KIND,
            verdict: report.verdict,
            taken_at: report.taken_at,
            context: report.context.as_deref(),
            platform: Platform {
                name: report.platform.name,
                byocni: report.platform.byocni,
                evidence: &report.platform.evidence,
                kubernetes_version: report.platform.kubernetes_version.as_deref(),
            },
            nodes: Nodes {
                total: report.nodes.total,
                ready: report.nodes.ready,
                not_ready: report.nodes.not_ready,
                items: report.nodes.items.iter().map(NodeItem::of).collect(),
            },
            cni: report.cni.as_ref().map(Cni::of),
            core_dns: CoreDns {
                deployment: report.core_dns.deployment.as_deref(),
                desired: report.core_dns.desired,
                ready: report.core_dns.ready,
                endpoints: report.core_dns.endpoints,
                service_ip: report.core_dns.service_ip.map(|ip| ip.to_string()),
            },
            pod_cidr: PodCidr::of(&report.pod_cidr),
            findings: report.findings.iter().map(FindingItem::of).collect(),
            skipped: report
                .skipped
                .iter()
                .map(|s| SkippedItem {
                    check: &s.check,
                    missing: &s.missing,
                })
                .collect(),
        }
    }
}

impl<'a> NodeItem<'a> {
    fn of(node: &'a report::NodeRow) -> Self {
        NodeItem {
            name: &node.name,
            pool: node.pool.as_deref(),
            ready: node.ready,
            reason: node.reason.as_deref(),
            message: node.message.as_deref(),
            agent: node.agent.as_deref(),
            pod_cidrs: texts(&node.pod_cidrs),
            internal_ips: texts(&node.internal_ips),
            pod_count: node.pod_count,
        }
    }
}

impl<'a> Cni<'a> {
    fn of(cni: &'a report::Cni) -> Self {
        Cni {
            name: &cni.name,
            version: cni.version.as_deref(),
            namespace: &cni.namespace,
            managed_by: &cni.managed_by,
            release: cni.release.as_ref().map(|r| Release {
                name: &r.name,
                namespace: &r.namespace,
                revision: r.revision,
                status: r.status.as_deref(),
                chart: r.chart.as_deref(),
                version: r.version.as_deref(),
            }),
            workloads: cni
                .workloads
                .iter()
                .map(|w| WorkloadItem {
                    kind: w.kind,
                    namespace: &w.namespace,
                    name: &w.name,
                    desired: w.desired,
                    updated: w.updated,
                    ready: w.ready,
                    available: w.available,
                })
                .collect(),
        }
    }
}

impl<'a> PodCidr<'a> {
    fn of(cidrs: &'a report::PodCidr) -> Self {
        let kube_proxy = texts(&cidrs.kube_proxy_cluster_cidr);
        PodCidr {
            pools: cidrs
                .pools
                .iter()
                .map(|p| Pool {
                    cidr: p.cidr.to_string(),
                    mask_size: p.mask_size,
                    source: &p.source,
                })
                .collect(),
            service_cidrs: cidrs
                .service_cidrs
                .iter()
                .map(|s| ServiceRange {
                    cidr: s.cidr.to_string(),
                    source: &s.source,
                })
                .collect(),
            node_network: texts(&cidrs.node_network),
            kube_proxy_cluster_cidr: (!kube_proxy.is_empty()).then(|| kube_proxy.join(",")),
            capacity_nodes: cidrs.capacity_nodes,
        }
    }
}

impl<'a> FindingItem<'a> {
    fn of(finding: &'a Finding) -> Self {
        let subjects = match finding.subjects.len() {
            0 | 1 => Vec::new(),
            _ => finding.subjects.iter().map(SubjectItem::of).collect(),
        };
        FindingItem {
            code: finding.code.id,
            slug: finding.code.slug,
            severity: finding.severity,
            subject: finding.subjects.first().map(SubjectItem::of),
            message: &finding.message,
            fix: &finding.fix,
            subjects,
            caused_by: finding.caused_by,
        }
    }
}

impl<'a> SubjectItem<'a> {
    fn of(subject: &'a Subject) -> Self {
        SubjectItem {
            kind: &subject.kind,
            namespace: subject.namespace.as_deref(),
            name: &subject.name,
        }
    }
}
