//! Does cluster DNS answer?

use jiff::SignedDuration;

use super::{Check, agents::error_of};
use crate::core::{
    capture::{Pod, Source},
    cni::BlockModel,
    code::Code,
    codes::{
        cidrs::{POD_IP_OUTSIDE_NODE_BLOCK, POD_IP_OUTSIDE_POOL},
        dns::{COREDNS_DEGRADED, COREDNS_MISSING, COREDNS_NOT_READY, COREDNS_PENDING, COREDNS_UNMANAGED},
        nodes::{NO_NODES, NODE_JOINING},
        workload::{CNI_LEFTOVER, CNI_MISSING},
    },
    facts::{AgentState, Facts, agents, cidr},
    finding::{Finding, Subject},
    words,
};

/// Nodes too: without them a DNS that does not answer cannot be told from what keeps it from answering.
const NEEDS: &[Source] = &[
    Source::Nodes,
    Source::Services,
    Source::EndpointSlices,
    Source::CniPods,
    Source::Deployments,
];

pub(super) const ALL: &[Check] = &[
    Check {
        title: "cluster DNS",
        needs: NEEDS,
        needs_cni_objects: false,
        needed: true,
        run: answers,
    },
    Check {
        title: "CoreDNS's addresses",
        needs: &[
            Source::Nodes,
            Source::Services,
            Source::CniPods,
            Source::DaemonSets,
            Source::ConfigMaps,
        ],
        needs_cni_objects: true,
        needed: true,
        run: addresses,
    },
];

/// What keeps every pod without a network, where something does.
fn blame(facts: &Facts<'_>) -> Option<&'static Code> {
    let detection = &facts.detection;
    if !facts.any_linux() {
        return Some(&NO_NODES);
    }
    if detection.main.is_none() {
        return if detection.lost() {
            Some(&CNI_LEFTOVER)
        } else if detection.unknown.is_empty()
            && facts
                .nodes
                .iter()
                .all(|n| n.ready != crate::core::facts::Ready::Yes)
        {
            Some(&CNI_MISSING)
        } else {
            None
        };
    }
    if facts
        .served_nodes()
        .any(|(node, agent)| facts.gives_network(node, agent))
    {
        return None;
    }
    facts.agents.iter().find_map(|agent| error_of(&agent.state))
}

fn answers(facts: &Facts<'_>) -> Vec<Finding> {
    let dns = &facts.dns;
    let Some(service) = dns.service else {
        return vec![Finding::new(
            &COREDNS_MISSING,
            vec![],
            "there is no kube-dns Service in kube-system".into(),
            "kubectl -n kube-system get services,deployments",
        )];
    };
    if dns.deployment.is_none() && dns.daemon_set.is_none() && dns.pods.is_empty() {
        return vec![Finding::new(
            &COREDNS_MISSING,
            vec![Subject::namespaced(
                "Service",
                &service.meta.namespace,
                &service.meta.name,
            )],
            format!(
                "the Service {}/{} selects no workload",
                service.meta.namespace, service.meta.name
            ),
            "kubectl -n kube-system get deployments --show-labels",
        )];
    }
    let subjects = || match dns.deployment.or(dns.daemon_set) {
        Some(w) => {
            let kind = if dns.deployment.is_some() {
                "Deployment"
            } else {
                "DaemonSet"
            };
            vec![Subject::namespaced(kind, &w.meta.namespace, &w.meta.name)]
        }
        None => vec![Subject::namespaced(
            "Service",
            &service.meta.namespace,
            &service.meta.name,
        )],
    };
    let alive: Vec<&Pod> = dns
        .pods
        .iter()
        .copied()
        .filter(|p| p.meta.deletion_timestamp.is_none())
        .collect();
    let waiting: Vec<&Pod> = alive
        .iter()
        .copied()
        .filter(|p| p.status.phase == "Pending")
        .collect();
    let describe = || {
        format!(
            "kubectl -n {} describe pods -l {}",
            service.meta.namespace,
            selector(facts)
        )
    };
    if dns.endpoints > 0 {
        // A pod that starts, as in every update, is none that fails.
        let state = |p: &Pod| agents::state_of(p, facts.taken_at(), BUDGET);
        let failing = |p: &&&Pod| !p.ready() && !matches!(state(p), AgentState::Starting { .. });
        let unready = alive.iter().filter(failing).count();
        if unready == 0 {
            return vec![];
        }
        return vec![Finding::new(
            &COREDNS_DEGRADED,
            subjects(),
            format!(
                "{unready} of {} {} not Ready; {} {}",
                words::count(alive.len(), "DNS pod"),
                words::are(unready),
                words::count(dns.endpoints, "endpoint"),
                words::verb(dns.endpoints, "answers", "answer")
            ),
            describe(),
        )];
    }
    if !waiting.is_empty() || alive.is_empty() {
        let why = waiting.iter().find_map(|p| why_waiting(p));
        let message = if alive.is_empty() {
            "no DNS pod is there".to_string()
        } else {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            format!(
                "no DNS pod answers, {} of {} Pending{why}",
                waiting.len(),
                alive.len()
            )
        };
        let finding = Finding::new(&COREDNS_PENDING, subjects(), message, describe());
        let starting = facts
            .agents
            .iter()
            .any(|a| matches!(a.state, AgentState::Starting { .. }));
        return vec![match blame(facts) {
            Some(code) => finding.because_of(code),
            // Nothing answers DNS, so this stays an error; what it waits for is said all the same.
            None if starting => Finding {
                caused_by: Some(NODE_JOINING.slug),
                ..finding
            },
            None => finding,
        }];
    }
    let finding = Finding::new(
        &COREDNS_NOT_READY,
        subjects(),
        format!(
            "none of {} is a ready endpoint of {}: {}",
            words::count(alive.len(), "DNS pod"),
            service.meta.name,
            alive.first().map(|p| why_not_ready(p, facts)).unwrap_or_default()
        ),
        format!(
            "kubectl -n {} logs -l {}",
            service.meta.namespace,
            selector(facts)
        ),
    );
    vec![match blame(facts) {
        Some(code) => finding.because_of(code),
        None => finding,
    }]
}

/// How long a DNS pod may take to become Ready.
const BUDGET: SignedDuration = SignedDuration::from_mins(5);

fn why_not_ready(pod: &Pod, facts: &Facts<'_>) -> String {
    let why = match agents::state_of(pod, facts.taken_at(), BUDGET) {
        AgentState::CrashLooping { container, last, .. } => {
            format!("container {container} restarts in a loop, last {last}")
        }
        AgentState::ImagePull { image, reason } => format!("image {image} cannot be pulled ({reason})"),
        AgentState::NotReady { why } | AgentState::Starting { waits: why } => why,
        _ => "it is Ready, and the EndpointSlice does not say so".into(),
    };
    format!("{} on {}: {why}", pod.meta.name, pod.spec.node_name)
}

fn selector(facts: &Facts<'_>) -> String {
    let selector = facts.dns.service.map(|s| &s.spec.selector);
    let pairs = selector
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

fn why_waiting(pod: &Pod) -> Option<String> {
    if pod.spec.node_name.is_empty() {
        let condition = pod.condition("PodScheduled").filter(|c| c.status == "False")?;
        return Some(condition.message.line(120)).filter(|m| !m.is_empty());
    }
    Some(format!(
        "{} waits for its sandbox on {}",
        pod.meta.name, pod.spec.node_name
    ))
}

fn addresses(facts: &Facts<'_>) -> Vec<Finding> {
    let pools = &facts.network.pools;
    if pools.is_empty() {
        return vec![];
    }
    let stray: Vec<(&Pod, std::net::IpAddr)> = facts
        .dns
        .pods
        .iter()
        .filter(|p| !p.spec.host_network)
        .filter_map(|p| {
            let ip: std::net::IpAddr = p.status.pod_ip.parse().ok()?;
            let own = facts.network.blocks.get(p.spec.node_name.as_str());
            if own.is_some_and(|blocks| blocks.iter().any(|block| block.contains(&ip))) {
                // Its node's own block: the pool moved, not the pod.
                return None;
            }
            let mut family = pools
                .iter()
                .filter(|pool| cidr::family(pool.cidr) == cidr::family_of(ip))
                .peekable();
            let retired = facts.network.retired.iter().any(|net| net.contains(&ip));
            (family.peek().is_some() && !retired && !family.any(|pool| pool.cidr.contains(&ip)))
                .then_some((*p, ip))
        })
        .collect();
    let Some((first, ip)) = stray.first() else {
        return vec![];
    };
    let finding = Finding::new(
        &COREDNS_UNMANAGED,
        stray
            .iter()
            .map(|(p, _)| Subject::namespaced("Pod", &p.meta.namespace, &p.meta.name))
            .collect(),
        format!(
            "{} an address of no pool of this CNI: {} has {ip}, the pools are {}",
            if stray.len() == 1 {
                "1 DNS pod keeps".to_string()
            } else {
                format!("{} DNS pods keep", stray.len())
            },
            first.meta.name,
            words::networks(pools.iter().map(|p| p.cidr))
        ),
        format!(
            "kubectl -n {} rollout restart {}",
            first.meta.namespace,
            restart_target(facts)
        ),
    );
    // They are pods like others: whoever tells that of all pods tells it of them.
    let outsiders = super::outsiders(facts);
    let told = |pod: &Pod| outsiders.iter().any(|row| *row.name == *pod.meta.name);
    vec![
        if facts.network.model == BlockModel::Borrowing && stray.iter().all(|(p, _)| told(p)) {
            finding.because_of(&POD_IP_OUTSIDE_POOL)
        } else if stray.iter().all(|(p, _)| told(p)) {
            finding.because_of(&POD_IP_OUTSIDE_NODE_BLOCK)
        } else {
            finding
        },
    ]
}

fn restart_target(facts: &Facts<'_>) -> String {
    let deployment = facts
        .dns
        .deployment
        .map(|d| format!("deployment/{}", d.meta.name));
    deployment
        .or_else(|| facts.dns.daemon_set.map(|d| format!("daemonset/{}", d.meta.name)))
        .unwrap_or_default()
}
