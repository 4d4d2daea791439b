//! Do the pods' addresses come from where the CNI says, each once?

use super::Check;
use crate::core::{
    capture::{PodRow, Source},
    cni::BlockModel,
    codes::cidrs::{POD_IP_DUPLICATE, POD_IP_OUTSIDE_NODE_BLOCK, POD_IP_OUTSIDE_POOL},
    facts::{Facts, cidr},
    finding::{Finding, Subject},
    words,
};

pub(super) const ALL: &[Check] = &[
    Check {
        title: "pods' addresses against blocks",
        needs: &[
            Source::Nodes,
            Source::DaemonSets,
            Source::Pods,
            Source::ConfigMaps,
        ],
        needs_cni_objects: true,
        needed: true,
        run: outside,
    },
    Check {
        title: "pods' addresses against each other",
        needs: &[Source::Nodes, Source::Pods],
        needs_cni_objects: false,
        needed: true,
        run: duplicate,
    },
];

/// Running pods whose address is where it cannot be, by the CNI's block model.
pub(in crate::core) fn outsiders<'f>(facts: &'f Facts<'_>) -> Vec<&'f PodRow> {
    let network = &facts.network;
    let stray = |row: &&&PodRow| match network.model {
        BlockModel::Exclusive => {
            let Some(blocks) = network.blocks.get(&*row.node).filter(|b| !b.is_empty()) else {
                return false;
            };
            row.ips().any(|ip| {
                let mut family = blocks
                    .iter()
                    .filter(|b| cidr::family(**b) == cidr::family_of(ip))
                    .peekable();
                family.peek().is_some() && !family.any(|b| b.contains(&ip))
            })
        }
        BlockModel::Borrowing => {
            network.pools_known
                && row.ips().any(|ip| {
                    let mut family = network
                        .pools
                        .iter()
                        .filter(|p| cidr::family(p.cidr) == cidr::family_of(ip))
                        .peekable();
                    let retired = network.retired.iter().any(|net| net.contains(&ip));
                    family.peek().is_some() && !retired && !family.any(|p| p.cidr.contains(&ip))
                })
        }
        BlockModel::None => false,
    };
    // Pods of a virtual node run elsewhere, on somebody else's network.
    let here = |row: &&&PodRow| facts.node(&row.node).is_none_or(|n| !n.is_virtual);
    let rows = facts.pods.addressed.iter().filter(here);
    rows.filter(stray).copied().collect()
}

fn subject(row: &PodRow) -> Subject {
    Subject::namespaced("Pod", &row.namespace, &row.name)
}

fn outside(facts: &Facts<'_>) -> Vec<Finding> {
    let rows = outsiders(facts);
    let Some(main) = facts.detection.main.as_ref().filter(|_| !rows.is_empty()) else {
        return vec![];
    };
    let (code, place) = match facts.network.model {
        BlockModel::Borrowing => (&POD_IP_OUTSIDE_POOL, "every pool"),
        _ => (&POD_IP_OUTSIDE_NODE_BLOCK, "their node's block"),
    };
    let named: Vec<String> = rows
        .iter()
        .take(4)
        .map(|row| {
            let ips: Vec<String> = row.ips().map(|ip| ip.to_string()).collect();
            let blocks = facts.network.blocks.get(&*row.node).cloned().unwrap_or_default();
            let block = if code == &POD_IP_OUTSIDE_NODE_BLOCK {
                format!(" ({})", words::networks(blocks))
            } else {
                String::new()
            };
            format!("{} {} on {}{block}", row.name, ips.join(","), row.node)
        })
        .collect();
    let more = rows.len().saturating_sub(3);
    let shown = named.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let first = rows[0];
    let namespace = if first.namespace.is_empty() {
        "NAMESPACE".into()
    } else {
        first.namespace.to_string()
    };
    vec![Finding::new(
        code,
        rows.iter().map(|row| subject(row)).collect(),
        format!(
            "{} outside {place}, so another or an earlier CNI attached them and {} does not reach them: {shown}{more}",
            if rows.len() == 1 {
                "1 pod has an address".to_string()
            } else {
                format!("{} pods have addresses", rows.len())
            },
            main.cni.name
        ),
        format!("kubectl -n {namespace} delete pod {}", first.name),
    )]
}

fn duplicate(facts: &Facts<'_>) -> Vec<Finding> {
    let duplicates = facts.pods.duplicates();
    let Some((ip, rows)) = duplicates.first() else {
        return vec![];
    };
    let mut subjects: Vec<Subject> = duplicates
        .iter()
        .flat_map(|(_, rows)| rows.iter().map(|r| subject(r)))
        .collect();
    subjects.sort();
    subjects.dedup();
    let who: Vec<String> = rows
        .iter()
        .map(|row| format!("{} on {}", row.name, row.node))
        .collect();
    let more = if duplicates.len() > 1 {
        format!("; {} more addresses are given twice", duplicates.len() - 1)
    } else {
        String::new()
    };
    vec![Finding::new(
        &POD_IP_DUPLICATE,
        subjects,
        format!(
            "{ip} belongs to {} running pods: {}{more}",
            rows.len(),
            words::names(&who)
        ),
        format!("kubectl get pods -A -o wide --field-selector status.podIP={ip}"),
    )]
}
