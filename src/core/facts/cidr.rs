//! Exact CIDR arithmetic for both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// The family of a network.
pub fn family(net: IpNet) -> Family {
    if net.addr().is_ipv4() {
        Family::V4
    } else {
        Family::V6
    }
}

/// The family of an address.
pub fn family_of(ip: IpAddr) -> Family {
    if ip.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// Reads one CIDR. Host bits may be set (`10.1.2.3/16` is `10.1.0.0/16`), and an IPv4 network may be written as an
/// IPv4-mapped IPv6 one.
pub fn parse(text: &str) -> Option<IpNet> {
    let net: IpNet = text.trim().parse().ok()?;
    let net = match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::V4(Ipv4Net::new(v4, v6.prefix_len() - 96).ok()?),
            None => net,
        },
        _ => net,
    };
    Some(net.trunc())
}

/// The words of a list that is separated by commas, white space or both.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty())
}

/// Whether two networks share an address.
pub fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// How many blocks of prefix length `mask` fit in `net`; none where the mask is shorter than the network's or longer
/// than the family has bits. Saturates.
pub fn blocks_in(net: IpNet, mask: u8) -> u64 {
    if mask < net.prefix_len() || mask > net.max_prefix_len() {
        return 0;
    }
    1u64.checked_shl(u32::from(mask - net.prefix_len()))
        .unwrap_or(u64::MAX)
}

/// How many addresses a network has. Saturates.
pub fn size(net: IpNet) -> u64 {
    1u64.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len()))
        .unwrap_or(u64::MAX)
}

/// The smallest network that holds all of these addresses, one a family.
pub fn hulls(ips: impl IntoIterator<Item = IpAddr>) -> Vec<IpNet> {
    let mut v4: Option<(u32, u32)> = None;
    let mut v6: Option<(u128, u128)> = None;
    for ip in ips {
        match ip {
            IpAddr::V4(ip) => {
                let n = u32::from(ip);
                v4 = Some(v4.map_or((n, n), |(low, high)| (low.min(n), high.max(n))));
            }
            IpAddr::V6(ip) => {
                let n = u128::from(ip);
                v6 = Some(v6.map_or((n, n), |(low, high)| (low.min(n), high.max(n))));
            }
        }
    }
    let v4 = v4.and_then(|(low, high)| {
        let prefix = (low ^ high).leading_zeros() as u8;
        Ipv4Net::new(Ipv4Addr::from(low), prefix)
            .ok()
            .map(|n| IpNet::V4(n.trunc()))
    });
    let v6 = v6.and_then(|(low, high)| {
        let prefix = (low ^ high).leading_zeros() as u8;
        Ipv6Net::new(Ipv6Addr::from(low), prefix)
            .ok()
            .map(|n| IpNet::V6(n.trunc()))
    });
    v4.into_iter().chain(v6).collect()
}

/// Every pair of networks that overlap, as indices. Sorted by start, so that it stays fast for thousands of blocks.
pub fn overlapping_pairs(nets: &[IpNet]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..nets.len()).collect();
    // A CIDR either holds another or is apart from it: behind a network come, in this order, all that it holds.
    order.sort_by_key(|i| (family(nets[*i]), nets[*i].network(), nets[*i].prefix_len()));
    let mut pairs = vec![];
    let mut open: Vec<usize> = vec![];
    for i in order {
        while open
            .last()
            .is_some_and(|holder| !nets[*holder].contains(&nets[i]))
        {
            open.pop();
        }
        pairs.extend(open.iter().map(|holder| (*holder.min(&i), *holder.max(&i))));
        open.push(i);
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        parse(text).expect("a CIDR")
    }

    #[test]
    fn reads_what_people_write() {
        assert_eq!(net("10.1.2.3/16").to_string(), "10.1.0.0/16");
        assert_eq!(net("::ffff:10.1.2.3/112").to_string(), "10.1.0.0/16");
        assert_eq!(net(" 0.0.0.0/0 ").prefix_len(), 0);
        assert_eq!(parse("10.0.0.0/33"), None);
        assert_eq!(parse("10.0.0.0"), None);
        assert_eq!(words("10.0.0.0/8, fd00::/64  10.1.0.0/16").count(), 3);
    }

    #[test]
    fn counts_at_the_edges() {
        assert_eq!(blocks_in(net("10.0.0.0/8"), 24), 65536);
        assert_eq!(blocks_in(net("10.0.0.0/24"), 24), 1);
        assert_eq!(blocks_in(net("10.0.0.0/25"), 24), 0);
        assert_eq!(blocks_in(net("10.0.0.0/8"), 33), 0);
        assert_eq!(blocks_in(net("::/0"), 128), u64::MAX);
        assert_eq!(size(net("10.0.0.1/32")), 1);
        assert_eq!(size(net("0.0.0.0/0")), 1 << 32);
    }

    #[test]
    fn the_hull_is_the_smallest() {
        let ips = ["10.224.0.4", "10.224.0.6", "fd00::1"].map(|t| t.parse().expect("an address"));
        let hulls: Vec<String> = hulls(ips).iter().map(ToString::to_string).collect();
        assert_eq!(hulls, ["10.224.0.4/30", "fd00::1/128"]);
    }

    fn any_net() -> impl Strategy<Value = IpNet> {
        // Few distinct leading bits, so that overlaps happen.
        let v4 = (0u32..16, 0u8..=32)
            .prop_map(|(n, p)| IpNet::V4(Ipv4Net::new((n << 28).into(), p).expect("prefix")));
        let v6 = (0u128..16, 0u8..=128)
            .prop_map(|(n, p)| IpNet::V6(Ipv6Net::new((n << 124).into(), p).expect("prefix")));
        prop_oneof![v4, v6].prop_map(|n| n.trunc())
    }

    proptest! {
        #[test]
        fn pairs_are_those_that_a_double_loop_finds(nets in proptest::collection::vec(any_net(), 0..24)) {
            let mut slow = vec![];
            for i in 0..nets.len() {
                for j in i + 1..nets.len() {
                    if overlap(nets[i], nets[j]) {
                        slow.push((i, j));
                    }
                }
            }
            prop_assert_eq!(overlapping_pairs(&nets), slow);
        }

        #[test]
        fn overlap_means_a_shared_address(a in any_net(), b in any_net()) {
            let shared = a.contains(&b.network()) || b.contains(&a.network());
            prop_assert_eq!(overlap(a, b), shared && family(a) == family(b));
        }
    }
}
