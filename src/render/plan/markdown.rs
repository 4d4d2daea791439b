//! The plan for a pull request: the same page as Markdown, with nothing in it that a name could turn into markup.

use std::fmt::Write;

use super::{State, diff_markdown, findings, place, shown, subjects, title};
use crate::core::{code::Severity, finding::Finding, plan::Plan};
use crate::render::{
    Style,
    markdown::{advised, escape, fence},
    theme::Mark,
};

/// `-o markdown`. The width plays no part: a renderer wraps.
pub fn markdown(plan: &Plan, style: &Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(plan, style, &mut out);
    out
}

fn write(plan: &Plan, style: &Style, out: &mut String) -> std::fmt::Result {
    // Lines of this format have no width.
    let free = Style {
        width: usize::MAX,
        color: false,
        ..*style
    };
    let e = |text: &str| escape(text, &free);
    let state = State::of(plan);
    let verdict = verdict(state, &format!("{} {}", title(plan), place(plan)), &free);
    writeln!(out, "### {verdict}\n")?;
    if state == State::Refused {
        writeln!(out, "Refused for {}.\n", plan.blocked_by.join(", "))?;
    }
    if !plan.incomplete.is_empty() {
        writeln!(out, "Needed and not read: {}.\n", e(&plan.incomplete.join(", ")))?;
    }
    about(plan, &e, out)?;
    let (own, before) = findings::parted(plan);
    // What forbids a change comes before what it would change.
    let first = plan.diff.is_some() && state == State::Refused;
    if first {
        list(plan, own, &free, out)?;
    }
    if !plan.values.is_empty() {
        writeln!(out, "\n| Value | Is | From | Why |\n|---|---|---|---|")?;
    }
    for value in &plan.values {
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            e(&value.key),
            e(&shown(value)),
            value.origin.as_str(),
            e(&value.reason)
        )?;
    }
    if let (Some(diff), true) = (&plan.diff, state != State::Nothing) {
        diff_markdown::write(diff, plan.change, &e, out)?;
    }
    if !plan.steps.is_empty() {
        writeln!(out)?;
    }
    for (at, step) in plan.steps.iter().enumerate() {
        writeln!(out, "{}. **{}**: {}", at + 1, step.name, e(&step.does))?;
    }
    if !first {
        list(plan, own, &free, out)?;
    }
    if !before.is_empty() {
        writeln!(out, "\nWas there before:\n")?;
    }
    for finding in before {
        writeln!(
            out,
            "- {} {}: {}",
            finding.code.id,
            finding.code.slug,
            e(&finding.message)
        )?;
    }
    if !plan.skipped.is_empty() {
        writeln!(out, "\nNot checked:\n")?;
    }
    for (checks, missing) in findings::wanting(plan, true) {
        writeln!(out, "- {}, for want of {}", e(&checks), e(&missing))?;
    }
    if let (State::Refused, Some(next)) = (state, findings::next(plan)) {
        write!(out, "\nNext:\n\n{}", fence(&next))?;
    }
    // A long comment is read from its end.
    writeln!(out, "\n**{verdict}**")
}

/// `✔ READY: Install Cilium 1.19.6 on aks-prod`.
pub fn verdict(state: State, text: &str, free: &Style) -> String {
    let symbol = super::text::mark(state).symbol(free);
    format!("{symbol} {}: {}", state.word(), escape(text, free))
}

fn about(plan: &Plan, e: &dyn Fn(&str) -> String, out: &mut String) -> std::fmt::Result {
    writeln!(out, "| | |\n|---|---|")?;
    for (label, text) in subjects(plan, &str::to_string) {
        writeln!(out, "| {label} | {} |", e(&text))?;
    }
    Ok(())
}

/// The plan's own findings, with their fixes where they are more than worth knowing.
pub fn list<'f>(
    plan: &Plan,
    own: impl IntoIterator<Item = &'f Finding>,
    style: &Style,
    out: &mut String,
) -> std::fmt::Result {
    for finding in own {
        let message = escape(&finding.message, style);
        if finding.severity == Severity::Info && !findings::forbids(plan, finding) {
            writeln!(out, "\n- {} {}: {message}", finding.code.id, finding.code.slug)?;
            continue;
        }
        let symbol = Mark::of(finding.severity).symbol(style);
        let title = escape(finding.code.title, style);
        writeln!(out, "\n#### {symbol} {} {title}\n\n{message}", finding.code.id)?;
        advised(&finding.fix, style, out)?;
    }
    Ok(())
}
