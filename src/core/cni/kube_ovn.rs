//! kube-ovn (<https://kubeovn.github.io/docs>).

use super::{Agent, BlockModel, Cni, Look, Network, PLAIN};
use crate::core::{
    capture::{Resource, Source},
    facts::{Notes, cidr},
    finding::Subject,
    report::Pool,
};

/// A subnet: kube-ovn's pool, not bound to nodes.
pub static SUBNETS: Resource = Resource {
    name: "subnets.kubeovn.io",
    group: "kubeovn.io",
    versions: &["v1"],
    plural: "subnets",
    kind: "Subnet",
    keep: &["/spec/cidrBlock", "/spec/vpc", "/spec/vlan"],
};

/// kube-ovn.
pub static KUBE_OVN: Cni = Cni {
    id: "kube-ovn",
    name: "kube-ovn",
    agents: &[Agent {
        container: "cni-server",
        daemon_sets: &["kube-ovn-cni"],
        image_word: Some("kube-ovn"),
    }],
    operators: &["kube-ovn-controller"],
    companions: &["ovs-ovn", "ovn-central", "kube-ovn-pinger"],
    groups: &["kubeovn.io"],
    node_annotations: &["ovn.kubernetes.io/"],
    resources: &[&SUBNETS],
    chart: Some("kube-ovn"),
    network,
    ..PLAIN
};

fn network(look: &Look<'_>, notes: &mut Notes) -> Network {
    let mut pools = vec![];
    for subnet in look.capture.custom(&SUBNETS) {
        // "join" carries nodes, not pods; subnets of other VPCs may overlap anything.
        let foreign =
            subnet.text("/spec/vpc").is_some_and(|vpc| vpc != "ovn-cluster") || subnet.meta.name == "join";
        let blocks = subnet.text("/spec/cidrBlock").unwrap_or_default();
        for text in cidr::words(blocks).filter(|_| !foreign) {
            match cidr::parse(text) {
                Some(cidr) => {
                    pools.push(Pool {
                        cidr,
                        mask_size: None,
                        source: format!("Subnet/{}", subnet.meta.name),
                    });
                }
                None => notes.unparsable(Subject::new("Subnet", &subnet.meta.name), "spec.cidrBlock", text),
            }
        }
    }
    Network {
        pools_known: look.capture.knows(Source::Custom(SUBNETS.name)) && !pools.is_empty(),
        pools,
        blocks_known: true,
        block_source: "Subnet",
        model: BlockModel::None,
        ..Network::default()
    }
}
