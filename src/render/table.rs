//! The page for people: verdict first and last, what is wrong in between, worst first.

use super::{
    Style,
    grid::{self, Column},
    humanize,
    line::{Line, clean, wrap},
    nodes, problems, rooms, summary,
    theme::{self, Tone},
    verdict,
};
use crate::core::report::Report;

/// `-o table`.
pub fn table(report: &Report, style: &Style) -> String {
    page(report, false, style)
}

/// `-o wide`: the same with every node, workload and CIDR.
pub fn wide(report: &Report, style: &Style) -> String {
    page(report, true, style)
}

fn page(report: &Report, wide: bool, style: &Style) -> String {
    let head = vec![
        summary::title(report, style),
        verdict::line(report, style).paint(style),
    ];
    let rooms = rooms::rooms(report, style)
        .iter()
        .map(|room| room.line(style))
        .collect();
    // A small terminal has few lines to give away.
    let mut blocks: Vec<Vec<String>> = match style.compact() {
        true => vec![[head, rooms].concat()],
        false => vec![head, rooms],
    };
    if wide {
        blocks.push(workloads(report, style));
        blocks.push(cidrs(report, style));
        blocks.push(evidence(report, style));
    }
    blocks.push(nodes::lines(report, wide, style));
    blocks.push(problems::lines(report, wide, style));
    blocks.push(
        [
            problems::infos(report, wide, style),
            problems::skipped(report, wide, style),
        ]
        .concat(),
    );
    blocks.push(verdict::closing(report, style));
    blocks.retain(|block| !block.is_empty());
    let blocks: Vec<String> = blocks.iter().map(|block| block.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

/// A table with a dim header, as far in as the symbols are wide.
fn section(columns: &[Column], rows: &[Vec<String>], style: &Style) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let room = style.width.saturating_sub(theme::margin(style));
    grid::lines(columns, rows, room, style)
        .into_iter()
        .enumerate()
        .map(|(at, row)| {
            let tone = if at == 0 { Tone::Dim } else { Tone::Plain };
            Line::indented(style).with(tone, row).paint(style)
        })
        .collect()
}

/// The CNI's workloads.
fn workloads(report: &Report, style: &Style) -> Vec<String> {
    const COLUMNS: [Column; 4] = [
        Column::names("WORKLOAD", 3, 16),
        Column::new("READY", 2, 5),
        Column::new("UPDATED", 1, 7),
        Column::new("AVAILABLE", 0, 9),
    ];
    let rows: Vec<Vec<String>> = report
        .cni
        .iter()
        .flat_map(|cni| &cni.workloads)
        .map(|w| {
            let name = format!("{}/{}/{}", w.namespace, w.kind.to_lowercase(), w.name);
            vec![
                clean(&name, style),
                format!("{}/{}", w.ready, w.desired),
                w.updated.to_string(),
                w.available.to_string(),
            ]
        })
        .collect();
    section(&COLUMNS, &rows, style)
}

/// Every range, and where it is written.
fn cidrs(report: &Report, style: &Style) -> Vec<String> {
    const COLUMNS: [Column; 4] = [
        Column::new("CIDR", 3, 18),
        Column::new("OF", 2, 6),
        Column::new("BLOCKS", 0, 6),
        Column::names("WRITTEN IN", 1, 12),
    ];
    let cidrs = &report.pod_cidr;
    let row = |cidr: String, of: &str, blocks: String, source: &str| {
        vec![cidr, of.to_string(), blocks, clean(source, style)]
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for pool in &cidrs.pools {
        let mask = pool.mask_size.map(|m| format!("/{m}")).unwrap_or_default();
        rows.push(row(pool.cidr.to_string(), "pods", mask, &pool.source));
    }
    for range in &cidrs.service_cidrs {
        rows.push(row(
            range.cidr.to_string(),
            "services",
            String::new(),
            &range.source,
        ));
    }
    for network in &cidrs.node_network {
        rows.push(row(
            network.to_string(),
            "nodes",
            String::new(),
            "the nodes' InternalIPs",
        ));
    }
    for cidr in &cidrs.kube_proxy_cluster_cidr {
        rows.push(row(
            cidr.to_string(),
            "pods, says kube-proxy",
            String::new(),
            "kube-proxy",
        ));
    }
    section(&COLUMNS, &rows, style)
}

/// What the platform was judged from.
fn evidence(report: &Report, style: &Style) -> Vec<String> {
    let room = style.width.saturating_sub(theme::margin(style) + 2);
    let mut lines = Vec::new();
    for sentence in &report.platform.evidence {
        for (at, piece) in wrap(&clean(sentence, style), room, room).into_iter().enumerate() {
            let lead = if at == 0 { "- " } else { "  " };
            lines.push(
                Line::indented(style)
                    .with(Tone::Dim, format!("{lead}{piece}"))
                    .paint(style),
            );
        }
    }
    if !lines.is_empty() {
        let platform = &report.platform;
        let (name, byocni) = (humanize::platform(platform.name), platform.byocni.as_str());
        let title = format!("{name}, BYOCNI {byocni}, judged from");
        lines.insert(0, Line::indented(style).with(Tone::Dim, title).paint(style));
    }
    lines
}
