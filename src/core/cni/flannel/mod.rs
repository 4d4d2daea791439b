//! Flannel, and Canal, which is Calico's policy on Flannel's network (<https://github.com/flannel-io/flannel>).

use serde_json::Value;

pub mod install;
mod upgrade;

use super::{Agent, BlockModel, Cni, Look, Network, PLAIN};
use crate::core::{
    checks,
    facts::{Notes, cidr},
    finding::Subject,
    report::Pool,
};

/// Flannel.
pub static FLANNEL: Cni = Cni {
    id: "flannel",
    name: "Flannel",
    agents: &[Agent {
        container: "kube-flannel",
        daemon_sets: &[],
        image_word: None,
    }],
    up_reason: Some("FlannelIsUp"),
    node_annotations: &["flannel.alpha.coreos.com/"],
    config_map: Some("kube-flannel-cfg"),
    chart: Some("flannel"),
    installing: Some(&install::INSTALLING),
    network,
    checks: checks::flannel::ALL,
    ..PLAIN
};

/// Canal.
pub static CANAL: Cni = Cni {
    id: "canal",
    name: "Canal",
    agents: &[Agent {
        container: "kube-flannel",
        daemon_sets: &["canal", "rke2-canal"],
        image_word: None,
    }],
    groups: &["crd.projectcalico.org"],
    up_reason: Some("FlannelIsUp"),
    node_annotations: &["flannel.alpha.coreos.com/"],
    config_map: Some("canal-config"),
    network,
    checks: checks::flannel::ALL,
    ..PLAIN
};

/// The agents read `net-conf.json`; blocks are `node.spec.podCIDRs`, which flanneld refuses to do without
/// ("pod cidr not assigned") and refuses outside `Network`.
fn network(look: &Look<'_>, notes: &mut Notes) -> Network {
    let mut network = Network {
        blocks: look.node_cidrs(),
        blocks_known: true,
        block_source: "node.spec.podCIDR",
        model: BlockModel::Exclusive,
        needs_node_cidr: true,
        // Network, bridge and broadcast.
        reserved_in_block: 3,
        ..Network::default()
    };
    let names = ["kube-flannel-cfg", "canal-config"];
    let here = names
        .iter()
        .find_map(|name| look.capture.config_map(look.namespace(), name));
    let config = here.or_else(|| {
        look.capture
            .config_maps
            .iter()
            .find(|c| names.iter().any(|n| c.meta.name == **n))
    });
    let Some((config, text)) = config.and_then(|c| Some((c, c.get("net-conf.json")?))) else {
        return network;
    };
    let subject = || Subject::namespaced("ConfigMap", &config.meta.namespace, &config.meta.name);
    let Ok(conf) = serde_json::from_str::<Value>(text) else {
        notes.unparsable(subject(), "net-conf.json", text);
        return network;
    };
    network.pools_known = true;
    network.mode = conf
        .pointer("/Backend/Type")
        .and_then(Value::as_str)
        .map(|t| crate::core::text::Text::new(t).line(40));
    let enabled = |key: &str| conf.get(key).and_then(Value::as_bool);
    // Flannel cuts nothing itself with the kube subnet manager: the mask is that of the nodes' own blocks.
    let mask_of = |v4: bool| {
        let nets = network.blocks.values().flatten();
        nets.filter(|n| n.addr().is_ipv4() == v4)
            .map(|n| n.prefix_len())
            .min()
    };
    let masks = [mask_of(true), mask_of(false)];
    for (key, on, mask) in [
        ("Network", enabled("EnableIPv4") != Some(false), masks[0]),
        ("IPv6Network", enabled("EnableIPv6") == Some(true), masks[1]),
    ] {
        let Some(text) = conf.get(key).and_then(Value::as_str).filter(|_| on) else {
            continue;
        };
        match cidr::parse(text) {
            Some(cidr) => network.pools.push(Pool {
                cidr,
                mask_size: mask.filter(|m| *m >= cidr.prefix_len()),
                source: format!("{}/{}", config.meta.namespace, config.meta.name),
            }),
            None => notes.unparsable(subject(), key, text),
        }
    }
    network
}
