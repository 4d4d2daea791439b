//! What is unsafe about going back to a revision. A rollback is needed most when things are broken, so only what would
//! break more than it repairs stands in its way.

use serde_json::Value;

use super::{Rules, frozen};
use crate::core::{
    cni::{Cni, minor_of},
    codes::upgrade::{
        CRDS_STAY, ENCAPSULATION_CHANGE, IPAM_MODE_CHANGE, MASK_SIZE_CHANGE, POOL_ELEMENT_CHANGED,
        ROLLBACK_UNSAFE,
    },
    facts::{Facts, cidr},
    finding::Finding,
    plan::{keys, tree},
    revision::Recorded,
    text::Text,
    words,
};

/// What is to be said of a rollback of a CNI from one revision to another: `rollback-unsafe` where it goes over more
/// than one minor, over a feature that is in use, or where pods' addresses or the way of their packets would be others;
/// `crds-stay` where the definitions stay newer than the version.
pub fn rollback_findings(
    facts: &Facts<'_>,
    from: &Recorded,
    to: &Recorded,
    cni: Option<&'static Cni>,
) -> Vec<Finding> {
    let Some((cni, installing)) = cni.and_then(|cni| Some((cni, cni.installing?))) else {
        return vec![];
    };
    if from.chart.name != to.chart.name {
        return vec![unsafe_to(
            to,
            format!(
                "it is of another chart, {} in place of {}",
                to.chart.name, from.chart.name
            ),
            "kubectl byocni history",
        )];
    }
    let rules = installing.upgrading;
    let mut findings = vec![];
    findings.extend(far(cni, from, to));
    findings.extend(grounds(rules, facts, from, to));
    findings.extend(features(rules, &installing.keys, from, to));
    findings.extend(definitions(rules, from, to));
    findings
}

fn unsafe_to(to: &Recorded, why: String, fix: impl Into<String>) -> Finding {
    Finding::new(
        &ROLLBACK_UNSAFE,
        vec![],
        format!("going back to revision {} is not safe: {why}", to.revision),
        fix,
    )
}

/// More than one minor, in either direction.
fn far(cni: &Cni, from: &Recorded, to: &Recorded) -> Option<Finding> {
    let (here, there) = (minor_of(&from.chart.version)?, minor_of(&to.chart.version)?);
    if here.0 == there.0 && here.1.abs_diff(there.1) <= 1 {
        return None;
    }
    let plain = |version: &str| Text::new(version.trim_start_matches('v')).line(60);
    let between = (here.0 == there.0 && here.1 > 0).then(|| {
        format!(
            "kubectl byocni history, and go back to a revision of {}.{} first",
            here.0,
            here.1 - 1
        )
    });
    Some(unsafe_to(
        to,
        format!(
            "{} {} is more than one minor from {}, and no more is tested",
            cni.name,
            plain(&to.chart.version),
            plain(&from.chart.version)
        ),
        between
            .filter(|_| here > there)
            .unwrap_or_else(|| "kubectl byocni history".into()),
    ))
}

/// Another IPAM mode, pool, block size or encapsulation. Everything else that must not change while pods run has been
/// changed already, against the rules: to go back may well be the cure.
fn grounds(rules: &Rules, facts: &Facts<'_>, from: &Recorded, to: &Recorded) -> Vec<Finding> {
    let breaches = frozen::breaches(rules, facts, (&from.chart, &from.values), (&to.chart, &to.values));
    let of = [
        &IPAM_MODE_CHANGE,
        &POOL_ELEMENT_CHANGED,
        &MASK_SIZE_CHANGE,
        &ENCAPSULATION_CHANGE,
    ];
    breaches
        .into_iter()
        .filter(|b| of.contains(&b.rule.code))
        .filter(|b| !(b.rule.code == &POOL_ELEMENT_CHANGED && unused(facts, &b.was, &b.becomes)))
        .map(|b| {
            let fix = if b.rule.code == &POOL_ELEMENT_CHANGED {
                "replace the nodes that have blocks of it first; kubectl byocni status shows them"
            } else {
                "kubectl byocni explain rollback-unsafe"
            };
            unsafe_to(
                to,
                format!(
                    "{} ({}) would change from {} to {}; {}",
                    b.rule.what, b.rule.key, b.was, b.becomes, b.rule.why
                ),
                fix,
            )
        })
        .collect()
}

/// Whether no node has a block of what would no longer be a pool: an element that was added and never used.
fn unused(facts: &Facts<'_>, was: &str, becomes: &str) -> bool {
    let kept: Vec<&str> = cidr::words(becomes).collect();
    let lost: Vec<_> = cidr::words(was)
        .filter(|w| !kept.contains(w))
        .map(cidr::parse)
        .collect();
    let begins = cidr::words(was).zip(&kept).all(|(a, b)| a == *b);
    let blocks = || facts.network.blocks.values().flatten();
    begins
        && facts.network.blocks_known
        && lost
            .iter()
            .all(|net| net.is_some_and(|net| !blocks().any(|block| cidr::overlap(*block, net))))
}

/// Features that are switched on, and that the older chart does not have.
fn features(rules: &Rules, keys: &keys::Keys, from: &Recorded, to: &Recorded) -> Option<Finding> {
    let switched_on = |key: &str| {
        let last = key.rsplit('.').next().unwrap_or_default();
        let switch = last == "enabled" || last.starts_with("enable");
        switch && tree::at(&from.values, key).is_some_and(|v| *v == Value::Bool(true) || *v == "true")
    };
    let unknown = |recorded: &Recorded, values| keys::unknown(values, &recorded.chart, keys);
    let ignored = unknown(from, &from.values);
    // What has another name there is said under that name.
    let renamed = |key: &str| {
        rules.moved.iter().any(|row| {
            tree::at(&to.values, row.key).is_some_and(
                |old| matches!((row.translate)(old, &to.values), super::Translated::As(new, _) if new == key),
            )
        })
    };
    let lost: Vec<String> = unknown(to, &from.values)
        .into_iter()
        .filter(|key| switched_on(key) && !ignored.contains(key) && !renamed(key))
        .map(|key| Text::new(&key).line(100))
        .collect();
    let first = lost.first()?;
    Some(unsafe_to(
        to,
        format!(
            "{} {} on, and {} does not have {}",
            words::names(&lost),
            words::are(lost.len()),
            to.chart.version,
            if lost.len() == 1 { "it" } else { "them" }
        ),
        format!("remove what uses it, then: kubectl byocni upgrade --set {first}=false"),
    ))
}

/// Definitions are never taken back.
fn definitions(rules: &Rules, from: &Recorded, to: &Recorded) -> Option<Finding> {
    let who = rules.definitions?;
    (minor_of(&from.chart.version)? > minor_of(&to.chart.version)?).then(|| {
        Finding::new(
            &CRDS_STAY,
            vec![],
            format!(
                "{who}: after the rollback they are still those of {}",
                from.chart.version
            ),
            "",
        )
    })
}
