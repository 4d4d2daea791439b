//! What an upgrade or a rollback of Cilium must know: a row a fact, with its source and the day that it was read. The
//! templates of the charts 1.16.19, 1.17.18, 1.18.12, 1.19.6 and 1.20.0 say what a default means.

use serde_json::Value;

use super::install::{REPLACEMENT, V4_LIST, V4_MASK, V6_LIST, V6_MASK, texts};
use crate::core::{
    codes::upgrade::{
        ENCAPSULATION_CHANGE, IPAM_MODE_CHANGE, LIVE_CHANGE_FORBIDDEN, MASK_SIZE_CHANGE, POOL_ELEMENT_CHANGED,
    },
    facts::cidr,
    plan::{
        tree,
        upgrade::{
            Compatibility, Frozen, Moved, NewDefault, Retired, Rules, Settings, Translated, Vital, appended,
            differing,
        },
    },
};

const IPAM: &str = "https://docs.cilium.io/en/stable/network/concepts/ipam/";
const CLUSTER_POOL: &str = "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/";
const UPGRADE: &str = "https://docs.cilium.io/en/stable/operations/upgrade/";
const ROUTING: &str = "https://docs.cilium.io/en/stable/network/concepts/routing/";
const READ: &str = "2026-10";

/// The rules.
pub(super) static RULES: Rules = Rules {
    compatibility: Some(Compatibility {
        key: "upgradeCompatibility",
        oldest: (1, 8),
    }),
    moved: MOVED,
    vital: &[
        Vital {
            key: "ipam.operator.clusterPoolIPv4PodCIDR",
            instead: V4_LIST,
        },
        Vital {
            key: "ipam.operator.clusterPoolIPv6PodCIDR",
            instead: V6_LIST,
        },
    ],
    frozen: FROZEN,
    defaults: DEFAULTS,
    retired: &[Retired {
        kind: "CiliumBGPPeeringPolicy",
        crd: "ciliumbgppeeringpolicies.cilium.io",
        since: (1, 19),
        concerns: |values| tree::is_true(values, "bgpControlPlane.enabled"),
        instead: "CiliumBGPClusterConfig and CiliumBGPPeerConfig",
        source: UPGRADE,
        read: READ,
    }],
    definitions: Some("Cilium's operator brings the CustomResourceDefinitions of cilium.io to its own level"),
};

/// What was renamed without a change of meaning, and what later versions always do.
const MOVED: &[Moved] = &[
    Moved {
        key: "enableCiliumEndpointSlice",
        since: (1, 18),
        translate: |value, _| Translated::As("ciliumEndpointSlice.enabled", value.clone()),
    },
    Moved {
        key: "encryption.strictMode.enabled",
        since: (1, 20),
        translate: |value, _| Translated::As("encryption.strictMode.egress.enabled", value.clone()),
    },
    Moved {
        key: "encryption.strictMode.cidr",
        since: (1, 20),
        translate: |value, _| Translated::As("encryption.strictMode.egress.cidr", value.clone()),
    },
    Moved {
        key: "encryption.strictMode.allowRemoteNodeIdentities",
        since: (1, 20),
        translate: |value, _| {
            Translated::As(
                "encryption.strictMode.egress.allowRemoteNodeIdentities",
                value.clone(),
            )
        },
    },
    Moved {
        key: "clustermesh.enableMCSAPISupport",
        since: (1, 20),
        translate: |value, _| Translated::As("clustermesh.mcsapi.enabled", value.clone()),
    },
    Moved {
        key: "l2podAnnouncements.interface",
        since: (1, 19),
        // The pattern is a regular expression; an interface's name is its own but for the dots of VLANs.
        translate: |value, _| match value.as_str() {
            Some(name) => Translated::As(
                "l2podAnnouncements.interfacePattern",
                format!("^{}$", name.replace('.', "\\.")).into(),
            ),
            None => Translated::Lost,
        },
    },
    Moved {
        key: "externalIPs",
        since: (1, 17),
        translate: |value, runs| part_of_replacement(value.get("enabled"), runs),
    },
    Moved {
        key: "hostPort",
        since: (1, 18),
        translate: |value, runs| part_of_replacement(value.get("enabled"), runs),
    },
    Moved {
        key: "nodePort.enabled",
        since: (1, 19),
        translate: |value, runs| part_of_replacement(Some(value), runs),
    },
    Moved {
        key: "enableRuntimeDeviceDetection",
        since: (1, 18),
        translate: |value, _| always_on(value),
    },
    Moved {
        key: "svcSourceRangeCheck",
        since: (1, 19),
        translate: |value, _| always_on(value),
    },
];

/// What kube-proxy's replacement brings along, and what was off stays off.
fn part_of_replacement(value: Option<&Value>, runs: &Value) -> Translated {
    let on = value.is_some_and(truth);
    if !on {
        Translated::Needless("it was off")
    } else if replaces(runs) == "true" {
        Translated::Needless("kubeProxyReplacement brings it along")
    } else {
        Translated::Lost
    }
}

fn always_on(value: &Value) -> Translated {
    if truth(value) {
        Translated::Needless("it is always on")
    } else {
        Translated::Lost
    }
}

fn truth(value: &Value) -> bool {
    *value == Value::Bool(true) || value.as_str() == Some("true")
}

const FROZEN: &[Frozen] = &[
    Frozen {
        what: "the IPAM mode",
        key: "ipam.mode",
        configured: "ipam",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, ipam),
        code: &IPAM_MODE_CHANGE,
        why: "the new allocator does not know the addresses of pods that run",
        source: IPAM,
        read: READ,
    },
    Frozen {
        what: "the IPv4 pool",
        key: V4_LIST,
        configured: "cluster-pool-ipv4-cidr",
        within: "",
        grows: true,
        changed: |old, new| appended(pool(old, V4_LIST), pool(new, V4_LIST)),
        code: &POOL_ELEMENT_CHANGED,
        why: "nodes have blocks of what is there; only adding at the end is possible",
        source: CLUSTER_POOL,
        read: READ,
    },
    Frozen {
        what: "the IPv6 pool",
        key: V6_LIST,
        configured: "cluster-pool-ipv6-cidr",
        within: "",
        grows: true,
        changed: |old, new| appended(pool(old, V6_LIST), pool(new, V6_LIST)),
        code: &POOL_ELEMENT_CHANGED,
        why: "nodes have blocks of what is there; only adding at the end is possible",
        source: CLUSTER_POOL,
        read: READ,
    },
    Frozen {
        what: "the size of IPv4 blocks",
        key: V4_MASK,
        configured: "cluster-pool-ipv4-mask-size",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| mask(s, V4_MASK, V4_LIST)),
        code: &MASK_SIZE_CHANGE,
        why: "the blocks that nodes have do not fit into another grid",
        source: CLUSTER_POOL,
        read: READ,
    },
    Frozen {
        what: "the size of IPv6 blocks",
        key: V6_MASK,
        configured: "cluster-pool-ipv6-mask-size",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| mask(s, V6_MASK, V6_LIST)),
        code: &MASK_SIZE_CHANGE,
        why: "the blocks that nodes have do not fit into another grid",
        source: CLUSTER_POOL,
        read: READ,
    },
    Frozen {
        what: "the routing mode",
        key: "routingMode",
        configured: "routing-mode",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(routing(s).into())),
        code: &ENCAPSULATION_CHANGE,
        why: "nodes of the old and the new kind do not understand each other's packets",
        source: ROUTING,
        read: READ,
    },
    Frozen {
        what: "the encapsulation",
        key: "tunnelProtocol",
        configured: "tunnel-protocol",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| tunnel(s).map(Into::into)),
        code: &ENCAPSULATION_CHANGE,
        why: "nodes of the old and the new kind do not understand each other's packets",
        source: ROUTING,
        read: READ,
    },
    Frozen {
        what: "the port of the encapsulation",
        key: "tunnelPort",
        configured: "tunnel-port",
        within: "",
        grows: false,
        // Another protocol has another port: that is told once.
        changed: |old, new| differing(old, new, port).filter(|_| tunnel(old) == tunnel(new)),
        code: &ENCAPSULATION_CHANGE,
        why: "nodes of the old and the new kind do not hear each other, nor may firewalls between them",
        source: ROUTING,
        read: READ,
    },
    Frozen {
        what: "the family of the encapsulation's own addresses",
        key: "underlayProtocol",
        configured: "underlay-protocol",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "underlayProtocol", "ipv4"))),
        code: &ENCAPSULATION_CHANGE,
        why: "nodes of the old and the new kind do not hear each other",
        source: ROUTING,
        read: READ,
    },
    Frozen {
        what: "the cluster's name",
        key: "cluster.name",
        configured: "cluster-name",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "cluster.name", "default"))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "identities and policies carry the name, and agents with either do not agree on them",
        source: UPGRADE,
        read: READ,
    },
    Frozen {
        what: "the cluster's number",
        key: "cluster.id",
        configured: "cluster-id",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "cluster.id", "0"))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "every identity is built from it: pods would have to be made anew, all at once",
        source: "https://docs.cilium.io/en/stable/network/clustermesh/clustermesh/",
        read: READ,
    },
    Frozen {
        what: "where identities are kept",
        key: "identityAllocationMode",
        configured: "identity-allocation-mode",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "identityAllocationMode", "crd"))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "agents with either give other numbers to the same pods, and policies drop their traffic",
        source: UPGRADE,
        read: READ,
    },
    Frozen {
        what: "IPv4 for pods",
        key: "ipv4.enabled",
        configured: "enable-ipv4",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "ipv4.enabled", "true"))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "pods that run keep the families that they were made with",
        source: UPGRADE,
        read: READ,
    },
    Frozen {
        what: "IPv6 for pods",
        key: "ipv6.enabled",
        configured: "enable-ipv6",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "ipv6.enabled", "false"))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "pods that run keep the families that they were made with",
        source: UPGRADE,
        read: READ,
    },
    Frozen {
        what: "the kind of the pods' interfaces",
        key: "bpf.datapathMode",
        configured: "datapath-mode",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(word(s, "bpf.datapathMode", "veth"))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "pods that run keep the interfaces that they have, which agents of the other kind do not serve",
        source: "https://docs.cilium.io/en/stable/operations/performance/tuning/",
        read: READ,
    },
    Frozen {
        what: "the encryption between nodes",
        key: "encryption.type",
        configured: "",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(encryption(s))),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "while agents are replaced, one side encrypts and the other does not expect it",
        source: "https://docs.cilium.io/en/stable/security/network/encryption/",
        read: READ,
    },
    Frozen {
        what: "whether kube-proxy is replaced",
        key: REPLACEMENT,
        configured: "kube-proxy-replacement",
        within: "",
        grows: false,
        changed: |old, new| differing(old, new, |s| Some(replaces(s.values).into())),
        code: &LIVE_CHANGE_FORBIDDEN,
        why: "connections through Services break on each node, and where kube-proxy is gone too, Services lead nowhere",
        source: "https://docs.cilium.io/en/stable/network/kubernetes/kubeproxy-free/",
        read: READ,
    },
];

/// A scalar as text; the chart's default where there is none, or an empty one.
fn word(settings: &Settings<'_>, key: &str, default: &str) -> String {
    match tree::at(settings.values, key) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        _ => default.to_string(),
    }
}

/// The mode that the chart writes. With `aksbyocni.enabled` that is cluster-pool whatever `ipam.mode` says up to 1.18;
/// later charts write none for a mode that they do not know there, which its own finding refuses.
fn ipam(settings: &Settings<'_>) -> Option<String> {
    let mode = word(settings, "ipam.mode", "cluster-pool");
    if !tree::is_true(settings.values, "aksbyocni.enabled") {
        return Some(mode);
    }
    let later = settings.minor.is_none_or(|m| m >= (1, 19));
    match mode.as_str() {
        "cluster-pool" => Some(mode),
        "multi-pool" if later => Some(mode),
        _ if later => None,
        _ => Some("cluster-pool".into()),
    }
}

/// The elements of a pool, where blocks are cut from it.
fn pool(settings: &Settings<'_>, key: &str) -> Option<Vec<String>> {
    let family = if key == V6_LIST {
        word(settings, "ipv6.enabled", "false")
    } else {
        word(settings, "ipv4.enabled", "true")
    };
    let cut = ipam(settings).as_deref() == Some("cluster-pool") && family == "true";
    // Host bits do not make another network.
    let plain = |text: &String| cidr::parse(text).map_or_else(|| text.clone(), |net| net.to_string());
    cut.then(|| texts(tree::at(settings.values, key)).iter().map(plain).collect())
}

fn mask(settings: &Settings<'_>, key: &str, list: &str) -> Option<String> {
    pool(settings, list)?;
    let chart = if key == V6_MASK { "120" } else { "24" };
    Some(word(settings, key, chart))
}

/// GKE's mode routes natively, and ENI's from 1.19 on; everything else goes through a tunnel where nothing is said.
fn routing(settings: &Settings<'_>) -> &'static str {
    let values = settings.values;
    let later = settings.minor.is_none_or(|m| m >= (1, 19));
    let native = tree::is_true(values, "gke.enabled") || (later && tree::is_true(values, "eni.enabled"));
    match tree::text(values, "routingMode") {
        Some("native") => "native",
        Some(_) => "tunnel",
        None if native => "native",
        None => "tunnel",
    }
}

fn tunnel<'s>(settings: &Settings<'s>) -> Option<&'s str> {
    (routing(settings) == "tunnel").then(|| tree::text(settings.values, "tunnelProtocol").unwrap_or("vxlan"))
}

/// 0 is the protocol's own port.
fn port(settings: &Settings<'_>) -> Option<String> {
    let protocol = tunnel(settings)?;
    Some(match word(settings, "tunnelPort", "0").as_str() {
        "0" if protocol == "geneve" => "6081".into(),
        "0" => "8472".into(),
        port => port.into(),
    })
}

fn encryption(settings: &Settings<'_>) -> String {
    if tree::is_true(settings.values, "encryption.enabled") {
        word(settings, "encryption.type", "ipsec")
    } else {
        "none".into()
    }
}

fn replaces(values: &Value) -> &'static str {
    if tree::is_true(values, REPLACEMENT) {
        "true"
    } else {
        "false"
    }
}

const DEFAULTS: &[NewDefault] = &[
    NewDefault {
        key: "clustermesh.policyDefaultLocalCluster",
        since: (1, 19),
        concerns: |values| {
            tree::is_true(values, "clustermesh.useAPIServer")
                || tree::is_true(values, "clustermesh.config.enabled")
        },
        follows: "policies that name no cluster no longer let pods of other clusters in",
        source: UPGRADE,
        read: READ,
    },
    NewDefault {
        key: "authentication.enabled",
        since: (1, 19),
        concerns: |values| tree::is_true(values, "authentication.mutual.spire.enabled"),
        follows: "policies that ask for mutual authentication let nothing through",
        source: UPGRADE,
        read: READ,
    },
    NewDefault {
        key: "l2NeighDiscovery.enabled",
        since: (1, 18),
        concerns: |_| true,
        follows: "agents no longer look for the neighbours' hardware addresses themselves; the kernel does",
        source: UPGRADE,
        read: READ,
    },
];
