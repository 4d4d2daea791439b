//! What is written down about a change before each of its steps, so that it can be finished or undone from anywhere.
//! It holds no values: those are in a Secret beside it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::code::Change;

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
    /// Helm is done; the network is being watched.
    Gate,
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
            Phase::Gate => "while waiting for the network",
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
}

/// The journal: at most one change is under way, whatever the CNI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// The change under way, or interrupted.
    pub operation: Option<Operation>,
    /// By `namespace/release`.
    pub records: BTreeMap<String, Record>,
}
