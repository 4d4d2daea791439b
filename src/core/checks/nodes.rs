//! Which nodes there are, and whether the CNI can run on them.

use super::{Check, reading::of_nodes};
use crate::core::{
    capture::Source,
    codes::{
        nodes::{NO_NODES, NODE_AGENT_TAINT, NODE_UNSUPPORTED},
        workload::NODE_WITHOUT_CNI,
    },
    facts::{AgentState, Facts},
    finding::{Finding, Subject},
    words,
};

pub(super) const ALL: &[Check] = &[
    Check {
        title: "nodes",
        needs: &[Source::Nodes],
        needs_cni_objects: false,
        needed: true,
        run: any,
    },
    Check {
        title: "nodes that the CNI runs on",
        needs: &[Source::Nodes, Source::DaemonSets],
        needs_cni_objects: false,
        needed: true,
        run: supported,
    },
    Check {
        title: "start-up taints",
        needs: &[Source::Nodes, Source::DaemonSets, Source::CniPods],
        needs_cni_objects: false,
        needed: true,
        run: taints,
    },
    Check {
        title: "nodes left out by the CNI",
        needs: &[Source::Nodes, Source::DaemonSets, Source::CniPods],
        needs_cni_objects: false,
        needed: true,
        run: left_out,
    },
];

fn any(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.any_linux() {
        return vec![];
    }
    let there = if facts.nodes.is_empty() {
        "the cluster has no node"
    } else {
        "the cluster has no Linux node"
    };
    vec![Finding::new(
        &NO_NODES,
        vec![],
        there.into(),
        "kubectl get nodes -o wide",
    )]
}

fn supported(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(main) = &facts.detection.main else {
        return vec![];
    };
    let mut findings = vec![];
    let windows = facts.nodes.iter().filter(|n| facts.without_windows_agent(n));
    let windows: Vec<&str> = windows.map(|n| n.name).collect();
    if !windows.is_empty() {
        findings.push(Finding::new(
            &NODE_UNSUPPORTED,
            windows.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "{} {} Windows; {} runs on Linux only here",
                of_nodes(facts, &windows),
                words::verb(windows.len(), "runs", "run"),
                main.cni.name
            ),
            "move the Windows workloads to a cluster whose CNI has a Windows agent, and delete the Windows node pool",
        ));
    }
    let old: Vec<_> = facts
        .served_nodes()
        .filter_map(|(n, _)| Some((n, facts.kernel_wanted(n)?)))
        .collect();
    if let Some((first, (major, minor))) = old.first() {
        let names: Vec<&str> = old.iter().map(|(n, _)| n.name).collect();
        findings.push(Finding::new(
            &NODE_UNSUPPORTED,
            names.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "{} {} a kernel below {major}.{minor}, which {} {} needs: {} has {}",
                of_nodes(facts, &names),
                words::verb(names.len(), "runs", "run"),
                main.cni.name,
                facts.detection.version().unwrap_or_default(),
                first.name,
                first.node.status.node_info.kernel_version.line(60)
            ),
            "upgrade the node image of that pool, then check: kubectl get nodes -o wide",
        ));
    }
    findings
}

/// Taints that a CNI's agent takes away once it runs.
const START_UP_TAINTS: &[&str] = &["node.cilium.io/agent-not-ready"];

fn taints(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = vec![];
    for taint in START_UP_TAINTS {
        let main = facts.detection.main.as_ref();
        let owner = main.filter(|m| m.cni.taint == Some(*taint));
        let stuck: Vec<&str> = facts
            .nodes
            .iter()
            .filter(|n| n.taint(taint).is_some())
            .filter(|n| {
                let agent = facts.agent(n.name);
                owner.is_none() || agent.is_some_and(|a| matches!(a.state, AgentState::Ready { .. }))
            })
            .map(|n| n.name)
            .collect();
        if stuck.is_empty() {
            continue;
        }
        let why = match owner {
            Some(main) => format!("though the {} agent there is Ready", main.cni.name),
            None => "and nothing runs here that would take it away".to_string(),
        };
        findings.push(Finding::new(
            &NODE_AGENT_TAINT,
            stuck.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "{} {} the taint {taint}, {why}",
                of_nodes(facts, &stuck),
                words::verb(stuck.len(), "carries", "carry")
            ),
            format!("kubectl taint nodes {} {taint}-", stuck[0]),
        ));
    }
    findings
}

fn left_out(facts: &Facts<'_>) -> Vec<Finding> {
    let out: Vec<(&str, &str)> = facts
        .agents
        .iter()
        .filter_map(|a| match &a.state {
            AgentState::Excluded { why } => Some((a.node, why.as_str())),
            _ => None,
        })
        .collect();
    let Some((_, why)) = out.first() else {
        return vec![];
    };
    let names: Vec<&str> = out.iter().map(|(n, _)| *n).collect();
    vec![Finding::new(
        &NODE_WITHOUT_CNI,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "the CNI's DaemonSet leaves out {}: {why}",
            of_nodes(facts, &names)
        ),
        "",
    )]
}
