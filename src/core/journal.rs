//! What is written down about a change before each of its steps, so that it can be finished or undone from anywhere.
//! It holds no values: those are in a Secret beside it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    capture::{Capture, file::JOURNAL},
    code::Change,
};

/// How far a change has come. Each phase is written down before what it names is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing was written but lock, journal and Secret.
    Planned,
    /// CustomResourceDefinitions are being applied.
    ApplyingCrds,
    /// Helm was started.
    Helm,
    /// Helm is done; agents are being replaced, node by node.
    Rolling,
    /// Everything is replaced; the network is being watched.
    Gate,
    /// The network was seen to work; the DaemonSets get the chart's own update strategy back.
    Strategy,
    /// The change is being taken back.
    Back,
    /// Over: the outcome stands in the record.
    Done,
}

impl Phase {
    /// In words, behind "stopped".
    pub fn doing(self) -> &'static str {
        match self {
            Phase::Planned => "before the first step",
            Phase::ApplyingCrds => "while applying CustomResourceDefinitions",
            Phase::Helm => "while running helm",
            Phase::Rolling => "while replacing agents",
            Phase::Gate => "while waiting for the network",
            Phase::Strategy => "while giving the DaemonSets their update strategy back",
            Phase::Back => "while taking the change back",
            Phase::Done => "after the last step",
        }
    }
}

/// Which chart an operation installs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournaledChart {
    /// The chart's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its archive, `sha256:…`.
    pub digest: String,
}

/// What the cluster was like before: what a gate does not blame on the change, and what going back must not remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Before {
    /// The release's newest revision, none where there was no release.
    pub revision: Option<i64>,
    /// Nodes that were broken for other reasons than the network.
    pub broken_nodes: Vec<String>,
    /// `slug subject` of the errors that were there.
    pub errors: Vec<String>,
    /// Whether the release's namespace was there.
    pub namespace: bool,
    /// CustomResourceDefinitions of the CNI's groups, and those that the charts bring, that were there.
    pub crds: Vec<String>,
    /// Nodes that bore the CNI's start-up taint.
    pub tainted: Vec<String>,
    /// Since when agents that started have read what stood in their configuration, where that is known.
    pub configured: Option<Timestamp>,
}

/// How fast agents are replaced, node by node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pace {
    /// Canaries a node pool.
    pub canaries: usize,
    /// Agents that we take down at once, at most.
    pub max_parallel: usize,
    /// How long a canary must be well before the next node, in seconds.
    pub soak_seconds: u64,
    /// After how many seconds the rollout has failed.
    #[serde(default)]
    pub limit_seconds: u64,
    /// Whether to stop once the canaries are well.
    pub pause: bool,
}

/// What an upgrade or a rollback replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaces {
    /// The revision to go back to if it fails.
    pub revision: i64,
    /// The chart's version in it.
    pub version: String,
    /// The revision that a rollback goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<i64>,
    /// How long everything must hold in the end, in seconds.
    pub settle_seconds: u64,
    /// Node by node, where that is how this CNI is replaced; else its own controllers do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// Whether agents are restarted though their template is the same: only their configuration changes.
    #[serde(default)]
    pub restart: bool,
    /// Nodes whose agents were replaced and found good, and canaries that have held, on this way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// When the agents' configuration of the way there was written, as the first look at the rollout has it: agents
    /// that started since have read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<Timestamp>,
    /// Why it is being taken back, where it is: the finding's slug and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<(String, String)>,
    /// Where the walk goes on to after this hop, as `--to` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Random, one a change.
    pub id: String,
    /// What is done.
    pub change: Change,
    /// The CNI's id (`cilium`), else the chart's name.
    pub cni: String,
    /// Who began it: `user@host`.
    pub by: String,
    /// When.
    pub begun: Timestamp,
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// The chart.
    pub chart: JournaledChart,
    /// Charts whose CustomResourceDefinitions are applied first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crd_charts: Vec<JournaledChart>,
    /// CustomResourceDefinitions that the charts bring, of whatever group: helm leaves those of a `crds` folder behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defines: Vec<String>,
    /// The pools planned.
    pub pools: Vec<ipnet::IpNet>,
    /// The gate's limit, in seconds.
    pub gate_seconds: u64,
    /// `--take-ownership`.
    #[serde(default)]
    pub take_ownership: bool,
    /// `--no-rollback`.
    #[serde(default)]
    pub no_rollback: bool,
    /// What it replaces; nothing on an install.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
    /// How far it has come.
    pub phase: Phase,
    /// Before it began.
    pub before: Before,
}

/// What cannot be derived from the cluster later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The version that was installed first (`1.19.6`): Cilium's `upgradeCompatibility` wants its minor.
    pub first_installed: Option<String>,
    /// The verdict after each revision's change, by revision.
    pub health: BTreeMap<i64, String>,
    /// Who made each revision, `user@host`.
    pub by: BTreeMap<i64, String>,
    /// The last change that was taken back, where it wrote to the agents' configuration.
    pub restored: Option<Restored>,
}

/// A configuration that was written anew and says what it said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When it was written, as the API server has it.
    pub written: Timestamp,
    /// Since when agents that started have read the same.
    pub since: Timestamp,
}

/// The records of a capture, by `namespace/release`; none where they cannot be understood: what nobody can read vouches
/// for nothing.
pub fn records(capture: &Capture) -> BTreeMap<String, Record> {
    let map = capture.config_map("kube-system", JOURNAL);
    let text = map.and_then(|map| map.get("records"));
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// The journal: at most one change is under way, whatever the CNI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// The change under way, or interrupted.
    pub operation: Option<Operation>,
    /// By `namespace/release`.
    pub records: BTreeMap<String, Record>,
}
