//! Somebody else edits the agents' DaemonSet.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::{
    clusters::{Asked, Behaviour, Fault, Proxy, Which},
    running::{AGENTS, QUICK, all_run, at_rest, cilium, merge, revisions, until, until_deleted},
    story::{Ran, SOON},
};

/// Whether the plugin makes the lock's Lease: the plan is agreed to, and nothing was changed yet.
fn takes_the_lock(asked: &Asked) -> bool {
    asked.method == Method::POST && asked.path.ends_with("/leases") && !asked.by_helm()
}

/// Acceptance scenario 38: between plan and change: the plan is stale, and nothing but the lock was written.
#[test]
fn scenario_38_the_plan_is_stale() {
    let Some(story) = cilium(2, "1.19.6", 3) else {
        return;
    };
    let proxy = Proxy::start(&story.plane);
    let edits = [
        // By kubectl set env, and by plain helm.
        json!({"spec": {"template": {"metadata": {"annotations": {"somebody": "was here"}}}}}),
        json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1}}}}),
    ];
    for edit in edits {
        proxy.rule(|asked| takes_the_lock(asked).then_some(Fault::Hold));
        let seen = proxy.seen().len();
        let running = story.start_as(proxy.kubeconfig(), &story.upgrading(&["--to", "1.20"]));
        until("the plan is agreed to", SOON * 6, || {
            proxy.seen()[seen..].iter().any(takes_the_lock)
        });
        merge(&story, AGENTS, &edit);
        proxy.heal();
        Ran::end(running).expect(4, &["plan-stale", "cilium", "nothing was changed"]);
        let written: Vec<Asked> = proxy
            .writes()
            .into_iter()
            .filter(|asked| !asked.path.contains("/leases"))
            .collect();
        assert!(written.is_empty(), "{written:#?}");
    }
    assert_eq!(revisions(&story, "kube-system", "cilium").len(), 1);
}

/// In the middle of the rollout: which agents are the right ones can no longer be told: it stops, says so, and goes back.
#[test]
fn an_edit_in_the_middle_stops_the_rollout() {
    let Some(story) = cilium(4, "1.19.6", 4) else {
        return;
    };
    story.kubelet.set_everywhere(
        Which::Image("cilium/cilium:v1.20.0".into()),
        Behaviour::Slow(Duration::from_secs(2)),
    );
    let running = story.start(&story.upgrading(&[&["--to", "1.20"], &QUICK[..]].concat()));
    until_deleted(&story, 2);
    merge(
        &story,
        AGENTS,
        &json!({"spec": {"template": {"metadata": {"annotations": {"somebody": "was here"}}}}}),
    );
    Ran::end(running).expect(
        6,
        &["somebody else changed a template", "daemonset", "ROLLED BACK"],
    );
    all_run(&story, 4, "1.19.6");
    at_rest(&story, "1.19.6");
}
