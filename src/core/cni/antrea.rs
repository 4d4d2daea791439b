//! Antrea (<https://antrea.io/docs>).

use super::{Agent, BlockModel, Cni, Network, PLAIN};

/// Antrea.
pub static ANTREA: Cni = Cni {
    id: "antrea",
    name: "Antrea",
    agents: &[Agent {
        container: "antrea-agent",
        daemon_sets: &[],
        image_word: None,
    }],
    operators: &["antrea-controller"],
    groups: &["crd.antrea.io"],
    node_annotations: &["node.antrea.io/"],
    // Antrea has an agent for Windows nodes.
    linux_only: false,
    chart: Some("antrea"),
    // NodeIPAM or the controller manager writes node.spec.podCIDRs; agents take them from there.
    network: |look, _| Network {
        blocks: look.node_cidrs(),
        blocks_known: true,
        block_source: "node.spec.podCIDR",
        model: BlockModel::Exclusive,
        needs_node_cidr: true,
        reserved_in_block: 3,
        ..Network::default()
    },
    ..PLAIN
};
