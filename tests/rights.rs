//! `docs/rbac-read.yaml` on a real API server that has every CNI's own kinds: enough for all of them, and each one that
//! is left out is missed. What else the role holds is tried in `tests/status_control_plane.rs`.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;
#[path = "clusters/plugin.rs"]
mod plugin;

use std::time::Duration;

use clusters::{ControlPlane, aks, required_or_skip};
use kubectl_byocni::core::{capture::Resource, cni};
use serde_json::{Value, json};

const ROLES: &str = include_str!("../docs/rbac-read.yaml");
const ROLE_PATH: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kubectl-byocni-reader";
const BINDING: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubectl-byocni-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
";

#[test]
fn the_shipped_role_holds_every_kind_of_a_cni() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(aks::options())) else {
        return;
    };
    // A kind that the server does not have is absent, whoever asks.
    for resource in cni::resources() {
        plane.apply(&definition(resource));
    }
    plane.apply(ROLES);
    plane.apply(BINDING);
    until_refused(&plane, str::is_empty);

    let role = plane.get(ROLE_PATH).expect("the role");
    for resource in cni::resources() {
        plane.apply(&without(&role, resource));
        until_refused(&plane, |refused| refused.contains(resource.name));
    }
}

/// A CustomResourceDefinition, no larger than it must be.
fn definition(resource: &Resource) -> String {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let singular = resource.kind.to_lowercase();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name},
        "spec": {
            "group": resource.group, "scope": "Cluster",
            "names": {"plural": resource.plural, "singular": singular, "kind": resource.kind},
            "versions": [{"name": resource.versions[0], "served": true, "storage": true, "schema": schema}],
        },
    })
    .to_string()
}

/// The role without one kind.
fn without(role: &Value, resource: &Resource) -> String {
    let mut rules = role["rules"].as_array().cloned().expect("rules");
    for rule in &mut rules {
        if rule["apiGroups"][0] == resource.group {
            let names = rule["resources"].as_array_mut().expect("resources");
            names.retain(|name| name != resource.plural);
        }
    }
    rules.retain(|rule| {
        rule["resources"]
            .as_array()
            .is_some_and(|names| !names.is_empty())
    });
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "kubectl-byocni-reader"}, "rules": rules,
    })
    .to_string()
}

/// Waits until what the reader is refused is as it should be: authorizers hear of a change after a moment.
fn until_refused(plane: &ControlPlane, holds: impl Fn(&str) -> bool) {
    let kubeconfig = plane.kubeconfig_for("reader", &[]);
    let mut refused = String::new();
    for _ in 0..50 {
        let output = plugin::run(&kubeconfig, &["status", "-o", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        let of_rights = findings.iter().filter(|f| f["slug"] == "source-forbidden");
        refused = of_rights
            .filter_map(|f| f["message"].as_str())
            .collect::<Vec<_>>()
            .join("; ");
        if holds(&refused) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("refused: {refused:?}");
}
