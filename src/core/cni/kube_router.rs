//! kube-router (<https://www.kube-router.io>).

use super::{Agent, BlockModel, Cni, Look, Network, PLAIN};
use crate::core::{
    facts::{Notes, cidr},
    finding::Subject,
};

/// kube-router.
pub static KUBE_ROUTER: Cni = Cni {
    id: "kube-router",
    name: "kube-router",
    agents: &[Agent {
        container: "kube-router",
        daemon_sets: &[],
        image_word: None,
    }],
    config_map: Some("kube-router-cfg"),
    node_annotations: &["kube-router.io/pod-cidr"],
    network,
    ..PLAIN
};

/// An annotation of the node wins over `node.spec.podCIDRs`.
fn network(look: &Look<'_>, notes: &mut Notes) -> Network {
    let mut blocks = look.node_cidrs();
    for node in look.nodes {
        let annotation = |key| node.node.meta.annotation(key);
        let Some(text) = annotation("kube-router.io/pod-cidrs").or(annotation("kube-router.io/pod-cidr"))
        else {
            continue;
        };
        let mut own = vec![];
        for word in cidr::words(text) {
            match cidr::parse(word) {
                Some(net) => own.push(net),
                None => notes.unparsable(Subject::node(node.name), "kube-router.io/pod-cidr", word),
            }
        }
        blocks.insert(node.name.to_string(), own);
    }
    let agent = look.agent.and_then(|a| a.container("kube-router"));
    let flag = |name| agent.and_then(|c| c.flag(name)).is_some_and(|v| v != "false");
    Network {
        blocks,
        blocks_known: true,
        block_source: "node.spec.podCIDR",
        model: BlockModel::Exclusive,
        needs_node_cidr: true,
        reserved_in_block: 3,
        replaces_kube_proxy: flag("run-service-proxy"),
        ..Network::default()
    }
}
