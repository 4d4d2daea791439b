//! The plan itself: what preflight found, what will be created, the steps, and the gate's limit. The same inputs give
//! the same plan; there is no time in it.

use std::time::Duration;

use super::{
    ChartUsed, GatePlan, Inputs, Plan, PlannedValue, Step, blocks, outlasts_upgrades,
    preflight::{self, Found, Look},
};
use crate::core::{
    capture::Workload,
    cni::Cni,
    code::Change,
    codes::change::{FOREIGN_CNI, FOREIGN_RECONCILER, MANAGED_REFUSED},
    finding::{Finding, Subject},
    report::Report,
    words,
};

/// The plan of an install.
pub fn install(inputs: Inputs<'_>) -> Plan {
    let look = Look::of(&inputs);
    let found = preflight::found(&look);
    let creates = look.rendered.as_ref().map(|_| creates(&look));
    let gate = gate(&look);
    let steps = if found.nothing_to_do {
        vec![]
    } else {
        steps(&look, &found, creates.as_ref().map(Vec::len), &gate)
    };
    finish(&look, &inputs, found, creates, gate, steps)
}

/// The plan of any change, from what was found and what will be done.
pub(super) fn finish(
    look: &Look<'_>,
    inputs: &Inputs<'_>,
    mut found: Found,
    creates: Option<Vec<Subject>>,
    gate: GatePlan,
    steps: Vec<Step>,
) -> Plan {
    let (findings, before) = in_order(&mut found, inputs);
    let change = inputs.request.change;
    let mut blocked_by: Vec<&'static str> = vec![];
    // Where nothing is done nothing can be forbidden.
    for finding in findings[..findings.len() - before]
        .iter()
        .filter(|f| !found.nothing_to_do && blocks(f, change))
    {
        if !blocked_by.contains(&finding.code.slug) {
            blocked_by.push(finding.code.slug);
        }
    }
    let report = inputs.report;
    let skipped = skipped(&found, inputs);
    let unread = inputs.surroundings.unread.clone();
    Plan {
        change,
        cni: look.name().to_string(),
        context: report.context.clone(),
        platform: (report.platform.name, report.platform.byocni),
        kubernetes_version: report.platform.kubernetes_version.clone(),
        nodes: (report.nodes.total, report.nodes.ready),
        chart: ChartUsed::of(inputs.chart),
        crd_charts: inputs.crd_charts.iter().map(ChartUsed::of).collect(),
        release: inputs.draft.release.clone(),
        namespace: inputs.draft.namespace.clone(),
        values: by_key(&inputs.draft.reasons),
        pools: inputs
            .draft
            .pools
            .iter()
            .enumerate()
            .map(|(at, pool)| (*pool, inputs.draft.masks.get(at).copied()))
            .collect(),
        creates,
        steps,
        gate,
        findings,
        before,
        skipped,
        incomplete: std::mem::take(&mut found.incomplete)
            .into_iter()
            .chain(unread)
            .collect(),
        blocked_by,
        nothing_to_do: found.nothing_to_do,
        from: None,
        hop: None,
        diff: None,
        rollout: None,
        from_revision: None,
        to_revision: None,
    }
}

/// The findings in their order, and how many at the end were there before: those that block first, then the plan's
/// own, then the state that the cluster was in.
fn in_order(found: &mut Found, inputs: &Inputs<'_>) -> (Vec<Finding>, usize) {
    let change = inputs.request.change;
    let forbids = |f: &Finding| !found.nothing_to_do && blocks(f, change);
    let mut own: Vec<Finding> = std::mem::take(&mut found.findings);
    own.extend(inputs.draft.findings.iter().cloned());
    own.extend(inputs.surroundings.findings.iter().cloned());
    let stands = |f: &Finding| change == Change::Upgrade && outlasts_upgrades(f);
    let (blocking, before) = split(inputs.report, &|f| forbids(f) && !stands(f));
    own.extend(blocking);
    own.sort_by(|a, b| {
        (
            !forbids(a),
            !about_owners(a),
            a.severity,
            a.code.id,
            &a.subjects,
            &a.message,
        )
            .cmp(&(
                !forbids(b),
                !about_owners(b),
                b.severity,
                b.code.id,
                &b.subjects,
                &b.message,
            ))
    });
    own.dedup();
    let count = before.len();
    own.extend(before);
    (own, count)
}

/// Whether it says that the network is somebody else's: then nothing else is worth mending for this change.
fn about_owners(finding: &Finding) -> bool {
    [&MANAGED_REFUSED, &FOREIGN_RECONCILER, &FOREIGN_CNI]
        .iter()
        .any(|code| code.id == finding.code.id)
}

/// The report's findings: those that forbid the change, and the others, in the report's order.
fn split(report: &Report, forbids: &dyn Fn(&Finding) -> bool) -> (Vec<Finding>, Vec<Finding>) {
    report.findings.iter().cloned().partition(|f| forbids(f))
}

fn by_key(reasons: &[PlannedValue]) -> Vec<PlannedValue> {
    let mut values = reasons.to_vec();
    values.sort_by(|a, b| a.key.cmp(&b.key));
    values
}

/// What will be created: what is rendered, each once, by kind, namespace and name.
fn creates(look: &Look<'_>) -> Vec<Subject> {
    let rendered = look.rendered.iter().flatten();
    let mut all: Vec<Subject> = rendered.map(|o| o.subject()).collect();
    all.sort();
    all.dedup();
    all
}

/// Rules that could not be applied, with the report's own: each once, in this order.
fn skipped(found: &Found, inputs: &Inputs<'_>) -> Vec<(String, String)> {
    let of_report = inputs
        .report
        .skipped
        .iter()
        .map(|s| (s.check.clone(), s.missing.clone()));
    let mut all: Vec<(String, String)> = vec![];
    for one in inputs
        .surroundings
        .skipped
        .iter()
        .cloned()
        .chain(found.skipped.iter().cloned())
        .chain(of_report)
    {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// Definitions that come from charts of their own.
pub(super) fn apply_crds(look: &Look<'_>) -> Option<Step> {
    let charts = look.crd_charts.iter();
    let charts: Vec<String> = charts.map(|c| format!("{} {}", c.name, c.version)).collect();
    (!charts.is_empty()).then(|| Step {
        name: "apply-crds",
        does: format!(
            "apply the CustomResourceDefinitions of {}, server-side, and wait until they are Established",
            charts.join(", ")
        ),
    })
}

fn steps(look: &Look<'_>, found: &Found, creates: Option<usize>, gate: &GatePlan) -> Vec<Step> {
    let (release, namespace) = (&look.draft.release, &look.draft.namespace);
    let mut steps = vec![Step {
        name: "lock",
        does: "take the cluster's lock for changes of its CNI, and begin the journal".into(),
    }];
    steps.extend(apply_crds(look));
    if found.adopts {
        steps.push(Step {
            name: "take-ownership",
            does: format!("let release {namespace}/{release} own the objects that are there already"),
        });
    }
    let objects = creates.map(|n| format!(", {}", words::count(n, "object")));
    steps.push(Step {
        name: "helm-install",
        does: format!(
            "install chart {} {} as release {namespace}/{release}{}",
            look.chart.name,
            look.chart.version,
            objects.unwrap_or_default()
        ),
    });
    steps.push(Step {
        name: "gate",
        does: format!(
            "wait for agents, nodes, cluster DNS and addresses of new pods, at most {}; then {} in which all of it holds",
            span(gate.timeout),
            span(gate.settle)
        ),
    });
    steps.push(Step {
        name: "record",
        does: "write down version and health, end the journal, give the lock back".into(),
    });
    steps
}

/// Time for the images of all agents, which every node pulls at once: Cilium's is 250 MB, a registry behind a proxy is
/// slow, and the kubelet backs off for minutes after a failure.
const PULL: u64 = 180;

/// Time for an operator to come up and make the agents.
const OPERATOR: u64 = 180;

/// Start-up of an agent whose startup probe does not say (DESIGN: "Young things").
const BUDGET: u64 = 300;

/// The most that a startup probe is believed: a typing error must not make us wait for a week.
const LONGEST_BUDGET: u64 = 3600;

/// How long everything must hold after it came up.
pub const SETTLE: Duration = Duration::from_secs(30);

/// How long the gate of an install may take: all agents start at once, so their start-up budget counts once; images,
/// an operator that has to make the agents first, and a second for every ten nodes come on top. Rounded up to whole
/// minutes. `asked` is `--timeout`, and decides.
pub fn gate_plan(nodes: usize, budget: Duration, operator: bool, asked: Option<Duration>) -> GatePlan {
    if let Some(timeout) = asked {
        return GatePlan {
            timeout,
            reason: "--timeout".into(),
            settle: SETTLE,
        };
    }
    let nodes_share = u64::try_from(nodes.div_ceil(10)).unwrap_or(LONGEST_BUDGET);
    let budget = budget.as_secs().min(LONGEST_BUDGET);
    let makes = if operator { OPERATOR } else { 0 };
    let seconds = budget
        .saturating_add(PULL)
        .saturating_add(makes)
        .saturating_add(nodes_share);
    let minutes = seconds.div_ceil(60);
    let mut parts = vec![
        words::count(nodes, "node"),
        format!("{} for an agent to start", span(Duration::from_secs(budget))),
        format!("{} for images", span(Duration::from_secs(PULL))),
    ];
    if operator {
        parts.push(format!(
            "{} for the operator",
            span(Duration::from_secs(OPERATOR))
        ));
    }
    GatePlan {
        timeout: Duration::from_secs(minutes.saturating_mul(60)),
        reason: parts.join(", "),
        settle: SETTLE,
    }
}

/// The gate of what the chart renders.
pub(super) fn gate(look: &Look<'_>) -> GatePlan {
    let agents: Vec<&Workload> = agents(look);
    // No agent among what is rendered: an operator makes them.
    let operator = look.rendered.is_some()
        && agents.is_empty()
        && look.workloads.iter().any(|(o, _)| o.kind == "Deployment");
    let budget = agents
        .iter()
        .map(|w| budget(look.cni, w))
        .max()
        .unwrap_or(Duration::from_secs(BUDGET));
    gate_plan(look.facts.nodes.len(), budget, operator, look.request.timeout)
}

/// The rendered DaemonSets of agents: those with the CNI's marks, else all.
fn agents<'l>(look: &'l Look<'_>) -> Vec<&'l Workload> {
    let sets = || {
        look.workloads
            .iter()
            .filter(|(o, _)| o.kind == "DaemonSet")
            .map(|(_, w)| w)
    };
    let marked: Vec<&Workload> = sets()
        .filter(|w| look.cni.is_some_and(|c| c.evidence(w).is_some()))
        .collect();
    if marked.is_empty() {
        sets().collect()
    } else {
        marked
    }
}

/// The start-up budget that an agent's startup probe gives it: tries times period, and what it waits before the first.
fn budget(cni: Option<&Cni>, agent: &Workload) -> Duration {
    let container = match cni {
        Some(cni) => cni.agent_container(agent),
        None => agent.spec.template.spec.containers.first(),
    };
    let Some(probe) = container.and_then(|c| c.startup_probe.as_ref()) else {
        return Duration::from_secs(BUDGET);
    };
    // Kubernetes' own defaults.
    let seconds = probe
        .failure_threshold
        .unwrap_or(3)
        .saturating_mul(probe.period_seconds.unwrap_or(10));
    Duration::from_secs(u64::try_from(seconds).unwrap_or(BUDGET).min(LONGEST_BUDGET))
}

/// `30 s`, `14 min`, `90 s`, `2 h 22 min`: whole minutes as minutes, long limits in minutes rounded up.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds.div_ceil(60);
    match seconds {
        _ if minutes >= 120 && minutes.is_multiple_of(60) => format!("{} h", minutes / 60),
        _ if minutes >= 120 => format!("{} h {} min", minutes / 60, minutes % 60),
        // Nobody counts the seconds of a limit that long.
        600.. => format!("{minutes} min"),
        60.. if seconds.is_multiple_of(60) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

/// What the plan is about, in a few words: `Install Cilium 1.19.6`, `Upgrade Cilium 1.19.6 to 1.20.0`, `Roll Cilium back
/// to revision 3 (1.19.6)`.
pub fn title(plan: &Plan) -> String {
    let (cni, version) = (&plan.cni, installs(&plan.chart));
    match (plan.change, &plan.from, plan.to_revision) {
        (Change::Install, ..) => format!("Install {cni} {version}"),
        (Change::Upgrade, Some(_), _) if plan.nothing_to_do => format!("Keep {cni} {version} as it is"),
        (Change::Upgrade, Some(from), _) if installs(from) == version => {
            format!("Upgrade {cni} {version} to other values")
        }
        (Change::Upgrade, Some(from), _) => format!("Upgrade {cni} {} to {version}", installs(from)),
        (Change::Upgrade, None, _) => format!("Upgrade {cni} to {version}"),
        (Change::Rollback, _, Some(revision)) => {
            format!("Roll {cni} back to revision {revision} ({version})")
        }
        (Change::Rollback, _, None) => format!("Roll {cni} back to {version}"),
    }
}

/// The version that a chart installs, else its own.
fn installs(chart: &ChartUsed) -> &str {
    let version = if chart.app_version.is_empty() {
        &chart.version
    } else {
        &chart.app_version
    };
    version.trim_start_matches('v')
}

#[cfg(test)]
mod tests;
