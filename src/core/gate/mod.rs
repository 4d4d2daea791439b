//! The gate of a change: a function of successive captures that says when the network is seen to work, when waiting is
//! over, and what is waited for meanwhile. Helm's own waiting is no such thing: it counts a rollout as done with every
//! agent down where the chart allows that many to be unavailable.

pub mod probe;

mod calico;
mod conditions;
mod errors;
mod failure;
mod standing;
mod started;
#[cfg(test)]
mod tests;
mod watch;
mod workloads;

use std::time::Duration;

use ipnet::IpNet;

use super::{
    capture::Workload,
    cni::Cni,
    code::Change,
    finding::{Finding, Subject},
};

pub use errors::baseline;
pub use failure::{Failure, Kind, Reach};
pub(in crate::core) use standing::too_many;
pub use started::agents_ever_ran;
pub use watch::Gate;
pub(in crate::core) use workloads::replicas_lack;

/// What a change must bring about, and what was wrong before it.
#[derive(Clone)]
pub struct Expectation {
    /// What was done.
    pub change: Change,
    /// The CNI, where it is a known one.
    pub cni: Option<&'static Cni>,
    /// The DaemonSets that the manifest has, by namespace and name; none where an operator makes them.
    pub daemon_sets: Vec<(String, String)>,
    /// The Deployments that the manifest has, by namespace and name.
    pub deployments: Vec<(String, String)>,
    /// The release's namespace.
    pub namespace: String,
    /// The pools that new pods must have their addresses from; where there are none, any address is good.
    pub pools: Vec<IpNet>,
    /// Nodes of which nothing is asked: [`baseline`], kept in the journal.
    pub broken_before: Vec<String>,
    /// `slug kind/name` of the errors that were there: [`baseline`], kept in the journal.
    pub errors_before: Vec<String>,
    /// How long everything must hold.
    pub settle: Duration,
    /// How long is waited for everything to hold for the first time.
    pub limit: Duration,
    /// What the agents' image tag must say, where it can be told; the rendered tag, not the chart's version.
    pub version: Option<String>,
    /// Whether new pods are made to see their addresses.
    pub probe: bool,
}

impl Expectation {
    /// Whether the manifest has this DaemonSet.
    fn names(&self, workload: &Workload) -> bool {
        listed(&self.daemon_sets, workload)
    }

    /// Whether the manifest has this Deployment.
    fn brings(&self, workload: &Workload) -> bool {
        listed(&self.deployments, workload)
    }
}

fn listed(all: &[(String, String)], workload: &Workload) -> bool {
    let meta = &workload.meta;
    all.iter()
        .any(|(namespace, name)| meta.namespace == **namespace && meta.name == **name)
}

/// How far one part of the waiting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// `operator`, `agents`, `nodes`, `dns`, `addresses` or `settling`, in this order.
    pub name: &'static str,
    /// How many are as they should be; of `settling`, whole seconds.
    pub done: usize,
    /// Of how many.
    pub total: usize,
    /// Whether nothing of it is waited for any more: one endpoint of two answers DNS.
    pub complete: bool,
    /// What the numbers do not say; often empty.
    pub note: String,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// A node, a workload, or the whole cluster.
    pub subject: Subject,
    /// What was seen of it, in one line.
    pub why: String,
    /// Since when, measured from the gate's beginning.
    pub since: Duration,
}

/// What a look has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Something is missing.
    Waiting,
    /// Everything holds, and must go on doing so.
    Settling {
        /// For how long.
        left: Duration,
    },
    /// Everything has held. Nodes that joined at the very end may still be starting: they are in `waiting`.
    Passed,
    /// Waiting is over.
    Failed(Box<Failure>),
}

/// One look at the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How far each part is; parts that this change does not have are left out.
    pub phases: Vec<Phase>,
    /// What is waited for: what waits longest first, then the worse, then by name.
    pub waiting: Vec<Waiting>,
    /// What follows from it.
    pub state: State,
    /// Nodes on which a probe pod is wanted and none was seen, or one that is over: make one there.
    pub probe_on: Vec<String>,
    /// Whether an agent ever ran, in this look or an earlier one, or may have run unseen: then the installation must
    /// not be taken away. See [`agents_ever_ran`].
    pub agents_ever_started: bool,
    /// New errors that the network did not cause: told, and not waited for.
    pub aside: Vec<Finding>,
    /// When the look was, from the gate's beginning.
    pub elapsed: Duration,
}
