//! What an upgrade or a rollback of Calico must know: a row a fact, with its source and the day that it was read.

use serde_json::Value;

use super::install::{POOLS, entries, network};
use crate::core::{
    codes::upgrade::{ENCAPSULATION_CHANGE, IPAM_MODE_CHANGE, MASK_SIZE_CHANGE, POOL_ELEMENT_CHANGED},
    facts::cidr::{self, Family},
    plan::{
        tree,
        upgrade::{Frozen, Rules, Settings, appended, differing},
    },
};

const READ: &str = "2026-11";

/// The rules. The operator makes one IPPool of every pool of the Installation, and takes those away that are no longer
/// in it: they are repeated in every upgrade.
pub(super) static RULES: Rules = Rules {
    compatibility: None,
    moved: &[],
    vital: &[],
    frozen: FROZEN,
    defaults: &[],
    retired: &[],
    definitions: Some(
        "the CustomResourceDefinitions of Calico are applied from a chart of their own, or once by helm, and belong to no release",
    ),
};

const FROZEN: &[Frozen] = &[
    Frozen {
        what: "who gives pods their addresses",
        key: "installation.cni",
        configured: "",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(allocator(s.values))),
        code: &IPAM_MODE_CHANGE,
        why: "the new allocator does not know the addresses of pods that run",
        source: "https://docs.tigera.io/calico/latest/reference/installation/api",
        read: READ,
    },
    Frozen {
        what: "the pools",
        key: POOLS,
        configured: "",
        within: "",
        grows: false,
        changed: |old, new| appended(Some(pools(old)), Some(pools(new))),
        code: &POOL_ELEMENT_CHANGED,
        why: "the operator takes away the pool of every element that is missing, and pods live in it; only adding at the end is possible",
        source: "https://docs.tigera.io/calico/latest/networking/ipam/migrate-pools",
        read: READ,
    },
    Frozen {
        what: "the size of blocks",
        key: POOLS,
        configured: "",
        within: "",
        grows: false,
        changed: |old, new| of_shared(old, new, block_size),
        code: &MASK_SIZE_CHANGE,
        why: "a pool's blockSize cannot be changed",
        source: "https://docs.tigera.io/calico/latest/networking/ipam/change-block-size",
        read: READ,
    },
    Frozen {
        what: "the encapsulation",
        key: POOLS,
        configured: "",
        within: "",
        grows: false,
        changed: |old, new| of_shared(old, new, encapsulation),
        code: &ENCAPSULATION_CHANGE,
        why: "nodes of the old and the new kind do not understand each other's packets",
        source: "https://docs.tigera.io/calico/latest/networking/configuring/vxlan-ipip",
        read: READ,
    },
    Frozen {
        what: "BGP between the nodes",
        key: "installation.calicoNetwork.bgp",
        configured: "",
        within: "",
        grows: false,
        changed: |old, new| {
            differing(old, new, |s| {
                tree::text(s.values, "installation.calicoNetwork.bgp").map(Into::into)
            })
        },
        code: &ENCAPSULATION_CHANGE,
        why: "nodes lose the routes to each other's pods",
        source: "https://docs.tigera.io/calico/latest/reference/installation/api",
        read: READ,
    },
];

/// The plugins for interfaces and addresses. Where nothing is said, the provider decides.
fn allocator(values: &Value) -> String {
    let by_provider = match tree::text(values, "installation.kubernetesProvider") {
        Some("AKS") => "AzureVNET",
        Some("EKS") => "AmazonVPC",
        Some("GKE") => "GKE",
        _ => "Calico",
    };
    let plugin = tree::text(values, "installation.cni.type").unwrap_or(by_provider);
    let own = match plugin {
        "Calico" => "Calico",
        "GKE" => "HostLocal",
        other => other,
    };
    let ipam = tree::text(values, "installation.cni.ipam.type").unwrap_or(own);
    format!("{plugin} with {ipam}")
}

/// The pools of the values, else those that the operator has made without being told.
fn pools(settings: &Settings<'_>) -> Vec<String> {
    let written: Vec<String> = entries(settings.values)
        .iter()
        .filter_map(network)
        .map(|net| net.trunc().to_string())
        .collect();
    if !written.is_empty() {
        return written;
    }
    let live = settings.facts.network.pools.iter();
    live.map(|pool| pool.cidr.trunc().to_string()).collect()
}

/// What the pools of both say of something, where they differ.
fn of_shared(
    old: &Settings<'_>,
    new: &Settings<'_>,
    read: fn(&Value) -> Option<String>,
) -> Option<(String, String)> {
    let of = |settings: &Settings<'_>, net| {
        let entry = entries(settings.values)
            .iter()
            .find(|e| network(e) == Some(net))?;
        read(entry)
    };
    entries(old.values).iter().filter_map(network).find_map(|net| {
        let (was, becomes) = (of(old, net)?, of(new, net)?);
        (was != becomes).then(|| (format!("{was} for {net}"), becomes))
    })
}

fn block_size(entry: &Value) -> Option<String> {
    let six = cidr::family(network(entry)?) == Family::V6;
    let default = if six { "122" } else { "26" };
    Some(match entry.get("blockSize") {
        Some(Value::Null) | None => default.into(),
        Some(Value::String(text)) => text.clone(),
        Some(size) => size.to_string(),
    })
}

/// The operator's own choice, where nothing is written, is IPIP.
fn encapsulation(entry: &Value) -> Option<String> {
    let written = entry.get("encapsulation").and_then(Value::as_str);
    Some(written.unwrap_or("IPIP").to_string())
}
