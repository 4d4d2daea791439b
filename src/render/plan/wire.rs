//! The machine's view: `ChangePlan` of byocni.io/v1alpha1, for JSON and YAML. Keys are only ever added, and absent
//! values are `null`; there is no time in it, so that the same cluster gives the same bytes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{diff_wire::DiffItem, findings::forbids, rollout::RolloutItem};
use crate::{
    core::{
        code::{Change, Severity},
        facts::platform,
        finding::{Finding, Subject},
        plan::{ChartUsed, Origin, Plan, PlannedValue},
        report::Byocni,
        text::Text,
    },
    render::schemas::API_VERSION,
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

/// What `upgrade --to` prints with `--dry-run -o json` where there is more than one hop.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangePlanList<'a> {
    /// The version of this format.
    #[schemars(extend("const" = API_VERSION))]
    api_version: &'static str,
    /// Which document it is.
    #[schemars(extend("const" = ChangePlanList::KIND))]
    kind: &'static str,
    /// The plans of the hops, in their order.
    items: Vec<ChangePlan<'a>>,
    /// Whether any of them is.
    blocked: bool,
    /// The slugs of the findings that block them.
    blocked_by: Vec<&'static str>,
}

impl<'a> ChangePlanList<'a> {
    /// What `kind` says.
    pub const KIND: &'static str = "ChangePlanList";

    fn of(plans: &'a [Plan]) -> Self {
        let mut blocked_by: Vec<&'static str> = vec![];
        for slug in plans.iter().flat_map(|plan| &plan.blocked_by) {
            if !blocked_by.contains(slug) {
                blocked_by.push(slug);
            }
        }
        ChangePlanList {
            api_version: API_VERSION,
            kind: Self::KIND,
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

/// What `install`, `upgrade` and `rollback` print with `--dry-run -o json`; several hops are a ChangePlanList. There is no
/// time in it: the same cluster gives the same bytes.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangePlan<'a> {
    /// The version of this format.
    #[schemars(extend("const" = API_VERSION))]
    api_version: &'static str,
    /// Which document it is.
    #[schemars(extend("const" = ChangePlan::KIND))]
    kind: &'static str,
    /// What is planned.
    operation: Change,
    /// The product, else the chart's name.
    cni: &'a str,
    /// The kubeconfig's context; `null` for a file.
    context: Option<&'a str>,
    /// The cluster.
    cluster: Cluster<'a>,
    /// The chart.
    chart: Chart<'a>,
    /// Charts whose CustomResourceDefinitions are applied first.
    crd_charts: Vec<Chart<'a>>,
    /// The release.
    release: Release<'a>,
    /// Every value that the change sets.
    values: Vec<ValueItem<'a>>,
    /// What the CNI will hand out.
    pools: Vec<Pool>,
    /// What will be created; `null` where nothing could be rendered.
    creates: Option<Vec<SubjectItem<'a>>>,
    /// In their order.
    steps: Vec<StepItem<'a>>,
    /// What is waited for at the end.
    gate: Gate<'a>,
    /// The chart that is installed; `null` for an install.
    from: Option<Chart<'a>>,
    /// The revision that runs; `null` for an install, and from a file that does not say it.
    #[schemars(range(min = 0))]
    from_revision: Option<i64>,
    /// The revision that a rollback goes to.
    #[schemars(range(min = 0))]
    to_revision: Option<i64>,
    /// Which hop of how many; `null` where there is one.
    hop: Option<HopItem>,
    /// What becomes different; `null` for an install that takes nothing over, and where nothing could be rendered.
    diff: Option<DiffItem<'a>>,
    /// The rollout node by node; `null` where the CNI's own controllers roll.
    rollout: Option<RolloutItem<'a>>,
    /// Those that block first; those that were there before last.
    findings: Vec<FindingItem<'a>>,
    /// What could not be checked.
    skipped: Vec<SkippedItem<'a>>,
    /// What could not be read and without which nothing may be planned.
    incomplete: &'a [String],
    /// Whether the plan is refused (exit code 4).
    blocked: bool,
    /// The slugs of the findings that block it.
    blocked_by: &'a [&'static str],
    /// The same version with the same values is there already.
    nothing_to_do: bool,
}

/// The cluster.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Cluster<'a> {
    /// As in ClusterStatus.
    #[schemars(extend("enum" = platform::NAMES))]
    platform: &'static str,
    /// Whether the CNI is the users' to bring.
    byocni: Byocni,
    /// The API server's version.
    kubernetes_version: Option<&'a str>,
    /// Nodes.
    nodes: usize,
    /// Those that are Ready.
    ready_nodes: usize,
}

/// A chart.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Chart<'a> {
    /// Its name.
    name: &'a str,
    /// Its version.
    version: &'a str,
    /// What it installs.
    app_version: &'a str,
    /// Of its archive: `sha256:…`.
    digest: &'a str,
    /// Where it came from.
    source: &'a str,
}

/// A hop.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Hop")]
struct HopItem {
    /// From 1.
    number: usize,
    /// How many.
    of: usize,
}

/// The release.
#[derive(Serialize, JsonSchema)]
struct Release<'a> {
    /// Its name.
    name: &'a str,
    /// Its namespace.
    namespace: &'a str,
}

/// A value.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Value")]
struct ValueItem<'a> {
    /// As `--set` writes it.
    key: &'a str,
    /// `null` where it is the user's own and may be a secret.
    value: Option<Value>,
    /// Whose it is: found in the cluster, yours, the chart's default, demanded by the chart's version.
    origin: Origin,
    /// Why, in one line.
    reason: &'a str,
}

/// A pool.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Pool {
    /// The network.
    cidr: String,
    /// Prefix length of the blocks; `null` where none are cut.
    #[schemars(range(max = 128))]
    mask_size: Option<u8>,
}

/// An object of the cluster, or the cluster itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Subject")]
pub struct SubjectItem<'a> {
    /// As Kubernetes writes it; `Cluster` for the cluster itself.
    kind: &'a str,
    /// `null` for what lives in no namespace.
    namespace: Option<&'a str>,
    /// Its name.
    name: &'a str,
}

/// A step.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Step")]
struct StepItem<'a> {
    /// For scripts: `lock`, `helm-install`, `gate`, ….
    name: &'static str,
    /// In one line.
    does: &'a str,
}

/// What is waited for at the end.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Gate<'a> {
    /// At most.
    timeout_seconds: u64,
    /// How long everything must hold.
    settle_seconds: u64,
    /// How the limit was reckoned.
    reason: &'a str,
}

/// One code that stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Finding")]
struct FindingItem<'a> {
    /// The code, `BYO` and four digits: docs/codes.md.
    #[schemars(regex(pattern = "^BYO[0-9]{4}$"))]
    code: &'static str,
    /// The code's name in words.
    slug: &'static str,
    /// How bad it is; `info` also for what follows from another finding.
    severity: Severity,
    /// What it is about; the first of `subjects` where there are several.
    subject: Option<SubjectItem<'a>>,
    /// What was seen, with the evidence in it; one line.
    message: &'a str,
    /// What to do, a command where there is one; one line.
    fix: &'a str,
    /// Whether this plan is refused for it.
    blocks: bool,
    /// Whether the cluster was in this state before.
    before: bool,
    /// All of them, only where there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<SubjectItem<'a>>,
    /// The slug of the finding that this one follows from; only where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    caused_by: Option<&'static str>,
}

/// A check that could not be made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Skipped")]
struct SkippedItem<'a> {
    /// What was to be checked.
    check: &'a str,
    /// For want of what: `list nodes`.
    missing: &'a str,
}

impl<'a> ChangePlan<'a> {
    /// What `kind` says.
    pub const KIND: &'static str = "ChangePlan";

    fn of(plan: &'a Plan) -> Self {
        let (name, byocni) = plan.platform;
        let own = plan.findings.len().saturating_sub(plan.before);
        ChangePlan {
            api_version: API_VERSION,
            kind: Self::KIND,
            operation: plan.change,
            cni: &plan.cni,
            context: plan.context.as_deref(),
            cluster: Cluster {
                platform: name,
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
        origin: value.origin,
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
        severity: finding.severity,
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
