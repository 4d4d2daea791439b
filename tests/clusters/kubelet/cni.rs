//! What CNIs' agents and operators do to the API's objects when they run.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::super::api::Objects;
use super::pod::{Pod, digits, stamp};
use super::{Shared, tigera};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cni {
    Cilium,
    Calico,
    Flannel,
    /// Any other that lives on the nodes' podCIDRs.
    PodCidr,
}

/// Whose agent this pod is: by its container, whatever the DaemonSet, namespace or image are called.
pub fn agent(pod: &Pod) -> Option<Cni> {
    if !pod.spec.host_network
        || !pod
            .metadata
            .owner_references
            .iter()
            .any(|o| o.kind == "DaemonSet")
    {
        return None;
    }
    pod.spec
        .containers
        .iter()
        .find_map(|container| match container.name.as_str() {
            "cilium-agent" => Some(Cni::Cilium),
            "calico-node" => Some(Cni::Calico),
            "kube-flannel" => Some(Cni::Flannel),
            "antrea-agent" | "kube-router" | "weave" | "cni-server" => Some(Cni::PodCidr),
            _ => None,
        })
}

/// A node's part of the pod network.
pub struct Network {
    cni: Cni,
    block: Ipv4Net,
}

impl Network {
    pub fn is_cilium(&self) -> bool {
        self.cni == Cni::Cilium
    }

    pub fn plugin(&self) -> &'static str {
        match self.cni {
            Cni::Cilium => "cilium-cni",
            Cni::Calico => "calico",
            Cni::Flannel => "flannel",
            Cni::PodCidr => "bridge",
        }
    }

    /// Whether a pod can be connected only while the agent runs. Flannel's plugin reads a file that it left.
    pub fn needs_agent(&self) -> bool {
        self.cni != Cni::Flannel
    }

    /// What pods get, lowest first, without what the CNI takes for itself (router, health endpoint, tunnel).
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.block.hosts().skip(2)
    }
}

/// Blocks handed out of pools.
#[derive(Default)]
pub struct Pools {
    blocks: HashMap<Ipv4Net, Vec<String>>,
}

impl Pools {
    /// The node's block of this size; `None` if the pool is used up.
    fn block(&mut self, pool: Ipv4Net, size: u8, node: &str) -> Option<Ipv4Net> {
        let owners = self.blocks.entry(pool).or_default();
        let position = owners.iter().position(|owner| owner == node).unwrap_or_else(|| {
            owners.push(node.to_owned());
            owners.len() - 1
        });
        pool.subnets(size).ok()?.nth(position)
    }
}

/// The agent runs on this node: makes what it makes, or says why it exits.
pub async fn bring_up(shared: &Shared, name: &str, ip: &str, pod: &Pod) -> Result<Network, String> {
    let cni = agent(pod).ok_or("not an agent")?;
    let path = format!("/api/v1/nodes/{name}");
    let node = shared.objects.get(&path).await?;
    let pod_cidr = node["spec"]["podCIDR"]
        .as_str()
        .and_then(|cidr| cidr.parse::<Ipv4Net>().ok());
    let (block, condition, annotations) = match cni {
        Cni::Cilium => {
            let block = cilium(shared, &node, ip, pod, pod_cidr).await?;
            (
                block,
                Some(("CiliumIsUp", "Cilium is running on this node")),
                Value::Null,
            )
        }
        Cni::Calico => {
            let block = calico(shared, name, pod).await?;
            let annotations = json!({"projectcalico.org/IPv4Address": format!("{ip}/16"),
                "projectcalico.org/IPv4VXLANTunnelAddr": block.network().to_string()});
            (
                block,
                Some(("CalicoIsUp", "Calico is running on this node")),
                annotations,
            )
        }
        Cni::Flannel => {
            let block = flannel(&shared.objects, name, pod, pod_cidr).await?;
            let mac = digits(name).as_bytes()[..10]
                .chunks(2)
                .fold("02".to_owned(), |mac, byte| {
                    format!("{mac}:{}", String::from_utf8_lossy(byte))
                });
            let annotations = json!({
                "flannel.alpha.coreos.com/backend-data": json!({"VNI": 1, "VtepMAC": mac}).to_string(),
                "flannel.alpha.coreos.com/backend-type": "vxlan",
                "flannel.alpha.coreos.com/kube-subnet-manager": "true",
                "flannel.alpha.coreos.com/public-ip": ip});
            (
                block,
                Some(("FlannelIsUp", "Flannel is running on this node")),
                annotations,
            )
        }
        Cni::PodCidr => (pod_cidr.ok_or("node has no podCIDR")?, None, Value::Null),
    };
    if !annotations.is_null() {
        shared
            .objects
            .merge(&path, &json!({"metadata": {"annotations": annotations}}))
            .await?;
    }
    if let Some((reason, message)) = condition {
        let now = stamp(jiff::Timestamp::now());
        let patch = json!({"status": {"conditions": [{"type": "NetworkUnavailable", "status": "False",
            "reason": reason, "message": message, "lastHeartbeatTime": now, "lastTransitionTime": now}]}});
        shared
            .objects
            .merge_conditions(&format!("{path}/status"), &patch)
            .await?;
    }
    Ok(Network { cni, block })
}

/// The CiliumNode: its block from the operator, its addresses from the agent.
async fn cilium(
    shared: &Shared,
    node: &Value,
    ip: &str,
    agent: &Pod,
    pod_cidr: Option<Ipv4Net>,
) -> Result<Ipv4Net, String> {
    shared
        .definitions
        .get_or_try_init(|| cilium_definitions(&shared.objects))
        .await?;
    let name = node["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("/apis/cilium.io/v2/ciliumnodes/{name}");
    if let Some(known) = shared.objects.find(&path).await? {
        let block = known["spec"]["ipam"]["podCIDRs"][0]
            .as_str()
            .and_then(|cidr| cidr.parse().ok());
        return block.ok_or_else(|| format!("no podCIDR in CiliumNode {name}"));
    }
    let config = format!(
        "/api/v1/namespaces/{}/configmaps/cilium-config",
        agent.metadata.namespace
    );
    let config = shared.objects.find(&config).await?.unwrap_or_default();
    let setting = |key: &str, default: &str| {
        let value = config["data"][key].as_str().filter(|value| !value.is_empty());
        value.unwrap_or(default).to_owned()
    };
    let block = if setting("ipam", "cluster-pool") == "kubernetes" {
        pod_cidr.ok_or("required IPv4 PodCIDR not available")?
    } else {
        let pools = setting("cluster-pool-ipv4-cidr", "10.244.0.0/16");
        let size = setting("cluster-pool-ipv4-mask-size", "24")
            .parse()
            .map_err(|_| "mask size")?;
        let pools = pools
            .split([' ', ','])
            .filter_map(|pool| pool.parse::<Ipv4Net>().ok().map(|p| p.trunc()));
        let mut shares = shared.pools.lock().expect("the pools");
        let mut blocks = pools.filter_map(|pool| shares.block(pool, size, name));
        blocks.next().ok_or("no block left in the cluster pool")?
    };
    let mut hosts = block.hosts();
    let (router, health) = (hosts.next(), hosts.next());
    let object = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNode",
        "metadata": {"name": name, "labels": node["metadata"]["labels"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}]},
        "spec": {"addresses": [{"type": "InternalIP", "ip": ip}, {"type": "CiliumInternalIP", "ip": router}],
            "alibaba-cloud": {}, "azure": {}, "bootid": node["status"]["nodeInfo"]["bootID"], "encryption": {},
            "eni": {}, "health": {"ipv4": health}, "ingress": {},
            "ipam": {"podCIDRs": [block], "pools": {}}},
        "status": {"alibaba-cloud": {}, "azure": {}, "eni": {}, "ipam": {"operator-status": {}}}});
    shared
        .objects
        .create("/apis/cilium.io/v2/ciliumnodes", &object)
        .await?;
    Ok(block)
}

/// Those of Cilium's kinds that somebody reads. The operator makes them before anything else.
pub async fn cilium_definitions(objects: &Objects) -> Result<(), String> {
    for (kind, plural, scope, version) in [
        ("CiliumNode", "ciliumnodes", "Cluster", "v2"),
        ("CiliumEndpoint", "ciliumendpoints", "Namespaced", "v2"),
        ("CiliumIdentity", "ciliumidentities", "Cluster", "v2"),
        ("CiliumNetworkPolicy", "ciliumnetworkpolicies", "Namespaced", "v2"),
        (
            "CiliumClusterwideNetworkPolicy",
            "ciliumclusterwidenetworkpolicies",
            "Cluster",
            "v2",
        ),
        ("CiliumPodIPPool", "ciliumpodippools", "Cluster", "v2alpha1"),
        (
            "CiliumLoadBalancerIPPool",
            "ciliumloadbalancerippools",
            "Cluster",
            "v2",
        ),
        ("CiliumNodeConfig", "ciliumnodeconfigs", "Namespaced", "v2"),
    ] {
        define(objects, "cilium.io", kind, plural, scope, version).await?;
    }
    Ok(())
}

/// A definition that accepts anything, served when this returns. One that is there stays as it is.
pub async fn define(
    objects: &Objects,
    group: &str,
    kind: &str,
    plural: &str,
    scope: &str,
    version: &str,
) -> Result<(), String> {
    const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let singular = kind.to_lowercase();
    let object = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": scope,
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": singular},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
    objects.create(PATH, &object).await?;
    let list = format!("/apis/{group}/{version}/{plural}?limit=1");
    for _ in 0..200 {
        if objects.find(&list).await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(format!("{plural}.{group} is not served within ten seconds"))
}

/// Blocks are affinities that Calico's own datastore keeps; of the pool everybody can read the IPPool.
async fn calico(shared: &Shared, node: &str, agent: &Pod) -> Result<Ipv4Net, String> {
    const POOL: &str = "/apis/crd.projectcalico.org/v1/ippools";
    let known = shared
        .objects
        .find(&format!("{POOL}/default-ipv4-ippool"))
        .await?;
    let cidr = match &known {
        Some(pool) => pool["spec"]["cidr"].as_str().unwrap_or_default().to_owned(),
        None => {
            let variables = agent.spec.containers.iter().flat_map(|container| &container.env);
            let named = variables
                .filter(|v| v.name == "CALICO_IPV4POOL_CIDR")
                .map(|v| v.value.clone())
                .next();
            named.unwrap_or_else(|| "192.168.0.0/16".to_owned())
        }
    };
    let pool: Ipv4Net = cidr.parse().map_err(|e| format!("{cidr}: {e}"))?;
    if known.is_none() {
        define(
            &shared.objects,
            "crd.projectcalico.org",
            "IPPool",
            "ippools",
            "Cluster",
            "v1",
        )
        .await?;
        let object = json!({"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool",
            "metadata": {"name": "default-ipv4-ippool"},
            "spec": {"cidr": cidr, "blockSize": 26, "ipipMode": "Never", "vxlanMode": "Always", "natOutgoing": true,
                "nodeSelector": "all()", "allowedUses": ["Workload", "Tunnel"]}});
        shared.objects.create(POOL, &object).await?;
    }
    shared
        .pools
        .lock()
        .expect("the pools")
        .block(pool, 26, node)
        .ok_or_else(|| "no block left".to_owned())
}

/// flanneld takes the node's podCIDR, and only one that lies in its Network.
async fn flannel(
    objects: &Objects,
    node: &str,
    agent: &Pod,
    pod_cidr: Option<Ipv4Net>,
) -> Result<Ipv4Net, String> {
    let block =
        pod_cidr.ok_or_else(|| format!("failed to acquire lease: node \"{node}\" pod cidr not assigned"))?;
    let path = format!(
        "/api/v1/namespaces/{}/configmaps/kube-flannel-cfg",
        agent.metadata.namespace
    );
    let config = objects.find(&path).await?.unwrap_or_default();
    let config: Value = config["data"]["net-conf.json"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    match config["Network"]
        .as_str()
        .and_then(|network| network.parse::<Ipv4Net>().ok())
    {
        Some(network) if !network.contains(&block) => Err(format!(
            "failed to acquire lease: subnet {block} specified in the flannel net config doesn't contain {network}"
        )),
        _ => Ok(block),
    }
}

/// Cilium's operator takes its Lease, and keeps pods away from nodes whose agent is not Ready yet, until all are.
async fn cilium_operator(objects: Objects, namespace: String) {
    let operator = format!("/apis/apps/v1/namespaces/{namespace}/deployments/cilium-operator");
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "cilium-operator-resource-lock"}, "spec": {"holderIdentity": "played"}});
    if !matches!(objects.create(&leases, &lease).await, Ok(Some(_))) {
        // The other replica leads.
        return;
    }
    let agents = format!("/api/v1/namespaces/{namespace}/pods?labelSelector=k8s-app%3Dcilium");
    while let Ok(Some(_)) = objects.find(&operator).await {
        let mut waiting = true;
        if let (Ok(pods), Ok(nodes)) = (objects.get(&agents).await, objects.get("/api/v1/nodes").await) {
            let ready: Vec<&str> = items(&pods)
                .iter()
                .filter(|pod| is_ready(pod))
                .filter_map(|pod| pod["spec"]["nodeName"].as_str())
                .collect();
            waiting = ready.len() < items(&nodes).len();
            for node in items(&nodes) {
                let name = node["metadata"]["name"].as_str().unwrap_or_default();
                let _ = taint(&objects, node, !ready.contains(&name)).await;
            }
        }
        if !waiting {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Cilium's taint on a node, there or not. With the version that was read: others change taints at the same time.
pub async fn taint(objects: &Objects, node: &Value, wanted: bool) -> Result<(), String> {
    const KEY: &str = "node.cilium.io/agent-not-ready";
    let mut taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    if taints.iter().any(|taint| taint["key"] == KEY) == wanted {
        return Ok(());
    }
    taints.retain(|taint| taint["key"] != KEY);
    if wanted {
        taints.push(json!({"key": KEY, "effect": "NoSchedule"}));
    }
    let metadata = &node["metadata"];
    let path = format!("/api/v1/nodes/{}", metadata["name"].as_str().unwrap_or_default());
    let patch =
        json!({"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"taints": taints}});
    objects.merge(&path, &patch).await.map(drop)
}

/// What happens elsewhere when a pod has become ready.
pub async fn started(shared: &Shared, pod: &Pod) {
    let runs = |name: &str| pod.spec.containers.iter().any(|container| container.name == name);
    if runs("cilium-operator") {
        // Each time that it starts: somebody may have removed them.
        let _ = cilium_definitions(&shared.objects).await;
        tokio::spawn(cilium_operator(
            shared.objects.clone(),
            pod.metadata.namespace.clone(),
        ));
    }
    if runs("tigera-operator") {
        tokio::spawn(tigera::play(shared.objects.clone()));
    }
    if runs("metrics-server") {
        // Its API now works. No one answers for it here, so it is taken back instead: in both cases
        // discovery has no hole any more, and namespaces can be deleted.
        let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";
        let _ = shared.objects.delete(path).await;
    }
}
