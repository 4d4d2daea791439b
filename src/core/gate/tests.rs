//! The parts of the gate that need no cluster; its stories are in `tests/gate.rs`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::probe::{ProbeSeen, name, operation_label, pod, seen};
use crate::core::capture::Pod;

const IMAGE: &str = "quay.io/cilium/cilium:v1.20.0";

/// A probe with this status, seen with these pools.
fn probed(status: Value, pools: &[&str]) -> ProbeSeen {
    let mut object = pod("node-1", IMAGE, "5f3a");
    object["status"] = status;
    let pod: Pod = serde_json::from_value(object).expect("a pod");
    let pools: Vec<_> = pools.iter().map(|p| p.parse().expect("a network")).collect();
    seen(&pod, &pools)
}

fn with_ips(ips: &[&str], pools: &[&str]) -> ProbeSeen {
    let listed: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    probed(
        json!({"phase": "Running", "podIP": ips.first(), "podIPs": listed}),
        pools,
    )
}

#[test]
fn a_probe_is_small_pinned_and_restricted() {
    let text =
        serde_json::to_string_pretty(&pod("aks-user-27182818-vmss000000", IMAGE, "5f3a9c")).expect("JSON");
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!("probe", text) });
}

#[test]
fn an_address_must_lie_in_a_pool_of_its_family() {
    assert!(with_ips(&["10.244.1.9"], &["10.244.0.0/16"]).good());
    assert!(
        with_ips(&["10.244.1.9"], &[]).good(),
        "without pools any address is good"
    );
    assert!(with_ips(&["10.1.0.9"], &["10.244.0.0/16", "10.1.0.0/24"]).good());
    let stray = with_ips(&["172.17.0.2"], &["10.244.0.0/16"]);
    assert!(!stray.good());
    assert_eq!(
        stray.problem.as_deref(),
        Some("a new pod there has 172.17.0.2, which is in none of the pools (10.244.0.0/16)")
    );
    // Both families, and one of them astray.
    let both = ["10.244.0.0/16", "fd00::/104"];
    assert!(with_ips(&["10.244.1.9", "fd00::9"], &both).good());
    assert!(!with_ips(&["10.244.1.9", "fd01::9"], &both).good());
    // A family that no pool is known of proves nothing alone, and spoils nothing.
    assert!(with_ips(&["10.244.1.9", "fd01::9"], &["10.244.0.0/16"]).good());
    assert!(!with_ips(&["fd01::9"], &["10.244.0.0/16"]).good());
}

#[test]
fn a_probe_without_an_address_waits_is_spent_or_was_refused() {
    let pools = ["10.244.0.0/16"];
    let waits = probed(json!({"phase": "Pending"}), &pools);
    assert_eq!((waits.good(), waits.spent, waits.refused), (false, false, false));
    let full = probed(json!({"phase": "Failed", "reason": "OutOfpods"}), &pools);
    assert_eq!((full.good(), full.spent, full.refused), (false, false, true));
    for reason in ["DeadlineExceeded", "Evicted", ""] {
        let over = probed(json!({"phase": "Failed", "reason": reason}), &pools);
        assert_eq!(
            (over.good(), over.spent, over.refused),
            (false, true, false),
            "{reason}"
        );
    }
    // Its container could not start; the sandbox had its address, and that is what counts.
    let failed = probed(
        json!({"phase": "Failed", "podIP": "10.244.1.9", "podIPs": [{"ip": "10.244.1.9"}]}),
        &pools,
    );
    assert!(failed.good());
}

#[test]
fn one_node_and_one_change_are_one_probe() {
    assert_eq!(name("node-1", "5f3a"), name("node-1", "5f3a"));
    assert_ne!(name("node-1", "5f3a"), name("node-2", "5f3a"));
    assert_ne!(name("node-1", "5f3a"), name("node-1", "5f3b"));
    assert_eq!(operation_label("5F3A-9c/.."), "5f3a9c");
}

proptest! {
    #[test]
    fn names_and_labels_are_what_kubernetes_takes(node in any::<String>(), operation in "[0-9a-fA-F-]{1,60}") {
        let name = name(&node, &operation);
        prop_assert!(name.len() <= 63);
        prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        let label = operation_label(&operation);
        prop_assert!(label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
