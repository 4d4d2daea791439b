//! Which nodes a DaemonSet means to run on, by the scheduler's own rules.

use serde_json::Value;

use crate::core::capture::{
    Node, Workload,
    object::Taint,
    workload::{PodTemplateSpec, Toleration},
};

/// Why a DaemonSet leaves a node out by its own wish: a selector or an affinity that the node does not match.
pub fn excluded(workload: &Workload, node: &Node) -> Option<String> {
    let spec: &PodTemplateSpec = &workload.spec.template.spec;
    for (key, value) in &spec.node_selector {
        if node.meta.labels.get(key) != Some(value) {
            return Some(format!("its nodeSelector wants {key}={value}"));
        }
    }
    let terms = spec
        .affinity
        .pointer("/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms")
        .and_then(Value::as_array)?;
    let matched = terms.is_empty() || terms.iter().any(|term| matches_term(term, node));
    (!matched).then(|| "its nodeAffinity does not match the node".to_string())
}

/// The first taint of a node that a DaemonSet's pods do not bear. The DaemonSet controller adds tolerations of its
/// own for the conditions that Kubernetes taints by
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations>).
pub fn repelled<'a>(workload: &Workload, node: &'a Node) -> Option<&'a Taint> {
    let own = &workload.spec.template.spec.tolerations;
    node.spec.taints.iter().find(|taint| {
        let hard = taint.effect != "PreferNoSchedule";
        let by_condition = taint.key.starts_with("node.kubernetes.io/")
            && !matches!(taint.key.as_str(), "node.kubernetes.io/out-of-service");
        hard && !by_condition && !own.iter().any(|toleration| bears(toleration, taint))
    })
}

/// Whether a toleration bears a taint.
pub fn bears(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let exists = toleration.operator == "Exists";
    let key = toleration.key == taint.key || (toleration.key.is_empty() && exists);
    effect && key && (exists || toleration.value == taint.value)
}

fn matches_term(term: &Value, node: &Node) -> bool {
    let list = |name: &str| {
        term.get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (labels, fields) = (list("matchExpressions"), list("matchFields"));
    if labels.is_empty() && fields.is_empty() {
        return false;
    }
    labels
        .iter()
        .all(|e| matches_expression(e, |key| node.meta.label(key)))
        && fields.iter().all(|e| {
            matches_expression(e, |key| {
                (key == "metadata.name").then_some(node.meta.name.as_str())
            })
        })
}

fn matches_expression<'a>(expression: &Value, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
    let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
    let wanted: Vec<&str> = expression
        .get("values")
        .and_then(Value::as_array)
        .map(|v| v.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let actual = value_of(key);
    let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
    match expression.get("operator").and_then(Value::as_str) {
        Some("In") => actual.is_some_and(|a| wanted.contains(&a)),
        Some("NotIn") => actual.is_none_or(|a| !wanted.contains(&a)),
        Some("Exists") => actual.is_some(),
        Some("DoesNotExist") => actual.is_none(),
        Some("Gt") => number(actual) > number(wanted.first().copied()) && number(actual).is_some(),
        Some("Lt") => number(actual) < number(wanted.first().copied()) && number(actual).is_some(),
        _ => false,
    }
}
