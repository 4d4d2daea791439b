//! One story each: a cluster, what goes wrong in it, and how the rollout ends.

use std::{collections::BTreeSet, time::Duration};

use kubectl_byocni::core::{
    facts::Ready,
    rollout::{Do, Kind, Look, PodRef, Rollout, Settings},
};

use super::cluster::{Cluster, New, begin, settings};

fn failure(look: &Look) -> (Kind, String) {
    match &look.next {
        Do::Failed(failure) => (failure.kind, failure.sentence()),
        other => panic!("not failed: {other:?}"),
    }
}

fn phase(look: &Look, name: &str) -> (usize, usize, bool) {
    let phase = look.phases.iter().find(|p| p.name == name);
    let phase = phase.unwrap_or_else(|| panic!("no phase {name}"));
    (phase.done, phase.total, phase.complete)
}

/// One canary a pool, one after the other, and then the others in the order of their names.
#[test]
fn canaries_go_first_and_alone() {
    let mut cluster = Cluster::new().with("system", 2).with("user", 3);
    let mut rollout = begin(settings(2));
    let mut first = vec![];
    let look = cluster.until(&mut rollout, |cluster, look| {
        let (done, of, _) = phase(look, "canary");
        assert_eq!(of, 2);
        if done < 2 {
            first = cluster.order.clone();
            let away = cluster.nodes.values().filter(|n| n.ours).count();
            assert!(away <= 1, "{away} away before the canaries have held");
        }
        false
    });
    assert_eq!(look.next, Do::Done);
    assert_eq!(first, ["system-0", "user-0"]);
    assert_eq!(
        cluster.order,
        ["system-0", "user-0", "system-1", "user-1", "user-2"]
    );
    assert!(cluster.all_new());
    assert_eq!(cluster.deleted.len(), 10, "an agent and an envoy of each node");
    assert_eq!(phase(&look, "waves"), (3, 3, true));
    assert_eq!(look.done.len(), 5);
    // Two canaries of at least 10 s start-up and 20 s soak.
    assert!(look.elapsed >= Duration::from_secs(60), "{:?}", look.elapsed);
}

/// Scenario 24: of 10 nodes the canary fails; exactly one agent was deleted, and the others run the old one.
#[test]
fn scenario_24_a_canary_that_fails_is_the_only_one() {
    for (new, within) in [(New::Crashes, 45), (New::Unpullable, 110), (New::Hangs, 200)] {
        let mut cluster = Cluster::new().with("pool", 10);
        for node in cluster.nodes.values_mut() {
            node.new = new;
        }
        let mut rollout = begin(settings(5));
        let look = cluster.end(&mut rollout);
        let (kind, sentence) = failure(&look);
        assert_eq!(kind, Kind::Canary);
        assert!(sentence.contains("node/pool-0: cilium: "), "{sentence}");
        assert!(
            sentence.ends_with("pods of 1 of 10 nodes were replaced"),
            "{sentence}"
        );
        assert!(
            look.elapsed <= Duration::from_secs(within),
            "{new:?} {:?}",
            look.elapsed
        );
        for _ in 0..30 {
            assert!(matches!(cluster.turn(&mut rollout).next, Do::Failed(_)));
        }
        let agents = cluster.deleted.iter().filter(|(_, set)| *set == "cilium");
        assert_eq!(agents.count(), 1, "{new:?}");
        let old = cluster.nodes.values().filter(|n| n.pods.iter().all(|p| !p.new));
        assert_eq!(old.count(), 9);
    }
}

/// Scenario 25: of 10 nodes never more than two are without their agent.
#[test]
fn scenario_25_never_more_than_max_parallel() {
    let mut cluster = Cluster::new().with("pool", 10);
    for (n, node) in cluster.nodes.values_mut().enumerate() {
        node.new = New::Good(5 + 7 * u64::try_from(n).expect("small"));
    }
    let look = cluster.end(&mut begin(settings(2)));
    assert_eq!(look.next, Do::Done);
    assert_eq!(cluster.most, 2);
    assert!(cluster.all_new());
}

/// Scenario 26: a node that was broken before is replaced last, told apart, and holds up nobody.
#[test]
fn scenario_26_a_node_that_was_broken_before_is_told_apart() {
    let mut cluster = Cluster::new().with("pool", 4);
    cluster.node("pool-1").ready = Ready::No;
    cluster.node("pool-2").lost = Some(1_000_000);
    let broken = ["pool-1".to_string(), "pool-2".to_string()];
    let mut rollout = Rollout::new(settings(1), &broken, &BTreeSet::new());
    let look = cluster.end(&mut rollout);
    assert_eq!(look.next, Do::Done);
    let apart: Vec<&str> = look.apart.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(apart, ["pool-1", "pool-2"]);
    assert_eq!(cluster.order, ["pool-0", "pool-3", "pool-1", "pool-2"]);
    assert_eq!(phase(&look, "waves"), (1, 1, true));
    assert!(look.elapsed < Duration::from_secs(120), "{:?}", look.elapsed);
}

/// Scenario 27: a node that joins has the new agent from the start, and is waited for before the end; one whose agent
/// is bad fails the rollout.
#[test]
fn scenario_27_a_node_that_joins_is_gated_too() {
    for (new, well) in [(New::Good(70), true), (New::Crashes, false)] {
        let mut cluster = Cluster::new().with("pool", 3);
        let mut rollout = begin(settings(1));
        cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 2);
        cluster.add("pool-9", "pool", true);
        cluster.node("pool-9").new = new;
        let joined = cluster.now;
        let look = cluster.end(&mut rollout);
        if well {
            assert_eq!(look.next, Do::Done);
            assert!(look.elapsed >= Duration::from_secs(joined + 70));
            assert!(cluster.all_new());
            assert_eq!(look.done.len(), 3, "nothing was done to the new one");
        } else {
            let (kind, sentence) = failure(&look);
            assert_eq!(kind, Kind::Node);
            assert!(sentence.contains("node/pool-9"), "{sentence}");
        }
        assert!(!cluster.touched().contains("pool-9"));
    }
}

/// Scenario 46, the order: the operator's pods one after the other, then agents and envoys.
#[test]
fn scenario_46_a_restart_begins_with_the_operator() {
    let mut cluster = Cluster::new().with("pool", 3);
    cluster.operator_old = ["a", "b"]
        .map(|name| PodRef {
            namespace: "kube-system".into(),
            name: name.into(),
            uid: format!("operator-{name}"),
            node: "pool-0".into(),
        })
        .to_vec();
    let mut rollout = begin(settings(1));
    let look = cluster.until(&mut rollout, |cluster, look| {
        if !cluster.operator_old.is_empty() {
            assert!(cluster.touched().is_empty());
            assert!(!phase(look, "operator").2);
        }
        false
    });
    assert_eq!(look.next, Do::Done);
    assert_eq!(
        cluster.order,
        ["operator", "operator", "pool-0", "pool-1", "pool-2"]
    );
    // Each of the operator's two needs 8 seconds, one after the other.
    assert!(look.elapsed >= Duration::from_secs(16 + 20));
}

/// An operator that does not come up fails the rollout before any agent is touched.
#[test]
fn no_agent_is_touched_before_the_operator_is_up() {
    for (crashes, after) in [(None, 360), (Some(3), 0)] {
        let mut cluster = Cluster::new().with("pool", 3);
        cluster.operator_lacks = Some("0 of 1 replica ready".into());
        cluster.operator_crashes = crashes;
        let look = cluster.end(&mut begin(settings(1)));
        let (kind, sentence) = failure(&look);
        assert_eq!(kind, Kind::Operator);
        assert!(
            sentence.contains("deployment/cilium-operator: 0 of 1 replica ready"),
            "{sentence}"
        );
        assert_eq!(look.elapsed, Duration::from_secs(after));
        assert!(cluster.deleted.is_empty());
    }
    let mut cluster = Cluster::new().with("pool", 3);
    cluster.operator_lacks = Some("0 of 1 replica ready".into());
    let mut rollout = begin(settings(1));
    cluster.until(&mut rollout, |cluster, _| cluster.now >= 100);
    assert!(cluster.deleted.is_empty());
    cluster.operator_lacks = None;
    assert_eq!(cluster.end(&mut rollout).next, Do::Done);
}

/// Nothing is outdated: an operator of another version only. It is through at once, whatever was broken before.
#[test]
fn nothing_to_replace_is_done_at_once() {
    let mut cluster = Cluster::new();
    for name in ["a", "b", "c"] {
        cluster.add(name, "pool", true);
        cluster.node(name).new = New::Good(0);
    }
    cluster.node("b").new = New::Crashes;
    cluster.node("b").pods[0].new = true;
    cluster.now = 100;
    let look = cluster.turn(&mut begin(settings(1)));
    assert_eq!(look.next, Do::Done);
    let (name, why) = look.apart.first().expect("one is told apart");
    assert_eq!(name, "b");
    assert!(why.starts_with("not well before either: cilium: "), "{why}");
    assert!(cluster.deleted.is_empty());
}

/// Envoy that was left behind is replaced alone, and the node is not done before.
#[test]
fn an_envoy_that_was_left_behind_is_replaced() {
    let mut cluster = Cluster::new().with("pool", 2);
    for node in cluster.nodes.values_mut() {
        node.pods[0].new = true;
    }
    cluster.now = 100;
    let look = cluster.end(&mut begin(settings(1)));
    assert_eq!(look.next, Do::Done);
    let sets: Vec<&str> = cluster.deleted.iter().map(|(_, set)| *set).collect();
    assert_eq!(sets, ["cilium-envoy", "cilium-envoy"]);
    assert!(cluster.all_new());
}

/// A new agent that is bad on a node of a wave stops it all at once.
#[test]
fn a_bad_agent_in_a_wave_stops_the_rollout() {
    let mut cluster = Cluster::new().with("pool", 10);
    cluster.node("pool-4").new = New::Crashes;
    let mut rollout = begin(settings(3));
    let look = cluster.end(&mut rollout);
    let (kind, sentence) = failure(&look);
    assert_eq!(kind, Kind::Node);
    assert!(sentence.contains("node/pool-4"), "{sentence}");
    // The canary, three in the first wave, one for each of those that were done before the bad one showed itself.
    let touched = cluster.touched().len();
    assert!((5..=7).contains(&touched), "{touched}");
    for _ in 0..100 {
        assert!(matches!(cluster.turn(&mut rollout).next, Do::Failed(_)));
    }
    assert_eq!(cluster.touched().len(), touched);
}

/// A node that is lost in the middle takes a place for a while, is told apart, and fails nothing.
#[test]
fn a_node_that_is_lost_meanwhile_takes_a_place() {
    let mut cluster = Cluster::new().with("pool", 8);
    let mut rollout = begin(settings(1));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 3);
    cluster.node("pool-6").lost = Some(1_000_000);
    let (lost_at, touched) = (cluster.now, cluster.order.len());
    let look = cluster.until(&mut rollout, |cluster, _| {
        if cluster.now < lost_at + 300 {
            assert_eq!(cluster.order.len(), touched, "at {}", cluster.now);
        }
        false
    });
    assert_eq!(look.next, Do::Done);
    let apart: Vec<&str> = look.apart.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(apart, ["pool-6"]);
    // Its pod is deleted all the same: when it is back, it has the new agent.
    assert_eq!(cluster.order.last().map(String::as_str), Some("pool-6"));
}

/// One that is back in time is replaced like any other.
#[test]
fn a_node_that_comes_back_has_its_turn() {
    let mut cluster = Cluster::new().with("pool", 8);
    let mut rollout = begin(settings(1));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 3);
    cluster.node("pool-6").lost = Some(cluster.now + 100);
    let look = cluster.end(&mut rollout);
    assert_eq!((look.next, look.apart), (Do::Done, vec![]));
    assert!(cluster.all_new());
}

/// Half of the nodes are no chance.
#[test]
fn many_lost_nodes_fail_the_rollout() {
    let mut cluster = Cluster::new().with("pool", 6);
    let mut rollout = begin(settings(2));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 3);
    for name in ["pool-0", "pool-4", "pool-5"] {
        cluster.node(name).lost = Some(1_000_000);
    }
    let touched = cluster.touched().len();
    let look = cluster.end(&mut rollout);
    let (kind, sentence) = failure(&look);
    assert_eq!(kind, Kind::Lost);
    assert!(
        sentence.contains("node/pool-0, node/pool-4, node/pool-5"),
        "{sentence}"
    );
    assert_eq!(cluster.touched().len(), touched);
}

/// A kubelet that is away starts nothing: a node that is lost in our hands and comes back has all of its agent's start
/// before it, and so has one whose new pod somebody deletes.
#[test]
fn a_start_that_begins_anew_is_waited_for_anew() {
    for deleted in [false, true] {
        let mut cluster = Cluster::new().with("pool", 3);
        cluster.node("pool-1").new = New::Good(110);
        let mut rollout = begin(settings(1));
        let mut taken = None;
        let look = cluster.until(&mut rollout, |cluster, _| {
            let now = cluster.now;
            if taken.is_none() && cluster.order.iter().any(|n| n == "pool-1") {
                taken = Some(now);
                if !deleted {
                    cluster.node("pool-1").lost = Some(now + 130);
                }
            }
            // Ten seconds before it is well.
            if deleted && taken.is_some_and(|taken| now == taken + 100) {
                cluster.foreign("pool-1");
            }
            false
        });
        // 120 s of start-up and 60 s more count from the last beginning.
        assert_eq!(look.next, Do::Done, "deleted: {deleted}, {:?}", look.waiting);
        assert!(cluster.all_new());
    }
}

/// A node that is lost with its agent taken down keeps its place: with one place only, the others could never follow.
#[test]
fn a_node_that_is_lost_in_our_hands_keeps_its_place() {
    for (places, ends) in [(1, false), (2, true)] {
        let mut cluster = Cluster::new().with("pool", 6);
        let mut rollout = begin(settings(places));
        cluster.until(&mut rollout, |cluster, _| {
            cluster.order.last().is_some_and(|n| n == "pool-2")
        });
        cluster.node("pool-2").lost = Some(1_000_000);
        let look = cluster.end(&mut rollout);
        if ends {
            assert_eq!(look.next, Do::Done);
            assert_eq!(
                look.apart,
                [(
                    "pool-2".to_string(),
                    "lost while its agent was replaced".to_string()
                )]
            );
        } else {
            assert_eq!(failure(&look).0, Kind::Lost);
            assert_eq!(cluster.touched().len(), 3);
        }
        assert_eq!(cluster.most, places);
    }
}

/// An old agent that is down is replaced first; if the new one does not come up either, that is told, and no failure.
#[test]
fn an_agent_that_was_down_goes_first_after_the_canary() {
    for (new, well) in [(New::Good(10), true), (New::Crashes, false)] {
        let mut cluster = Cluster::new().with("pool", 5);
        cluster.node("pool-3").ailing = true;
        cluster.node("pool-3").new = new;
        let look = cluster.end(&mut begin(settings(1)));
        assert_eq!(look.next, Do::Done);
        assert_eq!(cluster.order[..2], ["pool-0", "pool-3"]);
        assert_eq!(look.apart.is_empty(), well, "{:?}", look.apart);
        assert!(cluster.all_new());
    }
}

/// On the way back the node that the change broke comes first, and there is no canary.
#[test]
fn the_way_back_begins_where_it_is_broken() {
    let mut cluster = Cluster::new().with("pool", 6);
    cluster.node("pool-4").ailing = true;
    let look = cluster.end(&mut begin(settings(1).back()));
    assert_eq!(look.next, Do::Done);
    assert_eq!(cluster.order[0], "pool-4");
    assert!(look.phases.iter().all(|p| p.name != "canary"));
    assert_eq!(cluster.most, 1);
}

/// A pod that somebody else deleted is new when it is back, and is not deleted again.
#[test]
fn what_somebody_else_replaced_counts() {
    let mut cluster = Cluster::new().with("pool", 4);
    let mut rollout = begin(settings(1));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 1);
    cluster.foreign("pool-2");
    let look = cluster.end(&mut rollout);
    assert_eq!(look.next, Do::Done);
    assert!(cluster.all_new());
    let of_it: Vec<&str> = cluster
        .deleted
        .iter()
        .filter(|(node, _)| node == "pool-2")
        .map(|(_, set)| *set)
        .collect();
    assert_eq!(of_it, ["cilium-envoy"]);
}

/// Half replaced by somebody else, and bad: that is found too, and nobody waits for ever.
#[test]
fn a_bad_agent_beside_an_old_envoy_is_found() {
    let mut cluster = Cluster::new().with("pool", 4);
    cluster.node("pool-2").new = New::Crashes;
    let mut rollout = begin(settings(1));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 1);
    cluster.foreign("pool-2");
    let look = cluster.end(&mut rollout);
    let (kind, sentence) = failure(&look);
    assert_eq!(kind, Kind::Node);
    assert!(sentence.contains("node/pool-2"), "{sentence}");
}

/// A node that is taken away meanwhile is forgotten, the canary too: another node of its pool goes first then.
#[test]
fn a_node_that_is_taken_away_is_forgotten() {
    let mut cluster = Cluster::new().with("pool", 4);
    let mut rollout = begin(settings(1));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 1);
    cluster.nodes.remove("pool-0");
    let look = cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 2);
    assert_eq!(cluster.order, ["pool-0", "pool-1"]);
    assert_eq!(phase(&look, "canary"), (0, 1, false));
    let look = cluster.end(&mut rollout);
    assert_eq!(look.next, Do::Done);
    assert_eq!(look.done, ["pool-1", "pool-2", "pool-3"]);
}

/// Scenario 50: nothing is deleted while the platform works on nodes, and a pause that lasts too long is an end.
#[test]
fn scenario_50_a_repair_pauses_the_rollout() {
    let mut cluster = Cluster::new().with("pool", 6);
    let mut rollout = begin(Settings {
        pause_limit: Duration::from_secs(600),
        ..settings(2)
    });
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 3);
    cluster.pause = Some("AKS repairs node pool-5 (NodeReimageStart)".into());
    let (from, touched) = (cluster.now, cluster.order.len());
    let look = cluster.until(&mut rollout, |cluster, _| cluster.now >= from + 500);
    assert_eq!(cluster.order.len(), touched);
    assert!(
        look.waiting
            .iter()
            .any(|w| w.why.starts_with("paused: AKS repairs")),
        "{:?}",
        look.waiting
    );
    assert!(look.at_rest);
    let mut over = cluster.until(&mut rollout, |_, _| false);
    assert_eq!(
        over.next,
        Do::Paused("AKS repairs node pool-5 (NodeReimageStart)".into())
    );
    assert!(over.elapsed >= Duration::from_secs(from + 600));
    cluster.pause = None;
    over = cluster.end(&mut rollout);
    assert_eq!(over.next, Do::Done);
}

/// An API server that cannot be read is waited for; no limit of an agent goes on meanwhile.
#[test]
fn a_blind_minute_costs_nothing() {
    let mut cluster = Cluster::new().with("pool", 3);
    for node in cluster.nodes.values_mut() {
        node.new = New::Good(100);
    }
    let mut rollout = begin(Settings {
        pause_limit: Duration::from_secs(600),
        ..settings(1)
    });
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 1);
    // The clock goes on and the pods stand still: an API server that is away for longer than an agent may take.
    let mut elapsed = cluster.now;
    for _ in 0..250 {
        elapsed += 2;
        let look = rollout.blind("connection refused", Duration::from_secs(elapsed));
        assert_eq!(look.next, Do::Wait);
        assert!(!look.at_rest);
    }
    let skipped = elapsed - cluster.now;
    for _ in 0..40 {
        cluster.step();
        let look = rollout.look(&cluster.seen(), &[], Duration::from_secs(cluster.now + skipped));
        assert_eq!(look.next, Do::Wait);
    }
    let mut rollout = begin(settings(1));
    rollout.look(&cluster.seen(), &[], Duration::ZERO);
    let blind = |rollout: &mut Rollout, at| rollout.blind("connection refused", Duration::from_secs(at)).next;
    assert_eq!(blind(&mut rollout, 10), Do::Wait);
    assert_eq!(
        blind(&mut rollout, 10 + 1800),
        Do::Paused("connection refused".into())
    );
}

/// `--pause`: it stops once the canaries have held, and a later run goes on without canaries.
#[test]
fn a_pause_after_the_canaries_and_on_again() {
    let mut cluster = Cluster::new().with("system", 2).with("user", 2);
    let paused = Settings {
        pause: true,
        ..settings(1)
    };
    let look = cluster.end(&mut begin(paused.clone()));
    assert_eq!(look.next, Do::AtCanary);
    assert!(look.at_rest);
    assert_eq!(look.done, ["system-0", "user-0"]);
    assert_eq!(cluster.touched().len(), 2);
    let done: BTreeSet<String> = look.done.into_iter().collect();
    let mut rollout = Rollout::new(paused, &[], &done);
    let begun = cluster.now;
    let look = cluster.end(&mut rollout);
    assert_eq!(look.next, Do::Done);
    assert!(cluster.all_new());
    assert!(cluster.now - begun < 60, "no canary soaks again");
}

/// A run that ended while the canary was starting: the next one proves the same node and deletes nothing for it.
#[test]
fn a_run_that_was_interrupted_at_the_canary_goes_on_with_it() {
    for (new, well) in [(New::Good(10), true), (New::Crashes, false)] {
        let mut cluster = Cluster::new().with("pool", 5);
        cluster.node("pool-0").new = new;
        cluster.until(&mut begin(settings(2)), |cluster, _| cluster.order.len() == 1);
        let look = cluster.end(&mut begin(settings(2)));
        if well {
            assert_eq!(look.next, Do::Done);
            assert_eq!(cluster.deleted.len(), 10);
            assert_eq!(cluster.order[0], "pool-0");
        } else {
            failure(&look);
            assert_eq!(cluster.touched().len(), 1);
        }
    }
}

/// A run that ended with nodes in its hands: their places stay taken for the next one.
#[test]
fn places_stay_taken_over_an_interruption() {
    let mut cluster = Cluster::new().with("pool", 8);
    for node in cluster.nodes.values_mut() {
        node.new = New::Good(60);
    }
    let mut rollout = begin(settings(2));
    let look = cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 3);
    let done: BTreeSet<String> = look.done.into_iter().collect();
    assert_eq!(done, ["pool-0".to_string()].into());
    let look = cluster.end(&mut Rollout::new(settings(2), &[], &done));
    assert_eq!(look.next, Do::Done);
    assert_eq!(cluster.most, 2);
    assert_eq!(cluster.deleted.len(), 16);
}

/// The user wants to stop: nothing more is deleted, and the look says when nothing is in our hands.
#[test]
fn holding_comes_to_rest() {
    let mut cluster = Cluster::new().with("pool", 8);
    let mut rollout = begin(settings(2));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 3);
    rollout.hold();
    let touched = cluster.touched().len();
    assert!(!cluster.turn(&mut rollout).at_rest);
    let look = cluster.until(&mut rollout, |_, look| look.at_rest);
    assert_eq!(look.next, Do::Wait);
    assert!(cluster.nodes.values().all(|n| n.up(cluster.now)));
    assert_eq!(cluster.touched().len(), touched);
}

/// A deletion that did not reach the server is named again, for the same pod.
#[test]
fn a_deletion_that_was_lost_is_named_again() {
    let cluster = Cluster::new().with("pool", 2);
    let mut rollout = begin(settings(1));
    let first = rollout.look(&cluster.seen(), &[], Duration::ZERO).next;
    let again = rollout.look(&cluster.seen(), &[], Duration::from_secs(2)).next;
    assert!(
        matches!(&first, Do::Replace(pods) if pods.len() == 2),
        "{first:?}"
    );
    assert_eq!(first, again);
}

/// A canary is not believed without an address for a new pod.
#[test]
fn a_canary_without_an_address_fails() {
    let mut cluster = Cluster::new().with("pool", 3);
    cluster.addresses = false;
    let look = cluster.end(&mut begin(settings(1)));
    let (kind, sentence) = failure(&look);
    assert_eq!(kind, Kind::NoAddress);
    assert!(
        sentence.contains("a new pod there has no address yet"),
        "{sentence}"
    );
    assert_eq!(cluster.touched().len(), 1);
    let mut cluster = Cluster::new().with("pool", 3);
    cluster.addresses = false;
    let unprobed = Settings {
        probe: false,
        ..settings(1)
    };
    assert_eq!(cluster.end(&mut begin(unprobed)).next, Do::Done);
}

/// A canary that is well and then not, again and again.
#[test]
fn a_canary_that_relapses_fails() {
    let mut cluster = Cluster::new().with("pool", 3);
    let mut rollout = begin(settings(1));
    let look = cluster.until(&mut rollout, |cluster, _| {
        // Well for ten seconds, and then not for ten.
        let ready = if cluster.now / 10 % 2 == 0 {
            Ready::Yes
        } else {
            Ready::NoNetwork
        };
        cluster.node("pool-0").ready = ready;
        false
    });
    assert_eq!(failure(&look).0, Kind::Canary);
    assert_eq!(cluster.touched().len(), 1);
}

/// Somebody else changes the template in the middle.
#[test]
fn a_template_that_somebody_edits_is_the_end() {
    let mut cluster = Cluster::new().with("pool", 4);
    let mut rollout = begin(settings(1));
    cluster.until(&mut rollout, |cluster, _| cluster.order.len() == 2);
    cluster.template += 1;
    let look = cluster.end(&mut rollout);
    let (kind, sentence) = failure(&look);
    assert_eq!(kind, Kind::Edited);
    assert!(
        sentence.contains("daemonset/cilium: its template is of generation 3"),
        "{sentence}"
    );
    assert_eq!(cluster.touched().len(), 2);
}

/// The limit of it all.
#[test]
fn time_is_over_at_the_limit() {
    let mut cluster = Cluster::new().with("pool", 50);
    let mut rollout = begin(Settings {
        limit: Some(Duration::from_secs(120)),
        ..settings(1)
    });
    let look = cluster.end(&mut rollout);
    assert_eq!(failure(&look).0, Kind::TimedOut);
    assert!(look.elapsed >= Duration::from_secs(120) && look.elapsed <= Duration::from_secs(130));
}
