//! CNIs of other platforms, known by name so that they are not mistaken for something else.

use super::{Agent, BlockModel, Cni, Network, PLAIN, Role};
use crate::core::{facts::cidr, report::Pool};

/// kind's own plugin.
pub static KINDNET: Cni = Cni {
    id: "kindnet",
    name: "kindnet",
    agents: &[Agent {
        container: "kindnet-cni",
        daemon_sets: &[],
        image_word: None,
    }],
    network: |look, _| {
        let subnet = look
            .agent
            .and_then(|a| a.container("kindnet-cni"))
            .and_then(|c| c.env("POD_SUBNET"));
        let pools = cidr::words(subnet.unwrap_or_default()).filter_map(cidr::parse);
        Network {
            pools: pools
                .map(|cidr| Pool {
                    cidr,
                    mask_size: None,
                    source: "POD_SUBNET of kindnet".into(),
                })
                .collect(),
            pools_known: subnet.is_some(),
            blocks: look.node_cidrs(),
            blocks_known: true,
            block_source: "node.spec.podCIDR",
            model: BlockModel::Exclusive,
            needs_node_cidr: true,
            reserved_in_block: 3,
            ..Network::default()
        }
    },
    ..PLAIN
};

/// EKS's plugin: addresses of the VPC.
pub static AMAZON_VPC: Cni = Cni {
    id: "amazon-vpc-cni",
    name: "Amazon VPC CNI",
    role: Role::Managed,
    agents: &[Agent {
        container: "aws-node",
        daemon_sets: &[],
        image_word: None,
    }],
    linux_only: false,
    ..PLAIN
};

/// GKE Dataplane V2: Cilium's agent, run by Google.
pub static GKE_DATAPLANE_V2: Cni = Cni {
    id: "gke-dataplane-v2",
    name: "GKE Dataplane V2",
    role: Role::Managed,
    agents: &[Agent {
        container: "cilium-agent",
        daemon_sets: &["anetd"],
        image_word: None,
    }],
    network: |_, _| Network {
        replaces_kube_proxy: true,
        blocks_known: true,
        ..Network::default()
    },
    ..PLAIN
};
