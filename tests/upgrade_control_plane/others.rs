//! Calico and Flannel by their own controllers, behind the same gates; and what is known by no name.

use serde_json::{Value, json};

use crate::{
    clusters::{Behaviour, Which, files::serve},
    running::revisions,
    story::{Story, named},
};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The images of these pods.
fn images(story: &Story, namespace: &str, beginning: &str) -> Vec<String> {
    let pods = story.plane.get(&format!("/api/v1/namespaces/{namespace}/pods"));
    let pods = pods.expect("pods");
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().map(str::to_owned);
    named(&pods, beginning).filter_map(image).collect()
}

fn all_are(story: &Story, namespace: &str, beginning: &str, count: usize, tag: &str) {
    let images = images(story, namespace, beginning);
    assert_eq!(images.len(), count, "{images:?}");
    assert!(images.iter().all(|image| image.contains(tag)), "{images:?}");
}

/// Acceptance scenario 47 at an upgrade: Calico's definitions come from a chart of their own. They are applied server-side
/// before helm's first write; going back leaves them in place, which is said.
#[test]
fn scenario_47_calico_gets_its_definitions_first_and_keeps_them() {
    let Some(story) = Story::aks(2, 3) else { return };
    story
        .install(&["calico", "--version", "v3.31.3"])
        .expect(0, &["DONE"]);
    all_are(&story, "calico-system", "calico-node-", 2, ":v3.31.3");
    let before = story.writes().len();
    story
        .upgrade(&["--to", "3.32", "--settle", "3s"])
        .expect(0, &["DONE", "3.32.1"]);
    all_are(&story, "calico-system", "calico-node-", 2, ":v3.32.1");
    let writes = story.writes().split_off(before);
    let applied = writes
        .iter()
        .rposition(|w| w.starts_with("patch") && w.contains(DEFINITIONS));
    let helms = writes
        .iter()
        .position(|w| w.starts_with("create") && w.contains("/namespaces/tigera-operator/secrets"));
    let (applied, helms) = (applied.expect("definitions"), helms.expect("helm's record"));
    assert!(applied < helms, "{writes:#?}");
    story.status().expect("healthy", 0, &[]);

    let path = format!("{DEFINITIONS}/installations.operator.tigera.io");
    let newer = story.plane.get(&path).expect("the definition")["spec"].clone();
    let ran = story.rollback(&["--settle", "3s"]);
    ran.expect(0, &["DONE", "Calico 3.31.3", "CustomResourceDefinitions"]);
    all_are(&story, "calico-system", "calico-node-", 2, ":v3.31.3");
    let stays = story.plane.get(&path).expect("the definition stays");
    assert_eq!(stays["spec"], newer);
    story.status().expect("healthy", 0, &[]);
}

/// Acceptance scenario 48 at an upgrade: every calico-node is Ready, and the operator calls Calico Degraded.
#[test]
fn scenario_48_a_degraded_calico_is_no_success() {
    let Some(story) = Story::aks(2, 4) else { return };
    story
        .install(&["calico", "--version", "v3.31.3"])
        .expect(0, &["DONE"]);
    let word = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "played-tigera-operator",
        "namespace": "kube-system"}, "data": {"degraded": "Failed to verify the certificate of typha",
        "version": "v3.32.1"}});
    story.plane.apply(&word.to_string());
    let ran = story.upgrade(&["--to", "3.32", "--timeout", "30s", "--settle", "3s"]);
    ran.expect(
        6,
        &["certificate of typha", "ROLLED BACK", "CustomResourceDefinitions"],
    );
    all_are(&story, "calico-system", "calico-node-", 2, ":v3.31.3");
    let newest = revisions(&story, "tigera-operator", "calico")
        .pop()
        .expect("a revision");
    assert_eq!(
        (newest["status"].as_str(), newest["chart"].as_str()),
        (Some("deployed"), Some("tigera-operator-v3.31.3"))
    );
}

/// Flannel by its DaemonSet's own rolling update: there, back, and what fails goes back by itself.
#[test]
fn flannel_goes_there_and_back() {
    let Some(story) = Story::kubeadm(3, 4) else { return };
    story
        .install(&["flannel", "--version", "v0.28.3"])
        .expect(0, &["DONE"]);
    let newer = Which::Image("flannel:v0.28.4".into());
    story.kubelet.set_everywhere(newer.clone(), Behaviour::ImagePull);
    story
        .upgrade(&["--timeout", "20s", "--settle", "3s"])
        .expect(6, &["cannot be pulled", "ROLLED BACK"]);
    all_are(&story, "kube-flannel", "kube-flannel-ds-", 3, ":v0.28.3");

    story.kubelet.set_everywhere(newer, Behaviour::Healthy);
    story.upgrade(&["--settle", "3s"]).expect(0, &["DONE", "0.28.4"]);
    all_are(&story, "kube-flannel", "kube-flannel-ds-", 3, ":v0.28.4");
    story.status().expect("healthy", 0, &[]);
    story.only_the_record_is_left("kube-flannel/flannel", "v0.28.3");
    let writes = story.writes();
    story.upgrade(&[]).expect(0, &["NOTHING TO DO"]);
    assert_eq!(story.writes()[writes.len()..], [] as [String; 0]);

    story
        .rollback(&["--settle", "3s"])
        .expect(0, &["DONE", "Flannel 0.28.3"]);
    all_are(&story, "kube-flannel", "kube-flannel-ds-", 3, ":v0.28.3");
    story.status().expect("healthy", 0, &[]);
}

/// A small CNI in a manifest; its agents live on the nodes' podCIDRs.
const MANIFEST: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: small-cni, namespace: kube-system, labels: {app: small-cni}}
spec:
  selector: {matchLabels: {app: small-cni}}
  template:
    metadata: {labels: {app: small-cni}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      containers:
      - name: cni-server
        image: registry.example/small-cni:1.2.3
        volumeMounts: [{name: conf, mountPath: /etc/cni/net.d}, {name: bin, mountPath: /opt/cni/bin}]
      volumes: [{name: conf, hostPath: {path: /etc/cni/net.d}}, {name: bin, hostPath: {path: /opt/cni/bin}}]
";

/// A wrapped manifest has no versions to choose from: it goes to another form of itself, and back to the one before.
#[test]
fn a_wrapped_manifest_goes_there_and_back() {
    let Some(story) = Story::kubeadm(2, 3) else { return };
    let file = |name: &str, text: &str| {
        let file = story.plane.dir().join(name);
        std::fs::write(&file, text).expect("the manifest");
        file.to_string_lossy().into_owned()
    };
    let old = file("small.yaml", MANIFEST);
    file("small-new.yaml", &MANIFEST.replace(":1.2.3", ":1.2.4"));
    // By its address, as projects tell people to.
    let at = serve(story.plane.dir());
    let new = format!("{at}/small-new.yaml");
    story
        .run(&["install", "--manifest", &old, "--yes"])
        .expect(0, &["DONE"]);
    all_are(&story, "kube-system", "small-cni-", 2, ":1.2.3");
    let writes = story.writes();
    story
        .run(&["upgrade", "--yes"])
        .expect(2, &["installed from a manifest", "upgrade --manifest FILE"]);
    story
        .run(&["rollback", "--yes"])
        .expect(4, &["no earlier revision"]);
    story
        .run(&["upgrade", "--manifest", &old, "--yes"])
        .expect(0, &["NOTHING TO DO"]);
    let nowhere = format!("{at}/nowhere.yaml");
    story
        .run(&["upgrade", "--manifest", &nowhere, "--yes"])
        .expect(1, &["cannot be fetched", "404"]);
    let other = format!("{new}@sha256:{}", "0".repeat(64));
    story
        .run(&["upgrade", "--manifest", &other, "--yes"])
        .expect(1, &["has the digest", "as the user says"]);
    assert_eq!(story.writes()[writes.len()..], [] as [String; 0]);

    story
        .run(&["upgrade", "--manifest", &new, "--yes", "--settle", "3s"])
        .expect(0, &["DONE"]);
    all_are(&story, "kube-system", "small-cni-", 2, ":1.2.4");
    story
        .run(&["rollback", "--yes", "--settle", "3s"])
        .expect(0, &["DONE"]);
    all_are(&story, "kube-system", "small-cni-", 2, ":1.2.3");
}
