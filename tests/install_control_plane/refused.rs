//! What is refused before anything is written: each refusal is counted in the API server's audit log.

use serde_json::{Value, json};

use crate::{
    clusters::{ControlPlane, Objects, kubeadm},
    story::{NODES, SOON, Story, is_ready, items, node_name},
};

const PROXY: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy";

/// Refused, in these words, with nothing written by then.
fn refused(story: &Story, arguments: &[&str], words: &[&str]) {
    story.install(arguments).expect(4, words);
    assert_eq!(story.writes(), [] as [String; 0], "{arguments:?}");
}

/// A plan that may be carried out, with these words in it.
fn allowed(story: &Story, arguments: &[&str], words: &[&str]) {
    let charts = story.chart("");
    let arguments = [&["install"], arguments, &["--dry-run", "--repo", &charts]].concat();
    story.run(&arguments).expect(0, words);
}

fn merge(plane: &ControlPlane, path: &str, patch: &Value) {
    plane
        .ask(|client| async move { Objects::new(client).merge(path, patch).await })
        .unwrap_or_else(|why| panic!("{path}: {why}"));
}

/// A fresh AKS cluster, and one thing wrong with it or with what is asked for at a time; and the plans of scenario 52.
#[test]
fn scenarios_2_3_5_6_12_16_17_20_21_22_39_on_a_fresh_cluster() {
    let Some(story) = Story::aks(3, 3) else { return };
    let plane = &story.plane;
    crate::cilium::the_same_plan_twice(&story);
    rights_are_missing(&story);

    // Scenario 12: Flannel lives on the nodes' podCIDRs, which AKS does not give.
    refused(
        &story,
        &["flannel", "--pod-cidr", "10.244.0.0/16"],
        &["pod cidr not assigned"],
    );
    refused(&story, &["flannel"], &["pod cidr not assigned"]);

    // Scenario 2: the platform's own Cilium, by the label of one node.
    let node = format!("{NODES}/{}", node_name(1, 3));
    let label =
        |value: Value| json!({"metadata": {"labels": {"kubernetes.azure.com/ebpf-dataplane": value}}});
    merge(plane, &node, &label("cilium".into()));
    for cni in ["cilium", "calico"] {
        refused(&story, &[cni], &["managed-refused", "ebpf-dataplane"]);
        refused(
            &story,
            &[cni, "--assume-byocni", "--take-ownership"],
            &["managed-refused"],
        );
    }
    merge(plane, &node, &label(Value::Null));

    // Scenario 3: the platform's own, by its DaemonSet.
    plane.apply(&daemon_set(
        "kube-system",
        "azure-cns",
        "cns-container",
        "mcr.microsoft.com/containernetworking/azure-cns:v1.6.21",
    ));
    refused(&story, &["cilium"], &["managed-refused", "azure-cns"]);
    plane.delete("/apis/apps/v1/namespaces/kube-system/daemonsets/azure-cns");

    // Nobody can be asked.
    let charts = story.chart("");
    story
        .run(&["install", "cilium", "--repo", &charts])
        .expect(4, &["--yes", "nothing was changed"]);

    // Scenario 6: a pool on the nodes' own network.
    refused(
        &story,
        &["cilium", "--pod-cidr", "10.224.0.0/16"],
        &["10.224.0.0/16", "10.224.0.4"],
    );
    // Services.
    refused(
        &story,
        &["cilium", "--pod-cidr", "10.0.0.0/8"],
        &["10.0.0.0/8", "10.0.0.0/16"],
    );

    // Scenario 16: a key that the chart does not have.
    refused(
        &story,
        &["cilium", "--set", "aksByoCni.enabled=true"],
        &["value-unknown", "aksbyocni.enabled"],
    );

    // Scenario 17: blocks from podCIDRs that AKS' nodes do not have.
    for version in ["1.16", "1.17", "1.18", "1.19", "1.20"] {
        refused(
            &story,
            &["cilium", "--version", version, "--set", "ipam.mode=kubernetes"],
            &["aksbyocni-ipam-mode"],
        );
    }

    // Scenario 22: a webhook that nobody answers for, with pods that have no network to answer on, and with pods that
    // need none: an ordinary cluster.
    plane.apply(WEBHOOK);
    refused(&story, &["cilium"], &["webhook-blocks-change", "engine"]);
    plane.apply(&ANSWERING.replace("ADDRESS", "10.244.9.9"));
    refused(
        &story,
        &["cilium"],
        &["webhook-blocks-change", "pod network that does not work"],
    );
    plane.apply(&ANSWERING.replace("ADDRESS", "10.224.0.4"));
    allowed(&story, &["cilium"], &["READY"]);
    plane.delete("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/engine");

    helms_that_cannot_be_used(&story);

    // A namespace that is on its way out, and stays on it: an API that needs a network does not say what is in it.
    plane.apply("{apiVersion: v1, kind: Namespace, metadata: {name: tigera-operator}}");
    plane.delete("/api/v1/namespaces/tigera-operator");
    plane.wait_for(
        "it is terminating",
        SOON,
        "/api/v1/namespaces/tigera-operator",
        |namespace| namespace["status"]["phase"] == "Terminating",
    );
    refused(
        &story,
        &["calico"],
        &[
            "namespace-terminating",
            "namespace tigera-operator is being deleted",
        ],
    );

    // Scenario 5: no part of the cluster names a pool. Cilium's own default holds AKS' services.
    let proxy = plane.get(PROXY).expect("kube-proxy");
    let mut containers = proxy["spec"]["template"]["spec"]["containers"].clone();
    let command = containers[0]["command"].as_array_mut().expect("a command");
    command.retain(|word| !word.to_string().contains("cluster-cidr"));
    merge(
        plane,
        PROXY,
        &json!({"spec": {"template": {"spec": {"containers": containers}}}}),
    );
    let ran = story.install(&["cilium"]);
    ran.expect(4, &["pool-required", "--pod-cidr "]);
    let said = ran.said();
    let proposed = said
        .split("--pod-cidr ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let proposed: ipnet::Ipv4Net = proposed
        .and_then(|cidr| cidr.parse().ok())
        .unwrap_or_else(|| panic!("{said}"));
    for taken in ["10.0.0.0/16", "10.224.0.0/16"] {
        let taken: ipnet::Ipv4Net = taken.parse().expect("a network");
        assert!(
            !taken.contains(&proposed.network()) && !proposed.contains(&taken.network()),
            "{proposed}"
        );
    }
    assert_eq!(story.writes(), [] as [String; 0]);
    // The proposal holds.
    allowed(&story, &["cilium", "--pod-cidr", &proposed.to_string()], &[]);
    kube_proxy_is_gone(&story);
}

/// No helm, one that is too old or too new, and programs that are none: on a live cluster nothing is planned without one.
fn helms_that_cannot_be_used(story: &Story) {
    use std::os::unix::fs::PermissionsExt as _;
    let writes = story.writes().len();
    for (number, (deed, words)) in [
        ("printf v3.16.9", &["helm-too-old", "helm 3.16.9 is too old"][..]),
        ("printf v4.1.2", &["helm-too-old", "helm 4.1.2 is too old"]),
        ("printf v5.0.0", &["helm 5.0.0"]),
        ("echo I am no helm", &["does not behave like helm"]),
        ("exit 3", &["does not behave like helm"]),
    ]
    .into_iter()
    .enumerate()
    {
        let file = story.plane.dir().join(format!("no-helm-{number}"));
        std::fs::write(&file, format!("#!/bin/sh\n{deed}\n")).expect("a script");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a program");
        let ran = story.install_with(&file.to_string_lossy(), &["cilium"]);
        ran.expect(4, words);
    }
    let ran = story.install_with("/nowhere/helm", &["cilium"]);
    ran.expect(4, &["helm-missing", "/nowhere/helm"]);
    assert_eq!(story.writes().len(), writes);
}

/// Acceptance scenario 8, and a pool that is large enough.
#[test]
fn scenario_8_a_pool_with_too_few_blocks_is_refused() {
    let Some(story) = Story::aks(300, 4) else { return };
    let small = [
        "cilium",
        "--pod-cidr",
        "10.244.0.0/20",
        "--set",
        "ipam.operator.clusterPoolIPv4MaskSize=24",
    ];
    refused(
        &story,
        &small,
        &["pool-too-small", "16 node blocks of /24 for 300 nodes"],
    );
    allowed(&story, &["cilium", "--pod-cidr", "10.240.0.0/13"], &[]);
}

/// Acceptance scenarios 20 and 21: kube-proxy is gone; what AKS calls windows-kube-proxy-initializer is none. The API server
/// must be named.
fn kube_proxy_is_gone(story: &Story) {
    story.plane.delete(PROXY);
    let windows = "/apis/apps/v1/namespaces/kube-system/daemonsets/windows-kube-proxy-initializer";
    assert!(story.plane.get(windows).is_some());
    // The kubeconfig names 127.0.0.1, which is no address for agents.
    let pool = ["cilium", "--pod-cidr", "10.244.0.0/16"];
    refused(story, &pool, &["api-host-required"]);
    let with = |more: &[&'static str]| [&pool[..], more].concat();
    refused(
        story,
        &with(&["--set", "kubeProxyReplacement=true"]),
        &["api-host-required"],
    );
    let own = with(&[
        "--set",
        "kubeProxyReplacement=true,k8sServiceHost=10.0.0.1,k8sServicePort=443",
    ]);
    refused(story, &own, &["api-host-required", "10.0.0.1"]);
    let named = with(&["--set", "k8sServiceHost=aks.example.azmk8s.io,k8sServicePort=443"]);
    allowed(story, &named, &["kubeProxyReplacement"]);
}

/// Another CNI that runs, and what it leaves when it is taken away.
#[test]
fn another_cni_and_its_leftovers_are_refused() {
    let Some(story) = Story::kubeadm(2, 3) else { return };
    let plane = &story.plane;
    plane.apply(&daemon_set(
        "kube-system",
        "kube-flannel-ds",
        "kube-flannel",
        "ghcr.io/flannel-io/flannel:v0.28.4",
    ));
    plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    refused(&story, &["cilium"], &["foreign-cni", "Flannel is here"]);
    // The same one, applied by hand, is another matter.
    refused(&story, &["flannel"], &["ownership-conflict", "--take-ownership"]);
    plane.delete("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-flannel-ds");
    plane.wait_for(
        "its pods are gone",
        SOON,
        "/api/v1/namespaces/kube-system/pods",
        |list| crate::story::named(list, "kube-flannel-ds-").count() == 0,
    );
    refused(&story, &["cilium"], &["foreign-cni", "Flannel was here"]);
}

/// A release of that name, with another version or other values.
#[test]
fn a_release_in_the_way_is_refused() {
    let Some(story) = Story::aks(2, 4) else { return };
    let pool = "ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.0/16}";
    let chart = story.chart("cilium-1.19.6.tgz");
    let set = ["--set", "aksbyocni.enabled=true", "--set", pool];
    story.helm(&[&["install", "cilium", &chart, "-n", "kube-system"], &set[..]].concat());
    story.plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    refused(
        &story,
        &["cilium", "--version", "1.20"],
        &["release-in-the-way", "1.19.6"],
    );
    refused(
        &story,
        &["cilium", "--version", "1.19.6"],
        &["release-in-the-way", "other values"],
    );
}

/// A system pool that takes none but critical pods is ordinary: the operator gets what it takes.
#[test]
fn a_tainted_system_pool_is_not_refused() {
    let critical = json!({"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"});
    let Some(story) = Story::aks(3, 4) else { return };
    for number in 0..3 {
        story.plane.taint(&node_name(number, 3), &critical);
    }
    story
        .install(&["cilium", "--version", "1.20"])
        .expect(0, &["operator.tolerations", "DONE"]);
}

/// Acceptance scenario 18, at an install: no node takes the operator.
#[test]
fn scenario_18_an_operator_without_a_node_is_refused() {
    // Not of AKS, where the operator gets to bear what a whole system pool is tainted with.
    let Some(story) = Story::kubeadm(2, 3) else { return };
    let own = json!({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"});
    for number in 1..=2 {
        story.plane.taint(&format!("node-{number}"), &own);
    }
    refused(
        &story,
        &["cilium", "--version", "1.20"],
        &["operator-unschedulable", "dedicated=gpu"],
    );
}

/// Acceptance scenario 39: who may only look is told which rights are missing, before anything is written.
fn rights_are_missing(story: &Story) {
    let bind = |role: &str, user: &str| {
        let api = "rbac.authorization.k8s.io";
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": user}, "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}]});
        story.plane.apply(&binding.to_string());
        story.plane.kubeconfig_for(user, &[])
    };
    story.plane.apply(include_str!("../../docs/rbac-read.yaml"));
    let (viewer, reader) = (bind("view", "viewer"), bind("kubectl-byocni-reader", "reader"));
    let arguments = story.installing(&["cilium", "--pod-cidr", "10.244.0.0/16"]);
    // Rights take a moment to be known.
    let reviews = &json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": "reader", "resourceAttributes": {"verb": "list", "resource": "nodes"}}});
    let end = std::time::Instant::now() + SOON;
    loop {
        let answer = story.plane.ask(|client| async move {
            let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
            Objects::new(client).create(path, reviews).await
        });
        if answer.is_ok_and(|review| review.is_some_and(|r| r["status"]["allowed"] == true)) {
            break;
        }
        assert!(
            std::time::Instant::now() < end,
            "the reader's rights are not known"
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let ran = story.run_as(&viewer, &arguments);
    assert!(matches!(ran.exit, 4 | 5), "{}\n{}", ran.out, ran.err);
    assert!(ran.said().contains("list nodes"), "{}\n{}", ran.out, ran.err);
    let ran = story.run_as(&reader, &arguments);
    ran.expect(4, &["rights-missing", "create daemonsets.apps"]);
    for user in ["viewer", "reader"] {
        assert_eq!(story.writes_of(user), [] as [String; 0]);
    }
}

/// Acceptance scenario 4: nodes are Ready, nothing shows why, and the platform is one that nobody knows.
#[test]
fn scenario_4_a_platform_that_may_run_its_own_wants_a_word() {
    let start = |plane: &ControlPlane| {
        let kubelet = kubeadm::start(plane, 0);
        plane.delete("/api/v1/namespaces/kube-system/configmaps/kubeadm-config");
        for number in 0..2 {
            let mut node = kubeadm::node(number);
            node["metadata"]["annotations"] = json!({});
            kubelet.add_node(node);
        }
        kubelet
    };
    let Some(story) = Story::with(kubeadm::options(), 3, start) else {
        return;
    };
    let plane = &story.plane;
    // An agent that nobody sees any more, and nodes that stay Ready.
    plane.apply(&daemon_set(
        "default",
        "embedded",
        "cni-server",
        "registry.example/embedded:1",
    ));
    plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    plane.delete("/apis/apps/v1/namespaces/default/daemonsets/embedded");
    plane.wait_for(
        "its pods are gone",
        SOON,
        "/api/v1/namespaces/default/pods",
        |list| items(list).is_empty(),
    );
    refused(&story, &["flannel"], &["byocni-unknown", "--assume-byocni"]);
    story
        .install(&["flannel", "--assume-byocni"])
        .expect(0, &["DONE"]);
}

/// A DaemonSet of this name whose only container has that name, which is how a CNI's agent is known.
fn daemon_set(namespace: &str, name: &str, container: &str, image: &str) -> String {
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace, "labels": {"k8s-app": name}},
        "spec": {"selector": {"matchLabels": {"k8s-app": name}}, "template": {
            "metadata": {"labels": {"k8s-app": name}},
            "spec": {"hostNetwork": true, "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": container, "image": image}]}}}})
    .to_string()
}

/// A policy engine that is asked about every pod and is not there, out of reach of AKS' admissions enforcer.
const WEBHOOK: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: policy}
---
apiVersion: v1
kind: Service
metadata: {name: engine, namespace: policy}
spec: {ports: [{port: 443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: engine, labels: {admissions.enforcer/disabled: 'true'}}
webhooks:
- name: validate.engine.example
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 1
  failurePolicy: Fail
  clientConfig: {service: {namespace: policy, name: engine}}
  rules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [daemonsets]}]
";

/// A ready pod behind it.
const ANSWERING: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: engine-1, namespace: policy, labels: {kubernetes.io/service-name: engine}}
addressType: IPv4
ports: [{port: 443}]
endpoints: [{addresses: [ADDRESS], conditions: {ready: true}, targetRef: {kind: Pod, name: engine-0, namespace: policy}}]
";
