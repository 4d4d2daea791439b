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

fn done_look(settled: usize, state: State, at: u64) -> Look {
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
        let settling = done_look(12, State::Settling { left: seconds(18) }, 95);
        insta::assert_snapshot!("settling_80", drawn(&settling, &style(80, true)));
        insta::assert_snapshot!("passed_80", drawn(&done_look(30, State::Passed, 113), &style(80, true)));
    });
}

fn helm() -> Step {
    Step {
        name: "helm-install".into(),
        does: "helm install tigera-operator v3.32.1 in tigera-operator".into(),
    }
}

fn pending(since: u64) -> Aside<'static> {
    Aside {
        text: "helm's release is pending: waiting for the helm that an interrupted run may have left at work",
        since: seconds(since),
        limit: Some(seconds(60)),
    }
}

#[test]
fn a_step_says_what_it_waits_for_and_for_how_long() {
    let drawn = |width, aside: Option<&Aside<'_>>| {
        step(&helm(), seconds(75), aside, &style(width, true), 2).join("\n")
    };
    let note = Aside {
        text: "still going: namespace calico-system",
        since: seconds(3),
        limit: None,
    };
    let all = [
        drawn(100, None),
        drawn(100, Some(&note)),
        drawn(100, Some(&pending(12))),
        drawn(60, Some(&pending(61))),
        step(&helm(), seconds(5), Some(&pending(12)), &style(80, false), 1).join("\n"),
        done(&helm(), Some(seconds(14)), &style(60, true)),
        done(&helm(), None, &style(60, true)),
        plain(&helm()),
        waited_for("waiting whether ann@here still holds the lock", seconds(15)),
    ];
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!("step", all.join("\n\n"));
    });
}

/// Between two looks the clocks go on: the one at the top, of each that is waited for, of settling; and all of them stop
/// when it is over.
#[test]
fn clocks_go_on_between_two_looks() {
    let at = |look: &Look, elapsed: u64| {
        live(
            look,
            "installing",
            seconds(elapsed),
            seconds(900),
            &style(80, true),
            0,
        )
    };
    let waits = half_way();
    assert!(
        at(&waits, 65)[0].contains("1m5s, at most 13m more"),
        "{:?}",
        at(&waits, 65)
    );
    assert!(at(&waits, 68)[0].contains("1m8s"), "{:?}", at(&waits, 68));
    let settling = done_look(12, State::Settling { left: seconds(18) }, 95);
    let lines = at(&settling, 98).join("\n");
    assert!(
        lines.contains("1m38s, 15s more") && lines.contains("15s/30s"),
        "{lines}"
    );
    // What only a look can say is not said before it.
    let lines = at(&settling, 200).join("\n");
    assert!(lines.contains("29s/30s") && lines.contains("0s more"), "{lines}");
    let over = done_look(30, State::Passed, 113);
    assert_eq!(at(&over, 113), at(&over, 130));
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
        done_look(0, State::Settling { left: seconds(30) }, 40),
        done_look(10, State::Settling { left: seconds(20) }, 50),
        done_look(20, State::Settling { left: seconds(10) }, 60),
        starting(2, 62),
        done_look(0, State::Settling { left: seconds(30) }, 70),
        done_look(30, State::Passed, 100),
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
        let one = Step { name: head, does: why.clone() };
        let aside = Aside { text: &why, since: seconds(3), limit: unicode.then(|| seconds(60)) };
        for line in step(&one, seconds(40), Some(&aside), &style(columns, unicode), part) {
            prop_assert!(width(&line) <= columns, "{line:?}");
            prop_assert!(!line.contains('\n'));
        }
    }
}
