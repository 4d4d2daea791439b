//! A healthy example, then one thing broken at a time.

use serde_json::{Value, json};

use crate::core::{
    capture::Source,
    cni,
    plan::{
        Installed,
        tests::{Case, chart},
    },
};

/// Slugs of the plan's own findings that block it.
fn blocked(case: &Case) -> Vec<&'static str> {
    case.plan().blocked_by
}

#[test]
fn a_virgin_cluster_is_not_refused() {
    let case = Case::on("fresh-aks");
    assert!(case.own().is_empty(), "{:?}", case.own());
    // A node that is lost, cordoned or under pressure makes no other cluster of it.
    let odd = Case::on("fresh-aks").merge(
        "Node",
        "aks-user",
        &json!({
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]},
        }),
    );
    assert!(blocked(&odd).is_empty(), "{:?}", odd.plan().findings);
}

/// Acceptance scenarios 2 and 3.
#[test]
fn scenario_02_a_managed_cni_is_refused_whatever_is_said() {
    for base in ["azure-cilium-managed", "kubenet"] {
        let case = Case::on(base).with(|c| {
            c.request.assume_byocni = true;
            c.request.take_ownership = true;
        });
        assert_eq!(blocked(&case), ["managed-refused"], "{base}");
    }
    let cns = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "azure-cns", "namespace": "kube-system"}, "status": {"desiredNumberScheduled": 3}});
    let with_cns = Case::on("fresh-aks").add(cns);
    assert_eq!(blocked(&with_cns), ["managed-refused"]);
    assert!(
        with_cns
            .says("managed-refused")
            .contains("DaemonSet kube-system/azure-cns")
    );
    let says = Case::on("azure-cilium-managed").says("managed-refused");
    assert!(
        says.contains("kubernetes.azure.com/") || says.contains("azure-cns"),
        "{says}"
    );
}

/// Acceptance scenario 4, as DESIGN.md §3 has it.
#[test]
fn scenario_04_what_cannot_be_told_wants_a_word_of_the_users() {
    let ready = json!({"spec": {"taints": []}, "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}});
    let doubtful = || Case::on("fresh-aks").merge("Node", "", &ready);
    assert_eq!(blocked(&doubtful()), ["byocni-unknown"]);
    assert!(blocked(&doubtful().with(|c| c.request.assume_byocni = true)).is_empty());
    // One that waits for its CNI and one that is ready: the ready one has a network from somewhere.
    let mixed = Case::on("fresh-aks").merge("Node", "aks-user", &ready);
    assert_eq!(blocked(&mixed), ["byocni-unknown"]);
}

#[test]
fn platforms_that_never_bring_a_cni_raise_no_doubt() {
    // A kubeadm cluster whose nodes are Ready by a file that somebody wrote by hand.
    let aks_label = json!({"metadata": {"labels": {"kubernetes.azure.com/cluster": null}}, "spec": {"providerID": "kind://docker/a/b", "taints": []},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}});
    let mut case = Case::on("fresh-aks").merge("Node", "", &aks_label);
    for object in case.objects.iter_mut().filter(|o| o["kind"] == "Node") {
        object["metadata"]["labels"] = json!({"kubernetes.io/os": "linux"});
    }
    assert!(blocked(&case).is_empty(), "{:?}", case.plan().findings);
}

#[test]
fn another_cni_is_refused() {
    for (base, name) in [
        ("flannel-healthy", "Flannel"),
        ("calico-healthy", "Calico"),
        ("unknown-cni", "not known by name"),
        ("k3s", "Flannel"),
    ] {
        let case = Case::on(base);
        assert!(
            blocked(&case).contains(&"foreign-cni"),
            "{base}: {:?}",
            case.plan().findings
        );
        assert!(case.says("foreign-cni").contains(name), "{base}");
    }
    // Inside the distribution's process it is not replaced by its own chart either.
    let own = Case::on("k3s").with(|c| c.request.cni = Some(&cni::flannel::FLANNEL));
    assert!(blocked(&own).contains(&"foreign-cni"));
}

/// Nodes Ready by what Cilium left, and no workload of it.
fn left_by_cilium() -> Case {
    Case::on("cilium-healthy")
        .without("DaemonSet", "cilium")
        .without("Deployment", "cilium")
        .without("ConfigMap", "cilium")
        .without("Pod", "cilium")
}

#[test]
fn leftovers_of_the_same_cni_are_cured_and_those_of_another_are_not() {
    let same = left_by_cilium();
    let raised = same.plan();
    assert!(raised.findings.iter().any(|f| f.code.slug == "cni-leftover"));
    assert!(!raised.blocked(), "{:?}", raised.blocked_by);
    let other = left_by_cilium().with(|c| {
        c.request.cni = Some(&cni::flannel::FLANNEL);
        c.chart = chart("flannel", "v0.28.4");
        c.rendered = Some(vec![]);
    });
    assert!(blocked(&other).contains(&"foreign-cni"), "{:?}", blocked(&other));
    assert!(other.says("foreign-cni").contains("Cilium was here"));
}

#[test]
fn a_reconciler_would_undo_it() {
    let of_flux = json!({"metadata": {"labels": {"helm.toolkit.fluxcd.io/name": "cilium"}}});
    let case = Case::on("cilium-healthy").merge("DaemonSet", "cilium", &of_flux);
    assert!(blocked(&case).contains(&"foreign-reconciler"));
    assert!(
        case.says("foreign-reconciler")
            .starts_with("Flux owns kube-system/cilium")
    );
    let without = Case::on("cilium-healthy");
    assert!(!blocked(&without).contains(&"foreign-reconciler"));
}

/// The release as Helm tells it, with the values that are planned.
fn installed(case: &Case) -> Installed {
    Installed {
        revision: 3,
        status: "deployed".into(),
        chart: "cilium".into(),
        version: "1.19.6".into(),
        values: case.draft.values.clone(),
    }
}

fn with_release(change: fn(&mut Installed)) -> Case {
    Case::on("cilium-healthy").with(|c| {
        let mut installed = installed(c);
        change(&mut installed);
        c.surroundings.installed = Some(installed);
    })
}

/// Acceptance scenario 52, its second half.
#[test]
fn scenario_52_the_same_version_with_the_same_values_is_nothing_to_do() {
    let case = with_release(|_| {});
    let plan = case.plan();
    assert!(plan.nothing_to_do && !plan.blocked() && plan.steps.is_empty());
    assert_eq!(case.own(), ["already-installed"]);
    // What would have stopped a change does not stop none.
    let denied = with_release(|_| {}).with(|c| c.surroundings.denied = vec!["create pods".into()]);
    assert!(!denied.plan().blocked() && denied.plan().nothing_to_do);
}

/// More nodes want more replicas of the operator: that is no second installation.
#[test]
fn what_the_cluster_decides_may_have_grown() {
    let case = with_release(|i| i.values["operator"] = json!({"replicas": 1}));
    assert!(case.plan().nothing_to_do, "{:?}", case.own());
    // A value of the user's own is another matter.
    let case = case.with(|c| {
        for reason in &mut c.draft.reasons {
            reason.origin = crate::core::plan::Origin::User;
        }
    });
    assert_eq!(case.plan().blocked_by, ["release-in-the-way"]);
}

#[test]
fn a_release_that_is_anything_else_is_in_the_way() {
    type Broken = (fn(&mut Installed), &'static str, &'static str);
    let broken: [Broken; 6] = [
        (
            |i| i.version = "1.18.12".into(),
            "deployed with version 1.18.12",
            "byocni upgrade",
        ),
        (
            |i| i.values = json!({"secret": "canary"}),
            "other values",
            "byocni upgrade",
        ),
        (|i| i.chart = "tetragon".into(), "another chart", "byocni upgrade"),
        (|i| i.status = "failed".into(), "failed", "byocni rollback"),
        (
            |i| i.status = "pending-upgrade".into(),
            "pending-upgrade",
            "byocni rollback",
        ),
        (
            |i| (i.status, i.revision) = ("pending-install".into(), 1),
            "pending-install",
            "helm uninstall cilium -n kube-system",
        ),
    ];
    for (change, says, fix) in broken {
        let case = with_release(change);
        let plan = case.plan();
        assert_eq!(plan.blocked_by, ["release-in-the-way"], "{says}");
        assert!(!plan.nothing_to_do);
        let finding = &plan.findings[0];
        assert!(finding.message.contains(says), "{}", finding.message);
        assert!(!finding.message.contains("canary"), "{}", finding.message);
        assert!(finding.fix.contains(fix), "{}", finding.fix);
    }
}

/// Cilium as `kubectl apply` leaves it.
fn by_hand() -> Case {
    Case::on("cilium-healthy").with(|c| {
        for object in &mut c.objects {
            object["metadata"]["annotations"] = json!({});
        }
    })
}

#[test]
fn a_cni_by_hand_is_explained_and_adopted_when_asked() {
    let case = by_hand();
    assert_eq!(blocked(&case), ["ownership-conflict"]);
    assert!(case.says("ownership-conflict").contains("no release owns it"));
    let adopted = by_hand().with(|c| c.request.take_ownership = true);
    let plan = adopted.plan();
    assert!(!plan.blocked(), "{:?}", plan.blocked_by);
    assert!(adopted.own().contains(&"ownership-taken"));
    assert!(plan.steps.iter().any(|s| s.name == "take-ownership"));
}

#[test]
fn a_cni_under_another_release_names_it() {
    let mark = json!({"metadata": {"annotations": {
        "meta.helm.sh/release-name": "net", "meta.helm.sh/release-namespace": "platform"}}});
    let case = Case::on("cilium-healthy").merge("DaemonSet", "cilium", &mark);
    assert_eq!(blocked(&case), ["ownership-conflict"]);
    assert!(case.says("ownership-conflict").contains("release platform/net"));
    // From a file: the very release, whose values a file does not have.
    let own = json!({"metadata": {"annotations": {
        "meta.helm.sh/release-name": "cilium", "meta.helm.sh/release-namespace": "kube-system"}}});
    let case = Case::on("cilium-healthy").merge("DaemonSet", "cilium", &own);
    assert_eq!(blocked(&case), ["release-in-the-way"]);
}

#[test]
fn rights_are_told_all_at_once() {
    let case = Case::on("fresh-aks").with(|c| {
        c.surroundings.denied = vec!["create pods in kube-system".into(), "list nodes".into()];
    });
    assert_eq!(blocked(&case), ["rights-missing"]);
    assert_eq!(
        case.says("rights-missing"),
        "the server denies 2 rights: create pods in kube-system; list nodes"
    );
}

fn namespace(name: &str, phase: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}, "status": {"phase": phase}})
}

#[test]
fn a_namespace_that_ends_takes_nothing_in() {
    let on = |name: &str, phase: &str| Case::on("fresh-aks").add(namespace(name, phase));
    assert!(blocked(&on("kube-system", "Active")).is_empty());
    assert_eq!(
        blocked(&on("kube-system", "Terminating")),
        ["namespace-terminating"]
    );
    assert!(blocked(&on("shop", "Terminating")).is_empty());
    // Without the right to look it is skipped, and said so.
    let plan = Case::on("fresh-aks").plan();
    assert!(
        plan.skipped
            .iter()
            .any(|(_, missing)| missing.starts_with(Source::Namespaces.resource()))
    );
}

/// All nodes with these taints beside those of a fresh node.
fn tainted(taints: Value) -> Case {
    Case::on("fresh-aks").merge("Node", "", &json!({"spec": {"taints": taints}}))
}

/// Acceptance scenario 18, for an install.
#[test]
fn scenario_18_an_operator_finds_a_node_or_the_plan_says_why_not() {
    let own = json!({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"});
    assert_eq!(blocked(&tainted(json!([own]))), ["operator-unschedulable"]);
    assert!(
        tainted(json!([own]))
            .says("operator-unschedulable")
            .contains("it does not tolerate dedicated=gpu:NoSchedule")
    );
    for passing in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/disk-pressure",
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.cilium.io/agent-not-ready",
    ] {
        let case = tainted(json!([{"key": passing, "effect": "NoExecute"}]));
        assert!(blocked(&case).is_empty(), "{passing}");
    }
    let soft = tainted(json!([{"key": "dedicated", "effect": "PreferNoSchedule"}]));
    assert!(blocked(&soft).is_empty());
    // A tainted system pool beside a user pool is an ordinary cluster.
    let pool =
        json!({"spec": {"taints": [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}]}});
    assert!(blocked(&Case::on("fresh-aks").merge("Node", "aks-system", &pool)).is_empty());
    let all = Case::on("fresh-aks").merge("Node", "", &pool);
    assert_eq!(blocked(&all), ["operator-unschedulable"]);
    // As a release with a toleration for it is rendered.
    let borne = Case::on("fresh-aks").merge("Node", "", &pool).with(|c| {
        for object in c.rendered.iter_mut().flatten().filter(|o| o.kind == "Deployment") {
            object.value["spec"]["template"]["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
        }
    });
    assert!(blocked(&borne).is_empty());
}

#[test]
fn an_operator_that_wants_a_label_that_no_node_has() {
    let case = Case::on("fresh-aks").with(|c| {
        for object in c.rendered.iter_mut().flatten().filter(|o| o.kind == "Deployment") {
            object.value["spec"]["template"]["spec"]["nodeSelector"] = json!({"role": "infra"});
        }
    });
    assert_eq!(blocked(&case), ["operator-unschedulable"]);
    assert!(
        case.says("operator-unschedulable")
            .contains("nodeSelector wants role=infra")
    );
}

/// A fail-closed webhook for pods, answered by the Service `policy/engine`.
fn webhook() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "engine"},
        "webhooks": [{
            "name": "validate.engine.example", "failurePolicy": "Fail",
            "clientConfig": {"service": {"namespace": "policy", "name": "engine"}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            "namespaceSelector": {}, "objectSelector": {},
        }],
    })
}

fn slice(address: &str, ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "engine-1", "namespace": "policy", "labels": {"kubernetes.io/service-name": "engine"}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
    })
}

/// A cluster on kind with the webhook, changed, and the Service behind it.
fn guarded(base: &str, hook: Value) -> Case {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "engine", "namespace": "policy"},
        "spec": {"clusterIP": "10.0.7.7"}});
    Case::on(base)
        .add(hook)
        .add(service)
        .add(namespace("kube-system", "Active"))
        .with(|c| {
            // Not on AKS, whose enforcer keeps webhooks out of kube-system.
            for node in c.objects.iter_mut().filter(|o| o["kind"] == "Node") {
                node["metadata"]["labels"] = json!({"kubernetes.io/os": "linux"});
                node["spec"]["providerID"] = json!("kind://docker/kind/node");
            }
        })
}

/// What the webhook comes to, with an endpoint that cannot answer.
fn verdict(hook: Value) -> Option<&'static str> {
    let case = guarded("fresh-aks", hook).add(slice("10.244.1.9", false));
    let mut own = case.own();
    own.retain(|slug| slug.starts_with("webhook"));
    own.first().copied()
}

/// The webhook with something of its first entry replaced.
fn changed(pointer: &str, value: Value) -> Value {
    let mut hook = webhook();
    hook["webhooks"][0][pointer] = value;
    hook
}

/// Acceptance scenario 22.
#[test]
fn scenario_22_a_webhook_that_nobody_answers_is_named() {
    assert_eq!(verdict(webhook()), Some("webhook-blocks-change"));
    let case = guarded("fresh-aks", webhook()).add(slice("10.244.1.9", false));
    assert_eq!(
        case.says("webhook-blocks-change"),
        "ValidatingWebhookConfiguration engine (failurePolicy Fail): validate.engine.example is asked about pods in \
         kube-system and Service policy/engine has no ready endpoint"
    );
}

#[test]
fn webhooks_that_are_not_asked_are_not_in_the_way() {
    for (pointer, value) in [
        ("failurePolicy", json!("Ignore")),
        (
            "rules",
            json!([{"operations": ["UPDATE"], "apiGroups": ["*"], "resources": ["*"]}]),
        ),
        (
            "rules",
            json!([{"operations": ["CREATE"], "apiGroups": ["batch"], "resources": ["jobs"]}]),
        ),
        (
            "rules",
            json!([{"operations": ["CREATE"], "apiGroups": [""], "resources": ["pods/eviction"]}]),
        ),
        (
            "rules",
            json!([{"operations": ["*"], "apiGroups": ["*"], "resources": ["pods"], "scope": "Cluster"}]),
        ),
        (
            "namespaceSelector",
            json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]}),
        ),
        ("objectSelector", json!({"matchLabels": {"inject": "yes"}})),
        ("clientConfig", json!({"url": "https://policy.example/validate"})),
    ] {
        assert_eq!(
            verdict(changed(pointer, value.clone())),
            None,
            "{pointer} {value}"
        );
    }
}

#[test]
fn webhooks_are_asked_by_their_rules_and_selectors() {
    for (pointer, value) in [
        ("failurePolicy", Value::Null),
        (
            "rules",
            json!([{"operations": ["*"], "apiGroups": ["*"], "resources": ["*/*"]}]),
        ),
        (
            "rules",
            json!([{"operations": ["CREATE"], "apiGroups": ["apps"], "resources": ["daemonsets"]}]),
        ),
        (
            "rules",
            json!([{"operations": ["CREATE"], "apiGroups": ["apps"], "resources": ["replicasets"]}]),
        ),
        (
            "rules",
            json!([{"operations": ["CREATE"], "apiGroups": [""], "resources": ["secrets"]}]),
        ),
        (
            "rules",
            json!([{"operations": ["CREATE"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]}]),
        ),
        ("objectSelector", json!({"matchLabels": {"k8s-app": "cilium"}})),
    ] {
        assert_eq!(
            verdict(changed(pointer, value.clone())),
            Some("webhook-blocks-change"),
            "{pointer} {value}"
        );
    }
    let conditions = json!([{"name": "not-system", "expression": "request.namespace != 'kube-system'"}]);
    assert_eq!(
        verdict(changed("matchConditions", conditions)),
        Some("webhook-at-risk")
    );
}

/// Kyverno and Gatekeeper with ready pods are ordinary clusters.
#[test]
fn webhooks_that_are_answered_block_nothing() {
    // No node has a network: what an endpoint says was written before.
    let dead = guarded("fresh-aks", webhook()).add(slice("10.244.1.9", true));
    assert_eq!(blocked(&dead), ["webhook-blocks-change"]);
    // On the host's network it answers whatever the CNI does.
    let host = guarded("fresh-aks", webhook()).add(slice("10.224.0.4", true));
    assert!(
        !host.own().iter().any(|s| s.starts_with("webhook")),
        "{:?}",
        host.own()
    );
    // With a network: told, and no more.
    let adopting = |address| {
        guarded("cilium-healthy", webhook())
            .add(slice(address, true))
            .with(|c| c.request.take_ownership = true)
    };
    let risky = adopting("10.244.1.9");
    assert!(risky.own().contains(&"webhook-at-risk"), "{:?}", risky.own());
    assert!(!blocked(&risky).contains(&"webhook-blocks-change"));
}

#[test]
fn what_was_not_read_of_a_webhook_is_a_risk_and_no_refusal() {
    let unread = guarded("fresh-aks", webhook());
    assert!(unread.own().contains(&"webhook-at-risk"), "{:?}", unread.own());
    let gone = guarded("fresh-aks", webhook()).without("Service", "engine");
    assert!(
        gone.says("webhook-blocks-change")
            .contains("Service policy/engine does not exist")
    );
    // A selector by labels that could not be read.
    let selector = json!({"matchLabels": {"guarded": "yes"}});
    let hook = changed("namespaceSelector", selector);
    let labels_unread = guarded("fresh-aks", hook.clone())
        .add(slice("10.244.1.9", false))
        .without("Namespace", "");
    assert!(
        labels_unread.own().contains(&"webhook-at-risk"),
        "{:?}",
        labels_unread.own()
    );
    // Read, and without the label.
    assert_eq!(verdict(hook), None);
    let plan = Case::on("fresh-aks").plan();
    assert!(
        plan.skipped
            .iter()
            .any(|(rule, _)| rule == "admission webhooks in the change's way")
    );
}

#[test]
fn the_admissions_enforcer_of_aks_keeps_webhooks_out_of_kube_system() {
    let on_aks = |hook: Value| {
        Case::on("fresh-aks")
            .add(hook)
            .add(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "engine", "namespace": "policy"}}))
            .add(slice("10.244.1.9", false))
    };
    assert!(
        on_aks(webhook()).own().is_empty(),
        "{:?}",
        on_aks(webhook()).own()
    );
    let mut disabled = webhook();
    disabled["metadata"]["annotations"] = json!({"admissions.enforcer/disabled": "true"});
    assert_eq!(blocked(&on_aks(disabled)), ["webhook-blocks-change"]);
    // Other namespaces it leaves alone.
    let elsewhere = on_aks(webhook()).with(|c| {
        for object in c.rendered.iter_mut().flatten() {
            object.namespace = object.namespace.as_ref().map(|_| "kube-flannel".into());
        }
    });
    assert_eq!(blocked(&elsewhere), ["webhook-blocks-change"]);
}

/// Calico's operator makes the agents in a namespace that the chart does not name, and AKS' enforcer leaves it alone.
#[test]
fn what_an_operator_makes_is_looked_at_too() {
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": "calico-system"}});
    let case = |hook: Value| {
        Case::on("fresh-aks")
            .add(hook)
            .add(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "engine", "namespace": "policy"}}))
            .add(slice("10.244.1.9", false))
            .with(|c| {
                c.request.cni = Some(&cni::calico::CALICO);
                c.chart = chart("tigera-operator", "v3.32.1");
                if let Some(all) = &mut c.rendered {
                    all.retain(|o| o.kind == "Deployment");
                    all[0].name = "tigera-operator".into();
                }
            })
    };
    let hook = changed("namespaceSelector", selector);
    assert_eq!(blocked(&case(hook.clone())), ["webhook-blocks-change"]);
    assert!(
        case(hook)
            .says("webhook-blocks-change")
            .contains("pods in calico-system")
    );
    let elsewhere = json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}});
    assert!(blocked(&case(changed("namespaceSelector", elsewhere))).is_empty());
}

/// The namespace that a chart makes is judged by the labels that the chart gives it.
#[test]
fn a_namespace_of_the_charts_has_the_charts_labels() {
    let selector = json!({"matchExpressions": [{"key": "exempt", "operator": "DoesNotExist"}]});
    let hook = changed("namespaceSelector", selector);
    let with_label = |labels: Value| {
        guarded("fresh-aks", hook.clone())
            .add(slice("10.244.1.9", false))
            .merge("Namespace", "kube-system", &json!({"metadata": {"labels": {"exempt": "yes"}}}))
            .with(|c| {
                let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "net", "labels": labels}});
                let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "net"}});
                let objects = [made, pod].map(|v| crate::core::manifest::Object::of(v).expect("an object"));
                c.rendered.get_or_insert_default().extend(objects);
            })
    };
    assert!(blocked(&with_label(json!({"exempt": "yes"}))).is_empty());
    assert_eq!(blocked(&with_label(json!({}))), ["webhook-blocks-change"]);
}
