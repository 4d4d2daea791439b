//! What tigera-operator does with an Installation: Calico's workloads, its pool, its TigeraStatus.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::api::Objects;
use super::cni::define;

const NAMESPACE: &str = "calico-system";
const AGENTS: &str = "/apis/apps/v1/namespaces/calico-system/daemonsets/calico-node";

/// A test that wants the operator to call Calico Degraded makes this, with the reason under `degraded`, and under `version`
/// the only version that it holds for, if it does not hold for all.
const WORD: &str = "/api/v1/namespaces/kube-system/configmaps/played-tigera-operator";

/// It ends with its Deployment.
const OPERATOR: &str = "/apis/apps/v1/namespaces/tigera-operator/deployments/tigera-operator";

/// Follows the Installation until the operator or the cluster is gone.
pub async fn play(objects: Objects) {
    let mut failures = 0;
    // The operator looks at everything again all the time; twice a second is enough for a test.
    while failures < 20 {
        if matches!(objects.find(OPERATOR).await, Ok(None)) {
            return;
        }
        failures = match reconcile(&objects).await {
            Ok(()) => 0,
            Err(_) => failures + 1,
        };
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn reconcile(objects: &Objects) -> Result<(), String> {
    for (kind, plural) in [
        ("Installation", "installations"),
        ("TigeraStatus", "tigerastatuses"),
    ] {
        let path = format!("/apis/operator.tigera.io/v1/{plural}?limit=1");
        if objects.find(&path).await?.is_none() {
            define(objects, "operator.tigera.io", kind, plural, "Cluster", "v1").await?;
        }
    }
    let Some(installation) = objects
        .find("/apis/operator.tigera.io/v1/installations/default")
        .await?
    else {
        return Ok(());
    };
    let network = &installation["spec"]["calicoNetwork"];
    let cidr = network["ipPools"][0]["cidr"].as_str().unwrap_or("192.168.0.0/16");
    // What the operator of each release brings.
    let operator = objects.find(OPERATOR).await?.unwrap_or_default();
    let operator = operator["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    let version = match operator {
        Some(image) if image.contains(":v1.40.") => "v3.31.3",
        _ => "v3.32.1",
    };
    let known = objects.find(AGENTS).await?.unwrap_or_default();
    let image = &known["spec"]["template"]["spec"]["containers"][0]["image"];
    if image.as_str() != Some(&format!("quay.io/calico/node:{version}")) {
        let owner = json!([{"apiVersion": "operator.tigera.io/v1", "kind": "Installation", "name": "default",
            "uid": installation["metadata"]["uid"], "controller": true}]);
        objects.apply(&workloads(cidr, version, &owner)).await?;
    }
    let degraded = objects.find(WORD).await?.unwrap_or_default();
    let concerned = degraded["data"]["version"].as_str().is_none_or(|v| v == version);
    let degraded = degraded["data"]["degraded"].as_str().filter(|_| concerned);
    let agents = objects.get(AGENTS).await?;
    let status = |field: &str| agents["status"][field].as_i64().unwrap_or_default();
    let (ready, wanted) = (status("numberReady"), status("desiredNumberScheduled"));
    let available = wanted > 0 && ready == wanted && degraded.is_none();
    let waits = format!(
        "DaemonSet \"calico-system/calico-node\" is not available (awaiting {} nodes)",
        wanted - ready
    );
    let condition = |kind: &str, holds: bool| {
        let (reason, message) = if available {
            ("AllObjectsAvailable", "All objects available")
        } else if let Some(why) = degraded {
            ("ResourceUpdateError", why)
        } else {
            ("ResourceNotReady", waits.as_str())
        };
        json!({"type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": message,
            "observedGeneration": 1, "lastTransitionTime": installation["metadata"]["creationTimestamp"]})
    };
    let conditions: Value = json!([
        condition("Available", available),
        condition("Progressing", !available && degraded.is_none()),
        condition("Degraded", degraded.is_some())
    ]);
    let path = "/apis/operator.tigera.io/v1/tigerastatuses";
    let object = json!({"apiVersion": "operator.tigera.io/v1", "kind": "TigeraStatus",
        "metadata": {"name": "calico"}, "spec": {}});
    let known = match objects.create(path, &object).await? {
        Some(made) => made,
        None => objects.get(&format!("{path}/calico")).await?,
    };
    if known["status"]["conditions"] != conditions {
        let patch = json!({"status": {"conditions": conditions}});
        // The chart's definition has a status of its own, ours has not.
        if objects
            .merge(&format!("{path}/calico/status"), &patch)
            .await?
            .is_none()
        {
            objects.merge(&format!("{path}/calico"), &patch).await?;
        }
    }
    Ok(())
}

/// With the names, labels and images of the real ones, and nothing that a node would need to run them.
/// All of it goes with the Installation, as the operator's owner references say.
fn workloads(cidr: &str, version: &str, owner: &Value) -> String {
    format!(
        r#"
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}, ownerReferences: {owner}, labels: {{name: {NAMESPACE}}}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: calico-node, namespace: {NAMESPACE}, ownerReferences: {owner}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: calico-node, namespace: {NAMESPACE}, ownerReferences: {owner}, labels: {{app.kubernetes.io/name: calico-node}}}}
spec:
  selector: {{matchLabels: {{k8s-app: calico-node}}}}
  updateStrategy: {{type: RollingUpdate, rollingUpdate: {{maxUnavailable: 1}}}}
  template:
    metadata: {{labels: {{k8s-app: calico-node, app.kubernetes.io/name: calico-node}}}}
    spec:
      hostNetwork: true
      nodeSelector: {{kubernetes.io/os: linux}}
      priorityClassName: system-node-critical
      serviceAccountName: calico-node
      tolerations: [{{operator: Exists}}]
      containers:
      - name: calico-node
        image: quay.io/calico/node:{version}
        env:
        - {{name: CALICO_IPV4POOL_CIDR, value: {cidr}}}
        - {{name: CLUSTER_TYPE, value: "k8s,operator"}}
        readinessProbe: {{exec: {{command: [/bin/calico-node, -felix-ready]}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: calico-kube-controllers, namespace: {NAMESPACE}, ownerReferences: {owner}, labels: {{k8s-app: calico-kube-controllers}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{k8s-app: calico-kube-controllers}}}}
  template:
    metadata: {{labels: {{k8s-app: calico-kube-controllers}}}}
    spec:
      nodeSelector: {{kubernetes.io/os: linux}}
      priorityClassName: system-cluster-critical
      serviceAccountName: calico-node
      tolerations: [{{key: CriticalAddonsOnly, operator: Exists}}]
      containers:
      - {{name: calico-kube-controllers, image: "quay.io/calico/kube-controllers:{version}"}}
"#
    )
}
