//! What only Cilium can have wrong.

use super::{Check, reading::of_nodes};
use crate::core::{
    capture::Source,
    cni::cilium::{self, CILIUM_NODES},
    codes::{
        cidrs::{NODE_BLOCK_MISSING, NODE_BLOCK_OUTSIDE_POOL},
        cilium::{CILIUM_NODE_COUNT, CILIUM_OPERATOR_ERROR, CILIUM_POLICY_AUDIT},
    },
    facts::{AgentState, Facts, cidr},
    finding::{Finding, Subject},
    words,
};

/// Cilium's own.
pub const ALL: &[Check] = &[
    Check {
        title: "CiliumNodes against nodes",
        needs: &[Source::Nodes, Source::CniPods],
        needs_cni_objects: true,
        needed: true,
        run: count,
    },
    Check {
        title: "what Cilium's operator says of nodes",
        needs: &[Source::Nodes, Source::DaemonSets],
        needs_cni_objects: true,
        needed: true,
        run: operator_error,
    },
    Check {
        title: "Cilium's policy mode",
        needs: &[Source::ConfigMaps],
        needs_cni_objects: false,
        needed: true,
        run: audit,
    },
];

fn count(facts: &Facts<'_>) -> Vec<Finding> {
    let objects: Vec<&str> = facts
        .capture
        .custom(&CILIUM_NODES)
        .iter()
        .map(|n| n.meta.name.as_str())
        .collect();
    let gone: Vec<&str> = objects
        .iter()
        .copied()
        .filter(|name| facts.node(name).is_none())
        .collect();
    // A node whose agent is not up has no object yet: that is the agent's error.
    let ready = facts
        .agents
        .iter()
        .filter(|a| matches!(a.state, AgentState::Ready { .. }));
    let without: Vec<&str> = ready
        .map(|a| a.node)
        .filter(|name| !objects.contains(name))
        .collect();
    // A node without an object has no block either, which is the worse news.
    let told =
        !facts.network.needs_node_cidr && facts.network.model == crate::core::cni::BlockModel::Exclusive;
    let without = if told { vec![] } else { without };
    if gone.is_empty() && without.is_empty() {
        return vec![];
    }
    let mut parts = vec![];
    if !gone.is_empty() {
        parts.push(format!(
            "{} of nodes that are gone ({})",
            words::count(gone.len(), "CiliumNode"),
            words::names(&gone)
        ));
    }
    if !without.is_empty() {
        parts.push(format!(
            "{} without a CiliumNode ({})",
            words::count(without.len(), "node"),
            words::names(&without)
        ));
    }
    vec![Finding::new(
        &CILIUM_NODE_COUNT,
        gone.iter()
            .map(|n| Subject::new("CiliumNode", n))
            .chain(without.iter().map(|n| Subject::node(n)))
            .collect(),
        parts.join("; "),
        "kubectl get ciliumnodes",
    )]
}

fn operator_error(facts: &Facts<'_>) -> Vec<Finding> {
    let errors: Vec<(&str, &str)> = facts
        .network
        .block_errors
        .iter()
        .filter(|(node, _)| facts.node(node).is_some())
        .map(|(node, error)| (node.as_str(), error.as_str()))
        .collect();
    let Some((first, error)) = errors.first() else {
        return vec![];
    };
    let names: Vec<&str> = errors.iter().map(|(n, _)| *n).collect();
    let finding = Finding::new(
        &CILIUM_OPERATOR_ERROR,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "Cilium's operator reports an error on {}: {first}: {error}",
            of_nodes(facts, &names)
        ),
        format!("kubectl get ciliumnode {first} -o jsonpath='{{.status.ipam.operator-status}}'"),
    );
    let blocks = &facts.network.blocks;
    let outside = |name: &&str| {
        let own = blocks.get(*name).map(Vec::as_slice).unwrap_or_default();
        own.iter().any(|b| {
            let mut family = facts
                .network
                .pools
                .iter()
                .filter(|p| cidr::family(p.cidr) == cidr::family(*b))
                .peekable();
            family.peek().is_some() && !family.any(|p| p.cidr.contains(b))
        })
    };
    let blockless = |name: &&str| blocks.get(*name).is_none_or(Vec::is_empty);
    vec![if names.iter().any(outside) {
        finding.because_of(&NODE_BLOCK_OUTSIDE_POOL)
    } else if names.iter().all(blockless) {
        finding.because_of(&NODE_BLOCK_MISSING)
    } else {
        finding
    }]
}

fn audit(facts: &Facts<'_>) -> Vec<Finding> {
    let namespace = facts
        .detection
        .main
        .as_ref()
        .and_then(|m| m.workload)
        .map_or("kube-system", |w| w.meta.namespace.as_str());
    let config = cilium::config(facts.capture, namespace);
    let Some(config) = config.filter(|c| c.get("policy-audit-mode") == Some("true")) else {
        return vec![];
    };
    vec![Finding::new(
        &CILIUM_POLICY_AUDIT,
        vec![Subject::namespaced(
            "ConfigMap",
            &config.meta.namespace,
            &config.meta.name,
        )],
        "policy-audit-mode is on: what a NetworkPolicy forbids is logged and let through".into(),
        "kubectl byocni explain cilium-policy-audit",
    )]
}
