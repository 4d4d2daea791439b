//! What must not change while pods run: the values in force against those that would be.

use serde_json::{Map, Value};

use super::{Frozen, Rules, Settings};
use crate::core::{
    chart::Chart,
    cni::{BlockModel, Cni, Installing, minor_of},
    codes::upgrade::{DEFAULT_CHANGED, POOL_ELEMENT_CHANGED},
    facts::Facts,
    finding::Finding,
    plan::{Draft, pool::Named, tree},
    text::Text,
    words,
};

/// The chart's defaults with the user's values over them.
pub(super) fn effective(chart: &Chart, values: &Value) -> Value {
    let mut all = match &chart.values {
        Value::Object(_) => chart.values.clone(),
        _ => Value::Object(Map::new()),
    };
    tree::merge(&mut all, values);
    all
}

/// What a row's values were and would be, where both apply and differ.
pub fn differing(
    old: &Settings<'_>,
    new: &Settings<'_>,
    read: fn(&Settings<'_>) -> Option<String>,
) -> Option<(String, String)> {
    let (was, becomes) = (read(old)?, read(new)?);
    (was != becomes).then_some((was, becomes))
}

/// What a list was and would be, where both apply and more was done than adding at its end.
pub fn appended(old: Option<Vec<String>>, new: Option<Vec<String>>) -> Option<(String, String)> {
    let (was, becomes) = (old?, new?);
    let words = |list: &[String]| {
        if list.is_empty() {
            "none".to_string()
        } else {
            list.join(", ")
        }
    };
    (!becomes.starts_with(&was)).then(|| (words(&was), words(&becomes)))
}

/// A setting that changes and must not.
pub(super) struct Breach {
    /// The rule.
    pub rule: &'static Frozen,
    /// What it was, and what it would be.
    pub was: String,
    /// See `was`.
    pub becomes: String,
}

/// Every setting that differs between two charts with their values and must not.
pub(super) fn breaches(
    rules: &Rules,
    facts: &Facts<'_>,
    old: (&Chart, &Value),
    new: (&Chart, &Value),
) -> Vec<Breach> {
    let (before, after) = (effective(old.0, old.1), effective(new.0, new.1));
    let settings = |chart: &Chart, values| Settings {
        values,
        minor: minor_of(&chart.version),
        facts,
    };
    let (before, after) = (settings(old.0, &before), settings(new.0, &after));
    rules
        .frozen
        .iter()
        .filter_map(|rule| {
            let (was, becomes) = (rule.changed)(&before, &after)?;
            let clean = |text: String| Text::new(&text).line(200);
            Some(Breach {
                rule,
                was: clean(was),
                becomes: clean(becomes),
            })
        })
        .collect()
}

/// The findings of an upgrade for them. `user` are the values that are given anew.
pub(super) fn findings(
    rules: &Rules,
    facts: &Facts<'_>,
    old: (&Chart, &Value),
    new: (&Chart, &Value),
    user: &Value,
) -> Vec<Finding> {
    let in_force = effective(old.0, old.1);
    let found = breaches(rules, facts, old, new).into_iter().map(|breach| {
        let rule = breach.rule;
        let fix = if tree::at(user, rule.key).is_some() {
            format!("leave out {}: what is in force is carried over", rule.key)
        } else {
            match tree::at(&in_force, rule.key).filter(|v| v.to_string().len() <= 200) {
                Some(value) => format!(
                    "kubectl byocni upgrade --set-json '{}={}' keeps what is in force",
                    rule.key,
                    Text::new(&value.to_string()).line(200)
                ),
                None => format!("kubectl byocni explain {}", rule.code.slug),
            }
        };
        Finding::new(
            rule.code,
            vec![],
            format!(
                "{} ({}) would change from {} to {}: {}",
                rule.what, rule.key, breach.was, breach.becomes, rule.why
            ),
            fix,
        )
    });
    found.collect()
}

/// Pools that the cluster has and the draft has not: what the agents run with counts, whatever the release says.
pub(super) fn pools_left_out(
    facts: &Facts<'_>,
    cni: &'static Cni,
    installing: &Installing,
    named: &Named,
    draft: &Draft,
) -> Option<Finding> {
    let network = &facts.network;
    let same = facts.detection.main.as_ref().is_some_and(|m| m.cni.id == cni.id);
    // Others' pools are objects of their own, beside those of the release.
    let by_values = network.model == BlockModel::Exclusive && named.without.is_none() && !named.by_nodes;
    if !same || !by_values || network.needs_node_cidr && draft.pools.is_empty() {
        return None;
    }
    let lost: Vec<_> = network
        .pools
        .iter()
        .filter(|pool| !draft.pools.contains(&pool.cidr.trunc()))
        .collect();
    let source = lost.first()?.source.clone();
    let key = (installing.named)(&draft.values).key;
    Some(Finding::new(
        &POOL_ELEMENT_CHANGED,
        vec![],
        format!(
            "the cluster's pool {} ({source}) would no longer be there: the release would have {}",
            words::networks(lost.iter().map(|p| p.cidr)),
            words::networks(draft.pools.iter().copied())
        ),
        format!("repeat the pools that are there, under {key}"),
    ))
}

/// Defaults that mean something else in the new chart, where the release does not say otherwise.
pub(super) fn defaults(rules: &Rules, old: (&Chart, &Value), new: (&Chart, &Value)) -> Vec<Finding> {
    let (before, after) = (effective(old.0, old.1), effective(new.0, new.1));
    let (Some(from), Some(to)) = (minor_of(&old.0.version), minor_of(&new.0.version)) else {
        return vec![];
    };
    let concerned = rules.defaults.iter().filter(|row| {
        from < row.since && row.since <= to && tree::at(new.1, row.key).is_none() && (row.concerns)(&before)
    });
    concerned
        .filter_map(|row| {
            let (was, becomes) = (tree::at(&before, row.key)?, tree::at(&after, row.key)?);
            (was != becomes).then(|| {
                Finding::new(
                    &DEFAULT_CHANGED,
                    vec![],
                    format!(
                        "{} is {becomes} by default since {}.{}, was {was}: {}",
                        row.key, row.since.0, row.since.1, row.follows
                    ),
                    format!("kubectl byocni upgrade --set {}={was} keeps what was", row.key),
                )
            })
        })
        .collect()
}
