//! What a look tells: how far each phase is, what is waited for, and who is left aside.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Rollout, Told};
use crate::core::{
    finding::Subject,
    gate::{Phase, Waiting},
    rollout::{Do, Look, Seen, track::Track},
};

impl Rollout {
    /// Puts the look together.
    pub(super) fn tell(&mut self, seen: &Seen, next: Do, mut told: Told, elapsed: Duration) -> Look {
        for (node, track) in self.nodes(seen) {
            let subject = Subject::node(&node.name);
            let turn = track.taken.is_some() || !node.outdated() || track.down.is_some();
            let waited = turn && !track.broken && track.apart.is_none() && !node.good();
            if waited && !told.waits.iter().any(|(s, _)| *s == subject) {
                told.waits.push((subject, node.lacks()));
            }
        }
        let now: BTreeSet<&Subject> = told.waits.iter().map(|(subject, _)| subject).collect();
        self.waited.retain(|subject, _| now.contains(subject));
        let mut waiting = vec![];
        for (subject, why) in &told.waits {
            waiting.push(Waiting {
                subject: subject.clone(),
                why: why.clone(),
                since: *self.waited.entry(subject.clone()).or_insert(elapsed),
            });
        }
        waiting.sort_by(|a, b| (a.since, &a.subject).cmp(&(b.since, &b.subject)));
        let look = Look {
            phases: self.phases(seen, &told),
            waiting,
            probe_on: told.probe_on,
            done: self.done(seen),
            apart: self.apart(seen),
            at_rest: !matches!(next, Do::Replace(_)) && !self.nodes(seen).any(|(n, t)| t.in_hand(n)),
            next,
            elapsed,
        };
        self.before = Some(look.clone());
        look
    }

    fn phases(&self, seen: &Seen, told: &Told) -> Vec<Phase> {
        let phase = |name, done, total| Phase {
            name,
            done,
            total,
            complete: done >= total,
            note: String::new(),
        };
        let mut phases = vec![];
        let lacking = seen
            .operators
            .iter()
            .filter(|o| o.lacks.is_some() || !o.old.is_empty());
        let lacking = lacking.count() + seen.unsettled.len();
        let total = seen.operators.len() + seen.unsettled.len();
        if total > 0 {
            let mut operator = phase("operator", total - lacking, total);
            operator.complete &= self.operator.up;
            phases.push(operator);
        }
        let to_come = if self.rolls { self.to_come(seen) } else { vec![] };
        let proven = self.passed.len();
        let total = proven + usize::from(self.canary.is_some()) + to_come.len();
        if total > 0 {
            let mut canary = phase("canary", proven, total);
            canary.note = told.note.clone();
            phases.push(canary);
        }
        let first = |name: &str| {
            let current = self.canary.as_ref().is_some_and(|c| c.name == name);
            current || self.passed.contains(name) || to_come.iter().any(|c| c == name)
        };
        let others = || self.nodes(seen).filter(|(n, t)| !t.broken && !first(&n.name));
        let done = others().filter(|(n, _)| n.good()).count();
        let apart = others().filter(|(n, t)| !n.good() && (t.apart.is_some() || t.stuck));
        let apart = apart.count();
        let mut waves = phase("waves", done, others().count());
        waves.complete = done + apart >= waves.total;
        if apart > 0 {
            waves.note = format!("{apart} told apart");
        }
        phases.push(waves);
        phases
    }

    /// A canary counts once it has held, another node once it is well.
    fn done(&self, seen: &Seen) -> Vec<String> {
        let current = |name: &str| self.canary.as_ref().is_some_and(|c| c.name == name);
        let done = self.nodes(seen).filter(|(n, t)| {
            let known = self.finished.contains(&n.name) || self.passed.contains(&n.name);
            known || (t.taken.is_some() && n.good() && !current(&n.name))
        });
        done.map(|(n, _)| n.name.clone()).collect()
    }

    fn apart(&self, seen: &Seen) -> Vec<(String, String)> {
        let why = |track: &Track| {
            if track.broken {
                return Some("broken before the change".to_string());
            }
            let stuck = || {
                track
                    .stuck
                    .then(|| "lost while its agent was replaced".to_string())
            };
            track.apart.clone().or_else(stuck)
        };
        self.nodes(seen)
            .filter_map(|(n, t)| Some((n.name.clone(), why(t)?)))
            .collect()
    }
}
