//! `-o name`: what is wrong, as `kind/name`, one a line, to be piped into the next command.

use std::collections::HashSet;

use super::{Style, line::clean};
use crate::core::{code::Severity, report::Report};

/// The subjects of errors and warnings, each once, worst first.
pub fn name(report: &Report, _style: &Style) -> String {
    // Names are for other programs: they are never transliterated.
    let exact = Style {
        width: usize::MAX,
        color: false,
        unicode: true,
    };
    let mut seen = HashSet::new();
    report
        .findings
        .iter()
        .filter(|f| f.severity != Severity::Info)
        .flat_map(|f| &f.subjects)
        .filter(|subject| seen.insert(*subject))
        .map(|subject| clean(&subject.to_string(), &exact) + "\n")
        .collect()
}
