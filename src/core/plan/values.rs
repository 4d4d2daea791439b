//! The values of a release: what this cluster needs, under what the user gave.

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::{Draft, Origin, PlannedValue, Request, keys, pool, tree, version};
use crate::core::{
    chart::Chart,
    checks,
    code::Change,
    facts::{Facts, cidr},
    finding::Finding,
    report::Pool,
    text::Text,
};

/// What a CNI's `values` may look at.
pub struct Drafting<'a> {
    /// The cluster.
    pub facts: &'a Facts<'a>,
    /// The chart.
    pub chart: &'a Chart,
    /// What is done with them: findings name its command.
    pub change: Change,
    /// The user's values, merged; in an upgrade with those that the release has already.
    pub user: &'a Value,
    /// The pools that were given or derived, checked already; empty where there is none.
    pub pools: &'a [IpNet],
    /// Where the pools come from, as a reason.
    pub pool_reason: &'a str,
    /// The namespace of the release.
    pub namespace: &'a str,
    /// How the pools are cut into blocks, one a family.
    pub cuts: &'a [pool::Cut],
}

impl Drafting<'_> {
    /// The minor of the chart; nothing where its version cannot be read.
    pub fn minor(&self) -> Option<(u64, u64)> {
        version::parse(&self.chart.version).map(|v| (v.major, v.minor))
    }

    /// What the release would run with: the chart's defaults, what is needed over them, the user's over all.
    pub fn effective(&self, needed: &[(String, Value, Origin, String)]) -> Value {
        let mut all = self.chart.values.clone();
        if !all.is_object() {
            all = Value::Object(Map::new());
        }
        tree::merge(&mut all, &written(needed));
        tree::merge(&mut all, self.user);
        all
    }

    /// The command that the fixes of findings begin with.
    pub fn command(&self, id: &str) -> String {
        match self.change {
            Change::Install => format!("kubectl byocni install {id}"),
            Change::Upgrade | Change::Rollback => "kubectl byocni upgrade".into(),
        }
    }

    /// Whether this runs on Azure's network, where only what looks like traffic between machines passes.
    pub fn on_azure(&self) -> bool {
        matches!(self.facts.platform.name, "aks" | "azure")
    }

    /// The pools of one family.
    pub fn pools_of(&self, family: cidr::Family) -> Vec<String> {
        let own = self.pools.iter().filter(|p| cidr::family(**p) == family);
        own.map(ToString::to_string).collect()
    }
}

/// What a CNI needs in this cluster.
#[derive(Debug, Default)]
pub struct Needed {
    /// Key as `--set` writes it, value, whose it is, why; the user's own values win. A chart's default
    /// ([`Origin::Default`]) is shown and not written.
    pub values: Vec<(String, Value, Origin, String)>,
    /// The pools that it will hand out with the user's values over these.
    pub pools: Vec<IpNet>,
    /// Prefix length of the blocks cut from them, one a pool.
    pub masks: Vec<u8>,
}

/// The needed values as a tree, without the chart's own.
fn written(needed: &[(String, Value, Origin, String)]) -> Value {
    let mut values = Value::Object(Map::new());
    for (key, value, _, _) in needed.iter().filter(|n| n.2 != Origin::Default) {
        tree::set(&mut values, key, value.clone());
    }
    values
}

/// Drafts the values of an installation: pools derived and checked, what the CNI needs in this cluster, the user's own
/// over it, and what of these is not in the chart. Without a CNI that is known how to install, the user's values alone.
pub fn draft(facts: &Facts<'_>, chart: &Chart, request: &Request) -> Draft {
    let empty = Value::Object(Map::new());
    let user = if request.user_values.is_object() {
        &request.user_values
    } else {
        &empty
    };
    let known = request.cni.and_then(|cni| Some((cni, cni.installing?)));
    let Some((cni, installing)) = known else {
        return Draft {
            namespace: request.namespace.clone().unwrap_or_else(|| "kube-system".into()),
            release: chart.name.clone(),
            values: user.clone(),
            reasons: of_user(user, &[], &[]),
            pools: request.pod_cidrs.iter().map(IpNet::trunc).collect(),
            masks: vec![],
            findings: vec![],
        };
    };
    let namespace = request
        .namespace
        .clone()
        .unwrap_or_else(|| installing.namespace.into());
    let chosen = pool::choose(facts, request, cni);
    let drafting = Drafting {
        facts,
        chart,
        change: request.change,
        user,
        pools: &chosen.pools,
        pool_reason: &chosen.reason,
        namespace: &namespace,
        cuts: &chosen.cuts,
    };
    let needed = (installing.values)(&drafting);
    let effective = drafting.effective(&needed.values);
    let mut values = written(&needed.values);
    tree::merge(&mut values, user);

    let mut findings = chosen.findings;
    findings.extend(keys::check(chart, &installing.keys, request));
    findings.extend((installing.rules)(&drafting, &effective));
    findings.extend(version::judge(
        &chart.version,
        cni,
        request.change,
        facts,
        &effective,
    ));
    findings.extend(outside_kube_proxy(facts, &needed.pools, &effective));

    let mut reasons = of_user(user, &needed.values, installing.keys.shown);
    let by_user = |key: &str| tree::at(user, key).is_some() || shadowed(user, key);
    let rest = needed.values.into_iter().filter(|(key, ..)| !by_user(key));
    reasons.extend(rest.map(|(key, value, origin, reason)| PlannedValue {
        key,
        value: Some(value),
        origin,
        reason,
    }));
    reasons.sort_by(|a, b| a.key.cmp(&b.key));
    Draft {
        namespace,
        release: installing.release.into(),
        values,
        reasons,
        pools: needed.pools,
        masks: needed.masks,
        findings,
    }
}

/// Whether the user put something that is no map where the key leads through.
fn shadowed(user: &Value, key: &str) -> bool {
    let mut here = user;
    for word in tree::path(key) {
        match here {
            Value::Object(map) => match map.get(&word) {
                Some(value) => here = value,
                None => return false,
            },
            _ => return true,
        }
    }
    false
}

/// The user's own values. A value is shown only where rules look at it: any other may be a secret.
pub(super) fn of_user(
    user: &Value,
    needed: &[(String, Value, Origin, String)],
    shown: &[&str],
) -> Vec<PlannedValue> {
    let all = tree::leaves(user).into_iter();
    all.map(|(key, value)| {
        let planned = needed.iter().find(|n| n.0 == key && n.2 != Origin::Default);
        let reason = match planned {
            Some((_, planned, _, _)) if planned != value => {
                format!("given by the user; this plan would have {}", one_line(planned))
            }
            _ => "given by the user".to_string(),
        };
        PlannedValue {
            value: tree::below(&key, shown).then(|| clean(value)),
            key: Text::new(&key).line(200),
            origin: Origin::User,
            reason,
        }
    })
    .collect()
}

/// A value in a reason.
fn one_line(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    Text::new(&text).line(60)
}

/// The value without anything that a terminal would act on.
pub(super) fn clean(value: &Value) -> Value {
    match value {
        Value::String(text) => Text::new(text).line(200).into(),
        Value::Array(items) => items.iter().map(clean).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (Text::new(key).line(200), clean(value)))
            .collect(),
        other => other.clone(),
    }
}

/// kube-proxy masquerades what comes from outside its own idea of the pods' range.
fn outside_kube_proxy(facts: &Facts<'_>, pools: &[IpNet], effective: &Value) -> Vec<Finding> {
    let rows: Vec<Pool> = pools
        .iter()
        .map(|net| Pool {
            cidr: *net,
            mask_size: None,
            source: "planned".into(),
        })
        .collect();
    checks::kube_proxy::mismatch(facts, &rows, tree::is_true(effective, "kubeProxyReplacement"))
}
