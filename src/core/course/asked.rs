//! What helm is asked for, to bring a release from wherever an earlier run left it to what a way wants. One operation at
//! a time: a revision that is pending is waited for before it is given up.

use super::super::{
    journal::Operation,
    revision::{Revision, strategy_only},
};

/// What helm is asked for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Nothing: the release is not there any more.
    Gone,
    /// This revision's own manifest once more; what then is the newest is asked about again.
    Finish(i64),
    /// Nothing, where its values are those that are wanted; else the upgrade.
    Compare,
    /// The upgrade.
    Upgrade,
}

/// Whether a helm that an earlier run of this change left behind may still be at work.
pub fn at_work(newest: Option<&Revision>, operation: &Operation) -> bool {
    newest.is_some_and(|newest| newest.pending() && ours(newest, operation))
}

/// What is asked for, once nobody is at work on it any more. `version` and `description` are those of the revision that
/// is wanted.
pub fn ask(newest: Option<&Revision>, operation: &Operation, version: &str, description: &str) -> Ask {
    let Some(newest) = newest else {
        return Ask::Gone;
    };
    let ours = ours(newest, operation);
    if newest.pending() {
        // Ours is brought to its end, and holds agents still; a stranger's would have their DaemonSet replace them at
        // once: the one before it, which they run.
        let stood = operation.replaces.as_ref().map(|replaces| replaces.revision);
        return Ask::Finish(stood.filter(|_| !ours).unwrap_or(newest.revision));
    }
    let held = strategy_only(&newest.description) == strategy_only(description);
    match ours && newest.status == "deployed" && newest.version == version && held {
        true => Ask::Compare,
        false => Ask::Upgrade,
    }
}

/// Whether a revision was made since the change began.
fn ours(newest: &Revision, operation: &Operation) -> bool {
    newest.revision > operation.before.revision.unwrap_or(0)
}
