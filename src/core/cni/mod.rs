//! What is known of each CNI: the marks that it leaves in a cluster, where its networks are written, what it needs.
//! Everything about one product is in its own file; a new one is a new file and a line in [`ALL`].

pub mod antrea;
pub mod azure;
pub mod calico;
pub mod cilium;
pub mod companions;
pub mod flannel;
pub mod kube_ovn;
pub mod kube_router;
pub mod others;
pub mod weave;

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{
    capture::{Capture, Resource, Workload},
    checks::Check,
    facts::{NodeFacts, Notes},
    report::Pool,
};

/// What part a CNI plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Gives pods addresses and interfaces; its users brought it.
    Primary,
    /// Gives pods addresses and interfaces; the platform runs it.
    Managed,
    /// Policy only, chained, or a meta plugin: stands beside another.
    Companion,
}

/// The marks of an agent's DaemonSet.
#[derive(Debug)]
pub struct Agent {
    /// The container that is the agent. Images are no evidence alone: mirrors rename them.
    pub container: &'static str,
    /// Names of the DaemonSet; empty where the container's name says enough.
    pub daemon_sets: &'static [&'static str],
    /// A word that the image's path holds, where the container's name is an ordinary one.
    pub image_word: Option<&'static str>,
}

/// How a CNI hands out addresses (DESIGN: "Block model").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockModel {
    /// A pod's address lies in its node's block.
    Exclusive,
    /// Blocks are affinities; addresses only have to lie in a pool.
    Borrowing,
    /// No blocks a node.
    #[default]
    None,
}

/// Where a CNI's addresses come from, in this cluster.
#[derive(Debug, Default)]
pub struct Network {
    /// What it hands out.
    pub pools: Vec<Pool>,
    /// Pools that hand out nothing new, and whose addresses are good where pods have them.
    pub retired: Vec<IpNet>,
    /// Whether the pools are known at all: none configured is not the same as not found.
    pub pools_known: bool,
    /// Each node's blocks.
    pub blocks: BTreeMap<String, Vec<IpNet>>,
    /// The kind that the blocks were read from: `CiliumNode`, `node.spec.podCIDR`.
    pub block_source: &'static str,
    /// Whether the blocks could be read.
    pub blocks_known: bool,
    /// What the allocator says is wrong with a node.
    pub block_errors: BTreeMap<String, String>,
    /// How addresses are handed out.
    pub model: BlockModel,
    /// Agents take `node.spec.podCIDR` and cannot do without.
    pub needs_node_cidr: bool,
    /// A node can have more than one block.
    pub many_blocks: bool,
    /// Addresses of a block that pods do not get (network, gateway, broadcast, the agent's own).
    pub reserved_in_block: u64,
    /// Does kube-proxy's work.
    pub replaces_kube_proxy: bool,
    /// A sentence on how it allocates: `cluster-pool`, `kubernetes`, `vxlan`.
    pub mode: Option<String>,
}

/// How a CNI is brought to a cluster.
pub struct Installing {
    /// The chart's name.
    pub chart: &'static str,
    /// The repository that its project publishes the chart in.
    pub repository: &'static str,
    /// The release's name, where the user gives none.
    pub release: &'static str,
    /// The release's namespace, where the user gives none.
    pub namespace: &'static str,
    /// The chart of its CustomResourceDefinitions, and the first minor that has it apart.
    pub crd_chart: Option<(&'static str, (u64, u64))>,
    /// Leases that its operator takes in the release's namespace, and leaves behind.
    pub leases: &'static [&'static str],
    /// Values with the update strategy of a DaemonSet, and the DaemonSet's name, for those that are replaced node by node
    /// by us: agents, and what must go with them.
    pub strategies: &'static [(&'static str, &'static str)],
    /// The minors that are known how to install, oldest and newest.
    pub minors: ((u64, u64), (u64, u64)),
    /// The values that this cluster needs.
    pub values: fn(&super::plan::values::Drafting<'_>) -> super::plan::values::Needed,
    /// What the values of a release, as they would run, forbid or warn of in this cluster.
    pub rules: fn(&super::plan::values::Drafting<'_>, &serde_json::Value) -> Vec<super::finding::Finding>,
    /// What an upgrade or a rollback must know of it.
    pub upgrading: &'static super::plan::upgrade::Rules,
    /// The pools that the user's own values name.
    pub named: fn(&serde_json::Value) -> super::plan::pool::Named,
    /// How it cuts its pools into blocks.
    pub cutting: super::plan::pool::Cutting,
    /// What is known of its chart's keys beyond the chart itself.
    pub keys: super::plan::keys::Keys,
    /// The Kubernetes versions that its project names as tested.
    pub tested: &'static [super::plan::version::Tested],
    /// Versions that do harm under a condition.
    pub known_bad: &'static [super::plan::version::KnownBad],
}

/// The oldest kernel (major, minor) for the version that is installed (major, minor).
pub type OldestKernel = fn(Option<(u64, u64)>) -> Option<(u32, u32)>;

/// One product.
pub struct Cni {
    /// How commands name it.
    pub id: &'static str,
    /// The product's name.
    pub name: &'static str,
    /// Its part.
    pub role: Role,
    /// Its agents; any of them is evidence.
    pub agents: &'static [Agent],
    /// Deployments without which it does not work.
    pub operators: &'static [&'static str],
    /// Other workloads of its own.
    pub companions: &'static [&'static str],
    /// API groups of its CustomResourceDefinitions.
    pub groups: &'static [&'static str],
    /// The reason of NetworkUnavailable=False that it writes.
    pub up_reason: Option<&'static str>,
    /// Beginnings of the annotations that it leaves on nodes.
    pub node_annotations: &'static [&'static str],
    /// The start-up taint that its users may put on nodes.
    pub taint: Option<&'static str>,
    /// Its own kinds that are read.
    pub resources: &'static [&'static Resource],
    /// The ConfigMap that its agents are configured by.
    pub config_map: Option<&'static str>,
    /// ConfigMaps of its own that it reads anew while it runs: a change of them needs no restart.
    pub rereads: &'static [&'static str],
    /// Namespaces in which an operator of it makes workloads that no chart renders.
    pub made_in: &'static [&'static str],
    /// Agents run on Linux only.
    pub linux_only: bool,
    /// The oldest kernel that it runs on, by the version that is installed (major, minor).
    pub oldest_kernel: OldestKernel,
    /// The Helm chart that its project publishes.
    pub chart: Option<&'static str>,
    /// How it is installed, where that is known.
    pub installing: Option<&'static Installing>,
    /// Where the addresses come from.
    pub network: fn(&Look<'_>, &mut Notes) -> Network,
    /// Why this workload of it is a companion only (policy, chaining), where it is.
    pub beside_another: fn(&Capture, &Workload) -> Option<String>,
    /// Checks of its own.
    pub checks: &'static [Check],
}

/// What a CNI's `network` may look at.
pub struct Look<'a> {
    /// The capture.
    pub capture: &'a Capture,
    /// The agent's DaemonSet, where there is one.
    pub agent: Option<&'a Workload>,
    /// The nodes.
    pub nodes: &'a [NodeFacts<'a>],
}

impl Look<'_> {
    /// The namespace of the agent, else of everything else in the system.
    pub fn namespace(&self) -> &str {
        self.agent.map_or("kube-system", |a| a.meta.namespace.as_str())
    }

    /// Every node's `spec.podCIDRs` as its blocks.
    pub fn node_cidrs(&self) -> BTreeMap<String, Vec<IpNet>> {
        let with_blocks = self.nodes.iter().filter(|n| !n.pod_cidrs.is_empty());
        with_blocks
            .map(|n| (n.name.to_string(), n.pod_cidrs.clone()))
            .collect()
    }
}

/// No product's defaults: what most have in common.
pub(crate) const PLAIN: Cni = Cni {
    id: "",
    name: "",
    role: Role::Primary,
    agents: &[],
    operators: &[],
    companions: &[],
    groups: &[],
    up_reason: None,
    node_annotations: &[],
    taint: None,
    resources: &[],
    config_map: None,
    rereads: &[],
    made_in: &[],
    linux_only: true,
    oldest_kernel: |_| None,
    chart: None,
    installing: None,
    network: |_, _| Network {
        blocks_known: true,
        ..Network::default()
    },
    beside_another: |_, _| None,
    checks: &[],
};

/// Every CNI that is known by name. The order decides where marks are shared: Canal's DaemonSet has Calico's and
/// Flannel's containers. (Azure CNI powered by Cilium is not here: its DaemonSet is Cilium's, and only the platform's
/// labels tell.)
pub const ALL: &[&Cni] = &[
    &azure::AZURE_CNI,
    &others::GKE_DATAPLANE_V2,
    &others::AMAZON_VPC,
    &flannel::CANAL,
    &cilium::CILIUM,
    &calico::CALICO,
    &flannel::FLANNEL,
    &antrea::ANTREA,
    &kube_ovn::KUBE_OVN,
    &kube_router::KUBE_ROUTER,
    &weave::WEAVE,
    &others::KINDNET,
    &companions::MULTUS,
    &companions::ISTIO_CNI,
    &companions::LINKERD_CNI,
    &companions::AZURE_NPM,
];

/// Every custom resource that some CNI is judged by.
pub fn resources() -> Vec<&'static Resource> {
    let mut all: Vec<&'static Resource> = ALL.iter().flat_map(|c| c.resources.iter().copied()).collect();
    all.sort_by_key(|r| r.name);
    all.dedup_by_key(|r| r.name);
    all
}

impl Agent {
    /// What of a DaemonSet says that it is this agent.
    pub fn evidence(&self, workload: &Workload) -> Option<String> {
        let container = workload.container(self.container)?;
        let named = self.daemon_sets.is_empty() || self.daemon_sets.iter().any(|n| workload.meta.name == **n);
        let image = self.image_word.is_some_and(|word| container.image.contains(word));
        let unmistakable = self.daemon_sets.is_empty() && self.image_word.is_none();
        (unmistakable || (named && !self.daemon_sets.is_empty()) || image).then(|| {
            format!(
                "DaemonSet {}/{} with container {}",
                workload.meta.namespace, workload.meta.name, self.container
            )
        })
    }
}

impl Cni {
    /// What of a DaemonSet says that it is this CNI's agent.
    pub fn evidence(&self, workload: &Workload) -> Option<String> {
        self.agents.iter().find_map(|agent| agent.evidence(workload))
    }

    /// The agent's container in a DaemonSet of this CNI.
    pub fn agent_container<'w>(
        &self,
        workload: &'w Workload,
    ) -> Option<&'w super::capture::workload::Container> {
        let named = self
            .agents
            .iter()
            .find_map(|agent| workload.container(agent.container));
        named.or_else(|| workload.spec.template.spec.containers.first())
    }
}

/// The version in an image's tag: `quay.io/cilium/cilium:v1.19.6@sha256:…` is `1.19.6`; a digest alone or a word
/// such as `latest` is none.
pub fn image_version(image: &str) -> Option<String> {
    let named = image.split_once('@').map_or(image, |(name, _)| name);
    let tag = named
        .rsplit_once('/')
        .map_or(named, |(_, last)| last)
        .split_once(':')?
        .1;
    let version = tag.strip_prefix('v').unwrap_or(tag);
    let digits = version.split(['-', '+', '_']).next().unwrap_or_default();
    let numbers: Vec<&str> = digits.split('.').collect();
    let numeric = numbers
        .iter()
        .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (numbers.len() >= 2 && numeric).then(|| version.to_string())
}

/// Major and minor of a version.
pub fn minor_of(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version
        .trim_start_matches('v')
        .split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_a_tag() {
        assert_eq!(
            image_version("quay.io/cilium/cilium:v1.19.6@sha256:ab").as_deref(),
            Some("1.19.6")
        );
        assert_eq!(
            image_version("registry.example:5000/mirror/flannel:v0.28.4").as_deref(),
            Some("0.28.4")
        );
        assert_eq!(image_version("registry.example:5000/mirror/flannel"), None);
        assert_eq!(image_version("quay.io/cilium/cilium@sha256:ab"), None);
        assert_eq!(image_version("quay.io/cilium/cilium:latest"), None);
        assert_eq!(
            image_version("calico/node:v3.31.3-hardened.1").as_deref(),
            Some("3.31.3-hardened.1")
        );
    }

    #[test]
    fn every_resource_is_named_by_plural_and_group() {
        for resource in resources() {
            assert_eq!(resource.name, format!("{}.{}", resource.plural, resource.group));
            assert!(!resource.versions.is_empty());
        }
    }
}
