//! Pools that a running cluster has, whatever is wrong with them, and pools that an upgrade would add.

use kubectl_byocni::core::plan::Plan;
use serde_json::json;

use crate::{Case, small};

const POOLS: &str = "ipam.operator.clusterPoolIPv4PodCIDRList";

/// Cilium with the pool of its chart, as tools leave it that do not choose one: AKS's services lie in it, and its nodes.
fn cilium(pool: &str) -> Case {
    Case::cilium("1.18.12", "1.19.6")
        .carried(&format!("{POOLS}={{{pool}}}"))
        .every(
            "ConfigMap",
            "cilium-config",
            json!({"data": {"cluster-pool-ipv4-cidr": pool}}),
        )
}

/// The slugs before and behind the line between the plan's own findings and what was there before.
fn told(plan: &Plan) -> (Vec<&'static str>, Vec<&'static str>) {
    let slugs = |all: &[kubectl_byocni::core::finding::Finding]| all.iter().map(|f| f.code.slug).collect();
    let (own, before) = plan.findings.split_at(plan.findings.len() - plan.before);
    (slugs(own), slugs(before))
}

#[test]
fn a_pool_that_is_there_keeps_nobody_on_an_old_version() {
    let plan = cilium("10.0.0.0/8").plan();
    let (own, before) = told(&plan);
    assert!(!plan.blocked(), "{own:?}");
    for slug in ["pod-cidr-overlaps-service-cidr", "pod-cidr-overlaps-node-network"] {
        assert!(
            before.contains(&slug) && !own.contains(&slug),
            "{own:?} {before:?}"
        );
    }
    // Nor does the same pool written twice.
    let twice = cilium("10.244.0.0/16,10.244.0.0/16").plan();
    assert!(!twice.blocked(), "{:?}", twice.blocked_by);
}

#[test]
fn a_pool_that_is_added_is_judged_as_for_an_install() {
    for (pool, slug) in [
        ("10.0.0.0/14", "pod-cidr-overlaps-service-cidr"),
        ("10.224.0.0/16", "pod-cidr-overlaps-node-network"),
        ("10.244.128.0/17", "pod-cidr-overlaps-itself"),
        ("172.31.0.0/18", "pool-reserved"),
    ] {
        let set = format!("{POOLS}={{10.244.0.0/16,{pool}}}");
        let draft = cilium("10.244.0.0/16").set(&set).draft();
        assert_eq!(draft.blocking(), [slug], "{pool}: {:?}", draft.all());
        let (message, fix) = draft.said(slug);
        assert!(message.contains(pool) && fix.contains(POOLS), "{message} / {fix}");
    }
    let draft = cilium("10.244.0.0/16")
        .set(&format!("{POOLS}={{10.244.0.0/16,10.245.0.0/16}}"))
        .draft();
    assert_eq!(draft.blocking(), [] as [&str; 0], "{:?}", draft.all());
}

/// A choice that Azure does not carry, made before: `encapsulation-change` forbids another one.
#[test]
fn a_route_that_is_in_use_keeps_nobody_on_an_old_version() {
    let charts = || (small::cilium("1.18.12"), small::cilium("1.19.6"));
    let of = |(from, to)| Case::cilium_of(from, to).first("1.16");
    let direct = "autoDirectNodeRoutes=true";
    assert_eq!(of(charts()).carried(direct).draft().blocking(), [] as [&str; 0]);
    let draft = of(charts()).set(direct).draft();
    assert!(
        draft.blocking().contains(&"encapsulation-unsupported"),
        "{:?}",
        draft.all()
    );
}
