//! Weave Net, archived since 2022 and still met.

use super::{Agent, BlockModel, Cni, Network, PLAIN};
use crate::core::{facts::cidr, report::Pool};

/// What agents hand out where nothing is configured
/// (<https://github.com/weaveworks/weave/blob/master/site/kubernetes/kube-addon.md>).
const DEFAULT_RANGE: &str = "10.32.0.0/12";

/// Weave Net.
pub static WEAVE: Cni = Cni {
    id: "weave",
    name: "Weave Net",
    agents: &[Agent {
        container: "weave",
        daemon_sets: &[],
        image_word: None,
    }],
    up_reason: Some("WeaveIsUp"),
    config_map: Some("weave-net"),
    network: |look, _| {
        let range = look
            .agent
            .and_then(|a| a.container("weave"))
            .and_then(|c| c.env("IPALLOC_RANGE"));
        let pool = cidr::parse(range.unwrap_or(DEFAULT_RANGE)).map(|cidr| Pool {
            cidr,
            mask_size: None,
            source: if range.is_some() {
                "IPALLOC_RANGE of weave-net"
            } else {
                "Weave's default"
            }
            .into(),
        });
        Network {
            pools_known: true,
            pools: pool.into_iter().collect(),
            blocks_known: true,
            block_source: "weave's ring",
            model: BlockModel::None,
            ..Network::default()
        }
    },
    ..PLAIN
};
