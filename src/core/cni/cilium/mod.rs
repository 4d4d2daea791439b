//! Cilium (<https://docs.cilium.io>).

use std::collections::BTreeMap;

use ipnet::IpNet;

pub mod install;
mod upgrade;
mod versions;

use super::{Agent, BlockModel, Cni, Look, Network, PLAIN};
use crate::core::{
    capture::{Capture, ConfigMap, Resource, Workload},
    checks,
    facts::{Notes, cidr},
    finding::Subject,
    report::Pool,
};

/// A node as Cilium's operator sees it: the effective truth about its blocks.
pub static CILIUM_NODES: Resource = Resource {
    name: "ciliumnodes.cilium.io",
    group: "cilium.io",
    versions: &["v2"],
    plural: "ciliumnodes",
    kind: "CiliumNode",
    keep: &[
        "/spec/ipam/podCIDRs",
        "/spec/ipam/pools/allocated",
        "/status/ipam/operator-status",
    ],
};

/// A pool of `ipam: multi-pool`.
pub static POD_IP_POOLS: Resource = Resource {
    name: "ciliumpodippools.cilium.io",
    group: "cilium.io",
    versions: &["v2", "v2alpha1"],
    plural: "ciliumpodippools",
    kind: "CiliumPodIPPool",
    keep: &["/spec/ipv4", "/spec/ipv6"],
};

/// Cilium.
pub static CILIUM: Cni = Cni {
    id: "cilium",
    name: "Cilium",
    agents: &[Agent {
        container: "cilium-agent",
        daemon_sets: &[],
        image_word: None,
    }],
    operators: &["cilium-operator"],
    companions: &["cilium-envoy"],
    groups: &["cilium.io"],
    up_reason: Some("CiliumIsUp"),
    node_annotations: &["network.cilium.io/", "io.cilium.network."],
    taint: Some("node.cilium.io/agent-not-ready"),
    resources: &[&CILIUM_NODES, &POD_IP_POOLS],
    config_map: Some("cilium-config"),
    // docs.cilium.io: ip-masq-agent and the dynamic exporter and metrics of Hubble watch their files.
    rereads: &[
        "cilium-dynamic-metrics-config",
        "cilium-flowlog-config",
        "ip-masq-agent",
    ],
    // 5.4 up to 1.17, 5.10 from 1.18 (docs.cilium.io, system requirements of each release).
    oldest_kernel: |version| {
        Some(if version.is_some_and(|v| v < (1, 18)) {
            (5, 4)
        } else {
            (5, 10)
        })
    },
    chart: Some("cilium"),
    installing: Some(&install::INSTALLING),
    network,
    beside_another: chained,
    checks: checks::cilium::ALL,
    ..PLAIN
};

/// The agents' configuration.
pub fn config<'a>(capture: &'a Capture, namespace: &str) -> Option<&'a ConfigMap> {
    let any = || {
        capture
            .config_maps
            .iter()
            .find(|c| c.meta.name == "cilium-config")
    };
    capture.config_map(namespace, "cilium-config").or_else(any)
}

/// With `cni-chaining-mode` another plugin gives the addresses.
fn chained(capture: &Capture, agent: &Workload) -> Option<String> {
    let mode = config(capture, &agent.meta.namespace)?.get("cni-chaining-mode")?;
    (mode != "none").then(|| format!("chained behind another CNI (cni-chaining-mode {mode})"))
}

fn network(look: &Look<'_>, notes: &mut Notes) -> Network {
    let config = config(look.capture, look.namespace());
    let value = |key: &str| config.and_then(|c| c.get(key));
    // Absent means the agents' own default (the chart always writes it but for one bug: aksbyocni with ipam.mode=kubernetes).
    let mode = value("ipam").unwrap_or("cluster-pool");
    let mut network = Network {
        mode: config.is_some().then(|| mode.to_string()),
        block_source: "CiliumNode",
        blocks_known: look
            .capture
            .knows(crate::core::capture::Source::Custom(CILIUM_NODES.name)),
        model: BlockModel::Exclusive,
        // Network, broadcast, the node's cilium_host and the health endpoint.
        reserved_in_block: 4,
        // Before 1.14 there were `strict` and others; `partial` and `probe` left kube-proxy in place.
        replaces_kube_proxy: matches!(value("kube-proxy-replacement"), Some("true" | "strict")),
        ..Network::default()
    };
    match mode {
        "cluster-pool" | "cluster-pool-v2beta" => {
            network.pools_known = config.is_some();
            network.pools = cluster_pools(config, notes);
        }
        "multi-pool" => {
            network.pools_known = config.is_some();
            network.many_blocks = true;
            network.pools = multi_pools(look.capture, notes);
        }
        "kubernetes" => {
            network.needs_node_cidr = true;
            network.block_source = "node.spec.podCIDR";
        }
        _ => network.model = BlockModel::None,
    }
    network.blocks = blocks(look.capture, notes);
    if mode == "kubernetes" {
        network.blocks = look.node_cidrs();
        network.blocks_known = true;
    }
    network.block_errors = block_errors(look.capture);
    network
}

/// `cluster-pool-ipv4-cidr` is a list that is separated by spaces.
fn cluster_pools(config: Option<&ConfigMap>, notes: &mut Notes) -> Vec<Pool> {
    let Some(config) = config else { return vec![] };
    let source = format!("{}/{}", config.meta.namespace, config.meta.name);
    let subject = || Subject::namespaced("ConfigMap", &config.meta.namespace, &config.meta.name);
    let mut pools = vec![];
    for (cidr_key, mask_key, enabled) in [
        (
            "cluster-pool-ipv4-cidr",
            "cluster-pool-ipv4-mask-size",
            "enable-ipv4",
        ),
        (
            "cluster-pool-ipv6-cidr",
            "cluster-pool-ipv6-mask-size",
            "enable-ipv6",
        ),
    ] {
        // The chart writes the IPv6 default pool also where IPv6 is off.
        if config.get(enabled) == Some("false") {
            continue;
        }
        let mask = config.get(mask_key).and_then(|text| {
            let mask = text.parse::<u8>().ok();
            if mask.is_none() {
                notes.unparsable(subject(), mask_key, text);
            }
            mask
        });
        for text in cidr::words(config.get(cidr_key).unwrap_or_default()) {
            match cidr::parse(text) {
                Some(cidr) => pools.push(Pool {
                    cidr,
                    mask_size: mask,
                    source: source.clone(),
                }),
                None => notes.unparsable(subject(), cidr_key, text),
            }
        }
    }
    pools
}

fn multi_pools(capture: &Capture, notes: &mut Notes) -> Vec<Pool> {
    let mut pools = vec![];
    for pool in capture.custom(&POD_IP_POOLS) {
        for family in ["ipv4", "ipv6"] {
            let mask = pool
                .pointer(&format!("/spec/{family}/maskSize"))
                .and_then(|m| m.as_u64());
            for text in pool.texts(&format!("/spec/{family}/cidrs")) {
                match cidr::parse(text) {
                    Some(cidr) => pools.push(Pool {
                        cidr,
                        mask_size: mask.and_then(|m| u8::try_from(m).ok()),
                        source: format!("CiliumPodIPPool/{}", pool.meta.name),
                    }),
                    None => notes.unparsable(
                        Subject::new("CiliumPodIPPool", &pool.meta.name),
                        "spec cidrs",
                        text,
                    ),
                }
            }
        }
    }
    pools
}

fn blocks(capture: &Capture, notes: &mut Notes) -> BTreeMap<String, Vec<IpNet>> {
    let mut blocks = BTreeMap::new();
    for node in capture.custom(&CILIUM_NODES) {
        let mut own = vec![];
        let mut texts: Vec<&str> = node.texts("/spec/ipam/podCIDRs");
        let allocated = node
            .pointer("/spec/ipam/pools/allocated")
            .and_then(|a| a.as_array());
        for pool in allocated.into_iter().flatten() {
            let cidrs = pool.get("cidrs").and_then(|c| c.as_array());
            texts.extend(cidrs.into_iter().flatten().filter_map(|c| c.as_str()));
        }
        for text in texts {
            match cidr::parse(text) {
                Some(net) => own.push(net),
                None => notes.unparsable(Subject::new("CiliumNode", &node.meta.name), "spec.ipam", text),
            }
        }
        if !own.is_empty() {
            blocks.insert(node.meta.name.to_string(), own);
        }
    }
    blocks
}

/// The operator writes what it could not do into the node's object.
fn block_errors(capture: &Capture) -> BTreeMap<String, String> {
    let errors = capture.custom(&CILIUM_NODES).iter().filter_map(|node| {
        let error = node.text("/status/ipam/operator-status/error")?;
        Some((
            node.meta.name.to_string(),
            crate::core::text::Text::new(error).line(200),
        ))
    });
    errors.collect()
}
