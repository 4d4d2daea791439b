//! A plan in every format: what would be done, why, and what stands against it.

mod diff;
mod diff_markdown;
mod diff_wire;
mod findings;
mod hops;
mod markdown;
mod rollout;
mod text;
mod wire;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{
    Format, Style,
    humanize::{self, plural},
    line::clean,
};
use crate::core::{
    code::Change,
    finding::Subject,
    plan::{
        ChartUsed, Plan, PlannedValue,
        assemble::{self, span},
    },
    text::Text,
};

pub use hops::plans;
pub use wire::{ChangePlan, ChangePlanList};

/// Writes a plan in a format. Text ends with a line feed unless it is empty.
pub fn plan(plan: &Plan, style: &Style, format: Format) -> String {
    match format {
        Format::Table => text::page(plan, false, style),
        Format::Wide => text::page(plan, true, style),
        Format::Json => wire::json(plan),
        Format::Yaml => wire::yaml(plan),
        Format::Markdown => markdown::markdown(plan, style),
        Format::Name => names(plan),
    }
}

/// `-o name`: what would be created, changed or removed, as `kind/name`, one a line.
fn names(plan: &Plan) -> String {
    // Names are for other programs: they are never transliterated.
    let exact = Style {
        width: usize::MAX,
        color: false,
        unicode: true,
    };
    let touched: Vec<&Subject> = match &plan.diff {
        None => plan.creates.iter().flatten().collect(),
        Some(diff) => {
            let all = [&diff.creates, &diff.changes, &diff.removes].into_iter();
            all.flatten().collect()
        }
    };
    touched
        .into_iter()
        .map(|subject| clean(&subject.to_string(), &exact) + "\n")
        .collect()
}

/// What is done, in a few words: `Upgrade Cilium 1.18.12 → 1.19.6`, or as [`assemble::title`] has it.
fn title(plan: &Plan) -> String {
    let (Some(from), verb) = (&plan.from, verb(plan.change)) else {
        return assemble::title(plan);
    };
    let to = plan
        .to_revision
        .map(|revision| format!(" of revision {revision}"));
    let to = to.unwrap_or_default();
    match (installs(from), installs(&plan.chart)) {
        _ if plan.nothing_to_do => assemble::title(plan),
        (was, is) if was == is && to.is_empty() => format!("{verb} {} {is} with other values", plan.cni),
        (was, is) if was == is => format!("{verb} {} {is} to the values{to}", plan.cni),
        (was, is) => format!("{verb} {} {was} → {is}{to}", plan.cni),
    }
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::Install => "Install",
        Change::Upgrade => "Upgrade",
        Change::Rollback => "Roll back",
    }
}

/// The version that a chart installs, else its own.
fn installs(chart: &ChartUsed) -> &str {
    let version = match chart.app_version.is_empty() {
        true => &chart.version,
        false => &chart.app_version,
    };
    version.trim_start_matches('v')
}

/// The state of a plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may begin.
    Ready,
    /// The same is there already.
    Nothing,
    /// Something that it rests on could not be read.
    Incomplete,
    /// Something forbids it.
    Refused,
}

impl State {
    fn of(plan: &Plan) -> State {
        match () {
            () if plan.nothing_to_do => State::Nothing,
            // What was read forbids it whatever else there is.
            () if plan.blocked() => State::Refused,
            () if !plan.incomplete.is_empty() => State::Incomplete,
            () => State::Ready,
        }
    }

    /// In capitals, as it stands on the last line.
    fn word(self) -> &'static str {
        match self {
            State::Ready => "READY",
            State::Nothing => "NOTHING TO DO",
            State::Incomplete => "INCOMPLETE",
            State::Refused => "REFUSED",
        }
    }
}

/// The longest value that is shown.
const LONGEST: usize = 200;

/// A value as `--set` would take it: lists with commas, text bare; a secret of the user's is not shown.
fn shown(value: &PlannedValue) -> String {
    match &value.value {
        None => "(not shown)".into(),
        Some(value) => Text::new(&bare(value)).line(LONGEST),
    }
}

fn bare(value: &Value) -> String {
    match value {
        Value::Null => "(not set)".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            items.iter().map(bare).collect::<Vec<_>>().join(",")
        }
        other => spaced(other),
    }
}

/// JSON with room for a line to break in.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let fields = map
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), spaced(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether nodes could not be read, so that their number says nothing.
fn unread(plan: &Plan) -> bool {
    plan.nodes.0 == 0 && !plan.incomplete.is_empty()
}

/// What the change is made of: a label and its text; `digest` says how much of a digest is shown.
fn subjects(plan: &Plan, digest: &dyn Fn(&str) -> String) -> Vec<(&'static str, String)> {
    let (platform, byocni) = plan.platform;
    let byocni = byocni.as_str();
    let version = plan.kubernetes_version.as_deref().unwrap_or("version not known");
    let nodes = match unread(plan) {
        true => "nodes not read".to_string(),
        false => format!("{} of {} nodes ready", plan.nodes.1, plan.nodes.0),
    };
    let chart = &plan.chart;
    let mut rows = vec![
        (
            "Cluster",
            format!(
                "{} {version}, BYOCNI {byocni}, {nodes}",
                humanize::platform(platform)
            ),
        ),
        (
            "Chart",
            match chart.digest.as_str() {
                // It could not be had; a finding says why.
                "" => {
                    let name = format!("{} {}", chart.name, chart.version);
                    format!("{} from {}: not to be had", name.trim(), chart.source)
                }
                whole => format!(
                    "{} {} from {}, {}",
                    chart.name,
                    chart.version,
                    chart.source,
                    digest(whole)
                ),
            },
        ),
    ];
    for crds in &plan.crd_charts {
        rows.push((
            "CRDs first",
            format!("{} {}, {}", crds.name, crds.version, digest(&crds.digest)),
        ));
    }
    if let (Some((number, of)), Some(from)) = (plan.hop, &plan.from) {
        let text = format!("{number} of {of}: {} → {}", installs(from), installs(&plan.chart));
        rows.push(("Hop", text));
    }
    let revision = plan
        .from_revision
        .map(|revision| format!(", revision {revision}"));
    rows.push((
        "Release",
        format!(
            "{}/{}{}",
            plan.namespace,
            plan.release,
            revision.unwrap_or_default()
        ),
    ));
    let pools = pools(plan);
    if !pools.is_empty() {
        rows.push(("Pod CIDR", pools.join(", ")));
    }
    if plan.nothing_to_do {
        return rows;
    }
    // What becomes different says it better.
    if plan.diff.is_none() {
        rows.extend(kinds(plan).map(|kinds| ("Creates", kinds)));
    }
    if let Some(schedule) = &plan.rollout {
        rows.extend(rollout::rows(schedule));
    }
    // A limit that was reckoned from nodes that nobody saw is none.
    if !unread(plan) {
        let gate = &plan.gate;
        rows.push((
            "Gate",
            format!("at most {} ({})", span(gate.timeout), gate.reason),
        ));
    }
    rows
}

/// Where the plan is for: the context, or a file.
fn place(plan: &Plan) -> String {
    match &plan.context {
        Some(context) => format!("on {context}"),
        None => "from a file".into(),
    }
}

/// How many of each kind are created: `1 DaemonSet, 2 ServiceAccounts`.
fn kinds(plan: &Plan) -> Option<String> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for subject in plan.creates.as_ref()? {
        *counts.entry(&subject.kind).or_default() += 1;
    }
    let words: Vec<String> = counts.into_iter().map(|(kind, n)| of_kind(n, kind)).collect();
    Some(if words.is_empty() {
        "nothing".into()
    } else {
        words.join(", ")
    })
}

/// `2 NetworkPolicies`.
fn of_kind(n: usize, kind: &str) -> String {
    let vowel = |stem: &str| stem.ends_with(['a', 'e', 'i', 'o', 'u']);
    match (n, kind.strip_suffix('y'), kind.ends_with('s')) {
        (1, ..) | (_, None, false) => plural(n, kind),
        (_, Some(stem), _) if !vowel(stem) => format!("{n} {stem}ies"),
        (_, _, true) if kind != "Endpoints" => format!("{n} {kind}es"),
        (_, _, true) => format!("{n} {kind}"),
        _ => plural(n, kind),
    }
}

/// `10.244.0.0/16 in /24 blocks`.
fn pools(plan: &Plan) -> Vec<String> {
    let one = |(cidr, mask): &(ipnet::IpNet, Option<u8>)| match mask {
        Some(mask) => format!("{cidr} in /{mask} blocks"),
        None => cidr.to_string(),
    };
    plan.pools.iter().map(one).collect()
}
