//! kube-system of the filled cluster: Cilium, envoy, kube-proxy, CoreDNS, with their statuses.

use serde_json::{Value, json};

use super::super::api::Objects;
use super::{SERVICES, Written, address, digits, node_ip, now, write};

/// Whose pods there are.
pub struct Owners {
    /// One on each node.
    pub per_node: Vec<Owner>,
    /// One in all.
    pub single: Vec<Owner>,
}

/// A workload of kube-system.
pub struct Owner {
    name: &'static str,
    labels: Value,
    spec: Value,
    reference: Value,
    host_network: bool,
    position: usize,
}

impl Owner {
    /// Its pod on this node.
    pub fn pod(&self, node: usize) -> Written {
        let suffix = &digits(&format!("{}{node}{}", self.name, self.position))[..5];
        let name = match self.reference["kind"].as_str() {
            Some("ReplicaSet") => format!("{}-{suffix}", self.reference["name"].as_str().unwrap_or_default()),
            _ => format!("{}-{suffix}{node:05}", self.name),
        };
        let mut spec = self.spec.clone();
        let mut ip = node_ip(node);
        if self.reference["kind"] == "DaemonSet" {
            let only = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [super::node_name(node)]}]});
            spec["affinity"]["nodeAffinity"] =
                json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [only]}});
        }
        if !self.host_network {
            ip = address([10, 64, 0, 200], node * 256 + self.position);
        }
        write(
            "kube-system",
            &name,
            &self.labels,
            self.reference.clone(),
            spec,
            node,
            ip,
        )
    }
}

/// Writes the workloads and what belongs to them.
pub async fn apply(objects: &Objects, nodes: usize) -> Result<Owners, String> {
    for (name, data) in [
        (
            "cilium-config",
            json!({"ipam": "cluster-pool", "cluster-pool-ipv4-cidr": "10.64.0.0/10",
                "cluster-pool-ipv4-mask-size": "24", "enable-ipv4": "true", "enable-ipv6": "false",
                "kube-proxy-replacement": "false", "routing-mode": "tunnel", "tunnel-protocol": "vxlan",
                "cluster-name": "default", "cluster-id": "0", "external-envoy-proxy": "true"}),
        ),
        (
            "coredns",
            json!({"Corefile": ".:53 {\n    errors\n    health\n    ready\n    kubernetes cluster.local\n}\n"}),
        ),
    ] {
        objects
            .apply_object(&json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": "kube-system"}, "data": data}))
            .await?;
    }
    let mut per_node = Vec::new();
    for (name, labels, spec) in [
        (
            "cilium",
            json!({"k8s-app": "cilium", "app.kubernetes.io/name": "cilium-agent"}),
            agent(),
        ),
        (
            "cilium-envoy",
            json!({"k8s-app": "cilium-envoy", "app.kubernetes.io/name": "cilium-envoy"}),
            envoy(),
        ),
        (
            "kube-proxy",
            json!({"component": "kube-proxy", "tier": "node"}),
            kube_proxy(),
        ),
    ] {
        let object = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "updateStrategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 2}},
                "template": {"metadata": {"labels": labels}, "spec": spec}},
            "status": {"currentNumberScheduled": nodes, "desiredNumberScheduled": nodes, "numberAvailable": nodes,
                "numberReady": nodes, "numberMisscheduled": 0, "observedGeneration": 1,
                "updatedNumberScheduled": nodes}});
        objects.apply_object(&object).await?;
        let made = objects
            .get(&format!("/apis/apps/v1/namespaces/kube-system/daemonsets/{name}"))
            .await?;
        let mut labels = labels;
        labels["controller-revision-hash"] = digits(name)[..10].into();
        labels["pod-template-generation"] = "1".into();
        let reference = owner("DaemonSet", name, &made);
        per_node.push(Owner {
            name,
            labels,
            spec,
            reference,
            host_network: true,
            position: 0,
        });
    }
    let mut single = Vec::new();
    for (name, labels, spec, host_network) in [
        ("coredns", json!({"k8s-app": "kube-dns"}), coredns(), false),
        (
            "cilium-operator",
            json!({"io.cilium/app": "operator", "name": "cilium-operator", "app.kubernetes.io/name": "cilium-operator"}),
            operator(),
            true,
        ),
    ] {
        let template = json!({"metadata": {"labels": labels}, "spec": spec});
        let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
            "status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2, "updatedReplicas": 2,
                "observedGeneration": 1, "conditions": [{"type": "Available", "status": "True",
                    "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability.",
                    "lastUpdateTime": now(), "lastTransitionTime": now()}]}});
        objects.apply_object(&object).await?;
        let made = objects
            .get(&format!(
                "/apis/apps/v1/namespaces/kube-system/deployments/{name}"
            ))
            .await?;
        let mut labels = labels;
        let hash = digits(name)[..10].to_owned();
        labels["pod-template-hash"] = hash.as_str().into();
        let set = format!("{name}-{hash}");
        object["kind"] = "ReplicaSet".into();
        object["metadata"] = json!({"name": set, "namespace": "kube-system", "labels": labels,
            "ownerReferences": [owner("Deployment", name, &made)]});
        object["spec"]["selector"]["matchLabels"] = labels.clone();
        object["spec"]["template"]["metadata"]["labels"] = labels.clone();
        object["status"] = json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1});
        objects.apply_object(&object).await?;
        let made = objects
            .get(&format!("/apis/apps/v1/namespaces/kube-system/replicasets/{set}"))
            .await?;
        for position in 0..2 {
            let (labels, spec, reference) = (labels.clone(), spec.clone(), owner("ReplicaSet", &set, &made));
            single.push(Owner {
                name,
                labels,
                spec,
                reference,
                host_network,
                position,
            });
        }
    }
    let ports = json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]);
    objects
        .apply_object(&json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": SERVICES, "selector": {"k8s-app": "kube-dns"}, "ports": ports}}))
        .await?;
    // As `fill` places the first pods of `single`: each on the node of its position.
    let endpoint = |position: usize| {
        json!({"addresses": [address([10, 64, 0, 200], (position % nodes) * 256 + position)],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": super::node_name(position % nodes)})
    };
    objects
        .apply_object(
            &json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "kube-dns-x7k2p", "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns", "k8s-app": "kube-dns"}},
            "endpoints": [endpoint(0), endpoint(1)], "ports": ports_of_slice()}),
        )
        .await?;
    Ok(Owners { per_node, single })
}

fn ports_of_slice() -> Value {
    json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}])
}

fn owner(kind: &str, name: &str, made: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": made["metadata"]["uid"], "controller": true,
        "blockOwnerDeletion": true})
}

/// A volume of the node, and where containers see it.
fn host_path(name: &str, path: &str) -> (Value, Value) {
    (
        json!({"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}}),
        json!({"name": name, "mountPath": path, "mountPropagation": "HostToContainer"}),
    )
}

fn field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}})
}

/// As large as the chart makes it: five init containers, a dozen volumes, probes and hooks.
fn agent() -> Value {
    const IMAGE: &str = "quay.io/cilium/cilium:v1.20.0";
    let (volumes, mounts): (Vec<Value>, Vec<Value>) = [
        ("cilium-run", "/var/run/cilium"),
        ("cilium-netns", "/var/run/netns"),
        ("bpf-maps", "/sys/fs/bpf"),
        ("hostproc", "/hostproc"),
        ("cilium-cgroup", "/run/cilium/cgroupv2"),
        ("cni-path", "/opt/cni/bin"),
        ("etc-cni-netd", "/etc/cni/net.d"),
        ("lib-modules", "/lib/modules"),
        ("xtables-lock", "/run/xtables.lock"),
        ("envoy-sockets", "/var/run/cilium/envoy/sockets"),
        ("host-proc-sys-net", "/host/proc/sys/net"),
        ("host-proc-sys-kernel", "/host/proc/sys/kernel"),
        ("hubble-tls", "/var/lib/cilium/tls/hubble"),
    ]
    .map(|(name, path)| host_path(name, path))
    .into_iter()
    .unzip();
    let environment = json!([
        field("K8S_NODE_NAME", "spec.nodeName"),
        field("CILIUM_K8S_NAMESPACE", "metadata.namespace"),
        {"name": "CILIUM_CLUSTERMESH_CONFIG", "value": "/var/lib/cilium/clustermesh/"},
        {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1"}}},
        {"name": "KUBE_CLIENT_BACKOFF_BASE", "value": "1"},
        {"name": "KUBE_CLIENT_BACKOFF_DURATION", "value": "120"},
    ]);
    let capabilities = [
        "CHOWN",
        "KILL",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "SYS_MODULE",
        "SYS_ADMIN",
        "SYS_RESOURCE",
        "DAC_OVERRIDE",
    ];
    let security = json!({"seLinuxOptions": {"level": "s0", "type": "spc_t"}, "capabilities": {"add": capabilities, "drop": ["ALL"]}});
    let initial = |name: &str, mounted: usize| {
        json!({"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "env": [environment[0]],
            "command": ["sh", "-ec", format!("cp /usr/bin/cilium-{name} /hostbin/cilium-{name}; nsenter --cgroup=/hostproc/1/ns/cgroup --mount=/hostproc/1/ns/mnt \"${{BIN_PATH}}/cilium-{name}\" $CGROUP_ROOT; rm /hostbin/cilium-{name}")],
            "securityContext": security, "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": mounts[..mounted]})
    };
    let probe = |failures: u32| {
        json!({"httpGet": {"host": "127.0.0.1", "path": "/healthz", "port": 9879, "scheme": "HTTP",
            "httpHeaders": [{"name": "brief", "value": "true"}]}, "failureThreshold": failures, "periodSeconds": 30})
    };
    json!({
        "hostNetwork": true, "priorityClassName": "system-node-critical", "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}], "nodeSelector": {"kubernetes.io/os": "linux"},
        "initContainers": [initial("config", 1), initial("mount-cgroup", 2), initial("apply-sysctl-overwrites", 2),
            initial("mount-bpf-fs", 1), initial("clean-cilium-state", 3)],
        "containers": [{"name": "cilium-agent", "image": IMAGE, "command": ["cilium-agent"],
            "args": ["--config-dir=/tmp/cilium/config-map"], "env": environment, "securityContext": security,
            "startupProbe": probe(300), "readinessProbe": probe(3), "livenessProbe": probe(10),
            "lifecycle": {"preStop": {"exec": {"command": ["/cni-uninstall.sh"]}}},
            "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}},
            "terminationMessagePolicy": "FallbackToLogsOnError", "volumeMounts": mounts}],
        "volumes": volumes,
    })
}

/// Another pod of the node's own network, of usual size.
fn on_the_host(name: &str, image: &str, arguments: &[&str]) -> Value {
    let (volumes, mounts): (Vec<Value>, Vec<Value>) = [
        ("config", "/var/run/config"),
        ("artifacts", "/var/run/cilium/envoy/artifacts"),
        ("sockets", "/var/run/cilium/envoy/sockets"),
        ("bpf-maps", "/sys/fs/bpf"),
        ("lib-modules", "/lib/modules"),
    ]
    .map(|(name, path)| host_path(name, path))
    .into_iter()
    .unzip();
    let probe = json!({"httpGet": {"host": "127.0.0.1", "path": "/healthz", "port": 9878, "scheme": "HTTP"},
        "periodSeconds": 30, "failureThreshold": 10});
    json!({
        "hostNetwork": true, "priorityClassName": "system-node-critical", "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": name, "image": image, "args": arguments,
            "env": [field("K8S_NODE_NAME", "spec.nodeName"), field("CILIUM_K8S_NAMESPACE", "metadata.namespace")],
            "readinessProbe": probe, "livenessProbe": probe, "startupProbe": probe,
            "resources": {"requests": {"cpu": "100m"}},
            "securityContext": {"capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN"], "drop": ["ALL"]}},
            "volumeMounts": mounts}],
        "volumes": volumes,
    })
}

fn envoy() -> Value {
    let arguments = [
        "-c",
        "/var/run/cilium/envoy/bootstrap-config.json",
        "--base-id",
        "0",
        "--log-level",
        "info",
    ];
    on_the_host("cilium-envoy", "quay.io/cilium/cilium-envoy:v1.36.2", &arguments)
}

fn kube_proxy() -> Value {
    let mut spec = on_the_host(
        "kube-proxy",
        "mcr.microsoft.com/oss/v2/kubernetes/kube-proxy:v1.34.4",
        &[],
    );
    spec["containers"][0]["command"] = json!([
        "kube-proxy",
        "--conntrack-max-per-core=0",
        "--metrics-bind-address=0.0.0.0:10249",
        "--kubeconfig=/var/lib/kubelet/kubeconfig",
        "--cluster-cidr=10.64.0.0/10",
        "--detect-local-mode=ClusterCIDR",
        "--pod-interface-name-prefix=",
        "--v=3"
    ]);
    spec
}

fn operator() -> Value {
    on_the_host(
        "cilium-operator",
        "quay.io/cilium/operator-generic:v1.20.0",
        &["--config-dir=/tmp/cilium/config-map"],
    )
}

fn coredns() -> Value {
    json!({
        "priorityClassName": "system-node-critical", "dnsPolicy": "Default",
        "containers": [{"name": "coredns", "image": "mcr.microsoft.com/oss/v2/kubernetes/coredns:v1.12.1-6",
            "args": ["-conf", "/etc/coredns/Corefile"],
            "ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"name": "dns-tcp", "containerPort": 53}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}},
            "resources": {"requests": {"cpu": "100m", "memory": "70Mi"}},
            "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": true}]}],
        "volumes": [{"name": "config-volume", "configMap": {"name": "coredns"}}],
    })
}
