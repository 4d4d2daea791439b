//! What a finding's code is: its number, its name, how bad it is, and the words of `explain`.

use schemars::JsonSchema;
use serde::Serialize;

/// How bad the state is that a code names. The order is worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The cluster's network does not work, or will stop working, somewhere.
    Error,
    /// It works and something is wrong with it.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The word that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// What can be done to a cluster's CNI.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Bring a CNI to a cluster that has none.
    Install,
    /// Replace the CNI's version or configuration in place.
    Upgrade,
    /// Go back to an earlier revision.
    Rollback,
}

impl Change {
    /// The verb that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Install => "install",
            Change::Upgrade => "upgrade",
            Change::Rollback => "rollback",
        }
    }

    /// Every change.
    pub const ALL: &[Change] = &[Change::Install, Change::Upgrade, Change::Rollback];
}

/// One kind of finding. A code never changes its meaning; a retired one is never reused.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `BYO` and four digits; the first two are the family.
    pub id: &'static str,
    /// The name in words, as scripts use it: `cni-missing`.
    pub slug: &'static str,
    /// Belongs to the code: a state that can be two severities is two codes.
    pub severity: Severity,
    /// The changes that do not begin while it stands, whatever its severity: what a change cures does not block it.
    pub blocks: &'static [Change],
    /// One line, a true sentence when the finding stands: "No CNI is installed".
    pub title: &'static str,
    /// `explain`: what it means, in the terms of the field.
    pub means: &'static str,
    /// `explain`: why it matters to whoever runs the cluster.
    pub matters: &'static str,
    /// `explain`: commands that show it with plain kubectl.
    pub see: &'static str,
    /// `explain`: how to put it right.
    pub fix: &'static str,
    /// Where the facts come from: links to documentation, issues or source.
    pub sources: &'static [&'static str],
}
