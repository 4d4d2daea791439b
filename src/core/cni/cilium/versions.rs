//! What is known of Cilium's versions: a row a fact, with its source and the day that it was read.

use super::install::{multi_pool, on_k3s};
use crate::core::{
    code::Change,
    plan::{
        keys::{Keys, Removed},
        version::{KnownBad, Tested},
    },
};

/// The Kubernetes versions that each release's documentation names as "e2e tested"; others depend on Kubernetes' own
/// compatibility. A minor without a row is one whose list was not found.
pub(super) const TESTED: &[Tested] = &[
    Tested {
        minor: (1, 16),
        kubernetes: ((1, 27), (1, 30)),
        source: "docs.cilium.io/en/v1.16/network/kubernetes/compatibility",
        read: "2026-10",
    },
    Tested {
        minor: (1, 18),
        kubernetes: ((1, 30), (1, 33)),
        source: "docs.cilium.io/en/v1.18/network/kubernetes/compatibility",
        read: "2026-10",
    },
    Tested {
        minor: (1, 19),
        kubernetes: ((1, 32), (1, 35)),
        source: "docs.cilium.io/en/v1.19/network/kubernetes/compatibility",
        read: "2026-10",
    },
];

/// Versions that do harm under a condition that can be tested.
pub(super) const KNOWN_BAD: &[KnownBad] = &[
    KnownBad {
        from: (1, 17, 7),
        below: (1, 18, 0),
        changes: &[Change::Install, Change::Upgrade],
        applies: multi_pool,
        effect: "one block can be handed to several nodes when a pool grows or is nearly exhausted",
        source: "https://github.com/cilium/cilium/issues/41986",
        read: "2026-10",
    },
    KnownBad {
        from: (1, 16, 5),
        below: (1, 16, 7),
        changes: &[Change::Upgrade],
        applies: on_k3s,
        effect: "some pods lose their network during the upgrade",
        source: "https://github.com/cilium/cilium/issues/37271",
        read: "2026-10",
    },
];

const fn gone(key: &'static str, since: (u64, u64), instead: &'static str) -> Removed {
    Removed { key, since, instead }
}

/// Read from the charts 1.16.19, 1.17.18, 1.18.12, 1.19.6 and 1.20.0, on 2026-11-21: what templates read and
/// `values.yaml` does not name, and what is no longer in either or fails the rendering.
pub(super) const KEYS: Keys = Keys {
    shown: &[
        "aksbyocni",
        "autoDirectNodeRoutes",
        "cluster.id",
        "cluster.name",
        "ipam.mode",
        "ipam.operator",
        "ipv4.enabled",
        "ipv4NativeRoutingCIDR",
        "ipv6.enabled",
        "ipv6NativeRoutingCIDR",
        "k8sServiceHost",
        "k8sServicePort",
        "kubeProxyReplacement",
        "operator.replicas",
        "operator.tolerations",
        "routingMode",
        "tunnelPort",
        "tunnelProtocol",
        "upgradeCompatibility",
    ],
    open: &[
        "clusterHealthPort",
        "clustermesh.disableKubernetesHostAliases",
        "cni.externalRouting",
        "extraConfig",
        "hubble.export.aggregationInterval",
        "iptablesRandomFully",
        "k8s.serviceProxyName",
        "loadBalancer.protocolDifferentiation",
        "monitor.eventTypes",
        "monitor.resources",
        "nodePort.directRoutingDevice",
        "nodeinit.revertReconfigureKubelet",
        "nonIdempotentAnnotations",
    ],
    removed: &[
        gone("tunnel", (1, 15), "routingMode and tunnelProtocol"),
        gone("enableK8sEventHandover", (1, 15), ""),
        gone("enableCnpStatusUpdates", (1, 15), ""),
        gone("containerRuntime", (1, 16), ""),
        gone("remoteNodeIdentity", (1, 16), ""),
        gone("endpointStatus", (1, 16), ""),
        gone("etcd.managed", (1, 16), ""),
        gone("encryption.keyFile", (1, 16), "encryption.ipsec.keyFile"),
        gone("encryption.mountPath", (1, 16), "encryption.ipsec.mountPath"),
        gone("encryption.secretName", (1, 16), "encryption.ipsec.secretName"),
        gone("encryption.interface", (1, 16), "encryption.ipsec.interface"),
        gone("proxy.prometheus", (1, 16), "envoy.prometheus"),
        // Fails up to 1.18; from 1.19 on it is ignored, and the pool is the chart's 10.0.0.0/8.
        gone(
            "ipam.operator.clusterPoolIPv4PodCIDR",
            (1, 14),
            "ipam.operator.clusterPoolIPv4PodCIDRList",
        ),
        gone(
            "ipam.operator.clusterPoolIPv6PodCIDR",
            (1, 14),
            "ipam.operator.clusterPoolIPv6PodCIDRList",
        ),
        gone("bgp", (1, 17), "bgpControlPlane"),
        gone("externalIPs", (1, 17), "kubeProxyReplacement"),
        gone("encryption.wireguard.userspaceFallback", (1, 17), ""),
        gone("hostPort", (1, 18), "kubeProxyReplacement"),
        gone("externalWorkloads", (1, 18), ""),
        gone("highScaleIPcache", (1, 18), ""),
        gone("enableRuntimeDeviceDetection", (1, 18), "always on"),
        gone(
            "enableCiliumEndpointSlice",
            (1, 18),
            "ciliumEndpointSlice.enabled",
        ),
        gone("ciliumEndpointSlice.sliceMode", (1, 18), ""),
        gone("hubble.relay.dialTimeout", (1, 18), ""),
        gone("loadBalancer.experimental", (1, 18), ""),
        gone("nodePort.enabled", (1, 19), "kubeProxyReplacement"),
        gone("svcSourceRangeCheck", (1, 19), "always on"),
        gone(
            "l2podAnnouncements.interface",
            (1, 19),
            "l2podAnnouncements.interfacePattern",
        ),
        gone("customCalls", (1, 19), ""),
        gone(
            "encryption.strictMode.enabled",
            (1, 20),
            "encryption.strictMode.egress.enabled",
        ),
        gone(
            "encryption.strictMode.cidr",
            (1, 20),
            "encryption.strictMode.egress.cidr",
        ),
        gone(
            "encryption.strictMode.allowRemoteNodeIdentities",
            (1, 20),
            "encryption.strictMode.egress.allowRemoteNodeIdentities",
        ),
        gone("encryption.ipsec.encryptedOverlay", (1, 20), ""),
        gone(
            "clustermesh.enableMCSAPISupport",
            (1, 20),
            "clustermesh.mcsapi.enabled",
        ),
        gone("clustermesh.apiserver.tls.server", (1, 20), ""),
        gone("clustermesh.apiserver.tls.admin", (1, 20), ""),
        gone("clustermesh.apiserver.tls.remote", (1, 20), ""),
        gone("preflight.tofqdnsPreCache", (1, 20), ""),
    ],
};
