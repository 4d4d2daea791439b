//! What a CNI's project says of changing it in place, as data: a row a fact, with its source and the day that it was
//! read. The rows stand with their CNI (`core/cni/*/upgrade.rs`).

use serde_json::Value;

use crate::core::{code::Code, facts::Facts};

/// What an upgrade or a rollback must know of a CNI.
#[derive(Debug)]
pub struct Rules {
    /// The key that keeps the defaults of the minor that was installed first, where the chart has one.
    pub compatibility: Option<Compatibility>,
    /// Keys that have another name, or are no longer needed, in later charts.
    pub moved: &'static [Moved],
    /// Keys that a chart ignores and that must not be ignored in silence, whoever wrote them.
    pub vital: &'static [Vital],
    /// What must not change while pods run.
    pub frozen: &'static [Frozen],
    /// Defaults that mean something else in later charts.
    pub defaults: &'static [NewDefault],
    /// Kinds that later versions no longer have.
    pub retired: &'static [Retired],
    /// Who brings the CustomResourceDefinitions to their level, in a sentence that begins with it.
    pub definitions: Option<&'static str>,
}

/// A chart's key for the minor that was installed first.
#[derive(Debug)]
pub struct Compatibility {
    /// The key.
    pub key: &'static str,
    /// The oldest minor that charts tell apart.
    pub oldest: (u64, u64),
}

/// A key that has another name, or is no longer needed, from some minor on.
#[derive(Debug)]
pub struct Moved {
    /// The key.
    pub key: &'static str,
    /// The first minor whose chart no longer has it.
    pub since: (u64, u64),
    /// What becomes of a value of it; the second is what the release runs with, the old chart's defaults included.
    pub translate: fn(&Value, &Value) -> Translated,
}

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Translated {
    /// It is written under another key.
    As(&'static str, Value),
    /// It is left out: the later version does so anyway. Why, in words.
    Needless(&'static str),
    /// It cannot be said in the later chart.
    Lost,
}

/// A key that must never be lost in silence.
#[derive(Debug)]
pub struct Vital {
    /// The key.
    pub key: &'static str,
    /// The key that does what it was meant to do.
    pub instead: &'static str,
}

/// The values of a release as they run, in the shape that rules look at.
pub struct Settings<'a> {
    /// The chart's defaults with the user's values over them.
    pub values: &'a Value,
    /// The chart's minor.
    pub minor: Option<(u64, u64)>,
    /// The cluster.
    pub facts: &'a Facts<'a>,
}

/// What must not change while pods run.
#[derive(Debug)]
pub struct Frozen {
    /// In a sentence: `the IPAM mode`.
    pub what: &'static str,
    /// The key that decides it.
    pub key: &'static str,
    /// Its key in the CNI's ConfigMap; empty where it has none.
    pub configured: &'static str,
    /// Where in that key's text, if it is a document: a JSON pointer; empty where it is the whole text.
    pub within: &'static str,
    /// Whether it is a list that may grow at its end.
    pub grows: bool,
    /// What it was and what it would be, in words, where that is forbidden. Defaults that are written differently and
    /// mean the same are the same.
    pub changed: fn(&Settings<'_>, &Settings<'_>) -> Option<(String, String)>,
    /// The finding.
    pub code: &'static Code,
    /// Why it is forbidden.
    pub why: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// When it was read, as a date.
    pub read: &'static str,
}

/// A default that means something else in later charts.
#[derive(Debug)]
pub struct NewDefault {
    /// The key.
    pub key: &'static str,
    /// The first minor with the other default.
    pub since: (u64, u64),
    /// Whether a release with these values is concerned.
    pub concerns: fn(&Value) -> bool,
    /// What follows from it.
    pub follows: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// When it was read, as a date.
    pub read: &'static str,
}

/// A kind that later versions no longer have.
#[derive(Debug)]
pub struct Retired {
    /// The kind.
    pub kind: &'static str,
    /// Its CustomResourceDefinition.
    pub crd: &'static str,
    /// The first minor that does not read it.
    pub since: (u64, u64),
    /// Whether a release with these values may use it.
    pub concerns: fn(&Value) -> bool,
    /// What came in its place.
    pub instead: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// When it was read, as a date.
    pub read: &'static str,
}
