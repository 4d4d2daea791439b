//! The machine's view: `ChangePlan` of byocni.io/v1alpha1, for JSON and YAML. Keys are only ever added, and absent
//! values are `null`; there is no time in it, so that the same cluster gives the same bytes.

use serde::Serialize;
use serde_json::Value;

use super::{diff_wire::DiffItem, findings::forbids, rollout::RolloutItem};
use crate::core::{
    finding::{Finding, Subject},
    plan::{ChartUsed, Plan, PlannedValue},
    text::Text,
};

/// `-o json`.
pub fn json(plan: &Plan) -> String {
    let mut text = serde_json::to_string_pretty(&ChangePlan::of(plan))
        .expect("strings, numbers and lists of them always have a JSON form");
    text.push('\n');
    text
}

/// `-o yaml`.
pub fn yaml(plan: &Plan) -> String {
    // JSON is YAML too: should the writer ever refuse, the reader still gets the document.
    crate::yaml::to_string(&ChangePlan::of(plan)).unwrap_or_else(|_| json(plan))
}

/// Several hops in one document, in their order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangePlanList<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<ChangePlan<'a>>,
    /// Whether any of them is.
    blocked: bool,
    blocked_by: Vec<&'static str>,
}

impl<'a> ChangePlanList<'a> {
    fn of(plans: &'a [Plan]) -> Self {
        let mut blocked_by: Vec<&'static str> = vec![];
        for slug in plans.iter().flat_map(|plan| &plan.blocked_by) {
            if !blocked_by.contains(slug) {
                blocked_by.push(slug);
            }
        }
        ChangePlanList {
            api_version: "byocni.io/v1alpha1",
            kind: "ChangePlanList",
            items: plans.iter().map(ChangePlan::of).collect(),
            blocked: plans.iter().any(Plan::blocked),
            blocked_by,
        }
    }
}

/// `-o json` of several hops.
pub fn json_list(plans: &[Plan]) -> String {
    let mut text = serde_json::to_string_pretty(&ChangePlanList::of(plans))
        .expect("strings, numbers and lists of them always have a JSON form");
    text.push('\n');
    text
}

/// `-o yaml` of several hops.
pub fn yaml_list(plans: &[Plan]) -> String {
    crate::yaml::to_string(&ChangePlanList::of(plans)).unwrap_or_else(|_| json_list(plans))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangePlan<'a> {
    api_version: &'static str,
    kind: &'static str,
    operation: &'static str,
    cni: &'a str,
    context: Option<&'a str>,
    cluster: Cluster<'a>,
    chart: Chart<'a>,
    crd_charts: Vec<Chart<'a>>,
    release: Release<'a>,
    values: Vec<ValueItem<'a>>,
    pools: Vec<Pool>,
    creates: Option<Vec<SubjectItem<'a>>>,
    steps: Vec<StepItem<'a>>,
    gate: Gate<'a>,
    /// What is installed now; `null` for an install.
    from: Option<Chart<'a>>,
    /// The revision that runs; `null` for an install.
    from_revision: Option<i64>,
    /// The revision that a rollback goes to.
    to_revision: Option<i64>,
    /// `null` where there is one hop alone.
    hop: Option<HopItem>,
    /// What becomes different; `null` for an install that takes nothing over, and where nothing could be rendered.
    diff: Option<DiffItem<'a>>,
    /// `null` where the CNI's own controllers roll.
    rollout: Option<RolloutItem<'a>>,
    findings: Vec<FindingItem<'a>>,
    skipped: Vec<SkippedItem<'a>>,
    /// Without these nothing may be planned.
    incomplete: &'a [String],
    blocked: bool,
    blocked_by: &'a [&'static str],
    nothing_to_do: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster<'a> {
    platform: &'static str,
    byocni: &'static str,
    kubernetes_version: Option<&'a str>,
    nodes: usize,
    ready_nodes: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chart<'a> {
    name: &'a str,
    version: &'a str,
    app_version: &'a str,
    digest: &'a str,
    source: &'a str,
}

#[derive(Serialize)]
struct HopItem {
    number: usize,
    of: usize,
}

#[derive(Serialize)]
struct Release<'a> {
    name: &'a str,
    namespace: &'a str,
}

#[derive(Serialize)]
struct ValueItem<'a> {
    key: &'a str,
    /// `null` where it is the user's own and may be a secret.
    value: Option<Value>,
    origin: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pool {
    cidr: String,
    mask_size: Option<u8>,
}

/// An object by its name.
#[derive(Serialize)]
pub struct SubjectItem<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

#[derive(Serialize)]
struct StepItem<'a> {
    name: &'static str,
    does: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gate<'a> {
    timeout_seconds: u64,
    settle_seconds: u64,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingItem<'a> {
    code: &'static str,
    slug: &'static str,
    severity: &'static str,
    subject: Option<SubjectItem<'a>>,
    message: &'a str,
    fix: &'a str,
    /// Whether this plan is refused for it.
    blocks: bool,
    /// Whether the cluster was in this state before.
    before: bool,
    /// All of them, only where there is more than the one above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<SubjectItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caused_by: Option<&'static str>,
}

#[derive(Serialize)]
struct SkippedItem<'a> {
    check: &'a str,
    missing: &'a str,
}

impl<'a> ChangePlan<'a> {
    fn of(plan: &'a Plan) -> Self {
        let (platform, byocni) = plan.platform;
        let own = plan.findings.len().saturating_sub(plan.before);
        ChangePlan {
            api_version: "byocni.io/v1alpha1",
            kind: "ChangePlan",
            operation: plan.change.as_str(),
            cni: &plan.cni,
            context: plan.context.as_deref(),
            cluster: Cluster {
                platform,
                byocni,
                kubernetes_version: plan.kubernetes_version.as_deref(),
                nodes: plan.nodes.0,
                ready_nodes: plan.nodes.1,
            },
            chart: chart(&plan.chart),
            crd_charts: plan.crd_charts.iter().map(chart).collect(),
            release: Release {
                name: &plan.release,
                namespace: &plan.namespace,
            },
            values: plan.values.iter().map(value).collect(),
            pools: plan
                .pools
                .iter()
                .map(|(cidr, mask)| Pool {
                    cidr: cidr.to_string(),
                    mask_size: *mask,
                })
                .collect(),
            creates: plan.creates.as_ref().map(|all| all.iter().map(subject).collect()),
            steps: plan
                .steps
                .iter()
                .map(|s| StepItem {
                    name: s.name,
                    does: &s.does,
                })
                .collect(),
            gate: Gate {
                timeout_seconds: plan.gate.timeout.as_secs(),
                settle_seconds: plan.gate.settle.as_secs(),
                reason: &plan.gate.reason,
            },
            from: plan.from.as_ref().map(chart),
            from_revision: plan.from_revision,
            to_revision: plan.to_revision,
            hop: plan.hop.map(|(number, of)| HopItem { number, of }),
            diff: plan.diff.as_ref().map(DiffItem::of),
            rollout: plan.rollout.as_ref().map(RolloutItem::of),
            findings: plan
                .findings
                .iter()
                .enumerate()
                .map(|(at, f)| finding(plan, f, at >= own))
                .collect(),
            skipped: plan
                .skipped
                .iter()
                .map(|(check, missing)| SkippedItem { check, missing })
                .collect(),
            incomplete: &plan.incomplete,
            blocked: plan.blocked(),
            blocked_by: &plan.blocked_by,
            nothing_to_do: plan.nothing_to_do,
        }
    }
}

fn chart(chart: &ChartUsed) -> Chart<'_> {
    Chart {
        name: &chart.name,
        version: &chart.version,
        app_version: &chart.app_version,
        digest: &chart.digest,
        source: &chart.source,
    }
}

fn value(value: &PlannedValue) -> ValueItem<'_> {
    ValueItem {
        key: &value.key,
        value: value.value.clone().map(harmless),
        origin: value.origin.as_str(),
        reason: &value.reason,
    }
}

/// Text without what a terminal would act on, for a document may be looked at in one.
fn harmless(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(Text::new(&text).as_str().to_string()),
        Value::Array(items) => items.into_iter().map(harmless).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k, harmless(v))).collect(),
        other => other,
    }
}

fn finding<'a>(plan: &Plan, finding: &'a Finding, before: bool) -> FindingItem<'a> {
    let several = finding.subjects.len() > 1;
    FindingItem {
        code: finding.code.id,
        slug: finding.code.slug,
        severity: finding.severity.as_str(),
        subject: finding.subjects.first().map(subject),
        message: &finding.message,
        fix: &finding.fix,
        blocks: forbids(plan, finding),
        before,
        subjects: finding.subjects.iter().filter(|_| several).map(subject).collect(),
        caused_by: finding.caused_by,
    }
}

/// A subject.
pub fn subject(subject: &Subject) -> SubjectItem<'_> {
    SubjectItem {
        kind: &subject.kind,
        namespace: subject.namespace.as_deref(),
        name: &subject.name,
    }
}
