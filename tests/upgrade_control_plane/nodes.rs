//! Nodes that are broken, join, go away or take long while agents are replaced.

use std::time::Duration;

use crate::{
    clusters::{Behaviour, Which, aks},
    running::{QUICK, agents, all_run, at_rest, cilium, impatient, until, until_deleted, versions},
    story::{NODES, Ran, SOON, Story, is_ready, name, node_name},
};

/// A node falls silent, and the cluster knows.
fn lose(story: &Story, node: &str) {
    story.kubelet.set(node, Behaviour::Lost);
    let path = format!("{NODES}/{node}");
    story.plane.wait_for("the node is Unknown", SOON, &path, |node| {
        node["status"]["conditions"].to_string().contains("\"Unknown\"")
    });
}

fn new_agents_are_slow(story: &Story, time: Duration) {
    story.kubelet.set_everywhere(
        Which::Image("cilium/cilium:v1.20.0".into()),
        Behaviour::Slow(time),
    );
}

/// Acceptance scenario 26: a node was NotReady before: the others are completed, it is named, exit 3.
#[test]
fn scenario_26_a_node_that_was_broken_before_is_named() {
    let Some(story) = impatient(5, "1.19.6", 3) else {
        return;
    };
    let lost = node_name(4, 5);
    lose(&story, &lost);
    let ran = story.upgrade(&[&["--to", "1.20"], &QUICK[..]].concat());
    ran.expect(3, &["broken before", &lost, "DONE"]);
    let agents = agents(&story);
    for (node, agent) in &agents {
        let version = if *node == lost { "v1.19.6" } else { "v1.20.0" };
        assert_eq!(agent.version, version, "{agents:#?}");
    }
    assert_eq!(agents.len(), 5);
    at_rest(&story, "1.20.0");
}

/// Acceptance scenario 27: a node joins meanwhile, and its agent is waited for too.
#[test]
fn scenario_27_a_node_that_joins_is_gated_too() {
    let Some(story) = cilium(4, "1.19.6", 4) else {
        return;
    };
    new_agents_are_slow(&story, Duration::from_secs(3));
    let running = story.start(&story.upgrading(&[&["--to", "1.20"], &QUICK[..]].concat()));
    until_deleted(&story, 3);
    let joined = aks::node("workload", "user", 9, 9);
    let newcomer = name(&joined).to_owned();
    // It is the last to come up: only who waits for it sees it up in the end.
    story
        .kubelet
        .set(&newcomer, Behaviour::Slow(Duration::from_secs(45)));
    story.kubelet.add_node(joined);
    Ran::end(running).expect(0, &["DONE"]);
    let node = story.plane.get(&format!("{NODES}/{newcomer}"));
    assert!(node.as_ref().is_some_and(is_ready), "{node:#?}");
    all_run(&story, 5, "1.20.0");
    at_rest(&story, "1.20.0");
}

/// `--pause` stops once the canaries are well. While nobody looks a node is lost before its turn, and another is taken away
/// for good: `resume` replaces the others, and the lost one when it is back.
#[test]
fn after_a_pause_nodes_that_were_lost_and_taken_away_hold_up_nobody() {
    let Some(story) = impatient(6, "1.19.6", 3) else {
        return;
    };
    let ran = story.upgrade(&[&["--to", "1.20", "--pause"], &QUICK[..]].concat());
    ran.expect(0, &["PAUSED", "kubectl byocni resume"]);
    let there = agents(&story);
    let old: Vec<&String> = there
        .iter()
        .filter_map(|(node, agent)| (agent.version == "v1.19.6").then_some(node))
        .collect();
    // A canary a pool, of two.
    assert_eq!(old.len(), 4, "{there:#?}");
    let (lost, gone) = (old[3], old[2]);
    story.kubelet.remove_node(gone);
    lose(&story, lost);
    let running = story.start(&["resume", "--yes"]);
    until("the others are done", SOON * 6, || {
        agents(&story)
            .iter()
            .filter(|(node, agent)| *node != lost && agent.ready && agent.version == "v1.20.0")
            .count()
            == 4
    });
    assert_eq!(agents(&story)[lost].version, "v1.19.6");
    story.kubelet.set(lost, Behaviour::Healthy);
    Ran::end(running).expect(0, &["DONE"]);
    all_run(&story, 5, "1.20.0");
    at_rest(&story, "1.20.0");
}

/// Agents that need three minutes are not bad ones: their own start-up budget counts.
#[test]
fn agents_that_need_long_are_waited_for() {
    let Some(story) = cilium(2, "1.19.6", 4) else {
        return;
    };
    story
        .kubelet
        .set(&node_name(1, 2), Behaviour::Slow(Duration::from_secs(180)));
    story
        .upgrade(&[&["--to", "1.20"], &QUICK[..]].concat())
        .expect(0, &["DONE"]);
    all_run(&story, 2, "1.20.0");
    at_rest(&story, "1.20.0");
}

/// Acceptance scenario 50, the first half: AKS works on a node: nothing is touched meanwhile, and it is said.
#[test]
fn scenario_50_a_repair_of_the_platform_pauses_it() {
    let Some(story) = cilium(3, "1.19.6", 3) else {
        return;
    };
    new_agents_are_slow(&story, Duration::from_secs(2));
    let running = story.start(&story.upgrading(&[&["--to", "1.20"], &QUICK[..]].concat()));
    until_deleted(&story, 1);
    let event = |reason: &str| {
        let node = node_name(2, 3);
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{node}.{}", reason.to_lowercase()), "namespace": "default"},
            "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node},
            "type": "Warning", "reason": reason, "message": "Node auto-repair", "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "source": {"component": "aks-auto-repair"},
            "reportingComponent": "aks-auto-repair", "reportingInstance": "aks"});
        story.plane.apply(&object.to_string());
    };
    event("NodeReimageStart");
    // The one that was begun comes up; no other is begun.
    until("the first is up", SOON, || {
        agents(&story)
            .values()
            .any(|agent| agent.ready && agent.version == "v1.20.0")
    });
    let taken = |story: &Story| {
        crate::running::deleted(story)
            .into_iter()
            .filter(|name| !name.starts_with("cilium-operator-"))
            .count()
    };
    let then = taken(&story);
    // Long enough for three looks, the soak included: a rollout that did not pause would have gone on.
    let end = std::time::Instant::now() + Duration::from_secs(12);
    until("twelve seconds are over", SOON, || {
        std::time::Instant::now() > end
    });
    assert_eq!(taken(&story), then, "nothing is touched meanwhile");
    assert_eq!(versions(&story).len(), 2);
    event("NodeReimageEnd");
    let ran = Ran::end(running);
    ran.expect(0, &["DONE", "AKS repairs node", "NodeReimageStart"]);
    all_run(&story, 3, "1.20.0");
    at_rest(&story, "1.20.0");
}
