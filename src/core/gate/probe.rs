//! A probe: a pod that is made after the change, on a node of our choice, to see where its address comes from. Its
//! sandbox's address is all that is judged: what its container does, or whether it starts at all, does not matter.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::core::{capture::Pod, facts::Facts, facts::cidr, words};

/// The namespace of the probes: it is there in every cluster, and is the last that a policy engine restricts.
pub const NAMESPACE: &str = "kube-system";

/// The label that every object of ours carries.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubectl-byocni");

/// The label that says which change a probe belongs to.
pub const OPERATION: &str = "byocni.io/operation";

/// How long a probe lives at most, in seconds, should nobody be left to remove it.
const LIFE: i64 = 300;

/// The kubelet's reasons for ending a pod that it had taken. Every other is a refusal at its admission: `OutOfpods`,
/// `NodeAffinity` and the like.
const LATER: &[&str] = &[
    "DeadlineExceeded",
    "Evicted",
    "Preempting",
    "NodeShutdown",
    "Terminated",
];

/// What was seen of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSeen {
    /// The pod's name.
    pub name: String,
    /// The node it is on.
    pub node: String,
    /// Its first address, once it has one.
    pub ip: Option<IpAddr>,
    /// Whether its addresses are from the pools.
    pub in_pool: bool,
    /// The kubelet would not have it (no room on the node): nothing is shown by it, another node must do.
    pub refused: bool,
    /// It ended without an address (its time is over, it was evicted): another one may be made in its place.
    pub spent: bool,
    /// What is wrong, or waited for; none where the address is good.
    pub problem: Option<String>,
}

impl ProbeSeen {
    /// Whether it shows what it was made to show.
    pub fn good(&self) -> bool {
        self.ip.is_some() && self.in_pool
    }
}

/// An operation's id as a label's value: what a label may not hold is left out.
pub fn operation_label(operation_id: &str) -> String {
    let fit = operation_id.chars().filter(char::is_ascii_alphanumeric);
    fit.map(|c| c.to_ascii_lowercase()).take(40).collect()
}

/// The name of the probe of an operation on a node: the same for the same, so that making it twice makes one.
pub fn name(node: &str, operation_id: &str) -> String {
    let digest = Sha256::digest(node.as_bytes());
    let short: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    let operation: String = operation_label(operation_id).chars().take(12).collect();
    format!("kubectl-byocni-probe-{short}-{operation}")
}

/// The probe's object. It is pinned past the scheduler, bears every taint, and keeps to the `restricted` Pod Security
/// Standard (<https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>).
///
/// `sleep` keeps the sandbox while it is looked at; in an image without it the container fails to start, which leaves
/// the address as it was.
pub fn pod(node: &str, image: &str, operation_id: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name(node, operation_id),
            "namespace": NAMESPACE,
            "labels": {
                MANAGED_BY.0: MANAGED_BY.1,
                OPERATION: operation_label(operation_id),
            },
        },
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "activeDeadlineSeconds": LIFE,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            // DNS is not asked for, and may not be up.
            "dnsPolicy": "Default",
            "tolerations": [{ "operator": "Exists" }],
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65534,
                "runAsGroup": 65534,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "probe",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", LIFE.to_string()],
                "resources": {
                    "requests": { "cpu": "1m", "memory": "4Mi" },
                    "limits": { "cpu": "50m", "memory": "32Mi" },
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    })
}

/// An image for a probe that the node has already, as far as it shows: that of the agent there, which is up wherever a
/// probe is wanted; else CoreDNS's, kube-proxy's, or that of any DaemonSet. None in a cluster without workloads.
pub fn image(facts: &Facts<'_>, node: &str) -> Option<String> {
    let agent = facts.agent(node).and_then(|a| a.pod);
    let agent = agent
        .and_then(|pod| pod.spec.containers.first())
        .map(|c| &c.image);
    let dns_here = facts
        .dns
        .pods
        .iter()
        .find(|p| p.spec.node_name == *node && p.ready());
    let dns_here = dns_here
        .and_then(|pod| pod.spec.containers.first())
        .map(|c| &c.image);
    let dns = facts.dns.deployment.or(facts.dns.daemon_set);
    let sets = &facts.capture.daemon_sets;
    let proxy = sets.iter().find(|w| w.meta.name == "kube-proxy");
    let templates = dns.into_iter().chain(proxy).chain(sets);
    let templates = templates
        .filter_map(|w| w.spec.template.spec.containers.first())
        .map(|c| &c.image);
    agent
        .into_iter()
        .chain(dns_here)
        .chain(templates)
        .find(|image| !image.is_empty())
        .map(|image| image.to_string())
}

/// What a probe shows. Where there are no pools any address is good; otherwise each address must lie in a pool, as far
/// as its family has one.
pub fn seen(pod: &Pod, pools: &[IpNet]) -> ProbeSeen {
    let listed = pod.status.pod_ips.iter().map(|p| &p.ip);
    let mut ips: Vec<IpAddr> = listed
        .chain([&pod.status.pod_ip])
        .filter_map(|ip| ip.parse().ok())
        .collect();
    ips.dedup();
    let stray = ips.iter().find(|ip| {
        let mut own = pools
            .iter()
            .filter(|p| cidr::family(**p) == cidr::family_of(**ip))
            .peekable();
        own.peek().is_some() && !own.any(|pool| pool.contains(*ip))
    });
    let inside = pools.is_empty() || ips.iter().any(|ip| pools.iter().any(|pool| pool.contains(ip)));
    let in_pool = !ips.is_empty() && inside && stray.is_none();
    let over = pod.status.phase == "Failed" && ips.is_empty();
    let spent = over && (pod.status.reason.is_empty() || LATER.contains(&pod.status.reason.as_str()));
    let refused = over && !spent;
    let problem = if in_pool {
        None
    } else if let Some(ip) = stray.or(ips.first()) {
        let pools = words::networks(pools.iter().copied());
        Some(format!(
            "a new pod there has {ip}, which is in none of the pools ({pools})"
        ))
    } else if refused {
        Some(format!(
            "the kubelet refused a new pod ({})",
            pod.status.reason.line(60)
        ))
    } else {
        Some("a new pod there has no address yet".into())
    };
    ProbeSeen {
        name: pod.meta.name.to_string(),
        node: pod.spec.node_name.to_string(),
        ip: ips.first().copied(),
        in_pool,
        refused,
        spent,
        problem,
    }
}
