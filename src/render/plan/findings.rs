//! What stands against a plan, what is worth knowing, and what was there before.

use crate::core::{
    code::Severity,
    finding::Finding,
    plan::{Plan, blocks},
    words,
};
use crate::render::{
    Style, advice,
    humanize::plural,
    line::{Line, clean, clip, wrap},
    problems,
    theme::{self, Mark, Tone},
};

/// Findings of the state before that the default page shows.
const BEFORE: usize = 5;

/// Whether the finding is one of those for which the plan is refused.
pub fn forbids(plan: &Plan, finding: &Finding) -> bool {
    !plan.nothing_to_do && blocks(finding, plan.change)
}

/// The plan's own findings, and those that were there before.
pub fn parted(plan: &Plan) -> (&[Finding], &[Finding]) {
    plan.findings
        .split_at(plan.findings.len().saturating_sub(plan.before))
}

/// Everything of the plan's own that is more than worth knowing, in full; what blocks first.
pub fn own(plan: &Plan, wide: bool, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in parted(plan).0.iter().filter(|f| in_full(plan, f)) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(problems::one(finding, wide, style));
    }
    lines
}

/// Whether a finding is told in full, with its fix.
pub fn in_full(plan: &Plan, finding: &Finding) -> bool {
    finding.severity != Severity::Info || forbids(plan, finding)
}

/// What else the plan says: of these there are few, and they are why it is as it is, so none is cut.
pub fn infos(plan: &Plan, style: &Style) -> Vec<String> {
    let infos = parted(plan).0.iter().filter(|f| !in_full(plan, f));
    infos.flat_map(|f| info(f, style)).collect()
}

/// One of them.
pub fn info(finding: &Finding, style: &Style) -> Vec<String> {
    brief(finding, Mark::Info, Tone::Plain, true, style)
}

/// What was wrong before; what the change cures is among it.
pub fn before(plan: &Plan, wide: bool, style: &Style) -> Vec<String> {
    let all: Vec<&Finding> = parted(plan)
        .1
        .iter()
        .filter(|f| wide || f.severity != Severity::Info)
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        Line::indented(style)
            .with(Tone::Dim, "Was there before")
            .paint(style),
    ];
    let most = if wide { all.len() } else { BEFORE };
    for finding in all.iter().take(most) {
        lines.extend(brief(finding, Mark::of(finding.severity), Tone::Dim, wide, style));
    }
    if all.len() > most {
        let text = format!(
            "{}and {} (-o wide lists them)",
            theme::ellipsis(style),
            plural(all.len() - most, "more finding")
        );
        lines.push(Line::indented(style).with(Tone::Dim, text).paint(style));
    }
    lines
}

/// A finding on one line, cut where it does not fit; wrapped where all of it is asked for.
fn brief(finding: &Finding, mark: Mark, tone: Tone, whole: bool, style: &Style) -> Vec<String> {
    let head = || {
        Line::marked(mark, style)
            .with(mark.tone(), finding.code.id)
            .with(Tone::Plain, "  ")
    };
    let room = head().room(style);
    let message = clean(&finding.message, style);
    if !whole {
        return vec![head().with(tone, clip(&message, room, style)).paint(style)];
    }
    let indent = head().width();
    wrap(&message, room.max(1), room.max(1))
        .into_iter()
        .enumerate()
        .map(|(at, piece)| {
            let lead = if at == 0 {
                head()
            } else {
                Line::new().with(Tone::Plain, " ".repeat(indent))
            };
            lead.with(tone, piece).paint(style)
        })
        .collect()
}

/// What could not be looked at, and for want of what; each once, in the plan's order.
pub fn unchecked(plan: &Plan) -> Vec<(&str, Vec<&str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for (check, missing) in &plan.skipped {
        match all.iter_mut().find(|(known, _)| known == check) {
            Some((_, wanting)) if wanting.contains(&missing.as_str()) => {}
            Some((_, wanting)) => wanting.push(missing),
            None => all.push((check, vec![missing])),
        }
    }
    all
}

/// What lacks the same, together: `rights, the lock`, `helm`. With `whole` every check is named, else the first few.
pub fn wanting(plan: &Plan, whole: bool) -> Vec<(String, String)> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (check, missing) in unchecked(plan) {
        let missing = missing.join("; ");
        match groups.iter_mut().find(|(known, _)| *known == missing) {
            Some((_, checks)) => checks.push(check),
            None => groups.push((missing, vec![check])),
        }
    }
    let told = |checks: Vec<&str>| match whole {
        true => checks.join(", "),
        false => words::names(checks),
    };
    groups
        .into_iter()
        .map(|(missing, checks)| (told(checks), missing))
        .collect()
}

/// The same as text: `not checked: rights, for want of helm`.
pub fn skipped(plan: &Plan, wide: bool, style: &Style) -> Vec<String> {
    let lines = wanting(plan, wide).into_iter().flat_map(|(checks, missing)| {
        let text = format!("not checked: {checks}, for want of {missing}");
        let start = || Line::marked(Mark::Unknown, style);
        let room = start().room(style).max(1);
        let pieces = wrap(&clean(&text, style), room, room).into_iter().enumerate();
        let lines = pieces.map(move |(at, piece)| {
            let lead = if at == 0 { start() } else { Line::indented(style) };
            lead.with(Tone::Plain, piece).paint(style)
        });
        lines.collect::<Vec<_>>()
    });
    lines.collect()
}

/// The command that comes next: the fix of the first finding that blocks, where that is one, else its explanation.
pub fn next(plan: &Plan) -> Option<String> {
    let first = plan.findings.iter().find(|f| forbids(plan, f))?;
    Some(advice::next_of(first))
}
