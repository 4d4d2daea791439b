use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::core::{
    codes::{change::HELM_MISSING, nodes::NO_NODES},
    plan::tests::{Case, chart},
};

#[test]
fn an_ordinary_cluster_is_planned() {
    let plan = Case::on("fresh-aks").plan();
    assert!(!plan.blocked() && !plan.nothing_to_do, "{:?}", plan.findings);
    assert_eq!(title(&plan), "Install Cilium 1.19.6");
    let steps: Vec<&str> = plan.steps.iter().map(|s| s.name).collect();
    assert_eq!(steps, ["lock", "helm-install", "gate", "record"]);
    // The hook of a deletion is not created; everything else is, in order.
    let creates = plan.creates.expect("rendered");
    assert_eq!(creates.len(), 6);
    assert!(creates.is_sorted());
    assert!(!creates.iter().any(|s| s.kind == "Job"));
    let keys: Vec<&String> = plan.values.iter().map(|v| &v.key).collect();
    assert!(keys.is_sorted());
    // What an install cures does not forbid it, and is told as what was there before.
    let before: Vec<&str> = plan.findings[plan.findings.len() - plan.before..]
        .iter()
        .map(|f| f.code.slug)
        .collect();
    assert!(before.contains(&"cni-missing"), "{before:?}");
}

/// Acceptance scenario 52.
#[test]
fn scenario_52_the_same_inputs_give_the_same_plan() {
    let case = || Case::on("fresh-aks").with(|c| c.surroundings.denied = vec!["get pods".into()]);
    assert_eq!(format!("{:?}", case().plan()), format!("{:?}", case().plan()));
}

#[test]
fn charts_of_definitions_come_first() {
    let plan = Case::on("fresh-aks")
        .with(|c| c.crd_charts = vec![chart("crd.projectcalico.org.v1", "v3.32.1")])
        .plan();
    let steps: Vec<&str> = plan.steps.iter().map(|s| s.name).collect();
    assert_eq!(steps, ["lock", "apply-crds", "helm-install", "gate", "record"]);
    assert!(plan.findings.iter().any(|f| f.code.slug == "crds-first"));
    assert!(!plan.blocked());
}

#[test]
fn what_blocks_stands_first_and_is_named_once() {
    let plan = Case::on("fresh-aks")
        .merge(
            "Node",
            "",
            &json!({"status": {"nodeInfo": {"operatingSystem": "windows"}}}),
        )
        .with(|c| {
            c.surroundings.denied = vec!["create pods in kube-system".into()];
            c.surroundings.findings = vec![
                Finding::new(&HELM_MISSING, vec![], "no helm".into(), ""),
                Finding::new(&HELM_MISSING, vec![], "no helm".into(), ""),
            ];
        })
        .plan();
    assert!(plan.blocked());
    let slugs: Vec<&str> = plan.findings.iter().map(|f| f.code.slug).collect();
    assert_eq!(
        slugs.iter().filter(|s| **s == "helm-missing").count(),
        1,
        "{slugs:?}"
    );
    assert_eq!(slugs[..plan.blocked_by.len()], plan.blocked_by[..]);
    assert!(plan.blocked_by.contains(&NO_NODES.slug), "{slugs:?}");
}

#[test]
fn without_nodes_daemon_sets_or_services_nothing_is_planned() {
    assert!(Case::on("fresh-aks").plan().incomplete.is_empty());
    for (kind, missing) in [
        ("Node", "nodes"),
        ("DaemonSet", "daemonsets.apps"),
        ("Service", "services"),
    ] {
        let plan = Case::on("fresh-aks").without(kind, "").plan();
        assert_eq!(plan.incomplete, [format!("{missing} (not in the file)")]);
    }
}

#[test]
fn what_could_not_be_rendered_is_skipped_and_not_empty() {
    let plan = Case::on("fresh-aks").with(|c| c.rendered = None).plan();
    assert!(plan.creates.is_none());
    assert!(
        plan.skipped
            .iter()
            .any(|(_, missing)| missing == "the rendered chart")
    );
}

#[test]
fn the_gates_limit_is_reckoned_from_the_agents_own_budget() {
    let gate = Case::on("fresh-aks").plan().gate;
    // 10 min of the startup probe, 3 min of images, a second for three nodes, rounded up.
    assert_eq!(gate.timeout, Duration::from_secs(14 * 60), "{}", gate.reason);
    assert_eq!(
        gate.reason,
        "3 nodes, 10 min for an agent to start, 3 min for images"
    );
    assert_eq!(gate.settle, Duration::from_secs(30));
    let probeless = Case::on("fresh-aks").with(|c| {
        for object in c.rendered.iter_mut().flatten().filter(|o| o.kind == "DaemonSet") {
            object.value["spec"]["template"]["spec"]["containers"][0]["startupProbe"] =
                serde_json::Value::Null;
        }
    });
    assert_eq!(probeless.plan().gate.timeout, Duration::from_secs(9 * 60));
    let operator = Case::on("fresh-aks").with(|c| {
        c.rendered
            .iter_mut()
            .for_each(|all| all.retain(|o| o.kind != "DaemonSet"));
    });
    assert_eq!(operator.plan().gate.timeout, Duration::from_secs(12 * 60));
    let asked = Case::on("fresh-aks").with(|c| c.request.timeout = Some(Duration::from_secs(90)));
    assert_eq!(asked.plan().gate.timeout, Duration::from_secs(90));
}

#[test]
fn spans_in_words() {
    for (seconds, text) in [
        (0, "0 s"),
        (30, "30 s"),
        (60, "1 min"),
        (90, "90 s"),
        (599, "599 s"),
        (601, "11 min"),
        (840, "14 min"),
        (7_139, "119 min"),
        (7_200, "2 h"),
        (17_400, "4 h 50 min"),
    ] {
        assert_eq!(span(Duration::from_secs(seconds)), text);
    }
}

proptest! {
    /// Never below what an agent may take and what images take, never wrapped around, and more for more nodes.
    #[test]
    fn the_gates_limit_grows_and_never_wraps(nodes in any::<usize>(), budget in any::<u64>(), operator: bool) {
        let plan = |nodes| gate_plan(nodes, Duration::from_secs(budget), operator, None).timeout.as_secs();
        let own = plan(nodes);
        prop_assert!(own >= budget.min(LONGEST_BUDGET) + PULL);
        prop_assert!(own.is_multiple_of(60));
        prop_assert!(plan(nodes.saturating_add(600)) >= own);
    }
}
