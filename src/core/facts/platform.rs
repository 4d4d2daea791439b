//! Where the cluster runs, and who brings its CNI.
//!
//! Marks: the AKS labels under `kubernetes.azure.com/` (users cannot set that prefix), Azure/karpenter-provider-azure
//! `pkg/providers/labels/labels.go`, Azure/azure-container-networking; the other platforms' own documentation.

use std::collections::BTreeSet;

use super::{NodeFacts, Ready};
use crate::core::{
    capture::{Capture, Meta, Workload},
    report::{Byocni, Platform},
};

/// Labels of nodes whose network AKS runs: one node decides for the cluster.
const MANAGED_LABELS: &[&str] = &[
    "kubernetes.azure.com/azure-cni-overlay",
    "kubernetes.azure.com/ebpf-dataplane",
    "kubernetes.azure.com/podnetwork-type",
    "kubernetes.azure.com/podv6network-type",
    "kubernetes.azure.com/podnetwork-subnet",
    "kubernetes.azure.com/podnetwork-delegationguid",
    "kubernetes.azure.com/podnetwork-max-pods",
    "kubernetes.azure.com/podnetwork-swiftv2-enabled",
    "kubernetes.azure.com/network-stateless-cni",
];

/// DaemonSets that only a managed network has.
const MANAGED_WORKLOADS: &[&str] = &[
    "azure-cns",
    "azure-cns-win",
    "azure-cni-networkmonitor",
    "azure-iptables-monitor",
    "aws-node",
    "anetd",
];

/// A sign that the platform runs the CNI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedSign {
    /// What was seen.
    pub evidence: String,
    /// Whether it says that the data plane is Cilium.
    pub cilium: bool,
    /// Whether it says that addresses come from an overlay.
    pub overlay: bool,
}

/// Every name that a platform has here.
pub const NAMES: [&str; 10] = [
    "aks", "azure", "eks", "gke", "kind", "k0s", "k3s", "kubeadm", "rke2", "unknown",
];

/// The platform's name, one of [`NAMES`], and what says so.
pub fn name(capture: &Capture, nodes: &[NodeFacts<'_>]) -> (&'static str, Vec<String>) {
    let node_mark = |what: &str, mark: &dyn Fn(&NodeFacts<'_>) -> bool| {
        let count = nodes.iter().filter(|n| mark(n)).count();
        (count > 0).then(|| format!("{what} on {count} of {} nodes", nodes.len()))
    };
    let label = |key: &'static str| node_mark(&format!("label {key}"), &|n| n.node.meta.label(key).is_some());
    let provider = |prefix: &'static str| {
        node_mark(&format!("providerID {prefix}…"), &|n| {
            n.node.spec.provider_id.starts_with(prefix)
        })
    };
    let annotation = |prefix: &'static str| {
        node_mark(&format!("annotation {prefix}…"), &|n| {
            has_annotation(&n.node.meta, prefix)
        })
    };
    let version = |word: &'static str| {
        node_mark(&format!("kubelet version with {word}"), &|n| {
            n.node.status.node_info.kubelet_version.contains(word)
        })
    };
    let server = |suffix: &'static str| {
        let host = capture
            .server
            .as_deref()?
            .split("://")
            .last()?
            .split(['/', ':'])
            .next()?;
        host.ends_with(suffix).then(|| format!("API server at *{suffix}"))
    };
    let kubeadm_config = || {
        capture
            .config_map("kube-system", "kubeadm-config")
            .map(|_| "ConfigMap kube-system/kubeadm-config".to_string())
    };
    let marks: [(&'static str, Vec<Option<String>>); 9] = [
        (
            "aks",
            vec![label("kubernetes.azure.com/cluster"), server(".azmk8s.io")],
        ),
        (
            "eks",
            vec![
                label("eks.amazonaws.com/nodegroup"),
                version("-eks-"),
                server(".eks.amazonaws.com"),
            ],
        ),
        (
            "gke",
            vec![label("cloud.google.com/gke-nodepool"), version("-gke.")],
        ),
        ("kind", vec![provider("kind://")]),
        ("rke2", vec![version("+rke2"), annotation("rke2.io/")]),
        ("k3s", vec![version("+k3s"), annotation("k3s.io/")]),
        ("k0s", vec![version("+k0s"), annotation("k0s.k0sproject.io/")]),
        ("azure", vec![provider("azure://")]),
        (
            "kubeadm",
            vec![annotation("kubeadm.alpha.kubernetes.io/"), kubeadm_config()],
        ),
    ];
    let found = marks.into_iter().find_map(|(name, evidence)| {
        let evidence: Vec<String> = evidence.into_iter().flatten().collect();
        (!evidence.is_empty()).then_some((name, evidence))
    });
    let (name, evidence) = found.unwrap_or(("unknown", vec![]));
    debug_assert!(NAMES.contains(&name), "{name} is not in the schema");
    (name, evidence)
}

fn has_annotation(meta: &Meta, prefix: &str) -> bool {
    meta.annotations.0.keys().any(|key| key.starts_with(prefix))
}

/// Every sign that the platform runs the CNI.
pub fn managed_signs(capture: &Capture, nodes: &[NodeFacts<'_>]) -> Vec<ManagedSign> {
    let mut signs = vec![];
    for key in MANAGED_LABELS {
        let with: Vec<_> = nodes
            .iter()
            .filter_map(|n| Some((n.name, n.node.meta.label(key)?)))
            .collect();
        let Some((node, value)) = with.first() else {
            continue;
        };
        if *value == "false" {
            continue;
        }
        signs.push(ManagedSign {
            evidence: format!(
                "label {key}={value} on {} of {} nodes ({node})",
                with.len(),
                nodes.len()
            ),
            cilium: *key == "kubernetes.azure.com/ebpf-dataplane" && *value == "cilium",
            overlay: key.contains("overlay") || *value == "overlay",
        });
    }
    for workload in &capture.daemon_sets {
        signs.extend(managed_workload(workload));
    }
    let nnc = capture
        .crds
        .iter()
        .find(|c| c.meta.name.ends_with(".acn.azure.com"));
    signs.extend(nnc.map(|crd| ManagedSign {
        evidence: format!("CustomResourceDefinition {}", crd.meta.name),
        cilium: false,
        overlay: false,
    }));
    signs
}

fn managed_workload(workload: &Workload) -> Option<ManagedSign> {
    let (namespace, name) = (&workload.meta.namespace, &workload.meta.name);
    let plain = |evidence| ManagedSign {
        evidence,
        cilium: false,
        overlay: false,
    };
    if MANAGED_WORKLOADS.iter().any(|n| name == *n) {
        return Some(plain(format!("DaemonSet {namespace}/{name}")));
    }
    let agent = workload.container("cilium-agent")?;
    let cilium = |evidence| {
        Some(ManagedSign {
            evidence,
            cilium: true,
            overlay: false,
        })
    };
    if agent.image.starts_with("mcr.microsoft.com/") {
        return cilium(format!(
            "DaemonSet {namespace}/{name} runs {}",
            agent.image.line(100)
        ));
    }
    let label = |meta: &Meta| {
        meta.label("kubernetes.azure.com/managedby") == Some("aks")
            || meta.label("kubernetes.azure.com/ebpf-dataplane") == Some("cilium")
    };
    if label(&workload.meta) || label(&workload.spec.template.meta) {
        return cilium(format!(
            "DaemonSet {namespace}/{name} is labelled as managed by AKS"
        ));
    }
    None
}

/// What of the CNI the question "who brought it" needs.
pub struct Brought<'a> {
    /// Whether there is a workload of a CNI that users bring.
    pub workload: bool,
    /// What says that users brought it: a release, upstream images.
    pub proof: Option<String>,
    /// A sign of a plugin without a workload (kubenet, Azure CNI, embedded).
    pub without_workload: Option<&'a str>,
}

/// Who brings the CNI (DESIGN: "Words", BYOCNI).
pub fn of(
    capture: &Capture,
    nodes: &[NodeFacts<'_>],
    named: (&'static str, Vec<String>),
    signs: &[ManagedSign],
    brought: &Brought<'_>,
) -> Platform {
    let (name, mut evidence) = named;
    let linux: Vec<_> = nodes.iter().filter(|n| n.linux && !n.is_virtual).collect();
    let without_network = linux.iter().filter(|n| n.ready == Ready::NoNetwork).count();
    let byocni = if let Some(sign) = signs.first() {
        evidence.push(sign.evidence.clone());
        evidence.extend(signs.iter().skip(1).take(3).map(|s| s.evidence.clone()));
        Byocni::Managed
    } else if brought.workload {
        match &brought.proof {
            Some(proof) => {
                evidence.push(proof.clone());
                Byocni::Confirmed
            }
            None => Byocni::Unknown,
        }
    } else if let Some(plugin) = brought.without_workload {
        evidence.push(plugin.to_string());
        Byocni::Unknown
    } else if !linux.is_empty() && without_network == linux.len() {
        evidence.push(format!(
            "all {without_network} Linux nodes wait for a CNI and none is installed"
        ));
        Byocni::Confirmed
    } else {
        Byocni::Unknown
    };
    Platform {
        name,
        byocni,
        evidence,
        kubernetes_version: capture
            .server_version
            .as_ref()
            .map(|v| v.line(40))
            .or_else(|| kubelet_version(nodes)),
    }
}

/// From a file that does not tell the server's version: the one version that all kubelets have, if they have one.
fn kubelet_version(nodes: &[NodeFacts<'_>]) -> Option<String> {
    let versions: BTreeSet<&str> = nodes
        .iter()
        .map(|n| n.node.status.node_info.kubelet_version.as_str())
        .collect();
    match versions.into_iter().collect::<Vec<_>>()[..] {
        [only] if !only.is_empty() => Some(only.to_string()),
        _ => None,
    }
}
