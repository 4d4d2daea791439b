//! Does somebody own the CNI's workload, and in what state?

use super::{Check, changes, reading::namespace_flag};
use crate::core::{
    capture::{ReleaseRecord, Source, State},
    cni::Role,
    codes::reading::UNPARSABLE_VALUE,
    codes::release::{
        RELEASE_FAILED, RELEASE_FOREIGN_OWNER, RELEASE_MISSING, RELEASE_PENDING, RELEASE_VERSION_DRIFT,
    },
    facts::{Facts, release},
    finding::{Finding, Subject},
    words,
};

/// Without the right to list Secrets the verdict is complete all the same: a release says who, not whether it works.
const fn check(title: &'static str, needs: &'static [Source], run: fn(&Facts<'_>) -> Vec<Finding>) -> Check {
    Check {
        title,
        needs,
        needs_cni_objects: false,
        needed: false,
        run,
    }
}

pub(super) const ALL: &[Check] = &[
    check(
        "the CNI's Helm release",
        &[Source::DaemonSets, Source::Releases],
        missing,
    ),
    check(
        "the release's state",
        &[Source::DaemonSets, Source::Releases],
        state,
    ),
    check("who else owns the CNI", &[Source::DaemonSets], foreign_owner),
    check(
        "the release's version",
        &[Source::DaemonSets, Source::Releases],
        version_drift,
    ),
    check("the release's record", &[Source::Releases], record),
];

fn missing(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(main) = facts
        .detection
        .main
        .as_ref()
        .filter(|m| m.cni.role == Role::Primary)
    else {
        return vec![];
    };
    let (Some(chart), Some(workload)) = (main.cni.chart, main.workload) else {
        return vec![];
    };
    let owned = facts.release.is_some()
        || facts
            .detection
            .objects(facts.capture)
            .any(|m| release::reconciler(m).is_some());
    if owned || !facts.detection.signs.is_empty() || *facts.capture.state(Source::Releases) != State::Read {
        return vec![];
    }
    vec![Finding::new(
        &RELEASE_MISSING,
        vec![Subject::namespaced(
            "DaemonSet",
            &workload.meta.namespace,
            &workload.meta.name,
        )],
        format!(
            "{} runs in {} without a Helm release (chart {chart}): it was applied by hand, and cannot be upgraded or rolled back in place",
            main.cni.name, workload.meta.namespace
        ),
        format!(
            "kubectl byocni install {} --take-ownership --dry-run",
            main.cni.id
        ),
    )]
}

fn state(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(found) = &facts.release else {
        return vec![];
    };
    let Some(newest) = found.revisions.last() else {
        return vec![];
    };
    let (name, namespace) = (&found.release.name, &found.release.namespace);
    let subject = || {
        vec![Subject::namespaced(
            "Secret",
            namespace,
            &record_name(name, newest.number),
        )]
    };
    let good = found
        .revisions
        .iter()
        .rev()
        .find(|r| r.status == "deployed" || r.status == "superseded");
    let good = good.map_or("no revision was ever deployed".to_string(), |r| {
        format!("the last good one is {}", r.number)
    });
    if newest.status.starts_with("pending-") {
        // Somebody is at work on it: that is told (checks/changes.rs), and is no trouble.
        if changes::holder(facts).is_some() {
            return vec![];
        }
        let age = newest
            .created
            .map(|t| format!(" for {}", words::span(facts.taken_at().duration_since(t))));
        return vec![Finding::new(
            &RELEASE_PENDING,
            subject(),
            format!(
                "release {namespace}/{name} revision {} is {}{}; {good}",
                newest.number,
                newest.status,
                age.unwrap_or_default()
            ),
            "kubectl byocni rollback",
        )];
    }
    if newest.status == "failed" {
        return vec![Finding::new(
            &RELEASE_FAILED,
            subject(),
            format!(
                "release {namespace}/{name} revision {} failed; {good}",
                newest.number
            ),
            "kubectl byocni rollback",
        )];
    }
    vec![]
}

/// The Secret that holds a revision.
fn record_name(release: &str, revision: i64) -> String {
    format!("sh.helm.release.v1.{release}.v{revision}")
}

fn foreign_owner(facts: &Facts<'_>) -> Vec<Finding> {
    if !facts.detection.signs.is_empty() {
        // The platform's own CNI is told as such.
        return vec![];
    }
    let owner = facts
        .detection
        .objects(facts.capture)
        .find_map(|m| Some((m, release::reconciler(m)?)));
    let Some((meta, (who, mark))) = owner else {
        return vec![];
    };
    vec![Finding::new(
        &RELEASE_FOREIGN_OWNER,
        vec![Subject::namespaced("DaemonSet", &meta.namespace, &meta.name)],
        format!(
            "{who} owns {}/{} ({mark}): it undoes what anybody else changes",
            meta.namespace, meta.name
        ),
        format!("change the CNI where {who} gets it from"),
    )]
}

fn version_drift(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(found) = &facts.release else {
        return vec![];
    };
    let Some(newest) = found.revisions.last() else {
        return vec![];
    };
    let (Some(app), Some(running)) = (newest.app_version.clone(), facts.detection.version()) else {
        return vec![];
    };
    let plain = |v: &str| v.trim_start_matches('v').to_string();
    // The operator's chart carries Calico's version with a `v`; rebuilt tags cannot be compared.
    if plain(&app) == plain(&running) || running.contains(['-', '+', '_']) {
        return vec![];
    }
    vec![Finding::new(
        &RELEASE_VERSION_DRIFT,
        vec![Subject::namespaced(
            "Secret",
            &found.release.namespace,
            &record_name(&found.release.name, newest.number),
        )],
        format!(
            "agents run {running}, release {}/{} is of {}: its values name another image, or somebody changed it behind Helm's back",
            found.release.namespace,
            found.release.name,
            plain(&app)
        ),
        format!(
            "helm -n {} history {}",
            found.release.namespace, found.release.name
        ),
    )]
}

fn record(facts: &Facts<'_>) -> Vec<Finding> {
    let broken = facts
        .capture
        .releases
        .iter()
        .filter_map(|r| Some((r, r.meta.annotation(ReleaseRecord::UNREADABLE)?)));
    broken
        .map(|(record, why)| {
            Finding::new(
                &UNPARSABLE_VALUE,
                vec![Subject::namespaced(
                    "Secret",
                    &record.meta.namespace,
                    &record.meta.name,
                )],
                format!(
                    "Secret {}: Helm's record could not be decoded: {why}",
                    record.meta.name
                ),
                format!(
                    "kubectl get secret {}{}",
                    record.meta.name,
                    namespace_flag(Some(&record.meta.namespace))
                ),
            )
        })
        .collect()
}
