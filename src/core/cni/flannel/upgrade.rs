//! What an upgrade or a rollback of Flannel must know: a row a fact, with its source and the day that it was read.

use serde_json::Value;

use crate::core::{
    codes::upgrade::{ENCAPSULATION_CHANGE, LIVE_CHANGE_FORBIDDEN, POOL_ELEMENT_CHANGED},
    facts::cidr,
    plan::{
        tree,
        upgrade::{Frozen, Rules, Settings, differing},
    },
};

const UPGRADE: &str = "https://github.com/flannel-io/flannel/blob/master/Documentation/upgrade.md";
const BACKENDS: &str = "https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md";
const READ: &str = "2026-10";

/// The rules. The network is repeated in every upgrade: the chart's default would take its place.
pub(super) static RULES: Rules = Rules {
    compatibility: None,
    moved: &[],
    vital: &[],
    frozen: FROZEN,
    defaults: &[],
    retired: &[],
    definitions: None,
};

const FROZEN: &[Frozen] = &[
    Frozen {
        what: "the IPv4 network",
        key: "podCidr",
        configured: "net-conf.json",
        within: "/Network",
        grows: false,
        changed: |old, new| network(old, new, "podCidr"),
        code: &POOL_ELEMENT_CHANGED,
        why: "agents end with an error on nodes whose podCIDR lies outside, and bridges keep their old addresses",
        source: UPGRADE,
        read: READ,
    },
    Frozen {
        what: "the IPv6 network",
        key: "podCidrv6",
        configured: "net-conf.json",
        within: "/IPv6Network",
        grows: false,
        changed: |old, new| network(old, new, "podCidrv6"),
        code: &POOL_ELEMENT_CHANGED,
        why: "agents end with an error on nodes whose podCIDR lies outside, and bridges keep their old addresses",
        source: UPGRADE,
        read: READ,
    },
    Frozen {
        what: "the backend",
        key: "flannel.backend",
        configured: "net-conf.json",
        within: "/Backend/Type",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "flannel.backend", "vxlan"))),
        code: &ENCAPSULATION_CHANGE,
        why: "it cannot be changed at run time: nodes of the old and the new kind do not understand each other's packets",
        source: BACKENDS,
        read: READ,
    },
    Frozen {
        what: "the port of the encapsulation",
        key: "flannel.backendPort",
        configured: "net-conf.json",
        within: "/Backend/Port",
        grows: false,
        changed: |old, new| {
            differing(old, new, |s| {
                Some(word(s, "flannel.backendPort", "the backend's own"))
            })
        },
        code: &ENCAPSULATION_CHANGE,
        why: "nodes of the old and the new kind do not hear each other",
        source: BACKENDS,
        read: READ,
    },
    Frozen {
        what: "the number of the VXLAN network",
        key: "flannel.vni",
        configured: "net-conf.json",
        within: "/Backend/VNI",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "flannel.vni", "the backend's own"))),
        code: &ENCAPSULATION_CHANGE,
        why: "nodes of the old and the new kind do not hear each other",
        source: BACKENDS,
        read: READ,
    },
    Frozen {
        what: "the MTU",
        key: "flannel.mtu",
        configured: "net-conf.json",
        within: "/Backend/MTU",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "flannel.mtu", "the node's own"))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "pods that run keep theirs, and longer packets between old and new are lost",
        source: UPGRADE,
        read: READ,
    },
];

fn word(settings: &Settings<'_>, key: &str, default: &str) -> String {
    match tree::at(settings.values, key) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) if number.as_u64() != Some(0) => number.to_string(),
        _ => default.to_string(),
    }
}

/// A network that was there and is another one, or none. One of a family that was not there is a matter of the nodes.
fn network(old: &Settings<'_>, new: &Settings<'_>, key: &str) -> Option<(String, String)> {
    let read = |settings: &Settings<'_>| {
        let text = tree::text(settings.values, key)?;
        Some(cidr::parse(text).map_or_else(|| text.to_string(), |net| net.trunc().to_string()))
    };
    let was = read(old)?;
    let becomes = read(new).unwrap_or_else(|| "none".into());
    (was != becomes).then_some((was, becomes))
}
