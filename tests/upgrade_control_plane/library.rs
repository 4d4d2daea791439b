//! Releases that no helm program made: tools with helm's library built in, such as Cilium's own, write the same records.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{
    clusters::{programs::helm_library, required_or_skip},
    running::{QUICK, agents, all_run, at_rest, comes_up, history, moved},
    story::Story,
};

/// Such a tool installs or upgrades Cilium.
fn by_library(story: &Story, verb: &str, version: &str, values: &Value) {
    let program = helm_library().expect("asked for before");
    let chart = story.chart(&format!("cilium-{version}.tgz"));
    let values = values.to_string();
    let ran = Command::new(program)
        .args([verb, &chart, "kube-system", "cilium", &values])
        .env_clear()
        .env("HOME", story.plane.dir())
        .env("KUBECONFIG", story.plane.kubeconfig())
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// What Cilium's own tool chooses on AKS without a CNI, and nothing else: it names no pool, so that pods get the chart's
/// 10.0.0.0/8, in which the services of AKS's default lie and its nodes. Such a cluster is told so, and upgraded all the
/// same: the pool cannot be changed under running pods, and an upgrade does not touch it. The way back leads to what
/// the other tool left, and over the other tool's next change.
#[test]
fn a_release_of_another_tool_is_upgraded_and_taken_back() {
    let Some(story) = Story::aks(3, 3) else { return };
    if required_or_skip("control-plane", helm_library()).is_none() {
        return;
    }
    let values = json!({
        "aksbyocni": {"enabled": true},
        "cluster": {"name": "the-cluster"},
        "operator": {"replicas": 1},
        "routingMode": "tunnel",
        "tunnelProtocol": "vxlan",
    });
    by_library(&story, "install", "1.18.12", &values);
    comes_up(&story, 3, "1.18.12");
    by_library(&story, "upgrade", "1.19.6", &json!({"debug": {"enabled": true}}));
    comes_up(&story, 3, "1.19.6");
    let before = agents(&story);

    story
        .upgrade(&[&["--to", "1.20"], &QUICK[..]].concat())
        .expect(0, &["DONE", "revision 2", "pool 10.0.0.0/8"]);
    all_run(&story, 3, "1.20.0");
    at_rest(&story, "1.20.0");
    assert_eq!(moved(&before, &agents(&story)).len(), 3);
    story.rollback(&QUICK).expect(0, &["DONE", "Cilium 1.19.6"]);
    all_run(&story, 3, "1.19.6");
    at_rest(&story, "1.19.6");

    by_library(&story, "upgrade", "1.20.0", &json!({}));
    comes_up(&story, 3, "1.20.0");
    story.rollback(&QUICK).expect(0, &["DONE", "Cilium 1.19.6"]);
    all_run(&story, 3, "1.19.6");
    at_rest(&story, "1.19.6");
    let mut versions: Vec<Value> = history(&story)
        .iter()
        .map(|row| row["chart"]["version"].clone())
        .collect();
    // Of ours the last step of a change, the update strategy, is a revision of its own.
    versions.dedup();
    assert_eq!(
        versions,
        ["1.18.12", "1.19.6", "1.20.0", "1.19.6", "1.20.0", "1.19.6"]
    );
}
