//! An AKS cluster made with `--network-plugin none`, before anyone brings a CNI.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::control_plane::{ControlPlane, Options};
use super::kubelet::FakeKubelet;

const SUBSCRIPTION: &str = "8d3f6c1e-0000-4000-8000-2b7a5e4c9d10";
const GROUP: &str = "MC_byocni_byocni_westeurope";

/// Nobody gives nodes a podCIDR, services are in AKS's default range.
pub fn options() -> Options {
    Options {
        pod_cidr: None,
        service_cidr: "10.0.0.0/16",
        ..Options::default()
    }
}

/// What AKS brings, and `count` nodes: at most three of a system pool, the others of a user pool.
pub fn start(plane: &ControlPlane, count: usize) -> FakeKubelet {
    plane.apply(ADDONS);
    FakeKubelet::start(plane, nodes(count))
}

/// The nodes of both pools.
pub fn nodes(count: usize) -> Vec<Value> {
    let system = count.min(3);
    let mut nodes: Vec<Value> = (0..system)
        .map(|number| node("nodepool1", "system", number, number))
        .collect();
    nodes.extend((system..count).map(|position| node("workload", "user", position - system, position)));
    nodes
}

/// The `number`th node of a pool, with the cluster's `position`th address.
pub fn node(pool: &str, mode: &str, number: usize, position: usize) -> Value {
    let scale_set = format!("aks-{pool}-31337042-vmss");
    let name = format!("{scale_set}{}", base36(number));
    let first = u32::from(Ipv4Addr::new(10, 224, 0, 4));
    let ip = Ipv4Addr::from(first + u32::try_from(position).expect("fewer nodes than addresses"));
    let image = "AKSUbuntu-2404gen2containerd-202610.27.0";
    let id = format!(
        "azure:///subscriptions/{SUBSCRIPTION}/resourceGroups/{}/providers/Microsoft.Compute/\
         virtualMachineScaleSets/{scale_set}/virtualMachines/{number}",
        GROUP.to_lowercase()
    );
    let zone = "0";
    let labels = json!({
        "agentpool": pool,
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/instance-type": "Standard_D4ds_v5",
        "beta.kubernetes.io/os": "linux",
        "failure-domain.beta.kubernetes.io/region": "westeurope",
        "failure-domain.beta.kubernetes.io/zone": zone,
        "kubernetes.azure.com/agentpool": pool,
        "kubernetes.azure.com/cluster": GROUP,
        "kubernetes.azure.com/consolidated-additional-properties": "2f7c5c6e-b5a0-11f0-9a3f-7a1c5e9d0b44",
        "kubernetes.azure.com/kubelet-identity-client-id": "5c9e0f8a-0000-4000-8000-1d2b3a4c5e6f",
        "kubernetes.azure.com/localdns-state": "disabled",
        "kubernetes.azure.com/managedby": "aks",
        "kubernetes.azure.com/mode": mode,
        "kubernetes.azure.com/node-image-version": image,
        "kubernetes.azure.com/nodepool-type": "VirtualMachineScaleSets",
        "kubernetes.azure.com/os-sku": "Ubuntu",
        "kubernetes.azure.com/os-sku-effective": "Ubuntu2404",
        "kubernetes.azure.com/os-sku-requested": "Ubuntu",
        "kubernetes.azure.com/role": "agent",
        "kubernetes.azure.com/storageprofile": "managed",
        "kubernetes.azure.com/storagetier": "Premium_LRS",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/role": "agent",
        "node-role.kubernetes.io/agent": "",
        "node.kubernetes.io/instance-type": "Standard_D4ds_v5",
        "storageprofile": "managed",
        "storagetier": "Premium_LRS",
        "topology.disk.csi.azure.com/zone": "",
        "topology.kubernetes.io/region": "westeurope",
        "topology.kubernetes.io/zone": zone,
    });
    let capacity = json!({"cpu": "4", "ephemeral-storage": "129886128Ki", "hugepages-1Gi": "0",
        "hugepages-2Mi": "0", "memory": "16374256Ki", "pods": "250"});
    let allocatable = json!({"cpu": "3860m", "ephemeral-storage": "119703055367", "hugepages-1Gi": "0",
        "hugepages-2Mi": "0", "memory": "14360560Ki", "pods": "250"});
    let uuid = super::kubelet::digits(&name);
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels,
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
        "spec": {"providerID": id},
        "status": {
            "addresses": [{"type": "InternalIP", "address": ip}, {"type": "Hostname", "address": name}],
            "capacity": capacity,
            "allocatable": allocatable,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": images(&[
                "mcr.microsoft.com/oss/v2/kubernetes/kube-proxy:v1.34.4",
                "mcr.microsoft.com/oss/v2/kubernetes/coredns:v1.12.1-6",
                "mcr.microsoft.com/oss/v2/kubernetes/apiserver-network-proxy/agent:v0.33.0-2",
                "mcr.microsoft.com/oss/v2/kubernetes/metrics-server:v0.7.2-9",
                "mcr.microsoft.com/oss/v2/kubernetes/autoscaler/cluster-proportional-autoscaler:v1.9.0-4",
                "mcr.microsoft.com/oss/v2/kubernetes/pause:3.6",
            ]),
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": format!("{}-{}-4{}-8{}-{}", &uuid[..8], &uuid[8..12], &uuid[13..16], &uuid[17..20], &uuid[20..32]),
                "containerRuntimeVersion": "containerd://2.0.0-6",
                "kernelVersion": "6.8.0-1034-azure",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.34.4",
                "machineID": &uuid[..32],
                "operatingSystem": "linux",
                "osImage": "Ubuntu 24.04.3 LTS",
                "systemUUID": format!("{}-{}-4{}-8{}-{}", &uuid[32..40], &uuid[40..44], &uuid[45..48], &uuid[49..52], &uuid[52..64]),
            },
        },
    })
}

/// As a node lists them: by digest and by tag, largest first.
pub fn images(names: &[impl AsRef<str>]) -> Value {
    let image = |(position, name): (usize, &str)| {
        let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
        let digest = super::kubelet::digits(name);
        json!({"names": [format!("{repository}@sha256:{digest}"), name], "sizeBytes": 180_000_000 - position * 1_234_567})
    };
    names.iter().map(AsRef::as_ref).enumerate().map(image).collect()
}

/// Scale sets number their machines so, in six places.
fn base36(mut number: usize) -> String {
    let mut places = [b'0'; 6];
    for place in places.iter_mut().rev() {
        *place = b"0123456789abcdefghijklmnopqrstuvwxyz"[number % 36];
        number /= 36;
    }
    String::from_utf8_lossy(&places).into_owned()
}

/// kube-system of a fresh cluster, as far as the network goes. Tolerations decide what waits for the network:
/// CoreDNS and its neighbours do not tolerate not-ready, DaemonSets do.
const ADDONS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: kube-proxy, namespace: kube-system, labels: {kubernetes.azure.com/managedby: aks}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system, labels: {kubernetes.azure.com/managedby: aks}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: kube-proxy
  namespace: kube-system
  labels: {component: kube-proxy, tier: node, kubernetes.azure.com/managedby: aks, addonmanager.kubernetes.io/mode: Reconcile}
spec:
  selector: {matchLabels: {component: kube-proxy, tier: node}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, maxSurge: 0}}
  template:
    metadata: {labels: {component: kube-proxy, tier: node, kubernetes.azure.com/managedby: aks}}
    spec:
      hostNetwork: true
      serviceAccountName: kube-proxy
      priorityClassName: system-node-critical
      tolerations: [{key: CriticalAddonsOnly, operator: Exists}, {effect: NoExecute, operator: Exists}, {effect: NoSchedule, operator: Exists}]
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
            - matchExpressions:
              - {key: kubernetes.azure.com/cluster, operator: Exists}
              - {key: type, operator: NotIn, values: [virtual-kubelet]}
              - {key: kubernetes.io/os, operator: In, values: [linux]}
      initContainers:
      - name: kube-proxy-bootstrap
        image: mcr.microsoft.com/oss/v2/kubernetes/kube-proxy:v1.34.4
        command: [/bin/sh, -c]
        args: ["modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh nf_conntrack || true"]
        securityContext: {privileged: true}
      containers:
      - name: kube-proxy
        image: mcr.microsoft.com/oss/v2/kubernetes/kube-proxy:v1.34.4
        command:
        - kube-proxy
        - --conntrack-max-per-core=0
        - --metrics-bind-address=0.0.0.0:10249
        - --kubeconfig=/var/lib/kubelet/kubeconfig
        - --cluster-cidr=10.244.0.0/16
        - --detect-local-mode=ClusterCIDR
        - --pod-interface-name-prefix=
        - --v=3
        resources: {requests: {cpu: 100m}}
        securityContext: {privileged: true}
        volumeMounts: [{name: kubeconfig, mountPath: /var/lib/kubelet, readOnly: true}]
      volumes: [{name: kubeconfig, hostPath: {path: /var/lib/kubelet, type: ""}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: windows-kube-proxy-initializer
  namespace: kube-system
  labels: {component: windows-kube-proxy-initializer, tier: node, kubernetes.azure.com/managedby: aks}
spec:
  selector: {matchLabels: {component: windows-kube-proxy-initializer, tier: node}}
  template:
    metadata: {labels: {component: windows-kube-proxy-initializer, tier: node}}
    spec:
      hostNetwork: true
      nodeSelector: {kubernetes.io/os: windows}
      tolerations: [{operator: Exists}]
      securityContext: {windowsOptions: {hostProcess: true, runAsUserName: 'NT AUTHORITY\SYSTEM'}}
      containers:
      - name: pause
        image: mcr.microsoft.com/oss/v2/kubernetes/windows-kube-proxy-initializer:v1.34.4
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cloud-node-manager, namespace: kube-system, labels: {component: cloud-node-manager, kubernetes.azure.com/managedby: aks}}
spec:
  selector: {matchLabels: {k8s-app: cloud-node-manager}}
  template:
    metadata: {labels: {k8s-app: cloud-node-manager, component: cloud-node-manager}}
    spec:
      hostNetwork: true
      nodeSelector: {kubernetes.io/os: linux}
      priorityClassName: system-node-critical
      tolerations: [{operator: Exists}]
      containers:
      - {name: cloud-node-manager, image: "mcr.microsoft.com/oss/v2/kubernetes/azure-cloud-node-manager:v1.34.2"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: konnectivity-agent, namespace: kube-system, labels: {app: konnectivity-agent, kubernetes.azure.com/managedby: aks}}
spec:
  replicas: 2
  selector: {matchLabels: {app: konnectivity-agent}}
  template:
    metadata: {labels: {app: konnectivity-agent, kubernetes.azure.com/managedby: aks}}
    spec:
      nodeSelector: {kubernetes.azure.com/cluster: MC_byocni_byocni_westeurope, kubernetes.io/os: linux}
      priorityClassName: system-node-critical
      tolerations: [{key: CriticalAddonsOnly, operator: Exists}]
      containers:
      - name: konnectivity-agent
        image: mcr.microsoft.com/oss/v2/kubernetes/apiserver-network-proxy/agent:v0.33.0-2
        livenessProbe: {httpGet: {path: /healthz, port: 8082}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns, kubernetes.azure.com/managedby: aks}}
data:
  Corefile: |
    .:53 {
        errors
        ready
        health {
          lameduck 5s
        }
        kubernetes cluster.local in-addr.arpa ip6.arpa {
          pods insecure
          fallthrough in-addr.arpa ip6.arpa
          ttl 30
        }
        prometheus :9153
        forward . /etc/resolv.conf
        cache 30
        loop
        reload
        loadbalance
        import custom/*.override
    }
    import custom/*.server
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: coredns
  namespace: kube-system
  labels: {k8s-app: kube-dns, kubernetes.io/name: CoreDNS, version: v20, kubernetes.azure.com/managedby: aks, addonmanager.kubernetes.io/mode: Reconcile}
spec:
  replicas: 2
  selector: {matchLabels: {k8s-app: kube-dns, version: v20}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, maxSurge: 1}}
  template:
    metadata: {labels: {k8s-app: kube-dns, version: v20, kubernetes.azure.com/managedby: aks}}
    spec:
      serviceAccountName: coredns
      priorityClassName: system-node-critical
      dnsPolicy: Default
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{key: CriticalAddonsOnly, operator: Exists}]
      containers:
      - name: coredns
        image: mcr.microsoft.com/oss/v2/kubernetes/coredns:v1.12.1-6
        args: [-conf, /etc/coredns/Corefile]
        ports:
        - {name: dns, containerPort: 53, protocol: UDP}
        - {name: dns-tcp, containerPort: 53, protocol: TCP}
        - {name: metrics, containerPort: 9153, protocol: TCP}
        readinessProbe: {httpGet: {path: /ready, port: 8181}}
        livenessProbe: {httpGet: {path: /health, port: 8080}}
        resources: {requests: {cpu: 100m, memory: 70Mi}, limits: {cpu: "3", memory: 500Mi}}
        volumeMounts: [{name: config-volume, mountPath: /etc/coredns, readOnly: true}]
      volumes: [{name: config-volume, configMap: {name: coredns}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns-autoscaler, namespace: kube-system, labels: {k8s-app: coredns-autoscaler, kubernetes.azure.com/managedby: aks}}
spec:
  replicas: 1
  selector: {matchLabels: {k8s-app: coredns-autoscaler}}
  template:
    metadata: {labels: {k8s-app: coredns-autoscaler, kubernetes.azure.com/managedby: aks}}
    spec:
      serviceAccountName: coredns
      priorityClassName: system-node-critical
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{key: CriticalAddonsOnly, operator: Exists}]
      containers:
      - name: autoscaler
        image: mcr.microsoft.com/oss/v2/kubernetes/autoscaler/cluster-proportional-autoscaler:v1.9.0-4
        command: [/cluster-proportional-autoscaler, --namespace=kube-system, --configmap=coredns-autoscaler, --target=deployment/coredns]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns, kubernetes.io/name: CoreDNS, kubernetes.azure.com/managedby: aks}}
spec:
  clusterIP: 10.0.0.10
  selector: {k8s-app: kube-dns}
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: metrics-server, namespace: kube-system, labels: {k8s-app: metrics-server, kubernetes.azure.com/managedby: aks}}
spec:
  replicas: 2
  selector: {matchLabels: {k8s-app: metrics-server}}
  template:
    metadata: {labels: {k8s-app: metrics-server, kubernetes.azure.com/managedby: aks}}
    spec:
      priorityClassName: system-cluster-critical
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{key: CriticalAddonsOnly, operator: Exists}]
      containers:
      - {name: metrics-server, image: "mcr.microsoft.com/oss/v2/kubernetes/metrics-server:v0.7.2-9"}
---
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system, labels: {k8s-app: metrics-server, kubernetes.azure.com/managedby: aks}}
spec:
  selector: {k8s-app: metrics-server}
  ports: [{port: 443, targetPort: 4443, protocol: TCP}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io, labels: {kubernetes.azure.com/managedby: aks}}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-server, namespace: kube-system}
"#;
