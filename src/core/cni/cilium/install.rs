//! How Cilium is installed. Facts: the charts 1.16 to 1.20, rendered, and
//! <https://docs.cilium.io/en/stable/installation/k8s-install-helm/>.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{upgrade, versions};
use crate::core::{
    capture::{object::Taint, workload::Toleration},
    cni::Installing,
    code::Change,
    codes::{
        change::ENCAPSULATION_UNSUPPORTED,
        values::{AKSBYOCNI_IPAM_MODE, API_HOST_REQUIRED, KUBE_PROXY_IPVS, VALUE_INVALID},
    },
    facts::{
        Facts, NodeFacts,
        cidr::{self, Family},
        scheduling,
    },
    finding::{Finding, Subject},
    plan::{
        Origin,
        pool::{Cutting, Named, cut::prefix},
        server, tree,
        values::{Drafting, Needed},
    },
    text::Text,
    words,
};

/// The way of installing it.
pub static INSTALLING: Installing = Installing {
    chart: "cilium",
    repository: "https://helm.cilium.io",
    release: "cilium",
    namespace: "kube-system",
    crd_chart: None,
    leases: &["cilium-operator-resource-lock"],
    strategies: &[
        ("updateStrategy", "cilium"),
        ("envoy.updateStrategy", "cilium-envoy"),
    ],
    minors: ((1, 16), (1, 20)),
    values,
    rules,
    upgrading: &upgrade::RULES,
    named,
    cutting: Cutting::Chosen {
        // The chart's clusterPoolIPv4MaskSize and clusterPoolIPv6MaskSize.
        default: [24, 120],
        // Network, broadcast, the node's cilium_host and the health endpoint.
        reserved: 4,
    },
    keys: versions::KEYS,
    tested: versions::TESTED,
    known_bad: versions::KNOWN_BAD,
};

pub(super) const V4_LIST: &str = "ipam.operator.clusterPoolIPv4PodCIDRList";
pub(super) const V4_MASK: &str = "ipam.operator.clusterPoolIPv4MaskSize";
pub(super) const V6_LIST: &str = "ipam.operator.clusterPoolIPv6PodCIDRList";
pub(super) const V6_MASK: &str = "ipam.operator.clusterPoolIPv6MaskSize";
const HOST: &str = "k8sServiceHost";
const PORT: &str = "k8sServicePort";
pub(super) const REPLACEMENT: &str = "kubeProxyReplacement";
const TOLERATIONS: &str = "operator.tolerations";

/// The networks of a list, or of a text that is separated by spaces or commas.
fn networks(value: Option<&Value>) -> Vec<IpNet> {
    texts(value).iter().filter_map(|t| cidr::parse(t)).collect()
}

/// The words of a list, or of a text that is separated by spaces or commas.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    let words = |text: &str| cidr::words(text).map(str::to_string).collect::<Vec<_>>();
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).flat_map(words).collect(),
        Some(Value::String(text)) => words(text),
        _ => vec![],
    }
}

/// The pools that the user's values name.
fn named(user: &Value) -> Named {
    let mode = tree::text(user, "ipam.mode").unwrap_or("cluster-pool");
    let mut named = Named {
        key: V4_LIST,
        masks: [V4_MASK, V6_MASK].map(|key| tree::at(user, key).and_then(prefix)),
        ..Named::default()
    };
    match mode {
        "cluster-pool" => {
            named.pools = networks(tree::at(user, V4_LIST));
            // The chart's own IPv6 pool is in its values whether IPv6 is on or not.
            if tree::is_true(user, "ipv6.enabled") {
                named.pools.extend(networks(tree::at(user, V6_LIST)));
            }
            if tree::at(user, V4_LIST).is_none() && !named.pools.is_empty() {
                named.key = V6_LIST;
            }
        }
        "multi-pool" => {
            named.key = "ipam.operator.autoCreateCiliumPodIPPools";
            named.masks = [None; 2];
            let pools = tree::at(user, named.key).and_then(Value::as_object);
            for pool in pools.into_iter().flat_map(|p| p.values()) {
                for (at, family) in ["ipv4", "ipv6"].iter().enumerate() {
                    named
                        .pools
                        .extend(networks(pool.pointer(&format!("/{family}/cidrs"))));
                    let mask = pool.pointer(&format!("/{family}/maskSize")).and_then(prefix);
                    named.masks[at] = named.masks[at].or(mask);
                }
            }
            named.without = Some("ipam.mode=multi-pool takes its pools from CiliumPodIPPool objects".into());
        }
        "kubernetes" => named.by_nodes = true,
        other => {
            let other = Text::new(other).line(40);
            named.without = Some(format!("ipam.mode={other} takes addresses from elsewhere"));
        }
    }
    named
}

fn values(drafting: &Drafting<'_>) -> Needed {
    let facts = drafting.facts;
    let mut needed = Needed::default();
    let mut set = |key: &str, value: Value, origin: Origin, reason: String| {
        needed.values.push((key.to_string(), value, origin, reason));
    };
    let cluster = Origin::Cluster;
    let aks = facts.platform.name == "aks";
    if aks {
        let reason = "AKS without a network plugin of its own";
        set("aksbyocni.enabled", true.into(), cluster, reason.into());
    }
    let mode = tree::text(drafting.user, "ipam.mode").unwrap_or("cluster-pool");
    if mode == "cluster-pool" {
        let reason = if aks {
            "the mode of AKS BYOCNI: its nodes have no podCIDRs"
        } else {
            "Cilium's operator cuts each node's block from the pool"
        };
        set("ipam.mode", mode.into(), cluster, reason.into());
        pools(drafting, &mut set);
    }
    let routing = if drafting.on_azure() {
        "Azure carries no packets between addresses that it does not know"
    } else {
        "works on any network between the nodes"
    };
    set("routingMode", "tunnel".into(), cluster, routing.into());
    // With aksbyocni the chart of 1.16 writes this key itself, and a second time where the value is set: one mapping
    // with two equal keys, which not every reader of YAML takes.
    let byocni = aks || tree::is_true(drafting.user, "aksbyocni.enabled");
    let twice = byocni && drafting.minor().is_some_and(|m| m <= (1, 16));
    set(
        "tunnelProtocol",
        "vxlan".into(),
        if twice { Origin::Default } else { cluster },
        "UDP 8472 between the nodes, Cilium's default".into(),
    );
    operator(drafting, &mut set);
    kube_proxy(drafting, &mut set);
    set(
        "upgradeCompatibility",
        Value::Null,
        Origin::Default,
        "not on a first installation; upgrades set it to the minor that was installed first".into(),
    );

    let effective = drafting.effective(&needed.values);
    let own = named(&effective);
    if own.without.is_some() || own.by_nodes {
        needed.pools = if own.by_nodes {
            drafting.pools.to_vec()
        } else {
            own.pools
        };
    } else if !drafting.pools.is_empty() {
        needed.pools = own.pools;
    }
    // Prefix lengths are one a pool: without one of a family they would be off.
    let masks: Option<Vec<u8>> = needed
        .pools
        .iter()
        .map(|p| own.masks[usize::from(cidr::family(*p) == Family::V6)])
        .collect();
    needed.masks = masks.filter(|_| !own.by_nodes).unwrap_or_default();
    needed
}

/// The pools and the size of their blocks. Without a pool the lists are left out: the plan is refused then.
fn pools(drafting: &Drafting<'_>, set: &mut impl FnMut(&str, Value, Origin, String)) {
    let families = [(Family::V4, V4_LIST, V4_MASK), (Family::V6, V6_LIST, V6_MASK)];
    for (family, list, mask) in families {
        let pools = drafting.pools_of(family);
        if pools.is_empty() {
            continue;
        }
        set(
            list,
            json!(pools),
            Origin::Cluster,
            drafting.pool_reason.to_string(),
        );
        if let Some(cut) = drafting.cuts.iter().find(|c| c.family == family) {
            set(mask, cut.mask.into(), Origin::Cluster, cut.reason.clone());
        }
    }
    let has = |family| !drafting.pools_of(family).is_empty();
    if has(Family::V6) {
        set(
            "ipv6.enabled",
            true.into(),
            Origin::Cluster,
            "an IPv6 pool is planned".into(),
        );
        if !has(Family::V4) {
            set(
                "ipv4.enabled",
                false.into(),
                Origin::Cluster,
                "no IPv4 pool is planned".into(),
            );
        }
    }
}

/// Taints that go by themselves, or when whoever cordoned the node is done.
fn passes(taint: &Taint) -> bool {
    taint.effect == "PreferNoSchedule"
        || (taint.key.starts_with("node.kubernetes.io/")
            && taint.key != "node.kubernetes.io/network-unavailable")
        || taint.key == "node.cilium.io/agent-not-ready"
        || taint.key == "node.cloudprovider.kubernetes.io/uninitialized"
        || taint.key == "ToBeDeletedByClusterAutoscaler"
}

/// Why the operator has to bear a taint from its first day; nothing where it has not.
fn must_bear(node: &NodeFacts<'_>, taint: &Taint) -> Option<&'static str> {
    if taint.key == "node.kubernetes.io/network-unavailable" {
        return Some("only a running CNI takes it away");
    }
    if passes(taint) {
        return None;
    }
    let system = node.node.meta.label("kubernetes.azure.com/mode") == Some("system");
    if system {
        return Some("a system pool's own");
    }
    // The key that Kubernetes itself once reserved for the system's own pods; AKS, RKE2 and kubespray put it on pools.
    (taint.key == "CriticalAddonsOnly").then_some("a pool for the system's own pods")
}

fn operator(drafting: &Drafting<'_>, set: &mut impl FnMut(&str, Value, Origin, String)) {
    let facts = drafting.facts;
    let chart = tree::at(&drafting.chart.values, TOLERATIONS).and_then(Value::as_array);
    let chart: Vec<Value> = chart.cloned().unwrap_or_default();
    let read = |list: &[Value]| -> Vec<Toleration> {
        let items = list.iter().filter_map(|t| serde_json::from_value(t.clone()).ok());
        items.collect()
    };
    let bears = |list: &[Toleration], taint: &Taint| list.iter().any(|t| scheduling::bears(t, taint));
    let mut planned = chart.clone();
    let mut reasons: Vec<String> = vec![];
    let linux = || facts.nodes.iter().filter(|n| n.linux && !n.is_virtual);
    for node in linux() {
        for taint in &node.node.spec.taints {
            let Some(why) = must_bear(node, taint).filter(|_| !bears(&read(&planned), taint)) else {
                continue;
            };
            let mut toleration = json!({"key": taint.key.as_str(), "effect": taint.effect.as_str()});
            if taint.value.is_empty() {
                toleration["operator"] = "Exists".into();
            } else {
                toleration["operator"] = "Equal".into();
                toleration["value"] = taint.value.as_str().into();
            }
            planned.push(toleration);
            reasons.push(format!("{} ({why})", taint.key));
        }
    }
    if !reasons.is_empty() {
        let reason = format!("the chart's and {}", words::names(&reasons));
        set(
            TOLERATIONS,
            Value::Array(planned.clone()),
            Origin::Cluster,
            reason,
        );
    }
    let own = match tree::at(drafting.user, TOLERATIONS).and_then(Value::as_array) {
        Some(list) => read(list),
        None => read(&planned),
    };
    let takes = |node: &&NodeFacts<'_>| {
        let taints = &node.node.spec.taints;
        !node.node.spec.unschedulable && taints.iter().all(|t| passes(t) || bears(&own, t))
    };
    let places = linux().filter(takes).count();
    let (replicas, reason) = match places {
        1 => (
            1,
            "one node can run it, and two of them never share a node".to_string(),
        ),
        0 => (2, "two, as the chart has it".to_string()),
        n => (2, format!("one can fail; {} can run it", words::count(n, "node"))),
    };
    set("operator.replicas", replicas.into(), Origin::Cluster, reason);
}

/// Whether kube-proxy's work is replaced is the user's choice where kube-proxy runs; where none does, nobody else does
/// that work. That it could not be told is no reason to replace it.
fn kube_proxy(drafting: &Drafting<'_>, set: &mut impl FnMut(&str, Value, Origin, String)) {
    let asked = tree::is_true(drafting.user, REPLACEMENT);
    let absent = drafting.facts.kube_proxy.runs == Some(false);
    if absent {
        set(
            REPLACEMENT,
            "true".into(),
            Origin::Cluster,
            "no kube-proxy runs: Services lead nowhere without it".into(),
        );
    } else if !asked {
        let reason = match drafting.facts.kube_proxy.runs {
            Some(true) => "kube-proxy runs",
            _ => "whether kube-proxy runs could not be told",
        };
        set(REPLACEMENT, "false".into(), Origin::Default, reason.into());
    }
    let elsewhere = tree::text(drafting.user, "k8sServiceHostRef.name").is_some();
    if !(absent || asked) || elsewhere || tree::text(drafting.user, HOST).is_some() {
        return;
    }
    let found = server::of(drafting.facts.capture);
    if let Some(api) = found.filter(|api| server::unusable(drafting.facts, &api.host).is_none()) {
        let reason = if absent {
            "the kubeconfig's server: without kube-proxy the kubernetes Service leads nowhere"
        } else {
            "the kubeconfig's server: agents that replace kube-proxy cannot rely on it"
        };
        set(HOST, api.host.into(), Origin::Cluster, reason.into());
        set(
            PORT,
            api.port.to_string().into(),
            Origin::Cluster,
            "the kubeconfig's server".into(),
        );
    }
}

/// What the values of the release, as they would run, forbid.
fn rules(drafting: &Drafting<'_>, effective: &Value) -> Vec<Finding> {
    let checks: [fn(&Drafting<'_>, &Value) -> Option<Finding>; 6] = [
        ipam_mode,
        encapsulation,
        api_host,
        ipvs,
        cluster_name,
        replacement,
    ];
    let mut found: Vec<Finding> = checks
        .iter()
        .filter_map(|rule| rule(drafting, effective))
        .collect();
    found.extend(unreadable(drafting.user));
    found
}

/// With aksbyocni.enabled the chart writes cluster-pool whatever ipam.mode says (up to 1.18), or nothing at all.
fn ipam_mode(drafting: &Drafting<'_>, effective: &Value) -> Option<Finding> {
    let mode = tree::text(effective, "ipam.mode").unwrap_or("cluster-pool");
    let multi = drafting.minor().is_none_or(|m| m >= (1, 19));
    let real = mode == "cluster-pool" || (mode == "multi-pool" && multi);
    if !tree::is_true(effective, "aksbyocni.enabled") || real {
        return None;
    }
    let shown = Text::new(mode).line(40);
    let what = if multi {
        "renders no IPAM mode at all then"
    } else {
        "renders cluster-pool without a pool then"
    };
    Some(Finding::new(
        &AKSBYOCNI_IPAM_MODE,
        vec![],
        format!(
            "aksbyocni.enabled=true and ipam.mode={shown}: the chart {} {what}",
            drafting.chart.version
        ),
        "leave out ipam.mode: cluster-pool is planned",
    ))
}

fn encapsulation(drafting: &Drafting<'_>, effective: &Value) -> Option<Finding> {
    if !drafting.on_azure() && !tree::is_true(effective, "aksbyocni.enabled") {
        return None;
    }
    let routing = tree::text(effective, "routingMode").unwrap_or("tunnel");
    let direct = tree::is_true(effective, "autoDirectNodeRoutes");
    let what = if routing != "tunnel" {
        format!("routingMode={}", Text::new(routing).line(40))
    } else if direct {
        "autoDirectNodeRoutes=true".to_string()
    } else {
        return None;
    };
    Some(Finding::new(
        &ENCAPSULATION_UNSUPPORTED,
        vec![],
        format!(
            "{what} sends pods' packets as they are, and Azure drops what comes from addresses that it does not know"
        ),
        "leave it out: routingMode=tunnel is planned",
    ))
}

fn api_host(drafting: &Drafting<'_>, effective: &Value) -> Option<Finding> {
    let facts = drafting.facts;
    let absent = facts.kube_proxy.runs == Some(false);
    let replaced = tree::is_true(effective, REPLACEMENT);
    let elsewhere = tree::text(effective, "k8sServiceHostRef.name").is_some();
    if !(absent || replaced) || elsewhere {
        return None;
    }
    let why = if absent {
        "no kube-proxy runs"
    } else {
        "kube-proxy is to be replaced"
    };
    let host = tree::text(effective, HOST);
    let problem = match host {
        // The chart looks it up in kube-public/cluster-info.
        Some("auto") => return None,
        Some(host) => {
            let bad = server::unusable(facts, host)?;
            format!("{HOST}={} {bad}", Text::new(host).line(100))
        }
        None => match server::of(facts.capture) {
            Some(api) => {
                let bad = server::unusable(facts, &api.host).unwrap_or("was taken away");
                format!(
                    "{HOST} is not set, and the kubeconfig's server {} {bad}",
                    api.host
                )
            }
            None => format!("{HOST} is not set, and the capture does not say where the API server is"),
        },
    };
    Some(Finding::new(
        &API_HOST_REQUIRED,
        vec![],
        format!("{why}, so agents need the API server's own address: {problem}"),
        format!(
            "{} --set k8sServiceHost=HOST,k8sServicePort=PORT",
            drafting.command("cilium")
        ),
    ))
}

/// <https://github.com/cilium/cilium/issues/44464>; the workaround is named there.
fn ipvs(drafting: &Drafting<'_>, effective: &Value) -> Option<Finding> {
    let proxy = &drafting.facts.kube_proxy;
    let mode = proxy.mode.as_deref().filter(|m| *m == "ipvs")?;
    let concerned = proxy.runs == Some(true) && drafting.minor() == Some((1, 19));
    let bypass = tree::at(effective, "extraConfig.enable-k8s-host-firewall-bypass");
    let worked_around = bypass.is_some_and(|v| *v == json!("false") || *v == json!(false));
    (concerned && !worked_around).then(|| {
        Finding::new(
            &KUBE_PROXY_IPVS,
            vec![Subject::namespaced("DaemonSet", "kube-system", "kube-proxy")],
            format!(
                "kube-proxy runs in {mode} mode, with which the agents of Cilium {} hang while they start (https://github.com/cilium/cilium/issues/44464)",
                drafting.chart.version
            ),
            match drafting.change {
                Change::Install => "kubectl byocni install cilium --version 1.18",
                Change::Upgrade | Change::Rollback => {
                    "stay on 1.18, or let kube-proxy use iptables or nftables: kubectl byocni explain kube-proxy-ipvs"
                }
            },
        )
    })
}

/// The chart's own rule (templates/validate.yaml), told before anything is rendered.
fn cluster_name(drafting: &Drafting<'_>, _: &Value) -> Option<Finding> {
    let name = tree::at(drafting.user, "cluster.name")?.as_str()?;
    let ordinary = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let right = name.len() <= 32
        && name.starts_with(ordinary)
        && name.ends_with(ordinary)
        && name.chars().all(|c| ordinary(c) || c == '-');
    (!right).then(|| {
        Finding::new(
            &VALUE_INVALID,
            vec![],
            format!(
                "cluster.name={}: at most 32 lower-case letters, digits and dashes, no dash at its ends",
                Text::new(name).line(60)
            ),
            format!("{} --set cluster.name=NAME", drafting.command("cilium")),
        )
    })
}

/// `strict`, `partial`, `probe` and `disabled` fail every chart from 1.16 on.
fn replacement(drafting: &Drafting<'_>, _: &Value) -> Option<Finding> {
    let value = tree::at(drafting.user, REPLACEMENT).filter(|v| !v.is_null())?;
    let right = value.is_boolean() || matches!(value.as_str(), Some("true" | "false"));
    (!right).then(|| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        Finding::new(
            &VALUE_INVALID,
            vec![],
            format!(
                "kubeProxyReplacement={} is neither true nor false",
                Text::new(&text).line(40)
            ),
            format!("{} --set kubeProxyReplacement=true", drafting.command("cilium")),
        )
    })
}

/// Networks and prefix lengths that the user wrote and that are none.
fn unreadable(user: &Value) -> Vec<Finding> {
    let mut wrong = vec![];
    for (list, family) in [(V4_LIST, Family::V4), (V6_LIST, Family::V6)] {
        for text in texts(tree::at(user, list)) {
            if cidr::parse(&text).is_none_or(|net| cidr::family(net) != family) {
                wrong.push(format!(
                    "{list}: {} is no {} network",
                    Text::new(&text).line(60),
                    family.as_str()
                ));
            }
        }
    }
    for (mask, bits) in [(V4_MASK, 32), (V6_MASK, 128)] {
        let value = tree::at(user, mask).filter(|v| !v.is_null());
        if let Some(value) = value.filter(|v| prefix(v).is_none_or(|p| p > bits)) {
            wrong.push(format!(
                "{mask}: {} is no prefix length",
                Text::new(&value.to_string()).line(60)
            ));
        }
    }
    if wrong.is_empty() {
        return vec![];
    }
    vec![Finding::new(
        &VALUE_INVALID,
        vec![],
        wrong.join("; "),
        "kubectl byocni explain value-invalid",
    )]
}

/// The evidence that addresses come from several pools.
pub(super) fn multi_pool(_: &Facts<'_>, values: &Value) -> Option<String> {
    (tree::text(values, "ipam.mode") == Some("multi-pool")).then(|| "ipam.mode=multi-pool".to_string())
}

/// The evidence that nodes are k3s's.
pub(super) fn on_k3s(facts: &Facts<'_>, _: &Value) -> Option<String> {
    (facts.platform.name == "k3s").then(|| "these are k3s nodes".to_string())
}
