//! The fix of a finding, taken apart into words and commands; and the one command that comes next.

use super::Style;
use super::line::{Line, clean, command, width, wrap};
use super::theme::{self, Tone};
use crate::core::{
    code::{Code, Severity},
    finding::Finding,
    report::Report,
};

/// A piece of a fix.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Prose, to be wrapped.
    Words(&'a str),
    /// To be copied: on lines of its own.
    Command(&'a str),
}

/// What a command begins with.
const TOOLS: [&str; 5] = ["kubectl ", "helm ", "az ", "cilium ", "calicoctl "];

/// What ends a command within a sentence.
const ENDS: [&str; 6] = [" (", "; ", ", then ", ", or ", ", and ", " — "];

/// Whether the text begins with a command.
pub fn is_command(text: &str) -> bool {
    TOOLS.iter().any(|tool| text.starts_with(tool))
}

/// Takes a fix apart. Commands are what begins with a known program, stands after a colon, or in backticks.
pub fn parts(fix: &str) -> Vec<Part<'_>> {
    let fix = fix.trim();
    if fix.is_empty() {
        return Vec::new();
    }
    if is_command(fix) {
        let unquoted = |at: &usize| {
            ['\'', '"']
                .iter()
                .all(|q| fix[..*at].matches(*q).count().is_multiple_of(2))
        };
        let ends = ENDS
            .iter()
            .flat_map(|mark| fix.match_indices(mark))
            .map(|(at, _)| at);
        let end = ends.filter(unquoted).min();
        let Some(end) = end else {
            return vec![Part::Command(fix)];
        };
        let rest = fix[end..].trim_start_matches([',', ';', ' ']);
        let mut all = vec![Part::Command(&fix[..end])];
        all.extend(parts(rest));
        return all;
    }
    for (open, _) in fix.match_indices('`') {
        let inner = &fix[open + 1..];
        if let (true, Some(close)) = (is_command(inner), inner.find('`')) {
            let before = fix[..open].trim_end();
            let mut all = if before.is_empty() {
                Vec::new()
            } else {
                vec![Part::Words(before)]
            };
            all.push(Part::Command(&inner[..close]));
            all.extend(parts(inner[close + 1..].trim_start_matches(['.', ',', ';', ' '])));
            return all;
        }
    }
    let colon = fix.match_indices(": ").find(|(at, _)| is_command(&fix[at + 2..]));
    match colon {
        Some((at, _)) => {
            let mut all = vec![Part::Words(&fix[..=at])];
            all.extend(parts(&fix[at + 2..]));
            all
        }
        None => vec![Part::Words(fix)],
    }
}

/// The lines of a fix: `indent` columns, an arrow, and everything after it hanging.
pub fn lines(fix: &str, indent: usize, style: &Style) -> Vec<String> {
    let arrow = format!("{} ", theme::arrow(style));
    let hang = indent + width(&arrow);
    let room = style.width.saturating_sub(hang).max(1);
    let mut lines: Vec<String> = Vec::new();
    for part in parts(fix) {
        let (tone, pieces) = match part {
            Part::Words(words) => (Tone::Plain, wrap(&clean(words, style), room, room)),
            Part::Command(words) => {
                let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                (Tone::Note, command(&words, room, room.saturating_sub(2)))
            }
        };
        for (at, piece) in pieces.into_iter().enumerate() {
            let lead = match (lines.is_empty(), tone, at) {
                (true, ..) => Line::new()
                    .with(Tone::Plain, " ".repeat(indent))
                    .with(Tone::Strong, &*arrow),
                (false, Tone::Note, 1..) => Line::new().with(Tone::Plain, " ".repeat(hang + 2)),
                _ => Line::new().with(Tone::Plain, " ".repeat(hang)),
            };
            let line = lead.with(tone, piece);
            lines.push(if tone == Tone::Note {
                line.paint_uncut(style)
            } else {
                line.paint(style)
            });
        }
    }
    lines
}

/// The one command to run next: the fix of the worst finding where that is one of ours or kubectl's, else its
/// explanation; none where nothing is wrong.
pub fn next(report: &Report) -> Option<String> {
    let worst = report
        .findings
        .iter()
        .filter(|f| f.severity != Severity::Info)
        .min_by_key(|f| f.severity)?;
    Some(next_of(worst))
}

/// The one command to run for a finding: its fix where that begins with one of ours or kubectl's, else its explanation.
pub fn next_of(finding: &Finding) -> String {
    match parts(&finding.fix).first() {
        Some(Part::Command(fix)) if fix.starts_with("kubectl ") => {
            fix.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        _ => explain(finding.code),
    }
}

/// The command that explains a code.
pub fn explain(code: &Code) -> String {
    format!("kubectl byocni explain {}", code.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_words() {
        use Part::{Command, Words};
        for (fix, expected) in [
            (
                "kubectl byocni install cilium",
                vec![Command("kubectl byocni install cilium")],
            ),
            (
                "kubectl drain a --ignore-daemonsets, then delete the node",
                vec![
                    Command("kubectl drain a --ignore-daemonsets"),
                    Words("then delete the node"),
                ],
            ),
            (
                "Restart the agents: kubectl -n kube-system rollout restart ds/cilium",
                vec![
                    Words("Restart the agents:"),
                    Command("kubectl -n kube-system rollout restart ds/cilium"),
                ],
            ),
            (
                "Free a block with `kubectl delete node a`, and wait",
                vec![
                    Words("Free a block with"),
                    Command("kubectl delete node a"),
                    Words("and wait"),
                ],
            ),
            (
                "kubectl get cn -o jsonpath='{a; b}'",
                vec![Command("kubectl get cn -o jsonpath='{a; b}'")],
            ),
            (
                "Ask who runs the cluster",
                vec![Words("Ask who runs the cluster")],
            ),
            ("", vec![]),
        ] {
            assert_eq!(parts(fix), expected, "{fix}");
        }
    }
}
