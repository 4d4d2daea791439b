//! What a rollout sees of the cluster: per node the pods that are replaced, the operator, and what speaks for a pause.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Candidate, PodRef, pause, schedule};
use crate::core::{
    capture::{Pod, Source, Workload},
    facts::{
        AgentState, Facts, NodeFacts, Ready, agents::state_of, nodes::NODE_BUDGET, scheduling,
        templates::Newest,
    },
    finding::Subject,
    gate,
};

/// A pod that a rollout replaces: an agent, or what runs beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSeen {
    /// Its DaemonSet's name.
    pub daemon_set: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name; empty where there is none on the node.
    pub name: String,
    /// Its identity; empty where there is none, or where it was read in brief.
    pub uid: String,
    /// It is of an older template than its DaemonSet's, or started before what it must have read.
    pub outdated: bool,
    /// Its deletion was asked for.
    pub terminating: bool,
    /// How often its containers were started again.
    pub restarts: i64,
    /// What it does.
    pub state: AgentState,
}

impl PodSeen {
    /// Whether it is Ready.
    pub fn up(&self) -> bool {
        matches!(self.state, AgentState::Ready { .. })
    }

    /// What it lacks, in words.
    pub fn lacks(&self) -> Option<String> {
        let what = match &self.state {
            AgentState::Ready { .. } if self.outdated => "it is of the previous template".into(),
            AgentState::Ready { .. } | AgentState::Excluded { .. } | AgentState::NotAsked => return None,
            AgentState::Starting { waits } => waits.clone(),
            AgentState::CrashLooping {
                container,
                restarts,
                last,
            } => format!("container {container} restarts in a loop ({restarts} so far), last {last}"),
            AgentState::ImagePull { image, reason } => format!("image {image} cannot be pulled ({reason})"),
            AgentState::NotReady { why } | AgentState::Missing { why } => why.clone(),
            AgentState::Unknown => "it could not be read".into(),
        };
        Some(format!("{}: {what}", self.daemon_set))
    }
}

/// A node with an agent of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its name.
    pub name: String,
    /// Its pool; empty where the platform has none.
    pub pool: String,
    /// The Ready condition.
    pub ready: Ready,
    /// Younger than a node takes to start.
    pub young: bool,
    /// Takes new pods.
    pub schedulable: bool,
    /// A pod of cluster DNS runs there.
    pub dns: bool,
    /// Its pods, one a DaemonSet; never empty.
    pub pods: Vec<PodSeen>,
}

impl NodeSeen {
    /// Whether a pod of it must be replaced.
    pub fn outdated(&self) -> bool {
        self.pods.iter().any(|p| p.outdated)
    }

    /// Whether all its pods are Ready.
    pub fn up(&self) -> bool {
        self.pods.iter().all(PodSeen::up)
    }

    /// Whether it has what it should: new pods, all Ready, on a node that is.
    pub fn good(&self) -> bool {
        self.ready == Ready::Yes && self.up() && !self.outdated()
    }

    /// Whether its kubelet is there to start a pod.
    pub fn reachable(&self) -> bool {
        matches!(self.ready, Ready::Yes | Ready::NoNetwork)
    }

    /// What it lacks, in words.
    pub fn lacks(&self) -> String {
        // New pods that fail say more than old ones that wait for their turn.
        let lacking = self.pods.iter().filter(|p| !p.up()).chain(&self.pods);
        let pod = lacking.filter_map(PodSeen::lacks).next();
        match self.ready {
            Ready::Lost => "its kubelet has not been heard of (Ready=Unknown)".into(),
            Ready::No | Ready::Never => pod.unwrap_or_else(|| "the node is not Ready".into()),
            Ready::NoNetwork | Ready::Yes => {
                pod.unwrap_or_else(|| "its agent is Ready, its kubelet is not yet".into())
            }
        }
    }

    /// The pods to delete there: those that are outdated and not on their way out.
    pub fn to_replace(&self) -> Vec<PodRef> {
        let old = self
            .pods
            .iter()
            .filter(|p| p.outdated && !p.terminating && !p.uid.is_empty());
        old.map(|pod| PodRef {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            node: self.name.clone(),
        })
        .collect()
    }

    pub(super) fn candidate(&self, out: Option<String>) -> Candidate {
        Candidate {
            name: self.name.clone(),
            pool: self.pool.clone(),
            able: self.ready == Ready::Yes && self.schedulable && self.up(),
            dns: self.dns,
            // What is on its way out needs no deletion of ours.
            updated: self.to_replace().is_empty(),
            out,
        }
    }
}

/// A Deployment that the network hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSeen {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it lacks; none where enough replicas of the newest template are Ready.
    pub lacks: Option<String>,
    /// A replica restarts in a loop, so often.
    pub crashes: Option<i64>,
    /// A replica's image cannot be pulled.
    pub pulls: bool,
    /// Its pods that started before what they must have read; named one after the other.
    pub old: Vec<PodRef>,
    /// As many pods as are wanted are there, and each that has a node is Ready.
    pub whole: bool,
}

impl OperatorSeen {
    /// As a subject.
    pub fn subject(&self) -> Subject {
        Subject::namespaced("Deployment", &self.namespace, &self.name)
    }
}

/// Everything that a rollout sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The nodes, by name.
    pub nodes: Vec<NodeSeen>,
    /// The operator's Deployments.
    pub operators: Vec<OperatorSeen>,
    /// DaemonSets that are not there, or whose controller has not seen the newest template yet, with the reason.
    pub unsettled: Vec<(Subject, String)>,
    /// The generation of each DaemonSet's template: when it moves, somebody else changed it.
    pub templates: BTreeMap<String, String>,
    /// What the platform does to nodes at the moment.
    pub pause: Option<String>,
    /// Node pools with more than one kubelet version.
    pub mixed_pools: BTreeSet<String>,
    /// What could not be read; where there is anything, nothing else counts.
    pub unread: Vec<String>,
}

impl Seen {
    /// Reads the facts. `daemon_sets` are those that are rolled, by namespace and name: the agents', and those that
    /// run beside them; `more` are pods of theirs that the capture does not have in full. Pods of the newest template
    /// are outdated too where they are `stale`, those of the operator as well.
    pub fn of(
        facts: &Facts<'_>,
        daemon_sets: &[(String, String)],
        more: &[Pod],
        stale: Option<Stale>,
    ) -> Seen {
        let mut seen = Seen {
            unread: unread(facts),
            pause: pause::of(facts),
            mixed_pools: pause::mixed_pools(facts),
            ..Seen::default()
        };
        let mut nodes: BTreeMap<&str, Vec<PodSeen>> = BTreeMap::new();
        for (namespace, name) in daemon_sets {
            let subject = Subject::namespaced("DaemonSet", namespace, name);
            let own = |w: &&Workload| w.meta.namespace == **namespace && w.meta.name == **name;
            let Some(workload) = facts.capture.daemon_sets.iter().find(own) else {
                seen.unsettled.push((subject, "it is not there yet".into()));
                continue;
            };
            if !workload.observed() {
                let why = "its controller has not seen the newest template yet";
                seen.unsettled.push((subject, why.into()));
            }
            let set = Set::of(workload, facts, more, stale);
            if let Some(generation) = set.newest.generation() {
                seen.templates
                    .insert(format!("{namespace}/{name}"), generation.into());
            }
            if set.by_node.is_empty() && workload.ready() > 0 {
                seen.unread.push(format!("the pods of daemonset/{name}"));
            }
            for node in facts.nodes.iter().filter(|n| !n.is_virtual) {
                if let Some(pod) = set.on(node) {
                    nodes.entry(node.name).or_default().push(pod);
                }
            }
        }
        let dns = schedule::dns_nodes(facts);
        let of = facts.nodes.iter().filter_map(|node| {
            Some(NodeSeen {
                name: node.name.to_string(),
                pool: node.pool.unwrap_or_default().to_string(),
                ready: node.ready,
                young: node.young,
                schedulable: !node.node.spec.unschedulable,
                dns: dns.contains(node.name),
                pods: nodes.remove(node.name)?,
            })
        });
        seen.nodes = of.collect();
        let operators = facts.detection.operators.iter().filter(|w| w.desired() > 0);
        seen.operators = operators.map(|w| operator(facts, w, stale)).collect();
        seen
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&NodeSeen> {
        self.nodes.iter().find(|n| n.name == name)
    }
}

/// The sources without which nothing is known.
fn unread(facts: &Facts<'_>) -> Vec<String> {
    let needed = [
        Source::Nodes,
        Source::DaemonSets,
        Source::Deployments,
        Source::CniPods,
    ];
    let missing = needed.iter().filter_map(|s| facts.capture.state(*s).missing(*s));
    missing.collect()
}

/// A DaemonSet and its pods.
struct Set<'s> {
    workload: &'s Workload,
    newest: Newest<'s>,
    by_node: BTreeMap<&'s str, &'s Pod>,
    stale: Option<Stale>,
    taken_at: Timestamp,
}

impl<'s> Set<'s> {
    fn of(workload: &'s Workload, facts: &Facts<'s>, more: &'s [Pod], stale: Option<Stale>) -> Set<'s> {
        let own =
            |pod: &&Pod| pod.meta.namespace == workload.meta.namespace && workload.selects(&pod.meta.labels);
        let all = || facts.capture.pods.iter().chain(more).filter(own);
        let mut by_node: BTreeMap<&str, &Pod> = BTreeMap::new();
        let rank = |p: &Pod| {
            (
                p.meta.deletion_timestamp.is_none(),
                !p.finished(),
                p.meta.creation_timestamp,
            )
        };
        for pod in all().filter(|p| !p.spec.node_name.is_empty()) {
            let place = by_node.entry(pod.spec.node_name.as_str()).or_insert(pod);
            if rank(pod) > rank(place) {
                *place = pod;
            }
        }
        Set {
            workload,
            newest: Newest::of(workload, all()),
            by_node,
            stale,
            taken_at: facts.taken_at(),
        }
    }

    /// Its pod on a node; nothing where it means to have none there.
    fn on(&self, node: &NodeFacts<'_>) -> Option<PodSeen> {
        let (namespace, daemon_set) = (&self.workload.meta.namespace, &self.workload.meta.name);
        let Some(pod) = self.by_node.get(node.name) else {
            let away = scheduling::excluded(self.workload, node.node).is_some()
                || scheduling::repelled(self.workload, node.node).is_some();
            return (!away).then(|| PodSeen {
                daemon_set: daemon_set.to_string(),
                namespace: namespace.to_string(),
                name: String::new(),
                uid: String::new(),
                outdated: false,
                terminating: false,
                restarts: 0,
                state: AgentState::Missing {
                    why: "there is no pod yet".into(),
                },
            });
        };
        let statuses = pod.status.container_statuses.iter();
        let inits = pod.status.init_container_statuses.iter();
        Some(PodSeen {
            daemon_set: daemon_set.to_string(),
            namespace: namespace.to_string(),
            name: pod.meta.name.to_string(),
            uid: pod.meta.uid.to_string(),
            outdated: self.newest.outdates(pod) || self.stale.is_some_and(|stale| stale.holds(pod)),
            terminating: pod.meta.deletion_timestamp.is_some(),
            restarts: statuses.chain(inits).map(|c| c.restart_count).sum(),
            state: state_of(pod, self.taken_at, SignedDuration::MAX),
        })
    }
}

/// Pods that were made in this span have read at their start what is not in their configuration any more. The API server
/// writes whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// When what they have read was written: those that are older never read it. None where all that is older is stale.
    pub from: Option<Timestamp>,
    /// When what counts was written.
    pub before: Timestamp,
}

impl Stale {
    fn holds(self, pod: &Pod) -> bool {
        let Some(made) = pod.meta.creation_timestamp.map(Timestamp::as_second) else {
            return false;
        };
        made < self.before.as_second() && self.from.is_none_or(|from| made >= from.as_second())
    }
}

fn operator(facts: &Facts<'_>, workload: &Workload, stale: Option<Stale>) -> OperatorSeen {
    let own = |pod: &&Pod| {
        pod.meta.namespace == workload.meta.namespace
            && workload.selects(&pod.meta.labels)
            && !pod.finished()
            && pod.meta.deletion_timestamp.is_none()
    };
    let pods: Vec<&Pod> = facts.capture.pods.iter().filter(own).collect();
    let mut seen = OperatorSeen {
        namespace: workload.meta.namespace.to_string(),
        name: workload.meta.name.to_string(),
        lacks: gate::replicas_lack(facts, workload),
        crashes: None,
        pulls: false,
        old: vec![],
        whole: i64::try_from(pods.len()).is_ok_and(|n| n >= workload.desired()),
    };
    for pod in pods {
        let homeless = pod.spec.node_name.is_empty();
        seen.whole &= homeless || pod.ready();
        if stale.is_some_and(|stale| stale.holds(pod)) && !homeless && !pod.meta.uid.is_empty() {
            seen.old.push(PodRef {
                namespace: pod.meta.namespace.to_string(),
                name: pod.meta.name.to_string(),
                uid: pod.meta.uid.to_string(),
                node: pod.spec.node_name.to_string(),
            });
        }
        match state_of(pod, facts.taken_at(), NODE_BUDGET) {
            AgentState::CrashLooping { restarts, .. } => seen.crashes = seen.crashes.max(Some(restarts)),
            AgentState::ImagePull { .. } => seen.pulls = true,
            _ => {}
        }
    }
    seen.old.sort();
    seen
}
