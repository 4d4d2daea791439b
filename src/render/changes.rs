//! What differs between two reports of one cluster: what `--watch` says where it cannot redraw.

use super::{
    Style, humanize,
    line::{Line, clean},
    rooms,
    theme::{self, Mark, Tone},
    verdict,
};
use crate::core::{finding::Finding, report::Report};

/// One line for each change: verdict, findings that appeared, grew, shrank or cleared, nodes and agents ready.
pub fn changes(before: &Report, after: &Report, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let arrow = theme::arrow(style);
    let moved = |what: &str, from: String, to: String| {
        let text = format!("{what} {} {arrow} {}", clean(&from, style), clean(&to, style));
        Line::indented(style).with(Tone::Plain, text).paint(style)
    };
    if before.verdict != after.verdict {
        let mark = Mark::verdict(after.verdict);
        let line = Line::marked(mark, style)
            .with(mark.tone(), verdict::word(after.verdict))
            .with(Tone::Plain, format!("  was {}", before.verdict.as_str()));
        lines.push(line.paint(style));
    }
    let mut seen = Vec::new();
    // A consequence comes and goes with its cause.
    for finding in after.findings.iter().filter(|f| f.caused_by.is_none()) {
        let slug = finding.code.slug;
        if seen.contains(&slug) {
            continue;
        }
        seen.push(slug);
        match (subjects(before, slug), subjects(after, slug)) {
            (0, _) => lines.push(told(finding, clean(&finding.message, style), style)),
            (from, to) if from != to => {
                lines.push(told(
                    finding,
                    format!("{from} {arrow} {}", humanize::plural(to, "object")),
                    style,
                ));
            }
            _ => {}
        }
    }
    for finding in before.findings.iter().filter(|f| f.caused_by.is_none()) {
        let slug = finding.code.slug;
        if !seen.contains(&slug) && !after.findings.iter().any(|f| f.code.slug == slug) {
            seen.push(slug);
            let line = Line::marked(Mark::Good, style)
                .with(Tone::Good, finding.code.id)
                .with(
                    Tone::Plain,
                    format!("  cleared: {}", clean(finding.code.title, style)),
                );
            lines.push(line.paint(style));
        }
    }
    let cni = (rooms::product(before), rooms::product(after));
    if cni.0 != cni.1 {
        let name = |product: String| product.replace("no CNI", "none");
        lines.push(moved("CNI", name(cni.0), name(cni.1)));
    }
    let ready = |r: &Report| format!("{}/{}", r.nodes.ready, r.nodes.total);
    if ready(before) != ready(after) {
        lines.push(moved("nodes ready", ready(before), ready(after)));
    }
    let agents =
        |r: &Report| rooms::agents(r).map_or_else(|| "none".into(), |(ready, all)| format!("{ready}/{all}"));
    if agents(before) != agents(after) {
        lines.push(moved("agents ready", agents(before), agents(after)));
    }
    lines
}

/// How many objects the findings of a code are about.
fn subjects(report: &Report, slug: &str) -> usize {
    report
        .findings
        .iter()
        .filter(|f| f.caused_by.is_none() && f.code.slug == slug)
        .map(|f| f.subjects.len().max(1))
        .sum()
}

/// A finding with what is new about it.
fn told(finding: &Finding, news: String, style: &Style) -> String {
    let mark = Mark::of(finding.severity);
    Line::marked(mark, style)
        .with(mark.tone(), finding.code.id)
        .with(Tone::Plain, format!("  {}: {news}", finding.code.slug))
        .paint(style)
}
