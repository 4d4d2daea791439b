//! The values of a hop: the release's own, carried over to the target chart, with the user's new ones over them.
//! Nothing is derived anew from the cluster, and Helm's own reuse of values is never used: it keeps the old chart's
//! defaults, which is a known way to break an upgrade (<https://github.com/cilium/cilium/issues/18115>).

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::{Rules, Translated, frozen};
use crate::core::{
    chart::Chart,
    cni::{Installing, minor_of},
    codes::upgrade::{FIRST_VERSION_UNKNOWN, VALUE_IGNORED},
    facts::{
        Facts,
        cidr::{self, Family},
    },
    finding::Finding,
    plan::{
        Draft, Origin, PlannedValue, Request,
        keys::{self, Keys, Removed},
        outlasts_upgrades,
        pool::{self, Cutting, Named},
        tree,
        values::{Drafting, clean, of_user},
        version,
    },
    revision::Recorded,
    text::Text,
    words,
};

/// The values of one hop. `from` is the revision that runs, `first` the version that was installed first, where the
/// caller knows it: our journal's, else the oldest revision's if that is number 1.
///
/// What the draft says of values is what this hop changes: carried values that stay as they are have no reason.
pub fn draft(
    facts: &Facts<'_>,
    from: &Recorded,
    chart: &Chart,
    request: &Request,
    first: Option<&str>,
) -> Draft {
    let user = object(&request.user_values);
    let own = object(&from.values);
    let (namespace, release) = place(facts, request, &chart.name);
    let known = request.cni.and_then(|cni| Some((cni, cni.installing?)));
    let Some((cni, installing)) = known else {
        let mut values = own.clone();
        tree::merge(&mut values, &user);
        return Draft {
            namespace,
            release,
            values,
            reasons: given(&user, &own, &[]),
            pools: facts.network.pools.iter().map(|p| p.cidr).collect(),
            masks: vec![],
            findings: vec![],
        };
    };
    let rules = installing.upgrading;
    let mut values = own.clone();
    let mut reasons = translated(rules, &installing.keys, from, chart, &mut values);
    tree::merge(&mut values, &user);
    // Who gives a key anew decides; what became of the old one is of no interest.
    reasons.retain(|r| tree::at(&user, &r.key).is_none());
    let mut findings = vec![];
    match compatibility(rules, from, chart, first, &mut values) {
        Compatible::Set(reason) => reasons.push(*reason),
        Compatible::Unknown(finding) => findings.push(*finding),
        Compatible::AsItIs => {}
    }
    reasons.extend(given(&user, &own, installing.keys.shown));
    reasons.sort_by(|a, b| a.key.cmp(&b.key));

    findings.extend(of_keys(rules, &installing.keys, from, chart, &values, &user));
    let mut draft = Draft {
        namespace,
        release,
        values,
        reasons,
        pools: vec![],
        masks: vec![],
        findings: vec![],
    };
    let effective = frozen::effective(chart, &draft.values);
    let named = pools(facts, installing, &effective, &mut draft);
    let drafting = Drafting {
        facts,
        chart,
        change: request.change,
        user: &draft.values,
        pools: &draft.pools,
        pool_reason: "as the release has it",
        namespace: &draft.namespace,
        cuts: &[],
    };
    let in_force = frozen::effective(&from.chart, &own);
    let drafted = Drafting {
        chart: &from.chart,
        user: &own,
        ..drafting
    };
    let stood = (installing.rules)(&drafted, &in_force);
    let stands = |f: &Finding| outlasts_upgrades(f) && stood.iter().any(|old| old.code.id == f.code.id);
    findings.extend(
        (installing.rules)(&drafting, &effective)
            .into_iter()
            .filter(|f| !stands(f)),
    );
    findings.extend(version::judge(
        &chart.version,
        cni,
        request.change,
        facts,
        &effective,
    ));
    let (old, new) = ((&from.chart, &own), (chart, &draft.values));
    let forbidden = frozen::findings(rules, facts, old, new, &user);
    let pools_told = forbidden
        .iter()
        .any(|f| matches!(f.code.slug, "pool-element-changed" | "ipam-mode-change"));
    findings.extend(forbidden);
    if !pools_told {
        match frozen::pools_left_out(facts, cni, installing, &named, &draft) {
            Some(finding) => findings.push(finding),
            // Beside a pool that is taken away nothing else is worth mending.
            None => findings.extend(pool::added(facts, &draft.pools, named.key)),
        }
    }
    findings.extend(frozen::defaults(rules, old, new));
    draft.findings = findings;
    draft
}

/// The values of a rollback: those of the revision that it goes to, as they were.
pub fn draft_back(facts: &Facts<'_>, to: &Recorded, request: &Request) -> Draft {
    let (namespace, release) = place(facts, request, &to.chart.name);
    let mut draft = Draft {
        namespace,
        release,
        values: object(&to.values),
        reasons: vec![],
        pools: facts.network.pools.iter().map(|p| p.cidr).collect(),
        masks: vec![],
        findings: vec![],
    };
    if let Some((cni, installing)) = request.cni.and_then(|cni| Some((cni, cni.installing?))) {
        let effective = frozen::effective(&to.chart, &draft.values);
        pools(facts, installing, &effective, &mut draft);
        draft.findings = version::judge(&to.chart.version, cni, request.change, facts, &effective);
    }
    draft
}

fn object(values: &Value) -> Value {
    match values {
        Value::Object(_) => values.clone(),
        _ => Value::Object(Map::new()),
    }
}

/// Namespace and name of the release: those that are there, unless the user names another namespace.
fn place(facts: &Facts<'_>, request: &Request, chart: &str) -> (String, String) {
    let there = facts.release.as_ref().map(|r| &r.release);
    let there = there.filter(|r| request.namespace.as_ref().is_none_or(|n| *n == r.namespace));
    let installing = request.cni.and_then(|c| c.installing);
    match there {
        Some(release) => (release.namespace.clone(), release.name.clone()),
        None => (
            request
                .namespace
                .clone()
                .unwrap_or_else(|| installing.map_or("kube-system", |i| i.namespace).into()),
            installing.map_or(chart, |i| i.release).into(),
        ),
    }
}

/// The user's new values with their reasons.
fn given(user: &Value, own: &Value, shown: &[&str]) -> Vec<PlannedValue> {
    let mut all = of_user(user, &[], shown);
    for (value, (key, new)) in all.iter_mut().zip(tree::leaves(user)) {
        value.reason = match tree::at(own, &key) {
            Some(old) if old == new => "given by the user; the release has it already".into(),
            Some(_) => "given by the user, in place of the release's own".into(),
            None => "given by the user".into(),
        };
    }
    all
}

/// Writes what has another name in the target chart under that name, and leaves out what has become needless.
fn translated(
    rules: &Rules,
    keys: &Keys,
    from: &Recorded,
    chart: &Chart,
    values: &mut Value,
) -> Vec<PlannedValue> {
    let Some(minor) = minor_of(&chart.version) else {
        return vec![];
    };
    let runs = frozen::effective(&from.chart, values);
    let dead = keys::gone(values, &from.chart, keys);
    let mut reasons = vec![];
    let mut told = |key: &str, value: Value, reason: String| {
        reasons.push(PlannedValue {
            key: key.to_string(),
            value: tree::below(key, keys.shown).then(|| clean(&value)),
            origin: Origin::Chart,
            reason,
        });
    };
    for row in rules.moved {
        // What the old chart ignored had no effect: to give it one would be a change that nobody asked for.
        let acted = !dead.iter().any(|r| tree::below(row.key, &[r.key]));
        let there = tree::at(values, row.key).filter(|v| !v.is_null()).cloned();
        let (Some(value), true) = (there, acted && minor >= row.since) else {
            continue;
        };
        if tree::at(&chart.values, row.key).is_some() {
            continue;
        }
        let since = format!("{}.{}", row.since.0, row.since.1);
        match (row.translate)(&value, &runs) {
            Translated::As(key, new) => {
                match tree::at(values, key).filter(|v| !v.is_null()) {
                    // Two words on one thing: the user must say which.
                    Some(other) if *other != new => continue,
                    Some(_) => {}
                    None => {
                        tree::set(values, key, new.clone());
                        told(key, new, format!("was {}, renamed in {since}", row.key));
                    }
                }
                tree::remove(values, row.key);
            }
            Translated::Needless(why) => {
                tree::remove(values, row.key);
                told(
                    row.key,
                    Value::Null,
                    format!("left out, gone since {since}: {why}"),
                );
            }
            Translated::Lost => {}
        }
    }
    // Who has set a key to its default loses nothing with it.
    for row in keys::gone(values, chart, keys) {
        let by_row = rules.moved.iter().any(|m| tree::below(m.key, &[row.key]));
        let default = tree::at(&from.chart.values, row.key);
        let plain = default.is_some_and(|d| tree::at(values, row.key).is_some_and(|v| within(v, d)));
        if plain && !by_row {
            tree::remove(values, row.key);
            told(
                row.key,
                Value::Null,
                format!(
                    "left out, gone since {}.{}: it had the old chart's default",
                    row.since.0, row.since.1
                ),
            );
        }
    }
    reasons
}

/// Whether every leaf of `value` is what `default` has.
fn within(value: &Value, default: &Value) -> bool {
    match (value, default) {
        (Value::Object(value), Value::Object(default)) => value
            .iter()
            .all(|(word, value)| default.get(word).is_some_and(|d| within(value, d))),
        (value, default) => value == default,
    }
}

enum Compatible {
    AsItIs,
    Set(Box<PlannedValue>),
    Unknown(Box<Finding>),
}

/// The minor that was installed first, for charts that keep its defaults. It is set with the first hop to another minor:
/// within one it would change nothing but the values. What the release or the user says of it stays.
fn compatibility(
    rules: &Rules,
    from: &Recorded,
    chart: &Chart,
    first: Option<&str>,
    values: &mut Value,
) -> Compatible {
    let Some(row) = &rules.compatibility else {
        return Compatible::AsItIs;
    };
    let (Some(old), Some(new)) = (minor_of(&from.chart.version), minor_of(&chart.version)) else {
        return Compatible::AsItIs;
    };
    if tree::at(values, row.key).is_some() || new <= old {
        return Compatible::AsItIs;
    }
    let Some(first) = first.and_then(minor_of) else {
        return Compatible::Unknown(Box::new(Finding::new(
            &FIRST_VERSION_UNKNOWN,
            vec![],
            format!(
                "which minor was installed first stands neither in the journal nor in the release's values or revisions: the defaults of {}.{} will apply",
                new.0, new.1
            ),
            format!(
                "kubectl byocni upgrade --set-string {}={}.{}, or the minor that came first",
                row.key, old.0, old.1
            ),
        )));
    };
    if first >= new {
        return Compatible::AsItIs;
    }
    let first = first.max(row.oldest);
    let value = Value::String(format!("{}.{}", first.0, first.1));
    tree::set(values, row.key, value.clone());
    Compatible::Set(Box::new(PlannedValue {
        key: row.key.to_string(),
        value: Some(value),
        origin: Origin::Cluster,
        reason: "the minor that was installed first here: its defaults stay".into(),
    }))
}

/// What is wrong with the keys: those that the target chart does not have block, unless the chart that runs has ignored
/// them already.
fn of_keys(
    rules: &Rules,
    keys: &Keys,
    from: &Recorded,
    chart: &Chart,
    values: &Value,
    user: &Value,
) -> Vec<Finding> {
    let gone = keys::gone(values, chart, keys);
    let unknown = keys::unknown_beside(&gone, values, chart, keys);
    let ignored_gone = keys::gone(&from.values, &from.chart, keys);
    let ignored_unknown = keys::unknown_beside(&ignored_gone, &from.values, &from.chart, keys);
    let anew = |key: &str| tree::at(user, key).is_some();
    let vital = |key: &str| {
        let row = rules.vital.iter().find(|v| v.key == key);
        // Said twice and alike, the second word is enough.
        row.is_some_and(|v| !alike(tree::at(values, v.key), tree::at(values, v.instead)))
    };
    let (dead_gone, live_gone): (Vec<&Removed>, Vec<&Removed>) = gone
        .into_iter()
        .partition(|r| !anew(r.key) && !vital(r.key) && ignored_gone.iter().any(|i| i.key == r.key));
    let (dead_unknown, live_unknown): (Vec<String>, Vec<String>) = unknown
        .into_iter()
        .partition(|key| !anew(key) && ignored_unknown.contains(key));
    let mut findings = vec![];
    if let Some(mut finding) = keys::removed(chart, &live_gone) {
        // Values of a file are corrected there; those of the release by taking them away.
        if let Some(carried) = live_gone.iter().find(|r| !anew(r.key)) {
            finding.fix = format!(
                "kubectl byocni upgrade --set {}=null --dry-run, with what came in its place",
                carried.key
            );
        }
        findings.push(finding);
    }
    findings.extend(keys::strange(chart, &live_unknown));
    let dead: Vec<String> = dead_gone
        .iter()
        .map(|r| r.key.to_string())
        .chain(dead_unknown.iter().map(|key| Text::new(key).line(100)))
        .collect();
    if !dead.is_empty() {
        findings.push(Finding::new(
            &VALUE_IGNORED,
            vec![],
            format!(
                "the chart {} {} has ignored {} all along, and so does {}",
                from.chart.name,
                from.chart.version,
                words::names(&dead),
                chart.version
            ),
            "kubectl byocni explain value-ignored",
        ));
    }
    findings
}

/// Whether two values name the same, where one may be a list of it.
fn alike(one: Option<&Value>, other: Option<&Value>) -> bool {
    let list = |value: Option<&Value>| match value {
        Some(Value::Array(items)) => items.clone(),
        Some(value) => vec![value.clone()],
        None => vec![],
    };
    one.is_some() && list(one) == list(other)
}

/// The pools and the size of their blocks, as the release would run.
fn pools(facts: &Facts<'_>, installing: &Installing, effective: &Value, draft: &mut Draft) -> Named {
    let named = (installing.named)(effective);
    let by_nodes = named.by_nodes || installing.cutting == Cutting::ByNodes;
    draft.pools = if named.by_nodes || named.pools.is_empty() && named.without.is_none() {
        facts.network.pools.iter().map(|p| p.cidr).collect()
    } else {
        named.pools.clone()
    };
    let masks: Option<Vec<u8>> = draft
        .pools
        .iter()
        .map(|pool| {
            let at = usize::from(cidr::family(*pool) == Family::V6);
            match installing.cutting {
                _ if by_nodes => smallest_block(facts, pool),
                Cutting::Shared { default } => named.masks[at].or(Some(default[at])),
                _ => named.masks[at],
            }
        })
        .collect();
    draft.masks = masks.unwrap_or_default();
    named
}

fn smallest_block(facts: &Facts<'_>, pool: &IpNet) -> Option<u8> {
    let blocks = facts.nodes.iter().flat_map(|n| &n.pod_cidrs);
    let own = blocks.filter(|b| cidr::family(**b) == cidr::family(*pool));
    own.map(IpNet::prefix_len).min()
}
