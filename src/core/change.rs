//! What is told of a change while it runs, and how it ended.

use std::time::Duration;

use super::{
    finding::Finding,
    gate::Look,
    journal::{Operation, Phase},
};

/// Something that whoever watches a change wants to know.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step begins: its name as in the plan, and what it does.
    Step {
        /// `lock`, `apply-crds`, `helm-install`, `helm-upgrade`, `rolling`, `gate`, `strategy`, `back`, `record`.
        name: &'static str,
        /// In one line.
        does: String,
        /// How long it may take, where that is another time than the gate's.
        limit: Option<Duration>,
    },
    /// One look of the gate.
    Look(Box<Look>),
    /// Something on the side, in one line.
    Note(String),
    /// What a step now waits for, and how long at most.
    Wait {
        /// In one line: `helm's release is pending`.
        what: String,
        /// From now on.
        limit: Duration,
    },
}

/// How a change ended.
#[derive(Debug, Clone)]
pub enum Ended {
    /// The network was seen to work.
    Done {
        /// What the last look has shown: nodes that were broken before, errors on the side.
        look: Box<Look>,
        /// Nodes that were broken before, and still are nobody's business of this change.
        broken_before: Vec<String>,
    },
    /// Somebody else was there first, or the cluster has moved: nothing was changed.
    Refused(Finding),
    /// The user wanted to stop; the cluster is at rest and the journal says how to go on.
    Stopped {
        /// How far it came.
        phase: Phase,
    },
    /// It waits at a safe point for something outside that took too long; the journal says how to go on.
    Paused {
        /// What it waited for.
        because: Finding,
    },
    /// The canaries are well and the user wanted to look at them; the journal says how to go on.
    AtCanary {
        /// The canaries' nodes.
        canaries: Vec<String>,
    },
    /// It failed and was taken back.
    Back {
        /// Why it failed.
        because: Finding,
        /// What could not be taken back, each in one line; empty where the cluster is as it was.
        left: Vec<String>,
        /// What no way back undoes, each in one line.
        stays: Vec<String>,
    },
    /// It failed and stays as it is.
    Stays {
        /// Why it failed.
        because: Finding,
        /// Why it was not taken back.
        why: String,
        /// Nodes without a network because of it; empty where it is not a matter of nodes.
        nodes: Vec<String>,
    },
    /// The lock was lost: somebody else may be at work, so nothing more was written.
    Lost {
        /// How far it came.
        phase: Phase,
    },
}

/// The codes of everything that an operation of a journal left in the cluster when it is interrupted, in words.
pub fn where_it_stands(operation: &Operation) -> String {
    format!(
        "{} {} {} by {}, begun {}, stopped {}",
        operation.change.as_str(),
        operation.chart.name,
        operation.chart.version,
        operation.by,
        operation.begun.strftime("%Y-%m-%d %H:%M:%SZ"),
        operation.phase.doing()
    )
}
