//! Are the CNI's components of one version?

use std::collections::BTreeMap;

use super::{Check, rollout};
use crate::core::{
    capture::{Source, Workload},
    cni::image_version,
    codes::workload::{AGENT_IMAGE_PULL, ROLLOUT_INCOMPLETE, VERSION_SKEW},
    facts::{AgentState, Facts},
    finding::{Finding, Subject},
};

const NEEDS: &[Source] = &[Source::DaemonSets, Source::Deployments];

pub(super) const ALL: &[Check] = &[Check {
    title: "the components' versions",
    needs: NEEDS,
    needs_cni_objects: false,
    needed: true,
    run: skew,
}];

/// Workloads that are released together, by their containers. Envoy and tigera-operator have versions of their own.
const SAME_SCHEME: &[&[&str]] = &[
    &["cilium-agent", "cilium-operator"],
    &["calico-node", "calico-typha", "calico-kube-controllers"],
    &["antrea-agent", "antrea-controller"],
];

fn skew(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(main) = &facts.detection.main else {
        return vec![];
    };
    let detection = &facts.detection;
    let workloads: Vec<&Workload> = main
        .workload
        .into_iter()
        .chain(detection.operators.clone())
        .chain(detection.helpers.clone())
        .collect();
    let mut findings = vec![];
    for scheme in SAME_SCHEME {
        let mut by_version: BTreeMap<String, Vec<(String, Subject)>> = BTreeMap::new();
        for workload in &workloads {
            for container in &workload.spec.template.spec.containers {
                let same = scheme.iter().any(|name| container.name == **name);
                // A rebuilt tag (`v3.31.3-hardened.1`) says nothing that can be compared.
                let version = image_version(&container.image).filter(|v| !v.contains(['-', '+', '_']));
                if let (true, Some(version)) = (same, version) {
                    let kind = if workload.status.desired_number_scheduled.is_some() {
                        "DaemonSet"
                    } else {
                        "Deployment"
                    };
                    let subject = Subject::namespaced(kind, &workload.meta.namespace, &workload.meta.name);
                    by_version
                        .entry(version)
                        .or_default()
                        .push((workload.meta.name.to_string(), subject));
                }
            }
        }
        if by_version.len() < 2 {
            continue;
        }
        let parts: Vec<String> = by_version
            .iter()
            .map(|(version, who)| {
                let names: Vec<&str> = who.iter().map(|(name, _)| name.as_str()).collect();
                format!("{} {version}", names.join(", "))
            })
            .collect();
        let mut subjects: Vec<Subject> = by_version
            .into_values()
            .flatten()
            .map(|(_, subject)| subject)
            .collect();
        subjects.sort();
        let finding = Finding::new(
            &VERSION_SKEW,
            subjects,
            format!("{} runs {}", main.cni.name, parts.join(" beside ")),
            "kubectl byocni upgrade",
        );
        // While a new version is on its way there are two.
        let pulling = facts
            .agents
            .iter()
            .any(|a| matches!(a.state, AgentState::ImagePull { .. }));
        findings.push(if pulling {
            finding.because_of(&AGENT_IMAGE_PULL)
        } else if rollout::running(facts) {
            finding.because_of(&ROLLOUT_INCOMPLETE)
        } else {
            finding
        });
    }
    findings
}
