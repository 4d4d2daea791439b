//! What is refused before anything is written, and what needs nothing: each is counted in the API server's audit log.

use std::io::Write as _;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::{
    running::{AGENTS, VALUES, all_run, cilium, merge},
    story::{NODES, SOON, Story, is_ready, items, node_name},
};

const PROXY: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy";
const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/engine";

/// Refused, in these words, with nothing written.
fn refused(story: &Story, arguments: &[&str], words: &[&str]) {
    let before = story.writes();
    story.upgrade(arguments).expect(4, words);
    assert_eq!(story.writes()[before.len()..], [] as [String; 0], "{arguments:?}");
}

/// A plan that may be carried out, with these words in it.
fn allowed(story: &Story, arguments: &[&str], words: &[&str]) {
    let charts = story.chart("");
    let arguments = [&["upgrade"], arguments, &["--dry-run", "--repo", &charts]].concat();
    story.run(&arguments).expect(0, words);
}

/// A Cilium of 1.17 that is well, and one thing wrong with the cluster or with what is asked for at a time.
#[test]
fn scenarios_13_14_15_16_18_19_22_50_on_a_cluster_that_is_well() {
    let Some(story) = cilium(3, "1.17.17", 3) else {
        return;
    };

    // Scenario 13: a minor is skipped.
    refused(
        &story,
        &["--version", "1.19.6"],
        &["upgrade-skips-minor", "kubectl byocni upgrade --to 1.19"],
    );
    // Scenario 14: the newest patch first.
    let charts = story.chart("");
    let plan = ["upgrade", "--version", "1.18.12", "--dry-run", "--repo", &charts];
    story.run(&plan).expect(0, &["patch-first", "1.17.18"]);
    allowed(&story, &["--to", "1.18"], &["1.17.18", "1.18.12"]);
    // What is behind, unknown, or no version at all.
    refused(&story, &["--version", "1.16.19"], &["upgrade-goes-back"]);
    refused(&story, &["--version", "1.15.0"], &["downgrade-skips-minor"]);
    refused(&story, &["--to", "1.42"], &["cni-version-out-of-range", "1.42"]);
    refused(&story, &["--version", "1.17.99"], &["1.17.99", "not offered"]);
    refused(&story, &["--to", "latest"], &["latest"]);
    refused(&story, &["--version", "1.18.0-pre.1"], &["pre-release"]);

    // Scenarios 15 and 16: keys that the chart does not have.
    let pool = "ipam.operator.clusterPoolIPv4PodCIDR=10.244.0.0/16";
    refused(
        &story,
        &["--to", "1.17", "--set", pool],
        &["clusterPoolIPv4PodCIDRList"],
    );
    refused(
        &story,
        &["--to", "1.17", "--set", "aksByoCni.enabled=true"],
        &["value-unknown", "aksbyocni.enabled"],
    );

    // Scenario 18: the operator of 1.17 bears every taint, that of 1.18 five.
    let critical = json!({"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"});
    for number in 0..3 {
        story.plane.taint(&node_name(number, 3), &critical);
    }
    refused(
        &story,
        &["--to", "1.18"],
        &["operator-unschedulable", "CriticalAddonsOnly=true"],
    );
    allowed(&story, &["--to", "1.17"], &[]);
    for number in 0..3 {
        let node = format!("{NODES}/{}", node_name(number, 3));
        merge(&story, &node, &json!({"spec": {"taints": null}}));
    }
    allowed(&story, &["--to", "1.18"], &[]);

    // Scenario 19: kube-proxy in IPVS mode is nothing to 1.18, and hangs the agents of 1.19.
    let proxy = story.plane.get(PROXY).expect("kube-proxy");
    let mut containers = proxy["spec"]["template"]["spec"]["containers"].clone();
    let command = containers[0]["command"].as_array_mut().expect("a command");
    command.push("--proxy-mode=ipvs".into());
    let patch = |containers: &Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    merge(&story, PROXY, &patch(&containers));
    refused(&story, &["--to", "1.19"], &["kube-proxy-ipvs", "1.19"]);
    allowed(&story, &["--to", "1.18"], &[]);
    merge(
        &story,
        PROXY,
        &patch(&proxy["spec"]["template"]["spec"]["containers"]),
    );

    // Scenario 22: a webhook that nobody answers for.
    story.plane.apply(WEBHOOK);
    refused(&story, &["--to", "1.18"], &["webhook-blocks-change", "engine"]);
    story.plane.delete(WEBHOOKS);

    // Scenario 50: what Flux owns, Flux would change back.
    let flux = |name: Value| {
        json!({"metadata": {"labels": {"helm.toolkit.fluxcd.io/name": name,
            "helm.toolkit.fluxcd.io/namespace": name}}})
    };
    merge(&story, AGENTS, &flux("cilium".into()));
    refused(&story, &["--to", "1.18"], &["foreign-reconciler", "Flux"]);
    let before = story.writes();
    // Where it stands already nothing is done, whoever owns it.
    story
        .rollback(&["1"])
        .expect(0, &["NOTHING TO DO", "foreign-reconciler"]);
    assert_eq!(story.writes()[before.len()..], [] as [String; 0]);
    merge(&story, AGENTS, &flux(Value::Null));

    // Nobody can be asked.
    story
        .run(&["upgrade", "--to", "1.18", "--repo", &charts])
        .expect(4, &["--yes", "nothing was changed"]);
    // There is nothing to go back to.
    story.rollback(&[]).expect(4, &["nothing to go back to"]);
    story.rollback(&["9"]).expect(4, &["there is no revision 9"]);

    // Scenario 52: what is there already.
    let before = story.writes();
    let same: [&[&str]; 3] = [
        &["--version", "1.17.17"],
        &["--to", "1.17.17"],
        &["--version", "1.17.17", "--set", "aksbyocni.enabled=true"],
    ];
    for arguments in same {
        story.upgrade(arguments).expect(0, &["NOTHING TO DO"]);
    }
    story
        .run(&["upgrade", "--set", "aksbyocni.enabled=true", "--yes"])
        .expect(0, &["NOTHING TO DO"]);
    assert_eq!(story.writes()[before.len()..], [] as [String; 0]);
    // The same plan twice, byte for byte.
    let plan = || {
        story
            .run(&[
                "upgrade",
                "--to",
                "1.18",
                "--dry-run",
                "-o",
                "json",
                "--repo",
                &charts,
            ])
            .out
    };
    assert_eq!(plan(), plan());
    all_run(&story, 3, "1.17.17");
    // In all of this nothing was written at all.
    assert_eq!(story.writes(), [] as [String; 0]);
}

/// A cluster without a CNI, and one with a CNI that helm knows nothing of.
#[test]
fn without_a_release_there_is_nothing_to_upgrade() {
    let Some(story) = Story::kubeadm(2, 4) else { return };
    let told = |words: &[&str]| {
        story.upgrade(&["--to", "1.20"]).expect(4, words);
        story.rollback(&[]).expect(4, words);
        let history = story.run(&["history"]);
        assert_eq!(history.exit, 1, "{}\n{}", history.out, history.err);
        assert!(history.said().contains(words[0]), "{}", history.said());
        assert_eq!(story.writes(), [] as [String; 0]);
    };
    told(&["there is no CNI here", "kubectl byocni install"]);
    story.plane.apply(
        &json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "kube-flannel-ds", "namespace": "kube-system", "labels": {"app": "flannel"}},
            "spec": {"selector": {"matchLabels": {"app": "flannel"}}, "template": {
                "metadata": {"labels": {"app": "flannel"}},
                "spec": {"hostNetwork": true, "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": "kube-flannel", "image": "ghcr.io/flannel-io/flannel:v0.28.3"}]}}}})
        .to_string(),
    );
    story.plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).len() == 2 && items(list).iter().all(is_ready)
    });
    told(&["Flannel runs here without a Helm release", "--take-ownership"]);
}

/// Helm's newest record is damaged, or far larger than it looks, or gone: that is said, nothing is written, and there is a
/// way on.
#[test]
fn a_record_that_is_damaged_huge_or_gone() {
    let Some(story) = cilium(2, "1.19.6", 3) else {
        return;
    };
    let record = "/api/v1/namespaces/kube-system/secrets/sh.helm.release.v1.cilium.v1";
    let told = |words: &[&str]| {
        story.upgrade(&["--to", "1.20"]).expect(4, words);
        story.rollback(&[]).expect(4, words);
        let history = story.run(&["history"]);
        assert_eq!(history.exit, 1, "{}", history.said());
        assert!(history.said().contains(words[0]), "{}", history.said());
        assert_eq!(story.writes(), [] as [String; 0]);
    };
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut zeros = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    zeros.write_all(&vec![b' '; 64 << 20]).expect("packed");
    let huge = base64(&zeros.finish().expect("packed"));
    for content in ["garbage", huge.as_str()] {
        let damage = json!({"data": {"release": base64(content.as_bytes())}});
        merge(&story, record, &damage);
        told(&[
            "record of revision 1 of kube-system/cilium is damaged",
            "kubectl delete secret",
        ]);
    }
    story.plane.delete(record);
    told(&["helm has no record of it any more", "--take-ownership"]);
    let charts = story.chart("");
    let adopts = [
        "install",
        "cilium",
        "--take-ownership",
        "--dry-run",
        "--version",
        "1.19.6",
    ];
    story
        .run(&[&adopts[..], &VALUES, &["--repo", &charts]].concat())
        .expect(
            0,
            &[
                "READY",
                "helm has no record any more of the release kube-system/cilium",
            ],
        );
}

/// A policy engine that is asked about every DaemonSet and is not there, out of reach of AKS' admissions enforcer.
const WEBHOOK: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: policy}
---
apiVersion: v1
kind: Service
metadata: {name: engine, namespace: policy}
spec: {ports: [{port: 443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: engine, labels: {admissions.enforcer/disabled: 'true'}}
webhooks:
- name: validate.engine.example
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 1
  failurePolicy: Fail
  clientConfig: {service: {namespace: policy, name: engine}}
  rules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [daemonsets]}]
";
