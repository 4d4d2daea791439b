//! The plan as a page: what first, what stands against it in the middle, whether it may begin last.

use std::time::Duration;

use super::{State, diff, findings, place, shown, subjects, title, unread};
use crate::core::plan::{Plan, assemble::span};
use crate::render::{
    Style,
    grid::{self, Column},
    humanize::plural,
    line::{Line, clean, clip, width, wrap},
    theme::{self, Mark, Tone},
    verdict,
};

/// Columns of the labels, as in `status`.
pub const LABEL: usize = 12;

/// The page.
pub fn page(plan: &Plan, wide: bool, style: &Style) -> String {
    let state = State::of(plan);
    let mut blocks = vec![vec![headline(plan, style)], about(plan, style)];
    // What forbids a change comes before what it would change.
    let first = plan.diff.is_some() && state == State::Refused;
    if first {
        blocks.push(findings::own(plan, wide, style));
    }
    blocks.push(values(plan, style));
    match &plan.diff {
        Some(diff) if state != State::Nothing => blocks.extend(diff::blocks(diff, plan.change, wide, style)),
        Some(_) => {}
        None if wide => blocks.push(creates(plan, style)),
        None => {}
    }
    // What is refused has no steps yet to agree to.
    if matches!(state, State::Ready) || wide {
        blocks.push(steps(plan, style));
    }
    if !first {
        blocks.push(findings::own(plan, wide, style));
    }
    blocks.push(findings::infos(plan, style));
    blocks.push(findings::before(plan, wide, style));
    blocks.push(findings::skipped(plan, wide, style));
    blocks.push(closing(plan, state, style));
    joined(blocks)
}

/// Blocks of lines as a page.
pub fn joined(mut blocks: Vec<Vec<String>>) -> String {
    blocks.retain(|block| !block.is_empty());
    let blocks: Vec<String> = blocks.iter().map(|block| block.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

/// `READY  Install Cilium 1.19.6 on aks-prod: 3 nodes`: the first line says as much as the last.
fn headline(plan: &Plan, style: &Style) -> String {
    let nodes = match unread(plan) {
        true => "nodes not read".to_string(),
        false => plural(plan.nodes.0, "node"),
    };
    let text = clean(&format!("{} {}: {nodes}", title(plan), place(plan)), style);
    verdict_line(State::of(plan), &text, style)
}

/// The verdict's word, and behind it a text that is cut where it does not fit.
pub fn verdict_line(state: State, text: &str, style: &Style) -> String {
    let line = Line::marked(mark(state), style)
        .with(mark(state).tone(), state.word())
        .with(Tone::Plain, "  ");
    let room = line.room(style);
    line.with(Tone::Strong, clip(text, room, style)).paint(style)
}

/// The mark of a state.
pub fn mark(state: State) -> Mark {
    match state {
        State::Ready | State::Nothing => Mark::Good,
        State::Incomplete => Mark::Unknown,
        State::Refused => Mark::Bad,
    }
}

/// What the change is made of, one subject a line.
fn about(plan: &Plan, style: &Style) -> Vec<String> {
    let rows = subjects(plan, &digest);
    rows.iter()
        .flat_map(|(label, text)| labelled(label, LABEL, text, style))
        .collect()
}

/// Enough of a digest to compare by eye; `-o json` has all of it.
pub fn digest(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// A label and what hangs beside it.
pub fn labelled(label: &str, columns: usize, text: &str, style: &Style) -> Vec<String> {
    let room = style.width.saturating_sub(theme::margin(style) + columns).max(1);
    let pieces = wrap(&clean(text, style), room, room);
    let lines = pieces.into_iter().enumerate().map(|(at, piece)| {
        let label = if at == 0 { label } else { "" };
        Line::indented(style)
            .with(Tone::Strong, format!("{label:<columns$}"))
            .with(Tone::Plain, piece)
            .paint(style)
    });
    lines.collect()
}

/// The narrowest column for reasons beside their values.
const REASON: usize = 36;

/// Every value with its reason: a table where there is room for reasons beside the values, else a value a paragraph.
/// Nothing is cut: half a pool or half a reason would be of no use.
fn values(plan: &Plan, style: &Style) -> Vec<String> {
    const HEADS: [&str; 4] = ["VALUE", "IS", "FROM", "WHY"];
    if plan.values.is_empty() {
        return Vec::new();
    }
    let rows: Vec<[String; 4]> = plan
        .values
        .iter()
        .map(|v| [&v.key, &shown(v), v.origin.as_str(), &v.reason].map(|cell| clean(cell, style)))
        .collect();
    let widths: Vec<usize> = (0..3)
        .map(|at| {
            let cells = rows.iter().map(|r| width(&r[at]));
            cells.chain([width(HEADS[at])]).max().unwrap_or(0) + 2
        })
        .collect();
    let used = theme::margin(style) + widths.iter().sum::<usize>();
    let room = style.width.saturating_sub(used);
    if room < REASON {
        return rows.iter().flat_map(|row| value(row, style)).collect();
    }
    let left = |row: &[&str]| -> String {
        let cells = row.iter().zip(&widths);
        cells
            .map(|(cell, to)| format!("{cell}{}", " ".repeat(to.saturating_sub(width(cell)))))
            .collect()
    };
    let mut lines = vec![
        Line::indented(style)
            .with(Tone::Dim, left(&HEADS[..3]))
            .with(Tone::Dim, HEADS[3])
            .paint(style),
    ];
    for [key, is, from, why] in &rows {
        for (at, piece) in wrap(why, room, room).into_iter().enumerate() {
            let cells = if at == 0 { [&**key, is, from] } else { [""; 3] };
            lines.push(
                Line::indented(style)
                    .with(Tone::Plain, left(&cells))
                    .with(Tone::Dim, piece)
                    .paint(style),
            );
        }
    }
    lines
}

/// One value on lines of its own: `key=value`, and below it whose it is and why.
fn value([key, value, origin, reason]: &[String; 4], style: &Style) -> Vec<String> {
    let room = style.width.saturating_sub(theme::margin(style)).max(1);
    let hang = |indent: usize, tone: Tone, text: &str| -> Vec<String> {
        let room = room.saturating_sub(indent).max(1);
        wrap(text, room, room)
            .into_iter()
            .map(|piece| {
                Line::indented(style)
                    .with(Tone::Plain, " ".repeat(indent))
                    .with(tone, piece)
                    .paint(style)
            })
            .collect()
    };
    let mut lines = hang(0, Tone::Strong, &format!("{key}={value}"));
    lines.extend(hang(4, Tone::Dim, &format!("{origin}: {reason}")));
    lines
}

/// `-o wide`: every object.
fn creates(plan: &Plan, style: &Style) -> Vec<String> {
    const COLUMNS: [Column; 3] = [
        Column::new("CREATES", 2, 10),
        Column::names("NAMESPACE", 1, 8),
        Column::names("NAME", 3, 12),
    ];
    let rows: Vec<Vec<String>> = plan
        .creates
        .iter()
        .flatten()
        .map(|s| {
            let namespace = s.namespace.as_deref().unwrap_or_default();
            [&*s.kind, namespace, &*s.name]
                .map(|cell| clean(cell, style))
                .to_vec()
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    section(&COLUMNS, &rows, style)
}

/// A table with a dim header, as far in as the symbols are wide.
fn section(columns: &[Column], rows: &[Vec<String>], style: &Style) -> Vec<String> {
    let room = style.width.saturating_sub(theme::margin(style));
    let lines = grid::lines(columns, rows, room, style).into_iter().enumerate();
    lines
        .map(|(at, row)| {
            let tone = if at == 0 { Tone::Dim } else { Tone::Plain };
            Line::indented(style).with(tone, row).paint(style)
        })
        .collect()
}

fn steps(plan: &Plan, style: &Style) -> Vec<String> {
    let widest = plan.steps.iter().map(|s| width(s.name)).max().unwrap_or(0);
    let lines = plan.steps.iter().enumerate().flat_map(|(at, step)| {
        let label = format!("{} {}", at + 1, step.name);
        labelled(&label, widest + 4, &step.does, style)
    });
    lines.collect()
}

/// The last line: whether it may begin, and what to do where not.
fn closing(plan: &Plan, state: State, style: &Style) -> Vec<String> {
    let mark = mark(state);
    let start = Line::marked(mark, style)
        .with(mark.tone(), state.word())
        .with(Tone::Plain, "  ");
    let words = match state {
        State::Ready => {
            let objects = match &plan.diff {
                Some(diff) => Some(diff::in_short(diff)),
                None => plan.creates.as_ref().map(|c| plural(c.len(), "object")),
            };
            let rollout = plan.rollout.as_ref().map_or(Duration::ZERO, |r| r.limit);
            let most = format!("at most {}", span(rollout.saturating_add(plan.gate.timeout)));
            let unchecked = findings::unchecked(plan).len();
            let unchecked = (unchecked > 0).then(|| format!("{unchecked} not checked"));
            let parts: Vec<String> = [Some(title(plan)), objects, Some(most), unchecked]
                .into_iter()
                .flatten()
                .collect();
            parts.join(theme::dot(style))
        }
        State::Nothing => format!("{}/{} is what was asked for", plan.namespace, plan.release),
        State::Incomplete => format!("needed and not read: {}", plan.incomplete.join(", ")),
        State::Refused => plan.blocked_by.join(", "),
    };
    let room = start.room(style);
    let line = start.with(Tone::Strong, clip(&clean(&words, style), room, style));
    let next = match state {
        State::Refused => findings::next(plan),
        _ => None,
    };
    verdict::with_next(line, next, style)
}
