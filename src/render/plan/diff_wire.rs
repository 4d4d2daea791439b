//! The `diff` of a `ChangePlan` for machines. Values that may be secrets, and long ones, are `null`.

use schemars::JsonSchema;
use serde::Serialize;

use super::wire::{SubjectItem, subject};
use crate::core::plan::diff::{Because, Content, Diff, Image, Part, Restart, Setting, Why};

/// What becomes different.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Diff")]
pub struct DiffItem<'a> {
    /// Whether `because` is known.
    attributed: bool,
    /// Keys of the CNI's configuration.
    settings: Vec<SettingItem<'a>>,
    /// Images.
    images: Vec<ImageItem<'a>>,
    /// Workloads whose pods restart, in their order.
    restarts: Vec<RestartItem<'a>>,
    /// Whether an operator restarts what no chart renders.
    restarts_by_operator: bool,
    /// ConfigMaps that change without anybody who reads them anew.
    inert: Vec<InertItem<'a>>,
    /// Created.
    creates: Vec<SubjectItem<'a>>,
    /// Removed.
    removes: Vec<SubjectItem<'a>>,
    /// No longer the release's, and there all the same.
    leaves: Vec<SubjectItem<'a>>,
    /// Changed.
    changes: Vec<SubjectItem<'a>>,
    /// Objects with nothing new but the version in labels.
    relabelled: usize,
    /// Secrets, which are not looked into.
    not_compared: Vec<SubjectItem<'a>>,
}

/// What becomes of a setting.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Difference {
    Added,
    Removed,
    Changed,
}

/// Why a value is not shown.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Omitted {
    Secret,
    Long,
}

/// A setting.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Setting")]
struct SettingItem<'a> {
    /// Where it stands.
    object: SubjectItem<'a>,
    /// The key.
    key: &'a str,
    /// What becomes of it.
    change: Difference,
    /// Its value now.
    before: Option<&'a str>,
    /// Its value then.
    after: Option<&'a str>,
    /// Why a value is not shown.
    omitted: Option<Omitted>,
    /// How much of a long value is different.
    extent: Option<&'a str>,
    /// Whose the difference is: yours, forced by the upgrade, a changed default of the chart.
    because: Option<Because>,
}

/// An image.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Image")]
struct ImageItem<'a> {
    /// Whose it is.
    workload: SubjectItem<'a>,
    /// Containers that run it.
    containers: &'a [String],
    /// Now.
    before: Option<&'a str>,
    /// Then.
    after: Option<&'a str>,
    /// Whose the difference is: yours, forced by the upgrade, a changed default of the chart.
    because: Option<Because>,
}

/// A restart.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Restart")]
struct RestartItem<'a> {
    /// Whose pods restart.
    workload: SubjectItem<'a>,
    /// Its part in the rollout.
    part: Part,
    /// What is new in its template.
    why: &'a [Why],
    /// How many pods.
    pods: Option<usize>,
}

/// One of them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Inert")]
struct InertItem<'a> {
    /// The ConfigMap.
    config_map: SubjectItem<'a>,
    /// Who read it at their start.
    readers: Vec<SubjectItem<'a>>,
}

impl<'a> DiffItem<'a> {
    /// Of a diff.
    pub fn of(diff: &'a Diff) -> Self {
        let subjects = |all: &'a [crate::core::finding::Subject]| all.iter().map(subject).collect();
        DiffItem {
            attributed: diff.attributed,
            settings: diff.settings.iter().map(setting).collect(),
            images: diff.images.iter().map(image).collect(),
            restarts: diff.restarts.iter().map(restart).collect(),
            restarts_by_operator: diff.by_operator,
            inert: diff
                .inert
                .iter()
                .map(|one| InertItem {
                    config_map: subject(&one.config_map),
                    readers: subjects(&one.readers),
                })
                .collect(),
            creates: subjects(&diff.creates),
            removes: subjects(&diff.removes),
            leaves: subjects(&diff.keeps),
            changes: subjects(&diff.changes),
            relabelled: diff.relabelled,
            not_compared: subjects(&diff.not_compared),
        }
    }
}

fn setting(one: &Setting) -> SettingItem<'_> {
    let sides = [&one.before, &one.after];
    let omitted = match () {
        () if sides.iter().any(|s| matches!(s, Some(Content::Hidden))) => Some(Omitted::Secret),
        () if sides.iter().any(|s| matches!(s, Some(Content::Long(_)))) => Some(Omitted::Long),
        () => None,
    };
    SettingItem {
        object: subject(&one.object),
        key: &one.key,
        change: match (&one.before, &one.after) {
            (None, _) => Difference::Added,
            (_, None) => Difference::Removed,
            _ => Difference::Changed,
        },
        before: shown(one.before.as_ref()),
        after: shown(one.after.as_ref()),
        omitted,
        extent: one.extent.as_deref(),
        because: one.because,
    }
}

fn shown(content: Option<&Content>) -> Option<&str> {
    match content {
        Some(Content::Text(text)) => Some(text),
        _ => None,
    }
}

fn image(one: &Image) -> ImageItem<'_> {
    ImageItem {
        workload: subject(&one.workload),
        containers: &one.containers,
        before: one.before.as_deref(),
        after: one.after.as_deref(),
        because: one.because,
    }
}

fn restart(one: &Restart) -> RestartItem<'_> {
    RestartItem {
        workload: subject(&one.workload),
        part: one.part,
        why: &one.why,
        pods: one.pods,
    }
}
