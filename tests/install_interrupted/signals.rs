//! Asked to stop: the first signal at the next safe point, the second at once.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    clusters::Fault,
    killed::hold_after_record,
    stage::{AGENTS, LEASE, LONG, MINUTE, SECRET, Stage, until},
};

/// Scenario 29: at the gate, one signal stops, gives the lock back and says how to go on; going on finishes.
/// Scenario 30: a second signal leaves within two seconds, with the journal intact.
#[test]
fn scenarios_29_and_30_interrupted() {
    let Some(stage) = Stage::set(3) else { return };
    // While helm writes its objects: the second signal leaves it running.
    let recorded = Arc::new(AtomicBool::new(false));
    stage.proxy.rule(move |asked| hold_after_record(asked, &recorded));
    let run = stage.install("cilium", &[]);
    until("helm's record is pending", MINUTE * 2, || {
        stage.release("kube-system") == ["1 pending-install"]
    });
    run.signal(Signal::INT);
    until("helm goes on until it may stop", MINUTE, || {
        stage.helm_lives("install")
    });
    let begun = Instant::now();
    // Two that come at once may count as one.
    std::thread::sleep(Duration::from_millis(300));
    run.signal(Signal::INT);
    let told = run.end(Duration::from_secs(20));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(told.exit, Some(130), "{told:#?}");
    assert!(told.err.contains("kubectl byocni resume"), "{told:#?}");
    assert_eq!(stage.phase().as_deref(), Some("helm"));
    assert!(stage.plane.get(SECRET).is_some());
    stage.proxy.heal();
    until("helm ends by itself", MINUTE, || !stage.helm_lives("install"));
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    stage.assert_fresh();

    stage.hold_agents();
    let mut run = stage.install("cilium", &[]);
    run.says("gate:");
    run.says("operator 1/1");
    run.signal(Signal::INT);
    let told = run.end(MINUTE);
    assert_eq!(told.exit, Some(130), "{told:#?}");
    assert!(told.out.contains("kubectl byocni resume"), "{told:#?}");
    assert!(stage.plane.get(LEASE).is_none(), "the lock is given back");
    assert_eq!(stage.phase().as_deref(), Some("gate"));
    assert_eq!(stage.release("kube-system"), ["1 deployed"]);
    stage.assert_no_probes();
    stage.free_agents();
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
}

/// Scenario 31: SIGTERM while `helm install` runs reaches helm as SIGTERM, which marks the release failed; it is not left
/// pending, and going on completes it.
fn terminated(helm: u8) {
    let Some(stage) = Stage::set(helm) else { return };
    stage.proxy.rule(|asked| {
        let object = asked.by_helm() && asked.writes() && !asked.path.contains("/secrets");
        object.then_some(Fault::Slow(Duration::from_millis(700)))
    });
    let run = stage.install("cilium", &[]);
    until("helm's record is pending", MINUTE * 2, || {
        stage.release("kube-system") == ["1 pending-install"]
    });
    run.signal(Signal::TERM);
    let told = run.end(MINUTE);
    assert_eq!(told.exit, Some(130), "{told:#?}");
    assert!(!stage.helm_lives("install"));
    assert_eq!(stage.release("kube-system"), ["1 failed"], "{told:#?}");
    assert_eq!(stage.phase().as_deref(), Some("helm"));
    assert!(stage.plane.get(LEASE).is_none(), "the lock is given back");
    assert!(stage.plane.get(AGENTS).is_none(), "it was stopped before the end");
    stage.proxy.heal();
    let told = stage.run(&["resume"], LONG);
    stage.assert_installed(&told);
}

#[test]
fn scenario_31_terminated_helm_3() {
    terminated(3);
}

#[test]
fn scenario_31_terminated_helm_4() {
    terminated(4);
}

/// Scenario 29, before anything was begun: a signal at the question leaves at once, and nothing was written.
#[test]
fn scenario_29_interrupted_at_the_question() {
    let Some(stage) = Stage::set(3) else { return };
    let Some(mut run) = stage.asked("cilium") else {
        return;
    };
    run.says("[y/N]");
    run.types("\u{3}");
    let told = run.end(Duration::from_secs(20));
    assert!(told.out.contains("nothing was changed"), "{told:#?}");
    assert_eq!(told.exit, Some(130), "{told:#?}");
    assert_eq!(stage.audited_writes(), Vec::<String>::new());
}
