//! The wait for the network, as it goes on: a few lines that are drawn anew in place on a terminal, and one plain line
//! for each thing that changes everywhere else.

use std::time::Duration;

use super::{
    Style,
    line::{Line, clean, clip, clip_middle, width},
    theme::{self, Mark, Tone},
};
use crate::core::{
    finding::Subject,
    gate::{Look, Phase, State, Waiting},
};

/// How many of those that are waited for are named.
const NAMED: usize = 5;

/// Where nothing changes, a plain line says so no more often than this.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Up to so many, each one more is a plain line; of more, each quarter.
const ONE_BY_ONE: usize = 8;

/// A step of a change, as its plan names it.
#[derive(Debug, Clone)]
pub struct Step {
    /// `helm-install`.
    pub name: String,
    /// In one line.
    pub does: String,
}

/// Something beside a step: what it waits for, where it waits.
#[derive(Debug, Clone, Copy)]
pub struct Aside<'a> {
    /// In one line.
    pub text: &'a str,
    /// How long ago it was said.
    pub since: Duration,
    /// How long it is waited for at most, from then on.
    pub limit: Option<Duration>,
}

/// A step where nothing is drawn anew.
pub fn plain(step: &Step) -> String {
    format!("{}: {}", step.name, step.does)
}

/// A wait where nothing is drawn anew.
pub fn waited_for(what: &str, limit: Duration) -> String {
    format!("  {what}, at most {}", clock(limit))
}

/// A step that goes on: what it does and for how long, and what it waits for. No line is as wide as the terminal.
pub fn step(
    step: &Step,
    elapsed: Duration,
    aside: Option<&Aside<'_>>,
    style: &Style,
    frame: usize,
) -> Vec<String> {
    let narrow = &narrowed(style);
    let time = clock(elapsed);
    let line = turning(frame, narrow);
    let room = line.room(narrow).saturating_sub(width(&time) + 2);
    let does = clip(&clean(&plain(step), narrow), room, narrow);
    let line = line.with(Tone::Plain, does).with(Tone::Plain, "  ");
    let mut lines = vec![line.with(Tone::Dim, time).paint(narrow)];
    lines.extend(aside.map(|aside| self::aside(aside, style)));
    lines
}

/// A step on a terminal that is drawn there no more, with the time that it took, where that is told. It stays, so nothing
/// of it is cut off.
pub fn done(step: &Step, took: Option<Duration>, style: &Style) -> String {
    let line = Line::indented(style).with(Tone::Plain, clean(&plain(step), style));
    let time = took.map(|took| format!("  {}", clock(took)));
    line.with(Tone::Dim, time.unwrap_or_default()).paint_uncut(style)
}

/// The line of something on the side.
pub fn aside(aside: &Aside<'_>, style: &Style) -> String {
    let style = &narrowed(style);
    let time = match aside.limit.map(|limit| limit.saturating_sub(aside.since)) {
        Some(left) if left.is_zero() => format!("  {}, the limit is reached", clock(aside.since)),
        Some(left) => format!("  {}, at most {} more", clock(aside.since), clock(left)),
        None => String::new(),
    };
    let line = Line::indented(style);
    let text = clip(
        &clean(aside.text, style),
        line.room(style).saturating_sub(width(&time)),
        style,
    );
    line.with(Tone::Plain, text).with(Tone::Dim, time).paint(style)
}

/// The style of lines that are drawn anew: one that were as wide as the terminal would wrap on some.
fn narrowed(style: &Style) -> Style {
    Style {
        width: style.width.saturating_sub(1).max(1),
        ..*style
    }
}

/// The beginning of a line about something that goes on.
fn turning(frame: usize, style: &Style) -> Line {
    let turning = format!("{:<1$}", theme::spinner(frame, style), theme::margin(style));
    Line::new().with(Tone::Note, turning)
}

/// The live view: head and time, a line for each phase, and what is waited for longest. No line is as wide as the
/// terminal: one that were would wrap on some. `head` says what is done (`installing Cilium 1.20.0`), `frame` counts
/// the drawings. `elapsed` may be later than the look: clocks go on, until it is over.
pub fn live(
    look: &Look,
    head: &str,
    elapsed: Duration,
    limit: Duration,
    style: &Style,
    frame: usize,
) -> Vec<String> {
    let style = &narrowed(style);
    let over = matches!(look.state, State::Passed | State::Failed(_));
    let elapsed = if over { look.elapsed } else { elapsed };
    let since = elapsed.saturating_sub(look.elapsed);
    let mut lines = vec![headline(look, head, elapsed, limit, style, frame)];
    let settling = matches!(look.state, State::Settling { .. });
    for phase in &look.phases {
        let mut phase = phase.clone();
        if phase.name == "settling" && settling {
            let more = usize::try_from(since.as_secs()).unwrap_or(0);
            // The last second is the next look's to tell.
            phase.done = (phase.done + more).min(phase.total.saturating_sub(1).max(phase.done));
        }
        lines.push(row(&phase, style));
    }
    let named = look.waiting.iter().take(NAMED);
    let longest = named.clone().map(|w| width(&name(&w.subject))).max().unwrap_or(0);
    // Names of nodes are told apart by their ends; the reason must have room all the same.
    let room = longest.min(style.width / 2).min(44);
    lines.extend(named.map(|waiting| waits(waiting, elapsed, room, style)));
    let more = look.waiting.len().saturating_sub(NAMED);
    if more > 0 {
        let text = format!("and {more} more");
        lines.push(Line::indented(style).with(Tone::Dim, text).paint(style));
    }
    lines
}

/// What is done, for how long, and how much time is left.
fn headline(
    look: &Look,
    head: &str,
    elapsed: Duration,
    limit: Duration,
    style: &Style,
    frame: usize,
) -> String {
    let line = match look.state {
        State::Passed => Line::marked(Mark::Good, style),
        State::Failed(_) => Line::marked(Mark::Bad, style),
        State::Waiting | State::Settling { .. } => turning(frame, style),
    };
    let left = limit.saturating_sub(elapsed);
    let time = match &look.state {
        State::Passed | State::Failed(_) => clock(elapsed),
        State::Settling { left } => {
            let left = left.saturating_sub(elapsed.saturating_sub(look.elapsed));
            format!("{}, {} more if all goes on so", clock(elapsed), clock(left))
        }
        State::Waiting if left.is_zero() => format!("{}, the limit is reached", clock(elapsed)),
        State::Waiting => format!("{}, at most {} more", clock(elapsed), clock(left)),
    };
    let room = line.room(style).saturating_sub(width(&time) + 2);
    let head = clip(&clean(head, style), room, style);
    line.with(Tone::Strong, head)
        .with(Tone::Plain, "  ")
        .with(Tone::Dim, time)
        .paint(style)
}

/// One phase: `✔ agents      3/3  ██████████`.
fn row(phase: &Phase, style: &Style) -> String {
    let mark = if phase.complete { Mark::Good } else { Mark::Pending };
    let counts = match phase.name {
        "settling" if phase.done == 0 && !phase.complete => String::new(),
        "settling" => format!("{}s/{}s", phase.done, phase.total),
        _ => format!("{}/{}", phase.done, phase.total),
    };
    let columns = match style.width {
        0..50 => 0,
        50..78 => 10,
        _ => 20,
    };
    let bar = match counts.is_empty() || phase.total == 0 {
        true => String::new(),
        false => theme::bar(phase.done, phase.total, columns, style),
    };
    let mut line = Line::marked(mark, style)
        .with(Tone::Plain, format!("{:<10}", phase.name))
        .with(Tone::Plain, format!("{counts:>10}  "))
        .with(if phase.complete { Tone::Good } else { Tone::Note }, bar);
    if !phase.note.is_empty() {
        line = line.with(Tone::Dim, format!("  {}", clean(&phase.note, style)));
    }
    line.paint(style)
}

/// One that is waited for, why, and since when where that is worth telling.
fn waits(waiting: &Waiting, elapsed: Duration, room: usize, style: &Style) -> String {
    let name = clip_middle(&clean(&name(&waiting.subject), style), room, style);
    let gap = room.saturating_sub(width(&name));
    let since = elapsed.saturating_sub(waiting.since);
    let since = match since >= Duration::from_secs(10) {
        true => format!("  {}", clock(since)),
        false => String::new(),
    };
    let line = Line::indented(style)
        .with(Tone::Strong, name)
        .with(Tone::Plain, " ".repeat(gap + 2));
    let left = line.room(style).saturating_sub(width(&since));
    let why = clip(&clean(&waiting.why, style), left, style);
    line.with(Tone::Plain, why).with(Tone::Dim, since).paint(style)
}

/// A node by its name alone, everything else with its kind.
fn name(subject: &Subject) -> String {
    match subject.kind.as_str() {
        "Node" => subject.name.clone(),
        "Cluster" => "cluster".into(),
        _ => subject.to_string(),
    }
}

/// The plain lines of a look: what changed since the one `before`, each with the time; nothing where nothing did, but
/// for a sign of life as the time passes each half minute.
pub fn lines(before: Option<&Look>, now: &Look, elapsed: Duration) -> Vec<String> {
    let phase_before = |name: &str| before.and_then(|b| b.phases.iter().find(|p| p.name == name));
    let mut said: Vec<String> = now
        .phases
        .iter()
        .filter(|phase| phase.name != "settling")
        .filter(|phase| worth_saying(phase_before(phase.name), phase))
        .map(words)
        .collect();
    said.extend(turn(before.map(|b| &b.state), now));
    let beats = |d: Duration| d.as_secs() / HEARTBEAT.as_secs();
    if let (true, Some(before)) = (said.is_empty(), before)
        && beats(elapsed) > beats(before.elapsed)
    {
        said.push(match (&now.state, now.waiting.first()) {
            (State::Settling { left }, _) => format!("everything holds, {} to go", clock(*left)),
            (_, Some(first)) => format!("still waiting for {}", one_of(first, now.waiting.len())),
            (_, None) => "still waiting".into(),
        });
    }
    said.into_iter()
        .map(|text| format!("{:>6}  {text}", clock(elapsed)))
        .collect()
}

/// Whether a phase changed by so much that it is a line.
fn worth_saying(before: Option<&Phase>, now: &Phase) -> bool {
    let Some(before) = before else {
        return now.done > 0 || now.complete;
    };
    let quarter = |p: &Phase| match p.total {
        0 => 0,
        total if total <= ONE_BY_ONE => p.done,
        total => p.done.saturating_mul(4) / total,
    };
    before.complete != now.complete || before.total != now.total || quarter(before) != quarter(now)
}

fn words(phase: &Phase) -> String {
    let what = match phase.name {
        "nodes" => "Ready",
        "dns" => "endpoints",
        "addresses" => "from the pools",
        _ => "ready",
    };
    let note = match phase.note.is_empty() {
        true => String::new(),
        false => format!(" ({})", phase.note),
    };
    format!("{} {}/{} {what}{note}", phase.name, phase.done, phase.total)
}

/// What becomes of the whole, where that is another thing than before.
fn turn(before: Option<&State>, now: &Look) -> Option<String> {
    match (before, &now.state) {
        (Some(State::Settling { .. }), State::Settling { .. } | State::Passed)
            if now.state != State::Passed =>
        {
            None
        }
        (_, State::Settling { left }) => Some(format!("everything is up; it must hold for {}", clock(*left))),
        (Some(State::Settling { .. }), State::Waiting) => Some(match now.waiting.first() {
            Some(first) => format!("it did not hold: {}", one_of(first, now.waiting.len())),
            None => "an agent was restarted or replaced".into(),
        }),
        (Some(State::Passed), State::Passed) | (Some(State::Failed(_)), State::Failed(_)) => None,
        (_, State::Passed) => Some("everything has held".into()),
        (_, State::Failed(failure)) => Some(failure.sentence()),
        (_, State::Waiting) => None,
    }
}

fn one_of(first: &Waiting, all: usize) -> String {
    let more = match all.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{}: {}{more}", name(&first.subject), first.why)
}

/// `45s`, `2m5s`, `12m`, `1h5m`: whole seconds below ten minutes.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (seconds, seconds % 60) {
        (0..60, _) => format!("{seconds}s"),
        (60..600, 0) | (600..3600, _) => format!("{minutes}m"),
        (60..600, rest) => format!("{minutes}m{rest}s"),
        _ if minutes % 60 == 0 => format!("{hours}h"),
        _ => format!("{hours}h{}m", minutes % 60),
    }
}

#[cfg(test)]
mod tests;
