//! Whose is the network here, and whose is the release? What must not be touched, and what is there already.

use serde_json::Value;

use super::{Found, Look};
use crate::core::{
    capture::{Source, Workload},
    cni::Role,
    codes::{
        change::{ALREADY_INSTALLED, FOREIGN_CNI, FOREIGN_RECONCILER, MANAGED_REFUSED},
        preflight::{BYOCNI_UNKNOWN, OWNERSHIP_CONFLICT, OWNERSHIP_TAKEN, RELEASE_IN_THE_WAY},
    },
    facts::{
        Detected, Ready,
        release::{self, ReleaseFacts},
    },
    finding::{Finding, Subject},
    plan::{Installed, Origin, PlannedValue, tree},
    report::Byocni,
    words,
};

/// Platforms that never run a CNI of their own beside what their users bring: there the question does not come up.
/// (`azure` is a cluster that its users built on Azure's machines.)
const NEVER_THEIR_OWN: &[&str] = &["azure", "kind", "kubeadm"];

/// Applies the rules; says whether the platform runs the CNI.
pub(super) fn check(look: &Look<'_>, found: &mut Found) -> bool {
    if let Some(finding) = managed(look) {
        found.findings.push(finding);
        return true;
    }
    let foreign = foreign_cni(look);
    found.findings.extend(foreign_reconciler(look));
    // A second CNI is refused by its name; that it may be the platform's adds nothing.
    if foreign.is_none() {
        found.findings.extend(byocni_unknown(look));
    }
    found.findings.extend(foreign);
    there_already(look, found);
    false
}

/// The same for a release that is there: only who else would undo the change.
pub(super) fn check_owner(look: &Look<'_>, found: &mut Found) -> bool {
    if let Some(finding) = managed(look) {
        found.findings.push(finding);
        return true;
    }
    found.findings.extend(foreign_reconciler(look));
    false
}

fn subject(workload: &Workload) -> Subject {
    Subject::namespaced("DaemonSet", &workload.meta.namespace, &workload.meta.name)
}

/// The platform's own CNI, by any sign.
fn managed(look: &Look<'_>) -> Option<Finding> {
    let facts = look.facts;
    let main = facts.detection.main.as_ref();
    let by_role = main.filter(|m| m.cni.role == Role::Managed);
    if facts.platform.byocni != Byocni::Managed && by_role.is_none() {
        return None;
    }
    let signs = facts.detection.signs.iter().map(|s| s.evidence.clone());
    let mut evidence: Vec<String> = by_role.map(|m| m.evidence.clone()).into_iter().collect();
    evidence.extend(signs);
    evidence.dedup();
    let what = by_role.map_or("the CNI", |m| m.cni.name);
    Some(Finding::new(
        &MANAGED_REFUSED,
        main.and_then(|m| m.workload).map(subject).into_iter().collect(),
        format!(
            "the platform runs {what} ({}); it would set back what is changed, and no flag overrides this",
            evidence
                .iter()
                .take(3)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("; ")
        ),
        "kubectl byocni explain managed-refused",
    ))
}

/// Who would undo the change.
fn foreign_reconciler(look: &Look<'_>) -> Option<Finding> {
    let facts = look.facts;
    let (meta, (who, mark)) = facts
        .detection
        .objects(facts.capture)
        .find_map(|meta| Some((meta, release::reconciler(meta)?)))?;
    Some(Finding::new(
        &FOREIGN_RECONCILER,
        facts
            .detection
            .main
            .as_ref()
            .and_then(|m| m.workload)
            .map(subject)
            .into_iter()
            .collect(),
        format!(
            "{who} owns {}/{} ({mark}) and would undo the change",
            meta.namespace, meta.name
        ),
        format!("make the change where {who} gets the CNI from"),
    ))
}

/// Whether it is known that users bring the CNI here, or will be after a second look at the nodes.
fn byocni_unknown(look: &Look<'_>) -> Option<Finding> {
    let facts = look.facts;
    let platform = &facts.platform;
    let known = platform.byocni != Byocni::Unknown || NEVER_THEIR_OWN.contains(&platform.name);
    if known || look.request.assume_byocni || facts.nodes.is_empty() {
        return None;
    }
    let linux = || facts.nodes.iter().filter(|n| n.linux && !n.is_virtual);
    let ready = linux().filter(|n| n.ready == Ready::Yes).count();
    let waiting = linux().filter(|n| n.ready == Ready::NoNetwork).count();
    // A node that is broken for another reason does not make a cluster that waits for its CNI a doubtful one.
    let waits = ready == 0 && waiting > 0 && facts.detection.main.is_none();
    // Where this very CNI was before, users brought it.
    let was_here = look
        .cni
        .is_some_and(|c| facts.detection.leftovers.iter().any(|(left, _)| left.id == c.id));
    if waits || was_here {
        return None;
    }
    let evidence = facts.detection.main.as_ref().map(|m| m.evidence.clone());
    let seen = evidence
        .or_else(|| facts.detection.sandboxes_fail.clone())
        .unwrap_or_else(|| {
            format!(
                "{ready} of {} {} Ready without a workload or trace of a CNI",
                words::count(linux().count(), "Linux node"),
                words::are(ready)
            )
        });
    Some(Finding::new(
        &BYOCNI_UNKNOWN,
        vec![],
        format!("whether the platform runs a CNI of its own cannot be told: {seen}"),
        format!(
            "if you know that it runs none: kubectl byocni install {} --assume-byocni --dry-run",
            look.id()
        ),
    ))
}

/// Another CNI that is live, or that left its configuration.
fn foreign_cni(look: &Look<'_>) -> Option<Finding> {
    let detection = &look.facts.detection;
    let other = |d: &&Detected<'_>| {
        // Inside the distribution's own process nothing can be replaced, not even by itself.
        look.cni.is_none_or(|c| c.id != d.cni.id) && !rendered(look, d.workload) || d.workload.is_none()
    };
    let live: Vec<&Detected<'_>> = detection
        .main
        .iter()
        .chain(&detection.rivals)
        .filter(other)
        .collect();
    let unknown: Vec<_> = detection
        .unknown
        .iter()
        .filter(|(workload, _)| !rendered(look, Some(workload)))
        .collect();
    let left: Vec<_> = detection
        .leftovers
        .iter()
        .filter(|(cni, _)| look.cni.is_none_or(|c| c.id != cni.id))
        .collect();
    let subjects = live
        .iter()
        .filter_map(|d| d.workload)
        .chain(unknown.iter().map(|(w, _)| *w))
        .map(subject)
        .collect();
    let mut seen: Vec<String> = live
        .iter()
        .map(|d| format!("{} is here ({})", d.cni.name, d.evidence))
        .collect();
    seen.extend(
        unknown
            .iter()
            .map(|(_, evidence)| format!("a CNI that is not known by name is here ({evidence})")),
    );
    seen.extend(
        left.iter()
            .map(|(cni, traces)| format!("{} was here and left {}", cni.name, traces.join("; "))),
    );
    (!seen.is_empty()).then(|| {
        Finding::new(
            &FOREIGN_CNI,
            subjects,
            format!(
                "{}; {} on top of it would leave nodes on either",
                seen.join("; "),
                look.name()
            ),
            "kubectl byocni explain foreign-cni",
        )
    })
}

/// Whether the chart renders this very workload: it is then no stranger.
fn rendered(look: &Look<'_>, workload: Option<&Workload>) -> bool {
    let Some(workload) = workload else { return false };
    look.rendered.iter().flatten().any(|o| {
        o.kind == "DaemonSet"
            && workload.meta.name == o.name.as_str()
            && workload.meta.namespace == look.namespace_of(o)
    })
}

/// The same CNI, or the same release, is there.
fn there_already(look: &Look<'_>, found: &mut Found) {
    if let Some(installed) = &look.surroundings.installed {
        release_there(look, installed, found);
        return;
    }
    let facts = look.facts;
    let (name, namespace) = (&look.draft.release, &look.draft.namespace);
    let of_file = facts
        .release
        .as_ref()
        .filter(|r| r.release.name == *name && r.release.namespace == *namespace);
    // The objects say whose they are, and there is no record of it: nothing is in the way.
    let lost = |r: &&ReleaseFacts| {
        let listed = facts.capture.state(Source::Releases).missing(Source::Releases);
        r.revisions.is_empty() && listed.is_none()
    };
    // Without a cluster to ask, a capture has the release's name, state and version, and no values.
    if let Some(known) = of_file.filter(|r| !lost(r)) {
        let version = known.release.version.as_deref().unwrap_or("unknown version");
        let status = known.release.status.as_deref().unwrap_or("unknown state");
        found.findings.push(in_the_way(
            look,
            known.release.revision.unwrap_or_default(),
            status,
            format!("{status}, chart version {version}; its values are not in the capture"),
        ));
        return;
    }
    let same = facts.detection.main.as_ref().filter(|m| {
        m.workload.is_some() && (look.cni.is_some_and(|c| c.id == m.cni.id) || rendered(look, m.workload))
    });
    let unknown = facts.detection.unknown.iter().map(|(w, _)| *w);
    let workload = same
        .and_then(|m| m.workload)
        .or_else(|| unknown.into_iter().find(|w| rendered(look, Some(w))));
    let Some(workload) = workload else { return };
    let owner = match &facts.release {
        Some(other) if lost(&other) => format!(
            "helm has no record any more of the release {}/{} that it names",
            other.release.namespace, other.release.name
        ),
        Some(other) => format!(
            "it belongs to release {}/{}",
            other.release.namespace, other.release.name
        ),
        None => "no release owns it".into(),
    };
    let version = facts
        .detection
        .version()
        .map(|v| format!(" {v}"))
        .unwrap_or_default();
    let here = format!(
        "{}{version} is here already (DaemonSet {}/{}) and {owner}",
        look.name(),
        workload.meta.namespace,
        workload.meta.name
    );
    if look.request.take_ownership {
        found.adopts = true;
        found.findings.push(Finding::new(
            &OWNERSHIP_TAKEN,
            vec![subject(workload)],
            format!("{here}; its objects become part of {namespace}/{name}, as --take-ownership asks"),
            "",
        ));
        return;
    }
    let fix = match facts.release.as_ref().filter(|r| !lost(r)) {
        Some(other) => format!("kubectl byocni upgrade -n {} --dry-run", other.release.namespace),
        None => format!("kubectl byocni install {} --take-ownership --dry-run", look.id()),
    };
    found.findings.push(Finding::new(
        &OWNERSHIP_CONFLICT,
        vec![subject(workload)],
        format!("{here}; helm refuses objects that are not its own"),
        fix,
    ));
}

/// A release of the planned name: nothing to do, or in the way.
fn release_there(look: &Look<'_>, installed: &Installed, found: &mut Found) {
    let (name, namespace) = (&look.draft.release, &look.draft.namespace);
    let plain = |version: &str| version.trim_start_matches('v').to_string();
    let same_chart = installed.chart == look.chart.name;
    let same_version = plain(&installed.version) == plain(&look.chart.version);
    let mut differing = differing(&installed.values, &look.draft.values);
    // What was derived from the cluster at the time stays good as the cluster grows: more nodes want more replicas of an
    // operator, and no second installation.
    differing.retain(|key| {
        !(derived(look, key) && tree::at(&installed.values, key).is_some_and(|v| !v.is_null()))
    });
    if installed.status == "deployed" && same_chart && same_version && differing.is_empty() {
        found.nothing_to_do = true;
        found.findings.push(Finding::new(
            &ALREADY_INSTALLED,
            vec![],
            format!(
                "release {namespace}/{name} revision {} is chart {} {} with these values",
                installed.revision, look.chart.name, installed.version
            ),
            "",
        ));
        return;
    }
    let what = if installed.status != "deployed" {
        format!(
            "{}, chart {} {}",
            installed.status, installed.chart, installed.version
        )
    } else if !same_chart {
        format!("of another chart, {} {}", installed.chart, installed.version)
    } else if !same_version {
        format!("deployed with version {}", installed.version)
    } else {
        // Names of keys only: values of the user's may be secrets.
        format!(
            "deployed with this version and other values ({})",
            words::names(&differing)
        )
    };
    found
        .findings
        .push(in_the_way(look, installed.revision, &installed.status, what));
}

fn in_the_way(look: &Look<'_>, revision: i64, status: &str, what: String) -> Finding {
    let (name, namespace) = (&look.draft.release, &look.draft.namespace);
    let fix = match status {
        "deployed" | "unknown state" => {
            let flag = look.request.namespace.as_ref().map(|n| format!(" -n {n}"));
            format!("kubectl byocni upgrade{} --dry-run", flag.unwrap_or_default())
        }
        "uninstalled" | "uninstalling" => format!("helm uninstall {name} -n {namespace}"),
        // The first revision has nothing to go back to.
        _ if revision <= 1 => format!(
            "kubectl byocni resume, or without a journal of ours: helm uninstall {name} -n {namespace}"
        ),
        _ => "kubectl byocni rollback".into(),
    };
    Finding::new(
        &RELEASE_IN_THE_WAY,
        vec![Subject::namespaced(
            "Secret",
            namespace,
            &format!("sh.helm.release.v1.{name}.v{revision}"),
        )],
        format!("release {namespace}/{name} is there already, revision {revision}: {what}"),
        fix,
    )
}

/// Whether a key is one that the cluster decides, not the user.
fn derived(look: &Look<'_>, key: &str) -> bool {
    let of_cluster = |reason: &&PlannedValue| reason.origin == Origin::Cluster;
    let mut reasons = look.draft.reasons.iter().filter(of_cluster);
    reasons.any(|reason| key == reason.key || key.starts_with(&format!("{}.", reason.key)))
}

/// The keys whose values differ, as `--set` writes them. What is null or empty counts as not given.
pub fn differing(installed: &Value, planned: &Value) -> Vec<String> {
    let mut keys = vec![];
    compare("", installed, planned, &mut keys);
    keys
}

fn compare(path: &str, a: &Value, b: &Value, keys: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or_default();
                compare(&path, &of(left), &of(right), keys);
            }
        }
        _ if same(a, b) => {}
        // What one side leaves out is compared key by key, so that the key that counts is named.
        (Value::Object(_), Value::Null) => compare(path, a, &Value::Object(Default::default()), keys),
        (Value::Null, Value::Object(_)) => compare(path, &Value::Object(Default::default()), b, keys),
        _ => keys.push(path.to_string()),
    }
}

/// Equal, where `1` and `1.0` are: one side has been through Go's JSON.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_key_by_key() {
        let a = json!({"ipam": {"mode": "cluster-pool", "pools": ["10.4.0.0/16"]}, "replicas": 2});
        assert!(differing(&a, &a).is_empty());
        let b = json!({"ipam": {"mode": "cluster-pool", "pools": ["10.5.0.0/16"]}, "replicas": 2.0, "x": null, "y": {}});
        assert_eq!(differing(&a, &b), ["ipam.pools"]);
        assert_eq!(differing(&Value::Null, &json!({"a": {"b": 1}})), ["a.b"]);
    }
}
