//! Upgrades and rollbacks that are killed again and again, at moments and with endings that are drawn by lot: whoever
//! goes on, it ends as one of the two revisions, and a way back that was begun is never turned round.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    clusters::{Behaviour, Which},
    stage::{JOURNAL, LONG, Run, Stage},
    upgraded::{NEW, OLD, all_run, stage, upgrade, versions},
};

/// The same draws at every run; when a kill comes to pass in the cluster is another matter.
struct Lot(u64);

impl Lot {
    /// A number below `most` (Knuth's multiplier; the low bits of such a sequence are poor).
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// The change that the journal has under way.
fn under_way(stage: &Stage) -> Option<Value> {
    let journal = stage.plane.get(JOURNAL)?;
    serde_json::from_str(journal["data"]["operation"].as_str()?).ok()
}

/// `revision`, `chart` and `status` of the release by helm's own word, oldest first.
fn revisions(stage: &Stage) -> Vec<(i64, String, String)> {
    let told = stage.helm(&["history", "cilium", "--namespace=kube-system", "--output=json"]);
    let all: Vec<Value> = serde_json::from_str(&told.out).unwrap_or_else(|why| panic!("{why}: {told:#?}"));
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    all.iter()
        .map(|one| {
            (
                one["revision"].as_i64().unwrap_or_default(),
                text(one, "chart"),
                text(one, "status"),
            )
        })
        .collect()
}

/// Lets it run for a time, and kills it, at times with the helm that it called.
fn killed(stage: &Stage, run: Run, lot: &mut Lot) {
    let time = Duration::from_millis(500 + lot.below(20_000));
    std::thread::sleep(time);
    let with_helm = lot.below(2) == 0;
    run.kill();
    if with_helm && stage.helm_lives("upgrade") {
        let helm = stage.helm_pid("upgrade").expect("a helm that lives");
        let _ = rustix::process::kill_process(helm, Signal::KILL);
    }
    eprintln!(
        "killed after {time:?}, at {:?}{}",
        stage.phase(),
        if with_helm { ", its helm too" } else { "" }
    );
}

/// What must hold of a change that is under way: at most one helm is at work, and once it goes back only what was there
/// before is written.
fn holds(stage: &Stage, before: i64) {
    let all = revisions(stage);
    let pending = all
        .iter()
        .filter(|(.., status)| status.starts_with("pending"))
        .count();
    assert!(pending <= 1, "{all:#?}");
    let Some(operation) = under_way(stage) else { return };
    assert_eq!(operation["before"]["revision"], before, "{operation:#}");
    assert_eq!(operation["replaces"]["revision"], before, "{operation:#}");
}

/// Kills, resumes and aborts, until somebody is let through to the end.
fn goes_to_its_end(stage: &Stage, lot: &mut Lot, from: &str, to: &str) {
    let charts = stage.chart("");
    let before = revisions(stage).last().expect("a revision").0;
    let quick = ["--soak", "1s", "--settle", "2s"];
    let change = match to {
        NEW => upgrade(&charts, &quick),
        _ => [&["rollback", "--yes"], &quick[..]].concat(),
    };
    killed(stage, stage.start(&change), lot);
    if under_way(stage).is_none() {
        // It was over, or nothing was begun but the lock.
        eprintln!("once more, to the end");
        let told = stage.start(&change).end(LONG);
        assert!(matches!(told.exit, Some(0 | 6)), "{told:#?}");
    }
    let mut turned = false;
    for last in [false, false, true] {
        holds(stage, before);
        let Some(operation) = under_way(stage) else {
            break;
        };
        let back = !operation["replaces"]["back"].is_null();
        assert!(back || !turned, "the way back was turned round: {operation:#}");
        turned |= back;
        let verb = if lot.below(2) == 0 { "resume" } else { "abort" };
        eprintln!("{verb} from {}", operation["phase"]);
        let run = stage.start(&[verb, "--yes"]);
        if !last {
            killed(stage, run, lot);
            continue;
        }
        let told = run.end(LONG);
        assert!(matches!(told.exit, Some(0 | 6)), "{told:#?}");
        turned |= verb == "abort" || told.exit == Some(6);
    }
    let all = revisions(stage);
    let after: Vec<&str> = all
        .iter()
        .filter(|(revision, ..)| *revision > before)
        .map(|(_, chart, _)| chart.as_str())
        .collect();
    // There, and perhaps back; never there a second time.
    let turns = after.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let target = format!("cilium-{to}");
    assert!(turns == 0 || (turns == 1 && after[0] == target), "{all:#?}");
    let ended = match all.last() {
        Some((_, chart, _)) if *chart == target => to,
        _ => from,
    };
    assert!(!turned || ended == from, "{all:#?}");
    all_run(stage, ended);
    eprintln!("from {from} to {to}: {ended} runs, {after:?}");
}

/// Acceptance scenario 28 by lot: a cluster that is upgraded and rolled back, each time with two kills on the way.
#[test]
fn scenario_28_killed_by_lot() {
    let Some(stage) = stage(4) else { return };
    let mut lot = Lot(28);
    let mut went = 0;
    for _ in 0..4 {
        let (from, to) = match versions(&stage).contains_key(NEW) {
            true => (NEW, OLD),
            false => (OLD, NEW),
        };
        // The second time it is a version that never comes up.
        went += usize::from(to == NEW);
        let bad = to == NEW && went == 2;
        if bad {
            stage.kubelet.set_everywhere(
                Which::Image(format!("cilium:v{NEW}")),
                Behaviour::CrashLoop { exit_code: 1 },
            );
        }
        goes_to_its_end(&stage, &mut lot, from, to);
        if bad {
            stage.kubelet.set_everywhere(Which::Agent, Behaviour::Healthy);
        }
    }
}
