//! How Calico is installed, by its operator. Facts: the charts 3.31 and 3.32,
//! <https://docs.tigera.io/calico/latest/getting-started/kubernetes/managed-public-cloud/aks> and
//! <https://docs.tigera.io/calico/latest/reference/installation/api>.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::upgrade;
use crate::core::{
    cni::Installing,
    codes::{change::ENCAPSULATION_UNSUPPORTED, values::API_HOST_REQUIRED, values::VALUE_INVALID},
    facts::cidr::{self, Family},
    finding::Finding,
    plan::{
        Origin,
        keys::Keys,
        pool::{Cutting, Named, cut::prefix},
        server, tree,
        values::{Drafting, Needed},
        version::Tested,
    },
    text::Text,
};

/// The way of installing it.
pub static INSTALLING: Installing = Installing {
    chart: "tigera-operator",
    repository: "https://docs.tigera.io/calico/charts",
    release: "calico",
    namespace: "tigera-operator",
    crd_chart: Some(("crd.projectcalico.org.v1", (3, 32))),
    leases: &[],
    strategies: &[],
    minors: ((3, 31), (3, 32)),
    values,
    rules,
    upgrading: &upgrade::RULES,
    named,
    // The operator's blockSize for each family.
    cutting: Cutting::Shared { default: [26, 122] },
    keys: KEYS,
    tested: TESTED,
    known_bad: &[],
};

pub(super) const POOLS: &str = "installation.calicoNetwork.ipPools";

const KEYS: Keys = Keys {
    shown: &[
        "installation.calicoNetwork",
        "installation.cni",
        "installation.enabled",
        "installation.kubernetesProvider",
        "kubernetesServiceEndpoint",
        "tolerations",
    ],
    // Custom resources of the operator's: their fields are its, not the chart's.
    open: &[
        "installation",
        "apiServer",
        "goldmane",
        "whisker",
        "defaultFelixConfiguration",
        "dnsPolicy",
        "tigeraOperator.env",
    ],
    removed: &[],
};

/// "Tested against", in each release's system requirements.
const TESTED: &[Tested] = &[
    Tested {
        minor: (3, 31),
        kubernetes: ((1, 32), (1, 35)),
        source: "docs.tigera.io/calico/3.31/getting-started/kubernetes/requirements",
        read: "2026-10",
    },
    Tested {
        minor: (3, 32),
        kubernetes: ((1, 34), (1, 36)),
        source: "docs.tigera.io/calico/3.32/getting-started/kubernetes/requirements",
        read: "2026-10",
    },
];

/// The pools of the values, as they are written there.
pub(super) fn entries(values: &Value) -> &[Value] {
    let list = tree::at(values, POOLS).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// The network of such a pool.
pub(super) fn network(entry: &Value) -> Option<IpNet> {
    cidr::parse(entry.get("cidr")?.as_str()?)
}

/// The pools that the user's values name.
fn named(user: &Value) -> Named {
    let mut named = Named {
        key: POOLS,
        ..Named::default()
    };
    for entry in entries(user) {
        let Some(net) = network(entry) else { continue };
        let at = usize::from(cidr::family(net) == Family::V6);
        named.masks[at] = named.masks[at].or(entry.get("blockSize").and_then(prefix));
        named.pools.push(net);
    }
    let kind = tree::text(user, "installation.cni.type").unwrap_or("Calico");
    if kind != "Calico" && named.pools.is_empty() {
        let kind = Text::new(kind).line(40);
        named.without = Some(format!(
            "installation.cni.type={kind} takes addresses from elsewhere"
        ));
    }
    named.by_nodes = tree::text(user, "installation.cni.ipam.type") == Some("HostLocal");
    named
}

fn values(drafting: &Drafting<'_>) -> Needed {
    let mut needed = Needed::default();
    let mut set = |key: &str, value: Value, origin: Origin, reason: &str| {
        needed
            .values
            .push((key.to_string(), value, origin, reason.to_string()));
    };
    if drafting.facts.platform.name == "aks" {
        set(
            "installation.kubernetesProvider",
            "AKS".into(),
            Origin::Cluster,
            "these are AKS nodes",
        );
    }
    set(
        "installation.cni.type",
        "Calico".into(),
        Origin::Cluster,
        "Calico gives pods their addresses; on AKS the operator would leave that to Azure",
    );
    set(
        "installation.calicoNetwork.bgp",
        "Disabled".into(),
        Origin::Cluster,
        "VXLAN needs no routes, and Azure takes none from nodes",
    );
    let pools: Vec<Value> = drafting.pools.iter().map(|net| pool(drafting, *net)).collect();
    if !pools.is_empty() {
        let reason = format!("{}; VXLAN passes every network as UDP 4789", drafting.pool_reason);
        set(POOLS, Value::Array(pools), Origin::Cluster, &reason);
    }
    if drafting.facts.kube_proxy.runs == Some(false) {
        let api = server::of(drafting.facts.capture);
        if let Some(api) = api.filter(|a| server::unusable(drafting.facts, &a.host).is_none()) {
            let reason = "the kubeconfig's server: without kube-proxy the kubernetes Service leads nowhere";
            set(
                "kubernetesServiceEndpoint.host",
                api.host.into(),
                Origin::Cluster,
                reason,
            );
            let port = api.port.to_string();
            set(
                "kubernetesServiceEndpoint.port",
                port.into(),
                Origin::Cluster,
                "the kubeconfig's server",
            );
        }
    }
    let effective = drafting.effective(&needed.values);
    let own = named(&effective);
    if own.by_nodes {
        needed.pools = drafting.pools.to_vec();
    } else if own.without.is_none() {
        needed.pools = own.pools;
        needed.masks = entries(&effective)
            .iter()
            .filter_map(|e| Some((network(e)?, e.get("blockSize").and_then(prefix))))
            .map(|(net, size)| size.unwrap_or(if cidr::family(net) == Family::V6 { 122 } else { 26 }))
            .collect();
    }
    needed
}

/// What the values of the release, as they would run, forbid.
fn rules(drafting: &Drafting<'_>, effective: &Value) -> Vec<Finding> {
    let found = [
        encapsulation(drafting, effective),
        api_host(drafting, effective),
        unreadable(drafting.user),
    ];
    found.into_iter().flatten().collect()
}

fn pool(drafting: &Drafting<'_>, net: IpNet) -> Value {
    let cut = drafting.cuts.iter().find(|c| c.family == cidr::family(net));
    let size = cut.map_or(if cidr::family(net) == Family::V6 { 122 } else { 26 }, |c| c.mask);
    json!({
        "cidr": net.to_string(),
        "encapsulation": "VXLAN",
        "natOutgoing": "Enabled",
        "nodeSelector": "all()",
        "blockSize": size,
    })
}

/// Azure carries neither IPIP nor bare packets of pods, and takes no routes by BGP.
fn encapsulation(drafting: &Drafting<'_>, effective: &Value) -> Option<Finding> {
    if !drafting.on_azure() {
        return None;
    }
    let mut wrong = vec![];
    let bgp = tree::text(effective, "installation.calicoNetwork.bgp");
    if bgp == Some("Enabled") {
        wrong.push("installation.calicoNetwork.bgp=Enabled".to_string());
    }
    for (at, entry) in entries(effective).iter().enumerate() {
        // The operator's own choice, where nothing is written, is IPIP.
        let kind = entry
            .get("encapsulation")
            .and_then(Value::as_str)
            .unwrap_or("IPIP");
        if kind != "VXLAN" {
            let written = if entry.get("encapsulation").is_some() {
                format!("={}", Text::new(kind).line(40))
            } else {
                " is not set, which means IPIP".to_string()
            };
            wrong.push(format!("{POOLS}[{at}].encapsulation{written}"));
        }
    }
    (!wrong.is_empty()).then(|| {
        Finding::new(
            &ENCAPSULATION_UNSUPPORTED,
            vec![],
            format!(
                "{}: of what Calico can send, Azure delivers VXLAN alone",
                wrong.join("; ")
            ),
            "leave these out: VXLAN without BGP is planned",
        )
    })
}

fn api_host(drafting: &Drafting<'_>, effective: &Value) -> Option<Finding> {
    if drafting.facts.kube_proxy.runs != Some(false) {
        return None;
    }
    let problem = match tree::text(effective, "kubernetesServiceEndpoint.host") {
        Some(host) => {
            let bad = server::unusable(drafting.facts, host)?;
            format!("kubernetesServiceEndpoint.host={} {bad}", Text::new(host).line(100))
        }
        None => "kubernetesServiceEndpoint.host is not set, and the kubeconfig names no server that nodes could use".into(),
    };
    Some(Finding::new(
        &API_HOST_REQUIRED,
        vec![],
        format!("no kube-proxy runs, so the operator needs the API server's own address: {problem}"),
        format!(
            "{} --set kubernetesServiceEndpoint.host=HOST,kubernetesServiceEndpoint.port=PORT",
            drafting.command("calico")
        ),
    ))
}

/// Pools that the user wrote and that are none.
fn unreadable(user: &Value) -> Option<Finding> {
    let written = tree::at(user, POOLS).filter(|v| !v.is_null())?;
    let wrong: Vec<String> = match written.as_array() {
        Some(list) => list
            .iter()
            .enumerate()
            .filter(|(_, entry)| network(entry).is_none())
            .map(|(at, _)| format!("{POOLS}[{at}].cidr is no network"))
            .collect(),
        None => vec![format!("{POOLS} is no list")],
    };
    (!wrong.is_empty()).then(|| {
        Finding::new(
            &VALUE_INVALID,
            vec![],
            wrong.join("; "),
            "kubectl byocni explain value-invalid",
        )
    })
}
