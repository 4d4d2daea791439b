//! The release's own values, carried over.

use kubectl_byocni::core::{
    chart::Chart,
    plan::{Origin, tree},
};
use serde_json::{Value, json};

use crate::{Case, small};

/// A small chart with more keys.
fn with(mut chart: Chart, keys: &[(&str, Value)]) -> Chart {
    for (key, value) in keys {
        tree::set(&mut chart.values, key, value.clone());
    }
    chart
}

#[test]
fn what_the_release_has_is_carried_over_and_nothing_is_added() {
    let case = Case::cilium("1.19.4", "1.19.6");
    let draft = case.draft();
    assert_eq!(draft.0.values, case.from.values);
    assert!(draft.0.reasons.is_empty(), "{:?}", draft.0.reasons);
    assert!(draft.blocking().is_empty(), "{:?}", draft.all());
    let pools: Vec<String> = draft.0.pools.iter().map(ToString::to_string).collect();
    assert_eq!(
        (pools, draft.0.masks.clone()),
        (vec!["10.244.0.0/16".to_string()], vec![24])
    );
    assert_eq!(
        (draft.0.release.as_str(), draft.0.namespace.as_str()),
        ("cilium", "kube-system")
    );
}

#[test]
fn the_users_new_values_stand_over_it() {
    let draft = Case::cilium("1.19.4", "1.19.6")
        .carried("operator.replicas=2")
        .set("operator.replicas=1,hubble.relay.enabled=true,cluster.name=default")
        .draft();
    assert_eq!(draft.value("operator.replicas"), json!(1));
    assert_eq!(draft.value("hubble.relay.enabled"), json!(true));
    assert_eq!(draft.value("aksbyocni.enabled"), json!(true));
    assert_eq!(
        draft.reason("operator.replicas"),
        "user: given by the user, in place of the release's own"
    );
    assert_eq!(draft.reason("hubble.relay.enabled"), "user: given by the user");
    // What may be a secret is not shown.
    let hidden = draft.0.reasons.iter().find(|r| r.key == "hubble.relay.enabled");
    assert_eq!(hidden.and_then(|r| r.value.clone()), None);
    let same = Case::cilium("1.19.4", "1.19.6")
        .set("operator.replicas=2")
        .draft();
    assert_eq!(
        same.reason("operator.replicas"),
        "user: given by the user; the release has it already"
    );
}

#[test]
fn the_release_that_is_there_keeps_its_name_and_its_namespace() {
    let annotations = json!({"metadata": {"annotations": {
        "meta.helm.sh/release-name": "net", "meta.helm.sh/release-namespace": "cni"}}});
    let case = Case::cilium("1.19.4", "1.19.6").every("DaemonSet", "cilium", annotations);
    let draft = case.draft().0;
    assert_eq!((draft.release.as_str(), draft.namespace.as_str()), ("net", "cni"));
}

/// Acceptance scenario 15: given anew, or carried over from a chart that ignored it already, the singular key never
/// lets the chart's own 10.0.0.0/8 take the pool's place.
#[test]
fn scenario_15_the_singular_pool_key_blocks_and_never_becomes_the_default_pool() {
    let key = "ipam.operator.clusterPoolIPv4PodCIDR=10.244.0.0/16";
    for (from, to) in [
        ("1.19.6", "1.20.0"),
        ("1.18.12", "1.19.6"),
        ("1.17.18", "1.18.12"),
    ] {
        let given = Case::cilium(from, to).set(key).draft();
        assert!(given.blocking().contains(&"value-removed"), "{:?}", given.all());
    }
    let mut carried = Case::cilium("1.19.6", "1.20.0").carried(key);
    // The list is there too and says the same: the dead key is told, and the pool stays.
    let draft = carried.draft();
    assert_eq!(draft.slugs(), ["value-ignored"], "{:?}", draft.all());
    assert_eq!(draft.0.pools[0].to_string(), "10.244.0.0/16");
    // Without the list the cluster has the chart's pool, whatever the values say.
    tree::remove(
        &mut carried.from.values,
        "ipam.operator.clusterPoolIPv4PodCIDRList",
    );
    let draft = carried.draft();
    assert!(draft.blocking().contains(&"value-removed"), "{:?}", draft.all());
    let (_, fix) = draft.said("value-removed");
    assert!(
        fix.contains("--set ipam.operator.clusterPoolIPv4PodCIDR=null"),
        "{fix}"
    );
    // And a release that lost its list on the way does not take the running pool away: the cluster is believed.
    let mut lost = Case::cilium("1.19.6", "1.20.0");
    tree::remove(&mut lost.from.values, "ipam.operator.clusterPoolIPv4PodCIDRList");
    let draft = lost.draft();
    let (message, _) = draft.said("pool-element-changed");
    assert!(
        message.contains("10.244.0.0/16 (kube-system/cilium-config)") && message.contains("10.0.0.0/8"),
        "{message}"
    );
}

/// Acceptance scenario 16.
#[test]
fn scenario_16_an_unknown_key_blocks_with_the_nearest_one() {
    let draft = Case::cilium("1.18.12", "1.19.6")
        .set("aksByoCni.enabled=true")
        .draft();
    assert_eq!(draft.blocking(), ["value-unknown"]);
    let (message, _) = draft.said("value-unknown");
    assert!(message.contains("nearest: aksbyocni.enabled"), "{message}");
    // One that the old chart knew and the new one does not blocks too, wherever it came from.
    let mut case = Case::cilium("1.18.12", "1.19.6").carried("someFeature.enabled=true");
    case.from.chart = with(small::cilium("1.18.12"), &[("someFeature.enabled", json!(false))]);
    assert_eq!(case.draft().blocking(), ["value-unknown"]);
    // One that was dead before is told, and stays.
    let dead = Case::cilium("1.18.12", "1.19.6")
        .carried("aksByoCni.enabled=true")
        .draft();
    assert!(dead.blocking().is_empty(), "{:?}", dead.all());
    let (message, _) = dead.said("value-ignored");
    assert!(
        message.contains("1.18.12 has ignored aksByoCni.enabled"),
        "{message}"
    );
    assert_eq!(dead.value("aksByoCni.enabled"), json!(true));
}

#[test]
fn what_was_renamed_is_written_under_its_new_name() {
    let from = with(
        small::cilium("1.19.6"),
        &[(
            "encryption.strictMode",
            json!({"enabled": false, "cidr": "", "egress": {"enabled": false}}),
        )],
    );
    let to = with(
        small::cilium("1.20.0"),
        &[(
            "encryption.strictMode.egress",
            json!({"enabled": false, "cidr": ""}),
        )],
    );
    let strict = "encryption.strictMode.enabled=true,encryption.strictMode.cidr=10.244.0.0/16";
    let case = Case::cilium_of(from, to).first("1.19").carried(strict);
    let draft = case.draft();
    assert!(draft.blocking().is_empty(), "{:?}", draft.all());
    assert_eq!(
        draft.value("encryption"),
        json!({"strictMode": {"egress": {"enabled": true, "cidr": "10.244.0.0/16"}}})
    );
    assert_eq!(
        draft.reason("encryption.strictMode.egress.enabled"),
        "chart: was encryption.strictMode.enabled, renamed in 1.20"
    );
    // Two words on one thing: the user must say which.
    let both = case
        .clone()
        .carried("encryption.strictMode.egress.enabled=false")
        .draft();
    assert!(both.blocking().contains(&"value-removed"), "{:?}", both.all());
    // Given anew, the old key is refused: the file is corrected there.
    let anew = case.set("encryption.strictMode.enabled=true").draft();
    assert!(anew.blocking().contains(&"value-removed"), "{:?}", anew.all());
}

#[test]
fn what_has_become_needless_is_left_out_and_what_would_be_lost_blocks() {
    let from = with(small::cilium("1.18.12"), &[("nodePort.enabled", json!(false))]);
    let case = Case::cilium_of(from, small::cilium("1.19.6")).first("1.18");
    let lost = case.clone().carried("nodePort.enabled=true").draft();
    assert_eq!(lost.blocking(), ["value-removed"], "{:?}", lost.all());
    let off = case.clone().carried("nodePort.enabled=false").draft();
    assert!(off.blocking().is_empty(), "{:?}", off.all());
    assert_eq!(off.value("nodePort"), Value::Null);
    assert!(
        off.reason("nodePort.enabled")
            .contains("gone since 1.19: it was off")
    );
    let replaced = case
        .clone()
        .carried("nodePort.enabled=true,kubeProxyReplacement=true,k8sServiceHost=network-abc.hcp.westeurope.azmk8s.io")
        .draft();
    assert!(replaced.blocking().is_empty(), "{:?}", replaced.all());
    assert!(
        replaced
            .reason("nodePort.enabled")
            .contains("kubeProxyReplacement brings it along")
    );
    // A default that is written out loses nothing with its key.
    let from = with(small::cilium("1.18.12"), &[("customCalls.enabled", json!(false))]);
    let plain = Case::cilium_of(from, small::cilium("1.19.6")).first("1.18");
    let plain = plain.carried("customCalls.enabled=false").draft();
    assert!(plain.blocking().is_empty(), "{:?}", plain.all());
    assert!(
        plain.reason("customCalls").contains("the old chart's default"),
        "{:?}",
        plain.0.reasons
    );
}

#[test]
fn the_minor_that_came_first_is_kept() {
    let key = "upgradeCompatibility";
    let set = Case::cilium("1.18.12", "1.19.6").first("v1.16.4").draft();
    assert_eq!(set.value(key), json!("1.16"));
    assert!(
        set.reason(key)
            .starts_with("cluster: the minor that was installed first"),
        "{}",
        set.reason(key)
    );
    // What the release says already needs no word.
    let carried = Case::cilium("1.18.12", "1.19.6")
        .carried(r"upgradeCompatibility=1.17")
        .draft();
    assert_eq!(
        (carried.value(key), carried.reason(key)),
        (json!("1.17"), String::new())
    );
    // Within a minor, and where this minor came first, there is nothing to keep.
    for case in [
        Case::cilium("1.19.4", "1.19.6").first("1.16"),
        Case::cilium("1.18.12", "1.19.6").first("1.19.0"),
    ] {
        assert_eq!(case.draft().value(key), Value::Null);
    }
    // Never older than charts tell apart.
    assert_eq!(
        Case::cilium("1.18.12", "1.19.6").first("1.6").draft().value(key),
        json!("1.8")
    );
    let mut unknown = Case::cilium("1.18.12", "1.19.6");
    unknown.first = None;
    let draft = unknown.draft();
    let (_, fix) = draft.said("first-version-unknown");
    assert!(fix.contains("--set-string upgradeCompatibility="), "{fix}");
    assert!(draft.blocking().is_empty());
    let said = unknown.clone().set_json(r#"upgradeCompatibility="1.17""#).draft();
    assert!(said.slugs().is_empty(), "{:?}", said.all());
    unknown.chart = small::cilium("1.18.13");
    assert!(unknown.draft().slugs().is_empty());
}

/// Acceptance scenario 17, in an upgrade: the values of a release are judged as those of an install are.
#[test]
fn scenario_17_aksbyocni_with_another_mode_is_refused_in_an_upgrade_too() {
    let draft = Case::cilium("1.18.12", "1.19.6")
        .carried("ipam.mode=kubernetes")
        .draft();
    assert_eq!(draft.blocking(), ["aksbyocni-ipam-mode"], "{:?}", draft.all());
}

/// Acceptance scenario 19.
#[test]
fn scenario_19_ipvs_blocks_the_hop_to_1_19_and_no_other() {
    let ipvs =
        |from, to| Case::cilium(from, to).proxy(&["--proxy-mode=ipvs", "--cluster-cidr=10.244.0.0/16"]);
    let draft = ipvs("1.18.12", "1.19.6").draft();
    assert_eq!(draft.blocking(), ["kube-proxy-ipvs"], "{:?}", draft.all());
    let (message, fix) = draft.said("kube-proxy-ipvs");
    assert!(
        message.contains("https://github.com/cilium/cilium/issues/44464"),
        "{message}"
    );
    assert!(!fix.contains("install"), "{fix}");
    assert!(ipvs("1.17.18", "1.18.12").draft().blocking().is_empty());
    assert!(ipvs("1.19.6", "1.20.0").draft().blocking().is_empty());
    let around = ipvs("1.18.12", "1.19.6").set("extraConfig.enable-k8s-host-firewall-bypass=false");
    assert!(around.draft().blocking().is_empty());
}

/// Acceptance scenario 20, in an upgrade.
#[test]
fn scenario_20_agents_must_find_the_api_server_after_an_upgrade_too() {
    let draft = Case::cilium("1.18.12", "1.19.6")
        .carried("kubeProxyReplacement=true")
        .draft();
    assert_eq!(draft.blocking(), ["api-host-required"], "{:?}", draft.all());
    let (_, fix) = draft.said("api-host-required");
    assert!(
        fix.starts_with("kubectl byocni upgrade --set k8sServiceHost="),
        "{fix}"
    );
}

#[test]
fn a_chart_that_is_not_known_gets_the_releases_values_and_the_users() {
    let mut case = Case::cilium("1.0.0", "2.0.0").set("b=2");
    case.from.values = json!({"a": 1});
    let (capture, asked) = (case.capture(), kubectl_byocni::core::facts::Asked::default());
    let facts = kubectl_byocni::core::facts::Facts::of(&capture, &asked);
    let request = kubectl_byocni::core::plan::Request {
        cni: None,
        ..case.request()
    };
    let draft = kubectl_byocni::core::plan::upgrade::draft(&facts, &case.from, &case.chart, &request, None);
    assert_eq!(draft.values, json!({"a": 1, "b": 2}));
    assert!(draft.reasons.iter().all(|r| r.origin == Origin::User));
}
