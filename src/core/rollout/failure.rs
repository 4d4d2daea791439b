//! How a rollout fails: on which nodes, after how many were touched, and why.

use std::time::Duration;

use super::schedule::shown;
use crate::core::{
    codes::change::{GATE_REGRESSED, GATE_TIMED_OUT},
    finding::{Finding, Subject},
    gate::Waiting,
    words,
};

/// Why a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operator does not come up.
    Operator,
    /// A canary's new agent is bad.
    Canary,
    /// A new agent is bad on a node of a wave, or on one that joined.
    Node,
    /// A new pod on a canary got no good address.
    NoAddress,
    /// More nodes were lost meanwhile than by chance.
    Lost,
    /// Somebody else changed a template meanwhile: which agents are the right ones can no longer be told.
    Edited,
    /// Time is over.
    TimedOut,
}

/// A rollout that ended before all nodes had their new agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub kind: Kind,
    /// The nodes or workloads that it ended on, each with what was seen; what waits longest first.
    pub because: Vec<Waiting>,
    /// On how many nodes pods were deleted.
    pub replaced: usize,
    /// Of how many.
    pub nodes: usize,
    /// How long it ran.
    pub after: Duration,
}

impl Failure {
    /// What was seen, where, and how many nodes were touched: one line.
    pub fn sentence(&self) -> String {
        let after = shown(self.after);
        let begun = match self.kind {
            Kind::Operator => format!("the operator was not up after {after}"),
            Kind::Canary => format!("stopped at the canary after {after}"),
            Kind::Node => format!("stopped after {after}, as a new agent is bad"),
            Kind::NoAddress => {
                format!("stopped at the canary after {after}, as a new pod there got no address")
            }
            Kind::Lost => format!("stopped after {after}, as too many nodes were lost"),
            Kind::Edited => format!("stopped after {after}, as somebody else changed a template"),
            Kind::TimedOut => format!("not done after {after}"),
        };
        let subjects: Vec<String> = self.because.iter().map(|w| w.subject.to_string()).collect();
        let told = match self.because.first() {
            None => String::new(),
            Some(first) if subjects.len() == 1 => format!(": {}: {}", first.subject, first.why),
            Some(first) => format!(": {}; {}: {}", words::names(&subjects), first.subject, first.why),
        };
        format!(
            "{begun}{told}; pods of {} of {} were replaced",
            self.replaced,
            words::count(self.nodes, "node")
        )
    }

    /// The failure as a finding.
    pub fn finding(&self) -> Finding {
        let code = match self.kind {
            Kind::Lost => &GATE_REGRESSED,
            Kind::Operator | Kind::Canary | Kind::Node | Kind::NoAddress | Kind::Edited | Kind::TimedOut => {
                &GATE_TIMED_OUT
            }
        };
        let subjects: Vec<Subject> = self.because.iter().map(|w| w.subject.clone()).collect();
        Finding::new(code, subjects, self.sentence(), "kubectl byocni status")
    }
}
