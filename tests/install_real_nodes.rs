//! `install`, `resume` and `abort` on real nodes: real agents from the real charts, helm 3 and 4, and traffic between
//! pods at the end. The plugin does everything; neither helm nor kubectl is used to change anything. Every stage is
//! waited for and printed with its time, so that a test that passes has shown that the stage was reached.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;
#[path = "clusters/real_nodes/driven.rs"]
mod driven;
#[path = "clusters/plugin.rs"]
mod plugin;

use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clusters::programs::charts;
use clusters::real_nodes::{CILIUM_VALUES, prerequisites, stories};
use clusters::required_or_skip;
use driven::{Driven, Took};

/// One cluster at a time: two of them would be too much for a small machine.
static ALONE: Mutex<()> = Mutex::new(());

/// What Cilium needs on these nodes, whatever a test is about.
const CILIUM: [&str; 4] = ["install", "cilium", "--yes", "--values"];

/// A flag that no agent knows: each of them starts, and ends at once.
const BAD_FLAG: &str = "extraArgs={--no-such-flag}";

/// An image that is nowhere; the operator's has a tag of its own.
const NO_IMAGE: &str = "image.tag=v0.0.0";

/// The one cluster at a time, where real nodes are possible here.
fn possible(images: &[&str]) -> Option<MutexGuard<'static, ()>> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let possible = prerequisites(images).and_then(|()| charts()).map(drop);
    required_or_skip("real-nodes", possible).map(|()| alone)
}

/// `install cilium --yes` with what these nodes need, and `more`.
fn cilium<'a>(version: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&CILIUM[..], &[CILIUM_VALUES, "--version", version], more].concat()
}

/// An image that cannot be pulled is taken back to the cluster as it was; then the network comes up, pods talk, and the
/// same once more is nothing to do.
///
/// Scenario 23, as an install: helm counts a rollout of two nodes as done with both agents down. Scenario 52: nothing
/// to do. Scenario 5: the pool is the cluster's own, never Cilium's default.
#[test]
fn cilium_1_19_with_helm_3() {
    let Some(_alone) = possible(&["cilium-v1.19.6"]) else {
        return;
    };
    let on = Driven::start(&["cilium-v1.19.6"], "helm3", false);
    let fresh = on.fresh();

    let pulled = on.run(&cilium("1.19", &["--set", NO_IMAGE, "--timeout", "30s"]));
    pulled.expect(
        6,
        &["ROLLED BACK", "agent-image-pull", "the cluster is as it was"],
    );
    on.expect_as_before(&fresh);
    on.stage("taken back: no agent's image could be pulled");

    let installed = on.run(&cilium("1.19", &[]));
    installed.expect(0, &["10.244.0.0/16", "kube-proxy's cluster CIDR", "DONE"]);
    stories::expect_cilium_healthy(&on.cluster);
    on.expect_healthy();
    let config = on.cluster.kubectl_ok(&[
        "get",
        "configmap/cilium-config",
        "--namespace=kube-system",
        "--output=yaml",
    ]);
    for said in ["tunnel-protocol: vxlan", "cluster-pool-ipv4-cidr: 10.244.0.0/16"] {
        assert!(config.contains(said), "cilium-config lacks {said}:\n{config}");
    }
    on.stage("installed, pods talk");

    on.run(&cilium("1.19", &[])).expect(0, &["NOTHING TO DO"]);
    assert_eq!(on.revision("kube-system", "cilium"), 1);
    on.stage("nothing to do");
}

/// Killed with -9 while no agent can have run, `abort` leaves nothing; then Cilium 1.20 comes up with helm 4.
///
/// Scenario 28, `abort`.
#[test]
fn cilium_1_20_with_helm_4() {
    let Some(_alone) = possible(&["cilium-v1.20.0"]) else {
        return;
    };
    let on = Driven::start(&["cilium-v1.20.0"], "helm4", false);
    let fresh = on.fresh();

    let started = on.begin(&cilium("1.20", &["--set", NO_IMAGE]));
    started.wait_for("gate: ");
    started.wait_for("operator 1/1");
    started.kill();
    on.stage("killed while the gate waits");
    on.run(&cilium("1.20", &[]))
        .expect(4, &["change-interrupted", "kubectl byocni resume"]);
    on.run(&["abort", "--yes"])
        .expect(0, &["TAKEN BACK", "the cluster is as it was"]);
    on.expect_as_before(&fresh);
    on.stage("taken back by abort");
    on.run(&["abort", "--yes"]).expect(0, &["nothing to abort"]);

    on.run(&cilium("1.20", &[])).expect(0, &["DONE"]);
    stories::expect_cilium_healthy(&on.cluster);
    on.expect_healthy();
    on.stage("installed, pods talk");
}

/// Agents that start and end stay as they are, and are told; killed with -9 on the way, `resume` goes on, with other
/// values heals it, and is itself killed and resumed.
///
/// Scenario 28, `resume`: killed with the helm that it had started, which leaves `pending-install`.
#[test]
fn agents_that_end_and_runs_that_are_killed() {
    let Some(_alone) = possible(&["cilium-v1.19.6"]) else {
        return;
    };
    let on = Driven::start(&["cilium-v1.19.6"], "helm3", false);
    on.fresh();

    let started = on.begin(&cilium("1.19", &["--set", BAD_FLAG, "--timeout", "40s"]));
    let took = on.helm_at_work(&started);
    started.kill_with_helm();
    on.stage(match took {
        Took::Pending => "killed with its helm, the release is pending-install",
        Took::Done => "killed with its helm, which had just ended",
    });

    on.run(&["resume", "--yes"]).expect(
        7,
        &[
            "NOT RECOVERED",
            "agent-crash-looping",
            "its agents have run",
            "--set",
        ],
    );
    assert_eq!(on.status_of("kube-system", "cilium"), "deployed");
    on.stage("resumed: agents end, what stays is told");

    on.run(&["abort", "--yes"])
        .expect(7, &["its agents have run", "abort --uninstall"]);
    assert_eq!(on.status_of("kube-system", "cilium"), "deployed");
    on.stage("abort without --uninstall refused");

    on.run(&["resume", "--yes", "--set", "extraArg=x"])
        .expect(4, &["value-unknown", "extraArgs"]);
    let healing = on.begin(&["resume", "--yes", "--set", "extraArgs=null", "--timeout", "5m"]);
    healing.wait_for("gate: ");
    healing.kill();
    on.stage("healing, killed while the gate waits");

    on.run(&["resume", "--yes"]).expect(0, &["DONE"]);
    stories::expect_cilium_healthy(&on.cluster);
    on.expect_healthy();
    on.run(&["resume", "--yes"]).expect(0, &["nothing to resume"]);
    on.stage("resumed once more: healthy, pods talk");
}

#[test]
fn flannel_with_helm_4() {
    let Some(_alone) = possible(&["flannel"]) else {
        return;
    };
    let on = Driven::start(&["flannel"], "helm4", true);
    on.fresh();
    on.run(&["install", "flannel", "--yes"])
        .expect(0, &["10.244.0.0/16", "DONE"]);
    on.cluster.expect_pods_to_talk(60);
    on.expect_healthy();
    let config = on.cluster.kubectl_ok(&[
        "get",
        "configmap/kube-flannel-cfg",
        "--namespace=kube-flannel",
        "--output=yaml",
    ]);
    assert!(config.contains("vxlan"), "{config}");
    on.stage("installed, pods talk");
}

/// The manifest that flannel's users apply, with a helm that outlives the plugin which started it.
#[test]
fn flannel_as_a_manifest() {
    let Some(_alone) = possible(&["flannel"]) else {
        return;
    };
    let on = Driven::start(&["flannel"], "helm3", true);
    let chart = charts().expect("charts").join("flannel-v0.28.4.tgz");
    let rendered = Command::new(clusters::helm(3).expect("helm 3"))
        .args([
            "template",
            "flannel",
            "--namespace=kube-flannel",
            "--set=podCidr=10.244.0.0/16",
        ])
        .arg(chart)
        .output()
        .expect("helm template");
    assert!(
        rendered.status.success(),
        "{}",
        String::from_utf8_lossy(&rendered.stderr)
    );
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: kube-flannel\n  labels: {pod-security.kubernetes.io/enforce: privileged}\n";
    let text = String::from_utf8_lossy(&rendered.stdout);
    let file = on.cluster.dir().join("kube-flannel.yml");
    fs::write(&file, format!("{namespace}---\n{text}")).expect("the manifest");
    let file = file.to_string_lossy().into_owned();
    on.fresh();

    let started = on.begin(&["install", "--manifest", &file, "--yes"]);
    on.helm_at_work(&started);
    started.kill();
    on.stage("killed while helm works");
    fs::remove_file(&file).expect("another machine has no manifest");
    on.run(&["resume", "--yes"]).expect(0, &["DONE"]);
    on.cluster.expect_pods_to_talk(60);
    on.expect_healthy();
    on.stage("resumed without the manifest's file: pods talk");
}
