//! Single stories of a course, in the order in which they are told.

use kubectl_byocni::core::course::Direction::{Back, There};

use crate::played::{Deed, Lot, Ran, Start, Verb, World};

fn start() -> Start {
    Start {
        paced: true,
        defines: true,
        no_rollback: false,
        pause: false,
        nodes: 2,
        history: &["superseded", "deployed"],
        former: true,
    }
}

/// All goes well: definitions, agents held still, one node after the other, the chart's own strategy.
#[test]
fn an_upgrade_that_goes_well() {
    let start = start();
    let mut world = World::new(&start);
    assert_eq!(world.run(Verb::Resume, &start, &mut Lot::default()), Ran::Done);
    let deeds = [
        Deed::Defined,
        Deed::Helm(There),
        Deed::Replaced(There, 0),
        Deed::Replaced(There, 1),
        Deed::Helm(There),
    ];
    assert_eq!(world.deeds, deeds);
    assert!(world.broken.is_empty());
    assert!(world.operation().is_none());
}

/// What was not begun needs no way back.
#[test]
fn an_abort_before_the_first_step() {
    let start = start();
    let mut world = World::new(&start);
    assert_eq!(
        world.run(Verb::Abort, &start, &mut Lot::default()),
        Ran::Untouched
    );
    assert_eq!(world.deeds, []);
}

/// What cannot be gone back to stays, and is left for somebody to look at.
#[test]
fn an_abort_without_a_revision_to_go_back_to() {
    let start = Start {
        former: false,
        ..start()
    };
    let mut world = World::new(&start);
    assert_eq!(world.run(Verb::Abort, &start, &mut Lot::default()), Ran::Left);
    assert_eq!(world.deeds, []);
    assert!(world.operation().is_some());
}

/// It stops at the canaries once; who resumes goes past them.
#[test]
fn a_pause_at_the_canaries() {
    let start = Start {
        pause: true,
        ..start()
    };
    let mut world = World::new(&start);
    assert_eq!(world.run(Verb::Resume, &start, &mut Lot::default()), Ran::Left);
    assert_eq!(world.deeds.last(), Some(&Deed::Replaced(There, 0)));
    assert_eq!(world.run(Verb::Resume, &start, &mut Lot::default()), Ran::Done);
}

/// An abort after the canaries: what was replaced is replaced once more, and no other.
#[test]
fn an_abort_after_the_canaries() {
    let start = Start {
        pause: true,
        ..start()
    };
    let mut world = World::new(&start);
    world.run(Verb::Resume, &start, &mut Lot::default());
    assert_eq!(
        world.run(Verb::Abort, &start, &mut Lot::default()),
        Ran::TakenBack
    );
    let since = world.deeds.iter().skip_while(|deed| **deed != Deed::Turned);
    let since: Vec<Deed> = since.copied().collect();
    let back = [
        Deed::Turned,
        Deed::Helm(Back),
        Deed::Replaced(Back, 0),
        Deed::Helm(Back),
    ];
    assert_eq!(since, back);
    assert_eq!(world.broken.into_iter().collect::<Vec<_>>(), [3]);
}

/// Helm fails once the network works: that stays, and who resumes gives the strategy back. No agent moves again.
#[test]
fn a_strategy_that_cannot_be_given_back() {
    let start = start();
    let mut world = World::new(&start);
    world.helm_fails_after = Some(1);
    assert_eq!(world.run(Verb::Resume, &start, &mut Lot::default()), Ran::Left);
    assert_eq!(world.deeds.last(), Some(&Deed::Helm(There)));
    assert!(!world.deeds.contains(&Deed::Turned), "{:?}", world.deeds);
    assert_eq!(world.run(Verb::Resume, &start, &mut Lot::default()), Ran::Done);
    let moved = world
        .deeds
        .iter()
        .filter(|deed| matches!(deed, Deed::Replaced(..)));
    assert_eq!(moved.count(), 2);
}
