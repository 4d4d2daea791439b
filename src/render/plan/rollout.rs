//! The rollout node by node, as part of a plan.

use schemars::JsonSchema;
use serde::Serialize;

use crate::core::{plan::assemble::span, rollout::Schedule, words};
use crate::render::humanize::plural;

/// Nodes that are left out, named on the page.
const LEFT_OUT: usize = 5;

/// What the page says of it: who goes first, how many follow at once, and the worst of it.
pub fn rows(schedule: &Schedule) -> Vec<(&'static str, String)> {
    let canaries = &schedule.canaries;
    let first = match canaries.len() {
        0 => None,
        1 => Some(format!("{} first, for {}", canaries[0], span(schedule.soak))),
        _ => Some(format!(
            "{} first, one after the other, each for {}",
            words::names(canaries),
            span(schedule.soak)
        )),
    };
    let at_once = plural(schedule.max_parallel, "node");
    let then = match schedule.waves {
        0 => None,
        1 => Some(format!("1 wave of at most {at_once}")),
        waves => Some(format!("{waves} waves of at most {at_once}")),
    };
    let pause = schedule.pause.then(|| "a stop".to_string());
    let parts: Vec<String> = [first, pause, then].into_iter().flatten().collect();
    let text = match parts.is_empty() {
        true => "no node".into(),
        false => parts.join("; then "),
    };
    let mut rows = vec![("Rollout", text), ("At worst", schedule.blast_radius.clone())];
    let left_out = schedule.left_out.iter().take(LEFT_OUT);
    let mut left: Vec<String> = left_out.map(|(node, why)| format!("{node} ({why})")).collect();
    if schedule.left_out.len() > LEFT_OUT {
        left.push(format!("{} more", schedule.left_out.len() - LEFT_OUT));
    }
    if !left.is_empty() {
        rows.push(("Last", format!("{}; not waited for", left.join(", "))));
    }
    rows.push((
        "Limit",
        format!("at most {} ({})", span(schedule.limit), schedule.reason),
    ));
    rows
}

/// The rollout node by node.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Rollout")]
pub struct RolloutItem<'a> {
    /// Nodes that go first, one after the other.
    canaries: &'a [String],
    /// Nodes whose agents are replaced.
    nodes: usize,
    /// Waves after the canaries.
    waves: usize,
    /// Agents that are down at once, at most.
    max_parallel: usize,
    /// How long a canary must be well.
    soak_seconds: u64,
    /// Whether it stops once the canaries are well.
    pause: bool,
    /// Nodes that are not waited for.
    left_out: Vec<LeftOut<'a>>,
    /// At most.
    limit_seconds: u64,
    /// How the limit was reckoned.
    reason: &'a str,
    /// What can be without a network at worst, in one line.
    blast_radius: &'a str,
}

/// A node.
#[derive(Serialize, JsonSchema)]
struct LeftOut<'a> {
    /// Its name.
    node: &'a str,
    /// Why.
    reason: &'a str,
}

impl<'a> RolloutItem<'a> {
    /// Of a schedule.
    pub fn of(schedule: &'a Schedule) -> Self {
        let left_out = schedule.left_out.iter();
        RolloutItem {
            canaries: &schedule.canaries,
            nodes: schedule.nodes,
            waves: schedule.waves,
            max_parallel: schedule.max_parallel,
            soak_seconds: schedule.soak.as_secs(),
            pause: schedule.pause,
            left_out: left_out.map(|(node, reason)| LeftOut { node, reason }).collect(),
            limit_seconds: schedule.limit.as_secs(),
            reason: &schedule.reason,
            blast_radius: &schedule.blast_radius,
        }
    }
}
