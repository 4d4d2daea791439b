//! Waiting, with limits, until a cluster of real nodes is as a test wants it; and saying what it is.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::RealNodes;

impl RealNodes {
    /// Waits until the object or list at `path` of the API satisfies `holds`; panics with what was there last.
    pub fn wait_for(&self, what: &str, limit: u64, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.plane.wait_for(what, Duration::from_secs(limit), path, holds)
    }

    /// Waits until this is `ready` of all nodes.
    pub fn wait_for_ready(&self, ready: bool, limit: u64) {
        let wanted = if ready { "True" } else { "False" };
        self.wait_for(
            &format!("nodes Ready={wanted}"),
            limit,
            "/api/v1/nodes",
            |nodes| {
                all(&nodes["items"], |node| {
                    condition(node, "Ready")["status"] == wanted
                })
            },
        );
    }

    /// Waits until all pods with this label in this namespace (there must be one) satisfy `holds`.
    pub fn wait_for_pods(
        &self,
        what: &str,
        namespace: &str,
        label: &str,
        limit: u64,
        holds: impl Fn(&Value) -> bool,
    ) {
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods?labelSelector={}",
            label.replace('=', "%3D")
        );
        self.wait_for(what, limit, &path, |pods| all(&pods["items"], &holds));
    }

    /// Waits until all replicas of this workload (`daemonsets/NAME`, `deployments/NAME`) are of its newest
    /// revision and ready.
    pub fn wait_for_rollout(&self, namespace: &str, workload: &str, limit: u64) {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/{workload}");
        self.wait_for(&format!("{workload} rolled out"), limit, &path, rolled_out);
    }

    /// Starts a pod on each node and waits until they reach each other across nodes, and by the name of their
    /// service (so CoreDNS, kube-proxy and pods work); panics if they do not within `limit` seconds.
    pub fn expect_pods_to_talk(&self, limit: u64) {
        let end = Instant::now() + Duration::from_secs(limit);
        self.plane.apply(include_str!("../real-nodes/probe.yaml"));
        self.wait_for_rollout("default", "daemonsets/probe", limit);
        let pods = self
            .plane
            .get("/api/v1/namespaces/default/pods?labelSelector=app%3Dprobe")
            .unwrap_or_default();
        let pods: Vec<(String, String)> = pods["items"].as_array().map_or_else(Vec::new, |pods| {
            pods.iter()
                .map(|pod| (text(&pod["metadata"]["name"]), text(&pod["status"]["podIP"])))
                .collect()
        });
        assert!(pods.len() >= 2, "the probe runs on {} nodes", pods.len());
        for (from, _) in &pods {
            let others = pods
                .iter()
                .filter(|(name, _)| name != from)
                .map(|(_, address)| format!("{address}:8080"));
            for target in others.chain(["probe.default.svc.cluster.local:80".to_owned()]) {
                loop {
                    let tried =
                        self.kubectl(&["exec", from, "--", "/agnhost", "connect", &target, "--timeout=3s"]);
                    if tried.status.success() {
                        break;
                    }
                    assert!(
                        Instant::now() < end,
                        "{from} does not reach {target}: {}",
                        String::from_utf8_lossy(&tried.stderr)
                    );
                    std::thread::sleep(Duration::from_millis(500));
                }
            }
        }
    }

    /// All that an inspection reads, as one kubectl List.
    pub fn capture(&self) -> String {
        let mut kinds =
            "nodes,pods,daemonsets.apps,deployments.apps,services,endpointslices.discovery.k8s.io,\
                         configmaps,events,servicecidrs.networking.k8s.io"
                .to_owned();
        if self.crds().contains("ciliumnodes.cilium.io") {
            kinds.push_str(",ciliumnodes.cilium.io");
        }
        self.kubectl_ok(&[
            "get",
            &kinds,
            "--all-namespaces",
            "--output=yaml",
            "--show-managed-fields=false",
        ])
    }

    /// The names of all CustomResourceDefinitions, one to a line.
    pub fn crds(&self) -> String {
        self.kubectl_ok(&[
            "get",
            "customresourcedefinitions.apiextensions.k8s.io",
            "--output=name",
        ])
    }
}

/// The condition of this type of a node or pod.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .and_then(|all| all.iter().find(|one| one["type"] == kind))
        .unwrap_or(&Value::Null)
}

/// The reasons for which containers of this pod wait, init containers first.
pub fn waiting_reasons(pod: &Value) -> Vec<String> {
    let of = |field: &str| pod["status"][field].as_array().cloned().unwrap_or_default();
    let mut statuses = of("initContainerStatuses");
    statuses.extend(of("containerStatuses"));
    let reasons = statuses
        .iter()
        .filter_map(|one| one["state"]["waiting"]["reason"].as_str());
    reasons.map(str::to_owned).collect()
}

/// Whether there is one and this holds for all of them.
pub fn all(items: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    items
        .as_array()
        .is_some_and(|items| !items.is_empty() && items.iter().all(holds))
}

fn rolled_out(workload: &Value) -> bool {
    let (spec, status) = (&workload["spec"], &workload["status"]);
    let is =
        |field: &str, number: &Value| status[field].as_u64().unwrap_or(0) == number.as_u64().unwrap_or(0);
    let current = status["observedGeneration"] == workload["metadata"]["generation"];
    let wanted = &status["desiredNumberScheduled"];
    if wanted.is_null() {
        return current
            && ["updatedReplicas", "availableReplicas", "replicas"]
                .iter()
                .all(|f| is(f, &spec["replicas"]));
    }
    current
        && wanted != 0
        && ["updatedNumberScheduled", "numberAvailable"]
            .iter()
            .all(|f| is(f, wanted))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
