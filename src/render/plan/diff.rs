//! What a change makes different, as part of a plan's page: settings, images, restarts in their order, objects.

use std::collections::BTreeMap;

use super::{of_kind, text};
use crate::core::{
    code::Change,
    finding::Subject,
    plan::diff::{Because, Content, Diff, Image, Part, Restart, Setting},
};
use crate::render::{
    Style,
    grid::{self, Column},
    humanize::plural,
    line::{Line, clean, width, wrap},
    theme::{self, Mark, Tone},
};

/// Settings that the default page shows, over all objects.
const SETTINGS: usize = 12;

/// The sections of a page, each with its lines.
pub fn blocks(diff: &Diff, change: Change, wide: bool, style: &Style) -> Vec<Vec<String>> {
    let mut blocks = settings(diff, wide, style);
    blocks.push(images(diff, wide, style));
    blocks.push(restarts(diff, style));
    blocks.push(match wide {
        true => objects(diff, style),
        false => counts(diff, style),
    });
    blocks.push(notes(diff, change, style));
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// What people must know of it on one line: how many workloads restart, else what is different.
pub fn in_short(diff: &Diff) -> String {
    match diff.restarts.len() {
        0 => diff.summary(),
        1 => "1 workload restarts".into(),
        n => format!("{n} workloads restart"),
    }
}

/// A setting in words: what, before, after, whose.
pub fn cells(setting: &Setting) -> [String; 4] {
    let after = side(setting.after.as_ref());
    let after = match (&setting.extent, &setting.after) {
        (Some(extent), Some(_)) => format!("{after}; {extent} different"),
        _ => after,
    };
    [
        setting.key.clone(),
        side(setting.before.as_ref()),
        after,
        whose(setting.because),
    ]
}

/// One side of a setting in words.
fn side(content: Option<&Content>) -> String {
    match content {
        None => "(not set)".into(),
        Some(Content::Text(text)) if text.is_empty() => "\"\"".into(),
        Some(Content::Text(text) | Content::Long(text)) => text.clone(),
        Some(Content::Hidden) => "(not shown)".into(),
    }
}

fn whose(because: Option<Because>) -> String {
    because.map_or_else(String::new, |because| because.as_str().to_string())
}

/// The settings by object; within one what people gave first, and what changes before what is new.
pub fn by_object(diff: &Diff) -> Vec<(&Subject, Vec<&Setting>)> {
    let mut objects: BTreeMap<&Subject, Vec<&Setting>> = BTreeMap::new();
    for setting in &diff.settings {
        objects.entry(&setting.object).or_default().push(setting);
    }
    let rank = |s: &Setting| match (&s.before, &s.after) {
        (Some(_), Some(_)) => 0,
        (Some(_), None) => 1,
        _ => 2,
    };
    for settings in objects.values_mut() {
        settings.sort_by(|a, b| (a.because, rank(a), &a.key).cmp(&(b.because, rank(b), &b.key)));
    }
    objects.into_iter().collect()
}

fn settings(diff: &Diff, wide: bool, style: &Style) -> Vec<Vec<String>> {
    const COLUMNS: [Column; 4] = [
        Column::names("SETTING", 4, 18),
        Column::new("BEFORE", 2, 9),
        Column::new("AFTER", 3, 11),
        Column::new("WHY", 1, 7),
    ];
    let mut left = if wide { usize::MAX } else { SETTINGS };
    let mut blocks = vec![];
    for (object, settings) in by_object(diff) {
        let shown: Vec<&Setting> = settings.iter().take(left).copied().collect();
        left -= shown.len();
        if shown.is_empty() {
            continue;
        }
        let all = plural(settings.len(), "setting");
        let mut lines = vec![heading(&object.to_string(), &all, style)];
        let rows: Vec<Vec<String>> = shown
            .iter()
            .map(|setting| cells(setting).iter().map(|cell| clean(cell, style)).collect())
            .collect();
        lines.extend(match wide {
            true => whole(&COLUMNS, &rows, style),
            false => section(&COLUMNS, &rows, style),
        });
        if shown.len() < settings.len() {
            lines.push(more(settings.len() - shown.len(), "more setting", style));
        }
        blocks.push(lines);
    }
    let unseen = by_object(diff).len() - blocks.len();
    if unseen > 0
        && let Some(last) = blocks.last_mut()
    {
        last.push(more(unseen, "more object", style));
    }
    blocks
}

fn more(n: usize, what: &str, style: &Style) -> String {
    let text = format!(
        "{}and {} (-o wide lists them)",
        theme::ellipsis(style),
        plural(n, what)
    );
    Line::indented(style).with(Tone::Dim, text).paint(style)
}

fn heading(what: &str, how_much: &str, style: &Style) -> String {
    Line::indented(style)
        .with(Tone::Strong, clean(what, style))
        .with(
            Tone::Plain,
            format!("{}{}", theme::dot(style), clean(how_much, style)),
        )
        .paint(style)
}

/// Whether rows can stand side by side with nothing cut.
fn fits(columns: &[Column], rows: &[Vec<String>], style: &Style) -> bool {
    let widest = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
        cells.chain([width(columns[at].head)]).max().unwrap_or(0) + 2
    };
    let all: usize = (0..columns.len()).map(widest).sum();
    theme::margin(style) + all <= style.width + 2
}

/// A table in which nothing is cut: rows with long cells stand below it, on lines of their own.
fn whole(columns: &[Column], rows: &[Vec<String>], style: &Style) -> Vec<String> {
    let parted = |limit: usize| -> (Vec<Vec<String>>, Vec<Vec<String>>) {
        let short = |row: &Vec<String>| row.iter().all(|cell| width(cell) <= limit);
        rows.iter().cloned().partition(short)
    };
    let mut parts = (0..=style.width).rev().map(parted);
    let (short, long) = parts
        .find(|(short, _)| fits(columns, short, style))
        .unwrap_or_else(|| (vec![], rows.to_vec()));
    let mut lines = match short.is_empty() {
        true => vec![],
        false => section(columns, &short, style),
    };
    lines.extend(long.iter().flat_map(|row| paragraph(row, style)));
    lines
}

/// One row on lines of its own, whole: `key: before → after`, where and whose it is.
fn paragraph(row: &[String], style: &Style) -> Vec<String> {
    let [key, before, after, more @ ..] = row else {
        return vec![];
    };
    let more: Vec<&str> = more
        .iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    let room = style.width.saturating_sub(theme::margin(style) + 4).max(1);
    let behind = match more.is_empty() {
        true => String::new(),
        false => format!(" ({})", more.join("; ")),
    };
    let text = format!("{before} {} {after}{behind}", theme::arrow(style));
    let keys = wrap(key, room, room).into_iter();
    let mut lines: Vec<String> = keys
        .map(|piece| Line::indented(style).with(Tone::Plain, piece).paint(style))
        .collect();
    lines.extend(wrap(&text, room, room).into_iter().map(|piece| {
        Line::indented(style)
            .with(Tone::Plain, "    ")
            .with(Tone::Dim, piece)
            .paint(style)
    }));
    lines
}

/// A table with a dim header, as far in as the symbols are wide.
fn section(columns: &[Column], rows: &[Vec<String>], style: &Style) -> Vec<String> {
    let room = style.width.saturating_sub(theme::margin(style));
    let lines = grid::lines(columns, rows, room, style).into_iter().enumerate();
    lines
        .map(|(at, row)| {
            let tone = if at == 0 { Tone::Dim } else { Tone::Plain };
            Line::indented(style).with(tone, row).paint(style)
        })
        .collect()
}

/// An image in words: repository, before, after, where it runs, whose it is. Tags alone where these say it.
pub fn image(image: &Image) -> [String; 5] {
    let before = image.before.as_deref().map(Reference::of);
    let after = image.after.as_deref().map(Reference::of);
    let (repository, before, after) = match (before, after) {
        (Some(b), Some(a)) if b.repository == a.repository => {
            let tags = b.tag != a.tag;
            (b.repository.clone(), b.short(tags), a.short(tags))
        }
        (b, a) => {
            let repository = b.as_ref().or(a.as_ref()).map(|r| r.repository.clone());
            let moved = b.is_some() && a.is_some();
            let text = |r: Option<Reference>, whole: bool| match r {
                None => "(none)".to_string(),
                Some(r) if whole => format!("{}:{}", r.repository, r.short(true)),
                Some(r) => r.short(true),
            };
            (repository.unwrap_or_default(), text(b, false), text(a, moved))
        }
    };
    let place = format!("{}: {}", image.workload, image.containers.join(", "));
    [repository, before, after, place, whose(image.because)]
}

/// `repository:tag@digest`, taken apart.
struct Reference {
    repository: String,
    tag: String,
    digest: String,
}

impl Reference {
    fn of(image: &str) -> Self {
        let (named, digest) = image.split_once('@').unwrap_or((image, ""));
        let last = named.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match named[last..].split_once(':') {
            Some((name, tag)) => (format!("{}{name}", &named[..last]), tag.to_string()),
            None => (named.to_string(), String::new()),
        };
        Reference {
            repository,
            tag,
            digest: digest.to_string(),
        }
    }

    /// The tag; enough of the digest to compare by eye where the tag says nothing.
    fn short(&self, tag: bool) -> String {
        let digest: String = self.digest.chars().take("sha256:".len() + 12).collect();
        match () {
            () if tag && !self.tag.is_empty() => self.tag.clone(),
            () if digest.is_empty() && self.tag.is_empty() => "(no tag)".into(),
            () if digest.is_empty() => self.tag.clone(),
            () => digest,
        }
    }
}

/// The page has the last part of a repository's path and counts containers; `-o wide` has all of it.
fn images(diff: &Diff, wide: bool, style: &Style) -> Vec<String> {
    const COLUMNS: [Column; 5] = [
        Column::names("IMAGE", 4, 14),
        Column::names("BEFORE", 2, 13),
        Column::names("AFTER", 3, 13),
        Column::new("IN", 1, 16),
        Column::new("WHY", 0, 7),
    ];
    if diff.images.is_empty() {
        return vec![];
    }
    let row = |one: &Image| {
        let mut cells = image(one);
        if !wide {
            let name = cells[0].rsplit('/').next().map(str::to_string);
            cells[0] = name.unwrap_or_default();
            let several = one.containers.len() > 1;
            let more = several.then(|| format!(" ({} containers)", one.containers.len()));
            cells[3] = format!("{}{}", one.workload, more.unwrap_or_default());
        }
        cells.iter().map(|cell| clean(cell, style)).collect()
    };
    let rows: Vec<Vec<String>> = diff.images.iter().map(row).collect();
    match wide {
        true => whole(&COLUMNS, &rows, style),
        false => section(&COLUMNS, &rows, style),
    }
}

/// A restart in words: its place in the order, the workload, how many pods, why. What restarts with the agents has
/// their place.
pub fn restart(diff: &Diff, one: &Restart) -> [String; 4] {
    let beside = |r: &&Restart| r.part == Part::Beside;
    let before = diff.restarts.iter().take_while(|r| *r != one).count();
    let with = diff.restarts[..before].iter().filter(beside).count() + usize::from(beside(&one));
    let agents = diff.restarts.iter().any(|r| r.part == Part::Agent);
    let place = if agents { before + 1 - with } else { before + 1 };
    let pods = one.pods.map(|n| plural(n, "pod"));
    let why: Vec<&str> = one.why.iter().map(|w| w.as_str()).collect();
    let mut why = why.join(", ");
    if beside(&one) && agents {
        why = format!("{why}; with the agent of its node");
    }
    [
        place.to_string(),
        one.workload.to_string(),
        pods.unwrap_or_default(),
        why,
    ]
}

fn restarts(diff: &Diff, style: &Style) -> Vec<String> {
    const COLUMNS: [Column; 4] = [
        Column::new("", 4, 2),
        Column::names("RESTARTS IN THIS ORDER", 4, 18),
        Column::new("PODS", 3, 6),
        Column::new("WHY", 2, 8),
    ];
    if diff.restarts.is_empty() {
        return vec![];
    }
    let row = |r: &Restart| restart(diff, r).iter().map(|cell| clean(cell, style)).collect();
    let rows: Vec<Vec<String>> = diff.restarts.iter().map(row).collect();
    section(&COLUMNS, &rows, style)
}

/// What becomes of objects: a word and those that it is said of.
pub fn objects_by_fate(diff: &Diff) -> [(&'static str, &[Subject]); 4] {
    [
        ("Creates", &diff.creates),
        ("Removes", &diff.removes),
        ("Leaves", &diff.keeps),
        ("Changes", &diff.changes),
    ]
}

const DEFINITION: &str = "CustomResourceDefinition";

/// How many objects of each kind; definitions of custom resources by name, for what is made of them goes with them.
pub fn kinds(subjects: &[Subject]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for subject in subjects {
        *counts.entry(&subject.kind).or_default() += 1;
    }
    let words = counts.into_iter().map(|(kind, n)| {
        let names: Vec<&str> = subjects
            .iter()
            .filter(|s| s.kind == kind && kind == DEFINITION)
            .map(|s| s.name.as_str())
            .collect();
        match names.is_empty() {
            true => of_kind(n, kind),
            false => format!("{} ({})", of_kind(n, kind), names.join(", ")),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

fn counts(diff: &Diff, style: &Style) -> Vec<String> {
    let rows = objects_by_fate(diff)
        .into_iter()
        .filter(|(_, all)| !all.is_empty());
    rows.flat_map(|(label, all)| text::labelled(label, text::LABEL, &kinds(all), style))
        .collect()
}

/// `-o wide`: every object.
fn objects(diff: &Diff, style: &Style) -> Vec<String> {
    const COLUMNS: [Column; 4] = [
        Column::new("", 4, 7),
        Column::new("KIND", 2, 10),
        Column::names("NAMESPACE", 1, 8),
        Column::names("NAME", 3, 12),
    ];
    let rows = objects_by_fate(diff).into_iter().flat_map(|(fate, all)| {
        all.iter().map(move |s| {
            let namespace = s.namespace.as_deref().unwrap_or_default();
            [fate, &*s.kind, namespace, &*s.name].map(str::to_string)
        })
    });
    let rows: Vec<Vec<String>> = rows
        .map(|row| row.iter().map(|cell| clean(cell, style)).collect())
        .collect();
    match rows.is_empty() {
        true => vec![],
        false => section(&COLUMNS, &rows, style),
    }
}

/// What must be known besides, a sentence each, with the worse first.
pub fn sentences(diff: &Diff, change: Change) -> Vec<(Mark, String)> {
    let mut all = vec![];
    for inert in &diff.inert {
        let readers: Vec<String> = inert.readers.iter().map(ToString::to_string).collect();
        all.push((
            Mark::Warning,
            format!(
                "{} changes, and nothing in the chart restarts {}, which read{} it only at the start",
                inert.config_map,
                readers.join(", "),
                if readers.len() == 1 { "s" } else { "" }
            ),
        ));
    }
    if diff.by_operator {
        let text = "the operator makes the agents, and restarts them when it is a new one";
        all.push((Mark::Info, text.into()));
    }
    // What a rollback changes is the older revision's, all of it.
    if !diff.attributed && change == Change::Upgrade && !diff.settings.is_empty() {
        let text = "compared with one rendering alone: whose a change is cannot be told";
        all.push((Mark::Info, text.into()));
    }
    if diff.relabelled > 0 {
        let objects = plural(diff.relabelled, "object");
        let text = format!("{objects} with nothing new but the version in labels");
        all.push((Mark::Info, text));
    }
    if !diff.not_compared.is_empty() {
        let secrets = plural(diff.not_compared.len(), "Secret");
        all.push((Mark::Info, format!("{secrets} not looked into")));
    }
    if diff.is_empty() {
        all.push((Mark::Info, "nothing is different".into()));
    }
    all
}

fn notes(diff: &Diff, change: Change, style: &Style) -> Vec<String> {
    let lines = sentences(diff, change).into_iter().flat_map(|(mark, text)| {
        let start = || Line::marked(mark, style);
        let room = start().room(style).max(1);
        let pieces = wrap(&clean(&text, style), room, room).into_iter().enumerate();
        let lines = pieces.map(move |(at, piece)| {
            let lead = if at == 0 { start() } else { Line::indented(style) };
            lead.with(Tone::Plain, piece).paint(style)
        });
        lines.collect::<Vec<_>>()
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
