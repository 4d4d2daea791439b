//! Meaning becomes symbol, word and colour. The only file that knows a colour or a glyph.

use owo_colors::Style as Paint;

use super::Style;
use crate::core::{code::Severity, report::Verdict};

/// What a piece of text means, as far as colour is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Labels and headings.
    Strong,
    /// What may be overlooked: headers, consequences, hints.
    Dim,
    /// Works.
    Good,
    /// An error.
    Bad,
    /// A warning, or something that is not known.
    Careful,
    /// Worth knowing; commands.
    Note,
}

/// The state of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Works.
    Good,
    /// Works, and something is wrong with it.
    Warning,
    /// Does not work.
    Bad,
    /// Worth knowing.
    Info,
    /// Could not be read.
    Unknown,
    /// Not there yet, and expected.
    Pending,
}

impl Mark {
    /// The mark of a finding's severity.
    pub fn of(severity: Severity) -> Mark {
        match severity {
            Severity::Error => Mark::Bad,
            Severity::Warning => Mark::Warning,
            Severity::Info => Mark::Info,
        }
    }

    /// The mark of a verdict.
    pub fn verdict(verdict: Verdict) -> Mark {
        match verdict {
            Verdict::Healthy => Mark::Good,
            Verdict::Degraded | Verdict::Broken => Mark::Bad,
            Verdict::Unknown => Mark::Unknown,
        }
    }

    /// Its colour.
    pub fn tone(self) -> Tone {
        match self {
            Mark::Good => Tone::Good,
            Mark::Bad => Tone::Bad,
            Mark::Warning | Mark::Unknown => Tone::Careful,
            Mark::Info | Mark::Pending => Tone::Note,
        }
    }

    /// Its symbol. All of ours are one column wide; the ASCII words are padded by [`Mark::cell`].
    pub fn symbol(self, style: &Style) -> &'static str {
        match (self, style.unicode) {
            (Mark::Good, true) => "✔",
            (Mark::Warning, true) => "▲",
            (Mark::Bad, true) => "✖",
            (Mark::Info, true) => "•",
            (Mark::Good, false) => "ok",
            (Mark::Warning, false) => "warn",
            (Mark::Bad, false) => "FAIL",
            (Mark::Info, false) => "info",
            (Mark::Unknown, _) => "?",
            (Mark::Pending, true) => "◦",
            (Mark::Pending, false) => "..",
        }
    }

    /// The symbol and the space behind it, always as wide as [`margin`].
    pub fn cell(self, style: &Style) -> String {
        format!("{:<1$}", self.symbol(style), margin(style))
    }
}

/// The width of the column of symbols at the left edge.
pub fn margin(style: &Style) -> usize {
    if style.unicode { 2 } else { 5 }
}

/// The arrow before a fix and between two states.
pub fn arrow(style: &Style) -> &'static str {
    if style.unicode { "→" } else { "->" }
}

/// What leads a consequence under its cause.
pub fn elbow(style: &Style) -> &'static str {
    if style.unicode { "└" } else { "`-" }
}

/// What stands between two statements on one line.
pub fn dot(style: &Style) -> &'static str {
    if style.unicode { " · " } else { " - " }
}

/// What turns while something goes on, by how often it was drawn. One column wide.
pub fn spinner(frame: usize, style: &Style) -> &'static str {
    const TURNING: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    const PLAIN: [&str; 4] = ["|", "/", "-", "\\"];
    let frames: &[&str] = if style.unicode { &TURNING } else { &PLAIN };
    frames[frame % frames.len()]
}

/// How far something is, as a bar of so many columns; full only where all is done.
pub fn bar(done: usize, total: usize, columns: usize, style: &Style) -> String {
    let (full, empty) = if style.unicode { ("━", "╌") } else { ("#", ".") };
    let filled = match total {
        0 => columns,
        _ => done.min(total).saturating_mul(columns) / total,
    };
    format!("{}{}", full.repeat(filled), empty.repeat(columns - filled))
}

/// What stands for text left out.
pub fn ellipsis(style: &Style) -> &'static str {
    if style.unicode { "…" } else { "..." }
}

/// Colours text, where colours may be used.
pub fn paint(tone: Tone, text: &str, style: &Style) -> String {
    if !style.color || text.is_empty() {
        return text.to_string();
    }
    let paint = match tone {
        Tone::Plain => return text.to_string(),
        Tone::Strong => Paint::new().bold(),
        Tone::Dim => Paint::new().dimmed(),
        Tone::Good => Paint::new().green().bold(),
        Tone::Bad => Paint::new().red().bold(),
        Tone::Careful => Paint::new().yellow().bold(),
        Tone::Note => Paint::new().cyan(),
    };
    paint.style(text).to_string()
}
