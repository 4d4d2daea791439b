//! What each node is and says of itself.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::{Notes, cidr};
use crate::core::{
    capture::{
        Node,
        object::{Condition, Taint},
    },
    finding::Subject,
};

/// The Ready condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// True.
    Yes,
    /// False because the runtime has no CNI configuration.
    NoNetwork,
    /// False for another reason.
    No,
    /// Unknown: the node's lease was not renewed.
    Lost,
    /// There is no such condition yet.
    Never,
}

/// One node.
#[derive(Debug)]
pub struct NodeFacts<'a> {
    /// The object.
    pub node: &'a Node,
    /// Its name.
    pub name: &'a str,
    /// Its pool, where the platform has pools.
    pub pool: Option<&'a str>,
    /// Runs Linux (also where it does not say).
    pub linux: bool,
    /// Has no machine of its own that a DaemonSet could run on (virtual-kubelet, Fargate).
    pub is_virtual: bool,
    /// The Ready condition.
    pub ready: Ready,
    /// Younger than a node takes to start.
    pub young: bool,
    /// InternalIPs. A virtual node has none of its own: it shows those of the pod that plays it.
    pub internal_ips: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
    /// The kubelet's `maxPods`.
    pub max_pods: Option<u64>,
}

/// How long a node may take from its creation to Ready before that is a fault (DESIGN: "Young things").
pub const NODE_BUDGET: SignedDuration = SignedDuration::from_mins(5);

/// Labels that name a node's pool, by platform.
const POOL_LABELS: &[&str] = &[
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "cloud.google.com/gke-nodepool",
    "karpenter.sh/nodepool",
];

impl<'a> NodeFacts<'a> {
    /// Reads one node.
    pub fn of(node: &'a Node, taken_at: Timestamp, notes: &mut Notes) -> Self {
        let subject = || Subject::node(&node.meta.name);
        let mut pod_cidrs = vec![];
        let single = [&node.spec.pod_cidr];
        let listed: Vec<_> = node.spec.pod_cidrs.iter().filter(|c| !c.is_empty()).collect();
        let texts = if listed.is_empty() {
            single.into_iter().filter(|c| !c.is_empty()).collect()
        } else {
            listed
        };
        for text in texts {
            match cidr::parse(text) {
                Some(net) => pod_cidrs.push(net),
                None => notes.unparsable(subject(), "spec.podCIDRs", text),
            }
        }
        let mut internal_ips = vec![];
        let internal = |kind: &str| kind == "InternalIP" && !is_virtual(node);
        for address in node.status.addresses.iter().filter(|a| internal(&a.kind)) {
            match address.address.parse::<IpAddr>() {
                Ok(ip) => internal_ips.push(ip),
                Err(_) => notes.unparsable(subject(), "status.addresses", &address.address),
            }
        }
        NodeFacts {
            node,
            name: node.meta.name.as_str(),
            pool: POOL_LABELS.iter().find_map(|label| node.meta.label(label)),
            linux: operating_system(node) != "windows",
            is_virtual: is_virtual(node),
            ready: ready(node.condition("Ready")),
            young: node
                .meta
                .creation_timestamp
                .is_some_and(|t| taken_at.duration_since(t) < NODE_BUDGET),
            internal_ips,
            pod_cidrs,
            max_pods: node.status.allocatable.pods.parse().ok(),
        }
    }

    /// The Ready condition.
    pub fn ready_condition(&self) -> Option<&'a Condition> {
        self.node.condition("Ready")
    }

    /// The NetworkUnavailable condition.
    pub fn network_unavailable(&self) -> Option<&'a Condition> {
        self.node.condition("NetworkUnavailable")
    }

    /// Since when the Ready condition is as it is.
    pub fn ready_since(&self) -> Option<Timestamp> {
        self.ready_condition()?.last_transition_time
    }

    /// A taint by its key.
    pub fn taint(&self, key: &str) -> Option<&'a Taint> {
        self.node.spec.taints.iter().find(|t| t.key == *key)
    }

    /// The kernel as numbers: `5.15.0-1075-azure` is (5, 15).
    pub fn kernel(&self) -> Option<(u32, u32)> {
        let mut parts = self
            .node
            .status
            .node_info
            .kernel_version
            .split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

fn operating_system(node: &Node) -> &str {
    let said = node.status.node_info.operating_system.as_str();
    if said.is_empty() {
        node.meta.label("kubernetes.io/os").unwrap_or("linux")
    } else {
        said
    }
}

fn is_virtual(node: &Node) -> bool {
    node.meta.label("type") == Some("virtual-kubelet")
        || node.meta.label("eks.amazonaws.com/compute-type") == Some("fargate")
        || node.meta.label("kubernetes.azure.com/virtual-kubelet").is_some()
        || node
            .spec
            .taints
            .iter()
            .any(|t| t.key == "virtual-kubelet.io/provider")
}

/// The kubelet writes the runtime's words into the condition's message; these have been stable since Kubernetes 1.8.
fn ready(condition: Option<&Condition>) -> Ready {
    let Some(condition) = condition else {
        return Ready::Never;
    };
    match condition.status.as_str() {
        "True" => Ready::Yes,
        "False" => {
            let said = |words| condition.message.contains(words);
            let network = said("NetworkPluginNotReady")
                || said("cni plugin not initialized")
                || said("cni config uninitialized");
            if network { Ready::NoNetwork } else { Ready::No }
        }
        _ => Ready::Lost,
    }
}
