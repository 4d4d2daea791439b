//! Reports built by hand, one for each state of a cluster that a reader may meet.

use crate::core::{
    code::{Code, Severity},
    finding::{Finding, Subject},
    report::{
        Byocni, Cni, CoreDns, NodeRow, Nodes, Platform, PodCidr, Pool, Release, Report, ServiceRange,
        Skipped, Verdict, Workload,
    },
};
use jiff::Timestamp;

const fn code(id: &'static str, slug: &'static str, severity: Severity, title: &'static str) -> Code {
    Code {
        id,
        slug,
        severity,
        blocks: &[],
        title,
        means: "The agents of the CNI write a configuration into /etc/cni/net.d on each node. Until one is there, \
                the kubelet reports NetworkPluginNotReady.\n\nNothing that needs an address of its own can start:\n\
                - pods stay in ContainerCreating\n- CoreDNS answers nothing, so that names resolve nowhere in the \
                whole cluster",
        matters: "No workload runs until the agent of <node> writes `<name>`.",
        see: "kubectl get daemonsets --all-namespaces --selector app.kubernetes.io/part-of=a-very-long-label-value\n\
              The list is empty or names no CNI:\n$ kubectl get nodes -o jsonpath='{.items[*].status.conditions}'",
        fix: "kubectl byocni install cilium",
        sources: &[
            "https://learn.microsoft.com/en-us/azure/aks/use-byo-cni",
            "Seen on Cilium 1.19.2",
        ],
    }
}

pub static CNI_MISSING: Code = code("BYO0201", "cni-missing", Severity::Error, "No CNI is installed");
pub static NETWORK_NOT_READY: Code = code(
    "BYO0101",
    "node-network-not-ready",
    Severity::Error,
    "Nodes wait for a network",
);
pub static DNS_PENDING: Code = code(
    "BYO0402",
    "coredns-pending",
    Severity::Error,
    "CoreDNS is pending",
);
pub static CRASH: Code = code(
    "BYO0206",
    "agent-crash-looping",
    Severity::Error,
    "An agent of the CNI restarts in a loop",
);
pub static BLOCKS: Code = code(
    "BYO0311",
    "node-blocks-overlap",
    Severity::Error,
    "Two nodes hold the same addresses",
);
pub static ROLLOUT: Code = code(
    "BYO0210",
    "rollout-incomplete",
    Severity::Warning,
    "A rollout has not reached every node",
);
pub static FORBIDDEN: Code = code(
    "BYO0001",
    "source-forbidden",
    Severity::Warning,
    "Something may not be read",
);
pub static UNALIGNED: Code = code(
    "BYO0320",
    "pod-cidr-unaligned",
    Severity::Info,
    "Kubernetes and the CNI number pods differently",
);
pub static JOINING: Code = code("BYO0107", "node-joining", Severity::Info, "A node is joining");

pub static ALL: [&Code; 9] = [
    &FORBIDDEN,
    &NETWORK_NOT_READY,
    &JOINING,
    &CNI_MISSING,
    &CRASH,
    &ROLLOUT,
    &BLOCKS,
    &UNALIGNED,
    &DNS_PENDING,
];

fn now() -> Timestamp {
    "2026-08-20T03:04:05Z".parse().expect("a time")
}

/// A node that is fine.
pub fn node(pool: &str, number: usize) -> NodeRow {
    NodeRow {
        name: format!("aks-{pool}-31415926-vmss{number:06x}"),
        pool: Some(pool.into()),
        ready: Some(true),
        reason: None,
        message: None,
        agent: Some("ready".into()),
        pod_cidrs: vec![format!("10.244.{}.0/24", number % 256).parse().expect("a CIDR")],
        internal_ips: vec![
            format!("10.224.{}.{}", number / 250, 4 + number % 250)
                .parse()
                .expect("an IP"),
        ],
        pod_count: Some(12 + number % 7),
        kubelet_version: Some("v1.34.4".into()),
        created: Some("2026-08-11T00:00:00Z".parse().expect("a time")),
        worst: None,
        codes: Vec::new(),
    }
}

fn unready(mut node: NodeRow) -> NodeRow {
    node.ready = Some(false);
    node.reason = Some("KubeletNotReady".into());
    node.message = Some(
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network \
         plugin returns error: cni plugin not initialized"
            .into(),
    );
    node
}

fn nodes(items: Vec<NodeRow>) -> Nodes {
    let ready = items.iter().filter(|n| n.ready == Some(true)).count();
    Nodes {
        total: items.len(),
        ready,
        not_ready: items.len() - ready,
        items,
    }
}

fn workload(kind: &'static str, name: &str, ready: i64, desired: i64) -> Workload {
    Workload {
        kind,
        namespace: "kube-system".into(),
        name: name.into(),
        desired,
        updated: desired,
        ready,
        available: ready,
    }
}

fn cilium(ready: i64, desired: i64) -> Cni {
    Cni {
        name: "Cilium".into(),
        version: Some("v1.19.2".into()),
        namespace: "kube-system".into(),
        managed_by: "helm".into(),
        release: Some(Release {
            name: "cilium".into(),
            namespace: "kube-system".into(),
            revision: Some(7),
            status: Some("deployed".into()),
            chart: Some("cilium".into()),
            version: Some("1.19.2".into()),
        }),
        workloads: vec![
            workload("DaemonSet", "cilium", ready, desired),
            workload("Deployment", "cilium-operator", 2, 2),
            workload("DaemonSet", "cilium-envoy", desired, desired),
        ],
        others: Vec::new(),
    }
}

/// All is well: three nodes in one pool, Cilium.
pub fn healthy() -> Report {
    Report {
        verdict: Verdict::Healthy,
        taken_at: now(),
        context: Some("prod-weu".into()),
        platform: Platform {
            name: "aks",
            byocni: Byocni::Confirmed,
            evidence: vec![
                "Nodes carry kubernetes.azure.com/cluster and a providerID of azure:///".into(),
                "Cilium is a Helm release of the users, with images from quay.io".into(),
            ],
            kubernetes_version: Some("v1.34.4".into()),
        },
        nodes: nodes((0..3).map(|n| node("system", n)).collect()),
        cni: Some(cilium(3, 3)),
        core_dns: CoreDns {
            deployment: Some("coredns".into()),
            desired: Some(2),
            ready: Some(2),
            endpoints: Some(2),
            service_ip: Some("10.0.0.10".parse().expect("an IP")),
        },
        pod_cidr: PodCidr {
            pools: vec![Pool {
                cidr: "10.244.0.0/16".parse().expect("a CIDR"),
                mask_size: Some(24),
                source: "kube-system/cilium-config".into(),
            }],
            service_cidrs: vec![ServiceRange {
                cidr: "10.0.0.0/16".parse().expect("a CIDR"),
                source: "ServiceCIDR/kubernetes".into(),
            }],
            node_network: vec!["10.224.0.0/24".parse().expect("a CIDR")],
            kube_proxy_cluster_cidr: vec!["10.244.0.0/16".parse().expect("a CIDR")],
            capacity_nodes: Some(256),
            blocks_used: Some(3),
        },
        findings: Vec::new(),
        skipped: Vec::new(),
    }
}

/// Just created with `--network-plugin none`.
pub fn fresh() -> Report {
    let items: Vec<NodeRow> = (0..3)
        .map(|n| NodeRow {
            agent: None,
            pod_cidrs: Vec::new(),
            pod_count: Some(0),
            ..unready(node("system", n))
        })
        .map(|n| NodeRow {
            worst: Some(Severity::Info),
            ..n
        })
        .collect();
    let subjects = items.iter().map(|n| Subject::node(&n.name)).collect();
    let healthy = healthy();
    Report {
        verdict: Verdict::Broken,
        context: Some("byocni-fresh".into()),
        cni: None,
        core_dns: CoreDns {
            ready: Some(0),
            endpoints: Some(0),
            ..healthy.core_dns.clone()
        },
        pod_cidr: PodCidr {
            pools: Vec::new(),
            blocks_used: None,
            capacity_nodes: None,
            ..healthy.pod_cidr.clone()
        },
        findings: vec![
            Finding::new(
                &CNI_MISSING,
                vec![],
                "3 Linux nodes and no workload of a CNI, nor a trace of one; all 3 nodes are NotReady by \
                 NetworkPluginNotReady"
                    .into(),
                "kubectl byocni install cilium",
            ),
            Finding::new(
                &NETWORK_NOT_READY,
                subjects,
                "3 of 3 nodes are NotReady: cni plugin not initialized".into(),
                "kubectl byocni install cilium",
            )
            .because_of(&CNI_MISSING),
            Finding::new(
                &DNS_PENDING,
                vec![Subject::namespaced("Deployment", "kube-system", "coredns")],
                "2 of 2 CoreDNS pods are Pending for 14m: no node is Ready".into(),
                "kubectl byocni install cilium",
            )
            .because_of(&CNI_MISSING),
        ],
        nodes: nodes(items),
        ..healthy
    }
}

/// Three problems on 42 nodes in three pools.
pub fn degraded() -> Report {
    let mut items: Vec<NodeRow> = (0..3).map(|n| node("system", n)).collect();
    items.extend((3..41).map(|n| node("user", n)));
    items.push(node("gpu", 41));
    let mut crashed = unready(items[34].clone());
    crashed.agent = Some("crash-looping".into());
    crashed.worst = Some(Severity::Error);
    crashed.codes = vec![CRASH.id];
    items[34] = crashed;
    for twin in [12, 27] {
        items[twin].pod_cidrs = vec!["10.244.12.0/24".parse().expect("a CIDR")];
        items[twin].worst = Some(Severity::Error);
        items[twin].codes = vec![BLOCKS.id];
    }
    items[41].agent = Some("outdated".into());
    items[41].worst = Some(Severity::Warning);
    items[41].codes = vec![ROLLOUT.id];
    let named = |at: usize| Subject::node(&items[at].name);
    let mut cni = cilium(41, 42);
    cni.workloads[0].updated = 41;
    let findings = vec![
        Finding::new(
            &CRASH,
            vec![named(34)],
            "cilium-agent on aks-user-31415926-vmss000022 exited 14 times in 31m, last with code 1 (Error): \
             unable to reach the API server at 10.0.0.1:443"
                .into(),
            "kubectl -n kube-system logs cilium-x7k2p --container cilium-agent --previous --tail 50",
        ),
        Finding::new(
            &BLOCKS,
            vec![named(12), named(27)],
            "aks-user-31415926-vmss00000c and aks-user-31415926-vmss00001b both use 10.244.12.0/24".into(),
            "Take the younger node out: kubectl drain aks-user-31415926-vmss00001b --ignore-daemonsets, then delete \
             its CiliumNode",
        ),
        Finding::new(
            &ROLLOUT,
            vec![named(41)],
            "1 of 42 pods of kube-system/cilium runs an older template for 3h".into(),
            "kubectl byocni resume",
        ),
        Finding::new(
            &NETWORK_NOT_READY,
            vec![named(34)],
            "aks-user-31415926-vmss000022 is NotReady: cni plugin not initialized".into(),
            "",
        )
        .because_of(&CRASH),
        Finding::new(
            &UNALIGNED,
            vec![],
            "node.spec.podCIDR is empty on all 42 nodes; Cilium hands out blocks of its own, so nothing reads it".into(),
            "",
        ),
    ];
    let healthy = healthy();
    Report {
        verdict: Verdict::Degraded,
        nodes: nodes(items),
        cni: Some(cni),
        pod_cidr: PodCidr {
            blocks_used: Some(41),
            ..healthy.pod_cidr.clone()
        },
        findings,
        ..healthy
    }
}

/// A reader that may list next to nothing.
pub fn unknown() -> Report {
    let healthy = healthy();
    let skip = |check: &str, missing: &str, needed: bool| Skipped {
        check: check.into(),
        missing: missing.into(),
        needed,
    };
    Report {
        verdict: Verdict::Unknown,
        context: None,
        platform: Platform {
            name: "unknown",
            byocni: Byocni::Unknown,
            evidence: Vec::new(),
            kubernetes_version: None,
        },
        nodes: Nodes::default(),
        cni: None,
        core_dns: CoreDns::default(),
        pod_cidr: PodCidr::default(),
        findings: vec![Finding::new(
            &FORBIDDEN,
            vec![],
            "system:serviceaccount:ci:reader may not list nodes".into(),
            "kubectl apply -f https://example.org/reader.yaml",
        )],
        skipped: vec![
            skip("Are the nodes ready?", "list nodes", true),
            skip("Do the nodes' blocks overlap?", "list nodes, list pods", true),
            skip("Does the release match?", "list secrets in kube-system", false),
        ],
        ..healthy
    }
}

/// 500 nodes, 40 of them broken in three ways.
pub fn large() -> Report {
    let mut items: Vec<NodeRow> = (0..500)
        .map(|n| node(["system", "user", "gpu"][n % 3], n))
        .collect();
    for (at, item) in items.iter_mut().enumerate().take(40) {
        *item = unready(item.clone());
        item.worst = Some(Severity::Error);
        item.codes = if at == 7 {
            vec![CRASH.id, BLOCKS.id]
        } else {
            vec![CRASH.id]
        };
        item.agent = Some(if at % 2 == 0 { "crash-looping" } else { "missing" }.into());
    }
    let subjects = items.iter().take(40).map(|n| Subject::node(&n.name)).collect();
    let healthy = healthy();
    Report {
        verdict: Verdict::Degraded,
        nodes: nodes(items),
        cni: Some(cilium(460, 500)),
        findings: vec![Finding::new(
            &CRASH,
            subjects,
            "cilium-agent restarts in a loop on 40 nodes, last with code 137 (OOMKilled)".into(),
            "Raise the agents' memory limit",
        )],
        ..healthy
    }
}

/// Long names, wide characters, markup and an endless context.
pub fn evil() -> Report {
    let mut report = degraded();
    report.context =
        Some("arn:aws:eks:eu-central-1:123456789012:cluster/".to_string() + &"漢字".repeat(5000));
    report.nodes.items[34].name = "x".repeat(253);
    report.nodes.items[12].name = "節点".repeat(40);
    report.nodes.items[12].pool = Some("|<b>`pool`</b>@team".into());
    report.nodes.items[27].reason = Some("r".repeat(300));
    report.nodes.items[27].ready = Some(false);
    report.findings[0].message = format!("<img src=x> | `code` @everyone {}", "w".repeat(700));
    report.findings[1].message = "網路".repeat(200);
    report.findings[1].fix = "kubectl describe node ".to_string() + &"n".repeat(253) + " --show-events=true";
    if let Some(cni) = &mut report.cni {
        cni.version = Some("v1.19.2-".to_string() + &"0".repeat(200));
        cni.others = vec!["Multus".into(), "Istio CNI".into(), "Linkerd".into()];
    }
    report
}

/// All of them by name.
pub fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("fresh", fresh()),
        ("healthy", healthy()),
        ("degraded", degraded()),
        ("unknown", unknown()),
        ("large", large()),
        ("evil", evil()),
    ]
}
