//! Never more agents down at once than was said.

use std::time::Duration;

use crate::{
    clusters::{Behaviour, Which},
    running::{QUICK, agents, all_run, at_rest, cilium, deleted, figures_are_asked_for, moved},
    watched::Watch,
};

/// An upgrade of so many nodes, with agents that take so long; how many nodes were without theirs at once.
fn upgraded(nodes: usize, slow: Duration, more: &[&str], helm: u8) -> Option<usize> {
    let story = cilium(nodes, "1.19.6", helm)?;
    story.kubelet.set_everywhere(
        Which::Image("cilium/cilium:v1.20.0".into()),
        Behaviour::Slow(slow),
    );
    let before = agents(&story);
    let watch = Watch::start(&story);
    let began = std::time::Instant::now();
    story
        .upgrade(&[&["--to", "1.20"], &QUICK[..], more].concat())
        .expect(0, &["DONE"]);
    let log = watch.log(&story);
    eprintln!(
        "{nodes} nodes {more:?}: {} down at once at most, in {:?}, of {} events",
        log.most,
        began.elapsed(),
        log.events
    );
    all_run(&story, nodes, "1.20.0");
    at_rest(&story, "1.20.0");
    assert_eq!(moved(&before, &agents(&story)).len(), nodes);
    // Each was deleted once, and by nobody else.
    let agents_deleted = deleted(&story)
        .into_iter()
        .filter(|name| !name.starts_with("cilium-envoy-") && !name.starts_with("cilium-operator-"))
        .count();
    assert_eq!(agents_deleted, nodes);
    Some(log.most)
}

/// Acceptance scenario 25, and that two were down at once indeed: the watch would have seen more.
#[test]
fn scenario_25_ten_nodes_and_two_at_once() {
    let most = upgraded(10, Duration::from_secs(3), &["--max-parallel", "2"], 3);
    assert!(most.is_none_or(|most| most == 2), "{most:?}");
}

/// Acceptance scenario 25 with what holds where nothing is said: one of fifty.
#[test]
fn scenario_25_fifty_nodes_one_at_a_time() {
    let most = upgraded(50, Duration::ZERO, &[], 4);
    assert!(most.is_none_or(|most| most == 1), "{most:?}");
}

/// Acceptance scenario 25 with many.
#[test]
fn scenario_25_two_hundred_nodes_and_ten_at_once() {
    let most = upgraded(200, Duration::from_secs(1), &["--max-parallel", "10"], 3);
    assert!(most.is_none_or(|most| (2..=10).contains(&most)), "{most:?}");
}

/// Acceptance scenario 25 with five hundred, for people who ask for figures: it shows nothing more, and takes minutes.
#[test]
fn scenario_25_five_hundred_nodes_and_ten_at_once() {
    if !figures_are_asked_for() {
        return;
    }
    let most = upgraded(500, Duration::from_secs(1), &[], 4);
    assert!(most.is_none_or(|most| (2..=10).contains(&most)), "{most:?}");
}
