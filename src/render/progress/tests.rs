//! What is drawn while a gate waits, at several widths, and the plain lines of a whole wait.

use proptest::prelude::*;

use super::*;
use crate::core::gate::{Failure, Kind, Reach};

fn style(width: usize, unicode: bool) -> Style {
    Style {
        width,
        color: false,
        unicode,
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn phase(name: &'static str, done: usize, total: usize) -> Phase {
    Phase {
        name,
        done,
        total,
        complete: done >= total,
        note: String::new(),
    }
}

fn waiting(node: &str, why: &str, since: u64) -> Waiting {
    Waiting {
        subject: Subject::node(node),
        why: why.into(),
        since: seconds(since),
    }
}

fn look(phases: Vec<Phase>, waiting: Vec<Waiting>, state: State, at: u64) -> Look {
    Look {
        phases,
        waiting,
        state,
        probe_on: vec![],
        agents_ever_started: true,
        aside: vec![],
        elapsed: seconds(at),
    }
}

/// Half way: the operator is up, agents start, and nine nodes are waited for.
fn half_way() -> Look {
    let mut waits = vec![
        waiting(
            "aks-user-27182818-vmss000007",
            "image quay.io/cilium/cilium:v1.20.0 cannot be pulled (ImagePullBackOff)",
            0,
        ),
        waiting(
            "aks-user-27182818-vmss000003",
            "init container config has not finished (PodInitializing)",
            0,
        ),
    ];
    waits.extend((0..7).map(|n| {
        waiting(
            &format!("aks-system-31415926-vmss00000{n}"),
            "it has no network yet",
            60,
        )
    }));
    let mut agents = phase("agents", 41, 50);
    agents.note = "cilium-envoy 48/50".into();
    let phases = vec![
        phase("operator", 2, 2),
        agents,
        phase("nodes", 41, 50),
        Phase {
            complete: true,
            ..phase("dns", 1, 2)
        },
        phase("addresses", 0, 2),
        phase("settling", 0, 30),
    ];
    look(phases, waits, State::Waiting, 65)
}

fn done(settled: usize, state: State, at: u64) -> Look {
    let phases = vec![
        phase("operator", 1, 1),
        phase("agents", 3, 3),
        phase("nodes", 3, 3),
        phase("dns", 2, 2),
        phase("addresses", 2, 2),
        phase("settling", settled, 30),
    ];
    look(phases, vec![], state, at)
}

fn drawn(look: &Look, style: &Style) -> String {
    let head = "installing Cilium 1.20.0 on aks-prod";
    live(look, head, look.elapsed, seconds(900), style, 3).join("\n")
}

#[test]
fn the_live_view_looks_as_it_should() {
    insta::with_settings!({omit_expression => true}, {
        for width in [60, 80, 140] {
            insta::assert_snapshot!(format!("half_way_{width}"), drawn(&half_way(), &style(width, true)));
        }
        insta::assert_snapshot!("half_way_80_ascii", drawn(&half_way(), &style(80, false)));
        let settling = done(12, State::Settling { left: seconds(18) }, 95);
        insta::assert_snapshot!("settling_80", drawn(&settling, &style(80, true)));
        insta::assert_snapshot!("passed_80", drawn(&done(30, State::Passed, 113), &style(80, true)));
    });
}

#[test]
fn without_utf_8_there_is_nothing_but_ascii() {
    let mut look = half_way();
    look.waiting[0].why = "«nicht gefunden» — …".into();
    assert!(drawn(&look, &style(80, false)).is_ascii());
}

#[test]
fn the_meaning_is_there_without_colours() {
    let colored = Style {
        color: true,
        ..style(80, true)
    };
    let painted = drawn(&half_way(), &colored);
    assert!(painted.contains('\u{1b}'));
    let mut plain = String::new();
    let mut rest = painted.as_str();
    while let Some((text, escape)) = rest.split_once('\u{1b}') {
        plain.push_str(text);
        rest = escape.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    assert_eq!(plain, drawn(&half_way(), &style(80, true)));
}

fn starting(agents: usize, at: u64) -> Look {
    let waits = (agents..3).map(|n| {
        waiting(
            &format!("node-{n}"),
            "container cilium-agent runs and is not Ready",
            0,
        )
    });
    let phases = vec![
        phase("operator", 1, 1),
        phase("agents", agents, 3),
        phase("nodes", agents, 3),
        phase("settling", 0, 30),
    ];
    look(phases, waits.collect(), State::Waiting, at)
}

#[test]
fn each_change_is_a_line_and_silence_a_sign_of_life() {
    let failure = Failure {
        kind: Kind::TimedOut,
        reach: Reach::Whole,
        waiting: vec![waiting(
            "node-2",
            "container cilium-agent runs and is not Ready",
            0,
        )],
        because: vec![],
        after: seconds(900),
    };
    let mut failed = starting(2, 900);
    failed.state = State::Failed(Box::new(failure));
    let looks = [
        starting(0, 2),
        starting(0, 4),
        starting(2, 12),
        starting(2, 29),
        starting(2, 31),
        starting(2, 33),
        done(0, State::Settling { left: seconds(30) }, 40),
        done(10, State::Settling { left: seconds(20) }, 50),
        done(20, State::Settling { left: seconds(10) }, 60),
        starting(2, 62),
        done(0, State::Settling { left: seconds(30) }, 70),
        done(30, State::Passed, 100),
        failed,
    ];
    let mut said = vec![];
    let mut before = None;
    for look in &looks {
        said.extend(lines(before, look, look.elapsed));
        before = Some(look);
    }
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!("plain", said.join("\n"));
    });
}

#[test]
fn of_many_nodes_each_quarter_is_a_line() {
    let at = |agents: usize| {
        let phases = vec![phase("agents", agents, 500)];
        look(phases, vec![], State::Waiting, 5)
    };
    let said = |a: usize, b: usize| lines(Some(&at(a)), &at(b), seconds(5)).len();
    assert_eq!(said(1, 2), 0);
    assert_eq!(said(124, 125), 1);
    assert_eq!(said(499, 500), 1);
    assert_eq!(said(500, 499), 1);
    assert_eq!(said(500, 500), 0);
}

#[test]
fn times_are_short() {
    let told = |n| clock(seconds(n));
    assert_eq!(
        [told(0), told(59), told(60), told(125)],
        ["0s", "59s", "1m", "2m5s"]
    );
    assert_eq!(
        [told(599), told(725), told(3600), told(3900)],
        ["9m59s", "12m", "1h", "1h5m"]
    );
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_terminal(
        columns in 1usize..200,
        head in any::<String>(),
        names in proptest::collection::vec(any::<String>(), 0..9),
        why in any::<String>(),
        (part, total) in (0usize..6000, 0usize..6000),
        unicode: bool,
    ) {
        let waits = names.iter().map(|n| waiting(n, &why, 0)).collect();
        let mut agents = phase("agents", part, total);
        agents.note.clone_from(&why);
        let look = look(vec![agents, phase("settling", part, total)], waits, State::Waiting, 40);
        for line in live(&look, &head, seconds(40), seconds(900), &style(columns, unicode), part) {
            prop_assert!(width(&line) <= columns, "{line:?}");
            prop_assert!(!line.contains('\n'));
        }
    }
}
