//! The plan of one hop, or of a rollback.

use std::time::Duration;

use super::{back, hops};
use crate::core::{
    capture::{Source, Workload},
    chart::Offered,
    cni::minor_of,
    code::Change,
    codes::{change::ALREADY_INSTALLED, release::RELEASE_PENDING},
    finding::{Finding, Subject},
    plan::{
        ChartUsed, GatePlan, Inputs, Plan, Step,
        assemble::{self, SETTLE, span},
        diff::Diff,
        preflight::{self, Found, Look},
    },
    revision::{Recorded, strategy_only},
    rollout::Schedule,
    text::Text,
    words,
};

/// What the plan of a hop is made from besides an install's inputs.
pub struct Extra<'a> {
    /// The revision that runs.
    pub from: &'a Recorded,
    /// The revision that a rollback goes to.
    pub to: Option<&'a Recorded>,
    /// What becomes different; absent where nothing could be rendered.
    pub diff: Option<Diff>,
    /// The rollout node by node; absent where the CNI's controllers roll.
    pub rollout: Option<Schedule>,
    /// How long everything must hold in the end.
    pub settle: Duration,
    /// Which hop of how many, from 1.
    pub hop: (usize, usize),
    /// What the chart's source offers; empty where it was not asked.
    pub offered: &'a [Offered],
}

/// The plan of one hop of an upgrade, or of a rollback.
pub fn plan(inputs: Inputs<'_>, extra: Extra<'_>) -> Plan {
    let look = Look::of(&inputs);
    let mut found = preflight::found_for_change(&look);
    found.findings.extend(pending(&look, &inputs, extra.from));
    let (from, cni) = (extra.from, inputs.request.cni);
    match extra.to {
        Some(to) => found
            .findings
            .extend(back::rollback_findings(look.facts, from, to, cni)),
        None => {
            let target = &inputs.chart.version;
            found.findings.extend(hops::patch_first(
                extra.offered,
                cni,
                &from.chart.version,
                target,
                look.facts,
            ));
            retired(&look, from, &mut found);
        }
    }
    unchanged(&look, &extra, &mut found);
    let creates = look.rendered.as_ref().map(|_| appear(&look, from));
    let gate = GatePlan {
        settle: extra.settle,
        ..gate(&look, extra.rollout.is_some())
    };
    let steps = if found.nothing_to_do {
        vec![]
    } else {
        steps(&look, &extra, &gate)
    };
    let mut plan = assemble::finish(&look, &inputs, found, creates, gate, steps);
    plan.from = Some(ChartUsed::of(&from.chart));
    plan.from_revision = Some(from.revision);
    plan.to_revision = extra.to.map(|r| r.revision);
    plan.hop = (extra.hop.1 > 1).then_some(extra.hop);
    plan.diff = extra.diff.map(|mut diff| {
        diff.count_pods(&|workload| pods(&look, workload));
        diff
    });
    plan.rollout = extra.rollout.filter(|_| !plan.nothing_to_do);
    plan
}

/// How many pods a workload has now.
fn pods(look: &Look<'_>, workload: &Subject) -> Option<usize> {
    let capture = look.facts.capture;
    let all = match workload.kind.as_str() {
        "DaemonSet" => &capture.daemon_sets,
        "Deployment" => &capture.deployments,
        _ => return None,
    };
    let here = |w: &&Workload| {
        w.meta.name == *workload.name && workload.namespace.as_deref() == Some(w.meta.namespace.as_str())
    };
    usize::try_from(all.iter().find(here)?.desired()).ok()
}

/// Helm refuses to upgrade a release that is pending. Where the report says so already it is not said twice.
fn pending(look: &Look<'_>, inputs: &Inputs<'_>, from: &Recorded) -> Option<Finding> {
    let told = &inputs.report.findings;
    if look.request.change == Change::Rollback || told.iter().any(|f| f.code == &RELEASE_PENDING) {
        return None;
    }
    let newest = look.surroundings.installed.as_ref();
    let (revision, status) = newest.map_or((from.revision, from.status.as_str()), |i| {
        (i.revision, i.status.as_str())
    });
    let (name, namespace) = (&look.draft.release, &look.draft.namespace);
    status.starts_with("pending").then(|| {
        Finding::new(
            &RELEASE_PENDING,
            vec![Subject::namespaced(
                "Secret",
                namespace,
                &format!("sh.helm.release.v1.{name}.v{revision}"),
            )],
            format!(
                "release {namespace}/{name} revision {revision} is {}",
                Text::new(status).line(40)
            ),
            "kubectl byocni resume, or without a journal of ours: kubectl byocni rollback",
        )
    })
}

/// Objects of kinds that the target no longer reads: their definitions are seen, they themselves are not.
fn retired(look: &Look<'_>, from: &Recorded, found: &mut Found) {
    let rules = look.request.cni.and_then(|c| c.installing).map(|i| i.upgrading);
    let minors = (minor_of(&from.chart.version), minor_of(&look.chart.version));
    let (Some(rules), (Some(old), Some(new))) = (rules, minors) else {
        return;
    };
    let runs = super::frozen::effective(&from.chart, &from.values);
    let capture = look.facts.capture;
    for row in rules.retired {
        let crossed = old < row.since && row.since <= new && (row.concerns)(&runs);
        let absent = capture.knows(Source::Crds) && !capture.crds.iter().any(|crd| crd.meta.name == row.crd);
        if crossed && !absent {
            found.skipped.push((
                format!(
                    "{} objects, which {}.{} no longer reads: {} took their place",
                    row.kind, row.since.0, row.since.1, row.instead
                ),
                format!("{} (not read; kubectl get {})", row.crd, row.crd),
            ));
        }
    }
}

/// The same version with the same values, deployed, is there already.
fn unchanged(look: &Look<'_>, extra: &Extra<'_>, found: &mut Found) {
    let from = extra.from;
    let plain = |version: &str| version.trim_start_matches('v').to_string();
    let same_chart =
        from.chart.name == look.chart.name && plain(&from.chart.version) == plain(&look.chart.version);
    let newest = look.surroundings.installed.as_ref();
    // What only held agents still was left in the middle: its agents are of the revision before.
    let whole = from.status == "deployed" && !strategy_only(&from.description);
    let deployed = whole && newest.is_none_or(|i| i.revision == from.revision);
    if !(same_chart && deployed && preflight::differing(&from.values, &look.draft.values).is_empty()) {
        return;
    }
    found.nothing_to_do = true;
    found.findings.push(Finding::new(
        &ALREADY_INSTALLED,
        vec![],
        format!(
            "release {}/{} revision {} is chart {} {} with these values",
            look.draft.namespace, look.draft.release, from.revision, from.chart.name, from.chart.version
        ),
        "",
    ));
}

/// What the hop brings that was not there: by kind, namespace and name.
fn appear(look: &Look<'_>, from: &Recorded) -> Vec<Subject> {
    let placed = |namespace: Option<&str>| namespace.unwrap_or(&look.draft.namespace).to_string();
    let there = |o: &crate::core::manifest::Object| {
        from.manifest.iter().any(|old| {
            old.kind == o.kind
                && old.name == o.name
                && old.group() == o.group()
                && placed(old.namespace.as_deref()) == placed(o.namespace.as_deref())
        })
    };
    let new = look.rendered.iter().flatten().filter(|o| !there(o));
    let mut all: Vec<Subject> = new.map(|o| o.subject()).collect();
    all.sort();
    all.dedup();
    all
}

/// Time between two agents of a controller that replaces them one after the other: the old one ends, the new one
/// starts. An agent that needs all of its budget stops the roll; it is waited for once.
const ROUND: u64 = 60;

/// How long the gate may take where the CNI's own controllers roll: a round for every so many nodes as they replace at
/// once, and what an install's gate takes on top. Rounded up to whole minutes. `asked` is `--timeout`, and decides.
pub fn rolling_gate_plan(nodes: usize, at_once: usize, gate: GatePlan, asked: Option<Duration>) -> GatePlan {
    if asked.is_some() {
        return gate;
    }
    let rounds = u64::try_from(nodes.div_ceil(at_once.max(1))).unwrap_or(u64::MAX);
    let seconds = gate
        .timeout
        .as_secs()
        .saturating_add(rounds.saturating_mul(ROUND));
    GatePlan {
        timeout: Duration::from_secs(seconds.div_ceil(60).saturating_mul(60)),
        reason: format!(
            "{}, {} of {} for {} at once",
            gate.reason,
            words::count(usize::try_from(rounds).unwrap_or(usize::MAX), "round"),
            span(Duration::from_secs(ROUND)),
            words::count(at_once.max(1), "node")
        ),
        settle: SETTLE,
    }
}

/// The gate behind the rollout, or around the controllers' own.
fn gate(look: &Look<'_>, by_us: bool) -> GatePlan {
    let gate = assemble::gate(look);
    if by_us {
        return gate;
    }
    let nodes = look
        .facts
        .nodes
        .iter()
        .filter(|n| n.linux && !n.is_virtual)
        .count();
    rolling_gate_plan(nodes, at_once(look, nodes), gate, look.request.timeout)
}

/// How many agents their controller replaces at once: the least that a rendered DaemonSet allows, one where none says
/// (Kubernetes' default, and that of Calico's operator).
fn at_once(look: &Look<'_>, nodes: usize) -> usize {
    let sets = look.workloads.iter().filter(|(o, _)| o.kind == "DaemonSet");
    let allowed = sets.map(|(o, _)| {
        let value = o
            .value
            .pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable");
        let percent = value.and_then(|v| v.as_str()?.strip_suffix('%')?.parse::<usize>().ok());
        let number = value.and_then(|v| usize::try_from(v.as_u64()?).ok());
        match percent {
            // Rounded up, as the controller does.
            Some(percent) => nodes.saturating_mul(percent).div_ceil(100),
            None => number.unwrap_or(1),
        }
    });
    allowed.min().unwrap_or(1).max(1)
}

fn steps(look: &Look<'_>, extra: &Extra<'_>, gate: &GatePlan) -> Vec<Step> {
    let (release, namespace) = (&look.draft.release, &look.draft.namespace);
    let mut steps = vec![Step {
        name: "lock",
        does: "take the cluster's lock for changes of its CNI, and begin the journal".into(),
    }];
    steps.extend(assemble::apply_crds(look));
    let by_us = extra.rollout.is_some();
    let strategy = if by_us {
        ", with updateStrategy OnDelete: no agent restarts by itself"
    } else {
        ""
    };
    let chart = format!("chart {} {}", look.chart.name, look.chart.version);
    steps.push(Step {
        name: "helm-upgrade",
        does: match extra.to {
            Some(to) => format!(
                "bring release {namespace}/{release} to {chart} and the values of revision {}, from its record{strategy}",
                to.revision
            ),
            None => format!("upgrade release {namespace}/{release} to {chart}{strategy}"),
        },
    });
    if let Some(schedule) = &extra.rollout {
        steps.extend(rolled(schedule));
    }
    let around = if by_us {
        ""
    } else {
        " while the CNI's controllers replace them"
    };
    steps.push(Step {
        name: "gate",
        does: format!(
            "wait for agents, nodes, cluster DNS and addresses of new pods{around}, at most {}; then {} in which all of it holds",
            span(gate.timeout),
            span(gate.settle)
        ),
    });
    if by_us {
        steps.push(Step {
            name: "strategy",
            does: "give the chart's own updateStrategy back; no pod moves".into(),
        });
    }
    steps.push(Step {
        name: "record",
        does: "write down version and health, end the journal, give the lock back".into(),
    });
    steps
}

/// The rollout node by node.
fn rolled(schedule: &Schedule) -> Vec<Step> {
    let mut steps = vec![Step {
        name: "operator",
        does: "wait until the operator runs the new version".into(),
    }];
    if !schedule.canaries.is_empty() {
        let pause = if schedule.pause {
            ", then stop until told to resume"
        } else {
            ""
        };
        steps.push(Step {
            name: "canary",
            does: format!(
                "replace the agent of {} alone, one after the other; each must hold for {}{pause}",
                words::names(&schedule.canaries),
                span(schedule.soak)
            ),
        });
    }
    let others = schedule.nodes.saturating_sub(schedule.canaries.len());
    if others > 0 {
        steps.push(Step {
            name: "waves",
            does: format!(
                "replace the agents of {} in {}, at most {} without an agent at once; at most {} for all of it",
                words::count(others, "other node"),
                words::count(schedule.waves, "wave"),
                words::count(schedule.max_parallel, "node"),
                span(schedule.limit)
            ),
        });
    }
    steps
}
