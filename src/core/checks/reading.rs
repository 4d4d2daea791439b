//! What could not be read or understood.

use super::Check;
use crate::core::{
    capture::{Source, State},
    codes::reading::{SOURCE_FAILED, SOURCE_FORBIDDEN, UNPARSABLE_VALUE},
    facts::Facts,
    finding::Finding,
    words,
};

pub(super) const ALL: &[Check] = &[
    Check {
        title: "what was read",
        needs: &[],
        needs_cni_objects: false,
        needed: false,
        run: unread,
    },
    Check {
        title: "what was understood",
        needs: &[],
        needs_cni_objects: false,
        needed: false,
        run: unparsable,
    },
];

/// What only a change reads is no part of the state of the cluster: its rules are skipped in the plan, visibly.
fn of_status<'c>(facts: &Facts<'c>) -> impl Iterator<Item = (&'c Source, &'c State)> {
    let states = facts.capture.states.iter();
    states.filter(|(source, _)| !Source::FOR_CHANGE.contains(source))
}

fn unread(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = vec![];
    let refused = of_status(facts).filter_map(|(source, state)| match state {
        State::Forbidden { right } => Some((source, right.as_str())),
        _ => None,
    });
    // The CNIs' own kinds are many and mostly another product's: they are counted, not listed.
    let (of_cnis, others): (Vec<_>, Vec<_>) =
        refused.partition(|(source, _)| matches!(source, Source::Custom(_)));
    let mut rights: Vec<String> = others.iter().map(|(_, right)| right.to_string()).collect();
    rights.sort_unstable();
    rights.dedup();
    if let [(_, only)] = of_cnis[..] {
        rights.push(only.to_string());
    } else if !of_cnis.is_empty() {
        rights.push(format!("list {} kinds of the CNIs' own", of_cnis.len()));
    }
    if !rights.is_empty() {
        findings.push(Finding::new(
            &SOURCE_FORBIDDEN,
            vec![],
            format!(
                "the API server refused to {}: what depends on it is unknown",
                rights.join(", ")
            ),
            "kubectl byocni explain source-forbidden",
        ));
    }
    for (source, state) in of_status(facts) {
        if let State::Failed { why } = state {
            findings.push(Finding::new(
                &SOURCE_FAILED,
                vec![],
                format!("could not {} {}: {why}", source.verb(), source.resource()),
                format!("kubectl get --raw /readyz?verbose; then again (a longer --request-timeout may help), or see {} with kubectl get", source.resource()),
            ));
        }
    }
    findings
}

fn unparsable(facts: &Facts<'_>) -> Vec<Finding> {
    let notes = facts.notes.all();
    let Some((subject, place, text)) = notes.first() else {
        return vec![];
    };
    let more = if notes.len() > 1 {
        format!(", and {} more", notes.len() - 1)
    } else {
        String::new()
    };
    let mut subjects: Vec<_> = notes.iter().map(|(subject, ..)| subject.clone()).collect();
    subjects.sort();
    subjects.dedup();
    vec![Finding::new(
        &UNPARSABLE_VALUE,
        subjects,
        format!(
            "{} {}: {place} holds {text:?}, which could not be parsed{more}",
            subject.kind, subject.name
        ),
        format!(
            "kubectl get {} {}{} -o yaml",
            subject.kind.to_lowercase(),
            subject.name,
            namespace_flag(subject.namespace.as_deref())
        ),
    )]
}

/// ` -n NAMESPACE` where there is one.
pub(super) fn namespace_flag(namespace: Option<&str>) -> String {
    namespace.map(|n| format!(" -n {n}")).unwrap_or_default()
}

/// A sentence's list of nodes: `3 of 40 nodes (a, b, c)`, `both nodes`, `all 40 nodes`.
pub(super) fn of_nodes(facts: &Facts<'_>, some: &[&str]) -> String {
    match some.len() {
        n if n < 2 || n < facts.nodes.len() => {}
        2 => return "both nodes".into(),
        n => return format!("all {n} nodes"),
    }
    format!(
        "{} of {} ({})",
        some.len(),
        words::count(facts.nodes.len(), "node"),
        words::names(some)
    )
}
