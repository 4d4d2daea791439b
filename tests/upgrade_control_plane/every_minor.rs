//! Cilium over every minor that is known, there and back.

use std::{collections::BTreeSet, time::Instant};

use serde_json::Value;

use crate::{
    running::{QUICK, all_run, at_rest, figures_are_asked_for, history, revisions},
    story::{Ran, Story},
    watched::Watch,
};

/// What a row of the history says: revision, version, helm's word, the health at the time.
fn told(rows: &[Value]) -> Vec<(i64, String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let shown = rows.iter().filter(|row| row["hidden"] == false);
    let one = |row: &Value| {
        (
            row["revision"].as_i64().unwrap_or_default(),
            text(&row["chart"]["version"]).unwrap_or_default(),
            text(&row["status"]).unwrap_or_default(),
            text(&row["health"]),
        )
    };
    shown.map(one).collect()
}

fn row(revision: i64, version: &str, status: &str) -> (i64, String, String, Option<String>) {
    (revision, version.into(), status.into(), Some("healthy".into()))
}

/// Scenario 13's other half: one command walks every minor, each hop with its own gate, and `rollback` goes back hop by
/// hop. Between hops nothing of ours is left but records.
#[test]
fn one_command_walks_four_minors_and_rollback_each_of_them_back() {
    walked(3, 3);
}

/// The same over fifty nodes, and over five hundred: each agent is replaced eight times, which takes an hour. For people
/// who ask for figures.
#[test]
fn fifty_nodes_walk_there_and_back() {
    if figures_are_asked_for() {
        walked(50, 4);
    }
}

#[test]
fn five_hundred_nodes_walk_there_and_back() {
    if figures_are_asked_for() {
        walked(500, 3);
    }
}

/// Walks there and back; what was down at once is compared with what may be.
fn walked(nodes: usize, helm: u8) {
    let Some(story) = Story::aks(nodes, helm) else {
        return;
    };
    // kube-proxy's 10.244.0.0/16 has blocks for 256 of them.
    let (wide, beside): (&[&str], &[&str]) = match nodes > 256 {
        true => (
            &["--pod-cidr", "10.240.0.0/13"],
            &["warning kube-proxy-cidr-mismatch"],
        ),
        false => (&[], &[]),
    };
    story
        .install(&[&["cilium", "--version", "1.16.19"], wide].concat())
        .expect(0, &["DONE"]);
    all_run(&story, nodes, "1.16.19");

    let ran = within_the_promise(&story, nodes, || {
        story.upgrade(&[&["--to", "1.20"], &QUICK[..]].concat())
    });
    ran.expect(0, &["DONE", "Cilium 1.20.0 runs in place of 1.19.6, revision 7"]);
    for hop in ["1.17.18", "1.18.12", "1.19.6"] {
        assert!(
            ran.said().contains(&format!("Cilium {hop} runs in place of")),
            "{}",
            ran.out
        );
    }
    all_run(&story, nodes, "1.20.0");
    at_rest(&story, "1.20.0");
    story.only_the_record_is_left("kube-system/cilium", "1.16.19");
    story.status().expect("healthy", 0, beside);

    // What only held agents still is hidden, and stands between each two.
    let rows = history(&story);
    let there = [
        row(1, "1.16.19", "superseded"),
        row(3, "1.17.18", "superseded"),
        row(5, "1.18.12", "superseded"),
        row(7, "1.19.6", "superseded"),
        row(9, "1.20.0", "deployed"),
    ];
    assert_eq!(told(&rows), there, "{rows:#?}");
    let page = story.run(&["history"]);
    page.expect(0, &["1.19.6 → 1.20.0"]);
    assert!(!page.out.contains("strategy only"), "{}", page.out);
    let by: BTreeSet<Option<&str>> = rows
        .iter()
        .filter(|row| row["hidden"] == false)
        .map(|row| row["by"].as_str())
        .collect();
    assert!(by.iter().all(Option::is_some), "{rows:#?}");

    // The last one by itself, the others by name: the newest good one would be the one that was just left.
    let hops: [(&[&str], &str, i64); 4] = [
        (&[], "1.19.6", 11),
        (&["5"], "1.18.12", 13),
        (&["3"], "1.17.18", 15),
        (&["1"], "1.16.19", 17),
    ];
    for (revision, version, made) in hops {
        let ran = within_the_promise(&story, nodes, || story.rollback(&[revision, &QUICK[..]].concat()));
        let words = format!("Cilium {version} runs in place of");
        ran.expect(0, &["DONE", &words]);
        all_run(&story, nodes, version);
        at_rest(&story, version);
        let newest = history(&story).pop().expect("a row");
        assert_eq!(
            (newest["revision"].as_i64(), newest["health"].as_str()),
            (Some(made), Some("healthy")),
            "{newest:#}"
        );
    }
    // The operator of 1.16 and the values of the first day: nothing of 1.20 is left in the release.
    let values = story.helm(&["get", "values", "cilium", "-n", "kube-system"]);
    assert!(!values.contains("OnDelete"), "{values}");
    assert_eq!(revisions(&story, "kube-system", "cilium").len(), 17);
    story.status().expect("healthy", 0, beside);
}

/// Runs it under a watch: what is replaced where nothing is said of it is one of fifty at once, at most ten.
fn within_the_promise(story: &Story, nodes: usize, run: impl FnOnce() -> Ran) -> Ran {
    let watch = Watch::start(story);
    let began = Instant::now();
    let ran = run();
    let log = watch.log(story);
    eprintln!(
        "{nodes} nodes: {} down at once at most, in {:?}",
        log.most,
        began.elapsed()
    );
    assert!(log.most <= (nodes / 50).clamp(1, 10), "{}: {}", log.most, ran.out);
    ran
}
