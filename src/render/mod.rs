//! The room of words: a [`Report`] becomes text. Pure: never reads the environment, a terminal or a clock.
//!
//! One file per format. A new format is one new file, one variant of [`Format`] and one line in [`ALL`].

pub mod explain;
pub mod humanize;
pub mod outcome;
pub mod progress;
pub mod schemas;
pub mod theme;
pub mod versions;

mod advice;
mod changes;
mod grid;
mod history;
mod line;
mod markdown;
mod name;
mod nodes;
mod plan;
mod problems;
mod rooms;
mod summary;
mod table;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

use crate::core::report::Report;

pub use changes::changes;
pub use history::history;
pub use plan::{plan, plans};
pub use summary::summary;

/// How text may look. Decided once, by the cli; nothing here asks a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Display columns; no line is wider, except a command of which one word alone is.
    pub width: usize,
    /// Whether colours may be used. They never carry meaning of their own.
    pub color: bool,
    /// Whether symbols beyond ASCII may be used.
    pub unicode: bool,
}

/// Below this many columns lists take the compact layout.
const COMPACT: usize = 60;

impl Style {
    /// Whether the layout for narrow terminals applies.
    fn compact(&self) -> bool {
        self.width < COMPACT
    }
}

/// The formats of `status -o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One page for people.
    Table,
    /// The same with every node, workload and CIDR.
    Wide,
    /// `ClusterStatus` as JSON.
    Json,
    /// `ClusterStatus` as YAML.
    Yaml,
    /// For issues and pull requests.
    Markdown,
    /// The subjects of errors and warnings as `kind/name`.
    Name,
}

/// A format with its name and its writer.
pub struct Entry {
    /// The format.
    pub format: Format,
    /// What `-o` calls it.
    pub name: &'static str,
    /// Writes a report.
    pub write: fn(&Report, &Style) -> String,
}

impl Entry {
    /// A line of the table below.
    const fn new(format: Format, name: &'static str, write: fn(&Report, &Style) -> String) -> Self {
        Entry { format, name, write }
    }
}

/// Every format, in the order in which help lists them.
pub const ALL: [Entry; 6] = [
    Entry::new(Format::Table, "table", table::table),
    Entry::new(Format::Wide, "wide", table::wide),
    Entry::new(Format::Json, "json", wire::json),
    Entry::new(Format::Yaml, "yaml", wire::yaml),
    Entry::new(Format::Markdown, "markdown", markdown::markdown),
    Entry::new(Format::Name, "name", name::name),
];

impl Format {
    /// What `-o` calls it.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|e| e.format == self).map_or("", |e| e.name)
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Format> {
        ALL.iter().find(|e| e.name == name).map(|e| e.format)
    }
}

/// Writes the report in a format. Text ends with a line feed unless it is empty.
pub fn render(report: &Report, style: &Style, format: Format) -> String {
    ALL.iter()
        .find(|e| e.format == format)
        .map_or_else(String::new, |e| (e.write)(report, style))
}
