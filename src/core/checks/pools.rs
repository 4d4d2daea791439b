//! Do the pools touch what they must not touch?

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::Check;
use crate::core::{
    capture::Source,
    codes::cidrs::{
        IP_FAMILY_MISMATCH, POD_CIDR_OVERLAPS_ITSELF, POD_CIDR_OVERLAPS_NODE_NETWORK,
        POD_CIDR_OVERLAPS_SERVICE_CIDR, RESERVED_RANGE,
    },
    facts::{Facts, cidr},
    finding::{Finding, Subject},
    report::Pool,
    words,
};

pub(super) const ALL: &[Check] = &[
    Check {
        title: "pools against service ranges",
        needs: &[
            Source::DaemonSets,
            Source::ConfigMaps,
            Source::ServiceCidrs,
            Source::Services,
        ],
        needs_cni_objects: true,
        needed: true,
        run: |facts| overlaps_services(facts, &facts.network.pools),
    },
    Check {
        title: "pools against nodes",
        needs: &[Source::Nodes, Source::DaemonSets, Source::ConfigMaps],
        needs_cni_objects: true,
        needed: true,
        run: |facts| overlaps_nodes(facts, &facts.network.pools),
    },
    Check {
        title: "pools against each other",
        needs: &[Source::DaemonSets, Source::ConfigMaps],
        needs_cni_objects: true,
        needed: true,
        run: |facts| overlaps_itself(&facts.network.pools),
    },
    Check {
        title: "ranges that AKS reserves",
        needs: &[
            Source::Nodes,
            Source::DaemonSets,
            Source::ConfigMaps,
            Source::ServiceCidrs,
        ],
        needs_cni_objects: true,
        needed: true,
        run: reserved,
    },
    Check {
        title: "address families",
        needs: &[
            Source::Nodes,
            Source::DaemonSets,
            Source::ConfigMaps,
            Source::ServiceCidrs,
            Source::Services,
        ],
        needs_cni_objects: true,
        needed: true,
        run: families,
    },
];

fn pool_subject(pool: &Pool) -> Subject {
    match pool.source.split_once('/') {
        Some((kind, name)) if kind.starts_with(char::is_uppercase) => Subject::new(kind, name),
        Some((namespace, name)) => Subject::namespaced("ConfigMap", namespace, name),
        None => Subject::cluster(),
    }
}

/// Pools that share addresses with a service range: those that are handed out, or those that would be.
pub(in crate::core) fn overlaps_services(facts: &Facts<'_>, pools: &[Pool]) -> Vec<Finding> {
    let mut subjects = vec![];
    let mut pairs = vec![];
    for pool in pools {
        for service in facts.services.iter().filter(|s| cidr::overlap(s.cidr, pool.cidr)) {
            subjects.push(pool_subject(pool));
            pairs.push(format!(
                "pool {} ({}) and service range {} ({})",
                pool.cidr, pool.source, service.cidr, service.source
            ));
        }
    }
    if pairs.is_empty() {
        return vec![];
    }
    subjects.dedup();
    let dns = facts
        .dns
        .service_ips
        .iter()
        .find(|ip| pools.iter().any(|p| p.cidr.contains(*ip)));
    let dns = dns.map(|ip| format!("; a pod can be given the DNS service's address {ip}"));
    vec![Finding::new(
        &POD_CIDR_OVERLAPS_SERVICE_CIDR,
        subjects,
        format!(
            "{} share addresses{}",
            words::names(&pairs),
            dns.unwrap_or_default()
        ),
        "kubectl byocni explain pod-cidr-overlaps-service-cidr",
    )]
}

/// Pools that hold a node's address, or touch a `--reserved-cidr`.
pub(in crate::core) fn overlaps_nodes(facts: &Facts<'_>, pools: &[Pool]) -> Vec<Finding> {
    let clash = |pool: &Pool| {
        let what = taken(facts, pool.cidr)?;
        Some(Finding::new(
            &POD_CIDR_OVERLAPS_NODE_NETWORK,
            vec![pool_subject(pool)],
            format!(
                "pool {} ({}) contains addresses that are not its own: {what}",
                pool.cidr, pool.source
            ),
            "kubectl byocni explain pod-cidr-overlaps-node-network",
        ))
    };
    pools.iter().filter_map(clash).collect()
}

/// What of nodes and of `--reserved-cidr` lies in a network, in words; nothing where nothing does.
pub(super) fn taken(facts: &Facts<'_>, net: IpNet) -> Option<String> {
    let inside: Vec<String> = facts
        .nodes
        .iter()
        .filter_map(|n| {
            Some(format!(
                "{} {}",
                n.name,
                n.internal_ips.iter().find(|ip| net.contains(*ip))?
            ))
        })
        .collect();
    let reserved = facts.asked.reserved.iter().filter(|r| cidr::overlap(**r, net));
    let reserved: Vec<String> = reserved.map(ToString::to_string).collect();
    let nodes = (!inside.is_empty()).then(|| {
        format!(
            "the InternalIPs of {} ({})",
            words::count(inside.len(), "node"),
            words::names(&inside)
        )
    });
    let reserved = (!reserved.is_empty()).then(|| format!("the reserved {}", reserved.join(", ")));
    let what: Vec<String> = nodes.into_iter().chain(reserved).collect();
    (!what.is_empty()).then(|| what.join(" and "))
}

/// Pools that overlap each other.
pub(in crate::core) fn overlaps_itself(pools: &[Pool]) -> Vec<Finding> {
    let nets: Vec<IpNet> = pools.iter().map(|p| p.cidr).collect();
    let pairs = cidr::overlapping_pairs(&nets);
    if pairs.is_empty() {
        return vec![];
    }
    let pool = |i: usize| &pools[i];
    let texts: Vec<String> = pairs
        .iter()
        .map(|(a, b)| {
            format!(
                "{} ({}) and {} ({})",
                nets[*a],
                pool(*a).source,
                nets[*b],
                pool(*b).source
            )
        })
        .collect();
    let mut subjects: Vec<Subject> = pairs
        .iter()
        .flat_map(|(a, b)| [pool_subject(pool(*a)), pool_subject(pool(*b))])
        .collect();
    subjects.sort();
    subjects.dedup();
    vec![Finding::new(
        &POD_CIDR_OVERLAPS_ITSELF,
        subjects,
        format!("pools overlap: {}", words::names(&texts)),
        "kubectl byocni explain pod-cidr-overlaps-itself",
    )]
}

/// <https://learn.microsoft.com/azure/aks/use-byo-cni>: not for services, pods or the virtual network.
const AKS_RESERVED: [(u32, u8); 4] = [
    (0xa9fe_0000, 16), // 169.254.0.0
    (0xac1e_0000, 16), // 172.30.0.0
    (0xac1f_0000, 16), // 172.31.0.0
    (0xc000_0200, 24), // 192.0.2.0
];

/// The ranges that AKS keeps for itself.
pub(in crate::core) fn aks_reserved() -> Vec<IpNet> {
    AKS_RESERVED
        .iter()
        .filter_map(|(ip, prefix)| Ipv4Net::new((*ip).into(), *prefix).ok().map(IpNet::V4))
        .collect()
}

fn reserved(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.platform.name != "aks" {
        return vec![];
    }
    let ranges = aks_reserved();
    let clash = |net: IpNet| ranges.iter().find(move |r| cidr::overlap(**r, net));
    let mut said = vec![];
    let mut subjects = vec![];
    for pool in &facts.network.pools {
        if let Some(range) = clash(pool.cidr) {
            said.push(format!("pool {} ({}) with {range}", pool.cidr, pool.source));
            subjects.push(pool_subject(pool));
        }
    }
    for service in &facts.services {
        if let Some(range) = clash(service.cidr) {
            said.push(format!(
                "service range {} ({}) with {range}",
                service.cidr, service.source
            ));
        }
    }
    let of_node = |ip: &IpAddr| ranges.iter().find(|r| r.contains(ip)).copied();
    for node in &facts.nodes {
        if let Some(range) = node.internal_ips.iter().find_map(of_node) {
            said.push(format!("node {} with {range}", node.name));
            subjects.push(Subject::node(node.name));
        }
    }
    if said.is_empty() {
        return vec![];
    }
    vec![Finding::new(
        &RESERVED_RANGE,
        subjects,
        format!("AKS keeps these ranges for itself: {}", words::names(&said)),
        "kubectl byocni explain reserved-range",
    )]
}

fn families(facts: &Facts<'_>) -> Vec<Finding> {
    let pools: Vec<_> = facts.network.pools.iter().map(|p| cidr::family(p.cidr)).collect();
    let services: Vec<_> = facts.services.iter().map(|s| cidr::family(s.cidr)).collect();
    let nodes: Vec<_> = facts
        .nodes
        .iter()
        .flat_map(|n| n.internal_ips.iter().map(|ip| cidr::family_of(*ip)))
        .collect();
    if pools.is_empty() || services.is_empty() || nodes.is_empty() {
        return vec![];
    }
    // Nodes may have more families than the cluster uses.
    let mut missing = vec![];
    for family in [cidr::Family::V4, cidr::Family::V6] {
        let places = [
            ("pools", pools.contains(&family)),
            ("service ranges", services.contains(&family)),
        ];
        if places.iter().any(|(_, has)| *has) {
            let with = places
                .iter()
                .filter(|(_, has)| *has)
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(" and ");
            let nodes_too = [places[0], places[1], ("nodes", nodes.contains(&family))];
            for (name, _) in nodes_too.iter().filter(|(_, has)| !has) {
                missing.push(format!("{} is in {with}, not in {name}", family.as_str()));
            }
        }
    }
    if missing.is_empty() {
        return vec![];
    }
    vec![Finding::new(
        &IP_FAMILY_MISMATCH,
        vec![],
        missing.join("; "),
        "kubectl byocni explain ip-family-mismatch",
    )]
}
