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
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    clusters::{Asked, Fault},
    others::takes_the_lock,
    stage::{AGENTS, LEASE, LONG, MINUTE, Stage, until},
};

/// For 20 s the server wants to be asked again in two seconds, which is kept; then it is silent, and answers in drops.
/// `meanwhile` is looked at all the time that it is busy.
pub fn overloaded(stage: &Stage, meanwhile: impl Fn()) {
    let begun = Instant::now();
    let busy = Duration::from_secs(20);
    stage
        .proxy
        .rule(move |asked| (asked.at < begun + busy).then_some(Fault::Busy(2)));
    while begun.elapsed() < busy {
        std::thread::sleep(Duration::from_millis(200));
        meanwhile();
    }
    let asked = stage.proxy.seen().iter().filter(|a| a.at >= begun).count();
    // A look reads some thirty lists, each asked again every two seconds.
    assert!(asked < 450, "{asked} requests in 20 s");
    let slow = Instant::now();
    stage.proxy.rule(move |asked| match slow.elapsed().as_secs() {
        0..8 => Some(Fault::Silence(Duration::from_secs(8))),
        8..16 if asked.method == Method::GET => Some(Fault::Drip(Duration::from_millis(100))),
        _ => None,
    });
}

/// Scenario 32: 429 for 20 s with `Retry-After: 2`, longer than the lock's lease lives: the run succeeds, and asks no more
/// often than it was told to.
/// Scenario 35: then silence and answers in drops.
#[test]
fn scenarios_32_and_35_overloaded() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let mut run = stage.install("cilium", &[]);
    run.says("operator 1/1");
    overloaded(&stage, || {});
    stage.free_agents();
    let told = run.end(LONG);
    stage.assert_installed(&told);
}

/// The fault that a third of all calls meets, drawn for each of them by a small generator of its own.
pub fn one_of_three(asked: &Asked, seed: u64) -> Option<Fault> {
    let mut x =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (asked.number as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 30;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    match x % 20 {
        0 | 1 => Some(Fault::Answer(500)),
        2 => Some(Fault::Answer(503)),
        3 => Some(Fault::PassThenAnswer(504)),
        4 => Some(Fault::PassThenClose),
        5 => Some(Fault::Silence(Duration::from_secs(4))),
        _ => None,
    }
}

/// Scenario 33: a third of all calls fails or stays unanswered. Whatever it says then is true, and what it leaves can be
/// taken back. `from` says which calls may fail, and when that begins. Returns whether the network was installed.
fn a_third_fails(seed: u64, from: fn(&Asked, bool) -> bool) -> Option<bool> {
    let stage = Stage::set(3)?;
    let locked = AtomicBool::new(false);
    stage.proxy.rule(move |asked| {
        if takes_the_lock(asked) {
            locked.store(true, Ordering::SeqCst);
        }
        if !from(asked, locked.load(Ordering::SeqCst)) {
            return None;
        }
        one_of_three(asked, seed)
    });
    let run = stage.install("cilium", &["--request-timeout", "3s"]);
    let told = run.end(LONG * 2);
    stage.proxy.heal();
    eprintln!("seed {seed}: {:?} after {:?}", told.exit, told.took);
    if told.exit == Some(0) {
        if told.err.contains("probe pods could not be removed") {
            // Said, and then true: they end by themselves.
            stage.assert_whole_but_probes();
        } else {
            stage.assert_installed(&told);
        }
        return Some(true);
    }
    assert!(
        matches!(told.exit, Some(1 | 4 | 5 | 6 | 7)) && !told.out.contains("DONE"),
        "{told:#?}"
    );
    if stage.phase().is_none() {
        // Nothing was begun, or it was taken back, or all was done and the last answer was lost.
        assert_ne!(told.exit, Some(7), "{told:#?}");
        match stage.release("kube-system").is_empty() {
            true => stage.assert_fresh(),
            false => stage.assert_whole(),
        }
        return Some(false);
    }
    assert!(matches!(told.exit, Some(1 | 5 | 7)), "{told:#?}");
    assert!(
        (told.out.clone() + &told.err).contains("kubectl byocni"),
        "{told:#?}"
    );
    let next = stage.run(&["abort", "--uninstall"], LONG);
    assert_eq!(next.exit, Some(0), "{told:#?}\n{next:#?}");
    stage.assert_fresh();
    Some(false)
}

/// From the first call on.
#[test]
fn scenario_33_from_the_first_call() {
    for seed in [1, 2] {
        let Some(_) = a_third_fails(seed, |_, _| true) else {
            return;
        };
    }
}

/// From the lock on, helm's calls too: helm sends each but once, and gives up.
#[test]
fn scenario_33_from_the_lock() {
    for seed in [3, 4] {
        let Some(_) = a_third_fails(seed, |_, locked| locked) else {
            return;
        };
    }
}

/// From the lock on, the plugin's calls alone: what a look needs is asked for until it is there, so that the network is
/// seen to work in the end.
#[test]
fn scenario_33_the_plugins_calls() {
    let mut installed = 0;
    for seed in 5..9 {
        match a_third_fails(seed, |asked, locked| locked && !asked.by_helm()) {
            Some(true) => installed += 1,
            Some(false) => {}
            None => return,
        }
        if installed == 2 {
            return;
        }
    }
    assert!(installed > 0, "no seed of four came to its end");
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

/// Scenario 23, at an install: on two nodes no agent ever comes up. Helm waits for the same chart with the same values and
/// calls it deployed, with none of them running; ours is a failure, and is taken back.
#[test]
fn scenario_23_what_helm_waits_for_is_no_network() {
    let Some(stage) = Stage::of(2, 3) else { return };
    stage.hold_agents();
    let version = ["--version", "1.19.6"];
    let charts = stage.chart("");
    let plan = ["install", "cilium", "--dry-run", "-o", "json", "--repo", &charts];
    let plan = stage.start(&[&plan[..], &version].concat()).end(MINUTE * 2);
    let plan: Value = serde_json::from_str(&plan.out).unwrap_or_else(|e| panic!("{e}: {plan:#?}"));
    let told = stage
        .install("cilium", &[&version[..], &["--timeout", "10s"]].concat())
        .end(LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    assert!(
        told.out.contains("gate-timed-out") && told.out.contains("ROLLED BACK"),
        "{told:#?}"
    );
    stage.assert_fresh();

    let chart = stage.chart("cilium-1.19.6.tgz");
    let mut arguments = vec![
        "install",
        "cilium",
        &chart,
        "--namespace=kube-system",
        "--wait",
        "--timeout=90s",
    ];
    let values = plan["values"].as_array().expect("values");
    let set: Vec<String> = values
        .iter()
        .map(|value| {
            format!(
                "--set-json={}={}",
                value["key"].as_str().unwrap_or_default(),
                value["value"]
            )
        })
        .collect();
    assert!(set.iter().any(|one| one.contains("10.244.0.0/16")), "{set:?}");
    arguments.extend(set.iter().map(String::as_str));
    let waited = stage.helm(&arguments);
    assert_eq!(waited.exit, Some(0), "{waited:#?}");
    assert_eq!(stage.release("kube-system"), ["1 deployed"]);
    let agents = stage.plane.get(AGENTS).expect("the agents");
    let status = &agents["status"];
    assert_eq!(
        (&status["desiredNumberScheduled"], &status["numberReady"]),
        (&json!(2), &json!(0)),
        "{agents}"
    );
}

/// Scenario 45, as far as install goes: going back fails, too. It says what is left, and `abort` finishes later.
#[test]
fn scenario_45_going_back_fails_too() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
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

/// A helm that hangs while it renders: a signal ends both at once, and by itself it is given up after its minute. One that
/// says that it installed and did not is not believed. A chart that renders nothing is none.
#[test]
fn helms_that_hang_and_lie() {
    let Some(mut stage) = Stage::set(3) else { return };
    let good = stage.helm_program().to_owned();
    stage.helm_lies("template", "exec sleep 600");
    let run = stage.install("cilium", &[]);
    until("helm renders", MINUTE * 2, || stage.helm_lives("template"));
    let helm = stage.helm_pid("template").expect("helm was called");
    let begun = Instant::now();
    run.signal(Signal::INT);
    let told = run.end(MINUTE);
    assert_eq!(told.exit, Some(130), "{told:#?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    until("helm is gone", MINUTE, || {
        rustix::process::test_kill_process(helm).is_err()
    });

    let told = stage.install("cilium", &[]).end(LONG);
    assert_eq!(told.exit, Some(4), "{told:#?}");
    assert!(told.out.contains("60 s"), "{told:#?}");
    assert!(!stage.helm_lives("template"), "it was ended");
    assert_eq!(stage.audited_writes(), Vec::<String>::new());

    stage.use_helm(&good);
    stage.helm_lies("install", "exit 0");
    let told = stage.install("cilium", &[]).end(LONG);
    assert_eq!(told.exit, Some(6), "{told:#?}");
    assert!(
        told.out.contains("helm-failed") && told.out.contains("there is no release"),
        "{told:#?}"
    );
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
