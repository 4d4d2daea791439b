//! What happens to clusters, step by step on real nodes with plain helm. Each story calls `at_stage` with a stage's
//! name when the cluster has really reached it; what a stage means is said where it is reached.

use serde_json::Value;

use super::{CILIUM_VALUES, RealNodes, RealNodesOptions, all, condition, waiting_reasons};

const FLANNEL: &str = "flannel-v0.28.4.tgz";
const POOL: &str = "ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.0/16}";
const OTHER_POOL: &str = "ipam.operator.clusterPoolIPv4PodCIDRList={10.200.0.0/16}";
const CILIUM_NODES: &str = "/apis/cilium.io/v2/ciliumnodes";

/// Called at each stage of a story.
pub type AtStage<'a> = &'a mut dyn FnMut(&str, &RealNodes);

/// `fresh`, `flannel-crash`, `flannel-healthy`.
pub fn flannel(at_stage: AtStage) -> Result<(), String> {
    let cluster = RealNodes::start(RealNodesOptions {
        images: &["flannel"],
        helm: "helm4",
        ..Default::default()
    })?;
    expect_fresh(&cluster);
    at_stage("fresh", &cluster);

    install_flannel(&cluster, "10.50.0.0/16");
    expect_flannel_crash_loop(&cluster, "doesn't contain");
    at_stage("flannel-crash", &cluster);

    install_flannel(&cluster, "10.244.0.0/16");
    // Its pods mount the ConfigMap that has changed; new ones need not sit out the old ones' back-off.
    cluster.kubectl_ok(&["--namespace", "kube-flannel", "delete", "pods", "--all"]);
    cluster.wait_for_rollout("kube-flannel", "daemonsets/kube-flannel-ds", 60);
    cluster.wait_for_rollout("kube-system", "deployments/coredns", 120);
    cluster.expect_pods_to_talk(60);
    at_stage("flannel-healthy", &cluster);
    Ok(())
}

/// `flannel-no-podcidr`: flannel on a cluster whose nodes have no podCIDR, as on AKS BYOCNI.
pub fn flannel_without_node_cidrs(at_stage: AtStage) -> Result<(), String> {
    let options = RealNodesOptions {
        node_cidrs: false,
        images: &["flannel"],
        ..Default::default()
    };
    let cluster = RealNodes::start(options)?;
    install_flannel(&cluster, "10.244.0.0/16");
    expect_flannel_crash_loop(&cluster, "pod cidr not assigned");
    at_stage("flannel-no-podcidr", &cluster);
    Ok(())
}

/// `fresh-no-podcidr`, `cilium-image-pull-fresh`, `cilium-coming-up`, `cilium-1.19-healthy`, `cilium-config-changed`,
/// `cilium-1.20-healthy`, `cilium-image-pull`, `cilium-pool-changed`, `cilium-uninstalled`,
/// `cilium-uninstalled-new-pod`.
pub fn cilium(at_stage: AtStage) -> Result<(), String> {
    let images = &["cilium-v1.19.6", "cilium-v1.20.0"];
    let cluster = RealNodes::start(RealNodesOptions {
        node_cidrs: false,
        images,
        ..Default::default()
    })?;

    expect_fresh(&cluster);
    at_stage("fresh-no-podcidr", &cluster);

    // The first installation names an image that is nowhere.
    install_cilium(&cluster, "1.19.6", &[POOL, "image.tag=v1.19.66"]);
    expect_agents_without_image(&cluster);
    cluster.wait_for_ready(false, 10);
    at_stage("cilium-image-pull-fresh", &cluster);

    install_cilium(&cluster, "1.19.6", &[POOL]);
    cluster.wait_for_pods(
        "an agent's main container runs",
        "kube-system",
        "k8s-app=cilium",
        90,
        |pod| pod["status"]["containerStatuses"][0]["state"]["running"].is_object(),
    );
    at_stage("cilium-coming-up", &cluster);
    expect_cilium_healthy(&cluster);
    at_stage("cilium-1.19-healthy", &cluster);

    // The agents have read it at their start and do not look again.
    patch_cilium_config(&cluster, r#"{"data": {"tunnel-protocol": "geneve"}}"#);
    at_stage("cilium-config-changed", &cluster);
    patch_cilium_config(&cluster, r#"{"data": {"tunnel-protocol": "vxlan"}}"#);

    install_cilium(&cluster, "1.20.0", &[POOL]);
    expect_cilium_healthy(&cluster);
    at_stage("cilium-1.20-healthy", &cluster);

    // Two nodes and maxUnavailable 2: both agents go at once. Conf files stay, so nodes stay Ready.
    install_cilium(&cluster, "1.20.0", &[POOL, "image.tag=v1.20.66"]);
    expect_agents_without_image(&cluster);
    cluster.wait_for_ready(true, 10);
    at_stage("cilium-image-pull", &cluster);
    install_cilium(&cluster, "1.20.0", &[POOL]);
    expect_cilium_healthy(&cluster);

    install_cilium(&cluster, "1.20.0", &[OTHER_POOL]);
    // The operator reads its pools at its start; then it cannot place the blocks that the nodes have.
    cluster.kubectl_ok(&[
        "--namespace",
        "kube-system",
        "rollout",
        "restart",
        "deployment/cilium-operator",
    ]);
    cluster.wait_for(
        "the operator refuses the nodes' blocks",
        120,
        CILIUM_NODES,
        |nodes| {
            all(&nodes["items"], |node| {
                let error = node["status"]["ipam"]["operator-status"]["error"].as_str();
                error.is_some_and(|error| error.contains("allocator not configured for the requested CIDR"))
            })
        },
    );
    at_stage("cilium-pool-changed", &cluster);
    install_cilium(&cluster, "1.20.0", &[POOL]);
    cluster.kubectl_ok(&[
        "--namespace",
        "kube-system",
        "rollout",
        "restart",
        "deployment/cilium-operator",
    ]);
    cluster.wait_for(
        "the operator accepts the nodes' blocks",
        120,
        CILIUM_NODES,
        |nodes| {
            all(&nodes["items"], |node| {
                node["status"]["ipam"]["operator-status"]["error"]
                    .as_str()
                    .is_none_or(str::is_empty)
            })
        },
    );

    cluster.helm_ok(&["uninstall", "cilium", "--namespace", "kube-system", "--wait"]);
    cluster.wait_for(
        "no agent is left",
        60,
        "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dcilium",
        |pods| pods["items"].as_array().is_some_and(Vec::is_empty),
    );
    expect_left_behind(&cluster);
    at_stage("cilium-uninstalled", &cluster);
    cluster.kubectl_ok(&[
        "run",
        "newcomer",
        "--image=registry.k8s.io/e2e-test-images/agnhost:2.53",
    ]);
    let events = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dnewcomer";
    cluster.wait_for("no network for a new pod", 180, events, |events| {
        events["items"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["reason"] == "FailedCreatePodSandBox"))
    });
    expect_left_behind(&cluster);
    at_stage("cilium-uninstalled-new-pod", &cluster);
    Ok(())
}

/// Installs or changes the release `flannel`; `network` is where its pods live.
pub fn install_flannel(cluster: &RealNodes, network: &str) {
    cluster.install(
        "flannel",
        "kube-flannel",
        FLANNEL,
        &[&format!("podCidr={network}")],
    );
}

/// Installs or changes the release `cilium`.
pub fn install_cilium(cluster: &RealNodes, version: &str, values: &[&str]) {
    let mut all = vec![CILIUM_VALUES, "aksbyocni.enabled=true"];
    all.extend(values);
    cluster.install("cilium", "kube-system", &format!("cilium-{version}.tgz"), &all);
}

/// No CNI: no node is ready, for the reason that the container runtime gives, and CoreDNS waits for one that is.
pub fn expect_fresh(cluster: &RealNodes) {
    cluster.wait_for("nodes without a CNI", 30, "/api/v1/nodes", |nodes| {
        all(&nodes["items"], |node| {
            let ready = condition(node, "Ready");
            ready["status"] == "False"
                && ready["message"]
                    .as_str()
                    .is_some_and(|message| message.contains("cni plugin not initialized"))
        })
    });
    cluster.wait_for_rollout("kube-system", "daemonsets/kube-proxy", 60);
    cluster.wait_for_pods(
        "CoreDNS cannot be scheduled",
        "kube-system",
        "k8s-app=kube-dns",
        30,
        |pod| condition(pod, "PodScheduled")["reason"] == "Unschedulable",
    );
}

/// Flannel's agents end with this in their log, again and again, while all nodes are Ready (the conf file is there).
pub fn expect_flannel_crash_loop(cluster: &RealNodes, log: &str) {
    cluster.wait_for_pods(
        "flannel in a crash loop",
        "kube-flannel",
        "app=flannel",
        120,
        |pod| {
            let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
            restarts >= Some(2)
                && waiting_reasons(pod)
                    .iter()
                    .any(|reason| reason == "CrashLoopBackOff")
        },
    );
    cluster.wait_for_ready(true, 30);
    let said = cluster.kubectl_ok(&[
        "--namespace",
        "kube-flannel",
        "logs",
        "daemonset/kube-flannel-ds",
        "--tail=5",
    ]);
    assert!(said.contains(log), "flannel's log does not say {log:?}:\n{said}");
}

/// Agents and operator are ready, every node has a block, CoreDNS runs, and pods reach each other across nodes.
pub fn expect_cilium_healthy(cluster: &RealNodes) {
    cluster.wait_for_rollout("kube-system", "deployments/cilium-operator", 180);
    cluster.wait_for_rollout("kube-system", "daemonsets/cilium", 240);
    cluster.wait_for_ready(true, 60);
    cluster.wait_for("every node says CiliumIsUp", 60, "/api/v1/nodes", |nodes| {
        all(&nodes["items"], |node| {
            condition(node, "NetworkUnavailable")["reason"] == "CiliumIsUp"
        })
    });
    cluster.wait_for("every CiliumNode has a block", 60, CILIUM_NODES, |nodes| {
        all(&nodes["items"], |node| {
            node["spec"]["ipam"]["podCIDRs"][0].is_string()
        })
    });
    cluster.wait_for_rollout("kube-system", "deployments/coredns", 120);
    cluster.expect_pods_to_talk(120);
}

/// None of Cilium's agents runs because its image cannot be pulled.
fn expect_agents_without_image(cluster: &RealNodes) {
    cluster.wait_for_pods(
        "agents without an image",
        "kube-system",
        "k8s-app=cilium",
        120,
        |pod| {
            let reasons = waiting_reasons(pod);
            reasons
                .iter()
                .any(|reason| reason == "ImagePullBackOff" || reason == "ErrImagePull")
        },
    );
    let agents = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";
    cluster.wait_for("0 agents ready", 30, agents, |agents| {
        agents["status"]["numberReady"] == 0
    });
}

/// The release is gone, and nothing that the nodes say gives it away.
fn expect_left_behind(cluster: &RealNodes) {
    cluster.wait_for("nodes that believe in their CNI", 10, "/api/v1/nodes", |nodes| {
        all(&nodes["items"], |node| {
            condition(node, "Ready")["status"] == "True"
                && condition(node, "NetworkUnavailable")["reason"] == "CiliumIsUp"
        })
    });
    let running =
        |pod: &Value| pod["status"]["phase"] == "Running" && condition(pod, "Ready")["status"] == "True";
    cluster.wait_for_pods("old pods run", "default", "app=probe", 10, running);
    let releases = cluster.helm_ok(&["list", "--all-namespaces", "--short"]);
    assert_eq!(releases.trim(), "", "helm knows of releases");
}

fn patch_cilium_config(cluster: &RealNodes, patch: &str) {
    cluster.kubectl_ok(&[
        "--namespace",
        "kube-system",
        "patch",
        "configmap",
        "cilium-config",
        "--patch",
        patch,
    ]);
}
