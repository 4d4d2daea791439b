//! Is a change of the CNI under way, or was one left unfinished?

use jiff::SignedDuration;

use super::Check;
use crate::core::{
    capture::{Source, file::JOURNAL},
    change::where_it_stands,
    code::Code,
    codes::{change::CHANGE_INTERRUPTED, preflight::CHANGE_UNDER_WAY, reading::UNPARSABLE_VALUE},
    facts::Facts,
    finding::{Finding, Subject},
    journal::{Operation, Phase},
};

pub(super) const ALL: &[Check] = &[Check {
    title: "changes under way",
    needs: &[Source::ConfigMaps],
    needs_cni_objects: false,
    needed: false,
    run: unfinished,
}];

/// A holder that was heard of this recently is alive: he renews every five seconds. Clocks of two machines are compared
/// here, so the span is wide; nothing but words depends on it.
const ALIVE: SignedDuration = SignedDuration::from_secs(60);

/// Who changes the CNI right now; nothing where nobody does, or that could not be read.
pub(super) fn holder<'f>(facts: &'f Facts<'_>) -> Option<&'f str> {
    let lease = facts.capture.leases.first()?;
    let renewed = lease.spec.renew_time?;
    let age = facts.taken_at().duration_since(renewed).abs();
    let holder = lease.spec.holder_identity.as_str();
    (age <= ALIVE && !holder.is_empty()).then_some(holder)
}

/// What a rollout that was begun and not finished is told as: old and new agents side by side are its consequence, and
/// `kubectl rollout` would move nothing, for the DaemonSets wait for us.
pub(super) fn rolling(facts: &Facts<'_>) -> Option<&'static Code> {
    let map = facts.capture.config_map("kube-system", JOURNAL)?;
    let operation: Operation = serde_json::from_str(map.get("operation")?).ok()?;
    let begun = operation.phase >= Phase::Helm && operation.phase < Phase::Done;
    (operation.replaces.is_some() && begun).then(|| match holder(facts) {
        Some(_) => &CHANGE_UNDER_WAY,
        None => &CHANGE_INTERRUPTED,
    })
}

fn unfinished(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(text) = facts
        .capture
        .config_map("kube-system", JOURNAL)
        .and_then(|map| map.get("operation"))
    else {
        return vec![];
    };
    let subject = || vec![Subject::namespaced("ConfigMap", "kube-system", JOURNAL)];
    let operation: Operation = match serde_json::from_str(text) {
        Ok(operation) => operation,
        Err(error) => {
            return vec![Finding::new(
                &UNPARSABLE_VALUE,
                subject(),
                format!("the journal of changes cannot be understood: {error}"),
                "kubectl get configmap kubectl-byocni -n kube-system -o yaml",
            )];
        }
    };
    let stands = where_it_stands(&operation);
    if let Some(holder) = holder(facts) {
        return vec![Finding::new(
            &CHANGE_UNDER_WAY,
            subject(),
            format!("a change is under way, by {holder}: {stands}"),
            "wait until it has ended",
        )];
    }
    let whether = if facts.capture.leases.is_empty() {
        "a change is under way or was interrupted (its lock could not be read)"
    } else {
        "an earlier change was not finished"
    };
    vec![Finding::new(
        &CHANGE_INTERRUPTED,
        subject(),
        format!("{whether}: {stands}"),
        "kubectl byocni resume finishes it, kubectl byocni abort takes it back",
    )]
}
