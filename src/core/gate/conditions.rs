//! What must hold before a change counts as done, on one capture: who is waited for, why, and how far each phase is.

use std::collections::BTreeSet;

use crate::core::{
    capture::{Source, Workload},
    cni::BlockModel,
    facts::{AgentFacts, AgentState, Facts, NodeFacts, Ready},
    finding::Subject,
    report::Report,
    words,
};

use super::{Expectation, Phase, calico, probe::ProbeSeen};

/// What keeps the gate shut, with what deciding needs to know of it.
pub(super) struct Wait {
    /// What is waited for.
    pub subject: Subject,
    /// What was seen of it.
    pub why: String,
    /// The worse, the sooner it is told among those that wait equally long.
    pub rank: u8,
    /// It is about nodes that joined meanwhile and are within their start-up budget, and about no others.
    pub joining: bool,
    /// How many pods of a workload are missing, where that may be the same nodes' fault.
    pub short: Option<usize>,
}

impl Wait {
    pub(super) fn new(subject: Subject, why: impl Into<String>) -> Self {
        Wait {
            subject,
            why: why.into(),
            rank: 1,
            joining: false,
            short: None,
        }
    }
}

/// The nodes, by what is asked of them.
pub(super) struct Standing<'f, 'a> {
    /// Must get their network.
    pub required: Vec<(&'f NodeFacts<'a>, Option<&'f AgentFacts<'a>>)>,
    /// Joined meanwhile, among those that are required, and within their start-up budget.
    pub joining: BTreeSet<&'a str>,
    /// Nothing is asked of them: broken before, broken for a reason of their own, or left out by the CNI.
    pub excused: BTreeSet<&'a str>,
    /// How many of the excused the CNI's DaemonSets count among their pods.
    pub counted: usize,
    /// Not heard of since the change began, and too many for chance.
    pub lost: Vec<&'a str>,
    /// Linux nodes with a machine of their own that were not broken before.
    pub total: usize,
}

impl<'f, 'a> Standing<'f, 'a> {
    /// `first` are the nodes of the gate's first look.
    pub(super) fn of(facts: &'f Facts<'a>, expected: &Expectation, first: &BTreeSet<String>) -> Self {
        let before: BTreeSet<&str> = expected.broken_before.iter().map(String::as_str).collect();
        let mut standing = Standing {
            required: vec![],
            joining: BTreeSet::new(),
            excused: BTreeSet::new(),
            counted: 0,
            lost: vec![],
            total: 0,
        };
        let served: Vec<_> = facts.served_nodes().collect();
        let names: BTreeSet<&str> = served.iter().map(|(node, _)| node.name).collect();
        let left_out = facts.nodes.iter().map(|n| n.name).filter(|n| !names.contains(n));
        standing.excused.extend(left_out);
        for (node, agent) in served {
            if before.contains(node.name) {
                standing.excused.insert(node.name);
                standing.counted += 1;
                continue;
            }
            standing.total += 1;
            let starting = agent.is_some_and(|a| matches!(a.state, AgentState::Starting { .. }));
            let joined = !first.contains(node.name);
            match node.ready {
                Ready::Lost => standing.lost.push(node.name),
                // Broken by something else than the network: told as a finding, and not waited for.
                Ready::No | Ready::Never if !node.young => {
                    standing.excused.insert(node.name);
                    standing.counted += 1;
                }
                _ => {
                    if joined && (node.young || starting) {
                        standing.joining.insert(node.name);
                    }
                    standing.required.push((node, agent));
                }
            }
        }
        if !too_many(standing.lost.len(), standing.total) {
            standing.counted += standing.lost.len();
            standing.excused.extend(standing.lost.drain(..));
        }
        standing
    }
}

/// Machines fail and are taken away by themselves: one at a time, or 2 % of a large cluster, and never half of a
/// small one. More than that may be a network that cut its nodes off from the API server.
fn too_many(lost: usize, nodes: usize) -> bool {
    lost > (nodes / 50).max(1) || (lost > 0 && lost * 2 >= nodes)
}

/// The conditions on one capture.
pub(super) struct Seen {
    pub phases: Vec<Phase>,
    pub waits: Vec<Wait>,
}

/// Looks at every condition but the report's errors.
pub(super) fn of(
    facts: &Facts<'_>,
    report: &Report,
    expected: &Expectation,
    standing: &Standing<'_, '_>,
    probes: &Probes<'_>,
) -> Seen {
    let mut waits = vec![];
    let phases = [
        operator(facts, expected, standing, &mut waits),
        Some(agents(facts, expected, standing, &mut waits)),
        Some(nodes(facts, standing, &mut waits)),
        dns(facts, report, expected, &mut waits),
        addresses(expected, probes, &mut waits),
    ];
    Seen {
        phases: phases.into_iter().flatten().collect(),
        waits,
    }
}

/// The sources without which nothing is proven, where they could not be read.
pub(super) fn unread(facts: &Facts<'_>, report: &Report) -> Vec<String> {
    let essential = [
        Source::Nodes,
        Source::DaemonSets,
        Source::Deployments,
        Source::CniPods,
        Source::Services,
        Source::EndpointSlices,
    ];
    let sources = essential
        .iter()
        .filter_map(|source| facts.capture.state(*source).missing(*source));
    let checks = report
        .skipped
        .iter()
        .filter(|s| s.needed)
        .map(|s| s.missing.clone());
    let all: BTreeSet<String> = sources.chain(checks).collect();
    all.into_iter().collect()
}

fn phase(name: &'static str, done: usize, total: usize) -> Phase {
    Phase {
        name,
        done,
        total,
        complete: done >= total,
        note: String::new(),
    }
}

fn agents(
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
            companion(workload, standing, &mut notes, waits);
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

/// A DaemonSet beside the agents' own, by its counts: its pods are not read one by one.
fn companion(
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
        format!("{done} of {desired} are updated, ready and available")
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
        companion(workload, standing, &mut notes, waits);
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

fn nodes(facts: &Facts<'_>, standing: &Standing<'_, '_>, waits: &mut Vec<Wait>) -> Phase {
    let network = &facts.network;
    let with_blocks = network.model == BlockModel::Exclusive && network.blocks_known;
    let mut phase = phase("nodes", 0, standing.required.len() + standing.lost.len());
    for (node, agent) in &standing.required {
        let agent_up = agent.is_none_or(|a| matches!(a.state, AgentState::Ready { .. }));
        let blockless = network.blocks.get(node.name).is_none_or(Vec::is_empty);
        let why = match node.ready {
            Ready::Yes if with_blocks && blockless && agent_up => {
                let said = network.block_errors.get(node.name);
                let said = said.map(|e| format!(": {e}")).unwrap_or_default();
                format!(
                    "it has no block of pod addresses yet ({}){said}",
                    network.block_source
                )
            }
            Ready::Yes => {
                phase.done += 1;
                continue;
            }
            Ready::NoNetwork if agent_up => "its agent is Ready, its kubelet is not yet".into(),
            Ready::NoNetwork => "it has no network yet".into(),
            _ => "it has just joined and is not Ready yet".into(),
        };
        waits.push(Wait {
            rank: 3,
            joining: standing.joining.contains(node.name),
            ..Wait::new(Subject::node(node.name), why)
        });
    }
    for name in &standing.lost {
        let why = "its kubelet has not been heard of since the change (Ready=Unknown)";
        waits.push(Wait {
            rank: 0,
            ..Wait::new(Subject::node(name), why)
        });
    }
    phase.complete = phase.done == phase.total;
    phase
}

/// The Deployments that the network hangs on, and what the operator itself reports where it does.
fn operator(
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
    let reporting = expected.cni.is_some_and(calico::is_judged) && !standing.required.is_empty();
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
fn replicas_lack(facts: &Facts<'_>, workload: &Workload) -> Option<String> {
    if !workload.observed() {
        return Some("its controller has not seen the newest template yet".into());
    }
    let own = |pod: &&crate::core::capture::Pod| {
        pod.meta.namespace == workload.meta.namespace
            && workload.selects(&pod.meta.labels)
            && !pod.finished()
            && pod.meta.deletion_timestamp.is_none()
    };
    let pods: Vec<_> = facts.capture.pods.iter().filter(own).collect();
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
    let failing = pods.iter().find(|p| !p.ready() && !p.spec.node_name.is_empty());
    let why = failing.and_then(|pod| {
        let budget = crate::core::facts::nodes::NODE_BUDGET;
        match crate::core::facts::agents::state_of(pod, facts.taken_at(), budget) {
            AgentState::ImagePull { image, reason } => {
                Some(format!("image {image} cannot be pulled ({reason})"))
            }
            AgentState::CrashLooping { container, last, .. } => {
                Some(format!("container {container} restarts in a loop, last {last}"))
            }
            AgentState::Starting { waits } | AgentState::NotReady { why: waits } => Some(waits),
            _ => None,
        }
    });
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!(
        "{done} of {} ready{why}",
        words::count(wanted, "replica")
    ))
}

fn dns(facts: &Facts<'_>, report: &Report, expected: &Expectation, waits: &mut Vec<Wait>) -> Option<Phase> {
    let before = |e: &String| e.starts_with("coredns-");
    let dns = &facts.dns;
    let service = dns.service?;
    let desired = report
        .core_dns
        .desired
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(1);
    let mut phase = phase("dns", dns.endpoints, desired.max(dns.endpoints));
    phase.complete = dns.endpoints > 0;
    if phase.complete {
        return Some(phase);
    }
    if expected.errors_before.iter().any(before) {
        phase.complete = true;
        phase.note = "did not answer before either".into();
        return Some(phase);
    }
    let told = report
        .findings
        .iter()
        .find(|f| f.code.slug.starts_with("coredns-"));
    let why = told.map_or_else(|| "it has no ready endpoint".to_string(), |f| f.message.clone());
    let subject = Subject::namespaced("Service", &service.meta.namespace, &service.meta.name);
    waits.push(Wait {
        rank: 4,
        ..Wait::new(
            told.and_then(|f| f.subjects.first().cloned()).unwrap_or(subject),
            why,
        )
    });
    Some(phase)
}

/// The probes: where one is wanted, where one has had its address, and what was seen of them.
pub(super) struct Probes<'p> {
    pub wanted: &'p BTreeSet<String>,
    pub answered: &'p BTreeSet<String>,
    pub seen: &'p [ProbeSeen],
    /// How many nodes could be probed in the end, before any of them is ready for it.
    pub planned: usize,
}

fn addresses(expected: &Expectation, probes: &Probes<'_>, waits: &mut Vec<Wait>) -> Option<Phase> {
    if !expected.probe {
        return None;
    }
    let done = probes.wanted.intersection(probes.answered).count();
    let mut phase = phase("addresses", done, probes.wanted.len().max(probes.planned));
    for node in probes.wanted.difference(probes.answered) {
        let seen = probes.seen.iter().find(|p| p.node == *node);
        let why = match seen {
            None => "a new pod there is being made".into(),
            Some(probe) => probe
                .problem
                .clone()
                .unwrap_or_else(|| "a new pod there has no address yet".into()),
        };
        waits.push(Wait::new(Subject::node(node), why));
    }
    phase.complete = phase.done == phase.total;
    if phase.total == 0 && !probes.seen.is_empty() {
        phase.note = "no node took a new pod".into();
    }
    Some(phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lost_machines_are_chance() {
        let cases = [(1, 1), (1, 2), (2, 3), (2, 10), (11, 500), (300, 500)];
        assert!(cases.iter().all(|(lost, nodes)| too_many(*lost, *nodes)));
        let cases = [(0, 1), (1, 3), (1, 50), (2, 100), (10, 500)];
        assert!(!cases.iter().any(|(lost, nodes)| too_many(*lost, *nodes)));
    }

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
