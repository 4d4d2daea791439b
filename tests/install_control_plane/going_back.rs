//! The way back of an install whose operator has run: what the operator holds by finalizers goes while it runs. The test
//! plays that part of the operator, and may refuse it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    clusters::{Behaviour, Objects},
    story::{Ran, SOON, Story, node_name},
};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const INSTALLATION: &str = "/apis/operator.tigera.io/v1/installations/default";
const ACCOUNT: &str = "/api/v1/namespaces/calico-system/serviceaccounts/calico-node";
const OPERATOR: &str = "/apis/apps/v1/namespaces/tigera-operator/deployments/tigera-operator";

/// An AKS cluster on which no agent's image can be pulled.
fn without_images(helm: u8) -> Option<Story> {
    let story = Story::aks(2, helm)?;
    for number in 0..2 {
        story.kubelet.set(&node_name(number, 2), Behaviour::ImagePull);
    }
    Some(story)
}

fn finalizers(object: &Value) -> usize {
    object["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
}

/// Puts a finalizer on an object as soon as it is there.
fn hold(story: &Story, path: &str, finalizer: &str) {
    story.plane.wait_for("an object is held", SOON, path, |object| {
        if finalizers(object) > 0 {
            return true;
        }
        // A conflict is tried again.
        let _ = patched(story, path, &json!([finalizer]));
        false
    });
}

/// Takes all finalizers off an object that may be gone.
fn let_go(story: &Story, path: &str) {
    let end = Instant::now() + SOON;
    while let Err(why) = patched(story, path, &json!(null)) {
        assert!(Instant::now() < end, "{path} is not let go: {why}");
    }
}

fn patched(story: &Story, path: &str, finalizers: &Value) -> Result<Option<Value>, String> {
    let patch = json!({"metadata": {"finalizers": finalizers}});
    story
        .plane
        .ask(|client| async move { Objects::new(client).merge(path, &patch).await })
}

/// Begins an install that will fail, and puts the operator's finalizers on what it looks after.
fn held(story: &Story, version: &'static str, timeout: &'static str) -> std::process::Child {
    let running = story.start(&story.installing(&["calico", "--version", version, "--timeout", timeout]));
    hold(story, INSTALLATION, "tigera.io/operator-cleanup");
    hold(story, ACCOUNT, "tigera.io/cni-protector");
    running
}

/// The operator takes its finalizers off once it has cleaned up: the service account's first, its Installation's last. It
/// is still there then; everything goes.
#[test]
fn what_an_operator_holds_goes_while_it_runs() {
    for (version, helm) in [("v3.31.3", 3), ("v3.32.1", 4)] {
        let Some(story) = without_images(helm) else { return };
        let before = story.inventory();
        let running = held(&story, version, "25s");
        let over = AtomicBool::new(false);
        let ran = thread::scope(|scope| {
            let operator = scope.spawn(|| {
                let end = Instant::now() + Duration::from_secs(180);
                while Instant::now() < end && !over.load(Ordering::Relaxed) {
                    let installation = story.plane.get(INSTALLATION).unwrap_or_default();
                    if installation["metadata"]["deletionTimestamp"].is_string() {
                        let runs = story.plane.get(OPERATOR).is_some();
                        let_go(&story, ACCOUNT);
                        let_go(&story, INSTALLATION);
                        return runs;
                    }
                    thread::sleep(Duration::from_millis(200));
                }
                false
            });
            let ran = Ran::end(running);
            over.store(true, Ordering::Relaxed);
            let runs = operator.join().expect("the operator that is played");
            assert!(
                runs,
                "its operator was there when it was needed:\n{}\n{}",
                ran.out, ran.err
            );
            ran
        });
        ran.expect(6, &["gate-timed-out", "ROLLED BACK", "the cluster is as it was"]);
        story.is_as_before(&before, &[]);
    }
}

/// The operator never takes its finalizer off: nobody does it for it, the release stays for it to go on, and what is
/// waited for is named. Once it is done, `abort` takes the rest away.
#[test]
fn what_an_operator_does_not_let_go_is_named() {
    let Some(story) = without_images(3) else { return };
    let before = story.inventory();
    let ran = Ran::end(held(&story, "v3.32.1", "20s"));
    ran.expect(
        7,
        &[
            "its operator cleans up",
            "left installation/default is held",
            "tigera.io/operator-cleanup",
            "kubectl get deployments,pods -n tigera-operator",
            "NOT RECOVERED",
            "kubectl byocni abort tries again",
        ],
    );
    let installation = story.plane.get(INSTALLATION).expect("it is still there");
    assert_eq!(
        finalizers(&installation),
        1,
        "nobody took it off: {installation:#}"
    );
    assert!(
        story.plane.get(OPERATOR).is_some(),
        "its operator can still do it"
    );
    let_go(&story, ACCOUNT);
    let_go(&story, INSTALLATION);
    story
        .run(&["abort", "--yes"])
        .expect(0, &["the cluster is as it was"]);
    story.is_as_before(&before, &[]);
}

/// `resume --version` of a Calico that wants its definitions from a chart of their own: they are applied, by us, before
/// helm changes the release, and are noted for the way back.
#[test]
fn another_version_brings_its_definitions() {
    let Some(story) = without_images(4) else { return };
    let ran = story.install(&[
        "calico",
        "--version",
        "v3.31.3",
        "--timeout",
        "15s",
        "--no-rollback",
    ]);
    ran.expect(7, &["--no-rollback was given", "NOT RECOVERED"]);
    let installations = format!("{DEFINITIONS}/installations.operator.tigera.io");
    let managers = |path: &str| -> String {
        let definition = story.plane.get(path).unwrap_or_default();
        definition["metadata"]["managedFields"].to_string()
    };
    assert!(
        !managers(&installations).contains("kubectl-byocni"),
        "helm made them"
    );
    for number in 0..2 {
        story.kubelet.set(&node_name(number, 2), Behaviour::Healthy);
    }
    let charts = story.chart("");
    let writes = story.writes().len();
    story
        .run(&[
            "resume",
            "--version",
            "v3.32.1",
            "--repo",
            &charts,
            "--timeout",
            "3m",
            "--yes",
        ])
        .expect(0, &["apply-crds", "DONE"]);
    let managers = managers(&installations);
    assert!(managers.contains("kubectl-byocni"), "{managers}");
    let only_there = story
        .plane
        .get(&format!("{DEFINITIONS}/istios.operator.tigera.io"));
    assert!(
        only_there.is_some(),
        "a definition that the older version has not"
    );
    let writes = &story.writes()[writes..];
    let applied = writes
        .iter()
        .rposition(|w| w.starts_with("patch") && w.contains(DEFINITIONS));
    let helms = writes
        .iter()
        .position(|w| w.starts_with("create") && w.contains("/namespaces/tigera-operator/secrets"));
    assert!(applied < helms && applied.is_some(), "{writes:#?}");
    story.only_the_record_is_left("tigera-operator/calico", "v3.32.1");
}
