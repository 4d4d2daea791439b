//! Cilium on AKS without a CNI: every minor that is known, with both helms.

use crate::story::{KUBE_SYSTEM, NODES, SOON, Story, is_ready, items, named};

/// Installs it, looks at what is there afterwards, and installs it again (acceptance scenario 52: nothing is written then).
fn installed(version: &str, helm: u8) {
    let Some(story) = Story::aks(3, helm) else { return };
    let ran = story.install(&["cilium", "--version", version]);
    ran.expect(0, &["DONE", "the network was seen to work"]);
    story.status().expect("healthy", 0, &[]);
    let nodes = story.plane.get(NODES).expect("nodes");
    assert!(items(&nodes).iter().all(is_ready));
    story.only_the_record_is_left("kube-system/cilium", version);
    assert_eq!(story.helm(&["list", "-n", "kube-system", "-q"]).trim(), "cilium");
    let release = &story.status().json["cni"]["release"];
    assert_eq!(
        (&release["status"], &release["version"]),
        (&"deployed".into(), &version.into())
    );

    let writes = story.writes();
    assert!(
        writes.iter().any(|w| w.starts_with("create ")),
        "the install was written: {writes:?}"
    );
    let again = story.install(&["cilium", "--version", version]);
    again.expect(0, &["NOTHING TO DO"]);
    assert_eq!(
        story.writes()[writes.len()..],
        [] as [String; 0],
        "the second run writes nothing"
    );
}

#[test]
fn scenario_52_cilium_1_16_is_installed_once() {
    installed("1.16.19", 3);
}

#[test]
fn scenario_52_cilium_1_17_is_installed_once() {
    installed("1.17.18", 4);
}

#[test]
fn scenario_52_cilium_1_18_is_installed_once() {
    installed("1.18.12", 3);
}

#[test]
fn scenario_52_cilium_1_19_is_installed_once() {
    installed("1.19.6", 4);
}

#[test]
fn scenario_52_cilium_1_20_is_installed_once() {
    installed("1.20.0", 3);
}

/// Acceptance scenario 52: the same cluster gives the same plan, byte for byte, in every format.
#[test]
fn scenario_52_the_same_plan_twice() {
    let Some(story) = Story::aks(3, 3) else { return };
    // The cluster must be the same too: the scheduler has said its last word about CoreDNS.
    story
        .plane
        .wait_for("all nodes are weighed", SOON, KUBE_SYSTEM, |list| {
            named(list, "coredns-").all(|pod| pod["status"].to_string().contains("0/3 nodes are available"))
        });
    for format in ["json", "table", "yaml"] {
        let charts = story.chart("");
        let plan = || story.run(&["install", "cilium", "--dry-run", "-o", format, "--repo", &charts]);
        let (one, two) = (plan(), plan());
        assert_eq!(one.exit, 0, "{}", one.err);
        let differs = one.out.lines().zip(two.out.lines()).find(|(one, two)| one != two);
        assert_eq!(differs, None, "{format}");
        assert_eq!(one.out.len(), two.out.len(), "{format}");
    }
    assert_eq!(story.writes(), [] as [String; 0]);
}
