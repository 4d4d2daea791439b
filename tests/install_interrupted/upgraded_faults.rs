//! Upgrades before an API server that is overloaded, broken or slow, that refuses the login, or whose answers are lost. The
//! agents of a cluster that has a network are at stake here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Instant,
};

use http::Method;

use crate::{
    clusters::{Asked, Fault},
    faults::{one_of_three, overloaded},
    others::takes_the_lock,
    stage::{LONG, MINUTE, Run, SECRET, Stage, Told, until},
    upgraded::{NEW, OLD, all_run, stage, upgrade, versions},
};

const QUICK: [&str; 4] = ["--soak", "2s", "--settle", "2s"];

fn all_old() -> BTreeMap<String, usize> {
    BTreeMap::from([(OLD.into(), 3)])
}

/// An upgrade, as far as its first new agent.
fn at_the_first(stage: &Stage, more: &[&str]) -> Run {
    let charts = stage.chart("");
    let run = stage.start(&upgrade(&charts, more));
    until("the first agent is new", MINUTE * 2, || {
        versions(stage).contains_key(NEW)
    });
    run
}

fn said(told: &Told) -> String {
    format!("{}\n{}", told.out, told.err)
}

/// Names of the agents' pods that the plugin deleted.
fn agents_deleted(seen: &[Asked]) -> Vec<String> {
    let ours = seen
        .iter()
        .filter(|a| a.method == Method::DELETE && a.writes() && !a.by_helm());
    let names = ours.filter_map(|a| {
        let path = a.path.split('?').next()?;
        path.split_once("/pods/").map(|(_, name)| name.to_owned())
    });
    names
        .filter(|name| name.starts_with("cilium-") && !name.starts_with("cilium-operator-"))
        .filter(|name| !name.starts_with("cilium-envoy-"))
        .collect()
}

/// Scenario 32 in the middle of a rollout: 429 for 20 s with `Retry-After: 2`; it is asked no more often than it says.
/// Scenario 35: then silence, and answers in drops.
#[test]
fn scenarios_32_and_35_a_rollout_before_an_overloaded_server() {
    let Some(stage) = stage(3) else { return };
    let run = at_the_first(&stage, &QUICK);
    overloaded(&stage, || {
        let down = 3 - versions(&stage).values().sum::<usize>();
        assert!(down <= 1, "no second agent is taken down meanwhile");
    });
    let told = run.end(LONG);
    stage.assert_installed(&told);
    all_run(&stage, NEW);
}

/// Scenario 33 at an upgrade: a third of the plugin's calls fails or stays unanswered from the lock on. What it says in the
/// end is so, and where it did not come to an end there is a way to one.
#[test]
fn scenario_33_an_upgrade_while_a_third_of_all_calls_fails() {
    let Some(stage) = stage(4) else { return };
    let locked = std::sync::atomic::AtomicBool::new(false);
    stage.proxy.rule(move |asked| {
        use std::sync::atomic::Ordering::SeqCst;
        if takes_the_lock(asked) {
            locked.store(true, SeqCst);
        }
        if asked.by_helm() || !locked.load(SeqCst) {
            return None;
        }
        one_of_three(asked, 4)
    });
    let charts = stage.chart("");
    let more = [&QUICK[..], &["--request-timeout", "3s"]].concat();
    let told = stage.start(&upgrade(&charts, &more)).end(LONG * 2);
    stage.proxy.heal();
    eprintln!("{:?} after {:?}", told.exit, told.took);
    match told.exit {
        Some(0) => {
            assert!(told.out.contains("DONE"), "{told:#?}");
            assert_eq!(versions(&stage), BTreeMap::from([(NEW.into(), 3)]));
            stage.assert_whole_but_probes();
        }
        Some(6) => {
            assert!(told.out.contains("ROLLED BACK"), "{told:#?}");
            assert_eq!(versions(&stage), all_old());
            stage.assert_whole_but_probes();
        }
        Some(1 | 5 | 7) if stage.phase().is_some() => {
            assert!(!told.out.contains("DONE"), "{told:#?}");
            assert!(said(&told).contains("kubectl byocni resume"), "{told:#?}");
            let next = stage.run(&["abort"], LONG * 2);
            assert_eq!(next.exit, Some(0), "{told:#?}\n{next:#?}");
            all_run(&stage, OLD);
        }
        // Nothing was begun.
        Some(1 | 4 | 5) => assert_eq!(versions(&stage), all_old(), "{told:#?}"),
        other => panic!("{other:?}: {told:#?}"),
    }
}

/// Scenario 34: the login ends in the middle of the rollout: no hang, no further agent is touched, the journal says where it
/// stands, exit 7 with the command that goes on; and going on finishes, on another machine too.
#[test]
fn scenario_34_a_login_that_ends_in_the_middle_of_a_rollout() {
    let Some(stage) = stage(3) else { return };
    let run = at_the_first(&stage, &["--soak", "20s", "--settle", "2s"]);
    stage
        .proxy
        .rule(|asked| (!asked.by_helm()).then_some(Fault::Answer(401)));
    // The lock is given up once it could not be renewed for two minutes.
    let told = run.end(MINUTE * 3);
    assert_eq!(told.exit, Some(7), "{told:#?}");
    assert!(said(&told).contains("kubectl byocni resume"), "{told:#?}");
    assert_eq!(stage.phase().as_deref(), Some("rolling"));
    assert!(stage.plane.get(SECRET).is_some(), "what resuming needs is there");
    assert_eq!(
        versions(&stage),
        BTreeMap::from([(NEW.into(), 1), (OLD.into(), 2)]),
        "it stands still"
    );
    stage.proxy.heal();
    let told = elsewhere(&stage, &["resume", "--yes"]);
    stage.assert_installed(&told);
    all_run(&stage, NEW);
}

/// Runs a verb as somebody else does on another machine: another home and no file of the first run, another kubeconfig with
/// another way to the API server.
fn elsewhere(stage: &Stage, arguments: &[&str]) -> Told {
    let home = stage.plane.dir().join("elsewhere");
    std::fs::create_dir_all(&home).expect("a home");
    let begun = Instant::now();
    let output = stage
        .command(stage.plane.kubeconfig(), arguments)
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .env("USER", "somebody-else")
        .output()
        .expect("the plugin starts");
    Told {
        exit: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: begun.elapsed(),
    }
}

/// Scenario 36 at an upgrade: each create that matters succeeds and its answer is lost, and so does each first deletion of an
/// agent: there is one object of each, and no agent goes twice.
#[test]
fn scenario_36_an_upgrade_whose_answers_are_lost() {
    let Some(stage) = stage(4) else { return };
    let lost: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let losing = Arc::clone(&lost);
    let before = stage.proxy.seen().len();
    stage.proxy.rule(move |asked| {
        if !asked.writes() || asked.by_helm() {
            return None;
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        let kind = path.rsplit('/').next().unwrap_or_default();
        let mut lost = losing.lock().expect("what was lost");
        let created = ["leases", "configmaps", "secrets", "pods"].contains(&kind);
        if asked.method == Method::POST && created && lost.insert(kind.to_owned()) {
            return Some(match kind {
                "leases" | "secrets" => Fault::PassThenClose,
                _ => Fault::PassThenAnswer(504),
            });
        }
        let agent = path.split_once("/pods/cilium-").is_some();
        (asked.method == Method::DELETE && agent && lost.insert(path.to_owned()))
            .then_some(Fault::PassThenClose)
    });
    let charts = stage.chart("");
    let told = stage.start(&upgrade(&charts, &QUICK)).end(LONG);
    stage.assert_installed(&told);
    all_run(&stage, NEW);
    let seen = stage.proxy.seen();
    let lost = lost.lock().expect("what was lost");
    let posts = |kind: &str| {
        let ours = seen[before..]
            .iter()
            .filter(|a| a.writes() && !a.by_helm() && a.method == Method::POST);
        ours.filter(|a| a.path.split('?').next().unwrap_or_default().ends_with(kind))
            .count()
    };
    for kind in ["leases", "secrets", "pods"] {
        assert!(lost.contains(kind), "{kind}: {lost:?}");
    }
    for kind in ["/leases", "/secrets"] {
        assert_eq!(posts(kind), 1, "{kind} was looked for, not made again");
    }
    let deleted: BTreeSet<String> = agents_deleted(&seen[before..]).into_iter().collect();
    assert_eq!(deleted.len(), 3, "each agent once: {deleted:?}");
}
