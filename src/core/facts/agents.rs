//! What the CNI's agent does on each node.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{NodeFacts, Ready, scheduling, templates::Newest};
use crate::core::{
    capture::{
        Pod, Workload,
        pod::{ContainerStatus, Terminated},
    },
    cni::{Cni, image_version},
    text::Text,
};

/// What the agent does on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// Ready.
    Ready {
        /// How it last ended, if that was in the last ten minutes.
        restarted: Option<String>,
    },
    /// Not Ready yet, and within its start-up budget.
    Starting {
        /// What it waits for.
        waits: String,
    },
    /// Starts and ends in a loop.
    CrashLooping {
        /// The container.
        container: String,
        /// How often it was started again.
        restarts: i64,
        /// How it last ended, in words.
        last: String,
    },
    /// Its image cannot be pulled.
    ImagePull {
        /// The image.
        image: String,
        /// The kubelet's reason.
        reason: String,
    },
    /// Not Ready for another reason.
    NotReady {
        /// What was seen.
        why: String,
    },
    /// There is no pod for the node.
    Missing {
        /// Why, as far as it shows.
        why: String,
    },
    /// The DaemonSet leaves the node out by its own wish.
    Excluded {
        /// Which wish.
        why: String,
    },
    /// The node is gone, or is none that an agent runs on; nothing is asked of an agent there.
    NotAsked,
    /// The agent's pods could not be read.
    Unknown,
}

impl AgentState {
    /// Every word that [`AgentState::as_str`] has.
    pub const WORDS: [&str; 8] = [
        "ready",
        "starting",
        "crash-looping",
        "image-pull",
        "not-ready",
        "missing",
        "excluded",
        "unknown",
    ];

    /// The word for tables and JSON, one of [`AgentState::WORDS`]; none where nothing is asked of an agent.
    pub fn as_str(&self) -> Option<&'static str> {
        let word = match self {
            AgentState::Ready { .. } => "ready",
            AgentState::Starting { .. } => "starting",
            AgentState::CrashLooping { .. } => "crash-looping",
            AgentState::ImagePull { .. } => "image-pull",
            AgentState::NotReady { .. } => "not-ready",
            AgentState::Missing { .. } => "missing",
            AgentState::Excluded { .. } => "excluded",
            AgentState::NotAsked => return None,
            AgentState::Unknown => "unknown",
        };
        debug_assert!(Self::WORDS.contains(&word), "{word} is not in the schema");
        Some(word)
    }
}

/// The agent on one node.
#[derive(Debug)]
pub struct AgentFacts<'a> {
    /// The node's name.
    pub node: &'a str,
    /// What it does.
    pub state: AgentState,
    /// Its pod, where there is one.
    pub pod: Option<&'a Pod>,
    /// The version that its image's tag names.
    pub version: Option<String>,
    /// When what runs there read its configuration.
    pub started: Option<Timestamp>,
    /// Whether the pod is of an older template than the DaemonSet's.
    pub outdated: bool,
}

/// How long an agent may take to become Ready where its startup probe does not say (DESIGN: "Young things").
const DEFAULT_BUDGET: SignedDuration = SignedDuration::from_mins(5);

/// How long a restart is worth telling, and how old the last end of a container may be for a loop to be still on:
/// the kubelet's back-off between restarts is capped at 5 minutes.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// The start-up budget of an agent.
pub fn budget(cni: &Cni, workload: &Workload) -> SignedDuration {
    let probe = cni
        .agent_container(workload)
        .and_then(|c| c.startup_probe.as_ref());
    // Kubernetes' defaults: 3 tries, 10 seconds apart.
    let seconds = probe.map(|p| {
        p.failure_threshold
            .unwrap_or(3)
            .saturating_mul(p.period_seconds.unwrap_or(10))
    });
    seconds.map_or(DEFAULT_BUDGET, |s| SignedDuration::from_secs(s.clamp(0, 86_400)))
}

/// The agents of all nodes, in the nodes' order. There is a DaemonSet or several, such as one for Windows; `pods_known`
/// says whether pods could be read at all.
pub fn of<'a>(
    cni: &Cni,
    workloads: &[&Workload],
    nodes: &[NodeFacts<'a>],
    pods: &'a [Pod],
    taken_at: Timestamp,
    pods_known: bool,
) -> Vec<AgentFacts<'a>> {
    let owner = |pod: &Pod| {
        let owns = |w: &&&Workload| pod.meta.namespace == w.meta.namespace && w.selects(&pod.meta.labels);
        workloads.iter().find(owns).copied()
    };
    let mut by_node: BTreeMap<&str, &Pod> = BTreeMap::new();
    let mut waiting_for_node = None;
    for pod in pods.iter().filter(|p| owner(p).is_some()) {
        if pod.spec.node_name.is_empty() {
            let why = pod
                .condition("PodScheduled")
                .map(|c| c.message.line(160))
                .filter(|m| !m.is_empty());
            waiting_for_node = why.or(waiting_for_node);
            continue;
        }
        let rank = |p: &Pod| {
            (
                p.meta.deletion_timestamp.is_none(),
                !p.finished(),
                p.meta.creation_timestamp,
            )
        };
        let place = by_node.entry(pod.spec.node_name.as_str()).or_insert(pod);
        if rank(pod) > rank(place) {
            *place = pod;
        }
    }
    let newest: Vec<(&Workload, Newest<'_>)> = workloads
        .iter()
        .map(|w| {
            let own = pods
                .iter()
                .filter(|p| owner(p).is_some_and(|o| std::ptr::eq(o, *w)));
            (*w, Newest::of(w, own))
        })
        .collect();
    let judge = |node: &NodeFacts<'a>| -> Option<AgentFacts<'a>> {
        let pod = by_node.get(node.name).copied();
        let meant = workloads
            .iter()
            .find(|w| scheduling::excluded(w, node.node).is_none());
        let workload = pod
            .and_then(owner)
            .or(meant.copied())
            .or(workloads.first().copied())?;
        let state = if node.is_virtual || (cni.linux_only && !node.linux) || node.ready == Ready::Lost {
            AgentState::NotAsked
        } else if !pods_known {
            AgentState::Unknown
        } else if let Some(pod) = pod {
            state_of(pod, taken_at, budget(cni, workload))
        } else if let Some(why) = scheduling::excluded(workload, node.node) {
            AgentState::Excluded { why }
        } else if node.young {
            AgentState::Starting {
                waits: "the node has just joined".into(),
            }
        } else if let Some(taint) = scheduling::repelled(workload, node.node) {
            let value = if taint.value.is_empty() {
                String::new()
            } else {
                format!("={}", taint.value)
            };
            AgentState::Missing {
                why: format!(
                    "it does not tolerate the taint {}{value}:{}",
                    taint.key, taint.effect
                ),
            }
        } else if let Some(why) = &waiting_for_node {
            AgentState::Missing {
                why: format!("its pod is not scheduled: {why}"),
            }
        } else {
            AgentState::Missing {
                why: "the DaemonSet controller made no pod for it".into(),
            }
        };
        let container = pod.and_then(|p| agent_status(cni, p));
        Some(AgentFacts {
            node: node.name,
            state,
            pod,
            version: container
                .and_then(|c| image_version(&c.image))
                .or_else(|| pod.and_then(|p| spec_version(cni, p))),
            started: pod.and_then(|p| configured_at(cni, p)),
            outdated: pod.is_some_and(|p| {
                let own = newest.iter().find(|(w, _)| std::ptr::eq(*w, workload));
                own.is_some_and(|(_, newest)| newest.outdates(p))
            }),
        })
    };
    nodes.iter().filter_map(judge).collect()
}

fn agent_status<'p>(cni: &Cni, pod: &'p Pod) -> Option<&'p ContainerStatus> {
    pod.status
        .container_statuses
        .iter()
        .find(|s| cni.agents.iter().any(|a| s.name == a.container))
}

fn spec_version(cni: &Cni, pod: &Pod) -> Option<String> {
    let container = pod
        .spec
        .containers
        .iter()
        .find(|c| cni.agents.iter().any(|a| c.name == a.container))?;
    image_version(&container.image)
}

/// When the running agent read its configuration. Cilium's agents read what their init container `config` wrote, and
/// init containers do not run again when only the agent restarts.
fn configured_at(cni: &Cni, pod: &Pod) -> Option<Timestamp> {
    let init = pod
        .status
        .init_container_statuses
        .iter()
        .find(|s| s.name == "config");
    let by_init = init.and_then(|s| s.state.terminated.as_ref()?.finished_at);
    by_init.or_else(|| agent_status(cni, pod)?.state.running.as_ref()?.started_at)
}

/// What one agent pod does.
pub fn state_of(pod: &Pod, taken_at: Timestamp, budget: SignedDuration) -> AgentState {
    let status = &pod.status;
    let all = || {
        status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
    };
    if pod.ready() && pod.meta.deletion_timestamp.is_none() {
        let ends = status.container_statuses.iter().filter(|c| c.restart_count > 0);
        let last = ends
            .filter_map(|c| Some((c, c.last_state.terminated.as_ref()?)))
            .max_by_key(|(_, end)| end.finished_at);
        let recent = last.filter(|(_, end)| {
            end.finished_at
                .is_some_and(|t| taken_at.duration_since(t) < RECENT)
        });
        return AgentState::Ready {
            restarted: recent.map(|(c, end)| format!("{} ended with {}", c.name.line(80), how_it_ended(end))),
        };
    }
    if let Some(container) = all().find(|c| waiting_reason(c).is_some_and(pulls)) {
        let waiting = container.state.waiting.clone().unwrap_or_default();
        return AgentState::ImagePull {
            image: image_of(pod, container),
            reason: waiting.reason.line(60),
        };
    }
    if let Some(container) = all().find(|c| loops(c, taken_at)) {
        let end = container
            .state
            .terminated
            .as_ref()
            .or(container.last_state.terminated.as_ref());
        return AgentState::CrashLooping {
            container: container.name.line(80),
            restarts: container.restart_count,
            last: end.map_or_else(|| "how it ended is not recorded".into(), how_it_ended),
        };
    }
    if pod.finished() {
        let reason = if status.reason.is_empty() {
            &status.phase
        } else {
            &status.reason
        };
        return AgentState::NotReady {
            why: format!("its pod has ended ({})", reason.line(60)),
        };
    }
    let waits = waits_for(pod);
    let young = pod
        .meta
        .creation_timestamp
        .is_some_and(|t| taken_at.duration_since(t) < budget);
    if young
        || pod
            .meta
            .deletion_timestamp
            .is_some_and(|t| taken_at.duration_since(t) < DEFAULT_BUDGET)
    {
        return AgentState::Starting { waits };
    }
    AgentState::NotReady { why: waits }
}

fn waiting_reason(container: &ContainerStatus) -> Option<&str> {
    container.state.waiting.as_ref().map(|w| w.reason.as_str())
}

/// The kubelet's reasons for an image that does not come
/// (<https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go>).
fn pulls(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
    )
}

/// Between two back-offs a looping container runs for a moment or has just ended: those count too.
fn loops(container: &ContainerStatus, taken_at: Timestamp) -> bool {
    if waiting_reason(container) == Some("CrashLoopBackOff") {
        return true;
    }
    let end = container
        .state
        .terminated
        .as_ref()
        .or(container.last_state.terminated.as_ref());
    let recent = end
        .and_then(|e| e.finished_at)
        .is_some_and(|t| taken_at.duration_since(t) < RECENT);
    !container.ready && container.restart_count >= 2 && recent && end.is_some_and(|e| e.exit_code != 0)
}

fn how_it_ended(end: &Terminated) -> String {
    let said = reason_in(&end.message).map(|why| format!(": {why}"));
    format!(
        "exit code {} ({}){}",
        end.exit_code,
        end.reason.line(40),
        said.unwrap_or_default()
    )
}

/// The line of a container's last words that says why it ended. They may be the end of its log
/// (`terminationMessagePolicy: FallbackToLogsOnError`), and after a wrong flag programs print their whole usage there,
/// before the reason or behind it.
fn reason_in(message: &Text) -> Option<String> {
    let lines = || message.lines().map(str::trim).filter(|line| !line.is_empty());
    let says = |marks: &[&str]| {
        let found = lines().find(|line| marks.iter().any(|mark| line.contains(mark)));
        found.map(str::to_string)
    };
    let line = says(&["unknown flag", "unknown shorthand flag", "invalid argument"])
        .or_else(|| says(&["level=fatal", "\"level\":\"fatal\"", "panic:"]))
        .or_else(|| says(&["Error:", "level=error", "\"level\":\"error\""]))
        .or_else(|| lines().next_back().map(str::to_string))?;
    Some(Text::new(&line).line(160))
}

/// The image as the pod's template names it: the status shows the runtime's idea of it.
fn image_of(pod: &Pod, status: &ContainerStatus) -> String {
    let all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    let wanted = all.into_iter().find(|c| c.name == status.name).map(|c| &c.image);
    wanted
        .filter(|i| !i.is_empty())
        .unwrap_or(&status.image)
        .line(160)
}

/// What a pod that is not Ready waits for: its first container that is not done, init containers first.
fn waits_for(pod: &Pod) -> String {
    if pod.meta.deletion_timestamp.is_some() {
        return "its pod is being replaced".into();
    }
    if let Some(init) = pod.status.init_container_statuses.iter().find(|c| !init_done(c)) {
        let doing = match (&init.state.waiting, &init.state.terminated) {
            (Some(w), _) if !w.reason.is_empty() => format!(" ({})", w.reason.line(60)),
            (_, Some(end)) => format!(" ({})", how_it_ended(end)),
            _ => String::new(),
        };
        return format!("init container {} has not finished{doing}", init.name.line(60));
    }
    match pod.status.container_statuses.iter().find(|c| !c.ready) {
        Some(container) => match waiting_reason(container).filter(|r| !r.is_empty()) {
            Some(reason) => format!("container {} waits ({reason})", container.name.line(60)),
            None => format!("container {} runs and is not Ready", container.name.line(60)),
        },
        None if pod.status.container_statuses.is_empty() => "its containers have not been made".into(),
        // So the controller of nodes leaves the pods of a node that was silent, until its kubelet reports them anew.
        None => {
            let word = match pod.condition("Ready") {
                Some(ready) if !ready.reason.is_empty() => format!(" ({})", ready.reason.line(60)),
                _ => String::new(),
            };
            format!("its containers are ready, and the pod is not{word}")
        }
    }
}

fn init_done(container: &ContainerStatus) -> bool {
    let ended_well = container
        .state
        .terminated
        .as_ref()
        .is_some_and(|t| t.exit_code == 0);
    // A sidecar is an init container that goes on running.
    ended_well || container.ready
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_found_among_the_last_words() {
        let usage =
            "Usage:\n  cilium-agent [flags]\n\nFlags:\n      --agent-health-port int   port (default 9879)\n";
        let cases = [
            (
                format!("Error: unknown flag: --no-such\n{usage}"),
                "Error: unknown flag: --no-such",
            ),
            (
                format!("{usage}\nunknown flag: --no-such\n"),
                "unknown flag: --no-such",
            ),
            (
                "level=info msg=starting\nlevel=fatal msg=\"no pod CIDR\" subsys=daemon\nlevel=info msg=bye\n".into(),
                "level=fatal msg=\"no pod CIDR\" subsys=daemon",
            ),
            (
                format!("Error: invalid value for mask\n{usage}"),
                "Error: invalid value for mask",
            ),
            ("first\nno space left on device\n\n".into(), "no space left on device"),
            ("one line".into(), "one line"),
        ];
        for (message, expected) in cases {
            assert_eq!(
                reason_in(&Text::new(&message)).as_deref(),
                Some(expected),
                "{message}"
            );
        }
        assert_eq!(reason_in(&Text::new("\n \n")), None);
        let long = reason_in(&Text::new(&"x".repeat(500))).unwrap_or_default();
        assert_eq!(long.chars().count(), 160);
    }

    #[test]
    fn what_a_pod_waits_for_is_told_from_its_containers() {
        let said = |status: serde_json::Value| {
            let pod = serde_json::json!({"metadata": {"name": "p", "namespace": "n"}, "status": status});
            waits_for(&serde_json::from_value(pod).expect("a pod"))
        };
        let not_ready = |containers: serde_json::Value, reason: &str| {
            said(serde_json::json!({
                "conditions": [{"type": "Ready", "status": "False", "reason": reason}],
                "containerStatuses": containers,
            }))
        };
        let container = |ready: bool| serde_json::json!([{"name": "c", "ready": ready, "state": {}}]);
        assert_eq!(said(serde_json::json!({})), "its containers have not been made");
        assert_eq!(
            not_ready(container(false), ""),
            "container c runs and is not Ready"
        );
        // Somebody else than the kubelet wrote the condition.
        assert_eq!(
            not_ready(container(true), ""),
            "its containers are ready, and the pod is not"
        );
        assert_eq!(
            not_ready(container(true), "ReadinessGatesNotReady"),
            "its containers are ready, and the pod is not (ReadinessGatesNotReady)"
        );
    }

    #[test]
    fn how_it_ended_is_one_line() {
        let end = Terminated {
            exit_code: 1,
            reason: "Error".into(),
            message: "Error: unknown flag: --no-such\nUsage:\n  flanneld [flags]\n".into(),
            ..Terminated::default()
        };
        assert_eq!(
            how_it_ended(&end),
            "exit code 1 (Error): Error: unknown flag: --no-such"
        );
        let silent = Terminated {
            exit_code: 137,
            reason: "OOMKilled".into(),
            ..Terminated::default()
        };
        assert_eq!(how_it_ended(&silent), "exit code 137 (OOMKilled)");
    }
}
