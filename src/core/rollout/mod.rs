//! A rollout of the agents node by node: a function of successive looks at the cluster that says which pods to delete
//! next, when the new agents are seen to be bad, and when all is done. The DaemonSets have the new template and
//! `updateStrategy` OnDelete meanwhile, so that nothing moves but what is named here: when nobody looks any more, the
//! cluster stands still.

pub mod schedule;
pub mod seen;

mod failure;
mod machine;
mod pause;
mod track;

use std::time::Duration;

use super::gate::{Phase, Waiting};

pub use failure::{Failure, Kind};
pub use machine::Rollout;
pub use schedule::{Candidate, Schedule, schedule};
pub use seen::{NodeSeen, OperatorSeen, PodSeen, Seen, Stale};

/// How a rollout goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Nodes of each pool that go first, one after the other; none where an upgrade is taken back.
    pub canaries: usize,
    /// How many nodes may be without their agent at once because of us; never less than one.
    pub max_parallel: usize,
    /// How long each canary must hold before the next node is touched.
    pub soak: Duration,
    /// Stop once the canaries have held, and say so.
    pub pause: bool,
    /// How long an agent may take to become Ready: [`budget`] of the new template.
    pub budget: Duration,
    /// How long a node that is lost meanwhile holds up the others; after that it is told apart.
    pub patience: Duration,
    /// How long a pause of the platform, or an API server that cannot be read, is sat out.
    pub pause_limit: Duration,
    /// After how long the rollout fails, pauses left out; [`Schedule::limit`], none for no limit.
    pub limit: Option<Duration>,
    /// Whether a new pod on each canary must be seen to have an address.
    pub probe: bool,
}

/// How long a canary must hold where the user does not say.
pub const SOAK: Duration = Duration::from_secs(60);

/// How long a lost node holds up the others: as long as a node may take to start.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What is added to a start-up budget: the old agent's end, the controller's and the kubelet's own time.
pub const MARGIN: Duration = Duration::from_secs(60);

impl Settings {
    /// What holds where the user says nothing: a canary a pool, a minute's soak, 2 % of the nodes at once.
    pub fn new(nodes: usize, budget: Duration) -> Self {
        Settings {
            canaries: 1,
            max_parallel: default_max_parallel(nodes),
            soak: SOAK,
            pause: false,
            budget,
            patience: PATIENCE,
            pause_limit: Duration::from_secs(1800),
            limit: None,
            probe: true,
        }
    }

    /// The same on the way back from a change that failed: no canaries, as the old agents are known, and never faster.
    #[must_use]
    pub fn back(self) -> Self {
        Settings {
            canaries: 0,
            soak: Duration::ZERO,
            pause: false,
            ..self
        }
    }
}

/// How many nodes may be without their agent at once where the user does not say: 2 % of them, one at least and ten
/// at most (DESIGN §7.5).
pub fn default_max_parallel(nodes: usize) -> usize {
    (nodes / 50).clamp(1, 10)
}

/// A pod that is to be deleted, and no other of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its identity: the precondition of the deletion.
    pub uid: String,
    /// Its node.
    pub node: String,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Look again.
    Wait,
    /// Delete these pods, and look again. A pod that is still there at the next look is named again.
    Replace(Vec<PodRef>),
    /// Stop: the platform is at work on the nodes, or the API server cannot be read, for longer than is sat out. No
    /// agent that was taken down here is known to be away.
    Paused(String),
    /// Stop: the canaries have held, and the user wanted to see that.
    AtCanary,
    /// All nodes have their new agent, but those that are told apart.
    Done,
    /// The new agents are seen to be bad, or time is over. Nothing more is deleted.
    Failed(Box<Failure>),
}

/// What a look has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What follows from it.
    pub next: Do,
    /// `operator`, `canary` and `waves`, those that there are.
    pub phases: Vec<Phase>,
    /// What is waited for: what waits longest first.
    pub waiting: Vec<Waiting>,
    /// The node on which a probe is wanted and none was seen.
    pub probe_on: Vec<String>,
    /// Nodes that were replaced and are well, and canaries that have held: for the journal, in order.
    pub done: Vec<String>,
    /// Nodes that hold up nobody any more, each with the reason: broken before, lost meanwhile.
    pub apart: Vec<(String, String)>,
    /// Whether no agent that was taken down here is away: a point to stop at.
    pub at_rest: bool,
    /// When the look was, from the rollout's beginning.
    pub elapsed: Duration,
}

/// The start-up budget of an agent: the longest that the startup probes of its containers allow, five minutes where
/// there is none (DESIGN: "Young things").
pub fn budget(agent: &super::capture::Workload) -> Duration {
    let probes = agent.spec.template.spec.containers.iter();
    let seconds = probes.filter_map(|c| c.startup_probe.as_ref()).map(|probe| {
        // Kubernetes' defaults: 3 tries, 10 seconds apart.
        let tries = probe.failure_threshold.unwrap_or(3);
        tries.saturating_mul(probe.period_seconds.unwrap_or(10))
    });
    let longest = seconds.max().and_then(|s| u64::try_from(s).ok());
    Duration::from_secs(longest.unwrap_or(300).clamp(1, 86_400))
}
