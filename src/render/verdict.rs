//! The verdict in words: what stands first and last on the page.

use super::{
    Style, advice, humanize,
    humanize::plural,
    line::{Line, clean, clip, command, width},
    theme::{self, Mark, Tone},
};
use crate::core::{
    code::Severity,
    report::{Report, Skipped, Verdict},
};

/// The verdict in capitals.
pub fn word(verdict: Verdict) -> String {
    verdict.as_str().to_uppercase()
}

/// `2 errors, 1 warning`; what is zero is left out.
pub fn counts(report: &Report) -> String {
    let counted = [
        (report.count(Severity::Error), "error"),
        (report.count(Severity::Warning), "warning"),
    ];
    let words: Vec<String> = counted
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| plural(*n, word))
        .collect();
    match (words.is_empty(), report.incomplete()) {
        (true, true) => "not everything could be read".into(),
        (true, false) => "no problems found".into(),
        (false, _) => words.join(", "),
    }
}

/// What the verdict is about, where that is one thing: the only error, or what could not be read.
fn headline(report: &Report) -> Option<String> {
    if report.verdict == Verdict::Unknown {
        let needed: Vec<&Skipped> = report.skipped.iter().filter(|s| s.needed).collect();
        return (!needed.is_empty()).then(|| format!("missing: {}", missing(&needed)));
    }
    let mut errors = report.findings.iter().filter(|f| f.severity == Severity::Error);
    match (errors.next(), errors.next()) {
        (Some(only), None) => Some(humanize::headline(only.code.title)),
        _ => None,
    }
}

/// What skipped checks lacked, with what shares a verb said once: `list nodes, pods; get configmaps`.
pub fn missing(skipped: &[&Skipped]) -> String {
    const VERBS: [&str; 4] = ["get", "list", "watch", "create"];
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for need in skipped
        .iter()
        .flat_map(|s| s.missing.split(", "))
        .map(str::trim)
        .filter(|n| !n.is_empty())
    {
        let (verb, object) = match need.split_once(' ') {
            Some((verb, object)) if VERBS.contains(&verb) => (verb, object),
            _ => ("", need),
        };
        let at = groups.iter().position(|(v, _)| v == verb).unwrap_or_else(|| {
            groups.push((verb.to_string(), Vec::new()));
            groups.len() - 1
        });
        if !groups[at].1.iter().any(|o| o == object) {
            groups[at].1.push(object.to_string());
        }
    }
    let words: Vec<String> = groups
        .iter()
        .map(|(verb, objects)| format!("{verb} {}", objects.join(", ")).trim().to_string())
        .collect();
    words.join("; ")
}

/// Symbol, word, headline and counts on one line.
pub fn line(report: &Report, style: &Style) -> Line {
    let mark = Mark::verdict(report.verdict);
    let start = Line::marked(mark, style)
        .with(mark.tone(), word(report.verdict))
        .with(Tone::Plain, "  ");
    let counts = counts(report);
    let Some(headline) = headline(report) else {
        return start.with(Tone::Plain, counts);
    };
    let tail = format!("{}{counts}", theme::dot(style));
    let room = start.room(style).saturating_sub(width(&tail));
    if room < 12 {
        return start.with(Tone::Plain, counts);
    }
    start
        .with(Tone::Strong, clip(&clean(&headline, style), room, style))
        .with(Tone::Plain, tail)
}

/// The last line, and the one before it where the command does not fit behind the verdict.
pub fn closing(report: &Report, style: &Style) -> Vec<String> {
    with_next(line(report, style), advice::next(report), style)
}

/// A last line with the command that comes next behind it, or below where it does not fit.
pub fn with_next(line: Line, next: Option<String>, style: &Style) -> Vec<String> {
    let Some(next) = next else {
        return vec![line.paint(style)];
    };
    let lead = format!("{}next: ", theme::dot(style));
    if line.width() + width(&lead) + width(&next) <= style.width {
        return vec![line.with(Tone::Plain, lead).with(Tone::Note, next).paint(style)];
    }
    let mut lines = vec![line.paint(style)];
    let room = style.width.saturating_sub(6).max(1);
    for (at, piece) in command(&next, room, room).into_iter().enumerate() {
        let lead = if at == 0 { "next: " } else { "      " };
        lines.push(
            Line::new()
                .with(Tone::Plain, lead)
                .with(Tone::Note, piece)
                .paint_uncut(style),
        );
    }
    lines
}
