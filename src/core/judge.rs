//! From a capture to a report: asks every check, orders the answers, and says the verdict.

use std::collections::HashMap;

use super::{
    capture::{Capture, PodRow, Source, State},
    checks,
    code::Severity,
    facts::{AgentState, Asked, Facts, Ready, cidr},
    finding::Finding,
    report::{Cni, CoreDns, NodeRow, Nodes, PodCidr, Report, Skipped, Verdict, Workload},
};

/// Which nodes' rows are shown (`-l`): findings see all of them.
pub type Shown<'s> = &'s dyn Fn(&super::capture::Node) -> bool;

/// Judges a capture.
pub fn report(capture: &Capture, asked: &Asked, shown: Shown<'_>) -> Report {
    let facts = Facts::of(capture, asked);
    let (findings, skipped) = ask(&facts);
    let findings = in_order(to_roots(with_causes(findings)));
    let verdict = verdict(&facts, &findings);
    Report {
        verdict,
        taken_at: capture.taken_at,
        context: capture.context.as_ref().map(|c| c.line(200)),
        platform: facts.platform.clone(),
        nodes: nodes(&facts, &findings, shown),
        cni: cni(&facts),
        core_dns: core_dns(&facts),
        pod_cidr: pod_cidr(&facts),
        findings,
        skipped,
    }
}

/// Pods that would be told as duplicates or outsiders. They want a second look before they are: a list over many
/// pages is no snapshot, and an address that was freed on one page can be given again on the next.
pub fn suspects<'c>(capture: &'c Capture, asked: &Asked) -> Vec<&'c PodRow> {
    let facts = Facts::of(capture, asked);
    let outside = checks::outsiders(&facts).into_iter();
    let twice = facts.pods.duplicates().into_iter().flat_map(|(_, rows)| rows);
    let mut keys: Vec<(String, String)> = outside
        .chain(twice)
        .map(|row| (row.name.to_string(), row.node.to_string()))
        .collect();
    keys.sort();
    keys.dedup();
    let wanted: std::collections::HashSet<(String, String)> = keys.into_iter().collect();
    capture
        .pod_rows
        .iter()
        .filter(|row| wanted.contains(&(row.name.to_string(), row.node.to_string())))
        .collect()
}

/// Runs every check whose sources are there.
fn ask(facts: &Facts<'_>) -> (Vec<Finding>, Vec<Skipped>) {
    let (mut findings, mut skipped) = (vec![], vec![]);
    let own: Vec<Source> = facts
        .detection
        .main
        .iter()
        .flat_map(|m| m.cni.resources.iter().map(|r| Source::Custom(r.name)))
        .collect();
    for check in checks::of(facts) {
        let of_cni = own.iter().filter(|_| check.needs_cni_objects);
        let sources = check.needs.iter().chain(of_cni);
        let mut missing: Vec<String> = sources
            .filter_map(|source| facts.capture.state(*source).missing(*source))
            .collect();
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            findings.extend((check.run)(facts));
        } else {
            let needed = check.needed;
            skipped.push(Skipped {
                check: check.title.into(),
                missing: missing.join(", "),
                needed,
            });
        }
    }
    skipped.extend(second_family_unseen(facts));
    (findings, skipped)
}

/// The server's Table of pods has one address a pod: where a second family is in use, that half was not seen.
fn second_family_unseen(facts: &Facts<'_>) -> Option<Skipped> {
    let families: std::collections::BTreeSet<_> =
        facts.network.pools.iter().map(|p| cidr::family(p.cidr)).collect();
    let unseen = facts.capture.own
        && families.len() > 1
        && !facts.pods.addressed.is_empty()
        && facts.pods.addressed.iter().all(|row| row.second_ip.is_none());
    unseen.then(|| Skipped {
        check: "pods' addresses of the second family".into(),
        missing: "one address a pod (what the API server's table has)".into(),
        needed: false,
    })
}

/// A consequence is shown as one only beside its cause: where the cause is not told, nothing may be played down.
fn with_causes(mut findings: Vec<Finding>) -> Vec<Finding> {
    loop {
        // A cause that is itself played down counts only while its own cause stands.
        let told: Vec<&'static str> = findings.iter().map(|f| f.code.slug).collect();
        let orphan = findings
            .iter_mut()
            .find(|f| f.caused_by.is_some_and(|cause| !told.contains(&cause)));
        match orphan {
            Some(finding) => {
                finding.caused_by = None;
                finding.severity = finding.code.severity;
            }
            None => return findings,
        }
    }
}

/// A consequence of a consequence is shown under the cause of both. Where a code stands for several causes at once, it
/// stays what is named.
fn to_roots(mut findings: Vec<Finding>) -> Vec<Finding> {
    let above = |findings: &[Finding], slug: &str| {
        let mut causes = findings
            .iter()
            .filter(|f| f.code.slug == slug)
            .map(|f| f.caused_by);
        let first = causes.next().flatten();
        first.filter(|_| causes.all(|cause| cause == first))
    };
    // Deeper than any chain there is, and an end to those that would go in a circle.
    for _ in 0..4 {
        for i in 0..findings.len() {
            let higher = findings[i].caused_by.and_then(|cause| above(&findings, cause));
            let circle = higher == Some(findings[i].code.slug);
            if let Some(higher) = higher.filter(|_| !circle) {
                findings[i].caused_by = Some(higher);
            }
        }
    }
    findings
}

/// Worst first, then by code; consequences directly behind their cause.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| {
        (a.severity, a.code.id, &a.subjects, &a.message).cmp(&(
            b.severity,
            b.code.id,
            &b.subjects,
            &b.message,
        ))
    });
    let (consequences, causes): (Vec<Finding>, Vec<Finding>) = findings
        .into_iter()
        .partition(|f| f.caused_by.is_some() && f.severity == Severity::Info);
    let mut ordered: Vec<Finding> = vec![];
    let mut waiting: Vec<Option<Finding>> = consequences.into_iter().map(Some).collect();
    for cause in causes {
        ordered.push(cause);
        follow(&mut ordered, &mut waiting);
    }
    ordered.extend(waiting.into_iter().flatten());
    ordered
}

/// Appends the consequences of the finding that was added last, and theirs in turn.
fn follow(ordered: &mut Vec<Finding>, waiting: &mut [Option<Finding>]) {
    let mut from = ordered.len().saturating_sub(1);
    while from < ordered.len() {
        let cause = ordered[from].code.slug;
        let mut found: Vec<Finding> = vec![];
        for place in waiting.iter_mut() {
            if place.as_ref().is_some_and(|f| f.caused_by == Some(cause)) {
                found.extend(place.take());
            }
        }
        ordered.extend(found);
        from += 1;
    }
}

/// The state in one word (DESIGN: "Words").
fn verdict(facts: &Facts<'_>, findings: &[Finding]) -> Verdict {
    let unread = |source: Source| !facts.capture.knows(source);
    // Where there is no agent, there are no pods of the CNI to be read.
    let has_agent = facts
        .detection
        .main
        .as_ref()
        .is_some_and(|m| m.workload.is_some());
    if unread(Source::Nodes) || unread(Source::DaemonSets) || (has_agent && unread(Source::CniPods)) {
        return Verdict::Unknown;
    }
    if !findings.iter().any(|f| f.severity == Severity::Error) {
        return Verdict::Healthy;
    }
    let mute = !unread(Source::EndpointSlices) && !unread(Source::Services) && facts.dns.endpoints == 0;
    let somewhere = facts
        .served_nodes()
        .any(|(node, agent)| facts.gives_network(node, agent))
        || (!facts.detection.unknown.is_empty() && facts.nodes.iter().any(|n| n.ready == Ready::Yes))
        || (facts.detection.main.is_none()
            && !facts.detection.lost()
            && facts.nodes.iter().any(|n| n.ready == Ready::Yes));
    if mute || !somewhere {
        Verdict::Broken
    } else {
        Verdict::Degraded
    }
}

fn nodes(facts: &Facts<'_>, findings: &[Finding], shown: Shown<'_>) -> Nodes {
    let ready = facts.nodes.iter().filter(|n| n.ready == Ready::Yes).count();
    // One pass over the findings: thousands of nodes times dozens of findings would be slow.
    let mut by_node: HashMap<&str, Vec<&Finding>> = HashMap::new();
    for finding in findings {
        for subject in finding.subjects.iter().filter(|s| s.kind == "Node") {
            by_node.entry(subject.name.as_str()).or_default().push(finding);
        }
    }
    let agents: HashMap<&str, &AgentState> = facts.agents.iter().map(|a| (a.node, &a.state)).collect();
    let pods_known = facts.capture.knows(Source::Pods);
    let mut items: Vec<NodeRow> = facts
        .nodes
        .iter()
        .filter(|n| shown(n.node))
        .map(|n| {
            let of_node = by_node.get(n.name).map(Vec::as_slice).unwrap_or_default();
            let condition = n.ready_condition().filter(|_| n.ready != Ready::Yes);
            let own = facts.network.blocks.get(n.name).filter(|b| !b.is_empty());
            let worst_of_own = of_node.iter().map(|f| f.severity).min();
            NodeRow {
                name: n.name.to_string(),
                pool: n.pool.map(str::to_string),
                ready: (n.ready != Ready::Never).then_some(n.ready == Ready::Yes),
                reason: condition.map(|c| c.reason.line(80)),
                message: condition.map(|c| c.message.line(400)),
                agent: agents.get(n.name).and_then(|a| a.as_str()).map(str::to_string),
                pod_cidrs: own.unwrap_or(&n.pod_cidrs).clone(),
                internal_ips: n.internal_ips.clone(),
                pod_count: pods_known.then(|| facts.pods.per_node.get(n.name).copied().unwrap_or(0)),
                kubelet_version: Some(n.node.status.node_info.kubelet_version.line(40))
                    .filter(|v| !v.is_empty()),
                created: n.node.meta.creation_timestamp,
                worst: worst_of_own,
                codes: of_node
                    .iter()
                    .filter(|f| f.severity != Severity::Info || f.caused_by.is_some())
                    .map(|f| f.code.id)
                    .collect(),
            }
        })
        .collect();
    // Worst first: errors, then not Ready, then warnings; names in order within each.
    items.sort_by_key(|row| {
        (
            row.worst.unwrap_or(Severity::Info),
            row.ready == Some(true),
            row.name.clone(),
        )
    });
    Nodes {
        total: facts.nodes.len(),
        ready,
        not_ready: facts.nodes.len() - ready,
        items,
    }
}

fn cni(facts: &Facts<'_>) -> Option<Cni> {
    let detection = &facts.detection;
    let row = |kind: &'static str, w: &super::capture::Workload| Workload {
        kind,
        namespace: w.meta.namespace.to_string(),
        name: w.meta.name.to_string(),
        desired: w.desired(),
        updated: w.updated(),
        ready: w.ready(),
        available: w.available(),
    };
    let kind = |w: &super::capture::Workload| {
        if w.status.desired_number_scheduled.is_some() {
            "DaemonSet"
        } else {
            "Deployment"
        }
    };
    let Some(main) = &detection.main else {
        // Not known by name, and yet what the cluster has.
        let (workload, _) = detection.unknown.first()?;
        return Some(Cni {
            name: "unknown".into(),
            version: None,
            namespace: workload.meta.namespace.to_string(),
            managed_by: if facts.detection.signs.is_empty() {
                "unknown"
            } else {
                "platform"
            }
            .into(),
            release: None,
            workloads: detection
                .unknown
                .iter()
                .map(|(w, _)| row("DaemonSet", w))
                .collect(),
            others: vec![],
        });
    };
    let all = main
        .workload
        .into_iter()
        .chain(detection.more_agents.clone())
        .chain(detection.operators.clone())
        .chain(detection.helpers.clone());
    Some(Cni {
        name: main.cni.name.into(),
        version: detection.version(),
        namespace: main
            .workload
            .map_or("kube-system", |w| w.meta.namespace.as_str())
            .to_string(),
        managed_by: detection.managed_by(facts.capture, facts.release.as_ref()),
        release: facts.release.as_ref().map(|r| r.release.clone()),
        workloads: all.map(|w| row(kind(w), w)).collect(),
        others: detection
            .rivals
            .iter()
            .chain(&detection.companions)
            .map(|d| d.cni.name.to_string())
            .collect(),
    })
}

fn core_dns(facts: &Facts<'_>) -> CoreDns {
    let dns = &facts.dns;
    let workload = dns.deployment.or(dns.daemon_set);
    let endpoints_known = *facts.capture.state(Source::EndpointSlices) == State::Read;
    CoreDns {
        deployment: workload.map(|w| w.meta.name.to_string()),
        desired: workload.map(|w| w.desired()),
        ready: workload.map(|w| w.ready()),
        endpoints: endpoints_known.then_some(dns.endpoints),
        service_ip: dns.service_ips.first().copied(),
    }
}

fn pod_cidr(facts: &Facts<'_>) -> PodCidr {
    let room = checks::free_blocks(facts);
    PodCidr {
        pools: facts.network.pools.clone(),
        service_cidrs: facts.services.clone(),
        node_network: cidr::hulls(facts.nodes.iter().flat_map(|n| n.internal_ips.iter().copied())),
        kube_proxy_cluster_cidr: facts.kube_proxy.cluster_cidrs.clone(),
        capacity_nodes: room.map(|(total, _)| total),
        blocks_used: room.map(|(total, free)| total - free),
    }
}
