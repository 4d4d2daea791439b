//! Has the newest template reached every node?

use super::{Check, agents::error_of, changes};
use crate::core::{
    capture::{Source, Workload},
    codes::workload::ROLLOUT_INCOMPLETE,
    facts::{AgentState, Facts},
    finding::{Finding, Subject},
    words,
};

const NEEDS: &[Source] = &[Source::DaemonSets];

pub(super) const ALL: &[Check] = &[Check {
    title: "the agents' rollout",
    needs: NEEDS,
    needs_cni_objects: false,
    needed: true,
    run: incomplete,
}];

/// The DaemonSets of the main CNI.
fn daemon_sets<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = &'f Workload> {
    let detection = &facts.detection;
    let agent = detection.main.as_ref().and_then(|m| m.workload).into_iter();
    agent
        .chain(detection.more_agents.iter().copied())
        .chain(detection.helpers.iter().copied())
        .filter(|w| w.status.desired_number_scheduled.is_some())
}

/// Whether a new template is on its way to the nodes.
pub(super) fn running(facts: &Facts<'_>) -> bool {
    daemon_sets(facts).any(|w| !w.observed() || w.updated() < w.desired())
}

fn incomplete(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(main) = &facts.detection.main else {
        return vec![];
    };
    let mut findings = vec![];
    for workload in daemon_sets(facts) {
        let (namespace, name) = (&workload.meta.namespace, &workload.meta.name);
        let old = workload.desired() - workload.updated();
        let what = if !workload.observed() {
            "its newest template has not been seen by the controller yet".to_string()
        } else if old > 0 {
            let is_agent = main.workload.is_some_and(|m| std::ptr::eq(m, workload));
            let outdated: Vec<_> = facts.agents.iter().filter(|a| is_agent && a.outdated).collect();
            let since = outdated
                .iter()
                .filter_map(|a| a.pod?.meta.creation_timestamp)
                .min();
            let since = since.map(|t| {
                format!(
                    ", the oldest made {} ago",
                    words::span(facts.taken_at().duration_since(t))
                )
            });
            let names: Vec<&str> = outdated.iter().map(|a| a.node).collect();
            let on = if names.is_empty() {
                String::new()
            } else {
                format!(" on {}", words::names(&names))
            };
            format!(
                "{old} of {} pods are not of its newest template{on}{}",
                workload.desired(),
                since.unwrap_or_default()
            )
        } else {
            continue;
        };
        let finding = Finding::new(
            &ROLLOUT_INCOMPLETE,
            vec![Subject::namespaced("DaemonSet", namespace, name)],
            format!("{name}: {what}"),
            format!("kubectl -n {namespace} rollout status daemonset/{name}"),
        );
        // A rollout that stands still because a new agent does not come up is that agent's error.
        let stopped_by = facts.agents.iter().find_map(|a| match a.state {
            // Without a pod it is none of the new ones.
            AgentState::Missing { .. } => None,
            _ => error_of(&a.state),
        });
        findings.push(match stopped_by.or_else(|| changes::rolling(facts)) {
            Some(code) => finding.because_of(code),
            None => finding,
        });
    }
    findings
}
