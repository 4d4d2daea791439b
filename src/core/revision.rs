//! A revision of a release in full, as Helm recorded it: what an upgrade starts from, and what a rollback goes to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{chart::Chart, manifest::Object};

/// How the description of a revision begins that only holds the agents still while they are replaced one by one: its
/// update strategy is OnDelete, its chart and other values are those of the revision after it. It is left out of
/// histories, and never gone back to.
pub const STRATEGY_ONLY: &str = "kubectl byocni: agents are being replaced (strategy only)";

/// The description of our other revisions.
pub const OURS: &str = "kubectl byocni";

/// Whether a revision of this description is one that only holds the agents still.
pub fn strategy_only(description: &str) -> bool {
    description.starts_with(STRATEGY_ONLY)
}

/// One revision.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its number, from 1.
    pub revision: i64,
    /// Helm's word for it: `deployed`, `superseded`, `failed`, `pending-upgrade`, …
    pub status: String,
    /// Helm's remark: `Install complete`, or ours.
    pub description: String,
    /// The chart as it was then; its archive is made anew from the record.
    pub chart: Chart,
    /// The user's values of that revision, whole: may hold secrets.
    pub values: Value,
    /// What was rendered then, hooks left out.
    pub manifest: Vec<Object>,
}

/// A revision as helm lists it in a release's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1.
    pub revision: i64,
    /// `deployed`, `failed`, `superseded`, `uninstalling`, `pending-install`, `pending-upgrade`, `pending-rollback`, …
    pub status: String,
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// What the chart installs.
    pub app_version: String,
    /// When it was written, where helm says so in a form that can be read.
    pub updated: Option<Timestamp>,
    /// Helm's remark: `Install complete`, `Rollback to 2`, or why it failed.
    pub description: String,
}

impl Revision {
    /// Whether helm was interrupted, or is at work: until somebody rolls back, no upgrade is possible.
    pub fn pending(&self) -> bool {
        self.status.starts_with("pending-") || self.status == "uninstalling"
    }
}

/// A revision as a history lists it, as far as going back to it is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its number.
    pub revision: i64,
    /// Helm's word for it.
    pub status: String,
    /// Helm's remark.
    pub description: String,
}

/// What is recorded of a revision after a change that did not end well.
pub const BROKEN: &str = "broken";

/// The newest revision before the one that stands that was good: deployed once, not one that only held agents still, and
/// not one that is recorded as broken. `all` is oldest first. Where the newest revision failed, the one that is still
/// deployed is the good one: it is never simply the one before.
pub fn last_good(all: &[Past], health: &BTreeMap<i64, String>) -> Option<i64> {
    let newest = all.last()?;
    let stands = newest.status == "deployed" && !strategy_only(&newest.description) && sound(newest, health);
    all.iter()
        .rev()
        .find(|past| {
            let current = stands && past.revision == newest.revision;
            !current && good(past, health)
        })
        .map(|past| past.revision)
}

/// Whether a revision may be gone back to by itself.
fn good(past: &Past, health: &BTreeMap<i64, String>) -> bool {
    let once = matches!(past.status.as_str(), "deployed" | "superseded");
    once && !strategy_only(&past.description) && sound(past, health)
}

fn sound(past: &Past, health: &BTreeMap<i64, String>) -> bool {
    health.get(&past.revision).is_none_or(|word| word != BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(revision: i64, status: &str, description: &str) -> Past {
        Past {
            revision,
            status: status.into(),
            description: description.into(),
        }
    }

    #[test]
    fn scenario_44_the_last_good_one_is_never_one_that_failed() {
        let none = BTreeMap::new();
        let all = [
            past(4, "superseded", ""),
            past(5, "deployed", ""),
            past(6, "failed", ""),
            past(7, "failed", ""),
        ];
        assert_eq!(last_good(&all, &none), Some(5));
        assert_eq!(last_good(&all[..2], &none), Some(4));
        assert_eq!(
            last_good(&all[..1], &none),
            Some(4),
            "what was superseded, and stands for nothing now"
        );
        assert_eq!(last_good(&[past(1, "deployed", "")], &none), None);
        assert_eq!(last_good(&[], &none), None);
    }

    #[test]
    fn what_only_held_agents_still_is_no_target() {
        let none = BTreeMap::new();
        let all = [
            past(1, "superseded", ""),
            past(2, "superseded", STRATEGY_ONLY),
            past(3, "deployed", OURS),
        ];
        assert_eq!(last_good(&all, &none), Some(1));
        // Left in the middle: the one before it is where to go.
        assert_eq!(
            last_good(
                &[past(1, "superseded", ""), past(2, "deployed", STRATEGY_ONLY)],
                &none
            ),
            Some(1)
        );
    }

    #[test]
    fn what_is_recorded_as_broken_is_no_target() {
        let health = BTreeMap::from([(2, BROKEN.to_string()), (1, "healthy".to_string())]);
        let all = [
            past(1, "superseded", ""),
            past(2, "superseded", ""),
            past(3, "deployed", ""),
        ];
        assert_eq!(last_good(&all, &health), Some(1));
    }
}
