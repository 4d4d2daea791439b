//! The agents and what runs beside them: node by node where pods are read in full, else by the workloads' own counts.

use std::collections::BTreeSet;

use crate::core::{
    capture::{Pod, Workload},
    facts::{AgentFacts, AgentState, Facts, agents::state_of, nodes::NODE_BUDGET},
    finding::Subject,
    words,
};

use super::{
    Expectation, Phase, calico,
    conditions::{Wait, phase},
    standing::Standing,
};

/// The agents, and the other DaemonSets of the change.
pub(super) fn agents(
    facts: &Facts<'_>,
    expected: &Expectation,
    standing: &Standing<'_, '_>,
    waits: &mut Vec<Wait>,
) -> Phase {
    let Some(main) = facts.detection.main.as_ref().and_then(|m| m.workload) else {
        return unnamed_agents(facts, expected, standing, waits);
    };
    let mut phase = phase("agents", 0, standing.required.len());
    for (node, agent) in &standing.required {
        match agent_lacks(*agent, expected) {
            None => phase.done += 1,
            Some((why, rank)) => waits.push(Wait {
                rank,
                joining: standing.joining.contains(node.name),
                ..Wait::new(Subject::node(node.name), why)
            }),
        }
    }
    let own: Vec<&Workload> = [main]
        .into_iter()
        .chain(facts.detection.more_agents.iter().copied())
        .collect();
    phase.complete = phase.done == phase.total;
    for workload in own.iter().filter(|w| !w.observed()) {
        phase.complete = false;
        waits.push(Wait::new(
            daemon_set(workload),
            "its controller has not seen the newest template yet",
        ));
    }
    // Node by node all is well, and the DaemonSet's own count has the last word: `minReadySeconds` is in it.
    let sum = |count: fn(&Workload) -> i64| own.iter().map(|w| count(w)).sum::<i64>();
    let least = [
        sum(Workload::updated),
        sum(Workload::ready),
        sum(Workload::available),
    ];
    let least = usize::try_from(least.into_iter().min().unwrap_or(0)).unwrap_or(0);
    if phase.complete && least < phase.total {
        phase.complete = false;
        let why = format!("{least} of {} are updated, ready and available", phase.total);
        waits.push(Wait::new(daemon_set(main), why));
    }
    let mut notes = vec![];
    for workload in facts.capture.daemon_sets.iter().filter(|w| expected.names(w)) {
        if !own.iter().any(|o| std::ptr::eq(*o, workload)) {
            companion(facts, workload, standing, &mut notes, waits);
        }
    }
    for (namespace, name) in missing_daemon_sets(facts, expected) {
        notes.push(format!("{name} missing"));
        waits.push(Wait::new(
            Subject::namespaced("DaemonSet", namespace, name),
            "it is not there yet",
        ));
    }
    phase.complete &= notes.is_empty();
    phase.note = notes.join(", ");
    phase
}

/// What one agent lacks, and how bad that is.
fn agent_lacks(agent: Option<&AgentFacts<'_>>, expected: &Expectation) -> Option<(String, u8)> {
    let Some(agent) = agent else {
        return Some(("there is no agent yet".into(), 1));
    };
    Some(match &agent.state {
        AgentState::Ready { .. } if agent.outdated => ("its agent is of the previous template".into(), 1),
        AgentState::Ready { .. } => {
            let (running, wanted) = (agent.version.as_deref()?, expected.version.as_deref()?);
            if same_version(running, wanted) {
                return None;
            }
            (format!("its agent runs {running}, not yet {wanted}"), 1)
        }
        AgentState::Starting { waits } => (waits.clone(), 2),
        AgentState::CrashLooping {
            container,
            restarts,
            last,
        } => (
            format!(
                "container {container} restarts in a loop ({} so far), last {last}",
                words::count(usize::try_from(*restarts).unwrap_or(0), "restart")
            ),
            0,
        ),
        AgentState::ImagePull { image, reason } => (format!("image {image} cannot be pulled ({reason})"), 0),
        AgentState::NotReady { why } => (why.clone(), 1),
        AgentState::Missing { why } => (format!("no agent: {why}"), 1),
        AgentState::Unknown => ("its agent could not be read".into(), 1),
        AgentState::Excluded { .. } | AgentState::NotAsked => return None,
    })
}

/// `v1.20.0` is 1.20.0; what a vendor adds behind it (`3.31.3-hardened.1`) does not make it another version.
fn same_version(running: &str, wanted: &str) -> bool {
    let wanted = wanted.strip_prefix('v').unwrap_or(wanted);
    let rest = running.strip_prefix('v').unwrap_or(running).strip_prefix(wanted);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

/// A DaemonSet beside the agents' own, or of a product that is not known, by its counts; where its pods were read, with
/// what the first that fails says.
fn companion(
    facts: &Facts<'_>,
    workload: &Workload,
    standing: &Standing<'_, '_>,
    notes: &mut Vec<String>,
    waits: &mut Vec<Wait>,
) {
    let (desired, done) = counts(workload);
    let wanted = desired.saturating_sub(standing.counted);
    if workload.observed() && done >= wanted {
        return;
    }
    let name = &workload.meta.name;
    notes.push(format!("{name} {done}/{desired}"));
    let short = wanted.saturating_sub(done);
    let why = if workload.observed() {
        let why = fails(&pods_of(facts, workload), facts);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        format!("{done} of {desired} are updated, ready and available{why}")
    } else {
        "its controller has not seen the newest template yet".into()
    };
    waits.push(Wait {
        rank: 3,
        joining: workload.observed() && short <= standing.joining.len(),
        short: workload.observed().then_some(short),
        ..Wait::new(daemon_set(workload), why)
    });
}

/// Pods wanted, and pods that are updated, ready and available.
fn counts(workload: &Workload) -> (usize, usize) {
    let done = workload.updated().min(workload.ready()).min(workload.available());
    let whole = |n: i64| usize::try_from(n).unwrap_or(0);
    (whole(workload.desired()), whole(done))
}

fn daemon_set(workload: &Workload) -> Subject {
    Subject::namespaced("DaemonSet", &workload.meta.namespace, &workload.meta.name)
}

fn missing_daemon_sets<'e>(
    facts: &Facts<'_>,
    expected: &'e Expectation,
) -> impl Iterator<Item = (&'e str, &'e str)> {
    let there: BTreeSet<(&str, &str)> = facts
        .capture
        .daemon_sets
        .iter()
        .map(|w| (w.meta.namespace.as_str(), w.meta.name.as_str()))
        .collect();
    let all = expected
        .daemon_sets
        .iter()
        .map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    let missing: Vec<(&str, &str)> = all.filter(|key| !there.contains(key)).collect();
    missing.into_iter()
}

/// Agents of a product that is not known, or not there yet: the DaemonSets that the change brings, by their counts.
fn unnamed_agents(
    facts: &Facts<'_>,
    expected: &Expectation,
    standing: &Standing<'_, '_>,
    waits: &mut Vec<Wait>,
) -> Phase {
    let mut phase = phase("agents", 0, 0);
    let (mut notes, before) = (vec![], waits.len());
    for workload in facts.capture.daemon_sets.iter().filter(|w| expected.names(w)) {
        let (desired, done) = counts(workload);
        phase.total += desired.saturating_sub(standing.counted);
        phase.done += done.min(desired);
        companion(facts, workload, standing, &mut notes, waits);
    }
    // Just made: its controller has not counted the nodes yet, and 0 of 0 is no agent.
    let mut ours = facts.capture.daemon_sets.iter().filter(|w| expected.names(w));
    if let Some(first) = ours
        .next()
        .filter(|_| phase.total == 0 && !standing.required.is_empty())
    {
        waits.push(Wait::new(daemon_set(first), "it wants no pod on any node yet"));
    }
    for (namespace, name) in missing_daemon_sets(facts, expected) {
        waits.push(Wait::new(
            Subject::namespaced("DaemonSet", namespace, name),
            "it is not there yet",
        ));
    }
    if let Some(cni) = expected.cni.filter(|_| expected.daemon_sets.is_empty()) {
        // The operator makes them.
        phase.total = standing.required.len();
        waits.push(Wait::new(
            Subject::cluster(),
            format!("{} has made no agents yet", cni.name),
        ));
    }
    phase.total = phase.total.max(phase.done);
    phase.complete = waits.len() == before;
    phase.note = notes.join(", ");
    phase
}

/// The Deployments that the network hangs on, and what the operator itself reports where it does.
pub(super) fn operator(
    facts: &Facts<'_>,
    expected: &Expectation,
    standing: &Standing<'_, '_>,
    waits: &mut Vec<Wait>,
) -> Option<Phase> {
    let mut phase = phase("operator", 0, 0);
    let main = facts.detection.main.as_ref();
    let known = expected.cni.or(main.map(|m| m.cni));
    let is_operator = |w: &&Workload| match known {
        Some(cni) => cni.operators.contains(&w.meta.name.as_str()),
        None => expected.brings(w),
    };
    for workload in facts
        .capture
        .deployments
        .iter()
        .filter(is_operator)
        .filter(|w| w.desired() > 0)
    {
        phase.total += 1;
        match replicas_lack(facts, workload) {
            None => phase.done += 1,
            Some(why) => {
                let (namespace, name) = (&workload.meta.namespace, &workload.meta.name);
                waits.push(Wait::new(Subject::namespaced("Deployment", namespace, name), why));
            }
        }
    }
    for (namespace, name) in &expected.deployments {
        let there = |w: &Workload| w.meta.namespace == **namespace && w.meta.name == **name;
        let judged = known.is_none_or(|cni| cni.operators.contains(&name.as_str()));
        // Only the namespaces of CNIs are read: of others it cannot be said that something is not there.
        let read = namespace == "kube-system"
            || facts
                .capture
                .deployments
                .iter()
                .any(|w| w.meta.namespace == **namespace);
        if judged && read && !facts.capture.deployments.iter().any(there) {
            phase.total += 1;
            let subject = Subject::namespaced("Deployment", namespace, name);
            waits.push(Wait::new(subject, "it is not there yet"));
        }
    }
    // Calico by manifest has no operator that could report.
    let by_operator = known.is_some_and(|cni| {
        let named = |name: &str| cni.operators.contains(&name);
        expected.deployments.iter().any(|(_, name)| named(name)) || !facts.detection.operators.is_empty()
    });
    let reporting = by_operator && known.is_some_and(calico::is_judged) && !standing.required.is_empty();
    for (subject, lacking) in if reporting { calico::parts(facts) } else { vec![] } {
        phase.total += 1;
        match lacking {
            None => phase.done += 1,
            Some(why) => waits.push(Wait::new(subject, why)),
        }
    }
    phase.complete = phase.done == phase.total;
    (phase.total > 0).then_some(phase)
}

/// What a Deployment's replicas lack. A replica that finds no node is normal beside one that runs: two of an operator
/// never share a node, and a cluster may have one (or one that is untainted).
pub(in crate::core) fn replicas_lack(facts: &Facts<'_>, workload: &Workload) -> Option<String> {
    if !workload.observed() {
        return Some("its controller has not seen the newest template yet".into());
    }
    let pods = pods_of(facts, workload);
    let homeless = pods.iter().filter(|p| p.spec.node_name.is_empty()).count();
    let (desired, _) = counts(workload);
    let wanted = if pods.is_empty() {
        1
    } else {
        desired.saturating_sub(homeless).max(1)
    };
    let whole = |n: i64| usize::try_from(n).unwrap_or(0);
    let done = whole(workload.updated().min(workload.ready()));
    if done >= wanted {
        return None;
    }
    let why = fails(&pods, facts);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!(
        "{done} of {} ready{why}",
        words::count(wanted, "replica")
    ))
}

/// The pods of a workload that are still wanted, as far as they were read.
fn pods_of<'f>(facts: &Facts<'f>, workload: &Workload) -> Vec<&'f Pod> {
    let own = |pod: &&Pod| {
        pod.meta.namespace == workload.meta.namespace
            && workload.selects(&pod.meta.labels)
            && !pod.finished()
            && pod.meta.deletion_timestamp.is_none()
    };
    facts.capture.pods.iter().filter(own).collect()
}

/// What the first of these pods that has a node and is not Ready says of it.
fn fails(pods: &[&Pod], facts: &Facts<'_>) -> Option<String> {
    let failing = pods.iter().find(|p| !p.ready() && !p.spec.node_name.is_empty())?;
    match state_of(failing, facts.taken_at(), NODE_BUDGET) {
        AgentState::ImagePull { image, reason } => Some(format!("image {image} cannot be pulled ({reason})")),
        AgentState::CrashLooping { container, last, .. } => {
            Some(format!("container {container} restarts in a loop, last {last}"))
        }
        AgentState::Starting { waits } | AgentState::NotReady { why: waits } => Some(waits),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_same_with_what_a_vendor_adds() {
        assert!(same_version("1.20.0", "1.20.0"));
        assert!(same_version("v1.20.0", "1.20.0"));
        assert!(same_version("3.31.3-hardened.1", "v3.31.3"));
        for other in ["1.20.1", "1.20.01", "1.20.0.1", "1.2", "11.20.0", ""] {
            assert!(!same_version(other, "1.20.0"), "{other}");
        }
    }
}
