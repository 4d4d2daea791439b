//! How pools are cut into blocks of one size, one block a node: are the blocks large enough, and are there enough?

use ipnet::IpNet;
use serde_json::Value;

use crate::core::{
    facts::{
        Facts,
        cidr::{self, Family},
    },
    words,
};

/// How a CNI cuts its pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cutting {
    /// One block a node, of a size that a value says.
    Chosen {
        /// The chart's own prefix lengths, IPv4 and IPv6.
        default: [u8; 2],
        /// Addresses of a block that pods do not get.
        reserved: u64,
    },
    /// Blocks of one size, several a node as it needs them.
    Shared {
        /// The prefix lengths, IPv4 and IPv6.
        default: [u8; 2],
    },
    /// The controller manager has cut the nodes' blocks (`node.spec.podCIDRs`).
    ByNodes,
}

/// What the nodes ask of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Linux nodes with a machine of their own.
    pub nodes: u64,
    /// Nodes that an upgrade adds before it takes others away: AKS's default is 10 %, and one at least
    /// (<https://learn.microsoft.com/azure/aks/upgrade-aks-cluster>).
    pub surge: u64,
    /// The largest `maxPods` of them; nothing where no node says.
    pub max_pods: Option<u64>,
}

impl Demand {
    /// Of the nodes that there are.
    pub fn of(facts: &Facts<'_>) -> Self {
        let served = || facts.nodes.iter().filter(|n| n.linux && !n.is_virtual);
        let nodes = served().count() as u64;
        Demand {
            nodes,
            surge: nodes.div_ceil(10).max(1),
            max_pods: served().filter_map(|n| n.max_pods).max(),
        }
    }

    /// Blocks that must be there.
    pub fn blocks(&self) -> u64 {
        self.nodes.saturating_add(self.surge)
    }
}

/// The blocks of one family's pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Which family.
    pub family: Family,
    /// The blocks' prefix length.
    pub mask: u8,
    /// How many blocks the pools have.
    pub blocks: u64,
    /// Whether there is one for every node, those of an upgrade included.
    pub enough: bool,
    /// Whether a block holds the pods of the node that may have most.
    pub holds: bool,
    /// Why this size, in one line.
    pub reason: String,
}

/// Cilium's IPv6 allocator cuts no more than 2^16 blocks from one pool (`clusterSubnetMaxDiff` of pkg/ipam/cidrset).
const MOST_BITS_V6: u8 = 16;

/// A prefix length among values: a number, or a text that is one.
pub fn prefix(value: &Value) -> Option<u8> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => u8::try_from(value.as_u64()?).ok(),
    }
}

/// Cuts the pools of one family; nothing where there is no pool of it, or the CNI does not cut them. `wanted` is the
/// prefix length that the user asks for.
pub fn cut(
    pools: &[IpNet],
    family: Family,
    cutting: Cutting,
    wanted: Option<u8>,
    demand: &Demand,
) -> Option<Cut> {
    let pools: Vec<IpNet> = pools
        .iter()
        .copied()
        .filter(|p| cidr::family(*p) == family)
        .collect();
    let shortest = pools.iter().map(|p| p.prefix_len()).min()?;
    let bits = pools.first()?.max_prefix_len();
    let at = |mask: u8| {
        pools
            .iter()
            .fold(0u64, |sum, pool| sum.saturating_add(cidr::blocks_in(*pool, mask)))
    };
    let enough = |mask: u8| at(mask) >= demand.blocks();
    let (default, reserved, shared) = match cutting {
        Cutting::ByNodes => return None,
        Cutting::Chosen { default, reserved } => (default, reserved, false),
        Cutting::Shared { default } => (default, 0, true),
    };
    let default = default[usize::from(family == Family::V6)];
    let done = |mask: u8, holds: bool, reason: String| {
        Some(Cut {
            family,
            mask,
            blocks: at(mask),
            enough: enough(mask),
            holds,
            reason,
        })
    };
    if shared {
        let mask = wanted.unwrap_or(default);
        return done(mask, true, "a node takes as many blocks as it needs".into());
    }
    // The longest prefix whose block holds that many addresses.
    let needed = demand.max_pods.map(|pods| pods.saturating_add(reserved).max(1));
    let holding = needed.map_or(default, |n| {
        let own = 64 - (n - 1).leading_zeros();
        bits.saturating_sub(u8::try_from(own).unwrap_or(bits))
    });
    let pods = || match demand.max_pods {
        Some(pods) => format!("holds the {pods} pods of a node and {reserved} addresses of its own"),
        None => "the chart's size, no node says how many pods it takes".into(),
    };
    let room = |mask: u8| {
        format!(
            "{} for {} and {} more during an upgrade",
            words::count(usize::try_from(at(mask)).unwrap_or(usize::MAX), "block"),
            words::count(usize::try_from(demand.nodes).unwrap_or(usize::MAX), "node"),
            demand.surge
        )
    };
    if let Some(mask) = wanted {
        return done(mask, mask <= holding, room(mask));
    }
    let ceiling = if family == Family::V6 {
        shortest.saturating_add(MOST_BITS_V6)
    } else {
        bits
    };
    let first = default.min(holding).min(ceiling);
    let mask = if enough(first) {
        first
    } else {
        // More blocks by smaller ones, as long as they hold a node's pods.
        let last = holding.min(ceiling);
        (first..=last)
            .find(|mask| enough(*mask))
            .unwrap_or(last.max(first))
    };
    done(mask, mask <= holding, format!("{}; {}", pods(), room(mask)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CILIUM: Cutting = Cutting::Chosen {
        default: [24, 120],
        reserved: 4,
    };

    fn demand(nodes: u64, max_pods: u64) -> Demand {
        Demand {
            nodes,
            surge: nodes.div_ceil(10).max(1),
            max_pods: Some(max_pods),
        }
    }

    fn v4(pool: &str, nodes: u64, max_pods: u64, wanted: Option<u8>) -> Cut {
        let pool = cidr::parse(pool).expect("a CIDR");
        cut(&[pool], Family::V4, CILIUM, wanted, &demand(nodes, max_pods)).expect("a cut")
    }

    #[test]
    fn the_charts_size_stays_while_it_does() {
        let ordinary = v4("10.244.0.0/16", 3, 250, None);
        assert_eq!((ordinary.mask, ordinary.blocks, ordinary.enough), (24, 256, true));
        assert_eq!(v4("10.244.0.0/16", 3, 30, None).mask, 24);
        assert_eq!(
            v4("10.244.0.0/16", 3, 252, None).mask,
            24,
            "252 and 4 are a whole /24"
        );
        assert_eq!(v4("10.244.0.0/16", 3, 253, None).mask, 23);
        assert_eq!(
            v4("10.244.0.0/16", 300, 110, None).mask,
            25,
            "330 do not fit in 256"
        );
    }

    #[test]
    fn too_few_blocks_are_told() {
        let small = v4("10.244.0.0/20", 300, 250, None);
        assert_eq!((small.mask, small.blocks, small.enough), (24, 16, false));
        assert!(v4("10.244.0.0/20", 14, 250, None).enough, "14 and 2 are 16");
        assert!(!v4("10.244.0.0/20", 15, 250, None).enough);
        assert!(!v4("10.244.0.0/25", 1, 250, None).enough, "not one block");
    }

    #[test]
    fn a_size_that_was_asked_for_is_judged_and_kept() {
        let wanted = v4("10.244.0.0/16", 3, 250, Some(25));
        assert_eq!((wanted.mask, wanted.holds, wanted.enough), (25, false, true));
        assert!(v4("10.244.0.0/16", 3, 110, Some(25)).holds);
        assert!(!v4("10.244.0.0/16", 3, 110, Some(15)).enough);
    }

    #[test]
    fn ipv6_pools_are_cut_into_65536_at_most() {
        let of = |pool: &str| {
            let pool = cidr::parse(pool).expect("a CIDR");
            cut(&[pool], Family::V6, CILIUM, None, &demand(3, 250))
                .expect("a cut")
                .mask
        };
        assert_eq!(of("fd00::/104"), 120);
        assert_eq!(of("fd00::/64"), 80);
        assert_eq!(of("fd00::/118"), 120);
    }

    proptest! {
        #[test]
        fn a_block_that_is_chosen_holds_the_pods(prefix in 8u8..=28, nodes in 1u64..6000, pods in 1u64..2000) {
            let pool = IpNet::V4(ipnet::Ipv4Net::new([10, 0, 0, 0].into(), prefix).expect("a prefix"));
            let cut = cut(&[pool], Family::V4, CILIUM, None, &demand(nodes, pods)).expect("a cut");
            prop_assert!(cut.holds && 1u64 << (32 - cut.mask) >= pods + 4);
            prop_assert_eq!(cut.enough, cidr::blocks_in(pool, cut.mask) >= nodes + nodes.div_ceil(10).max(1));
            // Were there any size that has enough blocks and holds the pods, it would have been one of those.
            let possible = (0..=32u8).any(|m| 1u64 << (32 - m) >= pods + 4 && cidr::blocks_in(pool, m) >= nodes + nodes.div_ceil(10).max(1));
            prop_assert_eq!(cut.enough, possible);
        }
    }
}
