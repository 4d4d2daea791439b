//! Upgrades and rollbacks: which hops lead to a version, which values a hop has, what must not change on the way, and
//! the plan of one hop.
//!
//! The way of the data: [`hops`] says where to go; for each hop [`draft`] carries the release's own values over to the
//! target chart; `io` renders them; [`plan`] puts all of it together. For a rollback [`draft_back`] takes chart and
//! values from the record of the revision that it goes to, and [`rollback_findings`] says what is unsafe about it.

mod back;
mod carry;
mod frozen;
mod hops;
mod made;
mod rules;

pub use back::rollback_findings;
pub use carry::{draft, draft_back};
pub use frozen::{appended, differing};
pub use hops::{hops, patch_first};
pub use made::{Extra, plan, rolling_gate_plan};
pub use rules::{Compatibility, Frozen, Moved, NewDefault, Retired, Rules, Settings, Translated, Vital};

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
