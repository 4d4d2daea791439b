//! Upgrades and rollbacks that are told to stop while helm runs, or twice: the agents of a cluster that has a network are at
//! stake.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    clusters::{Behaviour, Fault, Which},
    stage::{LEASE, LONG, MINUTE, Run, SECRET, Stage, Told, until},
    upgraded::{NEW, OLD, all_run, stage, upgrade, versions},
};

const QUICK: [&str; 4] = ["--soak", "2s", "--settle", "2s"];

fn said(told: &Told) -> String {
    format!("{}\n{}", told.out, told.err)
}

/// Until helm's newest record is pending, with its objects slow to write.
fn helm_is_slow(stage: &Stage, arguments: &[&str]) -> Run {
    let revision = stage.release("kube-system").len();
    stage.proxy.rule(|asked| {
        let object = asked.by_helm() && asked.writes() && !asked.path.contains("/secrets");
        object.then_some(Fault::Slow(Duration::from_millis(700)))
    });
    let run = stage.start(arguments);
    until("helm's record is pending", MINUTE * 2, || {
        let all = stage.release("kube-system");
        all.len() > revision && all.last().is_some_and(|one| one.ends_with("pending-upgrade"))
    });
    run
}

/// Scenario 31: SIGTERM while `helm upgrade` runs reaches helm as SIGTERM: nothing stays pending, no agent moved, and going on
/// completes it. The way back is a `helm upgrade` too, which unlike `helm rollback` minds a signal.
#[test]
fn scenario_31_an_upgrade_and_a_rollback_are_terminated_while_helm_runs() {
    let Some(stage) = stage(3) else { return };
    let charts = stage.chart("");
    let ways = [
        (upgrade(&charts, &QUICK), OLD, NEW),
        ([&["rollback", "--yes"], &QUICK[..]].concat(), NEW, OLD),
    ];
    for (arguments, from, to) in ways {
        let run = helm_is_slow(&stage, &arguments);
        run.signal(Signal::TERM);
        let told = run.end(MINUTE);
        assert_eq!(told.exit, Some(130), "{told:#?}");
        assert!(!stage.helm_lives("upgrade"));
        assert!(stage.helm_pid("rollback").is_none(), "helm rollback was called");
        let all = stage.release("kube-system");
        assert!(all.iter().all(|one| !one.contains("pending")), "{all:?}");
        assert!(stage.plane.get(LEASE).is_none(), "the lock is given back");
        assert_eq!(versions(&stage), BTreeMap::from([(from.into(), 3)]));
        stage.proxy.heal();
        let told = stage.run(&["resume"], LONG);
        stage.assert_installed(&told);
        all_run(&stage, to);
    }
}

/// Scenario 30 in a rollout: the first signal waits for the agent that is under way, the second does not: gone within two
/// seconds, with the journal intact; and going on finishes.
#[test]
fn scenario_30_a_rollout_is_left_at_once() {
    let Some(stage) = stage(4) else { return };
    let newer = Which::Image(format!("cilium:v{NEW}"));
    stage
        .kubelet
        .set_everywhere(newer.clone(), Behaviour::Slow(Duration::from_secs(600)));
    let charts = stage.chart("");
    let mut run = stage.start(&upgrade(&charts, &QUICK));
    until("the first agent is on its way", MINUTE * 2, || {
        versions(&stage) == BTreeMap::from([(OLD.into(), 2)])
    });
    run.signal(Signal::INT);
    // Longer than it takes to look and to leave.
    std::thread::sleep(Duration::from_secs(6));
    assert!(run.runs(), "it does not wait for the agent: {}", run.err());
    let begun = Instant::now();
    run.signal(Signal::INT);
    let told = run.end(Duration::from_secs(20));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(told.exit, Some(130), "{told:#?}");
    assert!(said(&told).contains("kubectl byocni resume"), "{told:#?}");
    assert_eq!(stage.phase().as_deref(), Some("rolling"));
    assert!(stage.plane.get(SECRET).is_some());
    stage.kubelet.set_everywhere(newer, Behaviour::Healthy);
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
    all_run(&stage, NEW);
}
