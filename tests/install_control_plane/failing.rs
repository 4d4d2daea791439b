//! Installs that do not end as they should: what is told, what stays, what is taken back.

use std::time::Duration;

use serde_json::Value;

use crate::{
    clusters::{Behaviour, Options, aks, kubelet::Which},
    story::{KUBE_SYSTEM, NODES, Ran, SOON, Story, is_ready, items, name, named, node_name},
};

/// The agents that are Ready, by node.
fn agents_up(story: &Story) -> usize {
    let pods = story.plane.get(KUBE_SYSTEM).expect("pods");
    let agents = items(&pods)
        .iter()
        .filter(|pod| pod["metadata"]["labels"]["k8s-app"] == "cilium" && is_ready(pod));
    agents.count()
}

fn everywhere(story: &Story, behaviour: &Behaviour) {
    story.kubelet.set_everywhere(Which::Agent, behaviour.clone());
}

/// No agent's image can be pulled, and --no-rollback: it stays, until `abort`. Without it the failure is taken back, and told
/// to programs as one document, with the findings by slug.
#[test]
fn a_failure_that_shall_stay_stays() {
    let Some(story) = Story::aks(3, 3) else { return };
    everywhere(&story, &Behaviour::ImagePull);
    let before = story.inventory();
    let ran = story.install(&["cilium", "--version", "1.19", "--timeout", "15s", "--no-rollback"]);
    ran.expect(
        7,
        &[
            "--no-rollback was given",
            "NOT RECOVERED",
            "kubectl byocni resume",
        ],
    );
    assert_eq!(story.helm(&["list", "-n", "kube-system", "-q"]).trim(), "cilium");
    assert!(
        story
            .journal()
            .is_some_and(|j| j["data"]["operation"].is_string())
    );
    // Another install does not begin over it.
    let writes = story.writes().len();
    story.install(&["cilium"]).expect(4, &["change-interrupted"]);
    assert_eq!(story.writes().len(), writes);
    story
        .run(&["abort", "--yes"])
        .expect(0, &["the cluster is as it was"]);
    story.is_as_before(&before, &[]);

    let ran = story.install(&["cilium", "--version", "1.20", "--timeout", "10s", "-o", "json"]);
    ran.expect(6, &[]);
    let json: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out));
    assert_eq!(json["kind"], "ChangeResult");
    assert!(json.to_string().contains("gate-timed-out"), "{json:#}");
    story.is_as_before(&before, &[]);
}

/// Agents ran, and exit: what they left on nodes would make those Ready without a network, so nothing is taken away
/// unless somebody says so.
#[test]
fn agents_that_crash_stay_until_they_are_aborted() {
    let Some(story) = Story::aks(3, 4) else { return };
    everywhere(&story, &Behaviour::CrashLoop { exit_code: 137 });
    let before = story.inventory();
    let ran = story.install(&["cilium", "--version", "1.20", "--timeout", "25s"]);
    ran.expect(7, &["gate-timed-out", "its agents have run", "NOT RECOVERED"]);
    let said = story.status();
    let errors = said.findings(&["error"]);
    assert!(
        errors.contains(&"error agent-crash-looping".to_owned()),
        "{errors:?}"
    );
    assert!(said.table.contains("exit code 137"), "{}", said.table);
    assert_ne!(story.inventory(), before);
    story.run(&["abort", "--yes"]).expect(7, &["its agents have run"]);
    assert_ne!(story.inventory(), before);
    story.run(&["abort", "--uninstall", "--yes"]).expect(0, &[]);
    story.is_as_before(&before, &[]);
}

/// One bad node of fifty, while agents come up slowly, one node joins and one is taken away: the others keep their
/// network, and the bad one is named.
#[test]
fn one_bad_node_of_fifty_does_not_cut_off_the_others() {
    let Some(story) = Story::aks(50, 3) else { return };
    let bad = node_name(7, 50);
    everywhere(&story, &Behaviour::Slow(Duration::from_secs(8)));
    story.kubelet.set(&bad, Behaviour::ImagePull);
    let running = story.start(&story.installing(&["cilium", "--version", "1.20", "--timeout", "60s"]));
    story
        .plane
        .wait_for("agents are started", SOON, KUBE_SYSTEM, |list| {
            named(list, "cilium-")
                .filter(|pod| pod["status"]["phase"] == "Running")
                .count()
                > 10
        });
    let gone = node_name(20, 50);
    story.kubelet.remove_node(&gone);
    story.kubelet.add_node(aks::node("workload", "user", 60, 60));
    let ran = Ran::end(running);
    ran.expect(
        7,
        &["gate-timed-out", &bad, "NOT RECOVERED", "kubectl byocni resume"],
    );
    let told = ran.said();
    let nodes = told
        .split("without a network because of it: ")
        .nth(1)
        .unwrap_or_default();
    assert!(
        nodes.starts_with(&bad) && !nodes.split(" ! ").next().unwrap_or_default().contains(&gone),
        "{told}"
    );
    assert_eq!(agents_up(&story), 49, "nothing was taken from the others");
    let said = story.status();
    assert_eq!((said.verdict(), said.exit), ("degraded", 3), "{}", said.table);

    // The registry is back: the same change is finished.
    story.kubelet.set(&bad, Behaviour::Healthy);
    story.run(&["resume", "--yes"]).expect(0, &["DONE"]);
    story.status().expect("healthy", 0, &[]);
    story.only_the_record_is_left("kube-system/cilium", "1.20.0");
}

#[test]
fn five_hundred_nodes_are_installed() {
    let Some(story) = Story::aks(500, 4) else { return };
    story
        .kubelet
        .set_everywhere(Which::Agent, Behaviour::Slow(Duration::from_secs(3)));
    // kube-proxy's 10.244.0.0/16 has blocks for 256 of them.
    story
        .install(&["cilium", "--version", "1.19", "--pod-cidr", "10.240.0.0/13"])
        .expect(0, &["DONE"]);
    assert_eq!(agents_up(&story), 500);
    // kube-proxy was told of the smaller range.
    story
        .status()
        .expect("healthy", 0, &["warning kube-proxy-cidr-mismatch"]);
}

/// Agents that take long, a node that joins and one that leaves meanwhile: none of it is a failure.
#[test]
fn nodes_that_join_and_leave_meanwhile_do_no_harm() {
    let Some(story) = Story::aks(5, 3) else { return };
    everywhere(&story, &Behaviour::Slow(Duration::from_secs(10)));
    let running = story.start(&story.installing(&["cilium", "--version", "1.18"]));
    story
        .plane
        .wait_for("agents are started", SOON, KUBE_SYSTEM, |list| {
            named(list, "cilium-")
                .filter(|pod| pod["status"]["phase"] == "Running")
                .count()
                >= 5
        });
    story.kubelet.remove_node(&node_name(4, 5));
    let joined = aks::node("workload", "user", 9, 9);
    let newcomer = name(&joined).to_owned();
    story.kubelet.add_node(joined);
    Ran::end(running).expect(0, &["DONE"]);
    let node = story
        .plane
        .get(&format!("{NODES}/{newcomer}"))
        .expect("the node that joined");
    assert!(is_ready(&node), "it is gated too: {node:#}");
    story.status().expect("healthy", 0, &[]);
}

/// A node that was lost before: the change is done on the others, the node is named, exit 3.
#[test]
fn a_node_that_was_broken_before_is_named() {
    let options = Options {
        node_grace: Duration::from_secs(8),
        ..aks::options()
    };
    let Some(story) = Story::with(options, 3, |plane| aks::start(plane, 4)) else {
        return;
    };
    let lost = node_name(3, 4);
    story.kubelet.set(&lost, Behaviour::Lost);
    story
        .plane
        .wait_for("the node is Unknown", SOON, &format!("{NODES}/{lost}"), |node| {
            node["status"]["conditions"].to_string().contains("\"Unknown\"")
        });
    let ran = story.install(&["cilium", "--version", "1.20"]);
    ran.expect(3, &["broken before", &lost, "DONE"]);
    story.only_the_record_is_left("kube-system/cilium", "1.20.0");
}

/// Acceptance scenario 49: every agent and node is Ready, and nothing answers DNS.
#[test]
fn scenario_49_no_dns_is_no_success() {
    let Some(story) = Story::aks(3, 4) else { return };
    story
        .kubelet
        .set_everywhere(Which::Pods("coredns-".into()), Behaviour::NeverReady);
    let ran = story.install(&["cilium", "--version", "1.20", "--timeout", "30s"]);
    ran.expect(7, &["gate-", "coredns", "NOT RECOVERED"]);
    let sets = story
        .plane
        .get("/apis/apps/v1/namespaces/kube-system/daemonsets/cilium");
    assert_eq!(sets.expect("the DaemonSet")["status"]["numberReady"], 3);
    let nodes = story.plane.get(NODES).expect("nodes");
    assert!(items(&nodes).iter().all(is_ready));
    // DNS comes up: what was interrupted is finished.
    story
        .kubelet
        .set_everywhere(Which::Pods("coredns-".into()), Behaviour::Healthy);
    story.run(&["resume", "--yes"]).expect(0, &["DONE"]);
}
