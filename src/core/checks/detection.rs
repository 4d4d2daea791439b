//! Is there a CNI, is it one, and whose is it?

use super::Check;
use crate::core::{
    capture::Source,
    cni::Role,
    codes::workload::{CNI_COMPANION, CNI_LEFTOVER, CNI_MANAGED, CNI_MISSING, CNI_MULTIPLE, CNI_UNKNOWN},
    facts::{Detected, Facts, Ready},
    finding::{Finding, Subject},
    words,
};

const NEEDS: &[Source] = &[Source::Nodes, Source::DaemonSets];

pub(super) const ALL: &[Check] = &[
    Check {
        title: "which CNI is installed",
        needs: NEEDS,
        needs_cni_objects: false,
        needed: true,
        run: present,
    },
    Check {
        title: "one CNI only",
        needs: BESIDE,
        needs_cni_objects: false,
        needed: true,
        run: multiple,
    },
    Check {
        title: "a CNI that the platform runs",
        needs: NEEDS,
        needs_cni_objects: false,
        needed: true,
        run: managed,
    },
    Check {
        title: "plugins beside the CNI",
        needs: BESIDE,
        needs_cni_objects: false,
        needed: false,
        run: companions,
    },
];

/// Whether a CNI is chained behind another is written in its ConfigMap.
const BESIDE: &[Source] = &[Source::Nodes, Source::DaemonSets, Source::ConfigMaps];

/// Where the newcomer goes from here.
const INSTALL: &str = "kubectl byocni install cilium";

fn present(facts: &Facts<'_>) -> Vec<Finding> {
    let detection = &facts.detection;
    let mut findings: Vec<Finding> = detection
        .unknown
        .iter()
        .map(|(workload, evidence)| {
            Finding::new(
                &CNI_UNKNOWN,
                vec![subject(workload)],
                format!("not known by name: {evidence}"),
                "",
            )
        })
        .collect();
    if detection.main.is_some() || !detection.unknown.is_empty() || facts.nodes.is_empty() {
        return findings;
    }
    if detection.lost() {
        findings.push(leftover(facts));
        return findings;
    }
    let linux: Vec<_> = facts.nodes.iter().filter(|n| n.linux && !n.is_virtual).collect();
    let ready = linux.iter().filter(|n| n.ready == Ready::Yes).count();
    if ready > 0 {
        findings.push(Finding::new(
            &CNI_UNKNOWN,
            vec![],
            format!(
                "{ready} of {} {} Ready, without a workload or trace of a CNI: a plugin that leaves neither is at work",
                words::count(linux.len(), "Linux node"),
                words::are(ready)
            ),
            "",
        ));
    } else if !linux.is_empty() {
        findings.push(Finding::new(
            &CNI_MISSING,
            vec![],
            format!(
                "{}, {} for want of a CNI; no workload of one, and no trace",
                words::count(linux.len(), "Linux node"),
                if linux.len() == 1 {
                    "NotReady"
                } else {
                    "all NotReady"
                }
            ),
            INSTALL,
        ));
    }
    findings
}

/// Nodes are Ready by what a CNI left on them, and no pod gets a network any more.
fn leftover(facts: &Facts<'_>) -> Finding {
    let detection = &facts.detection;
    let ready = facts.nodes.iter().filter(|n| n.linux && n.ready == Ready::Yes);
    let subjects: Vec<Subject> = ready.map(|n| Subject::node(n.name)).collect();
    let Some((cni, traces)) = detection.leftovers.first() else {
        let evidence = detection.sandboxes_fail.clone().unwrap_or_default();
        let message = format!(
            "no CNI runs, yet {} Ready by the configuration that one left in /etc/cni/net.d: {evidence}",
            if subjects.len() == 1 {
                "1 node is".to_string()
            } else {
                format!("{} nodes are", subjects.len())
            }
        );
        return Finding::new(&CNI_LEFTOVER, subjects, message, INSTALL);
    };
    let stuck = facts.pods.starting.len();
    let stuck = (stuck > 0).then(|| format!("; {} without a sandbox", words::count(stuck, "pod")));
    let others: Vec<&str> = detection.leftovers.iter().skip(1).map(|(c, _)| c.name).collect();
    let others = (!others.is_empty()).then(|| format!(" (also traces of {})", others.join(", ")));
    let message = format!(
        "no CNI runs and new pods get no network, yet {} left {}{}{}",
        cni.name,
        traces.join("; "),
        others.unwrap_or_default(),
        stuck.unwrap_or_default()
    );
    Finding::new(
        &CNI_LEFTOVER,
        subjects,
        message,
        format!("kubectl byocni install {}", cni.id),
    )
}

fn subject(workload: &crate::core::capture::Workload) -> Subject {
    Subject::namespaced("DaemonSet", &workload.meta.namespace, &workload.meta.name)
}

fn multiple(facts: &Facts<'_>) -> Vec<Finding> {
    let detection = &facts.detection;
    let all: Vec<&Detected<'_>> = detection.main.iter().chain(&detection.rivals).collect();
    if detection.rivals.is_empty() {
        return vec![];
    }
    let names: Vec<&str> = all.iter().map(|d| d.cni.name).collect();
    let evidence: Vec<&str> = all.iter().map(|d| d.evidence.as_str()).collect();
    vec![Finding::new(
        &CNI_MULTIPLE,
        all.iter().filter_map(|d| d.workload).map(subject).collect(),
        format!(
            "{} both give pods addresses: {}",
            names.join(" and "),
            evidence.join("; ")
        ),
        "kubectl byocni explain cni-multiple",
    )]
}

fn managed(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(main) = &facts.detection.main else {
        // A managed cluster whose workloads hide: the labels alone say so.
        let Some(sign) = facts.detection.signs.first() else {
            return vec![];
        };
        return vec![managed_finding("a CNI", &sign.evidence, vec![])];
    };
    if main.cni.role != Role::Managed {
        let Some(sign) = facts.detection.signs.first() else {
            return vec![];
        };
        return vec![managed_finding(main.cni.name, &sign.evidence, vec![])];
    }
    let overlay = facts.detection.signs.iter().any(|s| s.overlay);
    let name = if overlay && main.cni.id == "azure-cni" {
        "Azure CNI Overlay"
    } else {
        main.cni.name
    };
    vec![managed_finding(
        name,
        &main.evidence,
        main.workload.map(subject).into_iter().collect(),
    )]
}

fn managed_finding(name: &str, evidence: &str, subjects: Vec<Subject>) -> Finding {
    Finding::new(
        &CNI_MANAGED,
        subjects,
        format!(
            "the platform runs {name}: not a bring-your-own CNI; it is not changed by this tool ({evidence})"
        ),
        "",
    )
}

fn companions(facts: &Facts<'_>) -> Vec<Finding> {
    let found = facts.detection.companions.iter().map(|d| {
        let how = d.beside.clone().unwrap_or_else(|| "stands beside the CNI".into());
        Finding::new(
            &CNI_COMPANION,
            d.workload.map(subject).into_iter().collect(),
            format!("{}: {how} ({})", d.cni.name, d.evidence),
            "",
        )
    });
    found.collect()
}
