//! The page of `history`: what became of a release, newest last.

use std::fmt::Write;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Format, Style,
    grid::{self, Column},
    humanize::plural,
    line::{Line, clean, clip},
    markdown::escape,
    schemas::API_VERSION,
    theme::{self, Mark, Tone},
};
use crate::core::{
    history::{History, Row},
    text::Text,
};

/// Writes a history in a format. Text ends with a line feed unless it is empty.
pub fn history(history: &History, style: &Style, format: Format) -> String {
    match format {
        Format::Table => page(history, false, style),
        Format::Wide => page(history, true, style),
        Format::Json => json(history),
        // JSON is YAML too: should the writer ever refuse, the reader still gets the document.
        Format::Yaml => crate::yaml::to_string(&document(history)).unwrap_or_else(|_| json(history)),
        Format::Markdown => markdown(history, style),
        Format::Name => names(history),
    }
}

/// The rows that a page shows.
fn rows(history: &History, wide: bool) -> Vec<&Row> {
    history.rows.iter().filter(|row| wide || !row.hidden).collect()
}

/// What is told of a revision, in the order of the columns. With `named` the chart's name stands before its version.
fn cells(row: &Row, named: bool) -> [String; 8] {
    let when = row.when.map(|when| when.strftime("%Y-%m-%d %H:%MZ").to_string());
    let version = row.version.trim_start_matches('v');
    let changed = match row.hidden {
        true => "update strategy only".to_string(),
        false => row.changed.clone(),
    };
    [
        row.revision.to_string(),
        when.unwrap_or_default(),
        match named {
            true => format!("{} {version}", row.chart).trim().to_string(),
            false => version.to_string(),
        },
        row.app_version.trim_start_matches('v').to_string(),
        row.status.clone(),
        row.health.clone().unwrap_or_default(),
        changed,
        row.by.clone().unwrap_or_default(),
    ]
    .map(|cell| Text::new(&cell).line(200))
}

fn page(history: &History, wide: bool, style: &Style) -> String {
    const COLUMNS: [Column; 8] = [
        Column::new("REV", 9, 3),
        Column::new("WHEN", 6, 17),
        Column::names("CHART", 7, 10),
        Column::new("APP", 0, 7),
        Column::new("STATUS", 8, 10),
        Column::new("HEALTH", 5, 7),
        Column::new("CHANGED", 4, 24),
        Column::names("BY", 1, 8),
    ];
    let shown = rows(history, wide);
    // Versions of a chart and of what it installs are mostly the same, and so is its name.
    let named = shown.windows(2).any(|pair| pair[0].chart != pair[1].chart);
    let plain = |version: &str| version.trim_start_matches('v').to_string();
    let same = shown
        .iter()
        .all(|row| plain(&row.version) == plain(&row.app_version));
    let all: Vec<Vec<String>> = shown
        .iter()
        .map(|row| {
            let mut cells = cells(row, named);
            if same {
                cells[3].clear();
            }
            cells.iter().map(|cell| clean(cell, style)).collect()
        })
        .collect();
    let count = plural(history.rows.len(), "revision");
    let parts = [
        history.cni.clone(),
        format!("{}/{}", history.namespace, history.release),
        count,
    ];
    let parts: Vec<String> = parts.iter().map(|part| clean(&Text::new(part), style)).collect();
    let title = Line::indented(style).with(Tone::Strong, parts.join(theme::dot(style)));
    let mut blocks = vec![vec![title.paint(style)]];
    if !all.is_empty() {
        let room = style.width.saturating_sub(theme::margin(style));
        let lines = grid::lines(&COLUMNS, &all, room, style).into_iter().enumerate();
        let lines = lines.map(|(at, row)| {
            let tone = if at == 0 { Tone::Dim } else { Tone::Plain };
            Line::indented(style).with(tone, row).paint(style)
        });
        blocks.push(lines.collect());
    }
    let hidden = history.rows.len() - shown.len();
    if hidden > 0 {
        let text = format!(
            "{}and {hidden} of the update strategy alone (-o wide lists them)",
            theme::ellipsis(style)
        );
        blocks.push(vec![
            Line::indented(style)
                .with(Tone::Dim, clip(&text, style.width, style))
                .paint(style),
        ]);
    }
    blocks.push(vec![closing(history, style)]);
    let blocks: Vec<String> = blocks.iter().map(|block| block.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

/// The last line: what is there now.
fn closing(history: &History, style: &Style) -> String {
    let Some(newest) = history.newest() else {
        let start = Line::marked(Mark::Unknown, style);
        return start.with(Tone::Strong, "no revision is known").paint(style);
    };
    let mark = match (newest.status.as_str(), newest.health.as_deref()) {
        ("deployed", None) => Mark::Info,
        ("deployed", Some("healthy")) => Mark::Good,
        ("deployed", Some("unknown")) => Mark::Unknown,
        ("deployed", _) => Mark::Bad,
        ("failed", _) => Mark::Bad,
        _ => Mark::Warning,
    };
    let health = match &newest.health {
        Some(health) => format!("{health} after it"),
        None => "its health was not recorded".into(),
    };
    let parts = [
        format!("revision {}", newest.revision),
        format!("{} {}", newest.chart, newest.version.trim_start_matches('v')),
        newest.status.clone(),
        health,
    ];
    let words: Vec<String> = parts
        .iter()
        .map(|part| clean(&Text::new(part).line(200), style))
        .collect();
    let start = Line::marked(mark, style);
    let room = start.room(style);
    let text = clip(&words.join(theme::dot(style)), room, style);
    start.with(Tone::Strong, text).paint(style)
}

fn markdown(history: &History, style: &Style) -> String {
    let free = Style {
        width: usize::MAX,
        color: false,
        ..*style
    };
    let e = |text: &str| escape(text, &free);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "### {}, {}/{}\n\n| Revision | When | Chart | App | Status | Health | Changed | By |\n|---|---|---|---|---|---|---|---|",
        e(&history.cni),
        e(&history.namespace),
        e(&history.release)
    );
    for row in rows(history, true) {
        let cells: Vec<String> = cells(row, true).iter().map(|cell| e(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// `-o name`: the numbers that `rollback` takes, one a line.
fn names(history: &History) -> String {
    let shown = rows(history, false).into_iter();
    shown.map(|row| format!("{}\n", row.revision)).collect()
}

/// What `history -o json` prints.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseHistory {
    /// The version of this format.
    #[schemars(extend("const" = API_VERSION))]
    api_version: &'static str,
    /// Which document it is.
    #[schemars(extend("const" = ReleaseHistory::KIND))]
    kind: &'static str,
    /// The product, else the chart's name.
    cni: String,
    /// The release.
    release: Release,
    /// Oldest first; Helm forgets the oldest by and by.
    revisions: Vec<Revision>,
}

/// The release.
#[derive(Serialize, JsonSchema)]
struct Release {
    /// Its name.
    name: String,
    /// Its namespace.
    namespace: String,
}

/// A revision.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Revision {
    /// From 1.
    #[schemars(range(min = 0))]
    revision: i64,
    /// When it was written.
    created_at: Option<Timestamp>,
    /// The chart.
    chart: Chart,
    /// Helm's word: `deployed`, `superseded`, `failed`, ….
    status: String,
    /// The verdict after the change; `null` where none was recorded.
    health: Option<String>,
    /// What was new in it, in a few words; values are counted, never shown.
    changed: String,
    /// Who made it, `user@host`, where it is known.
    by: Option<String>,
    /// Whether it only holds the agents still for a rollout.
    hidden: bool,
}

/// The chart.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Chart {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// What it installs.
    app_version: String,
}

impl ReleaseHistory {
    /// What `kind` says.
    pub const KIND: &'static str = "ReleaseHistory";
}

/// `ReleaseHistory` of byocni.io/v1alpha1: every revision, hidden ones too.
fn document(history: &History) -> ReleaseHistory {
    let text = |text: &str| Text::new(text).as_str().to_string();
    let one = |row: &Row| Revision {
        revision: row.revision,
        created_at: row.when,
        chart: Chart {
            name: text(&row.chart),
            version: text(&row.version),
            app_version: text(&row.app_version),
        },
        status: text(&row.status),
        health: row.health.as_deref().map(text),
        changed: text(&row.changed),
        by: row.by.as_deref().map(text),
        hidden: row.hidden,
    };
    ReleaseHistory {
        api_version: API_VERSION,
        kind: ReleaseHistory::KIND,
        cni: text(&history.cni),
        release: Release {
            name: text(&history.release),
            namespace: text(&history.namespace),
        },
        revisions: history.rows.iter().map(one).collect(),
    }
}

fn json(history: &History) -> String {
    serde_json::to_string_pretty(&document(history)).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests;
