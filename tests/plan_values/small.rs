//! Small charts: as much of each as rules look at.

use kubectl_byocni::core::chart::Chart;
use serde_json::{Value, json};

/// Cilium's chart as far as rules look at it.
pub fn cilium(version: &str) -> Chart {
    let all = json!([{"operator": "Exists"}]);
    let five = json!([
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"},
        {"key": "node-role.kubernetes.io/master", "operator": "Exists"},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
        {"key": "node.cloudprovider.kubernetes.io/uninitialized", "operator": "Exists"},
    ]);
    let minor: u64 = version
        .split('.')
        .nth(1)
        .and_then(|m| m.parse().ok())
        .expect("a minor");
    chart(
        "cilium",
        version,
        json!({
            "aksbyocni": {"enabled": false}, "autoDirectNodeRoutes": false, "cluster": {"name": "default", "id": 0},
            "extraConfig": {}, "hubble": {"relay": {"enabled": false}, "tls": {"ca": {"key": ""}}},
            "ipam": {"mode": "cluster-pool", "operator": {
                "autoCreateCiliumPodIPPools": {},
                "clusterPoolIPv4PodCIDRList": ["10.0.0.0/8"], "clusterPoolIPv4MaskSize": 24,
                "clusterPoolIPv6PodCIDRList": ["fd00::/104"], "clusterPoolIPv6MaskSize": 120}},
            "ipv4": {"enabled": true}, "ipv6": {"enabled": false}, "k8sServiceHost": "", "k8sServicePort": "",
            "k8sServiceHostRef": {"name": null, "key": null}, "kubeProxyReplacement": "false",
            "operator": {"replicas": 2, "tolerations": if minor < 18 { all } else { five }},
            "routingMode": "", "tunnelProtocol": "", "upgradeCompatibility": null,
        }),
    )
}

pub fn calico(version: &str) -> Chart {
    chart(
        "tigera-operator",
        version,
        json!({
            "installation": {"enabled": true, "kubernetesProvider": ""}, "tolerations": [{"operator": "Exists"}],
            "kubernetesServiceEndpoint": {"host": "", "port": "6443"}, "tigeraOperator": {"image": "tigera/operator"},
        }),
    )
}

pub fn flannel() -> Chart {
    chart(
        "flannel",
        "v0.28.4",
        json!({
            "podCidr": "10.244.0.0/16", "podCidrv6": "", "flannel": {"backend": "vxlan", "args": []},
        }),
    )
}

fn chart(name: &str, version: &str, values: Value) -> Chart {
    Chart {
        name: name.into(),
        version: version.into(),
        app_version: version.into(),
        kube_version: Some(">= 1.21.0-0".into()),
        digest: "sha256:00".into(),
        source: "here".into(),
        values_text: serde_json::to_string(&values).expect("JSON"),
        values,
        schema: None,
        crds: vec![],
    }
}
