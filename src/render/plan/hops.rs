//! Several hops as one page: the way first, then each hop in short, whether it may begin last.

use std::fmt::Write;

use super::{
    State, diff, diff_markdown, findings, installs, markdown, place, plan, subjects, text, title, unread,
    verb, wire,
};
use crate::core::{finding::Finding, plan::Plan};
use crate::render::{
    Format, Style,
    humanize::plural,
    line::{Line, clean, clip},
    markdown::{escape, fence},
    theme::Tone,
    verdict,
};

/// Writes the plans of all hops of a change in a format: one as [`plan`] does. Text ends with a line feed unless it is
/// empty.
pub fn plans(plans: &[Plan], style: &Style, format: Format) -> String {
    match (plans, format) {
        ([], _) => String::new(),
        ([one], _) => plan(one, style, format),
        (_, Format::Table) => page(plans, false, style),
        (_, Format::Wide) => page(plans, true, style),
        (_, Format::Json) => wire::json_list(plans),
        (_, Format::Yaml) => wire::yaml_list(plans),
        (_, Format::Markdown) => page_in_markdown(plans, style),
        (_, Format::Name) => names(plans, style),
    }
}

/// What any hop touches, each once.
fn names(plans: &[Plan], style: &Style) -> String {
    let mut seen: Vec<String> = vec![];
    for plan in plans {
        let text = super::plan(plan, style, Format::Name);
        for line in text.lines() {
            if !seen.iter().any(|known| known == line) {
                seen.push(line.to_string());
            }
        }
    }
    seen.into_iter().map(|line| line + "\n").collect()
}

/// The state of the whole way: a hop that may not begin makes it one that may not.
fn state(plans: &[Plan]) -> State {
    let states: Vec<State> = plans.iter().map(State::of).collect();
    let any = |state: State| states.contains(&state);
    match () {
        () if any(State::Refused) => State::Refused,
        () if any(State::Incomplete) => State::Incomplete,
        () if any(State::Ready) => State::Ready,
        () => State::Nothing,
    }
}

/// `Upgrade Cilium 1.18.11 to 1.20.0 in 3 hops: 1.18.12, 1.19.6, 1.20.0`.
fn way(plans: &[Plan]) -> String {
    let stops: Vec<&str> = plans.iter().map(|plan| installs(&plan.chart)).collect();
    let (Some(first), Some(last)) = (plans.first(), stops.last()) else {
        return String::new();
    };
    let from = first.from.as_ref().map(installs).unwrap_or_default();
    format!(
        "{} {} {from} to {last} in {}: {}",
        verb(first.change),
        first.cni,
        plural(plans.len(), "hop"),
        stops.join(", ")
    )
}

/// Findings of a hop that none before it had, and all that were there before the first.
fn new(plans: &[Plan], at: usize) -> Vec<&Finding> {
    let earlier: Vec<&Finding> = plans[..at]
        .iter()
        .flat_map(|plan| findings::parted(plan).0)
        .collect();
    let own = findings::parted(&plans[at]).0.iter();
    own.filter(|finding| !earlier.contains(finding)).collect()
}

type Row = (&'static str, String);

/// What the whole way has in common: the stops, and rows that are the same for every hop.
fn shared(plans: &[Plan], digest: &dyn Fn(&str) -> String) -> Vec<Row> {
    let all: Vec<Vec<Row>> = plans.iter().map(|plan| subjects(plan, digest)).collect();
    let mut rows = all[0].clone();
    rows.retain(|row| all.iter().all(|rows| rows.contains(row)));
    let stops = plans.iter().map(|plan| installs(&plan.chart));
    let from = plans[0].from.as_ref().map(installs);
    let way: Vec<&str> = from.into_iter().chain(stops).collect();
    rows.insert(0, ("Hops", way.join(" → ")));
    rows
}

/// What a hop has of its own.
fn own(plans: &[Plan], at: usize, digest: &dyn Fn(&str) -> String) -> Vec<Row> {
    let shared = shared(plans, digest);
    let mut rows = subjects(&plans[at], digest);
    // The heading says which hop it is.
    rows.retain(|row| row.0 != "Hop" && !shared.contains(row));
    rows
}

/// What could not be looked at before a hop and could before those in front of it.
fn skipped(plans: &[Plan], at: usize) -> Plan {
    let mut plan = plans[at].clone();
    let earlier = &plans[..at];
    plan.skipped
        .retain(|one| !earlier.iter().any(|plan| plan.skipped.contains(one)));
    plan
}

fn page(plans: &[Plan], wide: bool, style: &Style) -> String {
    let first = &plans[0];
    let state = state(plans);
    let nodes = match unread(first) {
        true => "nodes not read".to_string(),
        false => plural(first.nodes.0, "node"),
    };
    let text = clean(&format!("{} {}: {nodes}", way(plans), place(first)), style);
    let labelled = |rows: Vec<Row>| -> Vec<String> {
        let lines = rows
            .iter()
            .map(|(label, text)| text::labelled(label, text::LABEL, text, style));
        lines.flatten().collect()
    };
    let mut blocks = vec![
        vec![text::verdict_line(state, &text, style)],
        labelled(shared(plans, &text::digest)),
    ];
    for (at, plan) in plans.iter().enumerate() {
        let heading = format!("Hop {} of {}: {}", at + 1, plans.len(), title(plan));
        let hop = State::of(plan);
        blocks.push(vec![text::verdict_line(hop, &clean(&heading, style), style)]);
        blocks.push(labelled(own(plans, at, &text::digest)));
        let news = new(plans, at);
        let (full, brief): (Vec<&Finding>, Vec<&Finding>) = news
            .into_iter()
            .partition(|finding| findings::in_full(plan, finding));
        blocks.extend(full.iter().map(|f| crate::render::problems::one(f, wide, style)));
        blocks.push(brief.iter().flat_map(|f| findings::info(f, style)).collect());
        if let (Some(diff), true) = (&plan.diff, hop != State::Nothing) {
            blocks.extend(diff::blocks(diff, plan.change, wide, style));
        }
        if at > 0 {
            blocks.push(findings::skipped(&skipped(plans, at), wide, style));
        }
    }
    blocks.push(findings::before(first, wide, style));
    blocks.push(findings::skipped(first, wide, style));
    blocks.push(closing(plans, state, style));
    text::joined(blocks)
}

fn blocked_by(plans: &[Plan]) -> String {
    let blocked = plans
        .iter()
        .enumerate()
        .filter(|(_, plan)| State::of(plan) == State::Refused);
    let words: Vec<String> = blocked
        .map(|(at, plan)| format!("hop {}: {}", at + 1, plan.blocked_by.join(", ")))
        .collect();
    words.join("; ")
}

fn incomplete(plans: &[Plan]) -> String {
    let mut all: Vec<&str> = vec![];
    for one in plans.iter().flat_map(|plan| &plan.incomplete) {
        if !all.contains(&one.as_str()) {
            all.push(one);
        }
    }
    all.join(", ")
}

fn next(plans: &[Plan]) -> Option<String> {
    plans.iter().find_map(findings::next)
}

fn closing(plans: &[Plan], state: State, style: &Style) -> Vec<String> {
    let mark = text::mark(state);
    let start = Line::marked(mark, style)
        .with(mark.tone(), state.word())
        .with(Tone::Plain, "  ");
    let words = match state {
        State::Ready => way(plans),
        State::Nothing => "the release is what was asked for".into(),
        State::Incomplete => format!("needed and not read: {}", incomplete(plans)),
        State::Refused => blocked_by(plans),
    };
    let room = start.room(style);
    let line = start.with(Tone::Strong, clip(&clean(&words, style), room, style));
    let next = if state == State::Refused {
        next(plans)
    } else {
        None
    };
    verdict::with_next(line, next, style)
}

fn page_in_markdown(plans: &[Plan], style: &Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_markdown(plans, style, &mut out);
    out
}

fn write_markdown(plans: &[Plan], style: &Style, out: &mut String) -> std::fmt::Result {
    let free = Style {
        width: usize::MAX,
        color: false,
        ..*style
    };
    let e = |text: &str| escape(text, &free);
    let (first, state) = (&plans[0], state(plans));
    let verdict = markdown::verdict(state, &format!("{} {}", way(plans), place(first)), &free);
    writeln!(out, "### {verdict}\n")?;
    if state == State::Refused {
        writeln!(out, "Refused for {}.\n", blocked_by(plans))?;
    }
    if state == State::Incomplete {
        writeln!(out, "Needed and not read: {}.\n", e(&incomplete(plans)))?;
    }
    let table = |rows: Vec<Row>, out: &mut String| -> std::fmt::Result {
        writeln!(out, "| | |\n|---|---|")?;
        rows.iter()
            .try_for_each(|(label, text)| writeln!(out, "| {label} | {} |", e(text)))
    };
    table(shared(plans, &str::to_string), out)?;
    for (at, plan) in plans.iter().enumerate() {
        let hop = State::of(plan);
        let heading = format!("Hop {} of {}: {}", at + 1, plans.len(), title(plan));
        writeln!(out, "\n### {}\n", markdown::verdict(hop, &heading, &free))?;
        table(own(plans, at, &str::to_string), out)?;
        markdown::list(plan, new(plans, at), &free, out)?;
        if let (Some(diff), true) = (&plan.diff, hop != State::Nothing) {
            diff_markdown::write(diff, plan.change, &e, out)?;
        }
    }
    let before = findings::parted(first).1;
    if !before.is_empty() {
        writeln!(out, "\nWas there before:\n")?;
    }
    for finding in before {
        let (id, slug) = (finding.code.id, finding.code.slug);
        writeln!(out, "- {id} {slug}: {}", e(&finding.message))?;
    }
    if plans.iter().any(|plan| !plan.skipped.is_empty()) {
        writeln!(out, "\nNot checked:\n")?;
    }
    for at in 0..plans.len() {
        for (checks, missing) in findings::wanting(&skipped(plans, at), true) {
            writeln!(out, "- {}, for want of {}", e(&checks), e(&missing))?;
        }
    }
    if let (State::Refused, Some(next)) = (state, next(plans)) {
        write!(out, "\nNext:\n\n{}", fence(&next))?;
    }
    writeln!(out, "\n**{verdict}**")
}
