//! `--summary`: the state on one line, for prompts and logs.

use super::{
    Style, humanize,
    line::{Line, clean, clip, clip_middle, width},
    rooms,
    theme::{self, Mark, Tone},
    verdict,
};
use crate::core::report::{Byocni, Report};

/// Context, verdict, CNI and version, ready agents, ready nodes, counts: one line without a line feed. Where it is too
/// wide the context is cut first, then what stands last is left out; the verdict always stays.
pub fn summary(report: &Report, style: &Style) -> String {
    let mark = Mark::verdict(report.verdict);
    let state = format!("{} {}", mark.symbol(style), verdict::word(report.verdict));
    let mut parts = vec![clip(&clean(&rooms::product(report), style), 40, style)];
    if let Some((ready, desired)) = rooms::agents(report) {
        parts.push(format!("agents {ready}/{desired}"));
    }
    if !rooms::unread(report) {
        parts.push(format!("nodes {}/{}", report.nodes.ready, report.nodes.total));
    }
    parts.push(verdict::counts(report));

    let context = clean(report.context.as_deref().unwrap_or("file"), style);
    let least = width(&context).min(16);
    let taken = |parts: &[String]| parts.iter().map(|p| width(p) + 2).sum::<usize>();
    while !parts.is_empty() && least + 2 + width(&state) + taken(&parts) > style.width {
        parts.pop();
    }
    let room = style.width.saturating_sub(2 + width(&state) + taken(&parts));
    let mut line = Line::new();
    if room >= least.min(4) && room > 0 {
        line = line
            .with(Tone::Strong, clip_middle(&context, room, style))
            .with(Tone::Plain, "  ");
    }
    line = line.with(mark.tone(), state);
    for part in parts {
        line = line.with(Tone::Plain, format!("  {part}"));
    }
    line.paint(style)
}

/// `prod  AKS v1.34.4 · BYOCNI · 42 nodes`: the first line of the page.
pub fn title(report: &Report, style: &Style) -> String {
    let platform = &report.platform;
    let kubernetes = match &platform.kubernetes_version {
        Some(version) => format!("{} {version}", humanize::platform(platform.name)),
        None => humanize::platform(platform.name).to_string(),
    };
    let byocni = match platform.byocni {
        Byocni::Confirmed => "BYOCNI",
        Byocni::Managed => "CNI managed by the platform",
        Byocni::Unknown => "BYOCNI not confirmed",
    };
    let nodes = match rooms::unread(report) {
        true => "nodes not read".to_string(),
        false => humanize::plural(report.nodes.total, "node"),
    };
    let dot = theme::dot(style);
    let context = match &report.context {
        Some(context) => clean(context, style),
        None => format!("file of {}", report.taken_at.strftime("%Y-%m-%d %H:%M UTC")),
    };
    // What is said again further down goes first.
    let forms = [
        [kubernetes.as_str(), byocni, nodes.as_str()].join(dot),
        [kubernetes.as_str(), nodes.as_str()].join(dot),
        kubernetes.clone(),
        String::new(),
    ];
    let least = width(&context).min(24);
    let rest = forms
        .iter()
        .map(|form| clean(form, style))
        .find(|form| least + 2 + width(form) <= style.width)
        .unwrap_or_default();
    let room = style
        .width
        .saturating_sub(if rest.is_empty() { 0 } else { width(&rest) + 2 });
    Line::new()
        .with(Tone::Strong, clip_middle(&context, room, style))
        .with(Tone::Plain, "  ")
        .with(Tone::Plain, rest)
        .paint(style)
}
