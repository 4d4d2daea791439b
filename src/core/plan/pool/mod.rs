//! Which pool of pod addresses a change plans: the user's, else one that the cluster names and that passes every check,
//! else none and a proposal. Never the chart's default unseen: Cilium's 10.0.0.0/8 contains AKS's default service range.

pub mod cut;
mod proposal;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

pub use cut::{Cut, Cutting, Demand, cut};
pub use proposal::propose;

use super::{Request, server};
use crate::core::{
    checks,
    cni::Cni,
    codes::{
        cidrs::{NODE_BLOCK_TOO_SMALL, NODE_POD_CIDR_MISSING},
        values::{
            POOL_CONFLICT, POOL_FAMILY_MISMATCH, POOL_MISSES_NODES, POOL_REQUIRED, POOL_RESERVED,
            POOL_TOO_SMALL,
        },
    },
    facts::{
        Facts,
        cidr::{self, Family},
        ranges,
    },
    finding::{Finding, Subject},
    report::Pool,
    words,
};

/// Pools that the user's own values name.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// The pools.
    pub pools: Vec<IpNet>,
    /// The key that they stand under.
    pub key: &'static str,
    /// Prefix lengths of their blocks, IPv4 and IPv6, where the values say them.
    pub masks: [Option<u8>; 2],
    /// Why these values need no pool here: `ipam.mode=multi-pool takes CiliumPodIPPool objects`.
    pub without: Option<String>,
    /// The values take the nodes' own `spec.podCIDRs`: like a CNI that always does.
    pub by_nodes: bool,
}

/// The pools of a change.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The pools; empty where there is none, or none is needed.
    pub pools: Vec<IpNet>,
    /// Where they come from, as the reason of a value.
    pub reason: String,
    /// How they are cut, one a family.
    pub cuts: Vec<Cut>,
    /// What forbids them, or warns of them.
    pub findings: Vec<Finding>,
}

/// What forbids the pools that an upgrade adds to those that the cluster has: those are judged by `status`, and stay.
pub(super) fn added(facts: &Facts<'_>, pools: &[IpNet], key: &str) -> Vec<Finding> {
    let there = &facts.network.pools;
    // Where none could be seen all would look new.
    if there.is_empty() {
        return vec![];
    }
    let is_there = |net: &IpNet| there.iter().any(|pool| pool.cidr.trunc() == net.trunc());
    let new: Vec<Pool> = pools
        .iter()
        .filter(|net| !is_there(net))
        .map(|net| Pool {
            cidr: *net,
            mask_size: None,
            source: key.to_string(),
        })
        .collect();
    let mut findings = checks::pools::overlaps_services(facts, &new);
    findings.extend(checks::pools::overlaps_nodes(facts, &new));
    findings.extend(reserved(facts, &new));
    for (at, pool) in new.iter().enumerate() {
        let others = there.iter().chain(&new[at + 1..]);
        let touched = others.filter(|other| cidr::overlap(other.cidr, pool.cidr));
        for other in touched {
            findings.extend(checks::pools::overlaps_itself(&[other.clone(), pool.clone()]));
        }
    }
    for finding in &mut findings {
        finding.fix = format!("name another range under {key}");
    }
    findings
}

/// Chooses the pools of an installation. `cni` decides how they are cut and what the user's values name.
pub fn choose(facts: &Facts<'_>, request: &Request, cni: &Cni) -> Chosen {
    let Some(installing) = cni.installing else {
        return Chosen {
            pools: given(&request.pod_cidrs),
            reason: "--pod-cidr".into(),
            ..Chosen::default()
        };
    };
    let named = (installing.named)(&request.user_values);
    let demand = Demand::of(facts);
    let by_nodes = named.by_nodes || installing.cutting == Cutting::ByNodes;
    let cutting = if by_nodes {
        Cutting::ByNodes
    } else {
        installing.cutting
    };
    let room = Room {
        facts,
        cni,
        cutting,
        masks: named.masks,
        demand,
    };
    let mut chosen = if !request.pod_cidrs.is_empty() {
        room.judged(given(&request.pod_cidrs), "--pod-cidr")
    } else if !named.pools.is_empty() {
        room.judged(given(&named.pools), named.key)
    } else if let Some(without) = named.without {
        return Chosen {
            reason: without,
            ..Chosen::default()
        };
    } else if by_nodes {
        room.of_nodes()
    } else {
        room.derived()
    };
    chosen
        .findings
        .extend(room.small_blocks(&chosen.cuts, &chosen.pools));
    if by_nodes {
        chosen.findings.extend(room.nodes_without());
        chosen.findings.extend(room.missed(&chosen.pools));
    }
    if !request.pod_cidrs.is_empty() && !named.pools.is_empty() {
        let both = (given(&request.pod_cidrs), given(&named.pools));
        chosen.findings.extend(conflict(&both.0, &both.1, named.key));
    }
    chosen
}

/// Sorted out: host bits gone, each network once, in the user's order.
fn given(pools: &[IpNet]) -> Vec<IpNet> {
    let mut found: Vec<IpNet> = vec![];
    for pool in pools.iter().map(IpNet::trunc) {
        if !found.contains(&pool) {
            found.push(pool);
        }
    }
    found
}

fn conflict(flag: &[IpNet], values: &[IpNet], key: &str) -> Option<Finding> {
    let same = flag.len() == values.len() && flag.iter().all(|net| values.contains(net));
    (!same).then(|| {
        Finding::new(
            &POOL_CONFLICT,
            vec![],
            format!(
                "--pod-cidr says {}, the values say {} ({key})",
                words::networks(flag.iter().copied()),
                words::networks(values.iter().copied())
            ),
            format!("leave out --pod-cidr, or {key}"),
        )
    })
}

/// Ranges that no pool may touch, and whose they are.
fn never_pools(facts: &Facts<'_>) -> Vec<(IpNet, &'static str)> {
    // <https://www.rfc-editor.org/rfc/rfc6890>: this host, loopback, link-local, multicast and reserved.
    const SPECIAL: [(Ipv4Addr, u8); 4] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(224, 0, 0, 0), 3),
    ];
    let special = SPECIAL
        .iter()
        .filter_map(|(ip, prefix)| Ipv4Net::new(*ip, *prefix).ok())
        .map(|net| (IpNet::V4(net), "no host may use it as an ordinary address"));
    let aks = (facts.platform.name == "aks").then(checks::pools::aks_reserved);
    let aks = aks
        .into_iter()
        .flatten()
        .map(|net| (net, "AKS keeps it for itself"));
    aks.chain(special).collect()
}

/// The API server's address, where the kubeconfig has one rather than a name.
fn server_address(facts: &Facts<'_>) -> Option<IpAddr> {
    server::of(facts.capture)?.host.parse().ok()
}

/// Everything that pools are judged by.
struct Room<'a> {
    facts: &'a Facts<'a>,
    cni: &'a Cni,
    cutting: Cutting,
    masks: [Option<u8>; 2],
    demand: Demand,
}

impl Room<'_> {
    /// The pools that the user gave: whatever is wrong with them is told, with a better one as the fix.
    fn judged(&self, pools: Vec<IpNet>, source: &str) -> Chosen {
        let cuts = self.cuts(&pools);
        let findings = self.problems(&pools, source);
        let apart = if findings.is_empty() {
            "; apart from services, nodes and reserved ranges"
        } else {
            ""
        };
        let by = if source == "--pod-cidr" {
            "with --pod-cidr"
        } else {
            "by the user"
        };
        Chosen {
            reason: format!("given {by}{apart}"),
            pools,
            cuts,
            findings,
        }
    }

    /// The pool that the cluster names itself, if it passes every check; else none, and a proposal.
    fn derived(&self) -> Chosen {
        let mut objections = vec![];
        let by_nodes = self.cutting == Cutting::ByNodes;
        let blocks: Vec<IpNet> = self.node_blocks().map(|(_, net)| net).collect();
        let holds = |nets: &[IpNet]| blocks.iter().all(|b| nets.iter().any(|net| net.contains(b)));
        for (pools, source) in self.sources() {
            if by_nodes && !holds(&pools) {
                objections.push(format!(
                    "{} ({source}) does not hold every node's podCIDR",
                    words::networks(pools)
                ));
                continue;
            }
            let problems = self.problems(&pools, &source);
            match problems.first().map(|f| f.message.clone()) {
                None if !self.near_services(&pools) => {
                    let cuts = self.cuts(&pools);
                    return Chosen {
                        reason: if by_nodes {
                            format!("{source}, which holds every node's podCIDR")
                        } else {
                            format!("{source}; apart from services, nodes and reserved ranges")
                        },
                        pools,
                        cuts,
                        findings: vec![],
                    };
                }
                None => objections.push(format!(
                    "{} ({source}) lies where the services are: their range is known by the addresses in use only",
                    words::networks(pools)
                )),
                Some(problem) => objections.push(problem),
            }
        }
        let why = if objections.is_empty() {
            "neither kube-proxy nor the nodes name one".to_string()
        } else {
            objections.join("; ")
        };
        Chosen {
            findings: vec![Finding::new(
                &POOL_REQUIRED,
                vec![],
                format!("no pool of pod addresses is given and the cluster has none to take: {why}"),
                self.proposal("kubectl byocni explain pool-required"),
            )],
            ..Chosen::default()
        }
    }

    /// The networks that some part of the cluster takes for the pods' already, best first.
    fn sources(&self) -> Vec<(Vec<IpNet>, String)> {
        let facts = self.facts;
        let mut found = vec![
            (
                facts.kube_proxy.cluster_cidrs.clone(),
                "kube-proxy's cluster CIDR".to_string(),
            ),
            (
                ranges::kubeadm_pod_subnets(facts.capture),
                "kubeadm's podSubnet".to_string(),
            ),
        ];
        found.extend(self.hulls().into_iter().map(|nets| {
            let source = "the network of the nodes' podCIDRs";
            (nets, source.to_string())
        }));
        for (nets, _) in &mut found {
            *nets = given(nets);
            // A family that the nodes do not have is no pool of theirs.
            nets.retain(|net| self.nodes_have(cidr::family(*net)));
        }
        found.retain(|(nets, _)| !nets.is_empty());
        found
    }

    fn nodes_have(&self, family: Family) -> bool {
        let mut ips = self.facts.nodes.iter().flat_map(|n| &n.internal_ips).peekable();
        ips.peek().is_none() || ips.any(|ip| cidr::family_of(*ip) == family)
    }

    /// Every Linux node's `spec.podCIDRs`.
    fn node_blocks(&self) -> impl Iterator<Item = (&str, IpNet)> {
        let served = self.facts.nodes.iter().filter(|n| n.linux && !n.is_virtual);
        served.flat_map(|n| n.pod_cidrs.iter().map(|net| (n.name, *net)))
    }

    /// The smallest networks that hold all of the nodes' podCIDRs, one a family: as a controller manager is usually
    /// told (a /16 at least), then as they are.
    fn hulls(&self) -> Vec<Vec<IpNet>> {
        let ends = self
            .node_blocks()
            .flat_map(|(_, net)| [net.network(), net.broadcast()]);
        let exact = cidr::hulls(ends);
        let wide = exact.iter().map(|net| match net {
            IpNet::V4(v4) if v4.prefix_len() > 16 => {
                Ipv4Net::new(v4.addr(), 16).map_or(*net, |wide| IpNet::V4(wide.trunc()))
            }
            _ => *net,
        });
        vec![wide.collect(), exact]
    }

    /// The network that the controller manager cuts the nodes' podCIDRs from; where it cut none, that is what is told.
    fn of_nodes(&self) -> Chosen {
        if self.node_blocks().next().is_none() {
            return Chosen::default();
        }
        self.derived()
    }

    /// Nodes that the controller manager gave no podCIDR, where the CNI takes its blocks from there.
    fn nodes_without(&self) -> Option<Finding> {
        let facts = self.facts;
        let served = || facts.nodes.iter().filter(|n| n.linux && !n.is_virtual);
        let any = self.node_blocks().next().is_some();
        // Where others have one, a node that has just joined will have its own in a moment.
        let without: Vec<&str> = served()
            .filter(|n| n.pod_cidrs.is_empty() && !(any && n.young))
            .map(|n| n.name)
            .collect();
        if without.is_empty() {
            return None;
        }
        let aks = facts.platform.name == "aks";
        let why = if aks {
            ". AKS BYOCNI assigns no podCIDRs to nodes: a CNI that cuts its own blocks is needed"
        } else {
            ""
        };
        let fix = if aks {
            "kubectl byocni install cilium, or kubectl byocni install calico".to_string()
        } else {
            "run kube-controller-manager with --allocate-node-cidrs=true and --cluster-cidr".to_string()
        };
        Some(Finding::new(
            &NODE_POD_CIDR_MISSING,
            without.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "{} of {} {} no spec.podCIDR ({}), without which {} ends with \"pod cidr not assigned\"{why}",
                without.len(),
                words::count(served().count(), "Linux node"),
                words::verb(without.len(), "has", "have"),
                words::names(&without),
                self.cni.name
            ),
            fix,
        ))
    }

    /// Nodes whose podCIDR lies outside the network that is planned.
    fn missed(&self, pools: &[IpNet]) -> Option<Finding> {
        if pools.is_empty() {
            return None;
        }
        let outside: Vec<(&str, IpNet)> = self
            .node_blocks()
            .filter(|(_, block)| !pools.iter().any(|p| p.contains(block)))
            .collect();
        let (name, block) = outside.first()?;
        let mut names: Vec<&str> = outside.iter().map(|(n, _)| *n).collect();
        names.dedup();
        let hull: Vec<String> = self.of_nodes().pools.iter().map(ToString::to_string).collect();
        Some(Finding::new(
            &POOL_MISSES_NODES,
            names.iter().map(|n| Subject::node(n)).collect(),
            format!(
                "{} {} a podCIDR outside {}: {name} has {block}",
                words::count(names.len(), "node"),
                words::verb(names.len(), "has", "have"),
                words::networks(pools.iter().copied())
            ),
            if hull.is_empty() {
                "kubectl byocni explain pool-misses-nodes".to_string()
            } else {
                format!(
                    "kubectl byocni install {} --pod-cidr {}",
                    self.cni.id,
                    hull.join(",")
                )
            },
        ))
    }

    fn cuts(&self, pools: &[IpNet]) -> Vec<Cut> {
        [Family::V4, Family::V6]
            .into_iter()
            .zip(self.masks)
            .filter_map(|(family, wanted)| cut(pools, family, self.cutting, wanted, &self.demand))
            .collect()
    }

    /// The command with a pool that would do; `otherwise` where there is none.
    fn proposal(&self, otherwise: &str) -> String {
        // Where nodes have their blocks already, another pool is no way out.
        let proposed = (self.cutting != Cutting::ByNodes)
            .then(|| propose(self.facts, self.cutting, &self.demand))
            .flatten();
        match proposed {
            Some(pool) => format!("kubectl byocni install {} --pod-cidr {pool}", self.cni.id),
            None => otherwise.to_string(),
        }
    }

    /// Everything that forbids these pools.
    fn problems(&self, pools: &[IpNet], source: &str) -> Vec<Finding> {
        let rows: Vec<Pool> = pools
            .iter()
            .map(|net| Pool {
                cidr: *net,
                mask_size: None,
                source: source.to_string(),
            })
            .collect();
        let mut findings = checks::pools::overlaps_services(self.facts, &rows);
        findings.extend(checks::pools::overlaps_nodes(self.facts, &rows));
        findings.extend(checks::pools::overlaps_itself(&rows));
        findings.extend(reserved(self.facts, &rows));
        findings.extend(self.families(pools, source));
        findings.extend(self.too_small(pools));
        for finding in &mut findings {
            finding.fix = self.proposal(&finding.fix);
        }
        findings
    }

    /// A pool is of no use to nodes without addresses of its family, nor to services of the other one.
    fn families(&self, pools: &[IpNet], source: &str) -> Option<Finding> {
        let alien = pools.iter().find(|p| !self.nodes_have(cidr::family(**p)));
        let of_services: Vec<Family> = self.facts.services.iter().map(|s| cidr::family(s.cidr)).collect();
        let apart = !of_services.is_empty() && !pools.iter().any(|p| of_services.contains(&cidr::family(*p)));
        let what = match (alien, pools.first()) {
            (Some(pool), _) => format!(
                "pool {pool} ({source}) is {}, and no node has an {} address",
                cidr::family(*pool).as_str(),
                cidr::family(*pool).as_str()
            ),
            (None, Some(pool)) if apart => format!(
                "pool {pool} ({source}) is {}, and services have {} addresses",
                cidr::family(*pool).as_str(),
                of_services.first()?.as_str()
            ),
            _ => return None,
        };
        Some(Finding::new(
            &POOL_FAMILY_MISMATCH,
            vec![],
            what,
            "kubectl byocni explain pool-family-mismatch",
        ))
    }

    fn too_small(&self, pools: &[IpNet]) -> Option<Finding> {
        let cut = self.cuts(pools).into_iter().find(|c| !c.enough)?;
        let of_family = pools.iter().copied().filter(|p| cidr::family(*p) == cut.family);
        let pods = match self.demand.max_pods {
            Some(pods) if self.cutting != Cutting::ByNodes => format!("; a node takes up to {pods} pods"),
            _ => String::new(),
        };
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Some(Finding::new(
            &POOL_TOO_SMALL,
            vec![],
            format!(
                "{} {} {} of /{} for {} (and {} more while an upgrade adds nodes){pods}",
                words::networks(of_family),
                words::verb(pools.len(), "has", "have"),
                words::count(count(cut.blocks), "node block"),
                cut.mask,
                words::count(count(self.demand.nodes), "node"),
                self.demand.surge
            ),
            "kubectl byocni explain pool-too-small",
        ))
    }

    /// Blocks of a size that the user asked for and that hold fewer pods than the nodes take.
    fn small_blocks(&self, cuts: &[Cut], pools: &[IpNet]) -> Option<Finding> {
        let cut = cuts.iter().find(|c| !c.holds)?;
        let family = pools.iter().find(|p| cidr::family(*p.to_owned()) == cut.family)?;
        let bits = u32::from(family.max_prefix_len().saturating_sub(cut.mask));
        Some(Finding::new(
            &NODE_BLOCK_TOO_SMALL,
            vec![],
            format!(
                "blocks of /{} have {} addresses, and a node takes up to {} pods",
                cut.mask,
                1u64.checked_shl(bits).unwrap_or(u64::MAX),
                self.demand.max_pods.unwrap_or_default()
            ),
            "kubectl byocni explain node-block-too-small",
        ))
    }

    /// Where the service range is known by its addresses in use only, it reaches further than they do.
    fn near_services(&self, pools: &[IpNet]) -> bool {
        let inferred = |source: &str| !source.starts_with("ServiceCIDR/");
        let ranges = self.facts.services.iter().filter(|s| inferred(&s.source));
        let wide: Vec<IpNet> = ranges
            .filter_map(|s| match s.cidr {
                IpNet::V4(net) if net.prefix_len() > 16 => {
                    Ipv4Net::new(net.addr(), 16).ok().map(|n| IpNet::V4(n.trunc()))
                }
                other => Some(other),
            })
            .collect();
        pools.iter().any(|p| wide.iter().any(|w| cidr::overlap(*w, *p)))
    }
}

/// Pools that touch a range which is never one.
fn reserved(facts: &Facts<'_>, pools: &[Pool]) -> Option<Finding> {
    let never = never_pools(facts);
    let clashes: Vec<String> = pools
        .iter()
        .filter_map(|pool| {
            let (range, why) = never.iter().find(|(net, _)| cidr::overlap(*net, pool.cidr))?;
            Some(format!(
                "pool {} ({}) touches {range}: {why}",
                pool.cidr, pool.source
            ))
        })
        .collect();
    (!clashes.is_empty()).then(|| {
        Finding::new(
            &POOL_RESERVED,
            vec![],
            clashes.join("; "),
            "kubectl byocni explain pool-reserved",
        )
    })
}
