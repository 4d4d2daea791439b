//! Of which nodes what is asked.

use std::collections::BTreeSet;

use crate::core::facts::{AgentFacts, AgentState, Facts, NodeFacts, Ready};

use super::Expectation;

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
pub(in crate::core) fn too_many(lost: usize, nodes: usize) -> bool {
    lost > (nodes / 50).max(1) || (lost > 0 && lost * 2 >= nodes)
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
}
