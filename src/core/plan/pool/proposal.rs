//! A pool to propose where none is given: apart from everything that is known, and the same for the same cluster.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Cutting, Demand, cut, never_pools, server_address};
use crate::core::facts::{
    Facts,
    cidr::{self, Family},
    ranges,
};

/// The network that AKS makes for nodes where none is given
/// (<https://learn.microsoft.com/azure/aks/configure-kubenet>): only some of its addresses are in use at a time.
const AKS_NODES: (u32, u8) = (0x0ae0_0000, 12); // 10.224.0.0

/// Docker's own bridge, which some nodes still have.
const DOCKER: (u32, u8) = (0xac11_0000, 16); // 172.17.0.0

/// Longer IPv4 pools than this are not proposed: they have room for one block of an ordinary size at best.
const SMALLEST: u8 = 22;

/// What a pool must stay apart from. `must` holds what checks would find, `should` what is likely to be in use around
/// it and cannot be seen from inside.
struct Apart {
    must: Vec<IpNet>,
    should: Vec<IpNet>,
    nodes: Vec<IpAddr>,
}

impl Apart {
    fn of(facts: &Facts<'_>) -> Self {
        let v4 = |(ip, prefix): (u32, u8)| Ipv4Net::new(ip.into(), prefix).ok().map(IpNet::V4);
        let mut must: Vec<IpNet> = facts.services.iter().map(|s| s.cidr).collect();
        must.extend(&facts.asked.reserved);
        must.extend(never_pools(facts).into_iter().map(|(net, _)| net));
        let nodes: Vec<IpAddr> = facts
            .nodes
            .iter()
            .flat_map(|n| n.internal_ips.iter().copied())
            .collect();
        let mut should: Vec<IpNet> = nodes.iter().map(|ip| around(*ip)).collect();
        should.extend(facts.services.iter().map(|s| around(s.cidr.addr())));
        should.extend(server_address(facts).map(around));
        should.extend(v4(DOCKER));
        // A network that is in use by addresses is worth more than one that is only written down.
        should.extend(facts.pods.addressed.iter().flat_map(|row| row.ips()).map(around));
        if let Some(vnet) = v4(AKS_NODES) {
            should.extend(nodes.iter().any(|ip| vnet.contains(ip)).then_some(vnet));
        }
        should.sort_unstable();
        should.dedup();
        Apart { must, should, nodes }
    }

    /// Whether nothing that is known forbids this network.
    fn allows(&self, net: IpNet, all: bool) -> bool {
        let clear = |nets: &[IpNet]| !nets.iter().any(|n| cidr::overlap(*n, net));
        clear(&self.must)
            && if all {
                clear(&self.should)
            } else {
                !self.nodes.iter().any(|ip| net.contains(ip))
            }
    }
}

/// The network that an address probably lies in: a /16, or a /64.
fn around(ip: IpAddr) -> IpNet {
    let prefix = if ip.is_ipv4() { 16 } else { 64 };
    let net = match ip {
        IpAddr::V4(ip) => Ipv4Net::new(ip, prefix).map(IpNet::V4),
        IpAddr::V6(ip) => Ipv6Net::new(ip, prefix).map(IpNet::V6),
    };
    net.unwrap_or_else(|_| ip.into()).trunc()
}

/// A pool that passes every check, large enough; nothing where there is none. The first choice is 10.244.0.0/16, which
/// AKS, kubeadm and flannel take for the pods' network when they are not told otherwise.
pub fn propose(facts: &Facts<'_>, cutting: Cutting, demand: &Demand) -> Option<IpNet> {
    let apart = Apart::of(facts);
    let subnets = ranges::kubeadm_pod_subnets(facts.capture);
    let known = facts.kube_proxy.cluster_cidrs.iter().chain(&subnets).copied();
    let candidates: Vec<IpNet> = match family(facts) {
        Family::V4 => sizes(cutting, demand).flat_map(networks).collect(),
        Family::V6 => (0..256u128)
            .filter_map(|i| Ipv6Net::new(((0xfd00_0010_0244 + i) << 80).into(), 104).ok())
            .map(IpNet::V6)
            .collect(),
    };
    let enough =
        |net: &IpNet| cut(&[*net], cidr::family(*net), cutting, None, demand).is_none_or(|c| c.enough);
    [true, false].into_iter().find_map(|all| {
        let fits = |net: &IpNet| apart.allows(*net, all) && enough(net);
        // What kube-proxy takes for the pods' range anyway comes first, where a part of it is free.
        let within: Vec<IpNet> = known.clone().collect();
        let inside = candidates
            .iter()
            .filter(|net| within.iter().any(|k| k.contains(*net)));
        inside.chain(&candidates).copied().find(fits)
    })
}

/// The family of the nodes' own addresses.
fn family(facts: &Facts<'_>) -> Family {
    let ips = || facts.nodes.iter().flat_map(|n| n.internal_ips.iter());
    if ips().any(IpAddr::is_ipv6) && !ips().any(IpAddr::is_ipv4) {
        Family::V6
    } else {
        Family::V4
    }
}

/// Prefix lengths, best first: /16 or what twice the nodes need, then down to what they need.
fn sizes(cutting: Cutting, demand: &Demand) -> impl Iterator<Item = u8> {
    let whole: IpNet = Ipv4Net::default().into();
    let mask = cut(&[whole], Family::V4, cutting, None, demand).map_or(24, |c| c.mask);
    let bits = |blocks: u64| u8::try_from(64 - blocks.saturating_sub(1).leading_zeros()).unwrap_or(64);
    let roomy = mask
        .saturating_sub(bits(demand.blocks().saturating_mul(2)))
        .min(16);
    roomy.max(9)..=SMALLEST
}

/// The private networks of a prefix length, those like 10.244.0.0/16 first
/// (<https://www.rfc-editor.org/rfc/rfc1918>, <https://www.rfc-editor.org/rfc/rfc6598>).
fn networks(prefix: u8) -> Vec<IpNet> {
    let second = (244..=255u32).chain((0..244).rev()).map(|n| 10 << 24 | n << 16);
    let others = (16..=31u32)
        .map(|n| 172 << 24 | n << 16)
        .chain([192 << 24 | 168 << 16])
        .chain((64..=127).map(|n| 100 << 24 | n << 16));
    let private = [
        (10u32 << 24, 8),
        (172 << 24 | 16 << 16, 12),
        (192 << 24 | 168 << 16, 16),
        (100 << 24 | 64 << 16, 10),
    ]
    .map(|(ip, prefix)| Ipv4Net::new(ip.into(), prefix));
    let mut found: Vec<IpNet> = vec![];
    for start in second.chain(others) {
        let parts = if prefix > 16 { 1u32 << (prefix - 16) } else { 1 };
        for part in 0..parts {
            let ip = start | part.checked_shl(32 - u32::from(prefix)).unwrap_or_default();
            let Ok(net) = Ipv4Net::new(ip.into(), prefix) else {
                continue;
            };
            let net = net.trunc();
            let inside = private.iter().flatten().any(|p| p.contains(&net));
            // Two /16 of one larger network give the same one.
            if inside && found.last() != Some(&IpNet::V4(net)) {
                found.push(IpNet::V4(net));
            }
        }
    }
    found
}
