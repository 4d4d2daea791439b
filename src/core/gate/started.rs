//! Whether an agent ever ran: after that, taking an installation away is no way back.

use std::collections::BTreeSet;

use crate::core::{
    capture::{Pod, Source, Workload, pod::ContainerStatus},
    facts::Facts,
};

use super::Expectation;

/// Whether any container of an agent's pod has ever run on any node.
///
/// Init containers count: those that install a plugin write `/etc/cni/net.d` and `/opt/cni/bin` before the agent itself
/// begins, and whatever is left there turns a node Ready without a network once the DaemonSet is gone. Which of them
/// write and which only look cannot be told from outside, so each counts; where the image was never pulled none ran.
/// Companions such as a proxy's DaemonSet leave no configuration and do not count.
///
/// What could not be read counts as run: taking back is then the greater risk.
pub fn agents_ever_ran(facts: &Facts<'_>, expected: &Expectation) -> bool {
    let capture = facts.capture;
    if !capture.knows(Source::DaemonSets) {
        return true;
    }
    let main = facts.detection.main.as_ref().and_then(|m| m.workload);
    let known: Vec<&Workload> = main
        .into_iter()
        .chain(facts.detection.more_agents.iter().copied())
        .collect();
    if known.is_empty() {
        if expected.cni.is_none() && expected.daemon_sets.is_empty() {
            // Its agents are made by its operator, and nobody knows which these are.
            let mut operators = capture.deployments.iter().filter(|w| expected.brings(w));
            return operators.any(|w| w.ready() > 0);
        }
        let mut ours = capture.daemon_sets.iter().filter(|w| expected.names(w));
        return ours.any(|w| w.ready() > 0 || has_run_of(facts, w) || has_unread(facts, w));
    }
    if !capture.knows(Source::CniPods) {
        return true;
    }
    let own = |pod: &Pod| {
        known
            .iter()
            .any(|w| pod.meta.namespace == w.meta.namespace && w.selects(&pod.meta.labels))
    };
    known.iter().any(|w| w.ready() > 0) || capture.pods.iter().any(|pod| own(pod) && has_run(pod))
}

/// Whether a pod of the DaemonSet, as far as they were read in full, has run.
fn has_run_of(facts: &Facts<'_>, workload: &Workload) -> bool {
    full_pods(facts, workload).any(has_run)
}

/// Whether the DaemonSet has a pod on a node that was not read in full: that it is there must do. Rows have no labels, so
/// the name tells.
fn has_unread(facts: &Facts<'_>, workload: &Workload) -> bool {
    let full: BTreeSet<&str> = full_pods(facts, workload)
        .map(|pod| pod.meta.name.as_str())
        .collect();
    if !facts.capture.knows(Source::Pods) {
        return usize::try_from(workload.desired()).unwrap_or(0) > full.len();
    }
    let beginning = format!("{}-", workload.meta.name);
    facts
        .capture
        .pod_rows
        .iter()
        .any(|row| row.name.starts_with(&beginning) && !row.node.is_empty() && !full.contains(&*row.name))
}

fn full_pods<'f>(facts: &Facts<'f>, workload: &'f Workload) -> impl Iterator<Item = &'f Pod> {
    let own =
        move |pod: &&Pod| pod.meta.namespace == workload.meta.namespace && workload.selects(&pod.meta.labels);
    facts.capture.pods.iter().filter(own)
}

fn has_run(pod: &Pod) -> bool {
    let status = &pod.status;
    status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .any(ran)
}

fn ran(container: &ContainerStatus) -> bool {
    let before = &container.last_state;
    container.restart_count > 0
        || container.state.running.is_some()
        || container.state.terminated.is_some()
        || before.running.is_some()
        || before.terminated.is_some()
}
