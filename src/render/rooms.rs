//! One line for each part of the cluster's network, with the state of the worst finding about it.

use super::{
    Style,
    humanize::{list, plural},
    line::{Line, clean, clip, width},
    nodes,
    theme::{Mark, Tone},
};
use crate::core::{
    code::{Code, Severity},
    report::{Cni, Pool, Release, Report, Verdict},
};

/// Columns of the labels.
const LABEL: usize = 12;

/// A part of the network on one line.
pub struct Room {
    mark: Mark,
    /// What is spoken of.
    pub label: &'static str,
    /// What there is to say, most important first; the last go when the width shrinks.
    pub parts: Vec<String>,
    /// What the parts that had to go are called, where their number should be said.
    left_out: Option<&'static str>,
}

impl Room {
    fn new(label: &'static str, worst: Option<Severity>, parts: Vec<String>) -> Self {
        let mark = match worst {
            Some(severity @ (Severity::Error | Severity::Warning)) => Mark::of(severity),
            Some(Severity::Info) | None => Mark::Good,
        };
        Room {
            mark,
            label,
            parts,
            left_out: None,
        }
    }

    /// The same, marked as not known unless a finding says more.
    fn unread(mut self) -> Self {
        if self.mark == Mark::Good {
            self.mark = Mark::Unknown;
        }
        self
    }

    /// The same, never marked as fine while something is still missing that no finding complains about.
    fn waiting(mut self, waits: bool) -> Self {
        if waits && self.mark == Mark::Good {
            self.mark = Mark::Info;
        }
        self
    }

    /// The line.
    pub fn line(&self, style: &Style) -> String {
        let mut line = Line::marked(self.mark, style).with(Tone::Strong, format!("{:<LABEL$}", self.label));
        for (at, part) in self.parts.iter().map(|part| clean(part, style)).enumerate() {
            let left = self.parts.len() - at;
            let rest = |left: usize| match (self.left_out, left) {
                (Some(word), 1..) => format!("  +{}", plural(left, word)),
                _ => String::new(),
            };
            if at == 0 {
                let room = line.room(style);
                line = line.with(Tone::Plain, clip(&part, room, style));
            } else if 2 + width(&part) + width(&rest(left - 1)) <= line.room(style) {
                line = line.with(Tone::Plain, format!("  {part}"));
            } else {
                line = line.with(Tone::Plain, rest(left));
                break;
            }
        }
        line.paint(style)
    }

    /// The symbol.
    pub fn mark(&self) -> Mark {
        self.mark
    }
}

/// The two digits of a code that name its family.
fn family(code: &Code) -> &str {
    code.id.get(3..5).unwrap_or_default()
}

/// The room that a code belongs to, by its family; the CIDR family has several.
fn room_of(code: &Code) -> &'static str {
    match (family(code), code.slug) {
        (_, slug) if slug.starts_with("kube-proxy") => "kube-proxy",
        ("00" | "06" | "07", _) => "",
        ("01", _) => "Nodes",
        ("03", slug) if slug.starts_with("service-") || slug.starts_with("dns-service") => "Services",
        ("03", _) => "Pod CIDR",
        ("04", _) => "CoreDNS",
        _ => "CNI",
    }
}

/// The worst severity about a room. Consequences count with their code's own: the nodes are not fine only because it
/// is known why they are not.
fn worst(report: &Report, label: &str) -> Option<Severity> {
    report
        .findings
        .iter()
        .filter(|f| room_of(f.code) == label)
        .map(|f| {
            if f.caused_by.is_some() {
                f.code.severity
            } else {
                f.severity
            }
        })
        .min()
}

/// The rooms in their order.
pub fn rooms(report: &Report, style: &Style) -> Vec<Room> {
    let mut rooms = vec![
        ready(report),
        cni(report, style),
        core_dns(report),
        pod_cidr(report),
    ];
    let cidrs = &report.pod_cidr;
    let services: Vec<String> = cidrs.service_cidrs.iter().map(|s| s.cidr.to_string()).collect();
    rooms.push(match services.is_empty() {
        true => Room::new(
            "Services",
            worst(report, "Services"),
            vec!["range not known".into()],
        )
        .unread(),
        false => {
            let mut sources: Vec<&str> = cidrs.service_cidrs.iter().map(|s| s.source.as_str()).collect();
            sources.dedup();
            Room::new(
                "Services",
                worst(report, "Services"),
                vec![list(&services, 3), list(&sources, 1)],
            )
        }
    });
    if !cidrs.node_network.is_empty() {
        let nets = list(&cidrs.node_network, 3);
        rooms.push(Room::new("Node IPs", None, vec![format!("within {nets}")]));
    }
    let proxy = worst(report, "kube-proxy");
    match list(&cidrs.kube_proxy_cluster_cidr, 3) {
        cidr if !cidr.is_empty() => {
            rooms.push(Room::new(
                "kube-proxy",
                proxy,
                vec![format!("cluster CIDR {cidr}")],
            ));
        }
        _ if proxy.is_some() => {
            rooms.push(Room::new(
                "kube-proxy",
                proxy,
                vec!["no cluster CIDR found".into()],
            ));
        }
        _ => {}
    }
    rooms
}

/// Ready counts, whole and for each pool.
fn ready(report: &Report) -> Room {
    let worst = worst(report, "Nodes");
    if unread(report) && worst.is_none() {
        return Room::new("Nodes", None, vec!["not read".into()]).unread();
    }
    let mut parts = vec![format!("{}/{} ready", report.nodes.ready, report.nodes.total)];
    let pools = pools(report);
    if pools.len() > 1 || pools.first().is_some_and(|(name, ..)| !name.is_empty()) {
        parts.extend(pools.iter().map(|(name, ready, total)| match name.is_empty() {
            true => format!("no pool {ready}/{total}"),
            false => format!("{name} {ready}/{total}"),
        }));
    }
    if report.nodes.items.len() < report.nodes.total {
        parts.insert(1, format!("{} selected", report.nodes.items.len()));
    }
    let mut room = Room::new("Nodes", worst, parts);
    room.left_out = Some("pool");
    // A finding of another family may be what keeps them from being Ready.
    match (room.mark, nodes::worst_unready(report)) {
        (Mark::Good, Some(unready)) => Room {
            mark: unready,
            ..room
        },
        (Mark::Warning, Some(Mark::Bad)) => Room {
            mark: Mark::Bad,
            ..room
        },
        _ => room.waiting(nodes_missing(report)),
    }
}

/// Whether some node is not Ready, whatever the rows show.
fn nodes_missing(report: &Report) -> bool {
    report.nodes.ready < report.nodes.total
}

/// Whether the nodes could not be read, so that their number says nothing.
pub fn unread(report: &Report) -> bool {
    report.nodes.total == 0 && report.verdict == Verdict::Unknown
}

/// Name, ready and total of each pool among the rows; those with trouble first.
pub fn pools(report: &Report) -> Vec<(String, usize, usize)> {
    let mut pools = std::collections::BTreeMap::<&str, (usize, usize)>::new();
    for node in &report.nodes.items {
        let pool = pools.entry(node.pool.as_deref().unwrap_or_default()).or_default();
        pool.0 += usize::from(node.ready == Some(true));
        pool.1 += 1;
    }
    let mut pools: Vec<_> = pools
        .into_iter()
        .map(|(name, (ready, all))| (name.to_string(), ready, all))
        .collect();
    pools.sort_by_key(|(_, ready, all)| ready == all);
    pools
}

/// The CNI's name and version, or what stands for it.
pub fn product(report: &Report) -> String {
    match &report.cni {
        Some(Cni {
            name,
            version: Some(version),
            ..
        }) => {
            format!("{name} {}", version.strip_prefix('v').unwrap_or(version))
        }
        Some(cni) => format!("{} (version not known)", cni.name),
        None if report.verdict == Verdict::Unknown => "CNI not known".into(),
        None => "no CNI".into(),
    }
}

/// Ready and wanted agents.
pub fn agents(report: &Report) -> Option<(i64, i64)> {
    let agent = report.cni.as_ref()?.workloads.first()?;
    Some((agent.ready, agent.desired))
}

/// `helm rev 7`, with Helm's word where it is not the good one.
fn release(release: &Release) -> String {
    let revision = release
        .revision
        .map_or_else(|| release.name.clone(), |n| format!("rev {n}"));
    match release.status.as_deref() {
        None | Some("deployed") => format!("helm {revision}"),
        Some(status) => format!("helm {revision} {}", status.to_uppercase()),
    }
}

fn cni(report: &Report, style: &Style) -> Room {
    let worst = worst(report, "CNI");
    let Some(cni) = &report.cni else {
        let unknown = report.verdict == Verdict::Unknown && worst.is_none();
        return match unknown {
            true => Room::new("CNI", None, vec!["not read".into()]).unread(),
            false => Room::new("CNI", worst, vec!["none".into()]),
        };
    };
    let mut parts = vec![clip(&product(report), 40, style)];
    if let Some(agent) = cni.workloads.first() {
        let what = if style.compact() { "ready" } else { "agents ready" };
        parts.push(format!("{}/{} {what}", agent.ready, agent.desired));
        if agent.updated < agent.desired {
            parts.push(format!("{}/{} updated", agent.updated, agent.desired));
        }
    }
    for other in cni.workloads.iter().skip(1).filter(|w| w.ready < w.desired) {
        parts.push(format!("{} {}/{}", other.name, other.ready, other.desired));
    }
    parts.push(match &cni.release {
        Some(known) => release(known),
        None => format!("by {}", cni.managed_by),
    });
    let place = cni.workloads.first().map_or("", |w| w.name.as_str());
    parts.push(
        format!("{}/{place}", cni.namespace)
            .trim_end_matches('/')
            .to_string(),
    );
    if !cni.others.is_empty() {
        parts.push(format!("beside {}", list(&cni.others, 2)));
    }
    let waits = cni.workloads.iter().any(|w| w.ready < w.desired);
    Room::new("CNI", worst, parts).waiting(waits)
}

fn core_dns(report: &Report) -> Room {
    let dns = &report.core_dns;
    let worst = worst(report, "CoreDNS");
    let mut parts = Vec::new();
    if let (Some(ready), Some(desired)) = (dns.ready, dns.desired) {
        parts.push(format!("{ready}/{desired} ready"));
    }
    if let Some(endpoints) = dns.endpoints {
        parts.push(plural(endpoints, "endpoint"));
    }
    if let Some(ip) = dns.service_ip {
        parts.push(format!("service {ip}"));
    }
    match (parts.is_empty(), worst) {
        (false, _) => Room::new("CoreDNS", worst, parts).waiting(dns.ready < dns.desired),
        (true, None) => Room::new("CoreDNS", None, vec!["not read".into()]).unread(),
        (true, Some(_)) => Room::new("CoreDNS", worst, vec!["none".into()]),
    }
}

/// A pool and the blocks cut from it.
fn pool(pool: &Pool) -> String {
    match pool.mask_size {
        Some(mask) => format!("{} in /{mask} blocks", pool.cidr),
        None => pool.cidr.to_string(),
    }
}

/// `40 of 256 blocks used`.
pub fn blocks(report: &Report) -> Option<String> {
    match (report.pod_cidr.blocks_used, report.pod_cidr.capacity_nodes) {
        (Some(used), Some(all)) => Some(format!("{used}/{all} blocks used")),
        (Some(used), None) => Some(format!(
            "{} used",
            plural(usize::try_from(used).unwrap_or(usize::MAX), "block")
        )),
        (None, Some(all)) => Some(format!("room for {all} nodes")),
        (None, None) => None,
    }
}

fn pod_cidr(report: &Report) -> Room {
    let pools: Vec<String> = report.pod_cidr.pools.iter().map(pool).collect();
    let worst = worst(report, "Pod CIDR");
    if pools.is_empty() {
        if report.cni.is_none() && report.verdict == Verdict::Unknown && worst.is_none() {
            return Room::new("Pod CIDR", None, vec!["not read".into()]).unread();
        }
        let why = if report.cni.is_none() {
            "none: no CNI hands out addresses"
        } else {
            "no pool found"
        };
        let room = Room::new("Pod CIDR", worst, vec![why.into()]);
        // Without a CNI there is nothing to be right or wrong.
        return if room.mark == Mark::Good {
            Room {
                mark: Mark::Info,
                ..room
            }
        } else {
            room
        };
    }
    let mut parts = vec![list(&pools, 3)];
    parts.extend(blocks(report));
    let mut sources: Vec<&str> = report.pod_cidr.pools.iter().map(|p| p.source.as_str()).collect();
    sources.dedup();
    parts.push(list(&sources, 1));
    Room::new("Pod CIDR", worst, parts)
}
