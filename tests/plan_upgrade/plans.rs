//! The plan of one hop.

use std::time::Duration;

use kubectl_byocni::core::{
    code::Change,
    plan::{
        Plan,
        assemble::{gate_plan, title},
        upgrade::rolling_gate_plan,
    },
};
use serde_json::{Value, json};

use crate::{Case, recorded, small};

fn cilium() -> Case {
    Case::cilium("1.18.12", "1.19.6")
}

fn steps(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|s| s.name).collect()
}

fn slugs(plan: &Plan) -> Vec<&'static str> {
    plan.findings[..plan.findings.len() - plan.before]
        .iter()
        .map(|f| f.code.slug)
        .collect()
}

#[test]
fn a_hop_is_planned() {
    let plan = cilium().plan();
    assert!(!plan.blocked() && !plan.nothing_to_do, "{:?}", plan.findings);
    assert_eq!(title(&plan), "Upgrade Cilium 1.18.12 to 1.19.6");
    assert_eq!(
        steps(&plan),
        [
            "lock",
            "helm-upgrade",
            "operator",
            "canary",
            "waves",
            "gate",
            "strategy",
            "record"
        ]
    );
    assert_eq!(
        (plan.from_revision, plan.to_revision, plan.hop),
        (Some(3), None, None)
    );
    assert_eq!(plan.from.as_ref().map(|c| c.version.as_str()), Some("1.18.12"));
    // What is there already is not created.
    assert_eq!(plan.creates, Some(vec![]));
    let schedule = plan.rollout.expect("a rollout");
    assert_eq!((schedule.canaries.len(), schedule.nodes), (2, 3));
    let mut more = cilium();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new", "namespace": "kube-system"}});
    more.rendered.iter_mut().for_each(|all| {
        all.extend(kubectl_byocni::core::manifest::objects(vec![service.clone()]));
    });
    let creates = more.plan().creates.expect("rendered");
    assert_eq!(
        creates.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["service/new"]
    );
}

#[test]
fn controllers_that_roll_by_themselves_have_a_gate_alone() {
    let mut older = small::flannel();
    older.version = "v0.28.3".into();
    older.app_version = "v0.28.3".into();
    let plan = Case::flannel_of(older, small::flannel()).plan();
    assert_eq!(steps(&plan), ["lock", "helm-upgrade", "gate", "record"]);
    assert_eq!(title(&plan), "Upgrade Flannel 0.28.3 to 0.28.4");
    assert!(
        plan.gate.reason.contains("3 rounds of 1 min for 1 node at once"),
        "{}",
        plan.gate.reason
    );
}

#[test]
fn the_limit_grows_with_the_rounds_and_never_wraps() {
    let gate = |nodes| gate_plan(nodes, Duration::from_secs(300), false, None);
    let limit = |nodes, at_once| rolling_gate_plan(nodes, at_once, gate(nodes), None).timeout;
    // 5 min of an agent, 3 of images, a second for every ten nodes, rounded up; a minute a node.
    assert_eq!(limit(3, 1), Duration::from_secs((9 + 3) * 60));
    assert_eq!(limit(100, 10), Duration::from_secs((9 + 10) * 60));
    assert!(limit(500, 1) > limit(500, 2));
    assert!(limit(usize::MAX, 0) >= limit(500, 1));
    let asked = Some(Duration::from_secs(90));
    let own = gate_plan(500, Duration::from_secs(300), false, asked);
    assert_eq!(
        rolling_gate_plan(500, 1, own, asked).timeout,
        Duration::from_secs(90)
    );
}

/// Acceptance scenario 52: the same inputs give the same plan, and the same version with the same values is nothing
/// to do.
#[test]
fn scenario_52_the_same_twice_is_the_same_plan_and_the_same_version_is_nothing_to_do() {
    let case = || {
        cilium()
            .set("hubble.relay.enabled=true")
            .proxy(&["--proxy-mode=ipvs"])
    };
    assert_eq!(format!("{:?}", case().plan()), format!("{:?}", case().plan()));
    let same = Case::cilium("1.19.6", "1.19.6").newest(3, "deployed");
    let plan = same.plan();
    assert!(plan.nothing_to_do && plan.steps.is_empty() && plan.rollout.is_none());
    assert!(!plan.blocked());
    assert_eq!(slugs(&plan), ["already-installed"]);
    // With other values there is something to do.
    let other = same.clone().set("operator.replicas=1").plan();
    assert!(!other.nothing_to_do);
    assert_eq!(title(&other), "Upgrade Cilium 1.19.6 to other values");
    // And what failed, or was written over since, is not what is deployed.
    let mut failed = same.clone();
    failed.from.status = "failed".into();
    assert!(!failed.plan().nothing_to_do);
    assert!(!same.newest(4, "failed").plan().nothing_to_do);
}

/// Acceptance scenario 18: from 1.18 on the operator no longer tolerates every taint.
#[test]
fn scenario_18_an_operator_without_a_node_blocks_the_upgrade() {
    let taint =
        json!({"spec": {"taints": [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}]}});
    let case = Case::cilium("1.17.18", "1.18.12").every("Node", "", taint);
    let plan = case.plan();
    assert_eq!(plan.blocked_by, ["operator-unschedulable"], "{:?}", plan.findings);
    // As its own values may say.
    let mut tolerant = case;
    for object in tolerant
        .rendered
        .iter_mut()
        .flatten()
        .filter(|o| o.kind == "Deployment")
    {
        object.value["spec"]["template"]["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    }
    assert!(!tolerant.plan().blocked());
}

/// Acceptance scenario 50: what a reconciler owns is not changed under it, whatever the change.
#[test]
fn scenario_50_a_release_that_a_reconciler_owns_is_refused() {
    for patch in [
        json!({"metadata": {"labels": {"helm.toolkit.fluxcd.io/name": "cilium"}}}),
        json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "net:apps/DaemonSet:kube-system/cilium"}}}),
    ] {
        let case = cilium().every("DaemonSet", "cilium", patch);
        assert_eq!(case.plan().blocked_by, ["foreign-reconciler"]);
        assert_eq!(back(case).plan().blocked_by, ["foreign-reconciler"]);
    }
}

/// The same as a rollback to the version before.
fn back(mut case: Case) -> Case {
    let chart = small::cilium("1.17.18");
    case.back_to = Some(recorded(2, chart, case.from.values.clone()));
    case.change = Change::Rollback;
    case
}

/// Acceptance scenario 22, in an upgrade.
#[test]
fn scenario_22_a_webhook_without_endpoints_blocks_by_name() {
    let kube_system =
        json!({"name": "kube-system", "labels": {"kubernetes.io/metadata.name": "kube-system"}});
    let guard = [
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "guard"},
            "webhooks": [{
                "name": "pods.guard.example", "failurePolicy": "Fail",
                "clientConfig": {"service": {"name": "guard", "namespace": "policy"}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "namespaceSelector": {}, "objectSelector": {},
            }],
        }),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": kube_system, "status": {"phase": "Active"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "guard", "namespace": "policy"},
            "spec": {"clusterIP": "10.0.7.7"}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "guard-1", "namespace": "policy", "labels": {"kubernetes.io/service-name": "guard"}},
            "endpoints": [{"addresses": ["10.244.1.9"], "conditions": {"ready": false}}]}),
    ];
    let mut case = cilium();
    case.objects.extend(guard);
    // Not on AKS, whose enforcer keeps webhooks out of kube-system.
    case.server = "https://10.224.0.100:6443";
    for node in case.objects.iter_mut().filter(|o| o["kind"] == "Node") {
        node["metadata"]["labels"] = json!({"kubernetes.io/os": "linux"});
        node["spec"]["providerID"] = json!("kind://docker/kind/node");
    }
    let plan = case.plan();
    assert_eq!(plan.blocked_by, ["webhook-blocks-change"], "{:?}", plan.findings);
    assert!(
        plan.findings[0].message.contains("guard"),
        "{}",
        plan.findings[0].message
    );
    // It does not stand in the way of going back.
    assert!(!back(case).plan().blocked());
}

#[test]
fn a_release_that_is_pending_is_not_upgraded_and_can_be_rolled_back() {
    let case = cilium().newest(4, "pending-upgrade");
    let plan = case.plan();
    assert_eq!(plan.blocked_by, ["release-pending"]);
    assert!(
        plan.findings[0].fix.contains("rollback"),
        "{}",
        plan.findings[0].fix
    );
    let plan = back(case).plan();
    assert!(!plan.blocked(), "{:?}", plan.blocked_by);
    assert_eq!(title(&plan), "Roll Cilium back to revision 2 (1.17.18)");
    assert_eq!(
        steps(&plan),
        [
            "lock",
            "helm-upgrade",
            "operator",
            "canary",
            "waves",
            "gate",
            "strategy",
            "record"
        ]
    );
    assert_eq!((plan.from_revision, plan.to_revision), (Some(3), Some(2)));
    assert!(
        plan.steps[1].does.contains("the values of revision 2"),
        "{}",
        plan.steps[1].does
    );
}

/// What an install refuses is no matter where the release is ours: nothing is asked of what is there.
#[test]
fn the_checks_of_an_install_are_not_those_of_an_upgrade() {
    let plan = cilium().newest(3, "deployed").plan();
    let own = slugs(&plan);
    for slug in [
        "release-in-the-way",
        "ownership-conflict",
        "byocni-unknown",
        "foreign-cni",
    ] {
        assert!(!own.contains(&slug), "{own:?}");
    }
}

#[test]
fn a_managed_cni_is_refused_and_nothing_else_is_said_of_it() {
    let mut case = cilium();
    case.objects = crate::harness::base("azure-cilium-managed");
    assert!(case.plan().blocked_by.contains(&"managed-refused"));
    assert!(back(case).plan().blocked_by.contains(&"managed-refused"));
}

/// Objects of kinds that the target no longer reads are not looked at, which is said.
#[test]
fn kinds_that_are_gone_are_told_as_not_looked_at() {
    let told = |case: &Case| {
        let plan = case.plan();
        plan.skipped
            .iter()
            .any(|(what, _)| what.contains("CiliumBGPPeeringPolicy"))
    };
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "ciliumbgppeeringpolicies.cilium.io"}});
    let mut case = cilium().carried("bgpControlPlane.enabled=true");
    tree_default(&mut case, "bgpControlPlane.enabled");
    assert!(!told(&case));
    case.objects.push(crd);
    assert!(told(&case));
    let mut without = cilium();
    without.objects.clone_from(&case.objects);
    assert!(!told(&without));
    case.chart = small::cilium("1.18.13");
    tree_default(&mut case, "bgpControlPlane.enabled");
    assert!(!told(&case));
}

fn tree_default(case: &mut Case, key: &str) {
    for chart in [&mut case.from.chart, &mut case.chart] {
        kubectl_byocni::core::plan::tree::set(&mut chart.values, key, Value::Bool(false));
    }
}
