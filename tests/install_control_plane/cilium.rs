//! Cilium on AKS without a CNI: every minor that is known, with both helms.

use std::path::Path;

use serde_json::json;

use crate::{
    clusters::{
        Behaviour,
        kubelet::Which,
        registry::{self, Manner},
    },
    story::{KUBE_SYSTEM, NODES, Ran, SOON, Story, is_ready, items, named, node_name},
};

/// Installs it, looks at what is there afterwards, and installs it again (acceptance scenario 52: nothing is written then).
fn installed(version: &str, helm: u8, before: impl FnOnce(&Story)) {
    let Some(story) = Story::aks(3, helm) else { return };
    before(&story);
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

/// No agent's image can be pulled: nothing of it has touched a node, so all of it goes, with what its operator made
/// meanwhile (definitions, a Lease, taints).
fn taken_back_first(story: &Story, version: &str, helm: u8) {
    story.kubelet.set_everywhere(Which::Agent, Behaviour::ImagePull);
    let before = story.inventory();
    let arguments = story.installing(&["cilium", "--version", version, "--timeout", "20s"]);
    let running = story.start_with(helm, &arguments);
    // What has to be taken back was there.
    story
        .plane
        .wait_for("the operator's taints", SOON, NODES, |nodes| {
            nodes.to_string().contains("node.cilium.io/agent-not-ready")
        });
    let meanwhile = story.inventory();
    for made in [
        "customresourcedefinitions",
        "cilium-operator-resource-lock",
        "sh.helm.release.v1.cilium.v1",
    ] {
        assert!(
            meanwhile.iter().any(|one| one.contains(made)),
            "{made} in {meanwhile:#?}"
        );
    }
    Ran::end(running).expect(
        6,
        &[
            "gate-timed-out",
            "cannot be pulled",
            "ROLLED BACK",
            "the cluster is as it was",
        ],
    );
    story.is_as_before(&before, &[]);
    story.status().expect("broken", 3, &["error cni-missing"]);
    story.kubelet.set_everywhere(Which::Agent, Behaviour::Healthy);
}

/// A try that could not succeed is taken back; then it works.
#[test]
fn scenario_52_cilium_1_16_is_installed_once_after_a_failure() {
    installed("1.16.19", 3, |story| taken_back_first(story, "1.16.19", 4));
}

#[test]
fn scenario_52_cilium_1_17_is_installed_once() {
    installed("1.17.18", 4, |_| ());
}

/// On a system pool that takes none but critical pods, which is ordinary.
#[test]
fn scenario_52_cilium_1_18_is_installed_once_on_a_tainted_pool() {
    installed("1.18.12", 3, |story| {
        let critical = json!({"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"});
        for number in 0..3 {
            story.plane.taint(&node_name(number, 3), &critical);
        }
        let charts = story.chart("");
        story
            .run(&[
                "install",
                "cilium",
                "--version",
                "1.18",
                "--dry-run",
                "--repo",
                &charts,
            ])
            .expect(0, &["operator.tolerations"]);
    });
}

#[test]
fn scenario_52_cilium_1_19_is_installed_once() {
    installed("1.19.6", 4, |_| ());
}

/// A try that could not succeed is taken back; then it works.
#[test]
fn scenario_52_cilium_1_20_is_installed_once_after_a_failure() {
    installed("1.20.0", 3, |story| taken_back_first(story, "1.20.0", 3));
}

/// From a company's registry: with a login, a certificate of its own authority, and newer versions beside the one that is
/// asked for.
#[test]
fn scenario_52_cilium_from_a_registry_is_installed_once() {
    let Some(story) = Story::aks(3, 4) else { return };
    let tags = [
        ("cilium", "1.19.6", "cilium-1.19.6.tgz"),
        ("cilium", "1.20.0", "cilium-1.20.0.tgz"),
    ];
    let registry = registry::serve(
        Path::new(&story.chart("")),
        &tags,
        Manner::Login("someone", "let-me-in"),
    );
    let place = |name: &str, text: String| {
        let file = story.plane.dir().join(name);
        std::fs::write(&file, text).expect("a file");
        file
    };
    let authority = place("registry.pem", registry.authority.clone());
    let login = place("registry.json", registry.login("someone", "let-me-in"));
    let chart = registry.chart("cilium");
    let install = || {
        let mut command = story.command(&[
            "install",
            "cilium",
            "--chart",
            &chart,
            "--version",
            "1.19",
            "--yes",
        ]);
        command
            .env("SSL_CERT_FILE", &authority)
            .env("HELM_REGISTRY_CONFIG", &login);
        Ran::of(command.output().expect("the plugin starts"))
    };
    install().expect(0, &["1.19.6", "DONE", "the network was seen to work"]);
    assert_eq!(registry.pulls(), 1, "what was planned is what was installed");
    story.status().expect("healthy", 0, &[]);
    story.only_the_record_is_left("kube-system/cilium", "1.19.6");

    let writes = story.writes().len();
    install().expect(0, &["NOTHING TO DO"]);
    assert_eq!(story.writes().len(), writes, "the second run writes nothing");
}

/// Acceptance scenario 52: the same cluster gives the same plan, byte for byte, in every format.
pub fn the_same_plan_twice(story: &Story) {
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
