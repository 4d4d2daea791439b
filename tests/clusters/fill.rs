//! Fills a control plane for the benchmark: a healthy cluster of thousands of nodes that run Cilium, written
//! straight through the API, statuses included. Start it with [`super::Options::for_fill`]: no controllers that
//! would look after the nodes and pods, so everything stays as it was written.

mod system;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::api::Objects;
use super::kubelet::{cilium_definitions, digits};

/// The time that statuses bear: the one at which they are written, as a kubelet does.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Requests in flight. More do not make two processors faster.
const AT_ONCE: usize = 48;
const SERVICES: &str = "10.0.0.10";

/// Writes `nodes` nodes with a CiliumNode each, and `pods` pods in all: an agent, an envoy and a kube-proxy on each
/// node, CoreDNS, the operator, and workloads in `namespaces` namespaces.
pub async fn fill(client: Client, nodes: usize, pods: usize, namespaces: usize) -> Result<(), String> {
    let objects = Objects::new(client.clone());
    cilium_definitions(&objects).await?;
    let names: Vec<String> = (0..namespaces)
        .map(|number| format!("team-{number:03}"))
        .collect();
    each(names.iter(), |name| {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        post(&client, "/api/v1/namespaces", namespace.to_string())
    })
    .await?;
    let owners = system::apply(&objects, nodes).await?;
    each(0..nodes, |number| {
        let client = &client;
        async move {
            let node = node(number);
            let made = post_and_read(client, "/api/v1/nodes", node.to_string()).await?;
            let uid = made["metadata"]["uid"].as_str().unwrap_or_default();
            post(
                client,
                "/apis/cilium.io/v2/ciliumnodes",
                cilium_node(number, &node, uid),
            )
            .await
        }
    })
    .await?;
    for name in &names {
        wait_for_account(&objects, name).await?;
    }
    wait_for_account(&objects, "kube-system").await?;

    let of_nodes = 0..nodes * owners.per_node.len();
    let of_nodes =
        of_nodes.map(|n| owners.per_node[n % owners.per_node.len()].pod(n / owners.per_node.len()));
    let single = owners
        .single
        .iter()
        .enumerate()
        .map(|(n, owner)| owner.pod(n % nodes));
    let rest = pods.saturating_sub(nodes * owners.per_node.len() + owners.single.len());
    let workloads = (0..rest).map(|number| workload(number, nodes, &names));
    let written = AtomicUsize::new(0);
    each(of_nodes.chain(single).chain(workloads), |pod| {
        let (client, written) = (&client, &written);
        async move {
            let base = format!("/api/v1/namespaces/{}/pods", pod.namespace);
            post(client, &base, pod.object).await?;
            // PUT, not PATCH: the server need not write out and merge what it has. Spec is not read there.
            send(
                client,
                Method::PUT,
                &format!("{base}/{}/status", pod.name),
                pod.status,
            )
            .await?;
            let count = written.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_multiple_of(10_000) {
                eprintln!("{count} of {pods} pods");
            }
            Ok(())
        }
    })
    .await
}

/// A pod as the two requests that make it.
pub struct Written {
    namespace: String,
    name: String,
    object: String,
    status: String,
}

async fn each<T, F>(items: impl Iterator<Item = T>, write: impl Fn(T) -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), String>>,
{
    let mut writes = futures::stream::iter(items.map(write)).buffer_unordered(AT_ONCE);
    while let Some(result) = writes.next().await {
        result?;
    }
    Ok(())
}

async fn wait_for_account(objects: &Objects, namespace: &str) -> Result<(), String> {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    for _ in 0..600 {
        if objects.find(&path).await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("no service account in {namespace} within a minute"))
}

async fn post(client: &Client, path: &str, object: String) -> Result<(), String> {
    send(client, Method::POST, path, object).await.map(drop)
}

async fn post_and_read(client: &Client, path: &str, object: String) -> Result<Value, String> {
    let answer = send(client, Method::POST, path, object).await?;
    serde_json::from_slice(&answer).map_err(|e| e.to_string())
}

/// Sends an object and takes back only its metadata. One that is there already is as good as written.
async fn send(client: &Client, method: Method, path: &str, object: String) -> Result<Vec<u8>, String> {
    let mut reason = String::new();
    for attempt in 0..8 {
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("{path}?fieldValidation=Ignore"))
            .header("content-type", "application/json")
            .header(
                "accept",
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            )
            .body(Body::from(object.clone().into_bytes()))
            .map_err(|e| e.to_string())?;
        match client.send(request).await {
            Err(error) => reason = error.to_string(),
            Ok(response) => {
                let status = response.status();
                let body = response
                    .into_body()
                    .collect()
                    .await
                    .map_err(|e| e.to_string())?
                    .to_bytes();
                if status.is_success() || (method == Method::POST && status == http::StatusCode::CONFLICT) {
                    return Ok(body.to_vec());
                }
                reason = format!("{status}: {}", String::from_utf8_lossy(&body));
                if status.is_client_error() && status != http::StatusCode::TOO_MANY_REQUESTS {
                    break;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
    }
    Err(format!("{method} {path}: {reason}"))
}

fn node_name(number: usize) -> String {
    format!("aks-workload-31337042-vmss{number:06}")
}

fn node_ip(number: usize) -> Ipv4Addr {
    address([10, 224, 0, 4], number)
}

/// The node's /24 of 10.64.0.0/10.
fn block(number: usize) -> Ipv4Addr {
    address([10, 64, 0, 0], number * 256)
}

fn address(first: [u8; 4], offset: usize) -> Ipv4Addr {
    let offset = u32::try_from(offset).expect("fewer than there are addresses");
    Ipv4Addr::from(u32::from(Ipv4Addr::from(first)) + offset)
}

/// A node of the AKS profile, Ready, with as many images as a kubelet reports of what it has.
fn node(number: usize) -> Value {
    let mut node = super::aks::node("workload", "user", 0, number);
    let name = node_name(number);
    node["metadata"]["labels"]["kubernetes.io/hostname"] = name.as_str().into();
    node["metadata"]["name"] = name.as_str().into();
    node["status"]["addresses"] =
        json!([{"type": "InternalIP", "address": node_ip(number)}, {"type": "Hostname", "address": name}]);
    let images: Vec<String> = (0..40)
        .map(|image| format!("mcr.microsoft.com/oss/v2/kubernetes/component-{image}:v1.{image}.0-4"))
        .collect();
    node["status"]["images"] = super::aks::images(&images);
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now(), "lastTransitionTime": now()})
    };
    node["status"]["conditions"] = json!([
        condition(
            "NetworkUnavailable",
            "False",
            "CiliumIsUp",
            "Cilium is running on this node"
        ),
        condition(
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available"
        ),
        condition(
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure"
        ),
        condition(
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available"
        ),
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]);
    node
}

fn cilium_node(number: usize, node: &Value, uid: &str) -> String {
    let name = node_name(number);
    let (router, health) = (
        address([10, 64, 0, 1], number * 256),
        address([10, 64, 0, 2], number * 256),
    );
    let metadata = json!({"name": name, "labels": node["metadata"]["labels"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]});
    json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": metadata,
        "spec": {
            "addresses": [{"type": "InternalIP", "ip": node_ip(number)}, {"type": "CiliumInternalIP", "ip": router}],
            "alibaba-cloud": {}, "azure": {}, "bootid": node["status"]["nodeInfo"]["bootID"], "encryption": {},
            "eni": {}, "health": {"ipv4": health}, "ingress": {},
            "ipam": {"podCIDRs": [format!("{}/24", block(number))], "pools": {}}},
        "status": {"alibaba-cloud": {}, "azure": {}, "eni": {}, "ipam": {"operator-status": {}}}})
    .to_string()
}

/// A pod that serves something, of usual size.
fn workload(number: usize, nodes: usize, namespaces: &[String]) -> Written {
    let node = number % nodes;
    let app = number % 7_919;
    let namespace = namespaces[app % namespaces.len()].clone();
    let hash = &digits(&app.to_string())[..10];
    let suffix = &digits(&number.to_string())[..8];
    let labels = json!({"app.kubernetes.io/name": format!("service-{app}"), "app.kubernetes.io/part-of": namespace,
        "app.kubernetes.io/version": "1.42.0", "pod-template-hash": hash});
    let mut environment: Vec<Value> = (0..11)
        .map(|n| json!({"name": format!("SETTING_{n:02}"), "value": format!("https://service-{n}.{namespace}.svc.cluster.local:8443/v1")}))
        .collect();
    environment.push(json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}));
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 2});
    let container = |name: &str, image: &str| {
        json!({"name": name, "image": image, "env": environment,
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
            "readinessProbe": probe("/ready"), "livenessProbe": probe("/live"),
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "256Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true, "runAsNonRoot": true},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/service"}, {"name": "tmp", "mountPath": "/tmp"}]})
    };
    let spec = json!({"containers": [container("service", "registry.example.com/team/service:1.42.0")],
        "volumes": [{"name": "config", "configMap": {"name": format!("service-{app}")}}, {"name": "tmp", "emptyDir": {}}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"pod-template-hash": hash}}}],
        "tolerations": [{"key": "workload", "operator": "Exists"}]});
    // The first two addresses of a block are Cilium's own.
    let ip = address([10, 64, 0, 3], node * 256 + 2 + number / nodes);
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("service-{app}-{hash}"),
        "uid": uid(&format!("{namespace}{app}")), "controller": true, "blockOwnerDeletion": true});
    write(
        &namespace,
        &format!("service-{app}-{hash}-{suffix}"),
        &labels,
        owner,
        spec,
        node,
        ip,
    )
}

/// A running pod, ready with all its containers.
fn write(
    namespace: &str,
    name: &str,
    labels: &Value,
    owner: Value,
    mut spec: Value,
    node: usize,
    ip: Ipv4Addr,
) -> Written {
    spec["nodeName"] = node_name(node).into();
    let statuses = |containers: &Value, state: Value, started: bool| -> Value {
        let containers = containers.as_array().map(Vec::as_slice).unwrap_or_default();
        let status = |container: &Value| {
            let image = container["image"].as_str().unwrap_or_default();
            let id = digits(&format!("{name}{}", container["name"]));
            json!({"name": container["name"], "image": image, "imageID": format!("{image}@sha256:{}", digits(image)),
                "containerID": format!("containerd://{id}"), "ready": true, "started": started, "restartCount": 0,
                "state": state, "lastState": {}, "resources": container["resources"],
                "volumeMounts": container["volumeMounts"]})
        };
        containers.iter().map(status).collect()
    };
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": now(),
            "observedGeneration": 1})
    };
    let host = node_ip(node);
    let kinds = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ];
    let mut status = json!({
        "phase": "Running", "hostIP": host, "hostIPs": [{"ip": host}], "podIP": ip, "podIPs": [{"ip": ip}],
        "startTime": now(), "qosClass": "Burstable",
        "conditions": kinds.map(condition),
        "containerStatuses": statuses(&spec["containers"], json!({"running": {"startedAt": now()}}), true),
    });
    if spec["initContainers"].is_array() {
        let done = json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now(), "finishedAt": now()}});
        status["initContainerStatuses"] = statuses(&spec["initContainers"], done, false);
    }
    let metadata =
        json!({"name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owner]});
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).to_string();
    // Labels again: this write replaces all that is not the spec.
    let status =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}).to_string();
    Written {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        object,
        status,
    }
}

fn uid(text: &str) -> String {
    let digits = digits(text);
    format!(
        "{}-{}-4{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..32]
    )
}
