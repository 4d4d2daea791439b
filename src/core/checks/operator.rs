//! Does the CNI's operator or controller run?

use jiff::SignedDuration;

use super::Check;
use crate::core::{
    capture::{Pod, Source, Workload},
    codes::{nodes::NO_NODES, workload::OPERATOR_NOT_READY},
    facts::{
        AgentState, Facts,
        agents::{self},
    },
    finding::{Finding, Subject},
    words,
};

const NEEDS: &[Source] = &[Source::DaemonSets, Source::Deployments];

pub(super) const ALL: &[Check] = &[Check {
    title: "the CNI's operator",
    needs: NEEDS,
    needs_cni_objects: false,
    needed: true,
    run: operator,
}];

/// How long an operator's pod may take to become Ready.
const BUDGET: SignedDuration = SignedDuration::from_mins(5);

fn operator(facts: &Facts<'_>) -> Vec<Finding> {
    // One Pending replica of two on one node is normal: its anti-affinity asks for two nodes.
    let down = facts
        .detection
        .operators
        .iter()
        .filter(|o| o.desired() > 0 && o.ready() == 0);
    down.filter_map(|workload| not_ready(facts, workload)).collect()
}

fn not_ready(facts: &Facts<'_>, workload: &Workload) -> Option<Finding> {
    let (namespace, name) = (&workload.meta.namespace, &workload.meta.name);
    let own = |p: &&Pod| p.meta.namespace == *namespace && workload.selects(&p.meta.labels) && !p.finished();
    let pods: Vec<&Pod> = facts.capture.pods.iter().filter(own).collect();
    let mut starting = !pods.is_empty();
    let mut why = None;
    for pod in &pods {
        if pod.spec.node_name.is_empty() {
            let scheduled = pod.condition("PodScheduled").filter(|c| c.status == "False");
            if let Some(condition) = scheduled {
                starting = false;
                why = Some(format!(
                    "its pod cannot be scheduled: {}",
                    condition.message.line(200)
                ));
            }
            continue;
        }
        match agents::state_of(pod, facts.taken_at(), BUDGET) {
            AgentState::Starting { waits } => why = why.or(Some(waits)),
            AgentState::ImagePull { image, reason } => {
                starting = false;
                why = Some(format!("image {image} cannot be pulled ({reason})"));
            }
            AgentState::CrashLooping { container, last, .. } => {
                starting = false;
                why = Some(format!("container {container} restarts in a loop, last {last}"));
            }
            AgentState::NotReady { why: reason } => {
                starting = false;
                why = Some(reason);
            }
            _ => starting = false,
        }
    }
    // Waiting within the time that starting may take is told by `node-joining`, not here.
    let young = workload
        .meta
        .creation_timestamp
        .is_some_and(|t| facts.taken_at().duration_since(t) < BUDGET);
    if starting || (pods.is_empty() && young) {
        return None;
    }
    let finding = Finding::new(
        &OPERATOR_NOT_READY,
        vec![Subject::namespaced("Deployment", namespace, name)],
        format!(
            "{namespace}/{name} has 0 of {} ready: {}",
            words::count(workload.desired().unsigned_abs() as usize, "replica"),
            why.unwrap_or_else(|| "it has no pod".into())
        ),
        format!("kubectl -n {namespace} describe pods -l {}", selector(workload)),
    );
    Some(if facts.any_linux() {
        finding
    } else {
        finding.because_of(&NO_NODES)
    })
}

fn selector(workload: &Workload) -> String {
    let labels = &workload.spec.selector.match_labels;
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}
