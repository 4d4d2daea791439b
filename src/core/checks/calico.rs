//! What only Calico can have wrong.

use serde_json::Value;

use super::{Check, agents::error_of};
use crate::core::{
    capture::Source,
    cni::calico::{self, TIGERA_STATUSES},
    codes::{
        calico::{INSTALLATION_POOL_DIFFERS, TIGERA_STATUS_DEGRADED, TIGERA_STATUS_UNAVAILABLE},
        change::ENCAPSULATION_UNSUPPORTED,
    },
    facts::{AgentState, Facts, cidr},
    finding::{Finding, Subject},
    text::Text,
    words,
};

/// Calico's own.
pub const ALL: &[Check] = &[
    Check {
        title: "what Calico's operator says",
        needs: &[],
        needs_cni_objects: true,
        needed: true,
        run: tigera_status,
    },
    Check {
        title: "Calico's Installation against its pools",
        needs: &[],
        needs_cni_objects: true,
        needed: true,
        run: installation,
    },
    Check {
        title: "Calico's encapsulation on Azure",
        needs: &[Source::Nodes],
        needs_cni_objects: true,
        needed: true,
        run: encapsulation,
    },
];

fn tigera_status(facts: &Facts<'_>) -> Vec<Finding> {
    let agent = facts.agents.iter().find_map(|a| error_of(&a.state));
    // While agents start, so does what the operator says of them.
    let starting = facts
        .agents
        .iter()
        .any(|a| matches!(a.state, AgentState::Starting { .. }));
    let mut findings = vec![];
    for status in facts.capture.custom(&TIGERA_STATUSES) {
        let conditions = status
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let condition = |kind: &str| {
            conditions
                .iter()
                .find(|c| c.get("type").and_then(Value::as_str) == Some(kind))
        };
        let is = |kind: &str, wanted: &str| {
            condition(kind).and_then(|c| c.get("status")?.as_str()) == Some(wanted)
        };
        let said = |kind: &str| {
            let message = condition(kind)
                .and_then(|c| c.get("message")?.as_str())
                .unwrap_or_default();
            if message.is_empty() {
                "no reason given".to_string()
            } else {
                Text::new(message).line(200)
            }
        };
        let name = &status.meta.name;
        let finding = |code, message| {
            let subject = vec![Subject::new("TigeraStatus", name)];
            Finding::new(
                code,
                subject,
                message,
                format!("kubectl get tigerastatus {name} -o yaml"),
            )
        };
        let found = if !is("Available", "True") {
            let why = if is("Degraded", "True") {
                said("Degraded")
            } else {
                said("Available")
            };
            finding(
                &TIGERA_STATUS_UNAVAILABLE,
                format!("TigeraStatus {name} is not Available: {why}"),
            )
        } else if is("Degraded", "True") {
            finding(
                &TIGERA_STATUS_DEGRADED,
                format!("TigeraStatus {name} is Degraded: {}", said("Degraded")),
            )
        } else {
            continue;
        };
        if starting {
            continue;
        }
        findings.push(match agent.filter(|_| name == "calico") {
            Some(code) => found.because_of(code),
            None => found,
        });
    }
    findings
}

fn installation(facts: &Facts<'_>) -> Vec<Finding> {
    let asked = calico::installation_pools(facts.capture);
    let there: Vec<_> = calico::ip_pools(facts.capture)
        .filter_map(|p| cidr::parse(p.text("/spec/cidr")?))
        .collect();
    if asked.is_empty() || there.is_empty() {
        return vec![];
    }
    let missing: Vec<String> = asked
        .iter()
        .filter(|(text, _)| cidr::parse(text).is_some_and(|net| !there.contains(&net)))
        .map(|(text, _)| Text::new(text).line(60))
        .collect();
    if missing.is_empty() {
        return vec![];
    }
    vec![Finding::new(
        &INSTALLATION_POOL_DIFFERS,
        vec![Subject::new("Installation", "default")],
        format!(
            "the Installation asks for {}, which is no IPPool; the pools are {}",
            words::names(&missing),
            words::networks(there)
        ),
        "kubectl get installation default -o jsonpath='{.spec.calicoNetwork.ipPools}'; kubectl get ippools",
    )]
}

/// Azure's network carries neither IP-in-IP nor BGP (<https://docs.tigera.io/calico/latest/reference/public-cloud/azure>).
fn encapsulation(facts: &Facts<'_>) -> Vec<Finding> {
    if !matches!(facts.platform.name, "aks" | "azure") {
        return vec![];
    }
    let mut said = vec![];
    let mut subjects = vec![];
    for pool in calico::ip_pools(facts.capture) {
        let mode = pool.text("/spec/ipipMode").unwrap_or("Never");
        let vxlan = pool.text("/spec/vxlanMode").unwrap_or("Never");
        let disabled = pool.pointer("/spec/disabled").and_then(Value::as_bool) == Some(true);
        let problem = match (mode, vxlan) {
            _ if disabled => continue,
            ("Never", "Never") => "no encapsulation (BGP)",
            ("Never", _) => continue,
            _ => "IP-in-IP",
        };
        said.push(format!("IPPool {} uses {problem}", pool.meta.name));
        subjects.push(Subject::new("IPPool", &pool.meta.name));
    }
    if said.is_empty() {
        return vec![];
    }
    vec![Finding::new(
        &ENCAPSULATION_UNSUPPORTED,
        subjects,
        format!(
            "{}; Azure's network drops it between nodes: VXLAN is what works",
            said.join("; ")
        ),
        "kubectl byocni explain encapsulation-unsupported",
    )]
}
