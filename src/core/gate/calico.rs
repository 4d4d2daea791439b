//! What Calico's operator must say before Calico is up. Helm sees the operator's Deployment alone
//! (<https://docs.tigera.io/calico/latest/reference/installation/api#operator.tigera.io/v1.TigeraStatus>).

use serde_json::Value;

use crate::core::{
    capture::{Custom, Source},
    cni::{Cni, calico::TIGERA_STATUSES},
    facts::Facts,
    finding::Subject,
    text::Text,
};

/// The parts of Calico that carry the network; `calico` is always there, the others where they are installed.
const PARTS: &[&str] = &["calico", "ippools", "apiserver"];

/// Whether this CNI is judged by what its operator says.
pub(super) fn is_judged(cni: &Cni) -> bool {
    cni.resources.iter().any(|r| r.name == TIGERA_STATUSES.name)
}

/// Each part that the operator must call well: its object, and what is missing where something is.
pub(super) fn parts(facts: &Facts<'_>) -> Vec<(Subject, Option<String>)> {
    let subject = |name: &str| Subject::new("TigeraStatus", name);
    if !facts.capture.knows(Source::Custom(TIGERA_STATUSES.name)) {
        return vec![(subject(PARTS[0]), Some("it could not be read".into()))];
    }
    let all = facts.capture.custom(&TIGERA_STATUSES);
    let found = |name: &str| all.iter().find(|status| status.meta.name == *name);
    PARTS
        .iter()
        .filter_map(|name| match found(name) {
            Some(status) => Some((subject(name), lacking(status))),
            None if *name == PARTS[0] => {
                Some((subject(name), Some("the operator has not reported it yet".into())))
            }
            None => None,
        })
        .collect()
}

/// What keeps a part from being well: not Available, Degraded, or still Progressing.
fn lacking(status: &Custom) -> Option<String> {
    let conditions = status.pointer("/status/conditions").and_then(Value::as_array);
    let condition = |kind: &str| {
        conditions
            .into_iter()
            .flatten()
            .find(|c| c.get("type").and_then(Value::as_str) == Some(kind))
    };
    let is = |kind: &str| condition(kind).and_then(|c| c.get("status")?.as_str()) == Some("True");
    let said = |kind: &str| {
        let message = condition(kind).and_then(|c| c.get("message")?.as_str());
        let message = Text::new(message.unwrap_or_default()).line(160);
        if message.is_empty() {
            message
        } else {
            format!(": {message}")
        }
    };
    if is("Degraded") {
        Some(format!("Degraded{}", said("Degraded")))
    } else if !is("Available") {
        let why = if is("Progressing") {
            said("Progressing")
        } else {
            said("Available")
        };
        Some(format!("not Available{why}"))
    } else if is("Progressing") {
        Some(format!("still Progressing{}", said("Progressing")))
    } else {
        None
    }
}
