//! For issues and pull requests: the same page as Markdown, with nothing in it that a name could turn into markup.

use std::fmt::Write;

use super::{
    Style, advice, humanize,
    line::clean,
    nodes, rooms,
    theme::{self, Mark},
    verdict,
};
use crate::core::{
    code::Severity,
    finding::Finding,
    report::{Report, Skipped},
};

/// Rows of nodes that are listed: a pull request is no place for thousands.
const ROWS: usize = 50;

/// `-o markdown`. The width plays no part: a renderer wraps.
pub fn markdown(report: &Report, style: &Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(report, style, &mut out);
    out
}

/// Text from the cluster as Markdown that shows exactly that text.
pub fn escape(text: &str, style: &Style) -> String {
    let mut safe = String::new();
    for c in clean(text, style).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // A mention would call people, a hash would link an issue.
            '@' => safe.push_str("@<!-- -->"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    safe
}

/// A block of commands, fenced by more backticks than it contains.
pub fn fence(commands: &str) -> String {
    let (mut run, mut longest) = (0, 2);
    for c in commands.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}sh\n{commands}\n{fence}\n")
}

fn write(report: &Report, style: &Style, out: &mut String) -> std::fmt::Result {
    // Lines of this format have no width.
    let free = Style {
        width: usize::MAX,
        color: false,
        ..*style
    };
    let e = |text: &str| escape(text, &free);
    let mark = Mark::verdict(report.verdict);
    writeln!(
        out,
        "### {} {}: {}\n",
        mark.symbol(&free),
        verdict::word(report.verdict),
        verdict::counts(report)
    )?;
    let platform = &report.platform;
    let version = platform
        .kubernetes_version
        .as_deref()
        .unwrap_or("version not known");
    let context = report.context.as_deref().unwrap_or("a file");
    writeln!(
        out,
        "{}, {} {}, BYOCNI {}, as of {}\n",
        e(context),
        e(humanize::platform(platform.name)),
        e(version),
        platform.byocni.as_str(),
        report.taken_at
    )?;
    writeln!(out, "| | | |\n|---|---|---|")?;
    for room in rooms::rooms(report, &free) {
        writeln!(
            out,
            "| {} | {} | {} |",
            room.mark().symbol(&free),
            room.label,
            e(&room.parts.join(", "))
        )?;
    }
    let held = nodes::held(report);
    let mut rows: Vec<_> = report
        .nodes
        .items
        .iter()
        .map(|n| (nodes::mark(n, &held), n))
        .collect();
    rows.retain(|(mark, _)| *mark != Mark::Good);
    if !rows.is_empty() {
        writeln!(
            out,
            "\n| | Node | Pool | Ready | Agent | Pod CIDR | Findings |\n|---|---|---|---|---|---|---|"
        )?;
    }
    for (mark, node) in rows.iter().take(ROWS) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            mark.symbol(&free),
            e(&node.name),
            e(node.pool.as_deref().unwrap_or_default()),
            e(&nodes::ready(node)),
            e(node.agent.as_deref().unwrap_or_default()),
            humanize::list(&node.pod_cidrs, 2),
            node.codes.join(", "),
        )?;
    }
    if rows.len() > ROWS {
        writeln!(out, "\n{} more nodes with problems.", rows.len() - ROWS)?;
    }
    findings(report, &free, out)?;
    if !report.skipped.is_empty() {
        let all: Vec<&Skipped> = report.skipped.iter().collect();
        writeln!(
            out,
            "\n{} skipped: need {}.",
            humanize::plural(all.len(), "check"),
            e(&verdict::missing(&all))
        )?;
    }
    if let Some(next) = advice::next(report) {
        write!(out, "\nNext:\n\n{}", fence(&next))?;
    }
    Ok(())
}

/// Findings with their fixes; consequences as a list below their cause, infos last.
fn findings(report: &Report, style: &Style, out: &mut String) -> std::fmt::Result {
    let mut all: Vec<&Finding> = report.findings.iter().collect();
    all.sort_by_key(|f| f.severity);
    for (at, finding) in all.iter().enumerate() {
        let symbol = Mark::of(finding.severity).symbol(style);
        let message = escape(&finding.message, style);
        if finding.severity == Severity::Info {
            let because = finding
                .caused_by
                .map(|c| format!(" (because of {c})"))
                .unwrap_or_default();
            let gap = if at > 0 && all[at - 1].severity != Severity::Info {
                "\n"
            } else {
                ""
            };
            writeln!(
                out,
                "{gap}- {} {}: {message}{because}",
                finding.code.id, finding.code.slug
            )?;
            continue;
        }
        let title = escape(finding.code.title, style);
        writeln!(out, "\n#### {symbol} {} {title}\n\n{message}", finding.code.id)?;
        advised(&finding.fix, style, out)?;
    }
    Ok(())
}

/// A fix: words behind an arrow, commands in blocks.
pub fn advised(fix: &str, style: &Style, out: &mut String) -> std::fmt::Result {
    for (at, part) in advice::parts(fix).into_iter().enumerate() {
        match part {
            advice::Part::Words(words) => {
                let lead = if at == 0 {
                    format!("{} ", theme::arrow(style))
                } else {
                    String::new()
                };
                writeln!(out, "\n{lead}{}", escape(words, style))?;
            }
            advice::Part::Command(command) => {
                let line = command.split_whitespace().collect::<Vec<_>>().join(" ");
                write!(out, "\n{}", fence(&line))?;
            }
        }
    }
    Ok(())
}
