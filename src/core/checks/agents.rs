//! What the CNI's agents do, node by node, grouped by what is wrong.

use super::{Check, reading::of_nodes};
use crate::core::{
    capture::{Source, Workload},
    code::Code,
    codes::{
        cidrs::{NODE_BLOCK_OUTSIDE_POOL, NODE_POD_CIDR_MISSING},
        nodes::NODE_UNSUPPORTED,
        workload::{
            AGENT_CRASH_LOOPING, AGENT_IMAGE_PULL, AGENT_MISSING, AGENT_NOT_READY, AGENT_RESTARTING,
            OPERATOR_NOT_READY,
        },
    },
    facts::{AgentFacts, AgentState, Facts, cidr},
    finding::{Finding, Subject},
    words,
};

const NEEDS: &[Source] = &[Source::Nodes, Source::DaemonSets, Source::CniPods];

pub(super) const ALL: &[Check] = &[Check {
    title: "the CNI's agents",
    needs: NEEDS,
    needs_cni_objects: false,
    needed: true,
    run: agents,
}];

/// The code of an agent that gives its node no network; nothing for one that works, starts, or is not expected.
pub(super) fn error_of(state: &AgentState) -> Option<&'static Code> {
    match state {
        AgentState::CrashLooping { .. } => Some(&AGENT_CRASH_LOOPING),
        AgentState::ImagePull { .. } => Some(&AGENT_IMAGE_PULL),
        AgentState::NotReady { .. } => Some(&AGENT_NOT_READY),
        AgentState::Missing { .. } => Some(&AGENT_MISSING),
        _ => None,
    }
}

/// What one agent's state amounts to: its code, and the words that those with the same trouble share.
fn trouble(agent: &AgentFacts<'_>) -> Option<(&'static Code, String)> {
    let words = match &agent.state {
        AgentState::CrashLooping { container, last, .. } => {
            format!("container {container} restarts in a loop, last {last}")
        }
        AgentState::ImagePull { image, reason } => format!("image {image} cannot be pulled ({reason})"),
        AgentState::NotReady { why } | AgentState::Missing { why } => why.clone(),
        AgentState::Ready {
            restarted: Some(last),
        } => format!("Ready again after a restart in the last 10 minutes, {last}"),
        _ => return None,
    };
    Some((error_of(&agent.state).unwrap_or(&AGENT_RESTARTING), words))
}

fn agents(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(workload) = facts.detection.main.as_ref().and_then(|m| m.workload) else {
        return vec![];
    };
    let mut groups: Vec<(&'static Code, Vec<(&AgentFacts<'_>, String)>)> = vec![];
    for agent in &facts.agents {
        let Some((code, words)) = trouble(agent) else {
            continue;
        };
        match groups.iter_mut().find(|(c, _)| *c == code) {
            Some((_, group)) => group.push((agent, words)),
            None => groups.push((code, vec![(agent, words)])),
        }
    }
    groups
        .into_iter()
        .flat_map(|(code, group)| by_cause(facts, workload, code, group))
        .collect()
}

/// Splits a group by what is to blame for it, so that one cause is one error.
fn by_cause(
    facts: &Facts<'_>,
    workload: &Workload,
    code: &'static Code,
    group: Vec<(&AgentFacts<'_>, String)>,
) -> Vec<Finding> {
    let (mut own, mut blamed): (Vec<_>, Vec<_>) = (vec![], vec![]);
    for (agent, words) in group {
        match blame(facts, code, agent.node) {
            Some(cause) => blamed.push((cause, agent, words)),
            None => own.push((agent, words)),
        }
    }
    let mut findings = vec![];
    if !own.is_empty() {
        findings.push(finding(facts, workload, code, &own));
    }
    if let Some((cause, ..)) = blamed.first() {
        let cause = *cause;
        let group: Vec<_> = blamed
            .into_iter()
            .map(|(_, agent, words)| (agent, words))
            .collect();
        findings.push(finding(facts, workload, code, &group).because_of(cause));
    }
    findings
}

/// What makes an agent fail, where that is a finding of its own.
fn blame(facts: &Facts<'_>, code: &'static Code, node: &str) -> Option<&'static Code> {
    let failing = code == &AGENT_CRASH_LOOPING || code == &AGENT_NOT_READY;
    let node = facts.node(node)?;
    if failing && facts.kernel_wanted(node).is_some() {
        return Some(&NODE_UNSUPPORTED);
    }
    let network = &facts.network;
    if failing && network.needs_node_cidr && network.blocks.get(node.name).is_none_or(Vec::is_empty) {
        // "node X pod cidr not assigned": flanneld and others end there.
        return Some(&NODE_POD_CIDR_MISSING);
    }
    if failing && network.needs_node_cidr && network.pools_known {
        let blocks = network
            .blocks
            .get(node.name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let outside = |block: &ipnet::IpNet| !network.pools.iter().any(|p| p.cidr.contains(block));
        let same_family = |block: &&ipnet::IpNet| {
            network
                .pools
                .iter()
                .any(|p| cidr::family(p.cidr) == cidr::family(**block))
        };
        if blocks.iter().filter(same_family).any(outside) {
            return Some(&NODE_BLOCK_OUTSIDE_POOL);
        }
    }
    // Agents wait for the custom resources that the operator makes.
    let operator_down = facts
        .detection
        .operators
        .iter()
        .any(|o| o.desired() > 0 && o.ready() == 0);
    (code == &AGENT_NOT_READY && operator_down).then_some(&OPERATOR_NOT_READY)
}

fn finding(
    facts: &Facts<'_>,
    workload: &Workload,
    code: &'static Code,
    group: &[(&AgentFacts<'_>, String)],
) -> Finding {
    let names: Vec<&str> = group.iter().map(|(a, _)| a.node).collect();
    let mut kinds: Vec<&str> = group.iter().map(|(_, words)| words.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let more = if kinds.len() > 1 {
        format!(" (and {})", words::count(kinds.len() - 1, "other reason"))
    } else {
        String::new()
    };
    let restarts = group.iter().filter_map(|(a, _)| match a.state {
        AgentState::CrashLooping { restarts, .. } => Some(restarts),
        _ => None,
    });
    let restarts = restarts
        .max()
        .map(|n| format!(", {} so far", words::count(n.unsigned_abs() as usize, "restart")));
    let (namespace, name) = (&workload.meta.namespace, &workload.meta.name);
    let on = if code == &AGENT_MISSING {
        ": no pod on"
    } else {
        " on"
    };
    Finding::new(
        code,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "{name}{on} {}: {}{more}{}",
            of_nodes(facts, &names),
            group[0].1,
            restarts.unwrap_or_default()
        ),
        fix(code, namespace, name, group[0].0),
    )
}

fn fix(code: &'static Code, namespace: &str, daemon_set: &str, agent: &AgentFacts<'_>) -> String {
    let pod = agent.pod.map(|p| p.meta.name.as_str()).unwrap_or_default();
    match &agent.state {
        AgentState::CrashLooping { container, .. } => {
            format!("kubectl -n {namespace} logs {pod} -c {container} --previous")
        }
        AgentState::Ready { .. } => format!("kubectl -n {namespace} logs {pod} --all-containers --previous"),
        _ if code == &AGENT_MISSING => format!("kubectl -n {namespace} describe daemonset {daemon_set}"),
        _ => format!("kubectl -n {namespace} describe pod {pod}"),
    }
}
