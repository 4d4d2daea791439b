//! The `diff` of a `ChangePlan` for machines. Values that may be secrets, and long ones, are `null`.

use serde::Serialize;

use super::wire::{SubjectItem, subject};
use crate::core::plan::diff::{Because, Content, Diff, Image, Restart, Setting};

/// What is different.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffItem<'a> {
    /// Whether `because` is known.
    attributed: bool,
    settings: Vec<SettingItem<'a>>,
    images: Vec<ImageItem<'a>>,
    /// In their order.
    restarts: Vec<RestartItem<'a>>,
    restarts_by_operator: bool,
    inert: Vec<InertItem<'a>>,
    creates: Vec<SubjectItem<'a>>,
    removes: Vec<SubjectItem<'a>>,
    /// No longer the release's, and there all the same.
    leaves: Vec<SubjectItem<'a>>,
    changes: Vec<SubjectItem<'a>>,
    relabelled: usize,
    not_compared: Vec<SubjectItem<'a>>,
}

#[derive(Serialize)]
struct SettingItem<'a> {
    object: SubjectItem<'a>,
    key: &'a str,
    /// `added`, `removed`, `changed`.
    change: &'static str,
    before: Option<&'a str>,
    after: Option<&'a str>,
    /// Why a value is not shown: `long`, `secret`.
    omitted: Option<&'static str>,
    /// How much of a long value is different.
    extent: Option<&'a str>,
    because: Option<&'static str>,
}

#[derive(Serialize)]
struct ImageItem<'a> {
    workload: SubjectItem<'a>,
    containers: &'a [String],
    before: Option<&'a str>,
    after: Option<&'a str>,
    because: Option<&'static str>,
}

#[derive(Serialize)]
struct RestartItem<'a> {
    workload: SubjectItem<'a>,
    /// `operator`, `agent`, `with-agent`, `other`.
    part: &'static str,
    /// `image`, `configuration`, `template`.
    why: Vec<&'static str>,
    pods: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InertItem<'a> {
    config_map: SubjectItem<'a>,
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
        () if sides.iter().any(|s| matches!(s, Some(Content::Hidden))) => Some("secret"),
        () if sides.iter().any(|s| matches!(s, Some(Content::Long(_)))) => Some("long"),
        () => None,
    };
    SettingItem {
        object: subject(&one.object),
        key: &one.key,
        change: match (&one.before, &one.after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        },
        before: shown(one.before.as_ref()),
        after: shown(one.after.as_ref()),
        omitted,
        extent: one.extent.as_deref(),
        because: word(one.because),
    }
}

fn shown(content: Option<&Content>) -> Option<&str> {
    match content {
        Some(Content::Text(text)) => Some(text),
        _ => None,
    }
}

fn word(because: Option<Because>) -> Option<&'static str> {
    because.map(Because::as_str)
}

fn image(one: &Image) -> ImageItem<'_> {
    ImageItem {
        workload: subject(&one.workload),
        containers: &one.containers,
        before: one.before.as_deref(),
        after: one.after.as_deref(),
        because: word(one.because),
    }
}

fn restart(one: &Restart) -> RestartItem<'_> {
    RestartItem {
        workload: subject(&one.workload),
        part: one.part.as_str(),
        why: one.why.iter().map(|why| why.as_str()).collect(),
        pods: one.pods,
    }
}
