//! The way from one version to another.

use std::sync::LazyLock;

use kubectl_byocni::core::{
    capture::Capture,
    chart::Offered,
    cni::{Cni, calico::CALICO, cilium::CILIUM, flannel::FLANNEL},
    facts::{Asked, Facts},
    finding::Finding,
    plan::{
        upgrade::{Goal, Hop, hops, patch_first},
        version::parse,
    },
};
use proptest::prelude::*;
use serde_json::json;

use crate::{Case, archives::charts};

fn offers(versions: &[&str]) -> Vec<Offered> {
    let of = |version: &&str| Offered {
        version: version.to_string(),
        app_version: version.to_string(),
        kube_version: Some(">= 1.21.0-0".into()),
        digest: None,
    };
    versions.iter().map(of).collect()
}

/// What Cilium's repository has, cut down.
const CILIUM_OFFERS: &[&str] = &[
    "1.15.19",
    "1.16.18",
    "1.16.19",
    "1.17.17",
    "1.17.18",
    "1.18.3",
    "1.18.11",
    "1.18.12",
    "1.19.4",
    "1.19.6",
    "1.20.0",
    "1.21.0-pre.0",
    "1.21.1",
];

fn way(
    case: &Case,
    cni: Option<&'static Cni>,
    offered: &[&str],
    from: &str,
    goal: &Goal,
) -> Result<Vec<Hop>, Finding> {
    let (capture, asked) = (case.capture(), Asked::default());
    hops(&offers(offered), cni, from, goal, &Facts::of(&capture, &asked))
}

fn any() -> Case {
    Case::cilium("1.18.3", "1.19.6")
}

/// The versions that are gone to.
fn cilium(from: &str, goal: Goal) -> Result<Vec<String>, Finding> {
    let hops = way(&any(), Some(&CILIUM), CILIUM_OFFERS, from, &goal)?;
    Ok(hops.into_iter().map(|h| h.to).collect())
}

fn to(wanted: &str) -> Goal {
    Goal::To(wanted.into())
}

fn exactly(wanted: &str) -> Goal {
    Goal::Exactly(wanted.into())
}

fn refused(from: &str, goal: Goal) -> (&'static str, String, String) {
    let finding = cilium(from, goal).expect_err("a refusal");
    (finding.code.slug, finding.message, finding.fix)
}

#[test]
fn without_a_goal_the_newest_patch_of_the_minor_is_gone_to() {
    assert_eq!(cilium("1.18.3", Goal::NewestPatch), Ok(vec!["1.18.12".into()]));
    assert_eq!(cilium("1.18.12", Goal::NewestPatch), Ok(vec![]));
    // A patch that a mirror does not have yet.
    assert_eq!(cilium("1.18.13", Goal::NewestPatch), Ok(vec![]));
    // Out of a pre-release too.
    assert_eq!(
        cilium("1.20.0-rc.1", Goal::NewestPatch),
        Ok(vec!["1.20.0".into()])
    );
}

#[test]
fn every_minor_on_the_way_is_walked() {
    let all = ["1.16.19", "1.17.18", "1.18.12", "1.19.6", "1.20.0"];
    for goal in ["1.20", "1.20.0", "v1.20.0", " 1.20 "] {
        assert_eq!(
            cilium("1.16.18", to(goal)),
            Ok(all.map(String::from).to_vec()),
            "{goal}"
        );
    }
    assert_eq!(cilium("1.18.12", to("1.19.4")), Ok(vec!["1.19.4".into()]));
    assert_eq!(cilium("1.18.3", to("1.18.11")), Ok(vec!["1.18.11".into()]));
    assert_eq!(cilium("1.20.0", to("1.20")), Ok(vec![]));
    assert_eq!(cilium("1.20.0", to("v1.20.0")), Ok(vec![]));
    let hops = way(&any(), Some(&CILIUM), CILIUM_OFFERS, "1.17.17", &to("1.19")).expect("a way");
    let told: Vec<String> = hops
        .iter()
        .map(|h| format!("{}-{}: {}", h.from, h.to, h.why))
        .collect();
    assert_eq!(
        told,
        [
            "1.17.17-1.17.18: the newest patch of 1.17, before another minor",
            "1.17.18-1.18.12: the newest patch of 1.18, on the way to 1.19",
            "1.18.12-1.19.6: the newest patch of 1.19, asked for with --to",
        ]
    );
}

/// Acceptance scenario 13.
#[test]
fn scenario_13_one_hop_over_a_minor_is_refused_with_the_path() {
    let (slug, message, fix) = refused("1.17.17", exactly("1.19.6"));
    assert_eq!(slug, "upgrade-skips-minor");
    assert!(
        message.ends_with("the path is 1.17.18, then 1.18.12, then 1.19.6"),
        "{message}"
    );
    assert_eq!(fix, "kubectl byocni upgrade --to 1.19.6");
    // The way is told also where the source cannot go it.
    let only = ["1.17.17", "1.20.0"];
    let finding = way(&any(), Some(&CILIUM), &only, "1.17.17", &exactly("1.20.0")).expect_err("skipped");
    assert_eq!(finding.code.slug, "upgrade-skips-minor");
    assert!(
        finding.message.ends_with("1.18, then 1.19, then 1.20"),
        "{}",
        finding.message
    );
    // One minor is one hop, without the patch.
    assert_eq!(cilium("1.18.3", exactly("1.19.4")), Ok(vec!["1.19.4".into()]));
    assert_eq!(cilium("1.18.3", exactly("1.19")), Ok(vec!["1.19.6".into()]));
    assert_eq!(cilium("1.18.3", exactly("1.18.3")), Ok(vec![]));
}

/// Acceptance scenario 14: the plan of one hop warns.
#[test]
fn scenario_14_the_newest_patch_comes_first() {
    let mut case = Case::cilium("1.18.3", "1.19.6");
    case.offered = offers(CILIUM_OFFERS);
    let plan = case.plan();
    let finding = plan.findings.iter().find(|f| f.code.slug == "patch-first");
    let finding = finding.expect("a warning");
    assert!(
        finding.message.contains("take 1.18.12 before 1.19.6"),
        "{}",
        finding.message
    );
    assert!(!plan.blocked(), "{:?}", plan.blocked_by);
    let capture = case.capture();
    let asked = Asked::default();
    let facts = Facts::of(&capture, &asked);
    let none = |from, to| patch_first(&case.offered, Some(&CILIUM), from, to, &facts).is_none();
    assert!(none("1.18.12", "1.19.6") && none("1.18.3", "1.18.12") && none("1.18.13", "1.19.6"));
}

#[test]
fn an_upgrade_does_not_go_back() {
    for goal in [exactly("1.18.12"), to("1.18.12"), to("1.18"), exactly("1.19.4")] {
        let (slug, message, fix) = refused("1.19.6", goal);
        assert_eq!(slug, "upgrade-goes-back", "{message}");
        assert!(fix.contains("rollback"), "{fix}");
    }
    for goal in [exactly("1.17.18"), to("1.16")] {
        assert_eq!(refused("1.19.6", goal).0, "downgrade-skips-minor");
    }
}

#[test]
fn what_is_not_offered_or_not_stable_is_refused() {
    for (goal, slug, says) in [
        (exactly("1.19.99"), "version-unknown", "the nearest is 1.19.6"),
        (to("1.20.7"), "version-unknown", "the nearest is 1.20.0"),
        (to("latest"), "version-unknown", "is not offered"),
        (to(""), "version-unknown", "is not offered"),
        (exactly("1.21.0-pre.0"), "version-unsuitable", "is a pre-release"),
        (exactly("1.19.6-rc.1"), "version-unsuitable", "is a pre-release"),
    ] {
        let (found, message, _) = refused("1.18.12", goal);
        assert_eq!(found, slug, "{message}");
        assert!(message.contains(says), "{message}");
    }
    let gap = ["1.17.18", "1.19.6"];
    let finding = way(&any(), Some(&CILIUM), &gap, "1.17.18", &to("1.19")).expect_err("a gap");
    assert_eq!(finding.code.slug, "version-unknown");
    assert!(
        finding
            .message
            .contains("no stable Cilium 1.18, which lies on the way from 1.17.18 to 1.19.6"),
        "{}",
        finding.message
    );
    let finding = way(&any(), Some(&CILIUM), &[], "1.17.18", &to("1.19")).expect_err("nothing");
    assert!(
        finding.message.contains("no stable version"),
        "{}",
        finding.message
    );
    let finding = way(&any(), Some(&CILIUM), CILIUM_OFFERS, "main", &to("1.19")).expect_err("no version");
    assert_eq!(finding.code.slug, "version-unknown");
}

#[test]
fn only_versions_that_are_known_are_gone_to() {
    let out = "cni-version-out-of-range";
    assert_eq!(refused("1.20.0", to("1.21")).0, out);
    assert_eq!(refused("1.20.0", exactly("1.21.1")).0, out);
    assert_eq!(refused("1.21.1", Goal::NewestPatch).0, out);
    // From one that is older, to the nearest that is known, and no patch of its own.
    assert_eq!(cilium("1.15.3", to("1.16")), Ok(vec!["1.16.19".into()]));
    assert_eq!(cilium("1.15.3", exactly("1.16.18")), Ok(vec!["1.16.18".into()]));
    let (slug, _, fix) = refused("1.15.3", Goal::NewestPatch);
    assert_eq!((slug, fix.as_str()), (out, "kubectl byocni upgrade --to 1.16"));
    assert_eq!(refused("1.15.3", to("1.18")).0, out);
    let (slug, _, fix) = refused("1.13.3", to("1.16"));
    assert_eq!(slug, out);
    assert!(fix.contains("with helm"), "{fix}");
}

/// A version whose chart asks for another Kubernetes, or that an old kernel forbids, is not gone to.
#[test]
fn every_hop_suits_the_cluster() {
    let case = any().every(
        "Node",
        "aks-user",
        json!({"status": {"nodeInfo": {"kernelVersion": "5.4.0-1111-azure"}}}),
    );
    let finding =
        way(&case, Some(&CILIUM), CILIUM_OFFERS, "1.17.17", &to("1.18")).expect_err("an old kernel");
    assert_eq!(finding.code.slug, "version-unsuitable");
    assert!(
        finding.message.contains("needs a kernel of 5.10"),
        "{}",
        finding.message
    );
    let patch = way(&case, Some(&CILIUM), CILIUM_OFFERS, "1.17.17", &Goal::NewestPatch).expect("a patch");
    assert_eq!(patch.len(), 1);
    let mut offered = offers(CILIUM_OFFERS);
    for one in offered.iter_mut().filter(|o| o.version == "1.19.6") {
        one.kube_version = Some(">= 1.99.0-0".into());
    }
    let (capture, asked) = (any().capture(), Asked::default());
    let facts = Facts::of(&capture, &asked);
    let other = hops(&offered, Some(&CILIUM), "1.18.12", &to("1.19"), &facts).expect("another patch");
    assert_eq!(other[0].to, "1.19.4");
}

#[test]
fn others_go_by_the_same_data() {
    let calico = ["v3.30.7", "v3.31.3", "v3.31.5", "v3.32.1"];
    let go = |cni, offered: &[&str], from: &str, goal: Goal| {
        let hops = way(&any(), cni, offered, from, &goal);
        hops.map(|h| h.into_iter().map(|h| h.to).collect::<Vec<_>>())
            .map_err(|f| f.code.slug)
    };
    assert_eq!(
        go(Some(&CALICO), &calico, "v3.31.3", to("3.32")),
        Ok(vec!["v3.31.5".into(), "v3.32.1".into()])
    );
    assert_eq!(
        go(Some(&CALICO), &calico, "v3.30.7", to("v3.31")),
        Ok(vec!["v3.31.5".into()])
    );
    assert_eq!(
        go(Some(&CALICO), &calico, "v3.30.7", to("3.32")),
        Err("cni-version-out-of-range")
    );
    let flannel = ["v0.27.4", "v0.28.3", "v0.28.4"];
    assert_eq!(
        go(Some(&FLANNEL), &flannel, "v0.28.3", Goal::NewestPatch),
        Ok(vec!["v0.28.4".into()])
    );
    assert_eq!(
        go(Some(&FLANNEL), &flannel, "v0.27.4", to("0.28")),
        Ok(vec!["v0.28.4".into()])
    );
    // A chart of the user's has no minors to walk.
    let own = ["1.0.0", "1.0.5", "4.2.0"];
    assert_eq!(go(None, &own, "1.0.0", to("4.2.0")), Ok(vec!["4.2.0".into()]));
    assert_eq!(
        go(None, &own, "1.0.0", exactly("4.2.0")),
        Ok(vec!["4.2.0".into()])
    );
    assert_eq!(
        go(None, &own, "1.0.0", Goal::NewestPatch),
        Ok(vec!["1.0.5".into()])
    );
    assert_eq!(
        go(None, &own, "4.2.0", exactly("1.0.5")),
        Err("upgrade-goes-back")
    );
}

/// The real charts: 1.16.19 → 1.17.18 → 1.18.12 → 1.19.6 → 1.20.0 in one command.
#[test]
fn the_real_charts_have_a_way_from_the_oldest_to_the_newest() {
    let real = charts();
    let versions: Vec<&str> = real
        .iter()
        .filter(|c| c.name == "cilium")
        .map(|c| c.version.as_str())
        .collect();
    if versions.is_empty() {
        return;
    }
    let hops = way(&any(), Some(&CILIUM), &versions, "1.16.19", &to("1.20")).expect("a way");
    let to: Vec<&str> = hops.iter().map(|h| h.to.as_str()).collect();
    assert_eq!(to, ["1.17.18", "1.18.12", "1.19.6", "1.20.0"]);
}

fn version() -> impl Strategy<Value = String> {
    (15_u64..22, 0_u64..8, 0_u8..8).prop_map(|(minor, patch, pre)| {
        let pre = if pre == 0 { "-rc.1" } else { "" };
        format!("1.{minor}.{patch}{pre}")
    })
}

/// Read once: hundreds of ways are asked for.
static CLUSTER: LazyLock<Capture> = LazyLock::new(|| any().capture());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is offered: no hop skips a minor, none goes back, each begins where the last one ended, all are
    /// offered and stable, and the last one is the goal.
    #[test]
    fn hops_never_skip_a_minor_never_go_back_and_end_at_the_goal(
        offered in prop::collection::vec(version(), 0..40),
        current in version(),
        wanted in version(),
        how in 0_u8..4,
    ) {
        let minor: Vec<&str> = wanted.split('.').take(2).collect();
        let minor = minor.join(".");
        let goal = match how {
            0 => Goal::NewestPatch,
            1 => Goal::To(wanted.clone()),
            2 => Goal::To(minor.clone()),
            _ => Goal::Exactly(wanted.clone()),
        };
        let names: Vec<&str> = offered.iter().map(String::as_str).collect();
        let asked = Asked::default();
        let facts = Facts::of(&CLUSTER, &asked);
        if let Ok(hops) = hops(&offers(&names), Some(&CILIUM), &current, &goal, &facts) {
            let mut at = current.clone();
            for hop in &hops {
                prop_assert_eq!(&hop.from, &at);
                let (from, to) = (parse(&hop.from).expect("a version"), parse(&hop.to).expect("a version"));
                prop_assert!(to > from, "{:?}", hop);
                prop_assert!(to.minor - from.minor <= 1, "{:?}", hop);
                prop_assert!(to.pre.is_empty() && names.contains(&hop.to.as_str()), "{:?}", hop);
                at.clone_from(&hop.to);
            }
            match goal {
                Goal::To(exact) | Goal::Exactly(exact) if exact == wanted => prop_assert_eq!(at, wanted),
                Goal::To(minor) => prop_assert!(hops.is_empty() || at.starts_with(&format!("{minor}.")), "{}", at),
                _ => prop_assert!(hops.len() <= 1),
            }
        }
    }
}
