//! The table of nodes: those with trouble, worst first; what repeats is said once.

use std::collections::{HashMap, HashSet};

use super::{
    Style,
    grid::{self, Column},
    humanize,
    line::{Line, clean},
    theme::{self, Mark, Tone},
};
use crate::core::{
    code::Severity,
    report::{NodeRow, Report},
};

/// More rows than this are grouped.
const MANY: usize = 20;

/// A name that is cut cannot be copied: other columns go first, but on the narrowest terminals.
const fn columns(name: usize) -> [Column; 10] {
    [
        Column::names("NODE", 9, name),
        Column::new("POOL", 4, 6),
        Column::new("READY", 8, 10),
        Column::new("AGENT", 6, 13),
        Column::new("POD CIDR", 3, 18),
        Column::new("PODS", 2, 4),
        Column::new("CODES", 7, 10),
        Column::new("INTERNAL IP", 1, 15),
        Column::new("KUBELET", 0, 7),
        Column::new("AGE", 0, 4),
    ]
}

/// Columns that only wide shows stand behind these.
const NARROW: usize = 7;

/// The Ready condition in a word or two.
pub fn ready(node: &NodeRow) -> String {
    match node.ready {
        Some(true) => "yes".into(),
        None => "unknown".into(),
        Some(false) => {
            let message = node.message.as_deref().unwrap_or_default();
            // The kubelet hides the reason that matters here within its message.
            match &node.reason {
                _ if message.contains("NetworkPluginNotReady") => "no network".into(),
                Some(reason) => reason.clone(),
                None => "no".into(),
            }
        }
    }
}

/// Nodes that a consequence keeps from working: they are broken, although the finding no longer counts.
pub fn held(report: &Report) -> HashSet<&str> {
    report
        .findings
        .iter()
        .filter(|f| f.caused_by.is_some() && f.code.severity == Severity::Error)
        .flat_map(|f| &f.subjects)
        .filter(|s| s.kind == "Node")
        .map(|s| s.name.as_str())
        .collect()
}

/// The state of one node.
pub fn mark(node: &NodeRow, held: &HashSet<&str>) -> Mark {
    match (node.worst, node.ready) {
        (Some(worst @ (Severity::Error | Severity::Warning)), _) => Mark::of(worst),
        (_, Some(true)) => Mark::Good,
        _ if held.contains(node.name.as_str()) => Mark::Bad,
        (Some(Severity::Info), _) => Mark::Info,
        (None, _) => Mark::Bad,
    }
}

fn rank(mark: Mark) -> u8 {
    match mark {
        Mark::Bad => 0,
        Mark::Warning => 1,
        Mark::Unknown | Mark::Info => 2,
        Mark::Good | Mark::Pending => 3,
    }
}

/// The worst code and how many stand behind it: a code that is cut says nothing.
fn codes(codes: &[&str]) -> String {
    match codes {
        [] => String::new(),
        [only] => (*only).to_string(),
        [worst, others @ ..] => format!("{worst} +{}", others.len()),
    }
}

/// The worst state among the nodes that are not Ready; none where all are.
pub fn worst_unready(report: &Report) -> Option<Mark> {
    let held = held(report);
    let unready = report.nodes.items.iter().filter(|n| n.ready != Some(true));
    unready.map(|n| mark(n, &held)).min_by_key(|m| rank(*m))
}

/// The cells of a row.
fn cells(node: &NodeRow, report: &Report, style: &Style) -> Vec<String> {
    let blocks = humanize::list(&node.pod_cidrs, if style.compact() { 1 } else { 2 });
    [
        node.name.clone(),
        node.pool.clone().unwrap_or_default(),
        ready(node),
        node.agent.clone().unwrap_or_default(),
        blocks,
        node.pod_count.map(|n| n.to_string()).unwrap_or_default(),
        codes(&node.codes),
        humanize::list(&node.internal_ips, 2),
        node.kubelet_version.clone().unwrap_or_default(),
        node.created
            .map(|since| humanize::age(since, report.taken_at))
            .unwrap_or_default(),
    ]
    .map(|cell| clean(&cell, style))
    .into()
}

/// What makes two nodes alike: pool and condition.
fn condition(node: &NodeRow) -> (Option<&str>, String, Option<&str>, &[&'static str]) {
    (
        node.pool.as_deref(),
        ready(node),
        node.agent.as_deref(),
        &node.codes,
    )
}

/// The lines of the table; none where all nodes are fine and only trouble is asked for.
pub fn lines(report: &Report, wide: bool, style: &Style) -> Vec<String> {
    let held = held(report);
    let mut rows: Vec<(Mark, &NodeRow)> = report.nodes.items.iter().map(|n| (mark(n, &held), n)).collect();
    rows.sort_by_key(|(mark, _)| rank(*mark));
    let fine = rows.iter().filter(|(mark, _)| *mark == Mark::Good).count();
    if !wide {
        rows.truncate(rows.len() - fine);
    }
    if rows.is_empty() {
        return Vec::new();
    }
    // Each row with the number of those like it that are left out behind it.
    let shown = if wide || rows.len() <= MANY {
        rows.iter().map(|r| (*r, 0)).collect()
    } else {
        grouped(&rows)
    };
    let hidden = rows.len() - shown.iter().map(|(_, like)| 1 + like).sum::<usize>();

    let cells: Vec<Vec<String>> = shown
        .iter()
        .map(|((_, node), _)| cells(node, report, style))
        .collect();
    let columns = columns(if style.compact() { 16 } else { 36 });
    let columns = if wide { &columns[..] } else { &columns[..NARROW] };
    let room = style.width.saturating_sub(theme::margin(style));
    let mut table = grid::lines(columns, &cells, room, style).into_iter();
    let header = table.next().unwrap_or_default();
    let mut lines = vec![Line::indented(style).with(Tone::Dim, header).paint(style)];
    let more = |text: String| Line::indented(style).with(Tone::Dim, text).paint(style);
    let dots = theme::ellipsis(style);
    for (((mark, _), like), row) in shown.iter().zip(table) {
        lines.push(Line::marked(*mark, style).with(Tone::Plain, row).paint(style));
        if *like > 0 {
            lines.push(more(format!("{dots}and {like} more like this")));
        }
    }
    if hidden > 0 {
        lines.push(more(format!(
            "{dots}and {hidden} more with other states (-o wide lists them)"
        )));
    }
    if !wide && fine > 0 {
        lines.push(more(format!("{fine} more ready (-o wide lists them)")));
    }
    lines
}

/// The first of each group, in order, with the number of the others; a group of two is shown whole.
fn grouped<'a>(rows: &[(Mark, &'a NodeRow)]) -> Vec<((Mark, &'a NodeRow), usize)> {
    let mut groups: Vec<Vec<(Mark, &NodeRow)>> = Vec::new();
    let mut index = HashMap::new();
    for &(mark, node) in rows {
        let at = *index.entry(condition(node)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push((mark, node));
    }
    let mut shown = Vec::new();
    for group in groups.iter().take(MANY) {
        match group.as_slice() {
            [first, second] => shown.extend([(*first, 0), (*second, 0)]),
            [first, others @ ..] => shown.push((*first, others.len())),
            [] => {}
        }
    }
    shown
}
