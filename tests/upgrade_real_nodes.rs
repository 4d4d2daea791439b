//! `upgrade`, `rollback`, `resume` and `abort` on real nodes: real agents of two versions, agents that do not come up, a
//! plugin that is killed, and a user's traffic all the while. Every stage is waited for and printed with its time, and
//! with what became of the traffic, so that a test that passes has shown that the stage was reached.
//!
//! `BYOCNI_TEST_FIGURES=yes cargo test --test upgrade_real_nodes three_times -- --nocapture` compares three runs with plain
//! helm and prints the figures, in about 20 minutes.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;
#[path = "clusters/real_nodes/driven.rs"]
mod driven;
#[path = "clusters/plugin.rs"]
mod plugin;
#[path = "clusters/real_nodes/traffic.rs"]
mod traffic;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use clusters::programs::charts;
use clusters::real_nodes::{CILIUM_VALUES, all, prerequisites, stories};
use clusters::required_or_skip;
use driven::Driven;
use traffic::{Fates, Traffic};

/// One cluster at a time: two of them would be too much for a small machine.
static ALONE: Mutex<()> = Mutex::new(());

/// Shorter than what people should take; the order of things is the same.
const PACE: [&str; 5] = ["--yes", "--soak", "5s", "--settle", "5s"];

/// A flag that no agent knows: each of them starts, and ends at once.
const BAD_FLAG: &str = "extraArgs={--no-such-flag}";

/// An image that is nowhere.
const NO_IMAGE: &str = "image.tag=v0.0.0";

/// What a CNI is called, and what its agents are.
#[derive(Clone, Copy)]
struct Product {
    release: &'static str,
    namespace: &'static str,
    label: &'static str,
    agents: &'static str,
    operator: Option<&'static str>,
    /// The chart's archive of a version.
    archive: fn(&str) -> String,
}

const CILIUM: Product = Product {
    release: "cilium",
    namespace: "kube-system",
    label: "k8s-app=cilium",
    agents: "daemonsets/cilium",
    operator: Some("deployments/cilium-operator"),
    archive: |version| format!("cilium-{version}.tgz"),
};

const FLANNEL: Product = Product {
    release: "flannel",
    namespace: "kube-flannel",
    label: "app=flannel",
    agents: "daemonsets/kube-flannel-ds",
    operator: None,
    archive: |version| format!("flannel-v{version}.tgz"),
};

/// The one cluster at a time, where real nodes are possible here.
fn possible(images: &[&str]) -> Option<MutexGuard<'static, ()>> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let possible = prerequisites(images).and_then(|()| charts()).map(drop);
    required_or_skip("real-nodes", possible).map(|()| alone)
}

/// `upgrade` or `rollback` at the tests' pace, with `more`.
fn paced<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[verb], &PACE[..], more].concat()
}

const CILIUM_IMAGES: [&str; 3] = ["cilium-v1.19.6", "cilium-v1.20.0", "traffic"];
const FLANNEL_IMAGES: [&str; 3] = ["flannel-v0.28.3", "flannel", "traffic"];

fn cilium_installed() -> Driven {
    let on = Driven::start(&CILIUM_IMAGES, "helm3", false);
    let installed = on.run(&[
        "install",
        "cilium",
        "--yes",
        "--values",
        CILIUM_VALUES,
        "--version",
        "1.19.6",
    ]);
    installed.expect(0, &["DONE"]);
    stories::expect_cilium_healthy(&on.cluster);
    expect_running(&on, CILIUM, "1.19.6");
    on.stage("Cilium 1.19.6 installed, pods talk");
    on
}

fn flannel_installed() -> Driven {
    let on = Driven::start(&FLANNEL_IMAGES, "helm4", true);
    on.run(&["install", "flannel", "--yes", "--version", "0.28.3"])
        .expect(0, &["DONE"]);
    on.cluster.expect_pods_to_talk(60);
    expect_running(&on, FLANNEL, "0.28.3");
    on.stage("flannel 0.28.3 installed, pods talk");
    on
}

/// Cilium 1.19 to 1.20 and back, agents that do not come up, other values, and a plugin that is killed.
///
/// Scenario 23: helm counts a rollout of two nodes as done with both agents down, the plugin goes back. Scenario 28:
/// killed on the way, `resume` and `abort` end in a deployed revision. Scenario 46: other values reach the agents.
#[test]
fn cilium() {
    let Some(_alone) = possible(&CILIUM_IMAGES) else {
        return;
    };
    let on = cilium_installed();
    let traffic = Traffic::start(&on.cluster);
    on.stage("traffic flows");
    let mut fates = there_and_back(&on, &traffic, CILIUM, ["1.19.6", "1.20.0"]);
    helm_is_content_without_agents(&on);
    for value in [NO_IMAGE, BAD_FLAG] {
        fates = fates.and(&taken_back(
            &on,
            &traffic,
            CILIUM,
            value,
            // Longer than an image must be out of reach to be called so.
            "5m",
            "stopped at the canary",
        ));
        expect_running(&on, CILIUM, "1.19.6");
    }
    resumed_and_aborted(&on);
    expect_little_disturbed(&on, &traffic, &fates);
}

/// Flannel 0.28.3 to 0.28.4 and back, and agents that do not come up: the DaemonSet's own rollout holds at the first.
#[test]
fn flannel() {
    let Some(_alone) = possible(&FLANNEL_IMAGES) else {
        return;
    };
    let on = flannel_installed();
    let traffic = Traffic::start(&on.cluster);
    on.stage("traffic flows");

    let fates = there_and_back(&on, &traffic, FLANNEL, ["0.28.3", "0.28.4"]);
    let failing = taken_back(
        &on,
        &traffic,
        FLANNEL,
        "flannel.image.tag=v0.0.0",
        "90s",
        "agent-image-pull",
    );
    expect_running(&on, FLANNEL, "0.28.3");
    expect_little_disturbed(&on, &traffic, &fates.and(&failing));
}

/// Upgrades and rolls back while a user's traffic flows.
fn there_and_back(on: &Driven, traffic: &Traffic, cni: Product, [old, new]: [&str; 2]) -> Fates {
    // What a new agent does after it is Ready counts, too.
    let ((), up, took) = traffic.during(|| {
        on.run(&paced("upgrade", &["--version", new]))
            .expect(0, &["DONE"]);
        expect_running(on, cni, new);
        on.expect_healthy();
    });
    on.stage(&format!("upgraded to {new} and looked at in {took} s ({up})"));

    let ((), back, took) = traffic.during(|| {
        on.run(&paced("rollback", &[])).expect(0, &["DONE"]);
        expect_running(on, cni, old);
        on.expect_healthy();
    });
    on.stage(&format!(
        "rolled back to {old} and looked at in {took} s ({back})"
    ));
    up.and(&back)
}

/// A generous bound, as machines that run tests are slow, and shared: what is late within a pod is the machine's doing.
fn expect_little_disturbed(on: &Driven, traffic: &Traffic, fates: &Fates) {
    on.stage(&format!(
        "everything done ({fates}), broken: {:?}",
        traffic.breaks()
    ));
    assert!(
        fates.short.asked > 100 && fates.long.asked > 100,
        "hardly asked: {fates}"
    );
    // One of four was seen to break when an agent of Cilium 1.19 ended; why is told above when it happens again.
    assert!(fates.long.broken <= 1, "connections broke: {fates}");
    assert!(
        fates.disturbed() < 5.0 + 2.0 * fates.itself.disturbed(),
        "{fates}"
    );
}

/// Agents that run are of this version, all of them: what they say of themselves, where they can be asked.
fn expect_running(on: &Driven, cni: Product, version: &str) {
    on.cluster.wait_for_rollout(cni.namespace, cni.agents, 60);
    on.cluster
        .wait_for_pods("agents of one version", cni.namespace, cni.label, 30, |pod| {
            all(&pod["status"]["containerStatuses"], |one| {
                let image = one["image"].as_str().unwrap_or_default();
                image.ends_with(&format!(":v{version}")) && one["ready"] == true
            })
        });
    on.cluster.expect_pods_to_talk(60);
    if cni.release == "cilium" {
        for pod in names(&pods(on, cni)) {
            let said = in_agent(on, &pod, &["cilium-dbg", "version"]);
            let daemon = said.lines().find(|line| line.starts_with("Daemon:"));
            let runs = daemon.is_some_and(|line| line.contains(version));
            assert!(runs, "{pod} is not {version}:\n{said}");
        }
    }
}

fn pods(on: &Driven, cni: Product) -> Vec<Value> {
    let label = cni.label.replace('=', "%3D");
    let path = format!("/api/v1/namespaces/{}/pods?labelSelector={label}", cni.namespace);
    let found = on.cluster.plane().get(&path).unwrap_or_default();
    found["items"].as_array().cloned().unwrap_or_default()
}

fn names(pods: &[Value]) -> Vec<String> {
    pods.iter()
        .filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned()))
        .collect()
}

/// What a command in Cilium's agent says.
fn in_agent(on: &Driven, pod: &str, command: &[&str]) -> String {
    let into = [
        "exec",
        "--namespace=kube-system",
        pod,
        "--container=cilium-agent",
        "--",
    ];
    on.cluster.kubectl_ok(&[&into[..], command].concat())
}

/// Plain helm, told to wait and to go back where it fails, is content with two nodes that have no agent: of a DaemonSet
/// it allows maxUnavailable, which is 2, to be away. Then it puts things right by hand.
fn helm_is_content_without_agents(on: &Driven) {
    let before = on.revision(CILIUM.namespace, CILIUM.release);
    let chart = archive(CILIUM, "1.19.6");
    on.cluster.helm_ok(&[
        "upgrade",
        "cilium",
        &chart,
        "--namespace=kube-system",
        "--reuse-values",
        "--set",
        NO_IMAGE,
        "--wait",
        "--atomic",
        "--timeout=3m",
    ]);
    assert_eq!(on.status_of(CILIUM.namespace, CILIUM.release), "deployed");
    let agents = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";
    on.cluster.wait_for("no agent is ready", 60, agents, |agents| {
        agents["status"]["numberReady"].as_u64() == Some(0)
    });
    on.stage("helm upgrade --wait --atomic calls it a success, with no agent on any node");
    by_helm(
        on,
        CILIUM,
        &[
            "rollback",
            "cilium",
            &before.to_string(),
            "--namespace=kube-system",
        ],
    );
    on.stage("put right by hand");
}

/// New agents do not come up: stopped at the first, taken back, and the user's traffic has not seen it.
fn taken_back(on: &Driven, traffic: &Traffic, cni: Product, value: &str, within: &str, says: &str) -> Fates {
    let before = names(&pods(on, cni));
    let (said, fates, took) =
        traffic.during(|| on.run(&paced("upgrade", &["--set", value, "--timeout", within])));
    said.expect(6, &["ROLLED BACK", says]);
    let kept = names(&pods(on, cni))
        .iter()
        .filter(|name| before.contains(name))
        .count();
    assert_eq!(
        kept, 1,
        "the agent of the node that was not the first stays:\n{}",
        said.text
    );
    on.expect_healthy();
    on.stage(&format!(
        "{value}: stopped at the first agent and taken back in {took} s ({fates})"
    ));
    fates
}

/// Other values reach the agents; a plugin killed on the way leaves a cluster that `resume` finishes, and `abort`
/// takes back.
fn resumed_and_aborted(on: &Driven) {
    let started = on.begin(&paced("upgrade", &["--set", "debug.enabled=true"]));
    started.wait_for("canary 1/1");
    started.kill();
    on.stage("debug.enabled=true: killed with one agent new, one old");
    on.run(&paced("upgrade", &["--set", "debug.enabled=true"]))
        .expect(4, &["change-interrupted", "kubectl byocni resume"]);
    on.run(&["resume", "--yes"]).expect(0, &["DONE"]);
    expect_running(on, CILIUM, "1.19.6");
    expect_debug(on, true);
    on.expect_healthy();
    on.stage("resumed: both agents log what debugging logs");

    let started = on.begin(&paced("upgrade", &["--set", "debug.enabled=false"]));
    started.wait_for("canary 1/1");
    started.kill();
    on.stage("debug.enabled=false: killed with one agent new, one old");
    on.run(&["abort", "--yes"]).expect(0, &["TAKEN BACK"]);
    expect_running(on, CILIUM, "1.19.6");
    expect_debug(on, true);
    on.expect_healthy();
    assert_eq!(on.status_of(CILIUM.namespace, CILIUM.release), "deployed");
    on.stage("aborted: both agents log what debugging logs");
}

/// Whether each agent runs with debugging on.
fn expect_debug(on: &Driven, wanted: bool) {
    for pod in names(&pods(on, CILIUM)) {
        let said = in_agent(on, &pod, &["cilium-dbg", "config", "--all"]);
        let debugs = said.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.first() == Some(&"Debug") && words.last() == Some(&"true")
        });
        assert_eq!(debugs, wanted, "{pod}:\n{said}");
    }
}

/// The path of a chart's archive.
fn archive(cni: Product, version: &str) -> String {
    let charts = charts().unwrap_or_else(|reason| panic!("{reason}"));
    charts.join((cni.archive)(version)).to_string_lossy().into_owned()
}

/// Plain helm, and what people wait for after it.
fn by_helm(on: &Driven, cni: Product, arguments: &[&str]) {
    on.cluster.helm_ok(arguments);
    if let Some(operator) = cni.operator {
        on.cluster.wait_for_rollout(cni.namespace, operator, 180);
    }
    on.cluster.wait_for_rollout(cni.namespace, cni.agents, 240);
}

/// Three runs take long and show nothing that one run does not but figures: they are made for people who ask for them.
fn figures_wanted() -> bool {
    std::env::var_os("BYOCNI_TEST_FIGURES").is_some()
}

/// Three runs each of the same upgrade and rollback by the plugin and by plain helm, and what became of the traffic.
#[test]
fn cilium_three_times_beside_helm() {
    if !figures_wanted() {
        return;
    }
    let Some(_alone) = possible(&CILIUM_IMAGES) else {
        return;
    };
    let on = cilium_installed();
    beside_helm(&on, CILIUM, ["1.19.6", "1.20.0"]);
}

/// The same for flannel.
#[test]
fn flannel_three_times_beside_helm() {
    if !figures_wanted() {
        return;
    }
    let Some(_alone) = possible(&FLANNEL_IMAGES) else {
        return;
    };
    let on = flannel_installed();
    beside_helm(&on, FLANNEL, ["0.28.3", "0.28.4"]);
}

fn beside_helm(on: &Driven, cni: Product, versions: [&str; 2]) {
    let traffic = Traffic::start(&on.cluster);
    let (mut ours, mut helms) = (Fates::default(), Fates::default());
    let idle = || std::thread::sleep(std::time::Duration::from_secs(30));
    let ((), quiet, took) = traffic.during(idle);
    on.stage(&format!("nothing changes for {took} s ({quiet})"));
    for run in 1..=3 {
        ours = ours.and(&there_and_back(on, &traffic, cni, versions));
        helms = helms.and(&there_and_back_by_helm(on, &traffic, cni, versions));
        on.stage(&format!(
            "run {run} of 3; so far\n  plugin: {ours}\n  helm:   {helms}"
        ));
    }
    on.stage(&format!("three runs; broken: {:?}", traffic.breaks()));
    assert!(
        ours.disturbed() <= helms.disturbed() + 0.1,
        "plugin: {ours}\nhelm: {helms}"
    );
}

fn there_and_back_by_helm(on: &Driven, traffic: &Traffic, cni: Product, [old, new]: [&str; 2]) -> Fates {
    let namespace = format!("--namespace={}", cni.namespace);
    let before = on.revision(cni.namespace, cni.release).to_string();
    let values = on
        .cluster
        .helm_ok(&["get", "values", cni.release, &namespace, "--output=yaml"]);
    let file = on.cluster.dir().join("values.yaml");
    std::fs::write(&file, values).expect("values");
    let file = file.to_string_lossy().into_owned();
    let chart = archive(cni, new);
    let ((), up, took) = traffic.during(|| {
        by_helm(
            on,
            cni,
            &["upgrade", cni.release, &chart, &namespace, "--values", &file],
        );
        expect_running(on, cni, new);
        on.expect_healthy();
    });
    on.stage(&format!(
        "upgraded to {new} by helm and looked at in {took} s ({up})"
    ));
    let ((), back, took) = traffic.during(|| {
        by_helm(on, cni, &["rollback", cni.release, &before, &namespace]);
        expect_running(on, cni, old);
        on.expect_healthy();
    });
    on.stage(&format!(
        "rolled back to {old} by helm and looked at in {took} s ({back})"
    ));
    up.and(&back)
}
