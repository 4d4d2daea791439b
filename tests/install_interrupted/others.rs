//! Somebody else is at work in the same cluster.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    clusters::{Asked, Fault, Objects, Proxy},
    stage::{LEASE, LONG, MINUTE, Stage, until},
    upgraded,
};

/// Whether the plugin makes the lock's Lease.
pub fn takes_the_lock(asked: &Asked) -> bool {
    asked.method == Method::POST && asked.path.ends_with("/leases") && !asked.by_helm()
}

/// Scenario 37: two begin at once: one wins, the other is told who it is and has written nothing. The winner is killed:
/// after the lease has run out somebody goes on.
#[test]
fn scenario_37_two_at_once() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let other = Proxy::start(&stage.plane);
    for proxy in [&stage.proxy, &other] {
        proxy.rule(|asked| takes_the_lock(asked).then_some(Fault::Hold));
    }
    let first = stage.install("cilium", &[]);
    let charts = crate::clusters::programs::charts()
        .expect("charts")
        .display()
        .to_string();
    let arguments = ["install", "cilium", "--yes", "--repo", charts.as_str()];
    let second = stage.start_with(other.kubeconfig(), &arguments);
    until("both want the lock", MINUTE * 2, || {
        [&stage.proxy, &other]
            .iter()
            .all(|proxy| proxy.seen().iter().any(takes_the_lock))
    });
    other.heal();
    until("one has it", MINUTE, || stage.plane.get(LEASE).is_some());
    let winner = stage.plane.get(LEASE).unwrap_or_default();
    stage.proxy.heal();
    let told = first.end(MINUTE);
    assert_eq!(told.exit, Some(4), "{told:#?}");
    assert!(told.out.contains("change-locked"), "{told:#?}");
    let name = winner["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(!name.is_empty() && told.out.contains(&name), "{name}: {told:#?}");
    let written: Vec<_> = stage
        .proxy
        .writes()
        .into_iter()
        .filter(|asked| !takes_the_lock(asked))
        .collect();
    assert!(written.is_empty(), "{written:#?}");

    let mut second = second;
    second.says("gate:");
    // Alive: nobody else may go on, or back.
    for verb in ["resume", "abort"] {
        let told = stage.run(&[verb], MINUTE);
        assert_eq!(told.exit, Some(4), "{told:#?}");
        assert!(told.out.contains(&name), "{told:#?}");
    }
    second.kill();
    stage.free_agents();
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
}

/// Scenario 37: a winner that was stopped for a while wakes, finds the lock taken, and writes no more.
#[test]
fn scenario_37_a_sleeper_wakes() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let sleeper = Proxy::start(&stage.plane);
    let charts = crate::clusters::programs::charts()
        .expect("charts")
        .display()
        .to_string();
    let arguments = ["install", "cilium", "--yes", "--repo", charts.as_str()];
    let mut run = stage.start_with(sleeper.kubeconfig(), &arguments);
    run.says("operator 1/1");
    run.signal(Signal::STOP);
    // Somebody else takes it over, and holds it while the sleeper wakes.
    let mut heir = stage.start(&["resume", "--yes"]);
    heir.says("gate:");
    let before = sleeper.writes().len();
    run.signal(Signal::CONT);
    let told = run.end(MINUTE);
    assert_eq!(told.exit, Some(7), "{told:#?}");
    assert!(told.out.contains("lock was lost"), "{told:#?}");
    // It tries to renew the lease, which the server refuses.
    let written: Vec<_> = sleeper.writes().split_off(before);
    assert!(
        written
            .iter()
            .all(|asked| asked.path.ends_with("/leases/kubectl-byocni")),
        "{written:#?}"
    );
    stage.free_agents();
    let told = heir.end(LONG);
    stage.assert_installed(&told);
}

/// Whether the plugin takes a taint off a node.
fn untaints(asked: &Asked) -> bool {
    asked.method == Method::PATCH && asked.path.starts_with("/api/v1/nodes/") && !asked.by_helm()
}

/// While the way back takes the start-up taint off a node somebody else taints that node: ours is tried again, theirs stays.
#[test]
fn a_node_that_is_tainted_meanwhile_keeps_that_taint() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let free = Arc::new(AtomicBool::new(false));
    let goes = Arc::clone(&free);
    stage
        .proxy
        .rule(move |asked| (untaints(asked) && !goes.load(Ordering::SeqCst)).then_some(Fault::Hold));
    let run = stage.install("cilium", &["--timeout", "10s"]);
    let untainting = || stage.proxy.seen().into_iter().find(untaints);
    until("a taint is about to go", LONG, || untainting().is_some());
    let path = untainting().expect("seen").path;
    let node = path.rsplit('/').next().unwrap_or_default();
    let theirs = json!({"key": "example.com/theirs", "effect": "NoSchedule"});
    stage.plane.taint(node, &theirs);
    free.store(true, Ordering::SeqCst);
    let told = run.end(LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    let tries = stage
        .proxy
        .seen()
        .into_iter()
        .filter(|a| a.path == path && untaints(a));
    assert!(tries.count() > 1, "the first was a conflict");
    let now = stage.plane.get(&path).expect("the node")["spec"]["taints"].to_string();
    assert!(now.contains("example.com/theirs"), "{now}");
    assert!(!now.contains("cilium"), "{now}");
    let none = json!({"spec": {"taints": null}});
    let path = &path;
    stage
        .plane
        .ask(|client| async move { Objects::new(client).merge(path, &none).await })
        .expect("the node is there");
}

/// Scenario 38: between plan and change a CNI appears, or the release: the plan is stale, and nothing is written.
#[test]
fn scenario_38_the_plan_is_stale() {
    let Some(stage) = Stage::set(3) else { return };
    let deeds = [
        (
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: kube-flannel-ds, namespace: kube-system}\nspec:\n  \
             selector: {matchLabels: {app: flannel}}\n  template:\n    metadata: {labels: {app: flannel}}\n    spec:\n      \
             hostNetwork: true\n      nodeSelector: {kubernetes.io/os: linux}\n      tolerations: [{operator: Exists}]\n      \
             containers: [{name: kube-flannel, image: 'ghcr.io/flannel-io/flannel:v0.28.4'}]\n",
            "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-flannel-ds",
        ),
        (
            "apiVersion: v1\nkind: Secret\ntype: helm.sh/release.v1\nmetadata:\n  name: sh.helm.release.v1.cilium.v1\n  namespace: kube-system\n  \
             labels: {owner: helm, name: cilium, status: deployed, version: '1'}\ndata: {release: RECORD}\n",
            "/api/v1/namespaces/kube-system/secrets/sh.helm.release.v1.cilium.v1",
        ),
    ];
    for (deed, path) in deeds {
        let before = stage
            .audited_writes()
            .into_iter()
            .filter(|w| !w.contains("/leases"))
            .count();
        stage
            .proxy
            .rule(|asked| takes_the_lock(asked).then_some(Fault::Hold));
        let seen = stage.proxy.seen().len();
        let run = stage.install("cilium", &[]);
        until("the plan is made", MINUTE * 2, || {
            stage.proxy.seen()[seen..].iter().any(takes_the_lock)
        });
        stage.plane.apply(&deed.replace("RECORD", &record()));
        stage.proxy.heal();
        let told = run.end(MINUTE);
        assert_eq!(told.exit, Some(4), "{told:#?}");
        assert!(told.out.contains("plan-stale"), "{told:#?}");
        let after = stage
            .audited_writes()
            .into_iter()
            .filter(|w| !w.contains("/leases"))
            .count();
        assert_eq!(after, before, "nothing but the lock was written");
        stage.plane.delete(path);
        stage.assert_fresh();
    }
}

/// A small release as helm keeps it: JSON, in gzip, in base64, in the Secret's own base64.
fn record() -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use std::io::Write as _;
    let release = serde_json::json!({"name": "cilium", "namespace": "kube-system", "version": 1,
        "info": {"status": "deployed", "first_deployed": "2026-11-21T10:00:00Z", "last_deployed": "2026-11-21T10:00:00Z",
            "description": "Install complete"},
        "chart": {"metadata": {"name": "cilium", "version": "1.19.6", "appVersion": "1.19.6", "apiVersion": "v2"}},
        "manifest": "", "config": {}});
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    gzip.write_all(release.to_string().as_bytes())
        .expect("compressed");
    STANDARD.encode(STANDARD.encode(gzip.finish().expect("compressed")))
}

/// Who resumes has read the journal and is about to take the lock; meanwhile an abort begins the way back, and breaks
/// off. What was read before counts no more: nothing of the way there is done again.
#[test]
fn a_resume_that_was_late_does_not_turn_round_what_went_back_meanwhile() {
    let Some(stage) = upgraded::stage(3) else { return };
    let charts = stage.chart("");
    let mut run = stage.start(&upgraded::upgrade(&charts, &["--soak", "300s", "--settle", "2s"]));
    until("the first agent is new", MINUTE * 2, || {
        upgraded::versions(&stage).contains_key(upgraded::NEW)
    });
    run.says("rolling:");
    run.signal(Signal::INT);
    assert_eq!(run.end(MINUTE).exit, Some(130));
    let late = Proxy::start(&stage.plane);
    let lock = |asked: &Asked| asked.path.contains("/leases") && !asked.by_helm();
    late.rule(move |asked| lock(asked).then_some(Fault::Hold));
    let waits = stage.start_with(late.kubeconfig(), &["resume", "--yes"]);
    until("it asks for the lock", MINUTE * 2, || {
        late.seen().iter().any(lock)
    });
    let mut abort = stage.start(&["abort", "--yes"]);
    abort.says("back:");
    abort.signal(Signal::INT);
    assert_eq!(abort.end(MINUTE).exit, Some(130));
    late.heal();
    let told = waits.end(MINUTE * 2);
    assert_eq!(told.exit, Some(4), "{told:#?}");
    assert!(told.out.contains("plan-stale"), "{told:#?}");
    let written = late.writes().into_iter().filter(|asked| !lock(asked));
    assert_eq!(written.count(), 0, "{:#?}", late.writes());
    let told = stage.run(&["resume"], LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    upgraded::all_run(&stage, upgraded::OLD);
}
