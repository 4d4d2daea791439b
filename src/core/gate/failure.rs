//! How a gate fails: what was still missing, for how long, on which nodes, and the findings that explain it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use crate::core::{
    code::Severity,
    codes::change::{GATE_REGRESSED, GATE_TIMED_OUT},
    finding::{Finding, Subject},
    report::Report,
    words,
};

use super::{Waiting, conditions::Wait, standing::Standing};

/// Why waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something never came up within the limit.
    TimedOut,
    /// Everything that the change brings is up, or was, and something that was well before no longer is.
    Regressed,
    /// No agent on any node can come up: waiting on would not help.
    Hopeless,
}

/// How much of the cluster is without what was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All of it, or half of its nodes and more.
    Whole,
    /// Some nodes only: on the others the network works, and going back would cut them off.
    Partly {
        /// The nodes, in order.
        nodes: Vec<String>,
    },
}

/// A gate that did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why waiting ended.
    pub kind: Kind,
    /// How much of the cluster it concerns.
    pub reach: Reach,
    /// What was still waited for.
    pub waiting: Vec<Waiting>,
    /// The errors that explain it, worst first; none where something was merely slow.
    pub because: Vec<Finding>,
    /// How long was waited.
    pub after: Duration,
}

impl Failure {
    /// What was waited for, where, how long, and the first cause: one line.
    pub fn sentence(&self) -> String {
        let after = words::span(SignedDuration::try_from(self.after).unwrap_or(SignedDuration::MAX));
        let begun = match self.kind {
            Kind::TimedOut => format!("not up after {after}"),
            Kind::Regressed => format!("no longer well after {after}"),
            Kind::Hopeless => format!("given up after {after}, as no agent can start"),
        };
        let subjects: Vec<String> = self.waiting.iter().map(|w| w.subject.to_string()).collect();
        let waited = match subjects.as_slice() {
            [] => String::new(),
            all => format!(": waited for {}", words::names(all)),
        };
        let why = match (self.because.first(), self.waiting.first()) {
            // Agents of a product that is not known have no findings of their own: what was seen of them explains the rest.
            (Some(cause), Some(first))
                if first.subject.kind == "DaemonSet" && !cause.subjects.contains(&first.subject) =>
            {
                format!(
                    "; {}: {}; {}: {}",
                    first.subject, first.why, cause.code.slug, cause.message
                )
            }
            (Some(cause), _) => format!("; {}: {}", cause.code.slug, cause.message),
            (None, Some(first)) => format!("; {}: {}", first.subject, first.why),
            (None, None) => String::new(),
        };
        format!("{begun}{waited}{why}")
    }

    /// The failure as a finding, with the fix of what caused it. That nothing can come up is told as being out of time.
    pub fn finding(&self) -> Finding {
        let code = match self.kind {
            Kind::TimedOut | Kind::Hopeless => &GATE_TIMED_OUT,
            Kind::Regressed => &GATE_REGRESSED,
        };
        let subjects: Vec<Subject> = self.waiting.iter().map(|w| w.subject.clone()).collect();
        let fix = self
            .because
            .first()
            .map_or("kubectl byocni status", |f| f.fix.as_str());
        Finding::new(code, subjects, self.sentence(), fix)
    }
}

/// Puts a failure together. `errors` are the new ones that held the gate up.
pub(super) fn of(
    kind: Kind,
    waits: &[Wait],
    waiting: &[Waiting],
    errors: &[Finding],
    report: &Report,
    standing: &Standing<'_, '_>,
    after: Duration,
) -> Failure {
    Failure {
        kind,
        reach: reach(waits, standing),
        waiting: waiting.to_vec(),
        because: because(waits, errors, report),
        after,
    }
}

/// Only nodes are missing, and fewer than half of them. Pods that other DaemonSets lack are those nodes' as long as
/// there are not more of them.
fn reach(waits: &[Wait], standing: &Standing<'_, '_>) -> Reach {
    let nodes: BTreeSet<&str> = waits
        .iter()
        .filter(|w| w.subject.kind == "Node")
        .map(|w| w.subject.name.as_str())
        .collect();
    let theirs = |w: &Wait| w.subject.kind == "Node" || w.short.is_some_and(|short| short <= nodes.len());
    if nodes.is_empty() || nodes.len() * 2 >= standing.total.max(1) || !waits.iter().all(theirs) {
        return Reach::Whole;
    }
    Reach::Partly {
        nodes: nodes.into_iter().map(str::to_string).collect(),
    }
}

/// The new errors, and errors that stood before where what is waited for is their subject.
fn because(waits: &[Wait], errors: &[Finding], report: &Report) -> Vec<Finding> {
    let waited: BTreeSet<&Subject> = waits.iter().map(|w| &w.subject).collect();
    let mut all = errors.to_vec();
    let concerned =
        |f: &&Finding| f.severity == Severity::Error && f.subjects.iter().any(|s| waited.contains(s));
    for finding in report.findings.iter().filter(concerned) {
        if !all.iter().any(|f| f.code == finding.code) {
            all.push(finding.clone());
        }
    }
    // An agent that fails explains the node that waits for it, and the DNS that waits for both.
    all.sort_by_key(|f| (!f.code.slug.starts_with("agent-"), f.code.id));
    all
}
