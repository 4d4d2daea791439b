//! Do the agents run the configuration that is written down?

use jiff::{SignedDuration, Timestamp};

use super::{Check, changes, reading::of_nodes};
use crate::core::{
    capture::Source,
    codes::workload::CONFIG_DRIFT,
    facts::Facts,
    finding::{Finding, Subject},
    words,
};

const NEEDS: &[Source] = &[
    Source::Nodes,
    Source::DaemonSets,
    Source::CniPods,
    Source::ConfigMaps,
];

pub(super) const ALL: &[Check] = &[Check {
    title: "the agents' configuration",
    needs: NEEDS,
    needs_cni_objects: false,
    needed: true,
    run: drift,
}];

/// An agent reads its ConfigMap some seconds before its start is recorded, and clocks differ between machines.
const SLACK: SignedDuration = SignedDuration::from_secs(10);

fn drift(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(main) = &facts.detection.main else {
        return vec![];
    };
    let Some(workload) = main.workload else {
        return vec![];
    };
    let namespace = workload.meta.namespace.as_str();
    let Some(config) = facts.configured() else {
        return vec![];
    };
    let name = config.meta.name.as_str();
    let written = config
        .written
        .zip(config.since)
        .map(|(w, since)| (w, since, config.by));
    let by_release = || revision_time(facts).map(|(time, by)| (time, time, by));
    let Some((changed, since, by)) = written.or_else(by_release) else {
        return vec![];
    };
    let stale: Vec<&str> = facts
        .agents
        .iter()
        .filter(|a| {
            a.started
                .is_some_and(|started| since.duration_since(started) > SLACK)
        })
        .map(|a| a.node)
        .collect();
    if stale.is_empty() {
        return vec![];
    }
    let finding = Finding::new(
        &CONFIG_DRIFT,
        vec![Subject::namespaced("ConfigMap", namespace, name)],
        format!(
            "{namespace}/{name} was changed {} ago by {by}, after the agents on {} started: they run the old configuration",
            words::span(facts.taken_at().duration_since(changed)),
            of_nodes(facts, &stale)
        ),
        format!(
            "kubectl -n {namespace} rollout restart daemonset/{}",
            workload.meta.name
        ),
    );
    vec![match changes::rolling(facts) {
        Some(cause) => finding.because_of(cause),
        None => finding,
    }]
}

/// Where the API server keeps no field times: when the newest revision of the release was made.
fn revision_time(facts: &Facts<'_>) -> Option<(Timestamp, String)> {
    // A revision that failed or hangs may have changed nothing.
    let newest = facts
        .release
        .as_ref()?
        .revisions
        .last()
        .filter(|r| r.status == "deployed")?;
    Some((newest.created?, format!("helm (revision {})", newest.number)))
}
