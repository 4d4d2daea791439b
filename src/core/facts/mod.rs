//! What a capture means. Total: whatever cannot be understood becomes a note, never a failure. Facts exist so that no
//! check unwraps an option or parses a CIDR a second time.

pub mod agents;
pub mod cidr;
pub mod configured;
pub mod detection;
pub mod dns;
pub mod nodes;
pub mod platform;
pub mod pods;
pub mod ranges;
pub mod release;
pub mod scheduling;
pub mod templates;

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;

pub use agents::{AgentFacts, AgentState};
pub use detection::{Detected, Detection};
pub use nodes::{NodeFacts, Ready};

use super::{
    capture::{Capture, Source},
    cni::{Look, Network, minor_of},
    finding::Subject,
    report::{Platform, ServiceRange},
    text::Text,
};

/// What could not be understood, and where it stands.
#[derive(Debug, Default)]
pub struct Notes(Vec<(Subject, String, String)>);

impl Notes {
    /// Keeps a value that could not be parsed.
    pub fn unparsable(&mut self, subject: Subject, place: &str, text: &str) {
        let note = (subject, place.to_string(), Text::new(text).line(80));
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// All of them: where (object, field), and the text.
    pub fn all(&self) -> &[(Subject, String, String)] {
        &self.0
    }
}

/// What the user's flags add to the capture.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Networks that pools and services must not touch (`--reserved-cidr`).
    pub reserved: Vec<IpNet>,
}

/// Everything that checks look at.
pub struct Facts<'a> {
    /// The capture.
    pub capture: &'a Capture,
    /// What the user's flags add.
    pub asked: &'a Asked,
    /// Where it runs and who brings the CNI.
    pub platform: Platform,
    /// All nodes, by name.
    pub nodes: Vec<NodeFacts<'a>>,
    /// The CNI, and what else looks like one.
    pub detection: Detection<'a>,
    /// The main CNI's agents, in the nodes' order; empty where there is no agent.
    pub agents: Vec<AgentFacts<'a>>,
    /// Where addresses come from.
    pub network: Network,
    /// Service ranges.
    pub services: Vec<ServiceRange>,
    /// kube-proxy.
    pub kube_proxy: ranges::KubeProxy,
    /// Cluster DNS.
    pub dns: dns::DnsFacts<'a>,
    /// The Helm release behind the CNI.
    pub release: Option<release::ReleaseFacts>,
    /// Pods with addresses of their own, and on which node.
    pub pods: pods::PodFacts<'a>,
    /// What could not be understood.
    pub notes: Notes,
}

impl<'a> Facts<'a> {
    /// Reads a capture.
    pub fn of(capture: &'a Capture, asked: &'a Asked) -> Self {
        let mut notes = Notes::default();
        let mut nodes: Vec<NodeFacts<'a>> = capture
            .nodes
            .iter()
            .map(|n| NodeFacts::of(n, capture.taken_at, &mut notes))
            .collect();
        nodes.sort_by_key(|n| n.name);
        let named = platform::name(capture, &nodes);
        let kube_proxy = ranges::kube_proxy(capture, named.0, &mut notes);
        let signs = platform::managed_signs(capture, &nodes);
        let mut detection = detection::of(capture, &nodes, named.0, &signs);
        let network = match &detection.main {
            Some(main) => {
                let look = Look {
                    capture,
                    agent: main.workload,
                    nodes: &nodes,
                };
                (main.cni.network)(&look, &mut notes)
            }
            None => Network::default(),
        };
        let release = release::of(capture, detection.objects(capture));
        let brought = platform::Brought {
            workload: detection.main.as_ref().is_some_and(|m| m.workload.is_some()),
            proof: detection.proof(release.as_ref()),
            without_workload: detection.without_workload.as_deref(),
        };
        let platform = platform::of(capture, &nodes, named, &signs, &brought);
        detection.signs = signs;
        let agents = match &detection.main {
            Some(Detected {
                cni,
                workload: Some(workload),
                ..
            }) => agents::of(
                cni,
                &[&[*workload], detection.more_agents.as_slice()].concat(),
                &nodes,
                &capture.pods,
                capture.taken_at,
                capture.knows(Source::CniPods),
            ),
            _ => vec![],
        };
        Facts {
            asked,
            platform,
            services: ranges::services(capture, &mut notes),
            kube_proxy,
            dns: dns::of(capture),
            release,
            pods: pods::PodFacts::of(capture, &nodes),
            capture,
            nodes,
            detection,
            agents,
            network,
            notes,
        }
    }

    /// The clock.
    pub fn taken_at(&self) -> Timestamp {
        self.capture.taken_at
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&NodeFacts<'a>> {
        let index = self.nodes.binary_search_by_key(&name, |n| n.name).ok()?;
        self.nodes.get(index)
    }

    /// The agent on a node: they are in the nodes' order, which is by name.
    pub fn agent(&self, node: &str) -> Option<&AgentFacts<'a>> {
        let index = self.agents.binary_search_by_key(&node, |a| a.node).ok()?;
        self.agents.get(index)
    }

    /// Whether there is a Linux node at all.
    pub fn any_linux(&self) -> bool {
        self.nodes.iter().any(|n| n.linux)
    }

    /// Whether the CNI has no agent for this node's operating system.
    pub fn without_windows_agent(&self, node: &NodeFacts<'a>) -> bool {
        let main = self.detection.main.as_ref();
        let linux_only = main.is_some_and(|m| m.cni.linux_only && m.workload.is_some());
        !node.linux && !node.is_virtual && linux_only && !self.detection.windows_agent
    }

    /// The kernel that the CNI wants at least, where this node's is older.
    pub fn kernel_wanted(&self, node: &NodeFacts<'a>) -> Option<(u32, u32)> {
        let main = self.detection.main.as_ref()?;
        let version = self.detection.version();
        let oldest = (main.cni.oldest_kernel)(version.as_deref().and_then(minor_of))?;
        (node.linux && node.kernel()? < oldest).then_some(oldest)
    }

    /// Nodes that a CNI's agent is expected on: Linux with a machine of their own, not left out by the DaemonSet.
    pub fn served_nodes(&self) -> impl Iterator<Item = (&NodeFacts<'a>, Option<&AgentFacts<'a>>)> {
        let agents: BTreeMap<&str, &AgentFacts<'a>> = self.agents.iter().map(|a| (a.node, a)).collect();
        self.nodes
            .iter()
            .filter(|n| n.linux && !n.is_virtual)
            .filter_map(move |n| {
                let agent = agents.get(n.name).copied();
                let excluded = agent.is_some_and(|a| matches!(a.state, AgentState::Excluded { .. }));
                (!excluded).then_some((n, agent))
            })
    }

    /// Whether a new pod on this node would get a working network, as far as node and agent go.
    pub fn gives_network(&self, node: &NodeFacts<'a>, agent: Option<&AgentFacts<'a>>) -> bool {
        let by_agent = match (&self.detection.main, agent) {
            (None, _) => false,
            (Some(main), None) => main.workload.is_none(),
            (Some(_), Some(agent)) => matches!(agent.state, AgentState::Ready { .. } | AgentState::Unknown),
        };
        // An allocator's error about a block that the node has already does not take it away.
        let blockless = self.network.blocks.get(node.name).is_none_or(Vec::is_empty);
        let refused = blockless && self.network.block_errors.contains_key(node.name);
        node.ready == Ready::Yes && by_agent && !refused
    }
}
