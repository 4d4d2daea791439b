//! Killed without a word, at every point: `abort` leaves a cluster as fresh as before, `resume` a network that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::json;

use crate::{
    clusters::{Asked, Behaviour, Fault, Objects, Which},
    stage::{AGENTS, JOURNAL, LONG, MINUTE, SECRET, Stage, until},
};

/// Helm's writes stop once it has written its record.
pub fn hold_after_record(asked: &Asked, recorded: &AtomicBool) -> Option<Fault> {
    if !asked.by_helm() || !asked.writes() {
        return None;
    }
    let record = asked.method == Method::POST && asked.path.contains("/secrets");
    match recorded.load(Ordering::SeqCst) {
        false if record => {
            recorded.store(true, Ordering::SeqCst);
            None
        }
        false => None,
        true => Some(Fault::Hold),
    }
}

/// Starts an install, and kills the plugin right after helm wrote `pending-install`: helm lives, and is held up.
fn killed_beside_its_helm(stage: &Stage) {
    let recorded = Arc::new(AtomicBool::new(false));
    stage.proxy.rule(move |asked| hold_after_record(asked, &recorded));
    let run = stage.install("cilium", &[]);
    until("helm's record is pending", MINUTE * 2, || {
        stage.release("kube-system") == ["1 pending-install"]
    });
    run.kill();
}

/// The same, and helm is killed, too.
fn killed_while_pending(stage: &Stage) {
    killed_beside_its_helm(stage);
    let helm = stage.helm_pid("install").expect("helm was called");
    rustix::process::kill_process(helm, rustix::process::Signal::KILL).expect("helm runs");
    until("helm is gone", MINUTE, || !stage.helm_lives("install"));
    stage.proxy.heal();
    assert_eq!(stage.release("kube-system"), ["1 pending-install"]);
    assert!(stage.plane.get(AGENTS).is_none(), "helm came no further");
}

fn pending_ends_well(helm: u8) {
    let Some(stage) = Stage::set(helm) else { return };
    killed_while_pending(&stage);
    let again = stage.install("cilium", &[]).end(LONG);
    assert_eq!(again.exit, Some(4), "{again:#?}");
    assert!(again.out.contains("change-interrupted"), "{again:#?}");
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    stage.assert_fresh();

    killed_while_pending(&stage);
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
}

/// Scenario 28, with helm 3.
#[test]
fn scenario_28_killed_while_pending_helm_3() {
    pending_ends_well(3);
}

/// Scenario 28, with helm 4.
#[test]
fn scenario_28_killed_while_pending_helm_4() {
    pending_ends_well(4);
}

/// Scenario 28: a helm that outlives the plugin is waited for by whoever goes on, and its work is not done twice.
#[test]
fn scenario_28_a_helm_that_lives_on_is_waited_for() {
    let Some(stage) = Stage::set(3) else { return };
    killed_beside_its_helm(&stage);
    assert!(stage.helm_lives("install"));
    let mut next = stage.start(&["resume", "--yes"]);
    next.says("waiting for the helm");
    assert!(stage.helm_lives("install"), "it is still held up");
    stage.proxy.heal();
    let told = next.end(LONG);
    stage.assert_installed(&told);
    assert_eq!(
        stage.release("kube-system"),
        ["1 deployed"],
        "nothing was done twice"
    );
    assert!(!stage.helm_lives("install"));
}

/// Scenario 28: what was left pending is finished with another version; a chart in the Secret that is not the one of the
/// journal is refused before that.
#[test]
fn scenario_28_pending_and_another_version() {
    let Some(stage) = Stage::set(4) else { return };
    killed_while_pending(&stage);
    let flannel = std::fs::read(stage.chart("flannel-v0.28.4.tgz")).expect("a chart");
    let patch = json!({"data": {"chart.tgz": STANDARD.encode(flannel)}});
    stage
        .plane
        .ask(|client| async move { Objects::new(client).merge(SECRET, &patch).await })
        .expect("the Secret is there");
    let before = stage.audited_writes();
    let told = stage.run(&["resume"], LONG);
    assert_eq!(told.exit, Some(4), "{told:#?}");
    assert!(told.err.contains("another digest"), "{told:#?}");
    assert_eq!(stage.audited_writes(), before, "nothing was written");

    let charts = stage.chart("");
    let told = stage.run(&["resume", "--version", "1.99", "--repo", &charts], LONG);
    assert_eq!(told.exit, Some(4), "{told:#?}");
    assert!(told.err.contains("version-unknown"), "{told:#?}");
    assert_eq!(stage.audited_writes(), before, "nothing was written");

    // Its newest patch, as for an install.
    let told = stage.run(&["resume", "--version", "1.18", "--repo", &charts], LONG);
    stage.assert_installed(&told);
    let agents = stage.plane.get(AGENTS).expect("the agents").to_string();
    assert!(agents.contains("cilium:v1.18."), "{agents}");
}

/// Scenario 28: killed before the first step, with and without the Secret; at the gate; on the way back.
#[test]
fn scenario_28_killed_in_each_phase() {
    let Some(stage) = Stage::set(3) else { return };
    // Between the journal and the Secret: only abort is offered.
    stage.proxy.rule(|asked| {
        let keeps = asked.method == Method::POST && asked.path.ends_with("/secrets") && !asked.by_helm();
        keeps.then_some(Fault::Silence(MINUTE))
    });
    let run = stage.install("cilium", &[]);
    until("the journal is begun", MINUTE * 2, || {
        stage.plane.get(JOURNAL).is_some()
    });
    run.kill();
    stage.proxy.heal();
    assert_eq!(stage.phase().as_deref(), Some("planned"));
    assert!(stage.plane.get(SECRET).is_none());
    for arguments in [&["resume"][..], &["resume", "--version", "1.19.6"]] {
        let told = stage.run(arguments, LONG);
        assert_eq!(told.exit, Some(4), "{told:#?}");
        assert!(told.err.contains("kubectl byocni abort"), "{told:#?}");
    }
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    stage.assert_fresh();

    // At the gate, no agent has run: taken back, and killed on that way, too.
    stage.hold_agents();
    let mut run = stage.install("cilium", &[]);
    run.says("gate:");
    run.kill();
    assert_eq!(stage.phase().as_deref(), Some("gate"));
    stage
        .proxy
        .rule(|asked| (asked.by_helm() && asked.method == Method::DELETE).then_some(Fault::Hold));
    let mut run = stage.start(&["abort", "--yes"]);
    run.says("back:");
    until("helm has begun to remove", MINUTE, || {
        stage.helm_lives("uninstall")
    });
    run.kill();
    let helm = stage.helm_pid("uninstall").expect("helm was called");
    rustix::process::kill_process(helm, rustix::process::Signal::KILL).expect("helm runs");
    stage.proxy.heal();
    assert_eq!(stage.phase().as_deref(), Some("back"));
    // Going on from there means going on with the way back.
    let told = stage.run(&["resume"], LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    stage.assert_fresh();

    // At the gate, and then agents come up.
    let mut run = stage.install("cilium", &[]);
    run.says("gate:");
    run.kill();
    stage.free_agents();
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
}

/// Scenario 28: killed while Calico's definitions are applied. `abort` removes those that are there; the release's own
/// namespace ends, too, though the API of the metrics server does not answer.
#[test]
fn scenario_28_killed_while_applying_definitions() {
    let Some(stage) = Stage::set(3) else { return };
    let applied = AtomicUsize::new(0);
    stage.proxy.rule(move |asked| {
        let definition = asked.method == Method::PATCH && asked.path.contains("/customresourcedefinitions/");
        (definition && applied.fetch_add(1, Ordering::SeqCst) >= 5).then_some(Fault::Silence(MINUTE))
    });
    let mut run = stage.install("calico", &["--version", "3.32.1"]);
    run.says("apply-crds:");
    until("some are applied", MINUTE, || {
        let all = stage
            .plane
            .get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
        all.is_some_and(|list| list["items"].as_array().is_some_and(|items| items.len() == 5))
    });
    run.kill();
    stage.proxy.heal();
    assert_eq!(stage.phase().as_deref(), Some("applying-crds"));
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    stage.assert_fresh();

    // Its operator's image cannot be pulled: the namespace that was made for the release is taken back.
    stage
        .kubelet
        .set_everywhere(Which::Image("tigera/operator".into()), Behaviour::ImagePull);
    let told = stage
        .install("calico", &["--version", "3.32.1", "--timeout", "10s"])
        .end(LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    stage.assert_fresh();
}
