//! Findings: errors and warnings in full with their fixes, consequences under their cause, the rest in short.

use super::{
    Style, advice,
    humanize::{list, plural},
    line::{Line, clean, clip, width, wrap},
    theme::{self, Mark, Tone},
    verdict,
};
use crate::core::{
    code::Severity,
    finding::Finding,
    report::{Report, Skipped},
};

/// Infos that the default table shows.
const INFOS: usize = 5;

/// Subjects that wide lists for one finding.
const SUBJECTS: usize = 50;

/// The order of severity; of equals, the report's own.
fn worst_first(report: &Report) -> Vec<&Finding> {
    let mut all: Vec<&Finding> = report.findings.iter().collect();
    all.sort_by_key(|f| f.severity);
    all
}

/// Errors and warnings, each with what it caused.
pub fn lines(report: &Report, wide: bool, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    let counted: Vec<&Finding> = worst_first(report)
        .into_iter()
        .filter(|f| f.severity != Severity::Info)
        .collect();
    for (at, finding) in counted.iter().enumerate() {
        if at > 0 && !style.compact() {
            lines.push(String::new());
        }
        lines.extend(one(finding, wide, style));
        // A cause that stands twice is followed by its consequences once.
        if counted[..at].iter().any(|f| f.code.slug == finding.code.slug) {
            continue;
        }
        for consequence in report
            .findings
            .iter()
            .filter(|f| f.caused_by == Some(finding.code.slug))
        {
            let line = Line::indented(style)
                .with(
                    Tone::Dim,
                    format!("{} {} ", theme::elbow(style), consequence.code.id),
                )
                .with(Tone::Dim, clean(&consequence.message, style));
            lines.push(line.paint(style));
        }
    }
    lines
}

/// One finding in full.
pub fn one(finding: &Finding, wide: bool, style: &Style) -> Vec<String> {
    let mark = Mark::of(finding.severity);
    let hang = theme::margin(style);
    let head = Line::marked(mark, style)
        .with(mark.tone(), finding.code.id)
        .with(Tone::Plain, "  ");
    let title = clean(finding.code.title, style);
    let slug = finding.code.slug;
    let mut lines = Vec::new();
    if width(&title) + 2 + width(slug) <= head.room(style) {
        let line = head
            .with(Tone::Strong, title)
            .with(Tone::Plain, "  ")
            .with(Tone::Dim, slug);
        lines.push(line.paint(style));
    } else {
        let rest = style.width.saturating_sub(hang);
        let mut pieces = wrap(&title, head.room(style), rest).into_iter();
        lines.push(
            head.with(Tone::Strong, pieces.next().unwrap_or_default())
                .paint(style),
        );
        lines.extend(pieces.map(|p| Line::indented(style).with(Tone::Strong, p).paint(style)));
    }
    lines.extend(hanging(&finding.message, Tone::Plain, style));
    if wide && finding.subjects.len() > 1 {
        lines.extend(hanging(
            &format!("About {}", list(&finding.subjects, SUBJECTS)),
            Tone::Dim,
            style,
        ));
    }
    lines.extend(advice::lines(&finding.fix, hang, style));
    lines
}

/// Wrapped text under the symbols' column.
fn hanging(text: &str, tone: Tone, style: &Style) -> Vec<String> {
    let room = style.width.saturating_sub(theme::margin(style));
    wrap(&clean(text, style), room, room)
        .into_iter()
        .map(|piece| Line::indented(style).with(tone, piece).paint(style))
        .collect()
}

/// Infos that are no consequence of a finding that is shown, one line each.
pub fn infos(report: &Report, wide: bool, style: &Style) -> Vec<String> {
    let shown = |slug: &str| {
        report
            .findings
            .iter()
            .any(|f| f.severity != Severity::Info && f.code.slug == slug)
    };
    let infos: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Info && !f.caused_by.is_some_and(shown))
        .collect();
    let most = if wide { infos.len() } else { INFOS };
    let mut lines: Vec<String> = infos
        .iter()
        .take(most)
        .map(|finding| {
            let line = Line::marked(Mark::Info, style)
                .with(Mark::Info.tone(), finding.code.id)
                .with(Tone::Plain, "  ");
            let room = line.room(style);
            line.with(Tone::Plain, clip(&clean(&finding.message, style), room, style))
                .paint(style)
        })
        .collect();
    if infos.len() > most {
        let left = plural(infos.len() - most, "more note");
        let text = format!("{}and {left} (-o wide lists them)", theme::ellipsis(style));
        lines.push(Line::indented(style).with(Tone::Dim, text).paint(style));
    }
    lines
}

/// What could not be checked and what it would take.
pub fn skipped(report: &Report, wide: bool, style: &Style) -> Vec<String> {
    skipped_lines(&report.skipped, wide, style)
}

/// The same of any list.
pub fn skipped_lines(skipped: &[Skipped], wide: bool, style: &Style) -> Vec<String> {
    if skipped.is_empty() {
        return Vec::new();
    }
    let all: Vec<&Skipped> = skipped.iter().collect();
    let text = format!(
        "{} skipped: need {}",
        plural(all.len(), "check"),
        verdict::missing(&all)
    );
    let room = style.width.saturating_sub(theme::margin(style));
    let mut lines = Vec::new();
    for (at, piece) in wrap(&clean(&text, style), room, room).into_iter().enumerate() {
        let lead = if at == 0 {
            Line::marked(Mark::Unknown, style)
        } else {
            Line::indented(style)
        };
        lines.push(lead.with(Tone::Plain, piece).paint(style));
    }
    if wide {
        for skipped in all {
            let text = format!("{} ({})", skipped.check, skipped.missing);
            lines.push(
                Line::indented(style)
                    .with(Tone::Dim, clean(&text, style))
                    .paint(style),
            );
        }
    }
    lines
}
