//! What a change reads beside `status`, and what it asks to be allowed, on a real API server: by an administrator, and
//! by somebody who has nothing but the reading role.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;

use std::path::PathBuf;

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
