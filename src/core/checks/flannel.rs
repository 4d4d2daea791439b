//! What only Flannel can have wrong.

use std::collections::BTreeMap;

use super::Check;
use crate::core::{
    capture::Source,
    codes::flannel::FLANNEL_BACKEND_DIFFERS,
    facts::Facts,
    finding::{Finding, Subject},
    words,
};

/// Flannel's own.
pub const ALL: &[Check] = &[Check {
    title: "Flannel's backend on every node",
    needs: &[Source::Nodes],
    needs_cni_objects: false,
    needed: true,
    run: backends,
}];

/// The annotation that flanneld writes about its node.
const BACKEND: &str = "flannel.alpha.coreos.com/backend-type";

fn backends(facts: &Facts<'_>) -> Vec<Finding> {
    let mut by_backend: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in &facts.nodes {
        if let Some(backend) = node.node.meta.annotation(BACKEND) {
            by_backend.entry(backend).or_default().push(node.name);
        }
    }
    if by_backend.len() < 2 {
        return vec![];
    }
    let parts: Vec<String> = by_backend
        .iter()
        .map(|(backend, nodes)| format!("{backend} on {}", words::names(nodes)))
        .collect();
    let mut subjects: Vec<Subject> = by_backend.values().flatten().map(|n| Subject::node(n)).collect();
    subjects.sort();
    vec![Finding::new(
        &FLANNEL_BACKEND_DIFFERS,
        subjects,
        format!(
            "nodes have different backends and skip each other: {}",
            parts.join("; ")
        ),
        "kubectl get nodes -o custom-columns='NAME:.metadata.name,BACKEND:.metadata.annotations.flannel\\.alpha\\.coreos\\.com/backend-type'",
    )]
}
