//! The rollout node by node, as part of a plan.

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

/// The `rollout` of a `ChangePlan`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutItem<'a> {
    canaries: &'a [String],
    nodes: usize,
    waves: usize,
    max_parallel: usize,
    soak_seconds: u64,
    pause: bool,
    left_out: Vec<LeftOut<'a>>,
    limit_seconds: u64,
    reason: &'a str,
    blast_radius: &'a str,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    node: &'a str,
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
