//! A revision of a release in full, as Helm recorded it: what an upgrade starts from, and what a rollback goes to.

use serde_json::Value;

use super::{chart::Chart, manifest::Object};

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
