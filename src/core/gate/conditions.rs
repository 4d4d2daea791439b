//! What must hold before a change counts as done, on one capture: who is waited for, why, and how far each phase is.

use std::collections::BTreeSet;

use crate::core::{
    capture::Source,
    cni::BlockModel,
    facts::{AgentState, Facts, Ready},
    finding::Subject,
    report::Report,
};

use super::{Expectation, Phase, probe::ProbeSeen, standing::Standing, workloads};

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
        workloads::operator(facts, expected, standing, &mut waits),
        Some(workloads::agents(facts, expected, standing, &mut waits)),
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

/// A phase that is complete once all of it is done.
pub(super) fn phase(name: &'static str, done: usize, total: usize) -> Phase {
    Phase {
        name,
        done,
        total,
        complete: done >= total,
        note: String::new(),
    }
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
