//! The machine's view: `ClusterStatus` of byocni.io/v1alpha1, for JSON and YAML.
//!
//! A mirror of [`Report`] of its own, so that the report can change without the contract. Keys are only ever added,
//! and always optional ones; absent values are `null`.

use serde::Serialize;

use super::Style;
use crate::core::{
    finding::{Finding, Subject},
    report::{self, Report},
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterStatus<'a> {
    api_version: &'static str,
    kind: &'static str,
    verdict: &'static str,
    taken_at: String,
    context: Option<&'a str>,
    platform: Platform<'a>,
    nodes: Nodes<'a>,
    cni: Option<Cni<'a>>,
    #[serde(rename = "coreDNS")]
    core_dns: CoreDns<'a>,
    #[serde(rename = "podCIDR")]
    pod_cidr: PodCidr<'a>,
    findings: Vec<FindingItem<'a>>,
    skipped: Vec<SkippedItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Platform<'a> {
    name: &'a str,
    byocni: &'static str,
    evidence: &'a [String],
    kubernetes_version: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Nodes<'a> {
    total: usize,
    ready: usize,
    not_ready: usize,
    items: Vec<NodeItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeItem<'a> {
    name: &'a str,
    pool: Option<&'a str>,
    ready: Option<bool>,
    reason: Option<&'a str>,
    message: Option<&'a str>,
    agent: Option<&'a str>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
    #[serde(rename = "internalIPs")]
    internal_ips: Vec<String>,
    pod_count: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cni<'a> {
    name: &'a str,
    version: Option<&'a str>,
    namespace: &'a str,
    managed_by: &'a str,
    release: Option<Release<'a>>,
    workloads: Vec<WorkloadItem<'a>>,
}

#[derive(Serialize)]
struct Release<'a> {
    name: &'a str,
    namespace: &'a str,
    revision: Option<i64>,
    status: Option<&'a str>,
    chart: Option<&'a str>,
    version: Option<&'a str>,
}

#[derive(Serialize)]
struct WorkloadItem<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    desired: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

#[derive(Serialize)]
struct CoreDns<'a> {
    deployment: Option<&'a str>,
    desired: Option<i64>,
    ready: Option<i64>,
    endpoints: Option<usize>,
    #[serde(rename = "serviceIP")]
    service_ip: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodCidr<'a> {
    pools: Vec<Pool<'a>>,
    #[serde(rename = "serviceCIDRs")]
    service_cidrs: Vec<ServiceRange<'a>>,
    node_network: Vec<String>,
    /// As kube-proxy's own flag takes it: one text, the families with a comma between them.
    #[serde(rename = "kubeProxyClusterCIDR")]
    kube_proxy_cluster_cidr: Option<String>,
    capacity_nodes: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pool<'a> {
    cidr: String,
    mask_size: Option<u8>,
    source: &'a str,
}

#[derive(Serialize)]
struct ServiceRange<'a> {
    cidr: String,
    source: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingItem<'a> {
    code: &'static str,
    slug: &'static str,
    severity: &'static str,
    subject: Option<SubjectItem<'a>>,
    message: &'a str,
    fix: &'a str,
    /// All of them, only where there is more than the one above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<SubjectItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caused_by: Option<&'static str>,
}

#[derive(Serialize)]
struct SubjectItem<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

#[derive(Serialize)]
struct SkippedItem<'a> {
    check: &'a str,
    missing: &'a str,
}

/// Each item as text.
fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

impl<'a> ClusterStatus<'a> {
    fn of(report: &'a Report) -> Self {
        ClusterStatus {
            api_version: "byocni.io/v1alpha1",
            kind: "ClusterStatus",
            verdict: report.verdict.as_str(),
            taken_at: report.taken_at.to_string(),
            context: report.context.as_deref(),
            platform: Platform {
                name: report.platform.name,
                byocni: report.platform.byocni.as_str(),
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
            severity: finding.severity.as_str(),
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
