//! The rollout itself: what only the succession of looks tells, and what follows from each.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Do, Look, Seen, Settings};
use crate::core::gate::probe::ProbeSeen;

/// A rollout. Feed it one look after the other; it remembers what only their succession tells.
pub struct Rollout {
    settings: Settings,
    held: bool,
}

impl Rollout {
    /// A rollout that has not looked yet. Nothing is asked of nodes that were `broken_before` (the gate's baseline);
    /// `done` are the nodes that an earlier run of the same change has finished, from its journal.
    pub fn new(settings: Settings, _broken_before: &[String], _done: &BTreeSet<String>) -> Self {
        Rollout {
            settings,
            held: false,
        }
    }

    /// Looks at the cluster, `elapsed` after the rollout's beginning. `probes` are the probe pods that are there now.
    pub fn look(&mut self, _seen: &Seen, _probes: &[ProbeSeen], elapsed: Duration) -> Look {
        self.blind("nothing was looked at", elapsed)
    }

    /// A look that could not see, for this reason: nothing follows from it, and no limit goes on but that of pauses.
    pub fn blind(&mut self, why: &str, elapsed: Duration) -> Look {
        let next = if elapsed >= self.settings.pause_limit {
            Do::Paused(why.into())
        } else {
            Do::Wait
        };
        Look {
            next,
            phases: vec![],
            waiting: vec![],
            probe_on: vec![],
            done: vec![],
            apart: vec![],
            at_rest: !self.held,
            elapsed,
        }
    }

    /// From now on nothing more is deleted: the user wants to stop. A look that is [`Look::at_rest`] is where.
    pub fn hold(&mut self) {
        self.held = true;
    }
}
