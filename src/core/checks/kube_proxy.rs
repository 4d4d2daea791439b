//! Does kube-proxy fit the CNI?

use super::Check;
use crate::core::{
    capture::Source,
    cni::Role,
    codes::{
        cidrs::{KUBE_PROXY_CIDR_MISMATCH, KUBE_PROXY_CIDR_OVERLAPS_NODES},
        platform::KUBE_PROXY_MISSING,
    },
    facts::{Facts, cidr},
    finding::{Finding, Subject},
    report::Pool,
    words,
};

pub(super) const ALL: &[Check] = &[
    Check {
        title: "kube-proxy's cluster CIDR",
        needs: &[Source::DaemonSets, Source::ConfigMaps],
        needs_cni_objects: true,
        needed: true,
        run: |facts| mismatch(facts, &facts.network.pools, facts.network.replaces_kube_proxy),
    },
    Check {
        title: "kube-proxy's cluster CIDR against nodes",
        needs: &[Source::Nodes, Source::DaemonSets, Source::ConfigMaps],
        needs_cni_objects: false,
        needed: true,
        run: nodes,
    },
    Check {
        title: "kube-proxy",
        needs: &[
            Source::Nodes,
            Source::DaemonSets,
            Source::Pods,
            Source::ConfigMaps,
        ],
        needs_cni_objects: false,
        needed: true,
        run: missing,
    },
];

/// Pools, those in use or those that would be, that kube-proxy does not take for the pods'.
pub(in crate::core) fn mismatch(facts: &Facts<'_>, pools: &[Pool], replaced: bool) -> Vec<Finding> {
    let proxy = &facts.kube_proxy;
    if replaced {
        return vec![];
    }
    let outside: Vec<_> = pools
        .iter()
        .filter(|pool| {
            let mut family = proxy
                .cluster_cidrs
                .iter()
                .filter(|c| cidr::family(**c) == cidr::family(pool.cidr))
                .peekable();
            family.peek().is_some() && !family.any(|c| c.contains(&pool.cidr))
        })
        .collect();
    let Some(pool) = outside.first() else {
        return vec![];
    };
    let aks = if facts.platform.name == "aks" {
        "; on AKS the control plane then routes to the range given at creation with --pod-cidr, and webhooks may not be reached"
    } else {
        ""
    };
    vec![Finding::new(
        &KUBE_PROXY_CIDR_MISMATCH,
        vec![],
        format!(
            "kube-proxy takes {} for the pods' range ({}), which does not contain the pool {} ({}): pods' traffic to services is taken for outside traffic and masqueraded{aks}",
            words::networks(proxy.cluster_cidrs.iter().copied()),
            proxy.source,
            pool.cidr,
            pool.source
        ),
        "kubectl byocni explain kube-proxy-cidr-mismatch",
    )]
}

fn nodes(facts: &Facts<'_>) -> Vec<Finding> {
    let mut inside = vec![];
    for node in &facts.nodes {
        let clash = node
            .internal_ips
            .iter()
            .find(|ip| facts.kube_proxy.cluster_cidrs.iter().any(|c| c.contains(*ip)));
        inside.extend(clash.map(|ip| (node.name, format!("{} {ip}", node.name))));
    }
    if inside.is_empty() {
        return vec![];
    }
    let texts: Vec<&String> = inside.iter().map(|(_, text)| text).collect();
    vec![Finding::new(
        &KUBE_PROXY_CIDR_OVERLAPS_NODES,
        inside.iter().map(|(n, _)| Subject::node(n)).collect(),
        format!(
            "kube-proxy takes {} for the pods' range ({}), which contains the addresses of {} ({}): their traffic is taken for pods' traffic",
            words::networks(facts.kube_proxy.cluster_cidrs.iter().copied()),
            facts.kube_proxy.source,
            words::count(inside.len(), "node"),
            words::names(texts)
        ),
        "kubectl byocni explain kube-proxy-cidr-overlaps-nodes",
    )]
}

fn missing(facts: &Facts<'_>) -> Vec<Finding> {
    // Without a CNI there is nobody yet who could replace it; what the platform runs is the platform's to judge.
    let Some(main) = facts
        .detection
        .main
        .as_ref()
        .filter(|m| m.cni.role == Role::Primary)
    else {
        return vec![];
    };
    if facts.kube_proxy.runs != Some(false) || facts.network.replaces_kube_proxy || facts.nodes.is_empty() {
        return vec![];
    }
    vec![Finding::new(
        &KUBE_PROXY_MISSING,
        vec![],
        format!(
            "no kube-proxy runs and {} is not set to do its work: ClusterIPs, cluster DNS among them, lead nowhere",
            main.cni.name
        ),
        "kubectl byocni explain kube-proxy-missing",
    )]
}
