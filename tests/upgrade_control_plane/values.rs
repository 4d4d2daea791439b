//! Only values change: the agents read them at their start, so they are started again.

use std::process::Child;

use crate::{
    clusters::{Behaviour, Which},
    running::{
        QUICK, agents, all_run, at_rest, cilium, deleted, moved, operation, proxies, turned_back, until,
    },
    story::{Ran, SOON, Story},
    watched::Watch,
};

const MAP: &str = "/api/v1/namespaces/kube-system/configmaps/cilium-config";

/// Acceptance scenario 46: operator, agents and proxies are started again in that order, one node at a time, and no drift
/// is left. The other values are as they were.
#[test]
fn scenario_46_other_values_reach_the_agents() {
    let Some(story) = cilium(3, "1.20.0", 3) else {
        return;
    };
    let before = agents(&story);
    let watch = Watch::start(&story);
    let ran = story.run(&[&["upgrade", "--set", "debug.enabled=true", "--yes"], &QUICK[..]].concat());
    ran.expect(0, &["DONE"]);
    let log = watch.log(&story);
    assert_eq!(log.most, 1, "of {} events", log.events);
    assert_eq!(moved(&before, &agents(&story)).len(), 3);
    all_run(&story, 3, "1.20.0");
    at_rest(&story, "1.20.0");
    let map = story.plane.get(MAP).expect("the configuration");
    assert_eq!(map["data"]["debug"], "true");
    story.status().expect("healthy", 0, &[]);

    // The operator before the first agent; on each node the agent no later than the proxy.
    let deleted = deleted(&story);
    let place = |wanted: &dyn Fn(&str) -> bool| deleted.iter().position(|name| wanted(name));
    let operator = |name: &str| name.starts_with("cilium-operator-");
    let proxy = |name: &str| name.starts_with("cilium-envoy-");
    let first_agent = place(&|name| !operator(name) && !proxy(name)).expect("agents were deleted");
    let last_operator = deleted.iter().rposition(|name| operator(name));
    assert!(
        last_operator.is_some_and(|last| last < first_agent),
        "{deleted:#?}"
    );
    for (at, name) in deleted.iter().enumerate().filter(|(_, name)| proxy(name)) {
        let node = log.nodes.get(name);
        let agent = place(&|other| !operator(other) && !proxy(other) && log.nodes.get(other) == node);
        assert!(agent.is_some_and(|agent| agent < at), "{name}: {deleted:#?}");
    }

    // And back: the values of the revision before reach them the same way.
    story.rollback(&QUICK).expect(0, &["DONE"]);
    let map = story.plane.get(MAP).expect("the configuration");
    assert_ne!(map["data"]["debug"], "true");
    story.status().expect("healthy", 0, &[]);
    at_rest(&story, "1.20.0");
    // Scenario 52: the same once more changes nothing.
    let writes = story.writes();
    story.rollback(&["1"]).expect(0, &["NOTHING TO DO"]);
    assert_eq!(story.writes()[writes.len()..], [] as [String; 0]);
}

/// Starts an upgrade to other values alone, with so much time.
fn begun(story: &Story, within: &str) -> Child {
    let set = [
        "upgrade",
        "--set",
        "debug.enabled=true",
        "--yes",
        "--timeout",
        within,
    ];
    story.start(&[&set[..], &QUICK[..]].concat())
}

/// Acceptance scenario 46, failing at the canary: only what was touched is started again.
#[test]
fn scenario_46_other_values_that_fail_are_taken_back() {
    let Some(story) = cilium(5, "1.20.0", 4) else {
        return;
    };
    let (before, beside) = (agents(&story), proxies(&story));
    // Agents that run do so; none comes up any more.
    story.kubelet.set_everywhere(Which::Agent, Behaviour::ImagePull);
    let running = begun(&story, "20s");
    until("it turns back", SOON * 6, || turned_back(&story));
    story.kubelet.set_everywhere(Which::Agent, Behaviour::Healthy);
    Ran::end(running).expect(6, &["ROLLED BACK", "pods of 1 of 5 nodes"]);
    let touched = moved(&before, &agents(&story));
    assert_eq!(touched.len(), 1, "{touched:?}");
    assert!(moved(&beside, &proxies(&story)).is_subset(&touched));
    all_run(&story, 5, "1.20.0");
    at_rest(&story, "1.20.0");
    let map = story.plane.get(MAP).expect("the configuration");
    assert_ne!(map["data"]["debug"], "true");
    // The canary was started again, too: nobody runs what was taken back.
    story.status().expect("healthy", 0, &[]);
}

/// Acceptance scenario 46, failing in the waves: agents that came up with the new values are started again, the others
/// are left alone.
#[test]
fn scenario_46_other_values_that_fail_late_are_taken_back() {
    let Some(story) = cilium(6, "1.20.0", 3) else {
        return;
    };
    let before = agents(&story);
    let running = begun(&story, "60s");
    until("three nodes are done", SOON * 6, || {
        operation(&story).is_some_and(|operation| {
            let done = operation["replaces"]["done"].as_array();
            done.is_some_and(|done| done.len() >= 3)
        })
    });
    story.kubelet.set_everywhere(Which::Agent, Behaviour::ImagePull);
    let there = agents(&story);
    until("it turns back", SOON * 6, || turned_back(&story));
    story.kubelet.set_everywhere(Which::Agent, Behaviour::Healthy);
    Ran::end(running).expect(6, &["ROLLED BACK"]);
    let (touched, after) = (moved(&before, &there), agents(&story));
    assert!(touched.len() >= 3, "{touched:?}");
    assert!(touched.is_subset(&moved(&there, &after)), "{there:#?} {after:#?}");
    assert!(moved(&before, &after).len() < 6, "{after:#?}");
    all_run(&story, 6, "1.20.0");
    at_rest(&story, "1.20.0");
    let map = story.plane.get(MAP).expect("the configuration");
    assert_ne!(map["data"]["debug"], "true");
    story.status().expect("healthy", 0, &[]);
}
