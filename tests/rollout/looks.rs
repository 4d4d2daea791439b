//! What a rollout sees of a real capture.

use kubectl_byocni::core::{
    capture::{Capture, Pod, file},
    cni,
    facts::{Asked, Facts},
    rollout::{Candidate, Seen, Settings, Stale, schedule},
};
use serde_json::{Value, json};

#[path = "../scenarios/harness.rs"]
#[expect(dead_code, reason = "the scenarios' own test uses the rest")]
mod harness;

fn patched(patches: &[(&str, &str, Value)]) -> Capture {
    let mut objects = harness::base("cilium-healthy");
    for (kind, name, patch) in patches {
        let mut touched = false;
        for object in &mut objects {
            let own = object
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if object.get("kind").and_then(Value::as_str) == Some(kind) && own.starts_with(name) {
                harness::merge(object, patch);
                touched = true;
            }
        }
        assert!(touched, "{kind}/{name} is not there");
    }
    // The base is without identities: each pod gets one.
    for (n, object) in objects.iter_mut().enumerate() {
        harness::merge(object, &json!({"metadata": {"uid": format!("uid-{n}")}}));
    }
    file::from_documents(objects, &cni::resources()).expect("a capture")
}

fn sets() -> Vec<(String, String)> {
    ["cilium", "cilium-envoy"]
        .map(|name| ("kube-system".to_string(), name.to_string()))
        .to_vec()
}

fn seen(capture: &Capture, more: &[Pod], older_than: Option<&str>) -> Seen {
    let asked = Asked::default();
    let facts = Facts::of(capture, &asked);
    let older_than = older_than.map(|t| t.parse().expect("a time"));
    let stale = older_than.map(|before| Stale { from: None, before });
    Seen::of(&facts, &sets(), more, stale)
}

#[test]
fn a_healthy_cluster_has_nothing_to_replace() {
    let seen = seen(&patched(&[]), &[], None);
    assert_eq!(seen.unread, Vec::<String>::new());
    assert_eq!(seen.unsettled, vec![]);
    assert_eq!(seen.nodes.len(), 3);
    for node in &seen.nodes {
        assert!(node.good(), "{node:?}");
        assert_eq!(node.pods.len(), 2, "{node:?}");
        assert!(node.to_replace().is_empty());
    }
    assert!(
        seen.operators
            .iter()
            .all(|o| o.lacks.is_none() && o.old.is_empty())
    );
    assert_eq!(seen.operators.len(), 1);
}

#[test]
fn a_new_template_outdates_every_pod() {
    let newer = json!({"metadata": {"annotations": {"deprecated.daemonset.template.generation": "2"}},
        "status": {"updatedNumberScheduled": 0}});
    let seen = seen(&patched(&[("DaemonSet", "cilium", newer)]), &[], None);
    for node in &seen.nodes {
        assert_eq!(node.to_replace().len(), 2, "{node:?}");
    }
}

/// Scenario 46: nothing of a template changes, and pods that started before count all the same, the operator's too.
#[test]
fn scenario_46_pods_that_started_before_are_outdated() {
    let capture = patched(&[]);
    let later = capture.taken_at.to_string();
    let restarted = seen(&capture, &[], Some(&later));
    assert!(restarted.nodes.iter().all(|n| n.to_replace().len() == 2));
    assert!(
        restarted.operators.iter().all(|o| !o.old.is_empty()),
        "{:?}",
        restarted.operators
    );
    let untouched = seen(&capture, &[], Some("2020-01-01T00:00:00Z"));
    assert!(untouched.nodes.iter().all(|n| n.to_replace().is_empty()));
}

/// Scenario 50: an event of AKS's repairer stops the rollout until the one that ends the repair.
#[test]
fn scenario_50_a_repair_is_seen_until_it_ends() {
    let capture = patched(&[]);
    let asked = Asked::default();
    let node = Facts::of(&capture, &asked).nodes[0].name.to_string();
    let event = |reason: &str, minutes: i64| {
        let time = capture.taken_at - jiff::SignedDuration::from_mins(minutes);
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("e{minutes}"), "namespace": "default"},
            "reason": reason, "involvedObject": {"kind": "Node", "name": node},
            "source": {"component": "aks-auto-repair"}, "lastTimestamp": time.to_string()})
    };
    let with = |events: Vec<Value>| {
        let mut capture = patched(&[]);
        for event in events {
            capture
                .events
                .push(serde_json::from_value(event).expect("an event"));
        }
        seen(&capture, &[], None).pause
    };
    assert_eq!(with(vec![]), None);
    let running = with(vec![event("NodeReimageStart", 5)]);
    assert_eq!(
        running,
        Some(format!("AKS repairs node {node} (NodeReimageStart)"))
    );
    assert_eq!(
        with(vec![event("NodeReimageStart", 5), event("NodeReimageEnd", 2)]),
        None
    );
    assert_eq!(
        with(vec![event("NodeReimageStart", 40)]),
        None,
        "an old event says nothing"
    );
}

/// Scenario 50: so does an upgrade of nodes by AKS, told by its mark on a node or by an event of its upgrader, and nothing of
/// the kind on a platform that is not AKS.
#[test]
fn scenario_50_an_upgrade_of_the_platform_is_seen() {
    let mark = "kubernetes.azure.com/azure-cluster-autoscaler-scale-down-disabled-reason";
    let marked = |reason: &str| {
        let annotations = json!({"metadata": {"annotations": {mark: reason}}});
        patched(&[("Node", "aks-user-27182818-vmss000000", annotations)])
    };
    let pause = |capture: &Capture| seen(capture, &[], None).pause;
    assert_eq!(
        pause(&marked("upgrade")).as_deref(),
        Some("AKS upgrades aks-user-27182818-vmss000000")
    );
    assert_eq!(pause(&marked("another")), None);

    let evented = |mut capture: Capture, by: &str, minutes: i64| {
        let time = capture.taken_at - jiff::SignedDuration::from_mins(minutes);
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
            "reason": "Drain", "involvedObject": {"kind": "Node", "name": "aks-user-27182818-vmss000000"},
            "source": {"component": by}, "lastTimestamp": time.to_string()});
        capture
            .events
            .push(serde_json::from_value(event).expect("an event"));
        pause(&capture)
    };
    assert_eq!(
        evented(patched(&[]), "upgrader", 5).as_deref(),
        Some("AKS upgrades nodes (event Drain on aks-user-27182818-vmss000000)")
    );
    assert_eq!(
        evented(patched(&[]), "upgrader", 40),
        None,
        "an old event says nothing"
    );
    assert_eq!(evented(patched(&[]), "kubelet", 5), None);
    // Elsewhere these words are anybody's.
    let mut elsewhere = marked("upgrade");
    for node in &mut elsewhere.nodes {
        node.meta.labels.clear();
        node.spec.provider_id = Default::default();
    }
    assert_eq!(pause(&elsewhere), None);
}

#[test]
fn companions_whose_pods_were_not_read_are_unread() {
    let mut capture = patched(&[]);
    let (envoys, others): (Vec<Pod>, Vec<Pod>) = capture
        .pods
        .drain(..)
        .partition(|p| p.meta.name.starts_with("cilium-envoy"));
    assert!(!envoys.is_empty());
    capture.pods = others;
    let blind = seen(&capture, &[], None);
    assert_eq!(blind.unread, ["the pods of daemonset/cilium-envoy"]);
    // The driver reads them beside the capture.
    let whole = seen(&capture, &envoys, None);
    assert_eq!(whole.unread, Vec::<String>::new());
    assert!(whole.nodes.iter().all(|n| n.good()));
}

#[test]
fn a_set_that_is_not_observed_is_waited_for() {
    let newer = json!({"metadata": {"generation": 7}, "status": {"observedGeneration": 6}});
    let seen = seen(&patched(&[("DaemonSet", "cilium-envoy", newer)]), &[], None);
    let told: Vec<String> = seen
        .unsettled
        .iter()
        .map(|(s, why)| format!("{s}: {why}"))
        .collect();
    assert_eq!(
        told,
        ["daemonset/cilium-envoy: its controller has not seen the newest template yet"]
    );
}

#[test]
fn the_schedule_of_a_capture() {
    let capture = patched(&[]);
    let asked = Asked::default();
    let facts = Facts::of(&capture, &asked);
    let broken = vec![facts.nodes[0].name.to_string()];
    let nodes = Candidate::all(&facts, &broken);
    let made = schedule(
        &nodes,
        &Settings::new(nodes.len(), std::time::Duration::from_secs(600)),
    );
    assert_eq!(made.left_out.len(), 1);
    assert_eq!(made.canaries.len(), 2, "one a pool: {:?}", made.canaries);
    assert!(!made.canaries.contains(&broken[0]));
}
