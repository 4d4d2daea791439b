//! The control-plane tier itself: what the harness plays is what a cluster shows.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;

use std::time::{Duration, Instant};

use clusters::{Behaviour, ControlPlane, FakeKubelet, Options, Which, aks, kubeadm, required_or_skip};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);
const NODES: &str = "/api/v1/nodes";
const FRESH: &str = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
    message:Network plugin returns error: cni plugin not initialized";

/// As small as an agent can be that a kubelet knows for Cilium's.
const CILIUM: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data: {ipam: cluster-pool, cluster-pool-ipv4-cidr: 10.42.0.0/16, cluster-pool-ipv4-mask-size: "25"}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system, labels: {k8s-app: cilium}}
spec:
  selector: {matchLabels: {k8s-app: cilium}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 2}}
  template:
    metadata: {labels: {k8s-app: cilium}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      initContainers: [{name: config, image: "quay.io/cilium/cilium:v1.20.0"}]
      containers: [{name: cilium-agent, image: "quay.io/cilium/cilium:v1.20.0"}]
"#;

fn fresh_aks(nodes: usize) -> Option<(ControlPlane, FakeKubelet)> {
    fresh_aks_with(aks::options(), nodes)
}

fn fresh_aks_with(options: Options, nodes: usize) -> Option<(ControlPlane, FakeKubelet)> {
    let plane = required_or_skip("control-plane", ControlPlane::start(options))?;
    let kubelet = aks::start(&plane, nodes);
    Some((plane, kubelet))
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn named<'a>(list: &'a Value, prefix: &str) -> Vec<&'a Value> {
    let name = |item: &&Value| {
        item["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .starts_with(prefix)
    };
    items(list).iter().filter(name).collect()
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready")["status"] == "True"
}

fn ready_is(status: &str) -> Value {
    serde_json::json!({"status": {"conditions": [{"type": "Ready", "status": status}]}})
}

fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// The agent's pod on a node, once it looks as expected.
fn agent(plane: &ControlPlane, node: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let on_node = |list: &Value| {
        named(list, "cilium-")
            .into_iter()
            .find(|pod| pod["spec"]["nodeName"] == node)
            .cloned()
    };
    let list = plane.wait_for(what, SOON, &pods("kube-system"), |list| {
        on_node(list).is_some_and(|pod| holds(&pod))
    });
    on_node(&list).expect("it was there a moment ago")
}

#[test]
fn a_fresh_aks_cluster_waits_for_a_cni_and_comes_alive_with_one() {
    let begin = Instant::now();
    let Some((plane, _kubelet)) = fresh_aks(3) else {
        return;
    };
    assert!(
        begin.elapsed() < Duration::from_secs(60),
        "up only after {:?}",
        begin.elapsed()
    );

    let nodes = plane.wait_for("kube-proxy runs everywhere", SOON, &pods("kube-system"), |list| {
        let proxies = named(list, "kube-proxy");
        proxies.len() == 3 && proxies.iter().all(|pod| is_ready(pod))
    });
    for pod in named(&nodes, "kube-proxy") {
        assert_eq!(pod["status"]["podIP"], pod["status"]["hostIP"]);
    }
    let nodes = plane.get(NODES).expect("nodes");
    assert_eq!(items(&nodes).len(), 3);
    for node in items(&nodes) {
        let ready = condition(node, "Ready");
        assert_eq!(
            (&ready["status"], &ready["reason"]),
            (&"False".into(), &"KubeletNotReady".into())
        );
        assert_eq!(ready["message"], FRESH);
        assert_eq!(node["spec"]["podCIDR"], Value::Null);
        assert_eq!(node["spec"]["taints"][0]["key"], "node.kubernetes.io/not-ready");
        assert!(
            node["spec"]["providerID"]
                .as_str()
                .is_some_and(|id| id.starts_with("azure:///"))
        );
    }
    let fresh = plane.get(&pods("kube-system")).expect("pods");
    for pod in named(&fresh, "coredns-") {
        assert_eq!(pod["status"]["phase"], "Pending");
        assert_eq!(pod["spec"]["nodeName"], Value::Null);
    }
    let windows = "/apis/apps/v1/namespaces/kube-system/daemonsets/windows-kube-proxy-initializer";
    assert_eq!(
        plane.get(windows).expect("AKS has it")["status"]["desiredNumberScheduled"],
        0
    );
    let dns = plane
        .get("/api/v1/namespaces/kube-system/services/kube-dns")
        .expect("a service");
    assert_eq!(dns["spec"]["clusterIP"], "10.0.0.10");
    let metrics = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";
    plane.wait_for("no metrics without a network", SOON, metrics, |api| {
        condition(api, "Available")["status"] == "False"
    });

    plane.apply(CILIUM);
    plane.wait_for("nodes Ready and untainted", SOON, NODES, |list| {
        items(list)
            .iter()
            .all(|node| is_ready(node) && node["spec"]["taints"].is_null())
    });
    let list = plane.wait_for("CoreDNS Running", SOON, &pods("kube-system"), |list| {
        let dns = named(list, "coredns-");
        dns.len() == 3 && dns.iter().all(|pod| is_ready(pod))
    });
    for pod in named(&list, "coredns-") {
        let node = pod["spec"]["nodeName"].as_str().expect("scheduled");
        let path = format!("/apis/cilium.io/v2/ciliumnodes/{node}");
        let block = plane.get(&path).expect("a CiliumNode")["spec"]["ipam"]["podCIDRs"][0].clone();
        let block: ipnet::IpNet = block.as_str().expect("a block").parse().expect("a CIDR");
        assert_eq!(block.prefix_len(), 25);
        let ip: std::net::IpAddr = pod["status"]["podIP"]
            .as_str()
            .expect("an IP")
            .parse()
            .expect("an address");
        assert!(block.contains(&ip), "{ip} is not in {node}'s {block}");
    }
    for node in items(&plane.get(NODES).expect("nodes")) {
        assert_eq!(condition(node, "NetworkUnavailable")["reason"], "CiliumIsUp");
    }
    assert_eq!(plane.get(metrics), None, "its API has no hole any more");
    let slices = plane
        .get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices")
        .expect("slices");
    assert_eq!(
        items(&slices).len(),
        1,
        "the kubernetes service has its endpoints"
    );
}

#[test]
fn each_failure_shows_as_a_kubelet_would_show_it() {
    let Some((plane, kubelet)) = fresh_aks(6) else {
        return;
    };
    let node = |number: usize| {
        aks::nodes(6)[number]["metadata"]["name"]
            .as_str()
            .expect("a name")
            .to_owned()
    };
    kubelet.set(&node(1), Behaviour::ImagePull);
    kubelet.set(&node(2), Behaviour::CrashLoop { exit_code: 137 });
    kubelet.set(&node(3), Behaviour::NeverReady);
    kubelet.set(&node(4), Behaviour::Slow(Duration::from_secs(6)));
    plane.apply(CILIUM);

    let state = |pod: &Value| pod["status"]["containerStatuses"][0].clone();
    agent(&plane, &node(0), "healthy", is_ready);
    let slow = agent(&plane, &node(4), "slow: running", |pod| {
        pod["status"]["phase"] == "Running"
    });
    assert!(!is_ready(&slow));
    let pulling = agent(&plane, &node(1), "image", |pod| {
        pod["status"]["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    });
    assert_eq!(state(&pulling)["state"]["waiting"]["reason"], "PodInitializing");
    assert_eq!(pulling["status"]["phase"], "Pending");
    let crashing = agent(&plane, &node(2), "crash loop", |pod| {
        let status = state(pod);
        status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            && status["restartCount"].as_i64() >= Some(2)
    });
    assert_eq!(state(&crashing)["lastState"]["terminated"]["exitCode"], 137);
    assert_eq!(crashing["status"]["phase"], "Running");
    let unready = agent(&plane, &node(3), "never ready", |pod| {
        !state(pod)["state"]["running"].is_null()
    });
    assert_eq!(condition(&unready, "Ready")["reason"], "ContainersNotReady");
    agent(&plane, &node(4), "slow: ready in the end", is_ready);

    let nodes = plane.get(NODES).expect("nodes");
    let ready = |name: &str| is_ready(named(&nodes, name)[0]);
    assert!(ready(&node(0)) && !ready(&node(1)) && !ready(&node(2)) && !ready(&node(3)));
    let events = plane
        .get("/api/v1/namespaces/kube-system/events")
        .expect("events");
    for reason in ["Failed", "BackOff", "Unhealthy"] {
        assert!(
            items(&events).iter().any(|event| event["reason"] == reason),
            "no event {reason}"
        );
    }

    // What is repaired recovers; an agent that fails later leaves its node Ready, and tainted.
    kubelet.set(&node(1), Behaviour::Healthy);
    kubelet.set(&node(2), Behaviour::Healthy);
    kubelet.set(&node(3), Behaviour::Healthy);
    plane.wait_for("all nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    kubelet.set(&node(0), Behaviour::CrashLoop { exit_code: 1 });
    let nodes = plane.wait_for("the taint is back", SOON, NODES, |list| {
        let taints = &named(list, &node(0))[0]["spec"]["taints"];
        taints[0]["key"] == "node.cilium.io/agent-not-ready"
    });
    assert!(is_ready(named(&nodes, &node(0))[0]));

    // Another image that cannot be pulled, rolled out: two agents at a time are replaced, then it stands still.
    kubelet.set(&node(0), Behaviour::Healthy);
    kubelet.set_everywhere(Which::Image("v1.20.9".to_owned()), Behaviour::ImagePull);
    plane.wait_for("all agents ready", SOON, &pods("kube-system"), |list| {
        let agents = named(list, "cilium-");
        agents.len() == 6 && agents.iter().all(|pod| is_ready(pod))
    });
    plane.apply(&CILIUM.replace("v1.20.0", "v1.20.9"));
    let agents = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";
    plane.wait_for("the rollout is stuck", SOON, agents, |set| {
        set["status"]["updatedNumberScheduled"] == 2 && set["status"]["numberReady"] == 4
    });
}

#[test]
fn a_lost_node_becomes_unknown_and_comes_back() {
    let options = Options {
        node_grace: Duration::from_secs(8),
        ..aks::options()
    };
    let Some((plane, kubelet)) = fresh_aks_with(options, 2) else {
        return;
    };
    plane.apply(CILIUM);
    plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    let lost = aks::nodes(2)[1]["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let path = format!("{NODES}/{lost}");
    kubelet.set(&lost, Behaviour::Lost);
    plane.wait_for("the node is Unknown", Duration::from_secs(60), &path, |node| {
        condition(node, "Ready")["status"] == "Unknown"
    });
    assert!(
        items(&plane.get(NODES).expect("nodes")).iter().any(is_ready),
        "the other one is still there"
    );
    kubelet.set(&lost, Behaviour::Healthy);
    plane.wait_for("the node is back", SOON, &path, is_ready);

    // What the controller of nodes writes late, of a node that is back, does not stay.
    let all = plane.get(&pods("kube-system")).expect("pods");
    let pod = named(&all, "kube-proxy")[0];
    let path = format!(
        "{}/{}",
        pods("kube-system"),
        pod["metadata"]["name"].as_str().expect("a name")
    );
    let (status, late) = (format!("{path}/status"), ready_is("False"));
    plane
        .ask(|client| async move {
            clusters::Objects::new(client)
                .merge_conditions(&status, &late)
                .await
        })
        .expect("written");
    plane.wait_for("the kubelet reports it anew", SOON, &path, is_ready);
}

#[test]
fn flannel_lives_on_the_podcidrs_that_kubeadm_gives() {
    let flannel = r#"
apiVersion: v1
kind: Namespace
metadata: {name: kube-flannel}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data: {net-conf.json: '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}'}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  selector: {matchLabels: {app: flannel}}
  template:
    metadata: {labels: {app: flannel}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      containers: [{name: kube-flannel, image: "ghcr.io/flannel-io/flannel:v0.28.4"}]
"#;
    let started = ControlPlane::start(kubeadm::options());
    let Some(plane) = required_or_skip("control-plane", started) else {
        return;
    };
    let kubelet = kubeadm::start(&plane, 2);
    plane.apply(flannel);
    let nodes = plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    for node in items(&nodes) {
        assert!(
            node["spec"]["podCIDR"]
                .as_str()
                .is_some_and(|cidr| cidr.starts_with("10.244."))
        );
        assert!(node["metadata"]["annotations"]["flannel.alpha.coreos.com/public-ip"].is_string());
    }
    plane.wait_for("CoreDNS Running", SOON, &pods("kube-system"), |list| {
        named(list, "coredns-").iter().all(|pod| is_ready(pod))
    });

    // A Network that does not contain the nodes' blocks: agents crash, and every node stays Ready.
    plane.apply(
        &flannel
            .replace("10.244.0.0/16", "10.99.0.0/16")
            .replace("v0.28.4", "v0.28.3"),
    );
    plane.wait_for("an agent crashes", SOON, &pods("kube-flannel"), |list| {
        items(list).iter().any(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
    });
    assert!(items(&plane.get(NODES).expect("nodes")).iter().all(is_ready));

    kubelet.add_node(kubeadm::node(7));
    plane.wait_for("one node more", SOON, NODES, |list| items(list).len() == 3);
    kubelet.remove_node("node-8");
    plane.wait_for("gone again", SOON, NODES, |list| items(list).len() == 2);
}

#[test]
fn an_operator_brings_calico() {
    let Some((plane, _kubelet)) = fresh_aks(2) else {
        return;
    };
    plane.apply(
        r#"
apiVersion: v1
kind: Namespace
metadata: {name: tigera-operator}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tigera-operator, namespace: tigera-operator}
spec:
  selector: {matchLabels: {k8s-app: tigera-operator}}
  template:
    metadata: {labels: {k8s-app: tigera-operator}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      containers: [{name: tigera-operator, image: "quay.io/tigera/operator:v1.42.1"}]
---
apiVersion: operator.tigera.io/v1
kind: Installation
metadata: {name: default}
spec: {calicoNetwork: {ipPools: [{cidr: 10.48.0.0/16, encapsulation: VXLAN}]}}
"#,
    );
    plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    let pool = plane
        .get("/apis/crd.projectcalico.org/v1/ippools/default-ipv4-ippool")
        .expect("a pool");
    assert_eq!(pool["spec"]["cidr"], "10.48.0.0/16");
    plane.wait_for(
        "Calico available",
        SOON,
        "/apis/operator.tigera.io/v1/tigerastatuses/calico",
        |status| condition(status, "Available")["status"] == "True",
    );
    let list = plane.wait_for("CoreDNS Running", SOON, &pods("kube-system"), |list| {
        named(list, "coredns-").iter().all(|pod| is_ready(pod))
    });
    for pod in named(&list, "coredns-") {
        assert!(
            pod["status"]["podIP"]
                .as_str()
                .is_some_and(|ip| ip.starts_with("10.48."))
        );
    }
}

#[test]
fn a_user_has_the_rights_that_rbac_gives() {
    let options = Options {
        audit: true,
        ..Options::default()
    };
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(options)) else {
        return;
    };
    plane.apply(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}]
"#,
    );
    let kubeconfig = plane.kubeconfig_for("Jo Doe", &["staff", "readers"]);
    let (pods, nodes) = plane.ask(|_| async move {
        let client = clusters::control_plane::client_from(&kubeconfig)
            .await
            .expect("a client");
        let objects = clusters::Objects::new(client);
        (objects.get("/api/v1/pods").await, objects.get(NODES).await)
    });
    assert!(pods.is_ok(), "{pods:?}");
    assert!(
        nodes.is_err_and(|reason| reason.starts_with("403")),
        "view cannot list nodes"
    );
    let audit = std::fs::read_to_string(plane.dir().join("audit.log")).expect("an audit log");
    assert!(
        audit.contains("clusterrolebindings/readers"),
        "writes are in the audit log"
    );
}
