//! Which errors count against a change: those that were not there before, and that a network can cause.

use std::collections::BTreeSet;

use crate::core::{
    code::{Code, Severity},
    codes::nodes::NODE_NOT_READY,
    facts::{Facts, Ready},
    finding::Finding,
    report::Report,
};

/// Families of codes that no CNI causes: what could not be read, Helm's records, the platform.
const NOT_THE_NETWORK: &[&str] = &["00", "05", "07"];

/// What a gate does not blame on the change: nodes that are broken for another reason than the network (Ready=Unknown,
/// or not Ready without the kubelet naming the network plugin), and the errors that stand, each as `slug kind/name`.
///
/// A node that has just joined is not broken. Consequences of another finding are not listed: their cause is.
pub fn baseline(facts: &Facts<'_>, report: &Report) -> (Vec<String>, Vec<String>) {
    let broken = facts.nodes.iter().filter(|node| match node.ready {
        Ready::Lost => true,
        Ready::No | Ready::Never => !node.young && !node.is_virtual,
        Ready::Yes | Ready::NoNetwork => false,
    });
    let nodes = broken.map(|node| node.name.to_string()).collect();
    let errors = report.findings.iter().filter(|f| f.severity == Severity::Error);
    let mut errors: Vec<String> = errors.flat_map(keys).collect();
    errors.sort();
    errors.dedup();
    (nodes, errors)
}

/// A finding as the journal keeps it, one line a subject.
fn keys(finding: &Finding) -> impl Iterator<Item = String> + '_ {
    finding
        .subjects
        .iter()
        .map(|subject| format!("{} {subject}", finding.code.slug))
}

/// Whether a CNI can cause what the code names. Whether lost nodes are its doing is decided by how many there are.
fn of_the_network(code: &Code) -> bool {
    let family = code.id.get(3..5).unwrap_or_default();
    !NOT_THE_NETWORK.contains(&family) && code.slug != NODE_NOT_READY.slug
}

/// The errors that were not there before, without what concerns excused nodes only: those that hold the gate up, and
/// those that are told beside it.
pub(super) fn new_ones(
    report: &Report,
    before: &[String],
    excused: &BTreeSet<&str>,
) -> (Vec<Finding>, Vec<Finding>) {
    let before: BTreeSet<&str> = before.iter().map(String::as_str).collect();
    let errors = report.findings.iter().filter(|f| f.severity == Severity::Error);
    let left = errors.filter_map(|finding| {
        let mut finding = finding.clone();
        let (slug, held) = (finding.code.slug, of_the_network(finding.code));
        finding.subjects.retain(|subject| {
            // What excuses a node is told itself.
            let excused = held && subject.kind == "Node" && excused.contains(subject.name.as_str());
            !excused && !before.contains(format!("{slug} {subject}").as_str())
        });
        (!finding.subjects.is_empty()).then_some(finding)
    });
    left.partition(|finding| of_the_network(finding.code))
}
