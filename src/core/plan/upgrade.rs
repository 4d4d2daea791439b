//! What is asked of an upgrade, and the hops that lead there.

/// Where an upgrade goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// The newest patch of the minor that is installed.
    NewestPatch,
    /// `--to`: a minor (`1.20`) or a version, over every minor on the way.
    To(String),
    /// `--version`: this one, in one hop.
    Exactly(String),
}

/// One hop of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The chart's version before.
    pub from: String,
    /// The chart's version after.
    pub to: String,
    /// Why it is made, in one line: `the newest patch of 1.18, before another minor`.
    pub why: String,
}
