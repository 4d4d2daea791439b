//! Does every node have a block of its own, from a pool, large enough; and is there room for more nodes?

use ipnet::IpNet;

use super::{Check, reading::of_nodes};
use crate::core::{
    capture::Source,
    cni::BlockModel,
    codes::{
        cidrs::{
            NODE_BLOCK_MISSING, NODE_BLOCK_OUTSIDE_POOL, NODE_BLOCK_TOO_SMALL, NODE_BLOCKS_OVERLAP,
            NODE_POD_CIDR_MISSING, POD_CIDR_UNALIGNED, POOL_EXHAUSTED, POOL_NEARLY_EXHAUSTED,
        },
        workload::OPERATOR_NOT_READY,
    },
    facts::{AgentState, Facts, cidr},
    finding::{Finding, Subject},
    words,
};

const NEEDS: &[Source] = &[Source::Nodes, Source::DaemonSets, Source::ConfigMaps];

/// Whether a node waits for its block is told by its agent.
const WITH_AGENTS: &[Source] = &[
    Source::Nodes,
    Source::DaemonSets,
    Source::ConfigMaps,
    Source::CniPods,
];

const fn check(title: &'static str, needs: &'static [Source], run: fn(&Facts<'_>) -> Vec<Finding>) -> Check {
    Check {
        title,
        needs,
        needs_cni_objects: true,
        needed: true,
        run,
    }
}

pub(super) const ALL: &[Check] = &[
    check("node.spec.podCIDR", NEEDS, pod_cidr_missing),
    check("blocks against pools", NEEDS, outside_pool),
    check("blocks against each other", NEEDS, overlap),
    check("a block for every node", WITH_AGENTS, missing),
    check("room in the pools", WITH_AGENTS, room),
    check("the size of blocks", NEEDS, too_small),
    check("node.spec.podCIDR against blocks", NEEDS, unaligned),
];

fn explain(code: &'static crate::core::code::Code) -> String {
    format!("kubectl byocni explain {}", code.slug)
}

/// Nodes that the CNI's agents are expected on and that have no `spec.podCIDR`, where agents need one.
fn without_cidr<'f>(facts: &'f Facts<'_>) -> Vec<&'f str> {
    if !facts.network.needs_node_cidr {
        return vec![];
    }
    // The controller manager assigns a block within seconds; an agent that has failed for want of one did not wait.
    let failed = |a: &AgentState| matches!(a, AgentState::CrashLooping { .. } | AgentState::NotReady { .. });
    let old_enough = facts
        .served_nodes()
        .filter(|(n, agent)| !n.young || agent.is_some_and(|a| failed(&a.state)));
    let empty = old_enough.filter(|(n, _)| facts.network.blocks.get(n.name).is_none_or(Vec::is_empty));
    empty.map(|(n, _)| n.name).collect()
}

fn pod_cidr_missing(facts: &Facts<'_>) -> Vec<Finding> {
    let names = without_cidr(facts);
    let Some(main) = facts.detection.main.as_ref().filter(|_| !names.is_empty()) else {
        return vec![];
    };
    let aks = if facts.platform.name == "aks" {
        "; AKS BYOCNI assigns none"
    } else {
        ""
    };
    vec![Finding::new(
        &NODE_POD_CIDR_MISSING,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "{} {} no spec.podCIDR, which {} takes its addresses from{aks}",
            of_nodes(facts, &names),
            words::verb(names.len(), "has", "have"),
            main.cni.name
        ),
        explain(&NODE_POD_CIDR_MISSING),
    )]
}

/// Blocks of nodes that exist, with the node's name.
fn live_blocks<'f>(facts: &'f Facts<'_>) -> Vec<(&'f str, IpNet)> {
    let of_node =
        |(name, nets): (&'f String, &'f Vec<IpNet>)| nets.iter().map(move |net| (name.as_str(), *net));
    facts
        .network
        .blocks
        .iter()
        .filter(|(name, _)| facts.node(name).is_some())
        .flat_map(of_node)
        .collect()
}

fn outside_pool(facts: &Facts<'_>) -> Vec<Finding> {
    let network = &facts.network;
    if !network.pools_known || network.pools.is_empty() || network.model != BlockModel::Exclusive {
        return vec![];
    }
    let outside: Vec<(&str, IpNet)> = live_blocks(facts)
        .into_iter()
        .filter(|(_, block)| {
            let mut family = network
                .pools
                .iter()
                .filter(|p| cidr::family(p.cidr) == cidr::family(*block))
                .peekable();
            family.peek().is_some() && !family.any(|p| p.cidr.contains(block))
        })
        .collect();
    let Some((first, block)) = outside.first() else {
        return vec![];
    };
    let mut names: Vec<&str> = outside.iter().map(|(n, _)| *n).collect();
    names.dedup();
    let error = network
        .block_errors
        .get(*first)
        .map(|e| format!("; the operator says of {first}: {e}"));
    let source = network
        .pools
        .first()
        .map(|p| p.source.clone())
        .unwrap_or_default();
    vec![Finding::new(
        &NODE_BLOCK_OUTSIDE_POOL,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "{} {} a block in no configured pool: {first} has {block} ({}), the pools are {} ({source}){}",
            of_nodes(facts, &names),
            words::verb(names.len(), "has", "have"),
            network.block_source,
            words::networks(network.pools.iter().map(|p| p.cidr)),
            error.unwrap_or_default()
        ),
        explain(&NODE_BLOCK_OUTSIDE_POOL),
    )]
}

fn overlap(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.network.model == BlockModel::None {
        return vec![];
    }
    let blocks = live_blocks(facts);
    let nets: Vec<IpNet> = blocks.iter().map(|(_, net)| *net).collect();
    let pairs: Vec<(usize, usize)> = cidr::overlapping_pairs(&nets)
        .into_iter()
        .filter(|(a, b)| blocks[*a].0 != blocks[*b].0)
        .collect();
    let Some((a, b)) = pairs.first() else {
        return vec![];
    };
    let mut names: Vec<&str> = pairs
        .iter()
        .flat_map(|(a, b)| [blocks[*a].0, blocks[*b].0])
        .collect();
    names.sort_unstable();
    names.dedup();
    let both = |i: usize| format!("{} has {}", blocks[i].0, blocks[i].1);
    let on_them: Vec<&str> = facts
        .pods
        .addressed
        .iter()
        .filter(|row| {
            names.contains(&&*row.node)
                && row
                    .ips()
                    .any(|ip| nets[*a].contains(&ip) || nets[*b].contains(&ip))
        })
        .map(|row| &*row.name)
        .collect();
    let pods = (!on_them.is_empty()).then(|| format!("; pods in it: {}", words::names(&on_them)));
    let more = if pairs.len() > 1 {
        format!(", and {} more pairs", pairs.len() - 1)
    } else {
        String::new()
    };
    vec![Finding::new(
        &NODE_BLOCKS_OVERLAP,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "nodes share pod addresses: {}, {} ({}){more}{}",
            both(*a),
            both(*b),
            facts.network.block_source,
            pods.unwrap_or_default()
        ),
        explain(&NODE_BLOCKS_OVERLAP),
    )]
}

/// Nodes whose agent is up and that have no block. Nodes without `spec.podCIDR` are told by their own code.
fn blockless<'f>(facts: &'f Facts<'_>) -> Vec<&'f str> {
    let network = &facts.network;
    if network.model != BlockModel::Exclusive || network.needs_node_cidr || !network.blocks_known {
        return vec![];
    }
    let expected = facts.served_nodes().filter(|(n, agent)| {
        let starting =
            agent.is_some_and(|a| !matches!(a.state, AgentState::Ready { .. } | AgentState::NotReady { .. }));
        !n.young && !starting && agent.is_some()
    });
    expected
        .filter(|(n, _)| network.blocks.get(n.name).is_none_or(Vec::is_empty))
        .map(|(n, _)| n.name)
        .collect()
}

fn missing(facts: &Facts<'_>) -> Vec<Finding> {
    let names = blockless(facts);
    if names.is_empty() {
        return vec![];
    }
    let error = names
        .iter()
        .find_map(|n| Some((n, facts.network.block_errors.get(*n)?)));
    let error = error
        .map(|(n, e)| format!("; the operator says of {n}: {e}"))
        .unwrap_or_default();
    let finding = Finding::new(
        &NODE_BLOCK_MISSING,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "{} {} no block of pod addresses ({}){error}",
            of_nodes(facts, &names),
            words::verb(names.len(), "has", "have"),
            facts.network.block_source
        ),
        format!("kubectl get ciliumnode {} -o yaml", names[0]),
    );
    let operator_down = facts
        .detection
        .operators
        .iter()
        .any(|o| o.desired() > 0 && o.ready() == 0);
    let full = free(facts).is_some_and(|(_, free)| free == 0);
    vec![if full {
        finding.because_of(&POOL_EXHAUSTED)
    } else if operator_down {
        finding.because_of(&OPERATOR_NOT_READY)
    } else {
        finding
    }]
}

/// How many blocks the pools have and how many of them are free, in the family that has fewer; nothing where the CNI
/// cuts no blocks of one size.
pub(in crate::core) fn free(facts: &Facts<'_>) -> Option<(u64, u64)> {
    let network = &facts.network;
    if network.model != BlockModel::Exclusive || network.many_blocks || !network.pools_known {
        return None;
    }
    let mut least: Option<(u64, u64)> = None;
    for family in [cidr::Family::V4, cidr::Family::V6] {
        let pools: Vec<_> = network
            .pools
            .iter()
            .filter(|p| cidr::family(p.cidr) == family)
            .collect();
        if pools.is_empty() {
            continue;
        }
        let mut total = 0u64;
        for pool in &pools {
            total = total.saturating_add(cidr::blocks_in(pool.cidr, pool.mask_size?));
        }
        // A block that is gone with its node may be kept for a while: what the CNI's objects hold is in use.
        let used = network
            .blocks
            .values()
            .flatten()
            .filter(|b| pools.iter().any(|p| p.cidr.contains(*b)))
            .count() as u64;
        let candidate = (total, total.saturating_sub(used));
        least = Some(least.map_or(candidate, |l| if candidate.1 < l.1 { candidate } else { l }));
    }
    least
}

fn room(facts: &Facts<'_>) -> Vec<Finding> {
    let Some((total, free)) = free(facts) else {
        return vec![];
    };
    let Some(main) = &facts.detection.main else {
        return vec![];
    };
    let nodes = facts.nodes.iter().filter(|n| n.linux && !n.is_virtual).count();
    let pools = words::networks(facts.network.pools.iter().map(|p| p.cidr));
    let without = blockless(facts).len().max(without_cidr(facts).len());
    // Surge: an upgrade adds nodes before it takes others away. AKS's default is 10 %, and one at least.
    let surge = (nodes as u64).div_ceil(10).max(1);
    if free == 0 && without > 0 && !facts.network.needs_node_cidr {
        return vec![Finding::new(
            &POOL_EXHAUSTED,
            vec![],
            format!(
                "{}: all {total} blocks of {pools} are taken and {} none",
                main.cni.name,
                if without == 1 {
                    "1 node has".to_string()
                } else {
                    format!("{without} nodes have")
                }
            ),
            explain(&POOL_EXHAUSTED),
        )];
    }
    if free >= surge {
        return vec![];
    }
    vec![Finding::new(
        &POOL_NEARLY_EXHAUSTED,
        vec![],
        format!(
            "{}: {free} of {total} blocks of {pools} are free; an upgrade of {} can need {surge} more",
            main.cni.name,
            words::count(nodes, "node")
        ),
        explain(&POOL_NEARLY_EXHAUSTED),
    )]
}

fn too_small(facts: &Facts<'_>) -> Vec<Finding> {
    let network = &facts.network;
    if network.many_blocks || network.model != BlockModel::Exclusive {
        return vec![];
    }
    let mut worst: Option<(&str, IpNet, u64, u64)> = None;
    let mut names = vec![];
    for (name, block) in live_blocks(facts) {
        let usable = cidr::size(block).saturating_sub(network.reserved_in_block);
        let Some(max_pods) = facts.node(name).and_then(|n| n.max_pods) else {
            continue;
        };
        if usable < max_pods {
            names.push(name);
            worst = worst.or(Some((name, block, usable, max_pods)));
        }
    }
    let Some((name, block, usable, max_pods)) = worst else {
        return vec![];
    };
    names.dedup();
    vec![Finding::new(
        &NODE_BLOCK_TOO_SMALL,
        names.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "{} can run more pods than their block has addresses: {name} has {block}, {usable} for pods, and maxPods {max_pods}",
            of_nodes(facts, &names)
        ),
        explain(&NODE_BLOCK_TOO_SMALL),
    )]
}

fn unaligned(facts: &Facts<'_>) -> Vec<Finding> {
    let network = &facts.network;
    let Some(main) = facts.detection.main.as_ref().filter(|_| !network.needs_node_cidr) else {
        return vec![];
    };
    if network.model == BlockModel::None {
        return vec![];
    }
    let differ: Vec<&str> = facts
        .nodes
        .iter()
        .filter(|n| !n.pod_cidrs.is_empty())
        .filter(|n| {
            let own = network.blocks.get(n.name).map(Vec::as_slice).unwrap_or_default();
            !own.is_empty() && !n.pod_cidrs.iter().all(|c| own.contains(c))
        })
        .map(|n| n.name)
        .collect();
    let Some(first) = differ.first().and_then(|n| facts.node(n)) else {
        return vec![];
    };
    let own = network.blocks.get(first.name).cloned().unwrap_or_default();
    vec![Finding::new(
        &POD_CIDR_UNALIGNED,
        differ.iter().map(|n| Subject::node(n)).collect(),
        format!(
            "node.spec.podCIDR differs from {}'s own block on {}: {} has {} and {}; harmless, {} does not use it",
            main.cni.name,
            of_nodes(facts, &differ),
            first.name,
            words::networks(first.pod_cidrs.iter().copied()),
            words::networks(own),
            main.cni.name
        ),
        "",
    )]
}
