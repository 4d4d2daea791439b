//! What is installed without a name that we know: manifests, and a CNI that somebody applied by hand.

use serde_json::Value;

use crate::{
    clusters::files::serve,
    story::{Story, items, name, named},
};

/// A small CNI with a kind of its own; its agents live on the nodes' podCIDRs. What looks like a template is none.
const MANIFEST: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: small-config, namespace: kube-system}
data: {format: "{{ .Values.nothing }}"}
---
apiVersion: small.example/v1
kind: Route
metadata: {name: first}
spec: {to: nowhere}
---
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
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: routes.small.example}
spec:
  group: small.example
  scope: Cluster
  names: {kind: Route, listKind: RouteList, plural: routes, singular: route}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
"#;

#[test]
fn a_manifest_goes_through_the_same_gates() {
    for helm in [3, 4] {
        let Some(story) = Story::kubeadm(2, helm) else {
            return;
        };
        let file = story.plane.dir().join("Small CNI.yaml");
        std::fs::write(&file, MANIFEST).expect("the manifest");
        let file = file.to_string_lossy().into_owned();
        // Once by its address: the same bytes are the same release.
        std::fs::write(story.plane.dir().join("small-cni.yaml"), MANIFEST).expect("the manifest");
        let address = format!("{}/small-cni.yaml", serve(story.plane.dir()));
        let install = || story.run(&["install", "--manifest", &file, "--yes"]);
        let before = story.inventory();

        // Never pulled: nothing of it stays.
        story.kubelet.set_everywhere(
            crate::clusters::kubelet::Which::Image("small-cni".into()),
            crate::clusters::Behaviour::ImagePull,
        );
        let ran = story.run(&["install", "--manifest", &file, "--yes", "--timeout", "10s"]);
        // A CNI that nobody knows: its pods are read as those of others are.
        ran.expect(
            6,
            &[
                "gate-timed-out",
                "cannot be pulled",
                "ROLLED BACK",
                "the cluster is as it was",
            ],
        );
        story.is_as_before(&before, &[]);

        // One that ran, if only for a moment, stays: what it wrote on nodes would outlive it.
        story.kubelet.set_everywhere(
            crate::clusters::kubelet::Which::Image("small-cni".into()),
            crate::clusters::Behaviour::CrashLoop { exit_code: 3 },
        );
        let ran = story.run(&["install", "--manifest", &file, "--yes", "--timeout", "20s"]);
        ran.expect(
            7,
            &[
                "gate-timed-out",
                "exit code 3",
                "its agents have run",
                "NOT RECOVERED",
            ],
        );
        story.run(&["abort", "--uninstall", "--yes"]).expect(0, &[]);
        story.is_as_before(&before, &[]);

        story.kubelet.set_everywhere(
            crate::clusters::kubelet::Which::Image("small-cni".into()),
            crate::clusters::Behaviour::Healthy,
        );
        install().expect(0, &["DONE"]);
        let listed: Value = serde_json::from_str(&story.helm(&["list", "-A", "-o", "json"])).expect("JSON");
        assert_eq!(
            (&listed[0]["name"], &listed[0]["status"]),
            (&"small-cni".into(), &"deployed".into()),
            "{listed}"
        );
        let map = story
            .plane
            .get("/api/v1/namespaces/kube-system/configmaps/small-config");
        assert_eq!(map.expect("the map")["data"]["format"], "{{ .Values.nothing }}");
        assert!(story.plane.get("/apis/small.example/v1/routes/first").is_some());
        let writes = story.writes().len();
        install().expect(0, &["NOTHING TO DO"]);
        story
            .run(&["install", "--manifest", &address, "--yes"])
            .expect(0, &["NOTHING TO DO"]);
        assert_eq!(story.writes().len(), writes);
    }
}

/// Cilium as somebody applied it by hand becomes a release, without an agent being restarted.
#[test]
fn what_was_applied_by_hand_is_taken_over() {
    for helm in [3, 4] {
        let Some(story) = Story::aks(2, helm) else { return };
        let plan = story.run(&[
            "install",
            "cilium",
            "--version",
            "1.19",
            "--dry-run",
            "-o",
            "json",
            "--repo",
            &story.chart(""),
        ]);
        let plan: Value = serde_json::from_str(&plan.out).expect("a plan");
        let mut set = vec![];
        for value in plan["values"].as_array().into_iter().flatten() {
            if value["origin"] == "cluster" {
                set.push("--set-json".to_owned());
                set.push(format!(
                    "{}={}",
                    value["key"].as_str().unwrap_or_default(),
                    value["value"]
                ));
            }
        }
        let chart = story.chart("cilium-1.19.6.tgz");
        let mut arguments = vec!["template", "cilium", &chart, "-n", "kube-system"];
        arguments.extend(set.iter().map(String::as_str));
        // As kubectl reads it; the reader of the tests knows octal numbers as text only.
        story.plane.apply(
            &story
                .helm(&arguments)
                .replace("defaultMode: 0400", "defaultMode: 256"),
        );
        story
            .plane
            .wait_for("nodes Ready", crate::story::SOON, crate::story::NODES, |list| {
                items(list).iter().all(crate::story::is_ready)
            });
        let agents = |story: &Story| -> Vec<String> {
            let pods = story.plane.get(crate::story::KUBE_SYSTEM).expect("pods");
            named(&pods, "cilium-").map(|pod| name(pod).to_owned()).collect()
        };
        let before = agents(&story);
        story
            .install(&["cilium", "--version", "1.19"])
            .expect(4, &["ownership-conflict", "--take-ownership"]);
        assert_eq!(story.writes(), [] as [String; 0]);

        // What would become different is told before: nothing where it was applied with the same values, a switch, and
        // what must not change under running pods.
        let adopting = |more: &[&str]| {
            let charts = story.chart("");
            let arguments = [
                "install",
                "cilium",
                "--version",
                "1.19",
                "--take-ownership",
                "--dry-run",
                "--repo",
                &charts,
            ];
            story.run(&[&arguments, more].concat())
        };
        let plan = adopting(&["-o", "json"]);
        plan.expect(0, &[]);
        let plan: Value = serde_json::from_str(&plan.out).expect("a plan");
        for part in ["settings", "images", "restarts", "removes", "changes"] {
            assert_eq!(
                plan["diff"][part],
                Value::Array(vec![]),
                "{part}: {}",
                plan["diff"]
            );
        }
        adopting(&["--set", "debug.enabled=true"]).expect(
            0,
            &["debug", "false", "true", "DaemonSet kube-system/cilium", "READY"],
        );
        adopting(&["--pod-cidr", "10.99.0.0/16"]).expect(
            4,
            &[
                "pool-element-changed",
                "is 10.244.0.0/16 and would become 10.99.0.0/16",
                "clusterPoolIPv4PodCIDRList=[\"10.244.0.0/16\"]",
            ],
        );
        assert_eq!(story.writes(), [] as [String; 0]);

        let ran = story.install(&["cilium", "--version", "1.19", "--take-ownership"]);
        ran.expect(0, &["its objects become part of kube-system/cilium", "DONE"]);
        assert_eq!(story.helm(&["list", "-n", "kube-system", "-q"]).trim(), "cilium");
        assert_eq!(agents(&story), before, "no pod was replaced");
        let said = story.status();
        assert_eq!((said.verdict(), said.exit), ("healthy", 0), "{}", said.table);
        // Helm wrote its marks on cilium-config, and no other data: the agents run what is written there.
        let warnings = said.findings(&["warning"]);
        assert!(
            !warnings.contains(&"warning config-drift".to_owned()),
            "{warnings:?}"
        );
        assert_eq!(said.json["cni"]["managedBy"], "helm");
    }
}
