//! The words of the codes: `explain` on the terminal, and docs/codes.md from the same text.

use super::{
    Style, advice,
    grid::{self, Column},
    line::{Line, clean, width, wrap},
    markdown::fence,
    theme::{self, Mark, Tone},
};
use crate::core::code::Code;

/// What the families are about, by the first two digits of a code.
const FAMILIES: [(&str, &str); 8] = [
    ("00", "Reading the cluster"),
    ("01", "Nodes"),
    ("02", "The CNI's workload"),
    ("03", "CIDRs"),
    ("04", "DNS"),
    ("05", "The release"),
    ("06", "A change: preflight and gates"),
    ("07", "The platform"),
];

/// A piece of a code's text.
enum Piece<'a> {
    /// Words that belong together, to be wrapped.
    Paragraph(String),
    /// An item of a list.
    Item(String),
    /// Lines to be copied, never touched.
    Commands(Vec<&'a str>),
}

/// Takes text apart into paragraphs (parted by empty lines), items (`- `) and commands: lines that begin with a known
/// program or `$ `, or that are indented by four.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut all: Vec<Piece<'_>> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with("```") {
            open = false;
            continue;
        }
        // A command that was broken by a backslash goes on.
        let goes_on =
            matches!(all.last(), Some(Piece::Commands(c)) if c.last().is_some_and(|l| l.ends_with('\\')));
        if goes_on || advice::is_command(bare) || bare.starts_with("$ ") || line.starts_with("    ") {
            let command = bare.strip_prefix("$ ").unwrap_or(bare);
            match all.last_mut() {
                Some(Piece::Commands(commands)) => commands.push(command),
                _ => all.push(Piece::Commands(vec![command])),
            }
            open = false;
            continue;
        }
        if let Some(item) = bare.strip_prefix("- ").or_else(|| bare.strip_prefix("* ")) {
            all.push(Piece::Item(item.to_string()));
            open = true;
            continue;
        }
        match all.last_mut() {
            Some(Piece::Paragraph(words) | Piece::Item(words)) if open => {
                words.push(' ');
                words.push_str(bare);
            }
            _ => all.push(Piece::Paragraph(bare.to_string())),
        }
        open = true;
    }
    all
}

/// A section of `explain`: a heading, and its text two columns in.
fn section(heading: &str, text: &str, style: &Style) -> Vec<String> {
    let pieces = pieces(text);
    if pieces.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        String::new(),
        Line::new().with(Tone::Strong, heading).paint(style),
    ];
    let mut before_item = false;
    for (at, piece) in pieces.iter().enumerate() {
        let item = matches!(piece, Piece::Item(_));
        // A line between paragraphs, none between the items of a list or before a first command.
        if at > 0 && !(item && before_item) && matches!(piece, Piece::Paragraph(_)) {
            lines.push(String::new());
        }
        before_item = item;
        let (lead, words) = match piece {
            Piece::Commands(commands) => {
                lines.extend(commands.iter().map(|command| {
                    Line::new()
                        .with(Tone::Plain, "    ")
                        .with(Tone::Note, *command)
                        .paint_uncut(style)
                }));
                continue;
            }
            Piece::Paragraph(words) => ("  ", words),
            Piece::Item(words) => ("  - ", words),
        };
        let room = style.width.saturating_sub(width(lead));
        for (at, piece) in wrap(&clean(words, style), room, room).into_iter().enumerate() {
            let lead = if at == 0 {
                lead.to_string()
            } else {
                " ".repeat(width(lead))
            };
            lines.push(
                Line::new()
                    .with(Tone::Plain, lead)
                    .with(Tone::Plain, piece)
                    .paint(style),
            );
        }
    }
    lines
}

/// The changes that do not begin while the code stands: `install, upgrade`; nothing where it blocks none.
fn blocks(code: &Code) -> Option<String> {
    let verbs: Vec<&str> = code.blocks.iter().map(|change| change.as_str()).collect();
    (!verbs.is_empty()).then(|| verbs.join(", "))
}

/// One code for the terminal. Commands keep their lines, whatever the width.
pub fn explain(code: &Code, style: &Style) -> String {
    let mark = Mark::of(code.severity);
    let head = Line::marked(mark, style)
        .with(mark.tone(), code.id)
        .with(Tone::Plain, "  ");
    let mut lines = vec![
        head.with(Tone::Plain, code.slug)
            .with(Tone::Dim, format!("  ({})", code.severity.as_str()))
            .paint(style),
    ];
    let room = style.width.saturating_sub(theme::margin(style));
    for piece in wrap(&clean(code.title, style), room, room) {
        lines.push(Line::indented(style).with(Tone::Strong, piece).paint(style));
    }
    if let Some(blocks) = blocks(code) {
        let line = Line::indented(style).with(Tone::Dim, format!("Blocks: {blocks}"));
        lines.push(line.paint(style));
    }
    lines.extend(section("What it means", code.means, style));
    lines.extend(section("Why it matters", code.matters, style));
    lines.extend(section("See it", code.see, style));
    lines.extend(section("Fix it", code.fix, style));
    if !code.sources.is_empty() {
        lines.extend([
            String::new(),
            Line::new().with(Tone::Strong, "Sources").paint(style),
        ]);
    }
    for source in code.sources {
        let words: Vec<&str> = source.split_whitespace().collect();
        // A link is worth more whole than wrapped.
        let pieces = match words.as_slice() {
            [link] => vec![(*link).to_string()],
            _ => wrap(
                &clean(source, style),
                style.width.saturating_sub(2),
                style.width.saturating_sub(2),
            ),
        };
        lines.extend(pieces.into_iter().map(|p| {
            Line::new()
                .with(Tone::Plain, "  ")
                .with(Tone::Dim, p)
                .paint_uncut(style)
        }));
    }
    lines.join("\n") + "\n"
}

/// All codes, one a line.
pub fn list(all: &[&Code], style: &Style) -> String {
    const COLUMNS: [Column; 4] = [
        Column::new("CODE", 9, 7),
        Column::new("SEVERITY", 0, 7),
        Column::new("NAME", 8, 16),
        Column::new("TITLE", 7, 12),
    ];
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|c| {
            vec![
                c.id.into(),
                c.severity.as_str().into(),
                c.slug.into(),
                clean(c.title, style),
            ]
        })
        .collect();
    let room = style.width.saturating_sub(theme::margin(style));
    let mut out = String::new();
    for (at, row) in grid::lines(&COLUMNS, &rows, room, style).into_iter().enumerate() {
        let line = match at.checked_sub(1).and_then(|i| all.get(i)) {
            Some(code) => Line::marked(Mark::of(code.severity), style).with(Tone::Plain, row),
            None => Line::indented(style).with(Tone::Dim, row),
        };
        out.push_str(&line.paint(style));
        out.push('\n');
    }
    out
}

/// Our own words as Markdown: placeholders such as `<node>` would vanish as HTML, except within backticks.
fn prose(text: &str) -> String {
    let pieces = text
        .split('`')
        .enumerate()
        .map(|(at, piece)| match at.is_multiple_of(2) {
            true => piece.replace('<', "\\<").replace('*', "\\*"),
            false => piece.to_string(),
        });
    pieces.collect::<Vec<_>>().join("`")
}

/// docs/codes.md: a table of all codes, then each in full.
pub fn codes_markdown(all: &[&Code]) -> String {
    let mut out = String::from(
        "# Codes\n\nGenerated from the texts of `kubectl byocni explain`; edit those. \
         A code never changes its meaning, and a retired one is never reused.\n\n\
         | Code | Name | Severity | Title |\n|---|---|---|---|\n",
    );
    for c in all {
        let title = prose(c.title).replace('|', "\\|");
        out += &format!(
            "| [{}](#{}) | `{}` | {} | {title} |\n",
            c.id,
            anchor(c),
            c.slug,
            c.severity.as_str()
        );
    }
    let mut family = "";
    for c in all {
        let digits = c.id.get(3..5).unwrap_or_default();
        if digits != family {
            family = digits;
            let about = FAMILIES
                .iter()
                .find(|(d, _)| *d == digits)
                .map_or("A CNI's own", |(_, about)| about);
            out += &format!("\n## {digits} {about}\n");
        }
        out += &format!(
            "\n### {} {}\n\n{} ({}{}).\n",
            c.id,
            c.slug,
            prose(c.title.trim_end_matches('.')),
            c.severity.as_str(),
            blocks(c)
                .map(|verbs| format!("; blocks {verbs}"))
                .unwrap_or_default()
        );
        for (heading, text) in [
            ("What it means", c.means),
            ("Why it matters", c.matters),
            ("See it", c.see),
            ("Fix it", c.fix),
        ] {
            out += &section_markdown(heading, text);
        }
        if !c.sources.is_empty() {
            out += "\n**Sources**\n\n";
            for source in c.sources {
                let link = source.starts_with("http") && !source.contains(' ');
                out += &if link {
                    format!("- <{source}>\n")
                } else {
                    format!("- {source}\n")
                };
            }
        }
    }
    out
}

/// The anchor that GitHub makes of a code's heading.
fn anchor(code: &Code) -> String {
    format!("{}-{}", code.id.to_lowercase(), code.slug)
}

fn section_markdown(heading: &str, text: &str) -> String {
    let pieces = pieces(text);
    if pieces.is_empty() {
        return String::new();
    }
    let mut out = format!("\n**{heading}**\n");
    let mut before_item = false;
    for piece in pieces {
        let item = matches!(piece, Piece::Item(_));
        let gap = if item && before_item { "" } else { "\n" };
        before_item = item;
        out += &match piece {
            Piece::Paragraph(words) => format!("{gap}{}\n", prose(&words)),
            Piece::Item(words) => format!("{gap}- {}\n", prose(&words)),
            Piece::Commands(commands) => format!("{gap}{}", fence(&commands.join("\n"))),
        };
    }
    out
}
