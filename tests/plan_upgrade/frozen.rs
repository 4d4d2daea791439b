//! What must not change while pods run.

use kubectl_byocni::core::plan::tree;
use serde_json::json;

use crate::{Case, small};

fn cilium() -> Case {
    Case::cilium("1.18.12", "1.19.6")
}

/// Every change that is forbidden, with what its message says.
#[test]
fn what_agents_must_agree_on_does_not_change() {
    const LIST: &str = "ipam.operator.clusterPoolIPv4PodCIDRList";
    for (set, slug, says) in [
        (
            "aksbyocni.enabled=false,ipam.mode=kubernetes",
            "ipam-mode-change",
            "from cluster-pool to kubernetes",
        ),
        (
            "ipam.mode=multi-pool",
            "ipam-mode-change",
            "from cluster-pool to multi-pool",
        ),
        (
            "ipam.operator.clusterPoolIPv4PodCIDRList={10.245.0.0/16}",
            "pool-element-changed",
            "from 10.244.0.0/16 to 10.245.0.0/16",
        ),
        (
            "ipam.operator.clusterPoolIPv4PodCIDRList={10.245.0.0/16,10.244.0.0/16}",
            "pool-element-changed",
            "from 10.244.0.0/16 to 10.245.0.0/16, 10.244.0.0/16",
        ),
        (
            "ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.0/15}",
            "pool-element-changed",
            "to 10.244.0.0/15",
        ),
        (
            "ipam.operator.clusterPoolIPv4PodCIDRList=null",
            "pool-element-changed",
            "to none",
        ),
        (
            "ipam.operator.clusterPoolIPv4MaskSize=25",
            "mask-size-change",
            "from 24 to 25",
        ),
        (
            "aksbyocni.enabled=false,routingMode=native",
            "encapsulation-change",
            "from tunnel to native",
        ),
        (
            "tunnelProtocol=geneve",
            "encapsulation-change",
            "from vxlan to geneve",
        ),
        ("tunnelPort=8473", "encapsulation-change", "from 8472 to 8473"),
        (
            "underlayProtocol=ipv6",
            "encapsulation-change",
            "from ipv4 to ipv6",
        ),
        (
            "cluster.name=other",
            "live-change-forbidden",
            "from default to other",
        ),
        ("cluster.id=7", "live-change-forbidden", "from 0 to 7"),
        (
            "identityAllocationMode=kvstore",
            "live-change-forbidden",
            "from crd to kvstore",
        ),
        (
            "ipv4.enabled=false",
            "live-change-forbidden",
            "from true to false",
        ),
        ("ipv6.enabled=true", "live-change-forbidden", "from false to true"),
        (
            "bpf.datapathMode=netkit",
            "live-change-forbidden",
            "from veth to netkit",
        ),
        (
            "encryption.enabled=true,encryption.type=wireguard",
            "live-change-forbidden",
            "from none to wireguard",
        ),
        (
            "kubeProxyReplacement=true,k8sServiceHost=network-abc.hcp.westeurope.azmk8s.io",
            "live-change-forbidden",
            "from false to true",
        ),
    ] {
        let draft = cilium().set(set).draft();
        assert!(draft.blocking().contains(&slug), "{set}: {:?}", draft.all());
        let (message, fix) = draft.said(slug);
        assert!(message.contains(says), "{set}: {message}");
        assert!(
            fix.starts_with("leave out ") || set.contains("encryption"),
            "{set}: {fix}"
        );
    }
    // Adding at the end is possible, and the new pool is planned.
    let more = cilium()
        .set(&format!("{LIST}={{10.244.0.0/16,10.246.0.0/16}}"))
        .draft();
    assert!(
        !more.slugs().contains(&"pool-element-changed"),
        "{:?}",
        more.all()
    );
    assert_eq!(more.0.pools.len(), 2);
}

/// Defaults that are written differently mean the same: saying them is no change.
#[test]
fn what_means_the_same_raises_no_alarm() {
    for set in [
        "routingMode=tunnel,tunnelProtocol=vxlan",
        "tunnelPort=8472",
        "tunnelPort=0",
        "cluster.name=default,cluster.id=0",
        "identityAllocationMode=crd,bpf.datapathMode=veth",
        "kubeProxyReplacement=false",
        "ipv4.enabled=true,ipv6.enabled=false",
        "ipam.mode=cluster-pool",
        "ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.1/16}",
        "encryption.enabled=false,encryption.type=wireguard",
        "underlayProtocol=ipv4",
    ] {
        let draft = cilium().set(set).draft();
        let forbidden = ["ipam", "pool", "mask", "encapsulation", "live"];
        let raised: Vec<&str> = draft
            .slugs()
            .into_iter()
            .filter(|slug| forbidden.iter().any(|f| slug.starts_with(f)))
            .collect();
        assert!(raised.is_empty(), "{set}: {:?}", draft.all());
    }
    // Up to 1.18 aksbyocni wrote cluster-pool whatever the mode said: multi-pool is a change only then.
    let case = Case::cilium("1.18.12", "1.19.6")
        .carried("ipam.mode=multi-pool")
        .draft();
    assert_eq!(
        case.said("ipam-mode-change").0.split(':').next(),
        Some("the IPAM mode (ipam.mode) would change from cluster-pool to multi-pool")
    );
}

#[test]
fn the_fix_names_what_keeps_the_old_value() {
    let mut case = cilium();
    tree::set(&mut case.chart.values, "tunnelProtocol", json!("geneve"));
    let draft = case.draft();
    let (_, fix) = draft.said("encapsulation-change");
    assert!(
        fix.starts_with("kubectl byocni upgrade --set-json 'tunnelProtocol="),
        "{fix}"
    );
}

#[test]
fn calicos_pools_are_repeated() {
    let case = || Case::calico_of(small::calico("v3.31.3"), small::calico("v3.32.1"));
    let draft = case().draft();
    assert!(draft.blocking().is_empty(), "{:?}", draft.all());
    assert_eq!(
        (draft.0.pools[0].to_string(), draft.0.masks.clone()),
        ("10.244.0.0/16".into(), vec![26])
    );
    const POOL: &str = r#""natOutgoing": "Enabled", "nodeSelector": "all()""#;
    let pools = |text: &str| {
        case()
            .set_json(&format!("installation.calicoNetwork.ipPools=[{text}]"))
            .draft()
    };
    let old = format!(r#"{{"cidr": "10.244.0.0/16", "blockSize": 26, "encapsulation": "VXLAN", {POOL}}}"#);
    let other = old.replace("10.244", "10.245");
    for (text, slug) in [
        (other.clone(), "pool-element-changed"),
        (format!("{other}, {old}"), "pool-element-changed"),
        (old.replace("26", "27"), "mask-size-change"),
        (old.replace("VXLAN", "IPIP"), "encapsulation-change"),
    ] {
        let draft = pools(&text);
        assert!(draft.blocking().contains(&slug), "{text}: {:?}", draft.all());
    }
    let more = pools(&format!("{old}, {other}"));
    assert!(more.blocking().is_empty(), "{:?}", more.all());
    for (set, slug) in [
        ("installation.calicoNetwork.bgp=Enabled", "encapsulation-change"),
        ("installation.cni.type=AzureVNET", "ipam-mode-change"),
        ("installation.cni.type=null", "ipam-mode-change"),
        ("installation.cni.ipam.type=HostLocal", "ipam-mode-change"),
    ] {
        let draft = case().set(set).draft();
        assert!(draft.blocking().contains(&slug), "{set}: {:?}", draft.all());
    }
    assert!(
        case()
            .set("installation.cni.ipam.type=Calico")
            .draft()
            .blocking()
            .is_empty()
    );
    // A release that names no pool: the operator made one, and naming that one is no change.
    let mut bare = case();
    tree::remove(&mut bare.from.values, "installation.calicoNetwork.ipPools");
    let draft = bare.draft();
    assert_eq!(draft.0.pools[0].to_string(), "10.244.0.0/16", "{:?}", draft.all());
    let named = bare
        .clone()
        .set_json(&format!("installation.calicoNetwork.ipPools=[{old}]"))
        .draft();
    assert!(
        !named.slugs().contains(&"pool-element-changed"),
        "{:?}",
        named.all()
    );
    let another = bare
        .set_json(&format!("installation.calicoNetwork.ipPools=[{other}]"))
        .draft();
    assert!(
        another.blocking().contains(&"pool-element-changed"),
        "{:?}",
        another.all()
    );
}

#[test]
fn flannels_network_and_backend_are_repeated() {
    let mut older = small::flannel();
    older.version = "v0.28.3".into();
    let case = || Case::flannel_of(older.clone(), small::flannel());
    let draft = case().draft();
    assert!(draft.blocking().is_empty(), "{:?}", draft.all());
    assert_eq!(
        (draft.0.pools[0].to_string(), draft.0.masks.clone()),
        ("10.244.0.0/16".into(), vec![24])
    );
    for (set, slug) in [
        ("podCidr=10.42.0.0/16", "pool-element-changed"),
        ("podCidr=null", "pool-element-changed"),
        ("flannel.backend=host-gw", "encapsulation-change"),
        ("flannel.backendPort=4789", "encapsulation-change"),
        ("flannel.vni=7", "encapsulation-change"),
        ("flannel.mtu=1400", "live-change-forbidden"),
    ] {
        let draft = case().set(set).draft();
        assert!(draft.blocking().contains(&slug), "{set}: {:?}", draft.all());
    }
    assert!(
        case()
            .set("flannel.backend=vxlan,podCidr=10.244.0.0/16")
            .draft()
            .blocking()
            .is_empty()
    );
    // A cluster of another network than the chart's default, whose release does not repeat it.
    let mut lost = case();
    lost.from.values = json!({});
    for object in lost
        .objects
        .iter_mut()
        .filter(|o| o["metadata"]["name"] == "kube-flannel-cfg")
    {
        object["data"]["net-conf.json"] =
            r#"{"Network": "10.42.0.0/16", "Backend": {"Type": "vxlan"}}"#.into();
    }
    let draft = lost.draft();
    let (message, _) = draft.said("pool-element-changed");
    assert!(message.contains("10.42.0.0/16"), "{message}");
}
