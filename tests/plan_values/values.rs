//! The values of each CNI, and what they forbid.

use kubectl_byocni::core::cni::cilium::CILIUM;
use serde_json::{Value, json};

use crate::{Cluster, cilium};

fn page(name: &str, text: String) {
    insta::with_settings!({
        snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true
    }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn an_ordinary_cluster_needs_no_flag() {
    let fresh = Cluster::fresh();
    page("fresh-cilium", fresh.cilium(&[], &[]).clean().page());
    page("fresh-calico", fresh.calico(&[], &[]).clean().page());
    page("fresh-flannel", fresh.flannel(&[], &[]).page());
    let kubeadm = Cluster::kubeadm();
    page("kubeadm-cilium", kubeadm.cilium(&[], &[]).clean().page());
    page("kubeadm-calico", kubeadm.calico(&[], &[]).clean().page());
    page("kubeadm-flannel", kubeadm.flannel(&[], &[]).clean().page());
}

/// Every taint key that nothing but pressure, cordons or start-up puts on a node is left alone.
#[test]
fn the_operator_bears_the_taints_of_system_pools() {
    let taints = json!({"spec": {"taints": [
        {"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]}});
    let fresh = Cluster::fresh();
    let names = fresh.names("Node");
    let tainted = Cluster::fresh()
        .patched("Node", &names[0], taints.clone())
        .patched("Node", &names[1], taints.clone())
        .patched("Node", &names[2], json!({"spec": {"taints": []}}));
    let planned = tainted.cilium(&[], &[]).clean();
    let list = planned.value("operator.tolerations");
    let keys: Vec<&str> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|t| t["key"].as_str())
        .collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(
        list[4],
        json!({"key": "CriticalAddonsOnly", "operator": "Equal", "value": "true", "effect": "NoSchedule"})
    );
    assert_eq!(
        planned.reason("operator.tolerations"),
        "cluster: the chart's and CriticalAddonsOnly (a system pool's own)"
    );
    // Up to 1.17 the chart's operator bears everything.
    let old = tainted.draft(&CILIUM, &cilium("1.17.18"), &[], &[]);
    assert_eq!(old.value("operator.tolerations"), Value::Null);
    // A user pool's own taint is its owner's business.
    let other = json!({"spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}});
    let plain = json!({"spec": {"taints": []}});
    let user = Cluster::fresh()
        .every("Node", plain.clone())
        .patched("Node", &names[2], other);
    assert_eq!(
        user.cilium(&[], &[]).clean().value("operator.tolerations"),
        Value::Null
    );
    // What only a CNI takes away must be borne by what comes before the CNI.
    let base = Cluster::fresh().cilium(&[], &[]);
    assert!(
        base.reason("operator.tolerations")
            .contains("network-unavailable"),
        "{}",
        base.page()
    );
    assert_eq!(
        Cluster::fresh()
            .every("Node", plain)
            .cilium(&[], &[])
            .value("operator.tolerations"),
        Value::Null
    );
}

#[test]
fn operators_are_as_many_as_nodes_can_run() {
    for (nodes, replicas) in [(1, 1), (2, 2), (50, 2)] {
        let planned = Cluster::fresh()
            .nodes(nodes, "250")
            .cilium(&["10.240.0.0/14"], &[]);
        assert_eq!(planned.value("operator.replicas"), json!(replicas), "{nodes}");
    }
    let names = Cluster::fresh().names("Node");
    let cordoned = Cluster::fresh()
        .patched("Node", &names[0], json!({"spec": {"unschedulable": true}}))
        .patched("Node", &names[1], json!({"spec": {"unschedulable": true}}));
    assert_eq!(cordoned.cilium(&[], &[]).value("operator.replicas"), json!(1));
    assert_eq!(
        Cluster::fresh()
            .cilium(&[], &["operator.replicas=3"])
            .value("operator.replicas"),
        json!(3)
    );
}

/// Acceptance scenarios 20 and 21.
#[test]
fn kube_proxy_is_replaced_where_it_is_absent_or_the_user_asks() {
    let set = |cluster: &Cluster, sets: &[&str]| {
        let planned = cluster.cilium(&["10.240.0.0/16"], sets);
        let value = |key| planned.value(key).as_str().unwrap_or("-").to_string();
        let kpr = planned.value("kubeProxyReplacement");
        let kpr = kpr
            .as_bool()
            .map_or_else(|| value("kubeProxyReplacement"), |b| b.to_string());
        let found = format!("{kpr} {} {}", value("k8sServiceHost"), value("k8sServicePort"));
        let blocking: Vec<String> = planned.blocking().into_iter().map(str::to_string).collect();
        (found, blocking)
    };
    let api = "network-abc.hcp.westeurope.azmk8s.io 443";
    let runs = Cluster::fresh();
    assert_eq!(set(&runs, &[]), ("- - -".into(), vec![]));
    assert_eq!(
        set(&runs, &["kubeProxyReplacement=true"]),
        (format!("true {api}"), vec![])
    );
    // windows-kube-proxy-initializer is left, with no node to run on.
    let absent = || {
        Cluster::fresh()
            .without("DaemonSet", "kube-proxy")
            .every("Pod", json!({"metadata": {"name": "gone"}}))
    };
    assert_eq!(set(&absent(), &[]), (format!("true {api}"), vec![]));
    let required = vec!["api-host-required".to_string()];
    for (server, sets) in [
        ("https://127.0.0.1:6443", vec![]),
        ("https://localhost:6443", vec![]),
        ("https://10.0.0.1:443", vec![]),
        ("https://kubernetes.default.svc:443", vec![]),
        ("https://api.example:443", vec!["k8sServiceHost=10.0.0.1"]),
        ("https://api.example:443", vec!["k8sServiceHost=localhost"]),
    ] {
        assert_eq!(
            set(&absent().server(server), &sets).1,
            required,
            "{server} {sets:?}"
        );
    }
    for sets in [
        vec!["k8sServiceHost=api.example,k8sServicePort=6443"],
        vec!["k8sServiceHost=auto"],
        vec!["k8sServiceHostRef.name=endpoint,k8sServiceHostRef.key=host"],
    ] {
        let (found, blocking) = set(&absent().server("https://127.0.0.1:1"), &sets);
        assert!(blocking.is_empty(), "{sets:?} {found} {blocking:?}");
    }
    // Static pods, or a distribution that embeds it, are not to be seen: unknown is not absent.
    let unknown = absent().every("Node", json!({"status": {"nodeInfo": {"kubeletVersion": "v1.34.1+k3s1"}}, "metadata": {"labels": {"kubernetes.azure.com/cluster": null}}}));
    let planned = unknown
        .server("https://10.10.0.4:6443")
        .cilium(&["10.240.0.0/16"], &[]);
    assert_eq!(
        planned.value("kubeProxyReplacement"),
        Value::Null,
        "{}",
        planned.page()
    );
}

/// Acceptance scenarios 15, 16 and 17.
#[test]
fn values_that_do_harm_are_refused() {
    for (sets, slug, words) in [
        (
            "ipam.mode=kubernetes",
            "aksbyocni-ipam-mode",
            "ipam.mode=kubernetes",
        ),
        ("ipam.mode=azure", "aksbyocni-ipam-mode", "ipam.mode=azure"),
        (
            "routingMode=native",
            "encapsulation-unsupported",
            "routingMode=native",
        ),
        (
            "autoDirectNodeRoutes=true",
            "encapsulation-unsupported",
            "autoDirectNodeRoutes",
        ),
        (
            "aksByoCni.enabled=true",
            "value-unknown",
            "(nearest: aksbyocni.enabled)",
        ),
        (
            "hubble.relay.enable=true",
            "value-unknown",
            "(nearest: hubble.relay.enabled)",
        ),
        ("tunnel=vxlan", "value-removed", "routingMode and tunnelProtocol"),
        (
            "ipam.operator.clusterPoolIPv4PodCIDR=10.99.0.0/16",
            "value-removed",
            "clusterPoolIPv4PodCIDRList",
        ),
        (
            "cluster.name=a-name-that-is-far-too-long-for-it",
            "value-invalid",
            "cluster.name",
        ),
        ("cluster.name=Prod", "value-invalid", "cluster.name=Prod"),
        ("kubeProxyReplacement=strict", "value-invalid", "strict"),
        (
            "ipam.operator.clusterPoolIPv4PodCIDRList={10.99/16}",
            "value-invalid",
            "10.99/16",
        ),
        (
            "ipam.operator.clusterPoolIPv4MaskSize=240",
            "value-invalid",
            "240",
        ),
    ] {
        let planned = Cluster::fresh().cilium(&[], &[sets]);
        assert!(
            planned.blocking().contains(&slug),
            "{sets}: {:?}",
            planned.slugs()
        );
        let (message, _) = planned.said(slug);
        assert!(message.contains(words), "{sets}: {message}");
    }
    for version in ["1.16.19", "1.17.18", "1.18.12", "1.19.6", "1.20.0"] {
        let planned = Cluster::fresh().draft(&CILIUM, &cilium(version), &[], &["ipam.mode=kubernetes"]);
        assert!(planned.blocking().contains(&"aksbyocni-ipam-mode"), "{version}");
    }
}

#[test]
fn ordinary_wishes_are_granted() {
    for sets in [
        "cluster.name=prod-west",
        "kubeProxyReplacement=false",
        "routingMode=tunnel,tunnelProtocol=geneve",
        "hubble.relay.enabled=true,extraConfig.anything=x",
        "aksbyocni.enabled=true,ipam.mode=cluster-pool",
        "operator.tolerations[0].operator=Exists",
        "tunnel=null,aksByoCni=null",
    ] {
        let planned = Cluster::fresh().cilium(&[], &[sets]);
        assert!(planned.blocking().is_empty(), "{sets}: {}", planned.page());
    }
    let multi = "ipam.mode=multi-pool,ipam.operator.autoCreateCiliumPodIPPools.default.ipv4.cidrs={10.99.0.0/16},ipam.operator.autoCreateCiliumPodIPPools.default.ipv4.maskSize=25";
    let planned = Cluster::fresh().cilium(&[], &[multi]);
    assert!(planned.blocking().is_empty(), "{}", planned.page());
    assert_eq!(planned.pools(), "10.99.0.0/16 /25");
    let old = Cluster::fresh().draft(&CILIUM, &cilium("1.18.12"), &[], &[multi]);
    assert_eq!(old.blocking(), ["aksbyocni-ipam-mode"]);
}

/// Its chart writes the key of the ConfigMap twice else, which readers of YAML refuse.
#[test]
fn the_tunnel_protocol_is_left_to_the_chart_of_1_16() {
    let of = |version: &str, cluster: Cluster| {
        let planned = cluster.draft(&CILIUM, &cilium(version), &[], &[]).clean();
        (
            planned.value("tunnelProtocol"),
            planned.reason("tunnelProtocol").contains("UDP 8472"),
        )
    };
    assert_eq!(
        of("1.16.19", Cluster::kubeadm().kubernetes("v1.30.2")),
        (json!("vxlan"), true)
    );
    assert_eq!(
        of("1.16.19", Cluster::fresh().kubernetes("v1.30.2")),
        (Value::Null, true)
    );
    assert_eq!(of("1.17.18", Cluster::fresh()), (json!("vxlan"), true));
}

/// Acceptance scenario 19.
#[test]
fn ipvs_blocks_the_versions_that_hang_on_it() {
    let ipvs = Cluster::fresh().proxy(&["--cluster-cidr=10.244.0.0/16", "--proxy-mode=ipvs"]);
    for (version, blocked) in [
        ("1.18.12", false),
        ("1.19.4", true),
        ("1.19.6", true),
        ("1.20.0", false),
    ] {
        let planned = ipvs.draft(&CILIUM, &cilium(version), &[], &[]);
        assert_eq!(
            planned.blocking().contains(&"kube-proxy-ipvs"),
            blocked,
            "{version}"
        );
    }
    let around = ipvs.cilium(&[], &["extraConfig.enable-k8s-host-firewall-bypass=false"]);
    assert!(around.blocking().is_empty(), "{:?}", around.slugs());
    let (message, _) = (ipvs.cilium(&[], &[]).0.findings[0].message.clone(), ());
    assert!(message.contains("issues/44464"), "{message}");
    let nftables = Cluster::fresh().proxy(&["--cluster-cidr=10.244.0.0/16", "--proxy-mode=nftables"]);
    nftables.cilium(&[], &[]).clean();
    // kubeadm writes it into a ConfigMap, empty for the default.
    let written = |mode: &str| {
        let text = format!("clusterCIDR: 10.244.0.0/16\nmode: \"{mode}\"\n");
        Cluster::kubeadm().patched("ConfigMap", "kube-proxy", json!({"data": {"config.conf": text}}))
    };
    assert_eq!(written("ipvs").cilium(&[], &[]).blocking(), ["kube-proxy-ipvs"]);
    written("").cilium(&[], &[]).clean();
}

#[test]
fn what_azure_does_not_carry_is_refused_for_every_cni() {
    let pool = "installation.calicoNetwork.ipPools[0].cidr=10.99.0.0/16";
    for (sets, wrong) in [
        ("installation.calicoNetwork.bgp=Enabled".to_string(), true),
        (
            format!("{pool},installation.calicoNetwork.ipPools[0].encapsulation=IPIP"),
            true,
        ),
        (
            format!("{pool},installation.calicoNetwork.ipPools[0].encapsulation=VXLANCrossSubnet"),
            true,
        ),
        (pool.to_string(), true),
        (
            format!("{pool},installation.calicoNetwork.ipPools[0].encapsulation=VXLAN"),
            false,
        ),
    ] {
        let planned = Cluster::fresh().calico(&[], &[&sets]);
        let blocked = planned.blocking().contains(&"encapsulation-unsupported");
        assert_eq!(blocked, wrong, "{sets}: {}", planned.page());
    }
    let elsewhere = Cluster::kubeadm().calico(&[], &["installation.calicoNetwork.bgp=Enabled"]);
    assert!(elsewhere.blocking().is_empty());
    let native = Cluster::kubeadm().cilium(&[], &["routingMode=native,ipv4NativeRoutingCIDR=10.0.0.0/8"]);
    assert!(!native.blocking().contains(&"encapsulation-unsupported"));
}

#[test]
fn values_of_the_users_are_shown_only_where_rules_look_at_them() {
    let planned = Cluster::fresh().cilium(&[], &["hubble.tls.ca.key=hunter2,tunnelProtocol=geneve"]);
    let page = planned.page();
    assert!(!page.contains("hunter2"), "{page}");
    assert!(
        page.contains("hubble.tls.ca.key=(not shown)  user: given by the user"),
        "{page}"
    );
    assert!(
        page.contains("tunnelProtocol=\"geneve\"  user: given by the user; this plan would have vxlan"),
        "{page}"
    );
    assert_eq!(
        planned.value("hubble.tls.ca.key"),
        json!("hunter2"),
        "Helm gets it all the same"
    );
    let invalid = Cluster::fresh().cilium(&[], &["cluster.name=A\u{1b}[31m"]);
    assert!(!invalid.page().contains('\u{1b}'));
}

/// The order of what was asked decides nothing.
#[test]
fn the_same_cluster_gives_the_same_draft() {
    let mut cluster = Cluster::fresh();
    let first = cluster
        .cilium(&[], &["hubble.relay.enabled=true", "cluster.name=a"])
        .page();
    cluster.objects.reverse();
    assert_eq!(
        first,
        cluster
            .cilium(&[], &["cluster.name=a", "hubble.relay.enabled=true"])
            .page()
    );
}
