//! What a change reads beside `status`, and what it asks to be allowed, on a real API server: by an administrator, and
//! by somebody who has nothing but the reading role.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use clusters::{ControlPlane, aks, required_or_skip};
use kubectl_byocni::{
    core::{
        capture::{Capture, Source, State},
        facts::Asked,
        manifest::{self, Object},
        plan::rights::{Wanted, needed},
    },
    io::{
        cluster::{read_for_change, rights::denied},
        connection::{Connection, Flags},
    },
};

const READER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubectl-byocni-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
";

/// A fail-closed webhook, the Service behind it, and its EndpointSlice without a ready endpoint.
const WEBHOOK: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: policy}
---
apiVersion: v1
kind: Service
metadata: {name: engine, namespace: policy}
spec: {ports: [{port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: engine-1, namespace: policy, labels: {kubernetes.io/service-name: engine}}
addressType: IPv4
endpoints: [{addresses: [10.244.9.9], conditions: {ready: false}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: engine}
webhooks:
- name: validate.engine.example
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {namespace: policy, name: engine}}
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  namespaceSelector: {matchLabels: {guarded: 'yes'}}
";

fn rendered() -> Vec<Object> {
    let text = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: a, namespace: kube-system}\n";
    manifest::objects(kubectl_byocni::yaml::documents(text).expect("YAML"))
}

fn opened(kubeconfig: PathBuf) -> (Capture, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let flags = Flags {
            kubeconfig: Some(kubeconfig),
            ..Flags::default()
        };
        let connection = Connection::open(&flags).await.expect("a connection");
        let capture = read_for_change(&connection, &Asked::default(), &|_, _, _| {})
            .await
            .expect("a capture");
        let wanted = Wanted {
            cni: None,
            namespace: "kube-system",
            namespace_exists: true,
            crds: true,
            probe: true,
        };
        let denied = denied(&connection, &needed(&rendered(), &wanted))
            .await
            .expect("reviews");
        (capture, denied)
    })
}

/// Acceptance scenario 39, as far as rights go: what may not be read is known to be unread, and every right that a
/// change lacks is told before anything is written.
#[test]
fn what_a_change_reads_and_asks_for() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(aks::options())) else {
        return;
    };
    plane.apply(include_str!("../docs/rbac-read.yaml"));
    plane.apply(READER);
    plane.apply(WEBHOOK);

    let (capture, missing) = opened(plane.kubeconfig().to_path_buf());
    for source in Source::FOR_CHANGE {
        assert_eq!(capture.state(*source), &State::Read, "{source:?}");
    }
    assert!(capture.namespaces.iter().any(|n| n.meta.name == "policy"));
    let webhook = &capture.validating_webhooks[0].webhooks[0];
    assert!(webhook.fails_closed() && webhook.rules[0].resources[0] == "pods");
    assert_eq!(webhook.namespace_selector.keys().collect::<Vec<_>>(), ["guarded"]);
    let slice = capture
        .endpoint_slices
        .iter()
        .find(|s| s.meta.namespace == "policy");
    assert_eq!(
        slice.expect("the webhook's slice").endpoints[0].conditions.ready,
        Some(false)
    );
    assert!(missing.is_empty(), "{missing:?}");

    let (capture, missing) = opened(plane.kubeconfig_for("reader", &[]));
    for source in [
        Source::ValidatingWebhooks,
        Source::MutatingWebhooks,
        Source::Namespaces,
    ] {
        let right = format!("list {}", source.resource());
        assert_eq!(capture.state(source), &State::Forbidden { right }, "{source:?}");
    }
    for right in [
        "create daemonsets.apps in kube-system",
        "create customresourcedefinitions.apiextensions.k8s.io",
        "update leases.coordination.k8s.io/kubectl-byocni in kube-system",
        "list secrets in kube-system",
        "create pods in kube-system",
    ] {
        assert!(missing.iter().any(|m| m == right), "{right} in {missing:?}");
    }
    // What the role does grant is not asked of an administrator.
    assert!(!missing.iter().any(|m| m == "list nodes"), "{missing:?}");
}

fn run(kubeconfig: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
        .args(arguments)
        .env_clear()
        .envs([("LANG", "C.UTF-8"), ("COLUMNS", "100"), ("PATH", "/nowhere")])
        .env("HOME", kubeconfig.parent().expect("a folder"))
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("the plugin starts")
}

/// A capture holds what plans read, where that may be read; `status` of it is the same without.
#[test]
fn captures_hold_what_plans_read() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(aks::options())) else {
        return;
    };
    plane.apply(include_str!("../docs/rbac-read.yaml"));
    plane.apply(READER);
    plane.apply(WEBHOOK);
    let folder = tempfile::tempdir().expect("a folder");
    let captured = |kubeconfig: &Path, name: &str| -> (Capture, Output, String) {
        let file = folder.path().join(name).display().to_string();
        let output = run(kubeconfig, &["capture", "-f", &file]);
        let loaded = kubectl_byocni::io::capture_file::load(&[PathBuf::from(&file)]).expect("a capture");
        (loaded, output, file)
    };
    let (whole, output, whole_file) = captured(plane.kubeconfig(), "whole.yaml");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for source in Source::FOR_CHANGE {
        assert_eq!(whole.state(*source), &State::Read, "{source:?}");
    }
    assert!(whole.namespaces.iter().any(|n| n.meta.name == "policy"));
    assert_eq!(whole.validating_webhooks.len(), 1);
    assert!(whole.endpoint_slices.iter().any(|s| s.meta.namespace == "policy"));

    // The reader's lacks them, says so, and is a whole capture all the same.
    let reader = plane.kubeconfig_for("reader", &[]);
    let mut last = captured(&reader, "less.yaml");
    for _ in 0..50 {
        if last.1.status.code() == Some(0) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        last = captured(&reader, "less.yaml");
    }
    let (less, output, less_file) = last;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("list namespaces"), "{said}");
    assert!(
        less.state(Source::Namespaces)
            .missing(Source::Namespaces)
            .is_some()
    );

    // The same report from both, and the one that the cluster gives.
    let report = |arguments: &[&str]| -> serde_json::Value {
        let output = run(
            plane.kubeconfig(),
            &[&["status", "-o", "json"], arguments].concat(),
        );
        let mut report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["takenAt"] = serde_json::Value::Null;
        report["context"] = serde_json::Value::Null;
        serde_json::json!([output.status.code(), report])
    };
    let of_whole = report(&["--from", &whole_file]);
    assert_eq!(of_whole, report(&[]));
    let slugs = |report: &serde_json::Value| -> Vec<String> {
        let findings = report[1]["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().map(|f| f["slug"].to_string()).collect()
    };
    let of_less = report(&["--from", &less_file]);
    assert_eq!(of_less[0], of_whole[0]);
    assert!(
        !slugs(&of_less).iter().any(|s| s.contains("source-forbidden")),
        "{of_less}"
    );
}
