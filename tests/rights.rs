//! `docs/rbac-read.yaml` on a real API server: enough for `status` and `capture`, and nothing in it can be left out.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;
#[path = "clusters/plugin.rs"]
mod plugin;

use std::time::Duration;

use clusters::{ControlPlane, aks, required_or_skip};
use kubectl_byocni::core::capture::Resource;
use serde_json::{Value, json};

const ROLES: &str = include_str!("../docs/rbac-read.yaml");
const ROLE_PATH: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubectl-byocni-reader";

fn binding(kind: &str, role: &str) -> String {
    let namespace = if kind == "Role" {
        "namespace: kube-system, "
    } else {
        ""
    };
    let binding = if kind == "Role" {
        "RoleBinding"
    } else {
        "ClusterRoleBinding"
    };
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {binding}\nmetadata: {{{namespace}name: {role}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {role}}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}}]\n"
    )
}

/// What could not be read, in the API server's words.
fn refused(plane: &ControlPlane) -> (i32, String) {
    let said = plugin::status(&plane.kubeconfig_for("reader", &[]), &[]);
    let findings = said.json["findings"].as_array().cloned().unwrap_or_default();
    let of_rights = findings.iter().filter(|f| f["slug"] == "source-forbidden");
    let messages: Vec<&str> = of_rights.filter_map(|f| f["message"].as_str()).collect();
    (said.exit, messages.join("; "))
}

#[test]
fn the_shipped_role_is_enough_and_minimal() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(aks::options())) else {
        return;
    };
    let _kubelet = aks::start(&plane, 2);
    plane.wait_for("both nodes", Duration::from_secs(60), "/api/v1/nodes", |nodes| {
        nodes["items"].as_array().is_some_and(|items| items.len() == 2)
    });

    // Bare `view` cannot list nodes: the verdict is unknown, and the missing right is named. (The exit code is 3 where an
    // error is seen all the same, such as CoreDNS that waits, else 5.)
    plane.apply(&binding("ClusterRole", "view"));
    let said = plugin::status(&plane.kubeconfig_for("reader", &[]), &[]);
    assert_eq!(said.verdict(), "unknown", "{}", said.table);
    assert!(said.table.contains("list nodes"), "{}", said.table);
    let errors = said.findings(&["error"]);
    assert_eq!(said.exit, if errors.is_empty() { 5 } else { 3 }, "{}", said.table);
    plane.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/view");

    // A kind that the server does not have is absent, whoever asks: so that a missing right shows, it has them all.
    kubectl_byocni::core::cni::resources()
        .into_iter()
        .for_each(|resource| {
            plane.apply(&definition(resource));
        });
    plane.apply(ROLES);
    plane.apply(&binding("ClusterRole", "kubectl-byocni-reader"));
    eventually(&plane, "the role is enough", |exit, missing| {
        (exit == 3 && missing.is_empty()).then_some(())
    });

    let role = plane.get(ROLE_PATH).expect("the role");
    for (without, name) in smaller(&role) {
        plane.apply(&kubectl_byocni::yaml::to_string(&without).expect("YAML"));
        eventually(&plane, &name, |_, missing| missing.contains(&name).then_some(()));
    }
}

/// A CustomResourceDefinition, no larger than it must be.
fn definition(resource: &Resource) -> String {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name},
        "spec": {
            "group": resource.group, "scope": "Cluster",
            "names": {"plural": resource.plural, "singular": resource.kind.to_lowercase(), "kind": resource.kind},
            "versions": [{"name": resource.versions[0], "served": true, "storage": true, "schema": schema}],
        },
    });
    kubectl_byocni::yaml::to_string(&definition).expect("YAML")
}

/// Authorizers hear of a change after a moment.
fn eventually(plane: &ControlPlane, what: &str, holds: impl Fn(i32, &str) -> Option<()>) {
    let mut last = (0, String::new());
    for _ in 0..20 {
        last = refused(plane);
        if holds(last.0, &last.1).is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{what}: exit {}, refused: {}", last.0, last.1);
}

/// The role without one of its resources, for each of them, with the resource's name.
fn smaller(role: &Value) -> Vec<(Value, String)> {
    let mut all = vec![];
    let rules = role["rules"].as_array().expect("rules");
    for (at, rule) in rules.iter().enumerate() {
        for resource in rule["resources"].as_array().expect("resources") {
            let mut without = rules.clone();
            let kept: Vec<&Value> = rule["resources"]
                .as_array()
                .expect("resources")
                .iter()
                .filter(|r| *r != resource)
                .collect();
            if kept.is_empty() {
                without.remove(at);
            } else {
                without[at]["resources"] = json!(kept);
            }
            let group = rule["apiGroups"][0].as_str().expect("a group");
            let name = resource.as_str().expect("a name");
            let name = if group.is_empty() {
                name.to_string()
            } else {
                format!("{name}.{group}")
            };
            let role = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "kubectl-byocni-reader"}, "rules": without,
            });
            all.push((role, name));
        }
    }
    all
}
