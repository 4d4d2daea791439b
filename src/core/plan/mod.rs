//! What a change would do, before it does anything: a pure function of the capture, the chart and what was asked.
//!
//! The way of the data: [`values::draft`] says which values this cluster needs and why; `io` renders the chart with
//! them; [`install`] adds what that brings into the cluster, the steps, and everything that forbids it. Upgrades and
//! rollbacks have a way of their own, in [`upgrade`].

pub mod adopting;
pub mod assemble;
pub mod diff;
pub mod keys;
pub mod pool;
pub mod preflight;
pub mod rights;
pub mod server;
pub mod set;
pub mod sought;
pub mod tree;
pub mod upgrade;
pub mod values;
pub mod version;

#[cfg(test)]
pub(crate) mod tests;

pub use assemble::install;
pub use preflight::differing;

use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    chart::Chart,
    cni::Cni,
    code::Change,
    codes::{
        change::ENCAPSULATION_UNSUPPORTED,
        cidrs::{POD_CIDR_OVERLAPS_ITSELF, POD_CIDR_OVERLAPS_NODE_NETWORK, POD_CIDR_OVERLAPS_SERVICE_CIDR},
    },
    facts::Facts,
    finding::{Finding, Subject},
    manifest::Object,
    report::{Byocni, Report},
};

/// What the user asked for.
#[derive(Clone)]
pub struct Request {
    /// What is done.
    pub change: Change,
    /// The CNI, where it is one that is known how to install; a chart or manifest of the user's otherwise.
    pub cni: Option<&'static Cni>,
    /// `--pod-cidr`.
    pub pod_cidrs: Vec<IpNet>,
    /// `--values`, `--set` and the like, merged in Helm's order.
    pub user_values: Value,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--take-ownership`.
    pub take_ownership: bool,
    /// `--assume-byocni`.
    pub assume_byocni: bool,
    /// `--no-rollback`.
    pub no_rollback: bool,
}

/// Why a value is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Found in the cluster, or demanded by its platform.
    Cluster,
    /// Given by the user.
    User,
    /// The chart's own default, shown because it matters here.
    Default,
    /// Demanded by the version of the chart: a key has another name there.
    Chart,
}

impl Origin {
    /// The word that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Cluster => "cluster",
            Origin::User => "user",
            Origin::Default => "default",
            Origin::Chart => "chart",
        }
    }
}

/// One value of the release.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedValue {
    /// The key as `--set` writes it: `ipam.operator.clusterPoolIPv4PodCIDRList`.
    pub key: String,
    /// The value; absent where it is the user's own and may be a secret (only values that a CNI's rules look at are
    /// shown).
    pub value: Option<Value>,
    /// Whose it is.
    pub origin: Origin,
    /// Why, in one line: `kube-proxy's cluster CIDR; apart from services, nodes and reserved ranges`.
    pub reason: String,
}

/// The values of a change, before anything is rendered.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The namespace of the release.
    pub namespace: String,
    /// The release's name.
    pub release: String,
    /// Whole, as Helm gets them (in a file): may hold secrets of the user's.
    pub values: Value,
    /// Each with its reason, by key.
    pub reasons: Vec<PlannedValue>,
    /// The pools that the CNI will hand out.
    pub pools: Vec<IpNet>,
    /// Prefix length of the blocks cut from them, one a pool, where the CNI cuts blocks.
    pub masks: Vec<u8>,
    /// What the values alone forbid or warn of.
    pub findings: Vec<Finding>,
}

/// A release that is there already, as Helm tells it.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its newest revision.
    pub revision: i64,
    /// Helm's word for it: `deployed`, `failed`, `pending-install`, …
    pub status: String,
    /// The chart's name and version.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// The user's values of that revision.
    pub values: Value,
}

/// What only a live cluster or this machine can tell.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Rights that the change needs and the server denies, as `create daemonsets.apps in kube-system`.
    pub denied: Vec<String>,
    /// The release of the planned name, where there is one.
    pub installed: Option<Installed>,
    /// What else was found on the way: `helm-missing`, `change-locked`, `probe-denied`, …
    pub findings: Vec<Finding>,
    /// What could not be read though it decides: the release, the lock. Without it nothing may be planned.
    pub unread: Vec<String>,
    /// What could not be looked at, and for want of what: `("what it creates", "helm")`.
    pub skipped: Vec<(String, String)>,
}

/// Which chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartUsed {
    /// The chart's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it installs.
    pub app_version: String,
    /// The digest of its archive, `sha256:…`.
    pub digest: String,
    /// Where it came from.
    pub source: String,
}

impl ChartUsed {
    /// Of a chart that was read.
    pub fn of(chart: &Chart) -> Self {
        ChartUsed {
            name: chart.name.clone(),
            version: chart.version.clone(),
            app_version: chart.app_version.clone(),
            digest: chart.digest.clone(),
            source: chart.source.clone(),
        }
    }
}

/// One step of the change, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step's name for scripts: `lock`, `apply-crds`, `helm-install`, `gate`, `record`.
    pub name: &'static str,
    /// What it does, in one line.
    pub does: String,
}

/// What the gate waits for, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatePlan {
    /// The limit of the whole gate.
    pub timeout: Duration,
    /// How it was reckoned: `2 nodes, 10 min start-up budget, image pulls`.
    pub reason: String,
    /// How long everything must hold.
    pub settle: Duration,
}

/// A plan. What was planned is what runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is done.
    pub change: Change,
    /// The CNI's product name, else the chart's.
    pub cni: String,
    /// The kubeconfig context.
    pub context: Option<String>,
    /// The platform's name, and whether users bring the CNI there.
    pub platform: (&'static str, Byocni),
    /// The API server's version.
    pub kubernetes_version: Option<String>,
    /// Nodes, and how many of them are Ready.
    pub nodes: (usize, usize),
    /// The chart.
    pub chart: ChartUsed,
    /// Charts whose CustomResourceDefinitions are applied first.
    pub crd_charts: Vec<ChartUsed>,
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// Every value that this change sets, with its reason.
    pub values: Vec<PlannedValue>,
    /// The pools that the CNI will hand out, with the prefix length of their blocks.
    pub pools: Vec<(IpNet, Option<u8>)>,
    /// What will be created, sorted; what is there already is left out of an upgrade's. Absent where nothing could be
    /// rendered.
    pub creates: Option<Vec<Subject>>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The gate.
    pub gate: GatePlan,
    /// What was found; those that block first, then what was there before.
    pub findings: Vec<Finding>,
    /// How many of `findings`, at their end, are not the plan's: the state that the cluster was in before.
    pub before: usize,
    /// Checks that could not be made: what, and for want of what.
    pub skipped: Vec<(String, String)>,
    /// What could not be read and without which nothing may be planned, as `list nodes`: the plan is no plan.
    pub incomplete: Vec<String>,
    /// Slugs of the findings that block the change.
    pub blocked_by: Vec<&'static str>,
    /// The same version with the same values is there already: nothing to do.
    pub nothing_to_do: bool,
    /// The chart that is installed; absent for an install.
    pub from: Option<ChartUsed>,
    /// Which hop of how many, from 1; absent where there is one alone.
    pub hop: Option<(usize, usize)>,
    /// What becomes different; absent for an install, and where nothing could be rendered.
    pub diff: Option<diff::Diff>,
    /// The rollout node by node; absent where the CNI's controllers roll.
    pub rollout: Option<super::rollout::Schedule>,
    /// The release's revision that runs; absent for an install.
    pub from_revision: Option<i64>,
    /// The revision that a rollback goes to.
    pub to_revision: Option<i64>,
}

impl Plan {
    /// Whether something forbids it.
    pub fn blocked(&self) -> bool {
        !self.blocked_by.is_empty()
    }
}

/// Whether the finding forbids this change. A consequence of another finding never does: its cause decides.
pub fn blocks(finding: &Finding, change: Change) -> bool {
    finding.caused_by.is_none() && finding.code.blocks.contains(&change)
}

/// Whether the state that it tells of cannot be changed while pods run, and an upgrade leaves it as it is: then it was
/// there before, and no reason to keep an old version. Pools that an upgrade adds are judged by themselves.
///
/// Cilium on AKS's default ranges is the usual case: its chart's default pool, 10.0.0.0/8, contains them
/// (<https://github.com/cilium/cilium/issues/31504>).
fn outlasts_upgrades(finding: &Finding) -> bool {
    [
        &POD_CIDR_OVERLAPS_SERVICE_CIDR,
        &POD_CIDR_OVERLAPS_NODE_NETWORK,
        &POD_CIDR_OVERLAPS_ITSELF,
        &ENCAPSULATION_UNSUPPORTED,
    ]
    .iter()
    .any(|code| code.id == finding.code.id)
}

/// Everything that a plan is made from.
pub struct Inputs<'a> {
    /// What the capture means.
    pub facts: &'a Facts<'a>,
    /// The report on it: its findings are the baseline.
    pub report: &'a Report,
    /// The chart.
    pub chart: &'a Chart,
    /// Charts whose CustomResourceDefinitions are applied first.
    pub crd_charts: &'a [Chart],
    /// What was asked for.
    pub request: &'a Request,
    /// The values.
    pub draft: Draft,
    /// What the chart renders with them; absent where nothing could be rendered.
    pub rendered: Option<&'a [Object]>,
    /// What only a live cluster or this machine can tell.
    pub surroundings: Surroundings,
}
