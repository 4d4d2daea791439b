//! What is unsafe about going back.

use kubectl_byocni::core::{
    code::Change,
    facts::{Asked, Facts},
    finding::Finding,
    plan::{blocks, tree, upgrade::rollback_findings},
    revision::Recorded,
};
use serde_json::{Value, json};

use crate::{Case, recorded, small};

fn to(version: &str, values: Value) -> Recorded {
    recorded(2, small::cilium(version), values)
}

fn found(case: &Case, to: &Recorded) -> Vec<Finding> {
    let (capture, asked) = (case.capture(), Asked::default());
    rollback_findings(&Facts::of(&capture, &asked), &case.from, to, Some(case.cni))
}

fn unsafe_because(case: &Case, to: &Recorded) -> Vec<String> {
    let found = found(case, to);
    let own = found.iter().filter(|f| blocks(f, Change::Rollback));
    own.map(|f| format!("{}: {}", f.code.slug, f.message)).collect()
}

fn running() -> Case {
    Case::cilium("1.19.6", "1.20.0")
}

#[test]
fn one_minor_back_is_safe_and_what_stays_is_said() {
    let case = running();
    let target = to("1.18.12", case.from.values.clone());
    assert!(unsafe_because(&case, &target).is_empty());
    let found = found(&case, &target);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code.slug, "crds-stay");
    assert!(
        found[0].message.contains("still those of 1.19.6"),
        "{}",
        found[0].message
    );
    // Within a minor nothing stays.
    assert!(super::back::found(&case, &to("1.19.4", case.from.values.clone())).is_empty());
}

#[test]
fn more_than_one_minor_is_refused_with_the_way() {
    let case = running();
    let target = to("1.17.18", case.from.values.clone());
    let all = found(&case, &target);
    let finding = all
        .iter()
        .find(|f| f.code.slug == "rollback-unsafe")
        .expect("unsafe");
    assert!(
        finding.message.contains("more than one minor"),
        "{}",
        finding.message
    );
    assert!(
        finding.fix.contains("a revision of 1.18 first"),
        "{}",
        finding.fix
    );
    // Also forward: a revision can be newer than what runs.
    let ahead = to("1.21.0", case.from.values.clone());
    assert_eq!(unsafe_because(&case, &ahead).len(), 1);
}

#[test]
fn another_mode_pool_size_or_encapsulation_is_refused() {
    let case = running();
    for (key, value, says) in [
        (
            "ipam.operator.clusterPoolIPv4PodCIDRList",
            json!(["10.245.0.0/16"]),
            "the IPv4 pool",
        ),
        (
            "ipam.operator.clusterPoolIPv4MaskSize",
            json!(25),
            "the size of IPv4 blocks",
        ),
        ("tunnelProtocol", json!("geneve"), "the encapsulation"),
        ("ipam.mode", json!("multi-pool"), "the IPAM mode"),
    ] {
        let mut values = case.from.values.clone();
        tree::set(&mut values, key, value);
        let version = if key == "ipam.mode" { "1.19.4" } else { "1.18.12" };
        let said = unsafe_because(&case, &to(version, values));
        assert_eq!(said.len(), 1, "{key}: {said:?}");
        assert!(said[0].contains(says), "{said:?}");
    }
    // What was changed against the rules may be changed back.
    let mut values = case.from.values.clone();
    tree::set(&mut values, "cluster.id", json!(3));
    assert!(unsafe_because(&case, &to("1.18.12", values)).is_empty());
}

/// A pool that was added and that no node has a block of can go again; one that is in use cannot.
#[test]
fn a_pool_that_was_added_goes_unless_a_node_has_a_block_of_it() {
    let mut case = running();
    let before = case.from.values.clone();
    tree::set(
        &mut case.from.values,
        "ipam.operator.clusterPoolIPv4PodCIDRList",
        json!(["10.244.0.0/16", "10.246.0.0/16"]),
    );
    let target = to("1.18.12", before);
    assert!(
        unsafe_because(&case, &target).is_empty(),
        "{:?}",
        unsafe_because(&case, &target)
    );
    let used = case.every(
        "CiliumNode",
        "aks-user",
        json!({"spec": {"ipam": {"podCIDRs": ["10.246.0.0/24"]}}}),
    );
    let said = unsafe_because(&used, &target);
    assert_eq!(said.len(), 1, "{said:?}");
    let all = found(&used, &target);
    assert!(all[0].fix.contains("replace the nodes"), "{}", all[0].fix);
}

#[test]
fn a_feature_that_the_older_chart_does_not_have_is_switched_off_first() {
    let mut case = running().carried("ztunnel.enabled=true,resources.limits.cpu=2,other.depth=3");
    tree::set(&mut case.from.chart.values, "ztunnel", json!({"enabled": false}));
    tree::set(&mut case.from.chart.values, "other", json!({"depth": 1}));
    let target = to(
        "1.18.12",
        json!({"ipam": case.from.values["ipam"].clone(), "aksbyocni": {"enabled": true}}),
    );
    let all = found(&case, &target);
    let finding = all
        .iter()
        .find(|f| f.code.slug == "rollback-unsafe")
        .expect("unsafe");
    assert!(
        finding.message.contains("ztunnel.enabled is on"),
        "{}",
        finding.message
    );
    assert!(
        finding.fix.contains("--set ztunnel.enabled=false"),
        "{}",
        finding.fix
    );
    assert_eq!(unsafe_because(&case, &target).len(), 1);
    // What the older revision says under another name is not lost.
    let mut renamed = Case::cilium("1.20.0", "1.20.0").carried("encryption.strictMode.egress.enabled=true");
    tree::set(
        &mut renamed.from.chart.values,
        "encryption.strictMode.egress",
        json!({"enabled": false}),
    );
    let mut values = renamed.from.values.clone();
    tree::remove(&mut values, "encryption");
    tree::set(&mut values, "encryption.strictMode.enabled", json!(true));
    let mut target = to("1.19.6", values);
    tree::set(
        &mut target.chart.values,
        "encryption.strictMode",
        json!({"enabled": false}),
    );
    assert!(
        unsafe_because(&renamed, &target).is_empty(),
        "{:?}",
        unsafe_because(&renamed, &target)
    );
}

#[test]
fn another_chart_is_not_gone_back_to() {
    let case = running();
    let mut target = to("1.18.12", json!({}));
    target.chart.name = "other".into();
    assert_eq!(unsafe_because(&case, &target).len(), 1);
}
