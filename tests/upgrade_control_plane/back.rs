//! Where `rollback` goes, and what it makes of releases that plain helm left behind.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    clusters::{Behaviour, Fault, Proxy, Which},
    running::{
        QUICK, VALUES, agents, all_run, at_rest, by_helm, cilium, comes_up, moved, revisions, until, versions,
    },
    story::{KUBE_SYSTEM, SOON, Story, items},
};

/// `revision status` of the release, oldest first.
fn told(story: &Story) -> Vec<String> {
    let all = revisions(story, "kube-system", "cilium");
    let one = |r: &Value| format!("{} {}", r["revision"], r["status"].as_str().unwrap_or_default());
    all.iter().map(one).collect()
}

/// Acceptance scenario 44: revision 5 was good, 6 and 7 failed, by plain helm. The way back goes to 5, and the agents that
/// 6 and 7 broke run what 5 says.
#[test]
fn scenario_44_the_target_is_the_last_one_that_was_good() {
    let Some(story) = cilium(3, "1.19.6", 3) else {
        return;
    };
    // Revisions that change next to nothing.
    for number in 2..=5 {
        let set = format!("operator.podAnnotations.number=n{number}");
        by_helm(&story, "upgrade", &["--set", &set], "1.19.6");
    }
    comes_up(&story, 3, "1.19.6");
    let good = agents(&story);
    let nobody = "quay.io/cilium/cilium:v9.9.9";
    story
        .kubelet
        .set_everywhere(Which::Image(nobody.into()), Behaviour::ImagePull);
    let chart = story.chart("cilium-1.19.6.tgz");
    for _ in 0..2 {
        let image = format!("image.override={nobody}");
        let more = ["--reuse-values", "--set", &image, "--wait", "--timeout", "6s"];
        let ran = story.helm_says(&[&["upgrade", "cilium", &chart, "-n", "kube-system"], &more[..]].concat());
        assert_ne!(ran.exit, 0, "{}", ran.out);
    }
    assert_eq!(told(&story)[4..], ["5 deployed", "6 failed", "7 failed"]);
    until("two agents are broken", SOON, || {
        agents(&story).values().filter(|agent| !agent.ready).count() == 2
    });

    let ran = story.rollback(&QUICK);
    ran.expect(0, &["DONE", "revision 5"]);
    all_run(&story, 3, "1.19.6");
    at_rest(&story, "1.19.6");
    // The one that helm had not reached was left in peace.
    assert_eq!(moved(&good, &agents(&story)).len(), 2);
    let pods = story.plane.get(KUBE_SYSTEM).expect("pods");
    let number = |pod: &&Value| pod["metadata"]["annotations"]["number"] == "n5";
    assert!(items(&pods).iter().any(|pod| number(&pod)), "the values of 5");
    story.status().expect("healthy", 0, &[]);
    // Those that failed are no target by name either.
    for failed in ["6", "7"] {
        story
            .rollback(&[failed])
            .expect(4, &["never was deployed", "kubectl byocni history"]);
    }
}

/// Acceptance scenario 28 as plain helm leaves it: killed in the middle of an upgrade, the release pending. An upgrade says
/// what is there and how to go on; `rollback` ends it in a revision that is deployed.
#[test]
fn scenario_28_a_pending_release_is_told_and_rolled_back() {
    let Some(story) = cilium(2, "1.19.6", 4) else {
        return;
    };
    let running = agents(&story);
    let proxy = Proxy::start(&story.plane);
    // Helm writes its record, and then hangs before the first object.
    proxy.rule(|asked| {
        let object = asked.writes() && !asked.path.contains("/secrets");
        (asked.by_helm() && object).then_some(Fault::Hold)
    });
    let chart = story.chart("cilium-1.20.0.tgz");
    let arguments = ["upgrade", "cilium", &chart, "-n", "kube-system"];
    let mut helm = story
        .helm_command(proxy.kubeconfig(), &[&arguments[..], &VALUES[..]].concat())
        .spawn()
        .expect("helm starts");
    until("it is pending", SOON * 3, || told(&story).len() == 2);
    helm.kill().expect("killed");
    helm.wait().expect("a child");
    proxy.heal();
    assert_eq!(told(&story), ["1 deployed", "2 pending-upgrade"]);

    let before = story.writes();
    story
        .upgrade(&["--to", "1.20"])
        .expect(4, &["release-pending", "kubectl byocni rollback"]);
    assert_eq!(story.writes()[before.len()..], [] as [String; 0]);
    // There is no change of ours to finish or to take back.
    for verb in ["resume", "abort"] {
        story
            .run(&[verb, "--yes"])
            .expect(0, &["no change was interrupted here"]);
    }
    story.rollback(&QUICK).expect(0, &["DONE", "revision 1"]);
    all_run(&story, 2, "1.19.6");
    at_rest(&story, "1.19.6");
    assert_eq!(
        moved(&running, &agents(&story)),
        BTreeSet::new(),
        "what the killed helm wanted was not done on the way"
    );
    story
        .upgrade(&[&["--to", "1.20"], &QUICK[..]].concat())
        .expect(0, &["DONE"]);
    assert_eq!(versions(&story).len(), 1);
    at_rest(&story, "1.20.0");
}

/// The chart's source is gone: going back does not ask it. And more than one minor back is not gone at once.
#[test]
fn the_way_back_needs_no_source_and_takes_no_two_minors() {
    let Some(story) = cilium(2, "1.18.12", 3) else {
        return;
    };
    for version in ["1.19.6", "1.20.0"] {
        by_helm(&story, "upgrade", &[], version);
        comes_up(&story, 2, version);
    }
    let before = story.writes();
    story.rollback(&["1"]).expect(4, &["rollback-unsafe", "1.18.12"]);
    assert_eq!(story.writes()[before.len()..], [] as [String; 0]);
    // No `--repo`, and no network that anything could come from.
    story.rollback(&QUICK).expect(0, &["DONE", "Cilium 1.19.6"]);
    all_run(&story, 2, "1.19.6");
    at_rest(&story, "1.19.6");
}
