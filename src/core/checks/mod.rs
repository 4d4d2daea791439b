//! The questions that are asked of a cluster. One file a question; each file's table says which sources it needs, and
//! a check whose sources are not there is shown as skipped, never passed.

mod agents;
mod blocks;
pub mod calico;
mod changes;
pub mod cilium;
mod config_drift;
mod coredns;
mod detection;
pub mod flannel;
pub(in crate::core) mod kube_proxy;
mod node_conditions;
mod nodes;
mod operator;
mod platform;
mod pod_addresses;
pub(in crate::core) mod pools;
mod reading;
mod releases;
mod rollout;
mod service_ranges;
mod versions;

use super::{capture::Source, facts::Facts, finding::Finding};

/// One question.
pub struct Check {
    /// The question's subject, as it is shown when it could not be asked: `nodes' conditions`.
    pub title: &'static str,
    /// What must have been read.
    pub needs: &'static [Source],
    /// Also the main CNI's own kinds must have been read.
    pub needs_cni_objects: bool,
    /// Whether a verdict without it is incomplete.
    pub needed: bool,
    /// The answer.
    pub run: fn(&Facts<'_>) -> Vec<Finding>,
}

/// Every check that is asked of every cluster; the CNIs add their own.
pub const ALL: &[&[Check]] = &[
    reading::ALL,
    nodes::ALL,
    node_conditions::ALL,
    detection::ALL,
    agents::ALL,
    rollout::ALL,
    operator::ALL,
    config_drift::ALL,
    versions::ALL,
    pools::ALL,
    service_ranges::ALL,
    blocks::ALL,
    pod_addresses::ALL,
    kube_proxy::ALL,
    coredns::ALL,
    releases::ALL,
    changes::ALL,
    platform::ALL,
];

/// The checks that concern this cluster.
pub fn of<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = &'static Check> + 'f {
    let own = facts
        .detection
        .main
        .as_ref()
        .map(|m| m.cni.checks)
        .unwrap_or_default();
    ALL.iter().copied().chain([own]).flatten()
}

pub(in crate::core) use blocks::free as free_blocks;
pub(in crate::core) use pod_addresses::outsiders;
