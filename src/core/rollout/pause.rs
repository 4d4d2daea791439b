//! What the platform does to nodes at the moment: a reason to touch none meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::core::{capture::Event, facts::Facts, words};

/// How long an event says that something goes on (AKS waits up to 30 minutes for a drain).
const RECENT: SignedDuration = SignedDuration::from_mins(30);

/// What AKS writes on a node that it is upgrading.
const SCALE_DOWN_REASON: &str = "kubernetes.azure.com/azure-cluster-autoscaler-scale-down-disabled-reason";

/// A repair or an upgrade of nodes that goes on, in one line. A repair is over with its event that ends in `End`
/// (<https://learn.microsoft.com/azure/aks/node-auto-repair>), and for a node that is gone.
pub(super) fn of(facts: &Facts<'_>) -> Option<String> {
    if facts.platform.name != "aks" {
        return None;
    }
    let repairs = newest(facts, "aks-auto-repair");
    let mut under = repairs.iter().filter(|(_, (_, event))| {
        let over = event.reason.ends_with("End");
        !over && facts.node(&event.involved_object.name).is_some()
    });
    if let Some((node, (_, event))) = under.next() {
        return Some(format!("AKS repairs node {node} ({})", event.reason.line(40)));
    }
    let marked = facts
        .nodes
        .iter()
        .filter(|n| n.node.meta.annotation(SCALE_DOWN_REASON) == Some("upgrade"));
    let marked: Vec<&str> = marked.map(|n| n.name).collect();
    if !marked.is_empty() {
        return Some(format!("AKS upgrades {}", words::names(&marked)));
    }
    let upgrades = newest(facts, "upgrader");
    let (node, (_, event)) = upgrades.iter().max_by_key(|(_, (time, _))| *time)?;
    Some(format!(
        "AKS upgrades nodes (event {} on {node})",
        event.reason.line(40)
    ))
}

/// The newest event of each object that a component reported lately.
fn newest<'f>(facts: &'f Facts<'_>, component: &str) -> BTreeMap<String, (Timestamp, &'f Event)> {
    let mut newest: BTreeMap<String, (Timestamp, &Event)> = BTreeMap::new();
    for event in &facts.capture.events {
        let by = event.source.component == component || event.reporting_component == component;
        let recent = |t: &Timestamp| facts.taken_at().duration_since(*t) < RECENT;
        let Some(time) = event.time().filter(|t| by && recent(t)) else {
            continue;
        };
        let place = newest
            .entry(event.involved_object.name.line(80))
            .or_insert((time, event));
        if time > place.0 {
            *place = (time, event);
        }
    }
    newest
}

/// Node pools with more than one kubelet version: one that becomes so is being upgraded.
pub(super) fn mixed_pools(facts: &Facts<'_>) -> BTreeSet<String> {
    let mut pools: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in facts.nodes.iter().filter(|n| !n.is_virtual) {
        let version = node.node.status.node_info.kubelet_version.as_str();
        if let Some(pool) = node.pool.filter(|_| !version.is_empty()) {
            pools.entry(pool).or_default().insert(version);
        }
    }
    let mixed = pools.into_iter().filter(|(_, versions)| versions.len() > 1);
    mixed.map(|(pool, _)| pool.to_string()).collect()
}
