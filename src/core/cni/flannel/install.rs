//! How Flannel is installed. Facts: the charts 0.28.3 and 0.28.4, and
//! <https://github.com/flannel-io/flannel/blob/master/Documentation/kubernetes.md>.

use serde_json::Value;

use super::upgrade;
use crate::core::{
    cni::Installing,
    codes::{change::ENCAPSULATION_UNSUPPORTED, values::VALUE_INVALID},
    facts::cidr::{self, Family},
    finding::Finding,
    plan::{
        Origin,
        keys::Keys,
        pool::{Cutting, Named},
        tree,
        values::{Drafting, Needed},
    },
    text::Text,
};

/// The way of installing it.
pub static INSTALLING: Installing = Installing {
    chart: "flannel",
    repository: "https://flannel-io.github.io/flannel",
    release: "flannel",
    namespace: "kube-flannel",
    crd_chart: None,
    leases: &[],
    strategies: &[],
    minors: ((0, 27), (0, 28)),
    values,
    rules,
    upgrading: &upgrade::RULES,
    named,
    cutting: Cutting::ByNodes,
    keys: Keys {
        shown: &[
            "podCidr",
            "podCidrv6",
            "flannel.backend",
            "flannel.backendPort",
            "flannel.mtu",
        ],
        open: &[],
        removed: &[],
    },
    // The project names no versions of Kubernetes.
    tested: &[],
    known_bad: &[],
};

const LISTS: [(&str, Family); 2] = [("podCidr", Family::V4), ("podCidrv6", Family::V6)];

/// The pools that the user's values name.
fn named(user: &Value) -> Named {
    let nets = LISTS.iter().filter_map(|(key, family)| {
        let net = cidr::parse(tree::text(user, key)?)?;
        (cidr::family(net) == *family).then_some(net)
    });
    Named {
        pools: nets.collect(),
        key: if tree::text(user, "podCidr").is_some() {
            "podCidr"
        } else {
            "podCidrv6"
        },
        ..Named::default()
    }
}

fn values(drafting: &Drafting<'_>) -> Needed {
    let mut needed = Needed::default();
    for (key, family) in LISTS {
        // The chart takes one network a family.
        let first = drafting.pools_of(family).into_iter().next();
        let (value, reason) = match (first, family) {
            (Some(net), _) => (net, drafting.pool_reason.to_string()),
            // Else the chart's own 10.244.0.0/16 would be there beside an IPv6 network.
            (None, Family::V4) if !drafting.pools.is_empty() => {
                (String::new(), "no IPv4 network is planned".into())
            }
            (None, _) => continue,
        };
        needed
            .values
            .push((key.to_string(), value.into(), Origin::Cluster, reason));
    }
    let effective = drafting.effective(&needed.values);
    let backend = tree::text(&effective, "flannel.backend").unwrap_or("vxlan");
    needed.values.push((
        "flannel.backend".into(),
        backend.into(),
        Origin::Default,
        "UDP 8472 between the nodes; it cannot be changed on a running cluster".into(),
    ));
    if !drafting.pools.is_empty() {
        needed.pools = named(&effective).pools;
        needed.masks = masks(drafting, &needed.pools);
    }
    needed
}

/// What the values of the release, as they would run, forbid.
fn rules(drafting: &Drafting<'_>, effective: &Value) -> Vec<Finding> {
    let mut found = vec![];
    if drafting.on_azure() && tree::text(effective, "flannel.backend") == Some("host-gw") {
        found.push(Finding::new(
            &ENCAPSULATION_UNSUPPORTED,
            vec![],
            "flannel.backend=host-gw sends pods' packets as they are, and Azure drops what comes from addresses that it does not know".into(),
            "leave it out: vxlan is planned",
        ));
    }
    found.extend(unreadable(drafting.user));
    found
}

/// The blocks are the nodes' own; those of one family have one size unless somebody changed it meanwhile.
fn masks(drafting: &Drafting<'_>, pools: &[ipnet::IpNet]) -> Vec<u8> {
    let of = |pool: &ipnet::IpNet| {
        let blocks = drafting.facts.nodes.iter().flat_map(|n| &n.pod_cidrs);
        let own = blocks.filter(|b| cidr::family(**b) == cidr::family(*pool));
        own.map(ipnet::IpNet::prefix_len).min()
    };
    let all: Option<Vec<u8>> = pools.iter().map(of).collect();
    all.unwrap_or_default()
}

fn unreadable(user: &Value) -> Option<Finding> {
    let wrong: Vec<String> = LISTS
        .iter()
        .filter_map(|(key, family)| {
            let value = tree::at(user, key).filter(|v| !v.is_null() && *v != "")?;
            let net = value.as_str().and_then(cidr::parse);
            let right = net.is_some_and(|n| cidr::family(n) == *family);
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_string);
            (!right).then(|| {
                format!(
                    "{key}: {} is no {} network",
                    Text::new(&shown).line(60),
                    family.as_str()
                )
            })
        })
        .collect();
    (!wrong.is_empty()).then(|| {
        Finding::new(
            &VALUE_INVALID,
            vec![],
            wrong.join("; "),
            "kubectl byocni explain value-invalid",
        )
    })
}
