//! What nodes say of themselves: Ready, NetworkUnavailable, and what AKS does about it.

use jiff::SignedDuration;

use super::{Check, agents::error_of, reading::of_nodes};
use crate::core::{
    capture::Source,
    code::Code,
    codes::{
        nodes::{
            NODE_JOINING, NODE_NETWORK_NOT_READY, NODE_NETWORK_UNAVAILABLE, NODE_NOT_READY, NODE_REPAIR_RISK,
            NODE_UNSUPPORTED,
        },
        workload::{CNI_LEFTOVER, CNI_MISSING},
    },
    facts::{AgentState, Facts, NodeFacts, Ready},
    finding::{Finding, Subject},
    words,
};

const NODES: &[Source] = &[Source::Nodes];

pub(super) const ALL: &[Check] = &[
    Check {
        title: "nodes' Ready condition",
        needs: NODES,
        needs_cni_objects: false,
        needed: true,
        run: ready,
    },
    Check {
        title: "nodes' NetworkUnavailable condition",
        needs: NODES,
        needs_cni_objects: false,
        needed: true,
        run: network_unavailable,
    },
    Check {
        title: "nodes and agents that are starting",
        needs: &[Source::Nodes, Source::DaemonSets, Source::CniPods],
        needs_cni_objects: false,
        needed: true,
        run: joining,
    },
    Check {
        title: "AKS node auto-repair",
        needs: NODES,
        needs_cni_objects: false,
        needed: true,
        run: repair_risk,
    },
    Check {
        title: "AKS node repairs that are going on",
        needs: &[Source::Nodes, Source::Events],
        needs_cni_objects: false,
        needed: false,
        run: repairs,
    },
];

/// Why a node has no network, where that is the agent's or the CNI's fault.
enum Cause {
    Code(&'static Code),
    Starting,
    Own,
}

fn cause(facts: &Facts<'_>, node: &NodeFacts<'_>) -> Cause {
    if !facts.capture.knows(Source::DaemonSets) {
        return Cause::Own;
    }
    if facts.detection.main.is_none() {
        return if facts.detection.lost() {
            Cause::Code(&CNI_LEFTOVER)
        } else if facts.detection.unknown.is_empty() {
            Cause::Code(&CNI_MISSING)
        } else {
            Cause::Own
        };
    }
    if facts.without_windows_agent(node) || facts.kernel_wanted(node).is_some() {
        return Cause::Code(&NODE_UNSUPPORTED);
    }
    match facts.agent(node.name).map(|a| &a.state) {
        Some(AgentState::Starting { .. }) => Cause::Starting,
        Some(state) => error_of(state).map_or(Cause::Own, Cause::Code),
        None => Cause::Own,
    }
}

fn ready(facts: &Facts<'_>) -> Vec<Finding> {
    let unseen = !facts.capture.knows(Source::DaemonSets);
    // The nodes without a network, by what is to blame.
    let mut groups: Vec<(Option<&'static Code>, Vec<&NodeFacts<'_>>)> = vec![];
    for node in facts.nodes.iter().filter(|n| n.ready == Ready::NoNetwork) {
        let blame = match cause(facts, node) {
            Cause::Code(code) => Some(code),
            Cause::Starting => continue,
            // A node that joined a moment ago waits for its agent.
            Cause::Own if node.young && (facts.detection.main.is_some() || unseen) => continue,
            Cause::Own => None,
        };
        match groups.iter_mut().find(|(code, _)| *code == blame) {
            Some((_, nodes)) => nodes.push(node),
            None => groups.push((blame, vec![node])),
        }
    }
    let mut findings: Vec<Finding> = groups
        .into_iter()
        .map(|(blame, nodes)| {
            let names: Vec<&str> = nodes.iter().map(|n| n.name).collect();
            let message = format!(
                "{} {} NotReady: {}",
                of_nodes(facts, &names),
                words::are(names.len()),
                short_reason(nodes[0])
            );
            let subjects = names.iter().map(|n| Subject::node(n)).collect();
            let finding = Finding::new(
                &NODE_NETWORK_NOT_READY,
                subjects,
                message,
                format!("kubectl describe node {}", names[0]),
            );
            match blame {
                Some(code) => finding.because_of(code),
                None => finding,
            }
        })
        .collect();
    findings.extend(other_reasons(facts));
    findings
}

/// The part of the kubelet's message that says what is wrong, without its boilerplate.
fn short_reason(node: &NodeFacts<'_>) -> String {
    let message = node
        .ready_condition()
        .map(|c| c.message.line(300))
        .unwrap_or_default();
    let last = message
        .rsplit_once("message:")
        .map_or(message.as_str(), |(_, last)| last);
    // Several complaints come as a list in brackets: `[…network not ready…, CSINode is not yet initialized]`.
    let first = if message.starts_with('[') {
        last.split(", ").next().unwrap_or(last)
    } else {
        last
    };
    let plain = first
        .strip_prefix("Network plugin returns error: ")
        .unwrap_or(first);
    plain.trim_end_matches(']').to_string()
}

fn other_reasons(facts: &Facts<'_>) -> Vec<Finding> {
    let mut groups: Vec<(String, Vec<&NodeFacts<'_>>)> = vec![];
    for node in &facts.nodes {
        let broken = matches!(node.ready, Ready::No | Ready::Lost | Ready::Never);
        if !broken || node.young {
            continue;
        }
        let reason = match (node.ready, node.ready_condition()) {
            (Ready::Never, _) | (_, None) => "has no Ready condition".to_string(),
            (_, Some(c)) => format!("Ready={} ({})", c.status, c.reason.line(60)),
        };
        match groups.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, nodes)) => nodes.push(node),
            None => groups.push((reason, vec![node])),
        }
    }
    groups
        .into_iter()
        .map(|(reason, nodes)| {
            let names: Vec<&str> = nodes.iter().map(|n| n.name).collect();
            let said = nodes[0]
                .ready_condition()
                .map(|c| c.message.line(160))
                .unwrap_or_default();
            let since = nodes.iter().filter_map(|n| n.ready_since()).min();
            let since = since.map(|t| format!(" for {}", words::span(facts.taken_at().duration_since(t))));
            Finding::new(
                &NODE_NOT_READY,
                names.iter().map(|n| Subject::node(n)).collect(),
                format!(
                    "{}: {reason}{}: {said}",
                    of_nodes(facts, &names),
                    since.unwrap_or_default()
                ),
                format!("kubectl describe node {}", names[0]),
            )
        })
        .collect()
}

fn network_unavailable(facts: &Facts<'_>) -> Vec<Finding> {
    let bad: Vec<&NodeFacts<'_>> = facts
        .nodes
        .iter()
        .filter(|n| n.network_unavailable().is_some_and(|c| c.status == "True"))
        .collect();
    let (mut own, mut blamed): (Vec<&NodeFacts<'_>>, Vec<(&'static Code, &NodeFacts<'_>)>) = (vec![], vec![]);
    for node in bad {
        match cause(facts, node) {
            Cause::Code(code) if code != &CNI_MISSING => blamed.push((code, node)),
            Cause::Starting => {}
            _ => own.push(node),
        }
    }
    let finding = |nodes: &[&NodeFacts<'_>]| {
        let names: Vec<&str> = nodes.iter().map(|n| n.name).collect();
        let condition = nodes[0].network_unavailable();
        let reason = condition.map(|c| c.reason.line(60)).unwrap_or_default();
        let main = facts.detection.main.as_ref();
        let foreign = ["Calico", "Cilium", "Flannel", "Weave"]
            .iter()
            .find(|name| reason.starts_with(**name) && main.is_none_or(|m| !m.cni.name.starts_with(**name)));
        let note = foreign.map(|name| format!("; {name} does not run here: the condition is a leftover"));
        Finding::new(
            &NODE_NETWORK_UNAVAILABLE,
            names.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "{} {} NetworkUnavailable=True ({reason}{}){}",
                of_nodes(facts, &names),
                words::verb(names.len(), "has", "have"),
                condition
                    .map(|c| format!(": {}", c.message.line(100)))
                    .unwrap_or_default(),
                note.unwrap_or_default()
            ),
            format!("kubectl describe node {}", names[0]),
        )
    };
    let mut findings = vec![];
    if !own.is_empty() {
        findings.push(finding(&own));
    }
    if let Some((code, _)) = blamed.first() {
        let nodes: Vec<&NodeFacts<'_>> = blamed.iter().map(|(_, n)| *n).collect();
        findings.push(finding(&nodes).because_of(code));
    }
    findings
}

fn joining(facts: &Facts<'_>) -> Vec<Finding> {
    let has_cni = facts.detection.main.is_some();
    let mut joining: Vec<(&str, String)> = vec![];
    for node in &facts.nodes {
        let agent = facts.agent(node.name).map(|a| &a.state);
        if let Some(AgentState::Starting { waits }) = agent {
            joining.push((node.name, waits.clone()));
        } else if node.young
            && has_cni
            && node.ready != Ready::Yes
            && !node.is_virtual
            && matches!(cause(facts, node), Cause::Own)
        {
            joining.push((node.name, "the node is not Ready yet".into()));
        }
    }
    let Some((_, waits)) = joining.first() else {
        return vec![];
    };
    let names: Vec<&str> = joining.iter().map(|(n, _)| *n).collect();
    vec![Finding::new(
        &NODE_JOINING,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "{} {} still starting: {waits}",
            of_nodes(facts, &names),
            words::are(names.len())
        ),
        "kubectl byocni status --wait",
    )]
}

/// AKS repairs a node after 10 minutes; half of that is the last moment to look
/// (<https://learn.microsoft.com/azure/aks/node-auto-repair>).
const REPAIR_NEAR: SignedDuration = SignedDuration::from_mins(5);

/// How long a repair event counts.
const REPAIR_EVENT: SignedDuration = SignedDuration::from_mins(30);

/// A node whose condition changed this long after its creation was Ready before.
const WAS_READY: SignedDuration = SignedDuration::from_mins(10);

fn repair_risk(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.platform.name != "aks" {
        return vec![];
    }
    let now = facts.taken_at();
    let at_risk: Vec<&str> = facts
        .nodes
        .iter()
        .filter(|n| n.ready != Ready::Yes && !n.is_virtual)
        .filter(|n| {
            let (Some(since), Some(created)) = (n.ready_since(), n.node.meta.creation_timestamp) else {
                return false;
            };
            now.duration_since(since) > REPAIR_NEAR && since.duration_since(created) > WAS_READY
        })
        .map(|n| n.name)
        .collect();
    let mut findings = vec![];
    if !at_risk.is_empty() {
        findings.push(Finding::new(
            &NODE_REPAIR_RISK,
            at_risk.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "{} {} Ready once and not for the last 5 minutes: AKS reboots such nodes after 10, then reimages them",
                of_nodes(facts, &at_risk),
                words::verb(at_risk.len(), "was", "were")
            ),
            format!("kubectl describe node {}", at_risk[0]),
        ));
    }
    findings
}

/// What AKS's repairer said of late.
fn repairs(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.platform.name != "aks" {
        return vec![];
    }
    let now = facts.taken_at();
    let mut findings = vec![];
    let repairs: Vec<_> = facts
        .capture
        .events
        .iter()
        .filter(|e| e.source.component == "aks-auto-repair" || e.reporting_component == "aks-auto-repair")
        .filter(|e| e.time().is_some_and(|t| now.duration_since(t) < REPAIR_EVENT))
        .collect();
    if let Some(event) = repairs.first() {
        let mut names: Vec<&str> = repairs.iter().map(|e| e.involved_object.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        findings.push(Finding::new(
            &NODE_REPAIR_RISK,
            names.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "AKS repairs nodes now: {} ({})",
                words::names(&names),
                event.reason.line(60)
            ),
            "kubectl get events -A --field-selector source=aks-auto-repair",
        ));
    }
    findings
}
