//! Who put the CNI there: a Helm release, a reconciler, an add-on manager, nobody that left a mark.

use jiff::Timestamp;

use crate::core::{
    capture::{Capture, Meta, ReleaseRecord},
    report::Release,
};

/// One revision of the release.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Its number.
    pub number: i64,
    /// Helm's word: `deployed`, `failed`, `pending-upgrade`, …
    pub status: String,
    /// When its record was made.
    pub created: Option<Timestamp>,
    /// The chart's app version, where the record could be decoded.
    pub app_version: Option<String>,
}

/// The release that owns a workload, as far as the reader's rights go.
#[derive(Debug, Clone)]
pub struct ReleaseFacts {
    /// For the report.
    pub release: Release,
    /// Oldest first; empty where records could not be listed.
    pub revisions: Vec<Revision>,
}

/// The release that the annotations of these objects name.
pub fn of<'a>(capture: &Capture, objects: impl Iterator<Item = &'a Meta>) -> Option<ReleaseFacts> {
    let (name, namespace) = objects.into_iter().find_map(|meta| {
        Some((
            meta.annotation("meta.helm.sh/release-name")?,
            meta.annotation("meta.helm.sh/release-namespace")?,
        ))
    })?;
    let own = |record: &&ReleaseRecord| {
        record.meta.namespace == *namespace && record.meta.label("name") == Some(name)
    };
    let mut records: Vec<(i64, &ReleaseRecord)> = capture
        .releases
        .iter()
        .filter(own)
        .filter_map(|r| Some((r.meta.label("version")?.parse::<i64>().ok()?, r)))
        .collect();
    records.sort_by_key(|(number, _)| *number);
    let newest = records.last().map(|(number, record)| (*number, *record));
    let annotation = |key: &str| {
        newest
            .and_then(|(_, r)| r.meta.annotation(key))
            .map(str::to_string)
    };
    Some(ReleaseFacts {
        release: Release {
            name: name.to_string(),
            namespace: namespace.to_string(),
            revision: newest.map(|(number, _)| number),
            status: newest
                .and_then(|(_, r)| r.meta.label("status"))
                .map(str::to_string),
            chart: annotation(ReleaseRecord::CHART),
            version: annotation(ReleaseRecord::CHART_VERSION),
        },
        revisions: records
            .iter()
            .map(|(number, record)| Revision {
                number: *number,
                status: record.meta.label("status").unwrap_or("unknown").to_string(),
                created: record.meta.creation_timestamp,
                app_version: record
                    .meta
                    .annotation(ReleaseRecord::APP_VERSION)
                    .filter(|version| !version.is_empty())
                    .map(str::to_string),
            })
            .collect(),
    })
}

/// The reconciler that will undo what anybody else changes, and the mark that says so.
pub fn reconciler(meta: &Meta) -> Option<(&'static str, String)> {
    let label = |key: &'static str| meta.label(key).map(|v| (key, v.to_string()));
    let annotation = |key: &'static str| meta.annotation(key).map(|v| (key, v.to_string()));
    let mark = |(key, value): (&str, String)| format!("{key}={value}");
    let flux = label("helm.toolkit.fluxcd.io/name").or_else(|| label("kustomize.toolkit.fluxcd.io/name"));
    if let Some(found) = flux {
        return Some(("Flux", mark(found)));
    }
    let argo = annotation("argocd.argoproj.io/tracking-id").or_else(|| label("argocd.argoproj.io/instance"));
    if let Some(found) = argo {
        return Some(("Argo CD", mark(found)));
    }
    let addon = label("addonmanager.kubernetes.io/mode").filter(|(_, mode)| mode == "Reconcile");
    if let Some(found) = addon {
        return Some(("the add-on manager", mark(found)));
    }
    label("kubernetes.azure.com/managedby").map(|found| ("AKS", mark(found)))
}
