//! What the platform is, what it is doing, and what it does not support.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Check, reading::of_nodes};
use crate::core::{
    capture::Source,
    codes::platform::{AKS_UPGRADE_RUNNING, PLATFORM_UNKNOWN, UNSUPPORTED_FEATURES},
    facts::Facts,
    finding::{Finding, Subject},
    words,
};

pub(super) const ALL: &[Check] = &[
    Check {
        title: "the platform",
        needs: &[Source::Nodes],
        needs_cni_objects: false,
        needed: true,
        run: unknown,
    },
    Check {
        title: "an AKS upgrade",
        needs: &[Source::Nodes],
        needs_cni_objects: false,
        needed: true,
        run: upgrade,
    },
    Check {
        title: "events of an AKS upgrade",
        needs: &[Source::Nodes, Source::Events],
        needs_cni_objects: false,
        needed: false,
        run: upgrade_event,
    },
    Check {
        title: "what Azure CNI powered by Cilium does not support",
        needs: &[Source::DaemonSets, Source::Services],
        needs_cni_objects: false,
        needed: false,
        run: unsupported,
    },
];

fn unknown(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.platform.name != "unknown" || facts.nodes.is_empty() {
        return vec![];
    }
    vec![Finding::new(
        &PLATFORM_UNKNOWN,
        vec![],
        "no mark of AKS or of another known platform on nodes or API server".into(),
        "changes want --assume-byocni here",
    )]
}

/// How old an upgrade's event may be to say that the upgrade goes on (AKS waits up to 30 minutes for a drain).
const RECENT: SignedDuration = SignedDuration::from_mins(30);

/// What AKS writes on a node that it is taking away.
const SCALE_DOWN_REASON: &str = "kubernetes.azure.com/azure-cluster-autoscaler-scale-down-disabled-reason";

/// What nodes show of an upgrade, and which ones.
fn upgrade_signs(facts: &Facts<'_>) -> (Vec<String>, Vec<Subject>) {
    let (mut signs, mut subjects) = (vec![], vec![]);
    if facts.platform.name != "aks" {
        return (signs, subjects);
    }
    let mut pools: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for node in facts.nodes.iter().filter(|n| !n.is_virtual) {
        let version = node.node.status.node_info.kubelet_version.as_str();
        if let Some(pool) = node.pool.filter(|_| !version.is_empty()) {
            *pools.entry(pool).or_default().entry(version).or_default() += 1;
        }
    }
    for (pool, versions) in pools.iter().filter(|(_, versions)| versions.len() > 1) {
        let counts: Vec<String> = versions
            .iter()
            .map(|(version, n)| format!("{n} at {version}"))
            .collect();
        signs.push(format!(
            "node pool {pool} has mixed kubelet versions ({})",
            counts.join(", ")
        ));
    }
    let marked: Vec<&str> = facts
        .nodes
        .iter()
        .filter(|n| n.node.meta.annotation(SCALE_DOWN_REASON) == Some("upgrade"))
        .map(|n| n.name)
        .collect();
    if !marked.is_empty() {
        signs.push(format!(
            "{} are marked as being upgraded",
            of_nodes(facts, &marked)
        ));
        subjects.extend(marked.iter().map(|n| Subject::node(n)));
    }
    (signs, subjects)
}

fn upgrade(facts: &Facts<'_>) -> Vec<Finding> {
    let (signs, subjects) = upgrade_signs(facts);
    if signs.is_empty() {
        return vec![];
    }
    vec![upgrade_finding(subjects, &signs.join("; "))]
}

/// Events tell an upgrade that nodes do not show yet.
fn upgrade_event(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.platform.name != "aks" || !upgrade_signs(facts).0.is_empty() {
        return vec![];
    }
    let events = facts.capture.events.iter().filter(|e| {
        (e.source.component == "upgrader" || e.reporting_component == "upgrader")
            && e.time()
                .is_some_and(|t| facts.taken_at().duration_since(t) < RECENT)
    });
    let newest = events.max_by_key(|e| e.time());
    let finding = newest.map(|event| {
        let name = event.involved_object.name.line(80);
        let subjects = facts
            .node(&name)
            .map(|n| Subject::node(n.name))
            .into_iter()
            .collect();
        upgrade_finding(subjects, &format!("event {} on {name}", event.reason.line(40)))
    });
    finding.into_iter().collect()
}

fn upgrade_finding(subjects: Vec<Subject>, signs: &str) -> Finding {
    Finding::new(
        &AKS_UPGRADE_RUNNING,
        subjects,
        format!("an AKS upgrade seems to be running: {signs}"),
        "kubectl get nodes -L kubernetes.azure.com/agentpool,kubernetes.azure.com/node-image-version",
    )
}

/// <https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium>, "Limitations".
fn unsupported(facts: &Facts<'_>) -> Vec<Finding> {
    let main = facts.detection.main.as_ref();
    if main.is_none_or(|m| m.cni.id != "azure-cilium") {
        return vec![];
    }
    let local: Vec<_> = facts
        .capture
        .services
        .iter()
        .filter(|s| s.spec.internal_traffic_policy == "Local")
        .collect();
    if local.is_empty() {
        return vec![];
    }
    let names: Vec<String> = local
        .iter()
        .map(|s| format!("{}/{}", s.meta.namespace, s.meta.name))
        .collect();
    vec![Finding::new(
        &UNSUPPORTED_FEATURES,
        local
            .iter()
            .map(|s| Subject::namespaced("Service", &s.meta.namespace, &s.meta.name))
            .collect(),
        format!(
            "Azure CNI powered by Cilium does not support internalTrafficPolicy=Local, which {} set: {}",
            words::count(names.len(), "Service"),
            words::names(&names)
        ),
        "",
    )]
}
