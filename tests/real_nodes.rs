//! Stories of real CNIs on real nodes (see `clusters/real_nodes/stories.rs`), one test for each; every stage is
//! waited for, so that a test that passes has shown that the stage was reached.
//!
//! `BYOCNI_TEST_CAPTURES=DIR` writes what the API says at each stage to `DIR/STAGE.yaml` (a kubectl List), the names
//! of the CustomResourceDefinitions to `DIR/STAGE.crds`, and the ConfigMaps with their managed fields, which say when
//! each was changed, to `DIR/STAGE.configmaps.yaml`.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;
#[path = "clusters/plugin.rs"]
mod plugin;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clusters::programs::charts;
use clusters::real_nodes::{RealNodes, prerequisites, stories};
use clusters::required_or_skip;

/// One cluster at a time: two of them would be too much for a small machine.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn flannel() {
    tell(&["flannel"], stories::flannel);
}

#[test]
fn flannel_on_nodes_without_podcidr() {
    tell(&["flannel"], stories::flannel_without_node_cidrs);
}

#[test]
fn cilium() {
    tell(&["cilium-v1.19.6", "cilium-v1.20.0"], stories::cilium);
}

fn tell(images: &[&str], story: impl FnOnce(stories::AtStage) -> Result<(), String>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let possible = prerequisites(images).and_then(|()| charts()).map(drop);
    if required_or_skip("real-nodes", possible).is_none() {
        return;
    }
    let mut since = Instant::now();
    let told = story(&mut |stage, cluster| {
        eprintln!("{stage}: reached after {:.0?}", since.elapsed());
        at_stage(stage, cluster);
        since = Instant::now();
    });
    if let Err(reason) = told {
        panic!("{reason}");
    }
    eprintln!("removed after {:.0?}", since.elapsed());
}

/// What `status` must say at each stage: verdict, exit code, and every error and warning. Warnings that depend on how
/// fast the machine was (an agent that restarted once on its way up) are left out where they can appear.
#[rustfmt::skip]
const TRUTH: &[(&str, &str, i32, &[&str])] = &[
    ("fresh", "broken", 3, &["error cni-missing"]),
    ("fresh-no-podcidr", "broken", 3, &["error cni-missing"]),
    ("flannel-crash", "broken", 3, &["error node-block-outside-pool", "warning kube-proxy-cidr-mismatch"]),
    ("flannel-healthy", "healthy", 0, &[]),
    ("flannel-no-podcidr", "broken", 3, &["error node-pod-cidr-missing"]),
    ("cilium-image-pull-fresh", "broken", 3, &["error agent-image-pull", "warning release-version-drift"]),
    ("cilium-coming-up", "broken", 3, &["error coredns-pending"]),
    ("cilium-1.19-healthy", "healthy", 0, &[]),
    ("cilium-config-changed", "healthy", 0, &["warning config-drift"]),
    ("cilium-1.20-healthy", "healthy", 0, &[]),
    ("cilium-image-pull", "broken", 3, &["error agent-image-pull", "warning release-version-drift"]),
    ("cilium-pool-changed", "degraded", 3, &["error node-block-outside-pool", "warning kube-proxy-cidr-mismatch"]),
    ("cilium-uninstalled", "broken", 3, &["error cni-leftover"]),
    ("cilium-uninstalled-new-pod", "broken", 3, &["error cni-leftover"]),
];

/// Warnings that may stand beside the truth: what a rollout that has just happened leaves for some minutes.
const PASSING: &[&str] = &[
    "warning agent-restarting",
    "warning rollout-incomplete",
    "warning version-skew",
];

fn expect_the_truth(stage: &str, cluster: &RealNodes) {
    let (_, verdict, exit, findings) = TRUTH
        .iter()
        .find(|(name, ..)| *name == stage)
        .expect("every stage has its truth");
    let said = plugin::status(cluster.kubeconfig(), &[]);
    eprintln!(
        "{stage}: {} {:?}",
        said.verdict(),
        said.findings(&["error", "warning"])
    );
    let told: Vec<String> = said
        .findings(&["error", "warning"])
        .into_iter()
        .filter(|f| !PASSING.contains(&f.as_str()))
        // The pool is changed behind agents that have just come up: on a fast machine within the slack of their clocks.
        .filter(|f| stage != "cilium-pool-changed" || f != "warning config-drift")
        .collect();
    assert_eq!(
        (said.verdict(), said.exit, told),
        (
            *verdict,
            *exit,
            findings.iter().map(ToString::to_string).collect()
        ),
        "{stage}\n{}",
        said.table
    );
    expect_the_same_from_a_capture(stage, cluster);
}

/// A capture says what the live cluster says: the same report but for the context.
fn expect_the_same_from_a_capture(stage: &str, cluster: &RealNodes) {
    let file = cluster.dir().join(format!("{stage}.yaml"));
    let name = file.to_string_lossy();
    let written = plugin::run(cluster.kubeconfig(), &["capture", "-f", &name]);
    assert_eq!(
        written.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
    let text = std::fs::read_to_string(&file).expect("the capture");
    assert!(
        !text.contains("kind: Secret"),
        "{stage}: a capture holds no Secret"
    );
    let read = plugin::status(cluster.kubeconfig(), &["--from", &name]);
    let live = plugin::status(cluster.kubeconfig(), &[]);
    let without_time = |mut json: serde_json::Value| {
        for key in ["context", "takenAt"] {
            json.as_object_mut().map(|o| o.remove(key));
        }
        json
    };
    let (read, live) = (without_time(read.json), without_time(live.json));
    // Agents come up between the two looks while they start: then only the kinds of findings are compared.
    if stage.contains("coming-up")
        || stage.contains("crash")
        || stage.contains("no-podcidr")
        || stage.contains("pull")
    {
        assert_eq!(read["verdict"], live["verdict"], "{stage}");
        return;
    }
    assert_eq!(read["nodes"], live["nodes"], "{stage}");
    assert_eq!(read["cni"], live["cni"], "{stage}");
    assert_eq!(read["podCIDR"], live["podCIDR"], "{stage}");
    assert_eq!(read["skipped"], live["skipped"], "{stage}");
    let slugs = |json: &serde_json::Value| -> Vec<String> {
        let all = json["findings"].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|f| format!("{} {} {}", f["severity"], f["slug"], f["subject"]))
            .collect()
    };
    assert_eq!(slugs(&read), slugs(&live), "{stage}");
}

fn at_stage(stage: &str, cluster: &RealNodes) {
    expect_the_truth(stage, cluster);
    let Some(folder) = std::env::var_os("BYOCNI_TEST_CAPTURES").filter(|folder| !folder.is_empty()) else {
        return;
    };
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).expect("the folder for captures");
    let configmaps = [
        "get",
        "configmaps",
        "--all-namespaces",
        "--output=yaml",
        "--show-managed-fields",
    ];
    let texts = [
        ("yaml", cluster.capture()),
        ("crds", cluster.crds()),
        ("configmaps.yaml", cluster.kubectl_ok(&configmaps)),
    ];
    for (kind, text) in texts {
        // Whole or not at all for someone who reads it meanwhile.
        let partial = folder.join(format!(".{stage}.{kind}"));
        std::fs::write(&partial, text).expect("write a capture");
        std::fs::rename(&partial, folder.join(format!("{stage}.{kind}"))).expect("name a capture");
    }
}
