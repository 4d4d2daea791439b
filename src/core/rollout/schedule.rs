//! The order of a rollout before it begins: which nodes go first, in how many waves the others follow, how long that
//! may take, and what the worst of it is. Pure and the same for the same cluster, for the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use super::{MARGIN, Settings};
use crate::core::{
    facts::{AgentState, Facts, Ready},
    words,
};

/// A node as far as its place in the order goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its pool; empty where the platform has none.
    pub pool: String,
    /// Ready, takes new pods, and its agent is up: fit to go first.
    pub able: bool,
    /// A pod of cluster DNS runs there.
    pub dns: bool,
    /// It has the new agent already, or will have without a deletion of ours.
    pub updated: bool,
    /// Why it is not waited for, where it is not: it was broken before.
    pub out: Option<String>,
}

impl Candidate {
    /// The nodes that a CNI's agent is on. `broken_before` is the gate's baseline.
    pub fn all(facts: &Facts<'_>, broken_before: &[String]) -> Vec<Candidate> {
        let dns = dns_nodes(facts);
        let served = facts.served_nodes();
        let of = served.map(|(node, agent)| Candidate {
            name: node.name.to_string(),
            pool: node.pool.unwrap_or_default().to_string(),
            able: node.ready == Ready::Yes
                && !node.node.spec.unschedulable
                && agent.is_none_or(|a| matches!(a.state, AgentState::Ready { .. })),
            dns: dns.contains(node.name),
            updated: false,
            out: broken_before
                .iter()
                .any(|b| b == node.name)
                .then(|| "broken before the change".into()),
        });
        of.collect()
    }
}

/// The nodes with a pod of cluster DNS.
pub(super) fn dns_nodes<'f>(facts: &'f Facts<'_>) -> BTreeSet<&'f str> {
    let pods = facts.dns.pods.iter();
    pods.map(|pod| pod.spec.node_name.as_str()).collect()
}

/// The nodes that go first, one after the other: so many of each pool, pool after pool. `passed` are those of each pool
/// that have held already.
///
/// One that has the new agent already comes first, as nothing needs to be deleted for it; then the able ones; then
/// those without cluster DNS; then by name. A pool whose nodes all have the new agent needs no canary.
pub(super) fn canaries(
    nodes: &[Candidate],
    each: usize,
    passed: &BTreeMap<String, usize>,
    not: &BTreeSet<String>,
) -> Vec<String> {
    let mut pools: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for node in nodes.iter().filter(|n| n.out.is_none()) {
        pools.entry(&node.pool).or_default().push(node);
    }
    let mut chosen = vec![];
    for (pool, mut nodes) in pools {
        if nodes.iter().all(|n| n.updated) {
            continue;
        }
        nodes.retain(|n| !not.contains(&n.name));
        nodes.sort_by_key(|n| (!n.updated, !n.able, n.dns, &n.name));
        let wanted = each.saturating_sub(passed.get(pool).copied().unwrap_or(0));
        chosen.extend(nodes.into_iter().take(wanted).map(|n| n.name.clone()));
    }
    chosen
}

/// What a rollout will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The nodes that go first, in order.
    pub canaries: Vec<String>,
    /// How many nodes are replaced, canaries among them.
    pub nodes: usize,
    /// In how many waves the others follow; a wave slides, so this is the least.
    pub waves: usize,
    /// How many nodes are without their agent at once, at most.
    pub max_parallel: usize,
    /// How long each canary must hold.
    pub soak: Duration,
    /// Whether it stops after the canaries.
    pub pause: bool,
    /// Nodes that are replaced last and not waited for, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// After how long it has failed.
    pub limit: Duration,
    /// How the limit is reckoned, in one line.
    pub reason: String,
    /// The worst that can be without an agent at once, in one line.
    pub blast_radius: String,
}

/// How long the operator's Deployments may take.
pub(super) const OPERATOR: Duration = Duration::from_secs(300);

/// Plans a rollout over these nodes.
pub fn schedule(nodes: &[Candidate], settings: &Settings) -> Schedule {
    let canaries = canaries(nodes, settings.canaries, &BTreeMap::new(), &BTreeSet::new());
    let own: Vec<&Candidate> = nodes.iter().filter(|n| n.out.is_none()).collect();
    let left_out = nodes
        .iter()
        .filter_map(|n| Some((n.name.clone(), n.out.clone()?)));
    let max_parallel = settings.max_parallel.max(1);
    let waves = own.len().saturating_sub(canaries.len()).div_ceil(max_parallel);
    let each = settings.budget.saturating_add(MARGIN);
    let times = |n: usize, span: Duration| span.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
    let limit = OPERATOR
        .saturating_add(times(canaries.len(), each.saturating_add(settings.soak)))
        .saturating_add(times(waves, each));
    let mut parts = vec![format!("{} for the operator", shown(OPERATOR))];
    if !canaries.is_empty() {
        parts.push(format!(
            "{} of {} start-up and {} soak",
            one_or_more(canaries.len(), "canary", "canaries"),
            shown(each),
            shown(settings.soak)
        ));
    }
    if waves > 0 {
        parts.push(format!("{} of {}", words::count(waves, "wave"), shown(each)));
    }
    Schedule {
        nodes: own.len(),
        waves,
        max_parallel,
        soak: settings.soak,
        pause: settings.pause,
        left_out: left_out.collect(),
        limit,
        reason: parts.join(", "),
        blast_radius: blast_radius(&own, &canaries, max_parallel),
        canaries,
    }
}

fn blast_radius(nodes: &[&Candidate], canaries: &[String], max_parallel: usize) -> String {
    let mut pools: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        *pools.entry(&node.pool).or_default() += 1;
    }
    let at_once = max_parallel.min(nodes.len());
    let smallest = pools.iter().min_by_key(|(_, n)| **n).filter(|_| pools.len() > 1);
    let pool = smallest.map(|(pool, n)| {
        let pool = if pool.is_empty() { "without a name" } else { *pool };
        format!(" (of pool {pool} at most {} of {n})", max_parallel.min(*n))
    });
    let first = if canaries.is_empty() {
        ""
    } else {
        "; 1 until the canaries have held"
    };
    format!(
        "at most {at_once} of {} at once without an agent{}{first}",
        words::count(nodes.len(), "node"),
        pool.unwrap_or_default()
    )
}

fn one_or_more(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

/// A span in words.
pub(super) fn shown(span: Duration) -> String {
    words::span(SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, pool: &str) -> Candidate {
        Candidate {
            name: name.into(),
            pool: pool.into(),
            able: true,
            dns: false,
            updated: false,
            out: None,
        }
    }

    fn settings() -> Settings {
        Settings::new(5, Duration::from_secs(600))
    }

    #[test]
    fn one_canary_a_pool_goes_first() {
        let mut nodes = vec![
            node("s0", "system"),
            node("s1", "system"),
            node("s2", "system"),
            node("u0", "user"),
            node("u1", "user"),
        ];
        nodes[0].dns = true;
        nodes[1].able = false;
        nodes[3].out = Some("broken before the change".into());
        let made = schedule(&nodes, &settings());
        assert_eq!(made.canaries, ["s2", "u1"]);
        assert_eq!((made.nodes, made.waves, made.max_parallel), (4, 2, 1));
        assert_eq!(
            made.left_out,
            [("u0".to_string(), "broken before the change".to_string())]
        );
        // 300 + 2 × (660 + 60) + 2 × 660.
        assert_eq!(made.limit, Duration::from_secs(3060));
        assert_eq!(
            made.reason,
            "5m for the operator, 2 canaries of 11m start-up and 60s soak, 2 waves of 11m"
        );
        assert_eq!(
            made.blast_radius,
            "at most 1 of 4 nodes at once without an agent (of pool user at most 1 of 1); 1 until the canaries have held"
        );
        assert_eq!(made, schedule(&nodes, &settings()));
    }

    #[test]
    fn a_pool_that_has_the_new_agents_needs_no_canary() {
        let mut nodes = vec![node("s0", "system"), node("u0", "user"), node("u1", "user")];
        nodes[0].updated = true;
        // Replaced before an interruption, and not seen to hold: it is the canary, and nothing is deleted for it.
        nodes[2].updated = true;
        nodes[2].able = false;
        assert_eq!(schedule(&nodes, &settings()).canaries, ["u1"]);
        let passed = BTreeMap::from([("user".to_string(), 1)]);
        assert!(canaries(&nodes, 1, &passed, &BTreeSet::new()).is_empty());
        assert_eq!(canaries(&nodes, 2, &passed, &BTreeSet::new()), ["u1"]);
    }

    #[test]
    fn on_the_way_back_nobody_goes_first() {
        let nodes: Vec<Candidate> = (0..10).map(|n| node(&format!("n{n}"), "")).collect();
        let settings = Settings {
            max_parallel: 4,
            ..settings().back()
        };
        let made = schedule(&nodes, &settings);
        assert!(made.canaries.is_empty());
        assert_eq!(made.waves, 3);
        assert_eq!(
            made.blast_radius,
            "at most 4 of 10 nodes at once without an agent"
        );
    }

    #[test]
    fn two_in_a_hundred_go_at_once_by_default() {
        let at_once = [(0, 1), (3, 1), (99, 1), (100, 2), (500, 10), (5000, 10)];
        for (nodes, wanted) in at_once {
            assert_eq!(super::super::default_max_parallel(nodes), wanted, "{nodes} nodes");
        }
    }
}
