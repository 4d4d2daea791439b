//! An API server that is overloaded, broken, slow, read-only, or that no longer takes the login.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::Method;
use serde_json::json;

use crate::{
    clusters::{Asked, Fault},
    others::takes_the_lock,
    stage::{JOURNAL, LEASE, LONG, MINUTE, SECRET, Stage},
};

/// Scenario 32: 429 for 20 s with `Retry-After: 2`, longer than the lock's lease lives: the run succeeds, and asks no more
/// often than it was told to.
/// Scenario 35: then silence and answers in drops.
#[test]
fn scenarios_32_and_35_overloaded() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let mut run = stage.install("cilium", &[]);
    run.says("operator 1/1");
    let begun = Instant::now();
    let busy = Duration::from_secs(20);
    stage
        .proxy
        .rule(move |asked| (asked.at < begun + busy).then_some(Fault::Busy(2)));
    std::thread::sleep(busy);
    let asked = stage.proxy.seen().iter().filter(|a| a.at >= begun).count();
    // A look reads some thirty lists, each asked again every two seconds.
    assert!(asked < 450, "{asked} requests in 20 s");
    let slow = Instant::now();
    stage.proxy.rule(move |asked| match slow.elapsed().as_secs() {
        0..8 => Some(Fault::Silence(Duration::from_secs(8))),
        8..16 if asked.method == Method::GET => Some(Fault::Drip(Duration::from_millis(100))),
        _ => None,
    });
    stage.free_agents();
    let told = run.end(LONG);
    stage.assert_installed(&told);
}

/// Scenario 33: a third of all calls fails or stays unanswered. Whatever it says then is true, and going on afterwards ends
/// well. `from` says which calls may fail, and when that begins.
fn a_third_fails(seed: u64, from: fn(&Asked, bool) -> bool) {
    let Some(stage) = Stage::set(3) else { return };
    let locked = AtomicBool::new(false);
    stage.proxy.rule(move |asked| {
        if takes_the_lock(asked) {
            locked.store(true, Ordering::SeqCst);
        }
        if !from(asked, locked.load(Ordering::SeqCst)) {
            return None;
        }
        // A small generator of its own for each request: the same seed fails the same calls.
        let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (asked.number as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 30;
        x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        match x % 20 {
            0 | 1 => Some(Fault::Answer(500)),
            2 => Some(Fault::Answer(503)),
            3 => Some(Fault::PassThenAnswer(504)),
            4 => Some(Fault::PassThenClose),
            5 => Some(Fault::Silence(Duration::from_secs(6))),
            _ => None,
        }
    });
    let run = stage.install("cilium", &["--request-timeout", "5s"]);
    let told = run.end(LONG * 2);
    stage.proxy.heal();
    eprintln!("seed {seed}: {:?} after {:?}", told.exit, told.took);
    match told.exit {
        Some(0) => return stage.assert_installed(&told),
        Some(1 | 4 | 5 | 6 | 7) => {}
        other => panic!("{other:?}: {told:#?}"),
    }
    assert!(!told.out.contains("DONE"), "{told:#?}");
    let next = if stage.phase().is_some() {
        assert!(
            (told.out.clone() + &told.err).contains("kubectl byocni") || told.exit == Some(1),
            "{told:#?}"
        );
        stage.run(&["abort", "--uninstall"], LONG)
    } else {
        // Nothing was begun, or it was taken back.
        stage.assert_fresh();
        return;
    };
    assert_eq!(next.exit, Some(0), "{told:#?}\n{next:#?}");
    assert!(stage.release("kube-system").is_empty());
    assert!(stage.plane.get(JOURNAL).is_none() && stage.plane.get(SECRET).is_none());
}

/// From the first call on: there is no plan.
#[test]
fn scenario_33_seed_1() {
    a_third_fails(1, |_, _| true);
}

/// From the lock on, helm's calls too.
#[test]
fn scenario_33_seed_2() {
    a_third_fails(2, |_, locked| locked);
}

/// From the lock on, the plugin's calls alone.
#[test]
fn scenario_33_seed_3() {
    a_third_fails(3, |asked, locked| locked && !asked.by_helm());
}

/// Scenario 34, as far as install goes: the login is refused in the middle. No hang; the journal says where it stands.
/// Scenario 36: each create that matters succeeds and its answer is lost: there is one of each.
#[test]
fn scenarios_34_and_36_lost_answers_and_logins() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let mut run = stage.install("cilium", &["--timeout", "15s"]);
    run.says("operator 1/1");
    stage
        .proxy
        .rule(|asked| (!asked.by_helm()).then_some(Fault::Answer(401)));
    let told = run.end(LONG);
    assert_eq!(told.exit, Some(7), "{told:#?}");
    assert!(
        (told.out.clone() + &told.err).contains("kubectl byocni resume"),
        "{told:#?}"
    );
    assert_eq!(stage.phase().as_deref(), Some("gate"));
    stage.proxy.heal();
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    stage.assert_fresh();
    stage.free_agents();

    let lost: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let losing = lost.clone();
    let before = stage.proxy.seen().len();
    stage.proxy.rule(move |asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let kind = path.rsplit('/').next().unwrap_or_default();
        let ours = asked.method == Method::POST && asked.writes() && !asked.by_helm();
        let first = ours
            && ["leases", "configmaps", "secrets", "pods"].contains(&kind)
            && losing.lock().expect("what was lost").insert(kind.to_owned());
        match kind {
            "leases" | "secrets" if first => Some(Fault::PassThenClose),
            _ if first => Some(Fault::PassThenAnswer(504)),
            _ => None,
        }
    });
    let told = stage.install("cilium", &[]).end(LONG);
    stage.assert_installed(&told);
    assert_eq!(lost.lock().expect("what was lost").len(), 4);
    let posts = |kind: &str| {
        let seen = stage.proxy.seen();
        let ours = seen[before..]
            .iter()
            .filter(|a| a.writes() && !a.by_helm() && a.method == Method::POST);
        ours.filter(|a| a.path.split('?').next().unwrap_or_default().ends_with(kind))
            .count()
    };
    for kind in ["/leases", "/configmaps", "/secrets"] {
        assert_eq!(posts(kind), 1, "{kind} was looked for, not made again");
    }
}

/// Scenario 45, as far as install goes: going back fails, too. It says what is left, and `abort` finishes later.
/// Scenario 23: agents that never become Ready are a failure, whatever helm thinks, and are taken back.
#[test]
fn scenarios_23_and_45_taken_back() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let told = stage.install("cilium", &["--timeout", "10s"]).end(LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    assert!(told.out.contains("ROLLED BACK"), "{told:#?}");
    stage.assert_fresh();

    stage.proxy.rule(|asked| {
        (asked.method == Method::DELETE && !asked.path.contains("/leases/")).then_some(Fault::Answer(500))
    });
    let told = stage.install("cilium", &["--timeout", "10s"]).end(LONG);
    assert_eq!(told.exit, Some(7), "{told:#?}");
    assert!(told.out.contains("left"), "{told:#?}");
    assert!(told.out.contains("kubectl byocni abort"), "{told:#?}");
    assert_eq!(stage.phase().as_deref(), Some("back"));
    assert!(stage.plane.get(LEASE).is_none(), "the lock is given back");
    stage.proxy.heal();
    let told = stage.run(&["abort"], LONG);
    assert_eq!(told.exit, Some(0), "{told:#?}");
    stage.assert_fresh();
}

/// An API server that writes nothing: a clear word, and nothing half-written.
/// Scenario 42: a record of helm's that cannot be read is a finding, not a crash, and stays as it is.
#[test]
fn scenario_42_read_only_and_damaged() {
    let Some(stage) = Stage::set(3) else { return };
    for status in [403, 503] {
        let before = stage.audited_writes();
        stage
            .proxy
            .rule(move |asked| asked.writes().then_some(Fault::Answer(status)));
        let told = stage.install("cilium", &[]).end(LONG);
        assert!(matches!(told.exit, Some(1 | 4 | 5)), "{told:#?}");
        assert!(
            told.err.contains("lock") && told.err.contains("kubectl"),
            "{told:#?}"
        );
        assert_eq!(stage.audited_writes(), before, "nothing was written");
        stage.proxy.heal();
        stage.assert_fresh();
    }

    let record = json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": "sh.helm.release.v1.cilium.v1", "namespace": "kube-system",
            "labels": {"owner": "helm", "name": "cilium", "status": "deployed", "version": "1"}},
        "data": {"release": "bm90IGd6aXAgYXQgYWxs"}});
    stage.plane.apply(&record.to_string());
    let before = stage.audited_writes();
    let told = stage.install("cilium", &[]).end(MINUTE * 2);
    assert_eq!(told.exit, Some(4), "{told:#?}");
    assert!(
        told.out.contains("release-in-the-way") && told.out.contains("cannot read"),
        "{told:#?}"
    );
    assert_eq!(stage.audited_writes(), before, "nothing was written");
    assert_eq!(stage.release("kube-system"), ["1 deployed"], "it stays as it is");
}
