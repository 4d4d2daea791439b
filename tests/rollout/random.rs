//! The rollout over clusters that are drawn by lot: whatever happens in them, it keeps its promises.

use std::{collections::BTreeSet, time::Duration};

use kubectl_byocni::core::{
    facts::Ready,
    rollout::{Do, Kind, Rollout, Settings},
};
use proptest::{prelude::*, test_runner::RngSeed};

use super::cluster::{Cluster, New};

/// What happens in the middle.
#[derive(Debug, Clone)]
enum Happens {
    Lost { node: usize, seconds: u64 },
    Gone { node: usize },
    Joins,
    Deleted { node: usize },
    Pause { seconds: u64 },
    Blind { seconds: u64 },
    Hiccup { node: usize },
}

fn happens() -> impl Strategy<Value = (u64, Happens)> {
    let what = prop_oneof![
        (0usize..12, 10u64..1000).prop_map(|(node, seconds)| Happens::Lost { node, seconds }),
        (0usize..12).prop_map(|node| Happens::Gone { node }),
        Just(Happens::Joins),
        (0usize..12).prop_map(|node| Happens::Deleted { node }),
        (10u64..300).prop_map(|seconds| Happens::Pause { seconds }),
        (10u64..300).prop_map(|seconds| Happens::Blind { seconds }),
        (0usize..12).prop_map(|node| Happens::Hiccup { node }),
    ];
    (0u64..600, what)
}

fn new_agent() -> impl Strategy<Value = New> {
    prop_oneof![
        20 => (0u64..100).prop_map(New::Good),
        1 => Just(New::Crashes),
        1 => Just(New::Unpullable),
        1 => Just(New::Hangs),
    ]
}

#[derive(Debug, Clone)]
struct Drawn {
    /// Pool, new agent, old agent down, broken before.
    nodes: Vec<(u8, New, bool, bool)>,
    events: Vec<(u64, Happens)>,
    max_parallel: usize,
    canaries: usize,
}

fn drawn(agents: impl Strategy<Value = New> + 'static, quiet: bool) -> impl Strategy<Value = Drawn> {
    let node = (
        0u8..3,
        agents,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    );
    let events = prop::collection::vec(happens(), if quiet { 0..1 } else { 0..6 });
    (prop::collection::vec(node, 1..12), events, 1usize..5, 0usize..3).prop_map(
        |(nodes, events, max_parallel, canaries)| Drawn {
            nodes,
            events,
            max_parallel,
            canaries,
        },
    )
}

struct Played {
    cluster: Cluster,
    ended: Do,
    apart: BTreeSet<String>,
    joined: BTreeSet<String>,
}

/// Plays it to its end, and checks what must hold at every look.
fn play(drawn: &Drawn) -> Played {
    let mut cluster = Cluster::new();
    let mut broken = vec![];
    for (n, (pool, new, ailing, was_broken)) in drawn.nodes.iter().enumerate() {
        let name = format!("node-{n:02}");
        cluster.add(&name, &format!("pool-{pool}"), false);
        let node = cluster.node(&name);
        (node.new, node.ailing) = (*new, *ailing);
        if *was_broken {
            node.ready = Ready::No;
            broken.push(name);
        }
    }
    let settings = Settings {
        canaries: drawn.canaries,
        max_parallel: drawn.max_parallel,
        soak: Duration::from_secs(20),
        ..Settings::new(1, Duration::from_secs(120))
    };
    let mut rollout = Rollout::new(settings, &broken, &BTreeSet::new());
    let mut joined = BTreeSet::new();
    let mut hiccups: Vec<(u64, String)> = vec![];
    let (mut paused, mut blind) = (0, 0);
    let mut ended = None;
    let mut apart = BTreeSet::new();
    // The longest that twelve nodes can take, one after the other, with all that happens to them.
    for _ in 0..10_000 {
        let now = cluster.now;
        let name = |n: usize| format!("node-{n:02}");
        for (_, event) in drawn.events.iter().filter(|(at, _)| *at / 2 == now / 2) {
            match event {
                Happens::Lost { node, seconds } => {
                    if let Some(node) = cluster.nodes.get_mut(&name(*node)) {
                        node.lost = Some(now + seconds);
                    }
                }
                Happens::Gone { node } => {
                    cluster.nodes.remove(&name(*node));
                }
                Happens::Joins => {
                    let name = format!("young-{now}");
                    cluster.add(&name, "pool-0", true);
                    joined.insert(name);
                }
                Happens::Deleted { node } => cluster.foreign(&name(*node)),
                Happens::Pause { seconds } => paused = now + seconds,
                Happens::Blind { seconds } => blind = now + seconds,
                Happens::Hiccup { node } => hiccups.push((now + 40, name(*node))),
            }
        }
        for (until, name) in &hiccups {
            let broken_before = broken.contains(name);
            if let Some(node) = cluster.nodes.get_mut(name).filter(|_| !broken_before) {
                node.ready = if now < *until {
                    Ready::NoNetwork
                } else {
                    Ready::Yes
                };
            }
        }
        cluster.pause = (now < paused).then(|| "AKS repairs a node".to_string());
        if now < blind {
            let look = rollout.blind("connection refused", Duration::from_secs(now));
            assert!(!matches!(look.next, Do::Replace(_)));
            cluster.step();
            continue;
        }
        let before = cluster.deleted.len();
        let look = cluster.turn(&mut rollout);
        assert!(
            cluster.deleted.len() == before || (now >= paused && ended.is_none()),
            "pods are deleted in a pause, or after the end"
        );
        assert!(
            cluster.most <= drawn.max_parallel,
            "{} nodes were without their agent because of us",
            cluster.most
        );
        if ended.is_none() && !matches!(look.next, Do::Wait | Do::Replace(_)) {
            apart = look.apart.iter().map(|(name, _)| name.clone()).collect();
            ended = Some((look.next.clone(), now));
        }
        // It goes on being fed for a minute, and must not begin anew.
        if let Some((next, at)) = &ended {
            assert!(!matches!(look.next, Do::Replace(_)) || *next == Do::Done);
            if now >= at + 60 {
                break;
            }
        }
    }
    let mut once = BTreeSet::new();
    for deleted in &cluster.deleted {
        assert!(once.insert(deleted.clone()), "{deleted:?} was deleted twice");
    }
    let (ended, _) = ended.expect("it ends");
    Played {
        cluster,
        ended,
        apart,
        joined,
    }
}

/// The same draws at every run, so that what lands does not hang on luck; for others, and more, by hand:
/// `PROPTEST_RNG_SEED=7 PROPTEST_CASES=20000`.
fn drawing() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let by_hand = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if by_hand { asked.cases } else { 300 },
        rng_seed: match asked.rng_seed {
            RngSeed::Random if !by_hand => RngSeed::Fixed(5),
            seed => seed,
        },
        failure_persistence: None,
        max_shrink_iters: 400,
        ..asked
    }
}

proptest! {
    #![proptest_config(drawing())]

    /// Whatever happens: it ends, never takes down more than it may, and never deletes after its end. Who is neither
    /// updated nor told apart at the end of one that is done has joined at the last moment.
    #[test]
    fn it_keeps_its_promises(drawn in drawn(new_agent(), false)) {
        let played = play(&drawn);
        if played.ended == Do::Done {
            for (name, node) in &played.cluster.nodes {
                let new = node.pods.iter().all(|p| p.new);
                prop_assert!(
                    new || played.apart.contains(name) || played.joined.contains(name),
                    "{name} was left behind"
                );
            }
        }
    }

    /// With agents that are all good, only nodes that are lost can end it; without those it is done, and all are new.
    #[test]
    fn good_agents_get_everywhere(drawn in drawn((0u64..100).prop_map(New::Good), false)) {
        let lost = drawn.events.iter().any(|(_, e)| matches!(e, Happens::Lost { .. }));
        let played = play(&drawn);
        match &played.ended {
            Do::Done => {
                if !lost {
                    prop_assert!(played.cluster.all_new());
                }
            }
            Do::Failed(failure) => {
                prop_assert!(lost, "{}", failure.sentence());
                prop_assert!(
                    matches!(failure.kind, Kind::Lost | Kind::Canary),
                    "{}", failure.sentence()
                );
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// In a quiet cluster a bad agent is never called good: it fails the rollout, unless its node was down before.
    #[test]
    fn bad_agents_are_found(drawn in drawn(new_agent(), true)) {
        let played = play(&drawn);
        let bad = drawn.nodes.iter().any(|(_, new, ailing, broken)| {
            !matches!(new, New::Good(_)) && !ailing && !broken
        });
        if bad {
            prop_assert!(matches!(played.ended, Do::Failed(_)), "{:?}", played.ended);
        }
    }
}
