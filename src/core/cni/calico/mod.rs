//! Calico, by the operator or by manifest (<https://docs.tigera.io/calico>).

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;

pub mod install;
mod upgrade;

use super::{Agent, BlockModel, Cni, Look, Network, PLAIN};
use crate::core::{
    capture::{Capture, Custom, Resource, Source, Workload},
    checks,
    facts::{Notes, cidr},
    finding::Subject,
    report::Pool,
};

const POOL_FIELDS: &[&str] = &[
    "/spec/cidr",
    "/spec/blockSize",
    "/spec/disabled",
    "/spec/ipipMode",
    "/spec/vxlanMode",
    "/spec/nodeSelector",
];

/// A pool, in the group that agents and the operator use.
pub static IP_POOLS: Resource = Resource {
    name: "ippools.crd.projectcalico.org",
    group: "crd.projectcalico.org",
    versions: &["v1"],
    plural: "ippools",
    kind: "IPPool",
    keep: POOL_FIELDS,
};

/// A pool, in the group that 3.32 can use without an aggregated API server.
pub static IP_POOLS_V3: Resource = Resource {
    name: "ippools.projectcalico.org",
    group: "projectcalico.org",
    versions: &["v3"],
    plural: "ippools",
    kind: "IPPool",
    keep: POOL_FIELDS,
};

/// A block's affinity to a node.
pub static BLOCK_AFFINITIES: Resource = Resource {
    name: "blockaffinities.crd.projectcalico.org",
    group: "crd.projectcalico.org",
    versions: &["v1"],
    plural: "blockaffinities",
    kind: "BlockAffinity",
    keep: &["/spec/cidr", "/spec/node", "/spec/state", "/spec/deleted"],
};

/// What the operator is told to run.
pub static INSTALLATIONS: Resource = Resource {
    name: "installations.operator.tigera.io",
    group: "operator.tigera.io",
    versions: &["v1"],
    plural: "installations",
    kind: "Installation",
    keep: &[
        "/spec/cni",
        "/spec/calicoNetwork/ipPools",
        "/spec/calicoNetwork/bgp",
        "/status/calicoVersion",
        "/status/conditions",
    ],
};

/// What the operator says of each part.
pub static TIGERA_STATUSES: Resource = Resource {
    name: "tigerastatuses.operator.tigera.io",
    group: "operator.tigera.io",
    versions: &["v1"],
    plural: "tigerastatuses",
    kind: "TigeraStatus",
    keep: &["/status/conditions"],
};

/// Calico.
pub static CALICO: Cni = Cni {
    id: "calico",
    name: "Calico",
    agents: &[Agent {
        container: "calico-node",
        daemon_sets: &[],
        image_word: None,
    }],
    operators: &["tigera-operator"],
    companions: &["calico-typha", "calico-kube-controllers"],
    groups: &["crd.projectcalico.org", "projectcalico.org"],
    up_reason: Some("CalicoIsUp"),
    node_annotations: &["projectcalico.org/"],
    resources: &[
        &IP_POOLS,
        &IP_POOLS_V3,
        &BLOCK_AFFINITIES,
        &INSTALLATIONS,
        &TIGERA_STATUSES,
    ],
    config_map: Some("calico-config"),
    // docs.tigera.io: the operator's own namespace holds nothing but the operator.
    made_in: &["calico-system"],
    // docs.tigera.io, system requirements of 3.30 and later.
    oldest_kernel: |_| Some((5, 10)),
    chart: Some("tigera-operator"),
    installing: Some(&install::INSTALLING),
    network,
    beside_another: policy_only,
    checks: checks::calico::ALL,
    ..PLAIN
};

/// The operator's Installation, of which there is one, named `default`.
pub fn installation(capture: &Capture) -> Option<&Custom> {
    capture.custom(&INSTALLATIONS).first()
}

/// Calico as policy engine leaves addresses to the platform's plugin: the operator then has a `cni.type` of another
/// product, a manifest sets the networking backend to `none`.
fn policy_only(capture: &Capture, agent: &Workload) -> Option<String> {
    let cni_type = installation(capture).and_then(|i| i.text("/spec/cni/type"));
    if let Some(cni_type) = cni_type.filter(|t| *t != "Calico") {
        return Some(format!("policy only, addresses come from {cni_type}"));
    }
    let backend = agent.container("calico-node")?.env("CALICO_NETWORKING_BACKEND");
    let installs = agent
        .spec
        .template
        .spec
        .init_containers
        .iter()
        .any(|c| c.name == "install-cni");
    (backend == Some("none") && !installs).then(|| "policy only (CALICO_NETWORKING_BACKEND=none)".to_string())
}

/// Every IPPool, in whichever group it is served.
pub fn ip_pools(capture: &Capture) -> impl Iterator<Item = &Custom> {
    let old = capture.custom(&IP_POOLS);
    // With an aggregated API server the same pools are served in both groups.
    let new = if old.is_empty() {
        capture.custom(&IP_POOLS_V3)
    } else {
        &[]
    };
    old.iter().chain(new)
}

/// The pools that the Installation asks for.
pub fn installation_pools(capture: &Capture) -> Vec<(&str, &Value)> {
    let pools = installation(capture).and_then(|i| i.pointer("/spec/calicoNetwork/ipPools")?.as_array());
    pools
        .into_iter()
        .flatten()
        .filter_map(|p| Some((p.get("cidr")?.as_str()?, p)))
        .collect()
}

fn network(look: &Look<'_>, notes: &mut Notes) -> Network {
    let capture = look.capture;
    let calico_ipam = installation(capture)
        .and_then(|i| i.text("/spec/cni/ipam/type"))
        .unwrap_or("Calico");
    let host_local = calico_ipam == "HostLocal" || uses_host_local(capture, look.namespace());
    let mut network = Network {
        pools_known: capture.knows(Source::Custom(IP_POOLS.name)),
        block_source: "BlockAffinity",
        blocks_known: capture.knows(Source::Custom(BLOCK_AFFINITIES.name)),
        model: if host_local {
            BlockModel::Exclusive
        } else {
            BlockModel::Borrowing
        },
        needs_node_cidr: host_local,
        many_blocks: !host_local,
        mode: Some(if host_local { "host-local" } else { "calico-ipam" }.to_string()),
        ..Network::default()
    };
    for pool in ip_pools(capture) {
        let text = pool.text("/spec/cidr").unwrap_or_default();
        if pool.pointer("/spec/disabled").and_then(Value::as_bool) == Some(true) {
            network.retired.extend(cidr::parse(text));
            continue;
        }
        let size = pool.pointer("/spec/blockSize").and_then(Value::as_u64);
        match cidr::parse(text) {
            Some(cidr) => network.pools.push(Pool {
                cidr,
                mask_size: size.and_then(|s| u8::try_from(s).ok()),
                source: format!("IPPool/{}", pool.meta.name),
            }),
            None => notes.unparsable(Subject::new("IPPool", &pool.meta.name), "spec.cidr", text),
        }
    }
    if network.pools.is_empty() {
        network.pools = configured_pools(look);
    }
    network.blocks = if host_local {
        look.node_cidrs()
    } else {
        affinities(capture, notes)
    };
    network
}

/// Where no IPPool can be seen: what the Installation or the manifest asks for.
fn configured_pools(look: &Look<'_>) -> Vec<Pool> {
    let asked = installation_pools(look.capture)
        .into_iter()
        .filter_map(|(text, _)| {
            Some(Pool {
                cidr: cidr::parse(text)?,
                mask_size: None,
                source: "Installation/default".into(),
            })
        });
    let asked: Vec<Pool> = asked.collect();
    if !asked.is_empty() {
        return asked;
    }
    let agent = look.agent.and_then(|a| a.container("calico-node"));
    let env = agent.and_then(|c| c.env("CALICO_IPV4POOL_CIDR"));
    let pool = env.and_then(cidr::parse).map(|cidr| Pool {
        cidr,
        mask_size: None,
        source: "CALICO_IPV4POOL_CIDR of calico-node".into(),
    });
    pool.into_iter().collect()
}

/// A manifest may hand addresses out of `node.spec.podCIDR` (`"type": "host-local"`, `usePodCidr`).
fn uses_host_local(capture: &Capture, namespace: &str) -> bool {
    let config = capture
        .config_map(namespace, "calico-config")
        .and_then(|c| c.get("cni_network_config"));
    config.is_some_and(|text| text.contains("host-local"))
}

fn affinities(capture: &Capture, notes: &mut Notes) -> BTreeMap<String, Vec<IpNet>> {
    let mut blocks: BTreeMap<String, Vec<IpNet>> = BTreeMap::new();
    for affinity in capture.custom(&BLOCK_AFFINITIES) {
        let gone = affinity.text("/spec/deleted") == Some("true");
        let (Some(node), Some(text)) = (affinity.text("/spec/node"), affinity.text("/spec/cidr")) else {
            continue;
        };
        match cidr::parse(text) {
            Some(net) if !gone => blocks.entry(node.to_string()).or_default().push(net),
            Some(_) => {}
            None => notes.unparsable(
                Subject::new("BlockAffinity", &affinity.meta.name),
                "spec.cidr",
                text,
            ),
        }
    }
    blocks
}
