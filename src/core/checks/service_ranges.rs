//! Are the service ranges and the DNS service's address sound?

use super::{Check, pools};
use crate::core::{
    capture::{Source, State},
    codes::cidrs::{
        DNS_SERVICE_IP, DNS_SERVICE_IP_FIRST, SERVICE_CIDR_OVERLAPS_NODE_NETWORK, SERVICE_CIDR_TOO_LARGE,
    },
    facts::{Facts, cidr},
    finding::{Finding, Subject},
    report::ServiceRange,
    words,
};

const NEEDS: &[Source] = &[Source::ServiceCidrs, Source::Services];

pub(super) const ALL: &[Check] = &[
    Check {
        title: "service ranges against nodes",
        needs: &[Source::Nodes, Source::ServiceCidrs, Source::Services],
        needs_cni_objects: false,
        needed: true,
        run: nodes,
    },
    Check {
        title: "the size of service ranges",
        needs: &[Source::Nodes, Source::ServiceCidrs, Source::Services],
        needs_cni_objects: false,
        needed: true,
        run: size,
    },
    Check {
        title: "the DNS service's address",
        needs: NEEDS,
        needs_cni_objects: false,
        needed: true,
        run: dns,
    },
];

fn subject(range: &ServiceRange) -> Subject {
    range
        .source
        .split_once('/')
        .map_or_else(Subject::cluster, |(kind, name)| Subject::new(kind, name))
}

fn nodes(facts: &Facts<'_>) -> Vec<Finding> {
    let clash = |range: &ServiceRange| {
        let what = pools::taken(facts, range.cidr)?;
        Some(Finding::new(
            &SERVICE_CIDR_OVERLAPS_NODE_NETWORK,
            vec![subject(range)],
            format!("service range {} ({}) contains {what}", range.cidr, range.source),
            "kubectl byocni explain service-cidr-overlaps-node-network",
        ))
    };
    facts.services.iter().filter_map(clash).collect()
}

/// <https://learn.microsoft.com/azure/aks/configure-kubenet>: "must be smaller than /12".
const LARGEST: u8 = 12;

fn size(facts: &Facts<'_>) -> Vec<Finding> {
    let large = facts.services.iter().filter(|s| {
        facts.platform.name == "aks" && s.cidr.addr().is_ipv4() && s.cidr.prefix_len() <= LARGEST
            // An inferred range is a lower bound that a second range can stretch.
            && s.source.contains('/')
    });
    large
        .map(|range| {
            Finding::new(
                &SERVICE_CIDR_TOO_LARGE,
                vec![subject(range)],
                format!(
                    "service range {} ({}): AKS wants one smaller than /{LARGEST}",
                    range.cidr, range.source
                ),
                "kubectl byocni explain service-cidr-too-large",
            )
        })
        .collect()
}

fn dns(facts: &Facts<'_>) -> Vec<Finding> {
    // An inferred range holds every ClusterIP by its making.
    if *facts.capture.state(Source::ServiceCidrs) != State::Read {
        return vec![];
    }
    let Some(service) = facts.dns.service else {
        return vec![];
    };
    let subject = || {
        vec![Subject::namespaced(
            "Service",
            &service.meta.namespace,
            &service.meta.name,
        )]
    };
    let mut findings = vec![];
    for ip in &facts.dns.service_ips {
        let same_family = facts
            .services
            .iter()
            .filter(|s| cidr::family(s.cidr) == cidr::family_of(*ip));
        let ranges: Vec<_> = same_family.collect();
        if ranges.is_empty() {
            continue;
        }
        let all = words::networks(ranges.iter().map(|r| r.cidr));
        match ranges.iter().find(|r| r.cidr.contains(ip)) {
            None => findings.push(Finding::new(
                &DNS_SERVICE_IP,
                subject(),
                format!("the DNS service's address {ip} is in no service range ({all})"),
                "kubectl byocni explain dns-service-ip",
            )),
            Some(range) if Some(*ip) == first(range) => findings.push(Finding::new(
                &DNS_SERVICE_IP_FIRST,
                subject(),
                format!("the DNS service has the first address, {ip}, of {}: it belongs to the kubernetes Service", range.cidr),
                "kubectl byocni explain dns-service-ip-first",
            )),
            Some(_) => {}
        }
    }
    findings
}

/// The first usable address of a range.
fn first(range: &ServiceRange) -> Option<std::net::IpAddr> {
    match range.cidr {
        ipnet::IpNet::V4(net) => Some(std::net::IpAddr::V4(
            u32::from(net.network()).checked_add(1)?.into(),
        )),
        ipnet::IpNet::V6(net) => Some(std::net::IpAddr::V6(
            u128::from(net.network()).checked_add(1)?.into(),
        )),
    }
}
