//! Is there a node for the CNI's operator?

use super::{Found, Look};
use crate::core::{
    capture::{Workload, object::Taint},
    codes::change::OPERATOR_UNSCHEDULABLE,
    facts::{NodeFacts, scheduling},
    finding::{Finding, Subject},
    words,
};

/// What the rule is called where it could not be applied.
const RULE: &str = "a node for the CNI's operator";

/// Taints that go away by themselves, or with the CNI
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/>).
const TRANSIENT: &[&str] = &[
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "node.cloudprovider.kubernetes.io/shutdown",
];

/// Looks for a node for every operator that the chart renders.
pub(super) fn check(look: &Look<'_>, found: &mut Found) {
    if look.rendered.is_none() {
        found.skip(RULE, super::RENDERED);
        return;
    }
    let linux: Vec<&NodeFacts<'_>> = look
        .facts
        .nodes
        .iter()
        .filter(|n| n.linux && !n.is_virtual)
        .collect();
    // That there is no node at all is told elsewhere.
    if linux.is_empty() {
        return;
    }
    for (object, workload) in look.workloads.iter().filter(|(o, _)| o.kind == "Deployment") {
        if !is_operator(look, &object.name, object) {
            continue;
        }
        let refusals: Vec<(&str, String)> = linux
            .iter()
            .filter_map(|n| Some((n.name, turned_away(look, workload, n)?)))
            .collect();
        if refusals.len() < linux.len() {
            continue;
        }
        let mut reasons: Vec<String> = refusals.iter().map(|(_, why)| why.clone()).collect();
        reasons.sort();
        reasons.dedup();
        let names = words::names(refusals.iter().map(|(node, _)| *node));
        found.findings.push(Finding::new(
            &OPERATOR_UNSCHEDULABLE,
            vec![Subject::namespaced(
                "Deployment",
                look.namespace_of(object),
                &object.name,
            )],
            format!(
                "Deployment {}/{} would find no node: {names} {} it away ({})",
                look.namespace_of(object),
                object.name,
                words::verb(refusals.len(), "turns", "turn"),
                words::names(&reasons)
            ),
            "kubectl byocni explain operator-unschedulable",
        ));
    }
}

/// A Deployment without which the CNI does not work: by name where the CNI is known, else what runs without the pod
/// network that is yet to come.
fn is_operator(look: &Look<'_>, name: &str, object: &crate::core::manifest::Object) -> bool {
    match look.cni {
        Some(cni) => cni.operators.contains(&name),
        None => {
            object
                .value
                .pointer("/spec/template/spec/hostNetwork")
                .and_then(serde_json::Value::as_bool)
                == Some(true)
        }
    }
}

/// Why a node would not take the operator, for longer than a moment.
fn turned_away(look: &Look<'_>, workload: &Workload, node: &NodeFacts<'_>) -> Option<String> {
    if let Some(why) = scheduling::excluded(workload, node.node) {
        return Some(why);
    }
    let own = &workload.spec.template.spec.tolerations;
    let starts_up = |taint: &Taint| look.cni.and_then(|c| c.taint).is_some_and(|t| taint.key == t);
    let passing = |taint: &Taint| TRANSIENT.iter().any(|t| taint.key == *t) || starts_up(taint);
    let taint = node.node.spec.taints.iter().find(|t| {
        t.effect != "PreferNoSchedule" && !passing(t) && !own.iter().any(|o| scheduling::bears(o, t))
    })?;
    let value = if taint.value.is_empty() {
        String::new()
    } else {
        format!("={}", taint.value)
    };
    Some(format!(
        "it does not tolerate {}{value}:{}",
        taint.key.line(100),
        taint.effect
    ))
}
