//! Where the pool comes from, and what it must not touch.

use ipnet::IpNet;
use kubectl_byocni::core::{
    cni::cilium::CILIUM,
    facts::{Asked, Facts, cidr},
    plan::pool::{Cutting, Demand, propose},
};
use proptest::prelude::*;
use serde_json::json;

use crate::{Cluster, Drafted};

fn proposed(drafted: &Drafted, slug: &str) -> String {
    let (message, fix) = drafted.said(slug);
    let pool = fix.split("--pod-cidr ").nth(1);
    pool.unwrap_or_else(|| panic!("{message} / {fix}")).to_string()
}

/// Acceptance scenarios 5 and 6.
#[test]
fn a_pool_is_never_guessed_unseen() {
    // kube-proxy's range is good.
    assert_eq!(
        Cluster::fresh().cilium(&[], &[]).clean().pools(),
        "10.244.0.0/16 /24"
    );
    // It says nothing: refused, with a pool that is free.
    let silent = Cluster::fresh().proxy(&["--v=3"]);
    let planned = silent.cilium(&[], &[]);
    assert_eq!(planned.blocking(), ["pool-required"]);
    assert_eq!(proposed(&planned, "pool-required"), "10.244.0.0/16");
    assert_eq!(planned.pools(), " /");
    // It says something that is taken.
    for (cidr, words) in [
        ("10.0.0.0/8", "service range 10.0.0.0/16"),
        ("10.224.0.0/16", "InternalIPs of 3 nodes"),
        ("172.30.0.0/16", "AKS keeps it for itself"),
        ("10.244.0.0/24", "has 1 node block of /24"),
    ] {
        let flag = format!("--cluster-cidr={cidr}");
        let planned = Cluster::fresh().proxy(&[&flag]).cilium(&[], &[]);
        assert_eq!(planned.blocking(), ["pool-required"], "{cidr}");
        let (message, _) = planned.said("pool-required");
        assert!(message.contains(words), "{message}");
        assert_eq!(proposed(&planned, "pool-required"), "10.244.0.0/16", "{cidr}");
    }
    let kept = Cluster::fresh().reserved(&["10.244.0.0/14"]).cilium(&[], &[]);
    assert_eq!(proposed(&kept, "pool-required"), "10.248.0.0/16");
}

#[test]
fn what_is_given_is_checked_and_kept() {
    for (pools, wanted) in [
        (&["10.240.0.0/16"][..], "10.240.0.0/16 /24"),
        (&["10.240.3.4/16", "10.240.0.0/16"], "10.240.0.0/16 /24"),
        (
            &["10.240.0.0/16", "10.241.0.0/16"],
            "10.240.0.0/16,10.241.0.0/16 /24,/24",
        ),
    ] {
        let planned = Cluster::fresh()
            .without("DaemonSet", "kube-proxy")
            .cilium(pools, &[]);
        assert!(planned.blocking().is_empty(), "{}", planned.page());
        assert_eq!(planned.pools(), wanted);
    }
    for (pool, slug) in [
        ("10.0.0.0/8", "pod-cidr-overlaps-service-cidr"),
        ("10.0.64.0/18", "pod-cidr-overlaps-service-cidr"),
        ("10.224.0.0/24", "pod-cidr-overlaps-node-network"),
        ("172.31.4.0/22", "pool-reserved"),
        ("127.0.0.0/16", "pool-reserved"),
        ("224.0.0.0/8", "pool-reserved"),
        ("fd00::/104", "pool-family-mismatch"),
        ("10.240.0.0/24", "pool-too-small"),
    ] {
        let planned = Cluster::fresh().cilium(&[pool], &[]);
        assert!(
            planned.blocking().contains(&slug),
            "{pool}: {:?}",
            planned.slugs()
        );
        let own = planned
            .0
            .findings
            .iter()
            .find(|f| f.code.slug == slug)
            .expect(slug);
        assert!(
            own.fix.ends_with("install cilium --pod-cidr 10.244.0.0/16"),
            "{}",
            own.fix
        );
    }
    let twice = Cluster::fresh().cilium(&["10.240.0.0/16", "10.240.128.0/17"], &[]);
    assert!(twice.blocking().contains(&"pod-cidr-overlaps-itself"));
    let told = Cluster::fresh()
        .reserved(&["10.240.0.0/13"])
        .cilium(&["10.240.0.0/16"], &[]);
    assert!(told.blocking().contains(&"pod-cidr-overlaps-node-network"));
}

#[test]
fn values_name_pools_too() {
    let list = "ipam.operator.clusterPoolIPv4PodCIDRList={10.240.0.0/16}";
    let planned = Cluster::fresh().cilium(&[], &[list]);
    assert!(planned.blocking().is_empty(), "{}", planned.page());
    assert_eq!(planned.pools(), "10.240.0.0/16 /24");
    let text = Cluster::fresh().cilium(
        &[],
        &["ipam.operator.clusterPoolIPv4PodCIDRList=10.240.0.0/16 10.250.0.0/16"],
    );
    assert_eq!(text.pools(), "10.240.0.0/16,10.250.0.0/16 /24,/24");
    assert!(
        Cluster::fresh()
            .cilium(&["10.240.0.0/16"], &[list])
            .blocking()
            .is_empty()
    );
    assert_eq!(
        Cluster::fresh().cilium(&["10.241.0.0/16"], &[list]).blocking(),
        ["pool-conflict"]
    );
    let bad = Cluster::fresh().cilium(&[], &["ipam.operator.clusterPoolIPv4PodCIDRList={10.0.0.0/8}"]);
    assert!(bad.blocking().contains(&"pod-cidr-overlaps-service-cidr"));
    let calico = "installation.calicoNetwork.ipPools[0].cidr=10.240.0.0/16,installation.calicoNetwork.ipPools[0].encapsulation=VXLAN";
    assert_eq!(
        Cluster::fresh().calico(&[], &[calico]).pools(),
        "10.240.0.0/16 /26"
    );
    assert_eq!(
        Cluster::kubeadm()
            .flannel(&[], &["podCidr=10.244.0.0/14"])
            .pools(),
        "10.244.0.0/14 /24"
    );
}

/// Acceptance scenario 8.
#[test]
fn a_pool_holds_every_node_and_those_of_an_upgrade() {
    let many = Cluster::fresh().nodes(300, "250");
    let planned = many.cilium(&["10.244.0.0/20"], &[]);
    assert_eq!(planned.blocking(), ["pool-too-small"]);
    let (message, fix) = planned.said("pool-too-small");
    assert!(
        message.contains("16 node blocks of /24 for 300 nodes (and 30 more"),
        "{message}"
    );
    assert!(fix.ends_with("--pod-cidr 10.244.0.0/14"), "{fix}");
    // Fewer pods a node, smaller blocks.
    let small = Cluster::fresh().nodes(300, "110").cilium(&["10.244.0.0/16"], &[]);
    assert_eq!(
        (small.blocking(), small.pools()),
        (vec![], "10.244.0.0/16 /25".to_string())
    );
    // What the user asks for is told and kept.
    let asked = Cluster::fresh().cilium(&[], &["ipam.operator.clusterPoolIPv4MaskSize=26"]);
    assert_eq!(
        (asked.slugs(), asked.pools()),
        (vec!["node-block-too-small"], "10.244.0.0/16 /26".to_string())
    );
    let wide = Cluster::fresh()
        .nodes(300, "110")
        .cilium(&["10.244.0.0/16"], &["ipam.operator.clusterPoolIPv4MaskSize=24"]);
    assert_eq!(wide.blocking(), ["pool-too-small"]);
    let crowded = Cluster::fresh().nodes(3, "500").cilium(&[], &[]);
    assert_eq!(crowded.pools(), "10.244.0.0/16 /23");
    assert!(
        crowded
            .reason("ipam.operator.clusterPoolIPv4MaskSize")
            .contains("holds the 500 pods")
    );
}

#[test]
fn services_that_are_known_by_their_addresses_only_reach_further() {
    // Without ServiceCIDR objects 10.0.0.0/28 is all that can be seen.
    let guessed = || Cluster::fresh().without("ServiceCIDR", "kubernetes");
    assert_eq!(guessed().cilium(&[], &[]).clean().pools(), "10.244.0.0/16 /24");
    let near = guessed()
        .proxy(&["--cluster-cidr=10.0.128.0/17"])
        .cilium(&[], &[]);
    assert_eq!(near.blocking(), ["pool-required"], "{}", near.page());
}

#[test]
fn nodes_without_kube_proxy_name_a_network_too() {
    let bare = || Cluster::kubeadm().without("DaemonSet", "kube-proxy");
    let planned = bare().cilium(&[], &[]);
    assert_eq!(planned.pools(), "10.244.0.0/16 /24", "{}", planned.page());
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
        "data": {"ClusterConfiguration": "networking:\n  dnsDomain: cluster.local\n  podSubnet: 10.244.0.0/15\n"}});
    let told = match bare().names("ConfigMap").contains(&"kubeadm-config".to_string()) {
        true => bare().patched("ConfigMap", "kubeadm-config", config),
        false => bare().with(config),
    };
    assert_eq!(told.flannel(&[], &[]).pools(), "10.244.0.0/15 /24");
}

/// Acceptance scenario 12.
#[test]
fn flannel_takes_the_nodes_blocks_or_says_why_not() {
    let none = Cluster::fresh().flannel(&[], &[]);
    assert_eq!(none.blocking(), ["node-pod-cidr-missing"]);
    let (message, fix) = none.said("node-pod-cidr-missing");
    assert!(
        message.contains("pod cidr not assigned") && message.contains("AKS BYOCNI assigns no podCIDRs"),
        "{message}"
    );
    assert!(fix.contains("install cilium"));
    let good = Cluster::kubeadm();
    assert_eq!(
        good.flannel(&["10.244.0.0/16"], &[]).clean().pools(),
        "10.244.0.0/16 /24"
    );
    let outside = good.flannel(&["10.200.0.0/16"], &[]);
    assert_eq!(outside.blocking(), ["pool-misses-nodes"]);
    assert!(
        outside
            .said("pool-misses-nodes")
            .1
            .ends_with("--pod-cidr 10.244.0.0/16")
    );
    let names = good.names("Node");
    let lost = Cluster::kubeadm().patched(
        "Node",
        &names[1],
        json!({"spec": {"podCIDR": "", "podCIDRs": []}}),
    );
    assert_eq!(lost.flannel(&[], &[]).blocking(), ["node-pod-cidr-missing"]);
    // One that has just joined gets its own in a moment, where others have theirs.
    let joined = good.capture().taken_at - jiff::SignedDuration::from_secs(20);
    let joined = json!({"metadata": {"creationTimestamp": joined.to_string()}});
    let joining = lost.patched("Node", &names[1], joined.clone());
    assert!(
        joining.flannel(&[], &[]).blocking().is_empty(),
        "{}",
        joining.flannel(&[], &[]).page()
    );
    let all = Cluster::fresh().every("Node", joined);
    assert_eq!(all.flannel(&[], &[]).blocking(), ["node-pod-cidr-missing"]);
    // kube-proxy's range holds some only: the nodes' own network does.
    let odd = Cluster::kubeadm().patched(
        "ConfigMap",
        "kube-proxy",
        json!({"data": {"config.conf": "clusterCIDR: 10.244.0.0/23\n"}}),
    );
    assert_eq!(odd.flannel(&[], &[]).pools(), "10.244.0.0/16 /24");
    let kubernetes = Cluster::kubeadm().cilium(&[], &["ipam.mode=kubernetes"]);
    assert!(kubernetes.blocking().is_empty(), "{}", kubernetes.page());
    assert_eq!(kubernetes.pools(), "10.244.0.0/16 /");
}

#[test]
fn both_families_where_the_cluster_has_both() {
    let names = Cluster::fresh().names("Node");
    let mut both = Cluster::fresh().proxy(&["--cluster-cidr=10.244.0.0/16,fd00:10:244::/64"]);
    for (n, name) in names.iter().enumerate() {
        let addresses = json!([{"type": "InternalIP", "address": format!("10.224.0.{}", n + 4)}, {"type": "InternalIP", "address": format!("fd00:1::{}", n + 4)}]);
        both = both.patched("Node", name, json!({"status": {"addresses": null}}));
        both = both.patched("Node", name, json!({"status": {"addresses": addresses}}));
    }
    let planned = both.cilium(&[], &[]);
    assert!(planned.blocking().is_empty(), "{}", planned.page());
    assert_eq!(planned.pools(), "10.244.0.0/16,fd00:10:244::/64 /24,/80");
    assert_eq!(planned.value("ipv6.enabled"), json!(true));
    assert_eq!(
        planned.value("ipam.operator.clusterPoolIPv6PodCIDRList"),
        json!(["fd00:10:244::/64"])
    );
    // Nodes with IPv4 alone take no IPv6 pool, though kube-proxy names one.
    let one = Cluster::fresh().proxy(&["--cluster-cidr=10.244.0.0/16,fd00:10:244::/64"]);
    assert_eq!(one.cilium(&[], &[]).pools(), "10.244.0.0/16 /24");
}

fn net() -> impl Strategy<Value = IpNet> {
    let private = prop_oneof![
        Just(10u32 << 24),
        Just(172 << 24 | 16 << 16),
        Just(192 << 24 | 168 << 16)
    ];
    (private, any::<u32>(), 8u8..=28).prop_map(|(base, rest, prefix)| {
        let ip = base | (rest & 0x000f_ffff);
        IpNet::V4(ipnet::Ipv4Net::new(ip.into(), prefix).expect("a prefix")).trunc()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever kube-proxy, services, nodes and reserved networks are: a pool that is planned touches none of them, and
    /// one that is proposed is accepted.
    #[test]
    fn pools_stay_apart(proxy in net(), service in net(), node in any::<[u8; 2]>(), reserved in proptest::collection::vec(net(), 0..3), count in 1u32..60) {
        let flag = format!("--cluster-cidr={proxy}");
        let mut cluster = Cluster::fresh().nodes(count, "250").proxy(&[&flag])
            .patched("ServiceCIDR", "kubernetes", json!({"spec": {"cidrs": [service.to_string()]}}));
        let first = cluster.names("Node").remove(0);
        let address = format!("10.{}.{}.9", node[0], node[1]);
        cluster = cluster.patched("Node", &first, json!({"status": {"addresses": [{"type": "InternalIP", "address": address}]}}));
        cluster.reserved = reserved.clone();
        let planned = cluster.cilium(&[], &[]);
        let pools = if planned.0.pools.is_empty() {
            let (_, fix) = planned.said("pool-required");
            let Some(pool) = fix.split("--pod-cidr ").nth(1) else { return Ok(()) };
            let again = cluster.cilium(&[pool], &[]);
            prop_assert!(again.blocking().is_empty(), "{} {}", pool, again.page());
            again.0.pools
        } else {
            prop_assert!(planned.blocking().is_empty());
            planned.0.pools
        };
        for pool in pools {
            prop_assert!(!cidr::overlap(pool, service) && !reserved.iter().any(|r| cidr::overlap(pool, *r)));
            prop_assert!(!pool.contains(&address.parse::<std::net::IpAddr>().expect("an address")));
            let capture = cluster.capture();
            let asked = Asked::default();
            let facts = Facts::of(&capture, &asked);
            let inside = facts.nodes.iter().flat_map(|n| &n.internal_ips).any(|ip| pool.contains(ip));
            prop_assert!(!inside);
        }
    }
}

#[test]
fn a_proposal_is_as_large_as_the_nodes_need() {
    let capture = Cluster::fresh().capture();
    let asked = Asked::default();
    let facts = Facts::of(&capture, &asked);
    let cutting = CILIUM.installing.expect("installing").cutting;
    for (nodes, wanted) in [
        (3, "10.244.0.0/16"),
        (120, "10.244.0.0/16"),
        (5000, "10.128.0.0/10"),
    ] {
        let demand = Demand {
            nodes,
            surge: nodes.div_ceil(10).max(1),
            max_pods: Some(250),
        };
        let pool = propose(&facts, cutting, &demand).map(|p| p.to_string());
        assert_eq!(pool.as_deref(), Some(wanted), "{nodes}");
    }
    let shared = Cutting::Shared { default: [26, 122] };
    let demand = Demand {
        nodes: 3,
        surge: 1,
        max_pods: Some(250),
    };
    assert_eq!(
        propose(&facts, shared, &demand).map(|p| p.to_string()).as_deref(),
        Some("10.244.0.0/16")
    );
}
