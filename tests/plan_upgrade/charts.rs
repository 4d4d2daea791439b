//! The real charts: an ordinary release of every version goes to the next one without an alarm, and what a rule says of
//! a chart is so.

use kubectl_byocni::core::{
    chart::Chart,
    cni::{Cni, calico::CALICO, cilium::CILIUM, minor_of},
    plan::{tree, upgrade::Translated},
};
use serde_json::{Value, json};

use crate::{Case, archives};

/// The newest chart of every minor of a name, oldest first.
fn line(name: &str) -> Vec<Chart> {
    let mut all: Vec<Chart> = archives::charts()
        .into_iter()
        .filter(|c| c.name == name)
        .collect();
    all.sort_by_key(|c| (minor_of(&c.version), c.version.clone()));
    all.dedup_by(|later, kept| {
        let same = minor_of(&later.version) == minor_of(&kept.version);
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    all
}

/// What may be said of an ordinary upgrade.
const ORDINARY: &[&str] = &["kubernetes-untested", "default-changed"];

fn quiet(case: &Case) {
    let draft = case.draft();
    let said: Vec<String> = draft
        .all()
        .into_iter()
        .filter(|f| !ORDINARY.iter().any(|o| f.starts_with(o)))
        .collect();
    assert!(
        said.is_empty(),
        "{} {} to {}: {said:?}",
        case.from.chart.name,
        case.from.chart.version,
        case.chart.version
    );
    let pools: Vec<String> = draft.0.pools.iter().map(ToString::to_string).collect();
    assert_eq!(pools, ["10.244.0.0/16"], "{}", case.chart.version);
}

#[test]
fn an_ordinary_release_of_cilium_goes_to_the_next_minor_without_an_alarm() {
    let byocni = json!({"aksbyocni": {"enabled": true}});
    let plain = json!({});
    let said = json!({"ipam": {"mode": "cluster-pool"}, "routingMode": "tunnel", "tunnelProtocol": "vxlan",
        "kubeProxyReplacement": "false", "operator": {"replicas": 2}, "cluster": {"name": "default"}});
    let replaced = json!({"kubeProxyReplacement": true, "k8sServiceHost": "network-abc.hcp.westeurope.azmk8s.io",
        "k8sServicePort": 443});
    let rich = json!({"hubble": {"enabled": true, "relay": {"enabled": true}, "ui": {"enabled": true}},
        "encryption": {"enabled": true, "type": "wireguard"}, "bpf": {"masquerade": true},
        "prometheus": {"enabled": true}, "bgpControlPlane": {"enabled": true}, "tunnelPort": 8473,
        "ipv6": {"enabled": false}, "cluster": {"name": "west", "id": 3}});
    for pair in line("cilium").windows(2) {
        for over in [&byocni, &plain, &said, &replaced, &rich] {
            let mut case = Case::cilium_of(pair[0].clone(), pair[1].clone()).first("1.16");
            tree::remove(&mut case.from.values, "aksbyocni");
            tree::merge(&mut case.from.values, over);
            quiet(&case);
            // The way back by the same rules.
            let mut back = case.clone();
            std::mem::swap(&mut back.from.chart, &mut back.chart);
            let breaches: Vec<String> = back
                .draft()
                .all()
                .into_iter()
                .filter(|f| f.contains("would change from"))
                .collect();
            assert!(breaches.is_empty(), "{breaches:?}");
        }
    }
}

#[test]
fn every_forbidden_change_is_seen_between_the_real_charts() {
    for pair in line("cilium").windows(2) {
        let case = || Case::cilium_of(pair[0].clone(), pair[1].clone()).first("1.16");
        for (set, slug) in [
            (
                "ipam.operator.clusterPoolIPv4PodCIDRList={10.245.0.0/16}",
                "pool-element-changed",
            ),
            ("ipam.operator.clusterPoolIPv4MaskSize=26", "mask-size-change"),
            ("tunnelProtocol=geneve", "encapsulation-change"),
            ("cluster.id=4", "live-change-forbidden"),
        ] {
            let draft = case().set(set).draft();
            assert!(draft.blocking().contains(&slug), "{set}: {:?}", draft.all());
        }
    }
}

/// Acceptance scenarios 15 and 16, with the real charts.
#[test]
fn scenario_15_and_16_with_the_real_charts() {
    for pair in line("cilium").windows(2) {
        let case = || Case::cilium_of(pair[0].clone(), pair[1].clone()).first("1.16");
        let pool = case()
            .set("ipam.operator.clusterPoolIPv4PodCIDR=10.244.0.0/16")
            .draft();
        assert!(pool.blocking().contains(&"value-removed"), "{:?}", pool.all());
        let typo = case().set("aksByoCni.enabled=true").draft();
        assert_eq!(typo.blocking(), ["value-unknown"], "{:?}", typo.all());
        assert!(typo.said("value-unknown").0.contains("aksbyocni.enabled"));
    }
}

/// What is said to be renamed was there before, has its new name afterwards, and is carried over.
#[test]
fn what_is_said_to_be_renamed_is_renamed() {
    let line = line("cilium");
    let mut seen = 0;
    for row in CILIUM.installing.expect("installing").upgrading.moved {
        for pair in line
            .windows(2)
            .filter(|p| minor_of(&p[1].version) == Some(row.since))
        {
            assert!(
                tree::at(&pair[1].values, row.key).is_none(),
                "{} is there",
                row.key
            );
            let Some(old) = tree::at(&pair[0].values, row.key) else {
                panic!("{} was not there in {}", row.key, pair[0].version)
            };
            let on = match old {
                Value::Bool(_) => json!(true),
                Value::Object(_) => json!({"enabled": false}),
                _ => json!("10.244.0.0/16"),
            };
            let mut case = Case::cilium_of(pair[0].clone(), pair[1].clone()).first("1.16");
            tree::set(&mut case.from.values, row.key, on.clone());
            if let Translated::As(key, value) = (row.translate)(&on, &json!({})) {
                let draft = case.draft();
                assert_eq!(draft.value(key), value, "{}: {:?}", row.key, draft.all());
                assert!(draft.blocking().is_empty(), "{}: {:?}", row.key, draft.all());
            }
            seen += 1;
        }
    }
    assert!(seen > 5 || line.is_empty(), "{seen}");
}

/// The rows on changed defaults are so.
#[test]
fn what_is_said_of_defaults_is_so() {
    let line = line("cilium");
    for row in CILIUM.installing.expect("installing").upgrading.defaults {
        for pair in line
            .windows(2)
            .filter(|p| minor_of(&p[1].version) == Some(row.since))
        {
            let (old, new) = (
                tree::at(&pair[0].values, row.key),
                tree::at(&pair[1].values, row.key),
            );
            assert!(
                old.is_some() && new.is_some() && old != new,
                "{}: {old:?} {new:?}",
                row.key
            );
        }
    }
}

#[test]
fn ordinary_releases_of_calico_and_flannel_go_to_the_next_version_without_an_alarm() {
    for pair in line("tigera-operator").windows(2) {
        quiet(&Case::calico_of(pair[0].clone(), pair[1].clone()));
    }
    let mut flannel: Vec<Chart> = archives::charts()
        .into_iter()
        .filter(|c| c.name == "flannel")
        .collect();
    flannel.sort_by_key(|c| c.version.clone());
    for pair in flannel.windows(2) {
        quiet(&Case::flannel_of(pair[0].clone(), pair[1].clone()));
    }
}

#[test]
fn every_rule_names_its_source_and_its_day() {
    let all: [&Cni; 3] = [&CILIUM, &CALICO, &kubectl_byocni::core::cni::flannel::FLANNEL];
    for rules in all.iter().map(|c| c.installing.expect("installing").upgrading) {
        let rows = rules.frozen.iter().map(|r| (r.source, r.read));
        let rows = rows.chain(rules.defaults.iter().map(|r| (r.source, r.read)));
        for (source, read) in rows.chain(rules.retired.iter().map(|r| (r.source, r.read))) {
            assert!(
                source.starts_with("https://") && read.starts_with("20"),
                "{source} {read}"
            );
        }
    }
}
