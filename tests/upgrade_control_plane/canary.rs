//! A canary that fails: one agent was touched, and it is taken back.

use crate::{
    clusters::{Behaviour, Which},
    running::{
        Agent, QUICK, agents, all_run, at_rest, cilium, deleted, history, moved, operation, proxies,
        revisions, until, versions,
    },
    story::{SOON, Story},
    watched::Watch,
};

/// New agents, and no operator.
fn new_agents() -> Which {
    Which::Image("cilium/cilium:v1.20.0".into())
}

/// Acceptance scenario 24 with agents that fare so, of ten nodes.
fn fails_at_the_canary(behaviour: &Behaviour, more: &[&str], words: &[&str], helm: u8) {
    let Some(story) = cilium(10, "1.19.6", helm) else {
        return;
    };
    story.kubelet.set_everywhere(new_agents(), behaviour.clone());
    let (before, beside) = (agents(&story), proxies(&story));
    let watch = Watch::start(&story);
    let running = story.start(&story.upgrading(&[&["--to", "1.20"], &QUICK[..], more].concat()));
    // What was deleted on the way there.
    until("it turns back", SOON * 6, || {
        operation(&story).is_some_and(|o| !o["replaces"]["back"].is_null())
    });
    let there: Vec<String> = deleted(&story)
        .into_iter()
        .filter(|name| !name.starts_with("cilium-operator-"))
        .collect();
    let ran = crate::story::Ran::end(running);
    ran.expect(
        6,
        &[&["ROLLED BACK", "1.19.6, revision 1 runs again"], words].concat(),
    );

    let log = watch.log(&story);
    let canary = moved(&before, &agents(&story));
    assert_eq!(canary.len(), 1, "{canary:?}");
    let count = |prefix: &str| there.iter().filter(|name| name.starts_with(prefix)).count();
    let proxies_deleted = count("cilium-envoy-");
    assert_eq!(
        (there.len() - proxies_deleted, proxies_deleted),
        (1, 1),
        "one agent and the proxy beside it: {there:?}"
    );
    for name in &there {
        assert!(canary.contains(&log.nodes[name]), "{name} of {canary:?}");
    }
    // On the way back no other either.
    for name in deleted(&story) {
        let of = log.nodes.get(&name);
        assert!(of.is_none_or(|node| canary.contains(node)), "{name} on {of:?}");
    }
    assert_eq!(moved(&beside, &proxies(&story)), canary);
    assert_eq!(log.most, 1, "of {} events", log.events);
    all_run(&story, 10, "1.19.6");
    at_rest(&story, "1.19.6");
    // The configuration was another in between, which agents that were left alone never read.
    story.status().expect("healthy", 0, &[]);
    // The one that failed is known as such, and nobody goes back to it.
    let rows = history(&story);
    let good = rows.last().expect("a row");
    assert_eq!(
        (good["chart"]["version"].as_str(), good["health"].as_str()),
        (Some("1.19.6"), Some("healthy")),
        "{rows:#?}"
    );
}

#[test]
fn scenario_24_a_canary_whose_image_cannot_be_pulled() {
    fails_at_the_canary(
        &Behaviour::ImagePull,
        &[],
        &[
            "stopped at the canary",
            "cannot be pulled",
            "pods of 1 of 10 nodes",
        ],
        3,
    );
}

#[test]
fn scenario_24_a_canary_that_exits() {
    fails_at_the_canary(
        &Behaviour::CrashLoop { exit_code: 1 },
        &[],
        &["stopped at the canary", "exit code 1", "pods of 1 of 10 nodes"],
        4,
    );
}

#[test]
fn scenario_24_a_canary_that_is_never_ready() {
    fails_at_the_canary(
        &Behaviour::NeverReady,
        &["--timeout", "25s"],
        &["not done after", "pods of 1 of 10 nodes"],
        3,
    );
}

/// Acceptance scenario 23: two nodes, where helm's own `--wait` takes none that is Ready for success.
#[test]
fn scenario_23_two_nodes_where_helm_would_see_success() {
    let Some(story) = cilium(2, "1.19.6", 4) else {
        return;
    };
    story.kubelet.set_everywhere(new_agents(), Behaviour::NeverReady);
    let ran = story.upgrade(&[&["--to", "1.20", "--timeout", "25s"], &QUICK[..]].concat());
    ran.expect(6, &["ROLLED BACK", "pods of 1 of 2 nodes"]);
    all_run(&story, 2, "1.19.6");
    at_rest(&story, "1.19.6");
}

/// The proxy beside the new agent cannot be pulled: it is not left behind, all of it goes back.
#[test]
fn a_proxy_that_cannot_be_pulled_takes_its_agent_back() {
    let Some(story) = cilium(4, "1.19.6", 3) else {
        return;
    };
    let before = agents(&story);
    // Those that run have their image.
    story
        .kubelet
        .set_everywhere(Which::Pods("cilium-envoy-".into()), Behaviour::ImagePull);
    let running =
        story.start(&story.upgrading(&[&["--to", "1.20", "--timeout", "20s"], &QUICK[..]].concat()));
    until("it turns back", SOON * 6, || crate::running::turned_back(&story));
    assert_eq!(versions(&story).len(), 2, "the agent of the canary is new");
    // It was the new one's image that nobody has.
    story
        .kubelet
        .set_everywhere(Which::Pods("cilium-envoy-".into()), Behaviour::Healthy);
    crate::story::Ran::end(running).expect(6, &["ROLLED BACK", "cilium-envoy", "pods of 1 of 4 nodes"]);
    assert_eq!(moved(&before, &agents(&story)).len(), 1);
    all_run(&story, 4, "1.19.6");
    at_rest(&story, "1.19.6");
}

/// Acceptance scenario 45: the way back fails as well: told with its nodes, exit 7, and nothing goes round in a loop. When
/// the image is back, `abort` ends it.
#[test]
fn scenario_45_the_way_back_fails_too() {
    let Some(story) = cilium(4, "1.19.6", 4) else {
        return;
    };
    let before = agents(&story);
    story
        .kubelet
        .set_everywhere(new_agents(), Behaviour::CrashLoop { exit_code: 1 });
    // What runs has its image: only what is made anew lacks it.
    let old = Which::Image("cilium/cilium:v1.19.6".into());
    story.kubelet.set_everywhere(old.clone(), Behaviour::ImagePull);
    let ran = story.upgrade(&[&["--to", "1.20", "--timeout", "40s"], &QUICK[..]].concat());
    let after = agents(&story);
    let canary = moved(&before, &after);
    assert_eq!(canary.len(), 1, "{canary:?}");
    let canary = canary.iter().next().expect("a node");
    ran.expect(
        7,
        &[
            "NOT RECOVERED",
            "exit code 1",
            "the way back failed as well",
            "cannot be pulled",
            canary,
            "kubectl byocni abort",
        ],
    );
    let up: Vec<&Agent> = after.values().filter(|agent| agent.ready).collect();
    assert_eq!(up.len(), 3, "the others were not touched");
    // There, and back: not once more.
    let count = revisions(&story, "kube-system", "cilium").len();
    assert_eq!(count, 3);

    story.kubelet.set_everywhere(old, Behaviour::Healthy);
    story
        .run(&["abort", "--yes"])
        .expect(0, &["TAKEN BACK", "1.19.6, revision 1 runs again"]);
    all_run(&story, 4, "1.19.6");
    at_rest(&story, "1.19.6");
}

/// `--no-rollback`: it stays as it is, said so, until somebody decides.
#[test]
fn a_failure_that_shall_stay_is_finished_by_resume() {
    let Some(story): Option<Story> = cilium(3, "1.19.6", 3) else {
        return;
    };
    story
        .kubelet
        .set_everywhere(new_agents(), Behaviour::CrashLoop { exit_code: 1 });
    story
        .upgrade(&[&["--to", "1.20", "--no-rollback"], &QUICK[..]].concat())
        .expect(
            7,
            &[
                "--no-rollback was given",
                "NOT RECOVERED",
                "kubectl byocni resume",
            ],
        );
    assert_eq!(versions(&story).len(), 2);
    let writes = story.writes().len();
    story
        .upgrade(&["--to", "1.20"])
        .expect(4, &["change-interrupted", "kubectl byocni resume"]);
    assert_eq!(story.writes().len(), writes);
    story.kubelet.set_everywhere(new_agents(), Behaviour::Healthy);
    story.run(&["resume", "--yes"]).expect(0, &["DONE"]);
    all_run(&story, 3, "1.20.0");
    at_rest(&story, "1.20.0");
}
