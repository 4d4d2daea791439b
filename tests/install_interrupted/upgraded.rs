//! Upgrades that are killed, signalled and cut off from the API server at every point: `resume` ends with the new version,
//! `abort` with the old one, and in between the cluster stands still.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    clusters::{Behaviour, Fault, Which},
    killed::hold_after_record,
    stage::{AGENTS, LEASE, LONG, MINUTE, NAMESPACED, Stage, until},
};

pub const OLD: &str = "1.19.6";
pub const NEW: &str = "1.20.0";

/// A cluster with Cilium 1.19.6, by plain helm: it is nobody's first installation by us.
pub fn stage(helm: u8) -> Option<Stage> {
    let stage = Stage::set(helm)?;
    let chart = stage.chart(&format!("cilium-{OLD}.tgz"));
    let told = stage.helm(&[
        "install",
        "cilium",
        &chart,
        "--namespace=kube-system",
        "--set=aksbyocni.enabled=true,ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.0/16}",
    ]);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    until("its agents run", MINUTE * 2, || {
        versions(&stage) == BTreeMap::from([(OLD.into(), 3)])
    });
    Some(stage)
}

/// How many agents are Ready, by version.
pub fn versions(stage: &Stage) -> BTreeMap<String, usize> {
    let list = stage
        .plane
        .get(&format!("{NAMESPACED}/pods?labelSelector=k8s-app%3Dcilium"));
    let mut all = BTreeMap::new();
    for pod in list.iter().filter_map(|l| l["items"].as_array()).flatten() {
        let containers = pod["status"]["containerStatuses"].as_array();
        let ready = containers.is_some_and(|all| all.iter().all(|c| c["ready"] == true));
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        let tag = image.split('@').next().unwrap_or_default().rsplit(":v").next();
        if ready && pod["metadata"]["deletionTimestamp"].is_null() {
            *all.entry(tag.unwrap_or_default().to_string()).or_default() += 1;
        }
    }
    all
}

pub fn upgrade<'a>(charts: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["upgrade", "--version", NEW, "--repo", charts, "--yes"];
    [&base[..], more].concat()
}

pub fn all_run(stage: &Stage, version: &str) {
    stage.assert_whole();
    assert_eq!(versions(stage), BTreeMap::from([(version.into(), 3)]));
    let agents = stage.plane.get(AGENTS).expect("the agents");
    assert_eq!(
        agents["spec"]["updateStrategy"]["type"], "RollingUpdate",
        "the chart's own strategy is back"
    );
}

/// Scenario 28: killed while helm's `pending-upgrade` stands, with its helm: `abort` ends with the old version deployed,
/// `resume` with the new one.
#[test]
fn scenario_28_an_upgrade_is_killed_while_pending() {
    let Some(stage) = stage(3) else { return };
    let charts = stage.chart("");
    let pending = |stage: &Stage| {
        let recorded = Arc::new(AtomicBool::new(false));
        stage.proxy.rule(move |asked| hold_after_record(asked, &recorded));
        let run = stage.start(&upgrade(&charts, &["--soak", "1s", "--settle", "2s"]));
        until("helm's record is pending", MINUTE * 2, || {
            stage
                .release("kube-system")
                .last()
                .is_some_and(|r| r.ends_with("pending-upgrade"))
        });
        run.kill();
        let helm = stage.helm_pid("upgrade").expect("helm was called");
        let _ = rustix::process::kill_process(helm, Signal::KILL);
        until("helm is gone", MINUTE, || !stage.helm_lives("upgrade"));
        stage.proxy.heal();
        assert_eq!(
            versions(stage),
            BTreeMap::from([(OLD.into(), 3)]),
            "no agent moved"
        );
    };
    pending(&stage);
    let again = stage.start(&upgrade(&charts, &[])).end(LONG);
    assert_eq!(again.exit, Some(4), "{again:#?}");
    assert!(again.out.contains("change-interrupted"), "{again:#?}");
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    all_run(&stage, OLD);
    pending(&stage);
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
    all_run(&stage, NEW);
}

/// Killed after the first canary: the cluster stands still; `abort` takes the canary back and touches no other node,
/// `resume` goes on with those that are left. The same for one that was signalled: scenario 29.
#[test]
fn scenario_29_an_upgrade_is_stopped_at_its_canary() {
    let Some(stage) = stage(4) else { return };
    let charts = stage.chart("");
    let at_canary = |stage: &Stage| {
        let mut run = stage.start(&upgrade(&charts, &["--soak", "300s", "--settle", "2s"]));
        until("the first agent is new", MINUTE * 2, || {
            versions(stage) == BTreeMap::from([(NEW.into(), 1), (OLD.into(), 2)])
        });
        run.says("rolling:");
        run
    };
    at_canary(&stage).kill();
    let uids = |stage: &Stage| -> Vec<String> {
        let list = stage
            .plane
            .get(&format!("{NAMESPACED}/pods?labelSelector=k8s-app%3Dcilium"));
        let items = list.iter().filter_map(|l| l["items"].as_array()).flatten();
        let mut all: Vec<String> = items.map(|p| p["metadata"]["uid"].to_string()).collect();
        all.sort();
        all
    };
    let stands = uids(&stage);
    // As long as any controller would take to move something.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(uids(&stage), stands, "nothing moves while nobody looks");
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    all_run(&stage, OLD);
    let kept = uids(&stage).iter().filter(|uid| stands.contains(uid)).count();
    assert_eq!(kept, 2, "those that were never touched still are not");

    let run = at_canary(&stage);
    run.signal(Signal::INT);
    let told = run.end(MINUTE);
    assert_eq!(told.exit, Some(130), "{told:#?}");
    assert!(told.out.contains("kubectl byocni resume"), "{told:#?}");
    assert!(stage.plane.get(LEASE).is_none(), "the lock is given back");
    assert_eq!(stage.phase().as_deref(), Some("rolling"));
    assert_eq!(
        versions(&stage),
        BTreeMap::from([(NEW.into(), 1), (OLD.into(), 2)])
    );
    shorten_the_soak(&stage);
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
    all_run(&stage, NEW);
}

/// The journal's soak was made long so that there is time to stop in it; going on need not wait for it.
fn shorten_the_soak(stage: &Stage) {
    use crate::{clusters::Objects, stage::JOURNAL};
    let journal = stage.plane.get(JOURNAL).expect("the journal");
    let text = journal["data"]["operation"].as_str().expect("an operation");
    let mut operation: Value = serde_json::from_str(text).expect("JSON");
    operation["replaces"]["pace"]["soakSeconds"] = 1.into();
    let patch = serde_json::json!({"data": {"operation": operation.to_string()}});
    stage
        .plane
        .ask(|client| async move { Objects::new(client).merge(JOURNAL, &patch).await })
        .expect("the journal is there");
}

/// Killed at the gate, and killed on the way back: whoever goes on finishes the way that was begun, and never turns round.
#[test]
fn scenario_28_an_upgrade_is_killed_late() {
    let Some(stage) = stage(3) else { return };
    let charts = stage.chart("");
    let mut run = stage.start(&upgrade(&charts, &["--soak", "1s", "--settle", "120s"]));
    run.says("gate:");
    run.says("it must hold");
    run.kill();
    assert_eq!(stage.phase().as_deref(), Some("gate"));
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    all_run(&stage, OLD);

    stage.kubelet.set_everywhere(
        Which::Image(format!("cilium:v{NEW}")),
        Behaviour::CrashLoop { exit_code: 1 },
    );
    let mut run = stage.start(&upgrade(&charts, &["--soak", "1s", "--settle", "2s"]));
    run.says("back:");
    until("it is the way back that rolls", MINUTE, || {
        stage.phase().as_deref() != Some("helm")
    });
    run.kill();
    let told = stage.run(&["resume"], LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    all_run(&stage, OLD);
}

/// The API server is away for a minute in the middle: the upgrade waits, and ends well.
#[test]
fn an_api_server_that_is_away_for_a_while() {
    let Some(stage) = stage(4) else { return };
    let charts = stage.chart("");
    let away = Arc::new(AtomicBool::new(false));
    let rule = Arc::clone(&away);
    stage
        .proxy
        .rule(move |_| rule.load(Ordering::SeqCst).then_some(Fault::Answer(503)));
    let run = stage.start(&upgrade(&charts, &["--soak", "3s", "--settle", "2s"]));
    until("the first agent is new", MINUTE * 2, || {
        versions(&stage).contains_key(NEW)
    });
    away.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(200));
        let down = 3 - versions(&stage).values().sum::<usize>();
        assert!(down <= 1, "no second agent is taken down meanwhile");
    }
    away.store(false, Ordering::SeqCst);
    let told = run.end(LONG);
    // A minute is longer than the lock's lease: who lost it stops, and says how to go on.
    if told.exit != Some(0) {
        assert!(matches!(told.exit, Some(1 | 7)), "{told:#?}");
        assert!(
            format!("{}{}", told.out, told.err).contains("kubectl byocni resume"),
            "{told:#?}"
        );
        let told = stage.run(&["resume"], LONG);
        stage.assert_installed(&told);
    }
    all_run(&stage, NEW);
}

/// Helm fails once every agent is new and the network works: nobody's agents are replaced once more for that. What is
/// left to do is said, and `resume` does it.
#[test]
fn what_fails_behind_the_gate_is_finished_and_not_taken_back() {
    let Some(mut stage) = stage(4) else { return };
    let charts = stage.chart("");
    let honest = stage.helm_program().to_owned();
    let once = stage.plane.dir().join("upgraded-once");
    let deed = format!(
        "if [ -e {0} ]; then echo 'Error: UPGRADE FAILED: no' >&2; exit 1; fi; touch {0}",
        once.display()
    );
    stage.helm_lies("upgrade", &deed);
    let told = stage
        .start(&upgrade(&charts, &["--soak", "1s", "--settle", "2s"]))
        .end(LONG);
    assert_eq!(told.exit, Some(7), "{told:#?}");
    assert!(told.out.contains("the network works"), "{told:#?}");
    assert_eq!(versions(&stage), BTreeMap::from([(NEW.into(), 3)]));
    assert_eq!(stage.phase().as_deref(), Some("strategy"));
    stage.use_helm(&honest);
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
    all_run(&stage, NEW);
}
