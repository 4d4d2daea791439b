//! The rules that a cluster must pass before a change begins. Each rule gives findings; which of them block is said by
//! their codes. What could not be looked at is told as skipped, never passed.

mod operator;
mod ownership;
mod webhooks;

#[cfg(test)]
mod tests;

pub use ownership::differing;

use super::{ChartUsed, Draft, Inputs, Request, Surroundings, rights::is_installed};
use crate::core::{
    capture::{Source, Workload},
    chart::Chart,
    cni::{self, Cni},
    codes::{
        change::RIGHTS_MISSING,
        preflight::{CRDS_FIRST, NAMESPACE_TERMINATING},
    },
    facts::Facts,
    finding::{Finding, Subject},
    manifest::Object,
    words,
};

/// What rules are skipped for want of, where nothing was rendered.
pub const RENDERED: &str = "the rendered chart";

/// What the rules look at.
pub(super) struct Look<'a> {
    /// The cluster.
    pub facts: &'a Facts<'a>,
    /// What was asked for.
    pub request: &'a Request,
    /// The chart.
    pub chart: &'a Chart,
    /// Charts of CustomResourceDefinitions.
    pub crd_charts: &'a [Chart],
    /// The values.
    pub draft: &'a Draft,
    /// What an install brings into the cluster; hooks of other changes are left out.
    pub rendered: Option<Vec<&'a Object>>,
    /// The workloads among it, in the shape of a capture.
    pub workloads: Vec<(&'a Object, Workload)>,
    /// What only a live cluster or this machine can tell.
    pub surroundings: &'a Surroundings,
    /// The CNI that would be installed, where it is one that is known by name.
    pub cni: Option<&'static Cni>,
}

/// What preflight found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Findings, in no order.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and for want of what.
    pub skipped: Vec<(String, String)>,
    /// Rights or sources without which nothing may be planned.
    pub incomplete: Vec<String>,
    /// The same version with the same values is there.
    pub nothing_to_do: bool,
    /// Objects that are there already become part of the release.
    pub adopts: bool,
}

impl Found {
    /// Notes a rule that could not be applied.
    fn skip(&mut self, rule: &str, missing: impl Into<String>) {
        let skipped = (rule.to_string(), missing.into());
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }
}

impl<'a> Look<'a> {
    /// What the rules look at of a plan's inputs.
    pub fn of(inputs: &'a Inputs<'a>) -> Self {
        let rendered: Option<Vec<&Object>> = inputs
            .rendered
            .map(|all| all.iter().filter(|o| is_installed(o)).collect());
        let workloads: Vec<(&Object, Workload)> = rendered
            .iter()
            .flatten()
            .filter(|o| o.group() == "apps" && matches!(o.kind.as_str(), "DaemonSet" | "Deployment"))
            .filter_map(|o| Some((*o, serde_json::from_value(o.value.clone()).ok()?)))
            .collect();
        // A chart or manifest of the user's may well be one of a CNI that is known.
        let by_workload = || {
            let sets = workloads.iter().filter(|(o, _)| o.kind == "DaemonSet");
            sets.into_iter()
                .find_map(|(_, w)| cni::ALL.iter().find(|c| c.evidence(w).is_some()).copied())
        };
        let by_chart = || {
            cni::ALL
                .iter()
                .find(|c| c.chart == Some(&inputs.chart.name))
                .copied()
        };
        Look {
            facts: inputs.facts,
            request: inputs.request,
            chart: inputs.chart,
            crd_charts: inputs.crd_charts,
            draft: &inputs.draft,
            cni: inputs.request.cni.or_else(by_workload).or_else(by_chart),
            rendered,
            workloads,
            surroundings: &inputs.surroundings,
        }
    }

    /// The CNI's name in a sentence: the product's, else the chart's.
    pub fn name(&self) -> &'a str {
        match self.cni {
            Some(cni) => cni.name,
            None => &self.chart.name,
        }
    }

    /// What a command calls the CNI.
    pub fn id(&self) -> &'a str {
        match self.request.cni {
            Some(cni) => cni.id,
            None => &self.chart.name,
        }
    }

    /// The namespace of a rendered object that lives in one.
    pub fn namespace_of(&self, object: &'a Object) -> &'a str {
        object.namespace.as_deref().unwrap_or(&self.draft.namespace)
    }
}

/// Applies every rule.
pub(super) fn found(look: &Look<'_>) -> Found {
    let mut found = Found {
        incomplete: incomplete(look.facts),
        ..Found::default()
    };
    let managed = ownership::check(look, &mut found);
    found
        .findings
        .extend(namespace_terminating(look, &mut found.skipped));
    found.findings.extend(rights_missing(look));
    found.findings.extend(crds_first(look));
    // Nothing of the chart reaches a cluster whose CNI is the platform's: what would stop it there is of no interest.
    if !managed {
        operator::check(look, &mut found);
        webhooks::check(look, &mut found);
    }
    found
}

/// Applies the rules of an upgrade or a rollback: the release is there and is ours, so nothing is asked of what may be in
/// its place.
pub(super) fn found_for_change(look: &Look<'_>) -> Found {
    let mut found = Found {
        incomplete: incomplete(look.facts),
        ..Found::default()
    };
    let managed = ownership::check_owner(look, &mut found);
    found
        .findings
        .extend(namespace_terminating(look, &mut found.skipped));
    found.findings.extend(rights_missing(look));
    found.findings.extend(crds_first(look));
    if !managed {
        operator::check(look, &mut found);
        webhooks::check(look, &mut found);
    }
    found
}

/// The sources without which a plan says nothing: every rule, the pool and the gate's limit rest on them.
fn incomplete(facts: &Facts<'_>) -> Vec<String> {
    let needed = [Source::Nodes, Source::DaemonSets, Source::Services];
    needed
        .iter()
        .filter_map(|source| facts.capture.state(*source).missing(*source))
        .collect()
}

/// Nothing can be made in a namespace that is being deleted.
fn namespace_terminating(look: &Look<'_>, skipped: &mut Vec<(String, String)>) -> Vec<Finding> {
    let capture = look.facts.capture;
    if let Some(missing) = capture.state(Source::Namespaces).missing(Source::Namespaces) {
        skipped.push(("whether the namespace is being deleted".into(), missing));
        return vec![];
    }
    let written_to =
        |name: &str| {
            name == look.draft.namespace
                || look.cni.is_some_and(|cni| cni.made_in.contains(&name))
                || look.rendered.iter().flatten().any(|o| {
                    o.namespace.as_deref() == Some(name) || (o.kind == "Namespace" && o.name == name)
                })
        };
    let ending: Vec<_> = capture
        .namespaces
        .iter()
        .filter(|n| n.terminating() && written_to(&n.meta.name))
        .collect();
    ending
        .iter()
        .map(|namespace| {
            let name = namespace.meta.name.as_str();
            let since = namespace
                .meta
                .deletion_timestamp
                .map(|t| format!(" for {}", words::span(look.facts.taken_at().duration_since(t))));
            Finding::new(
                &NAMESPACE_TERMINATING,
                vec![Subject::new("Namespace", name)],
                format!(
                    "namespace {name} is being deleted{}: nothing can be made in it",
                    since.unwrap_or_default()
                ),
                format!("kubectl get namespace {name} -o yaml"),
            )
        })
        .collect()
}

/// All at once: who is told of one right after the other asks an administrator ten times.
fn rights_missing(look: &Look<'_>) -> Option<Finding> {
    let denied = &look.surroundings.denied;
    (!denied.is_empty()).then(|| {
        Finding::new(
            &RIGHTS_MISSING,
            vec![],
            format!(
                "the server denies {}: {}",
                words::count(denied.len(), "right"),
                denied.join("; ")
            ),
            "kubectl auth can-i --list",
        )
    })
}

fn crds_first(look: &Look<'_>) -> Option<Finding> {
    let charts: Vec<ChartUsed> = look.crd_charts.iter().map(ChartUsed::of).collect();
    let first = charts.first()?;
    Some(Finding::new(
        &CRDS_FIRST,
        vec![],
        format!(
            "the CustomResourceDefinitions of {} {} are applied first, server-side; they belong to no release, and stay after an uninstall",
            first.name, first.version
        ),
        "",
    ))
}
