//! `status` against a real control plane whose nodes are played: what only a live API can show.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;
#[path = "clusters/plugin.rs"]
mod plugin;

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::Engine as _;
use clusters::{Behaviour, ControlPlane, FakeKubelet, Options, aks, helm, required_or_skip};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(120);
const NODES: &str = "/api/v1/nodes";
const KUBE_SYSTEM: &str = "/api/v1/namespaces/kube-system/pods";

/// As small as an agent can be that a kubelet knows for Cilium's.
const CILIUM: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data: {ipam: cluster-pool, enable-ipv6: "false", cluster-pool-ipv4-cidr: 10.244.0.0/16, cluster-pool-ipv4-mask-size: "24"}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system, labels: {k8s-app: cilium}}
spec:
  selector: {matchLabels: {k8s-app: cilium}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 2}}
  template:
    metadata: {labels: {k8s-app: cilium}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      initContainers: [{name: config, image: "quay.io/cilium/cilium:v1.20.0"}]
      containers: [{name: cilium-agent, image: "quay.io/cilium/cilium:v1.20.0"}]
"#;

fn cluster(options: Options, nodes: usize) -> Option<(ControlPlane, FakeKubelet)> {
    let plane = required_or_skip("control-plane", ControlPlane::start(options))?;
    let kubelet = aks::start(&plane, nodes);
    plane.wait_for("all nodes are there", SOON, NODES, |list| {
        items(list).len() == nodes
    });
    Some((plane, kubelet))
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    conditions
        .iter()
        .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn wait_until_healthy(plane: &ControlPlane) {
    // The agent takes its taint away a moment after it is Ready.
    let tainted = |node: &Value| node["spec"]["taints"].to_string().contains("agent-not-ready");
    plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(|node| is_ready(node) && !tainted(node))
    });
    plane.wait_for("CoreDNS and agents Ready", SOON, KUBE_SYSTEM, |list| {
        let wanted = |pod: &&Value| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            name.starts_with("coredns-") || name.starts_with("cilium-")
        };
        items(list).iter().filter(wanted).all(is_ready)
    });
}

/// Whether some container was started again often enough to be called looping also between two back-offs.
fn some_agent_loops(list: &Value) -> bool {
    items(list).iter().any(|pod| {
        let containers = pod["status"]["containerStatuses"].as_array();
        containers
            .into_iter()
            .flatten()
            .any(|c| c["restartCount"].as_i64() >= Some(2))
    })
}

/// A run that goes on until it is dropped, and what it said so far.
struct Watching {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Watching {
    fn of(mut child: Child) -> Watching {
        let mut out = child.stdout.take().expect("its standard output");
        let said: Arc<Mutex<String>> = Arc::default();
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut some) {
                heard
                    .lock()
                    .expect("what was said")
                    .push_str(&String::from_utf8_lossy(&some[..n]));
            }
        });
        Watching { child, said }
    }

    /// Waits until it has said this, and returns all that it said.
    fn says(&mut self, word: &str) -> String {
        let end = Instant::now() + SOON;
        loop {
            let said = self.said.lock().expect("what was said").clone();
            if said.contains(word) {
                return said;
            }
            let over = self.child.try_wait().expect("a child").is_some();
            assert!(!over && Instant::now() < end, "it does not say {word}: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn node_name(number: usize, of: usize) -> String {
    aks::nodes(of)[number]["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned()
}

#[test]
fn scenario_1_a_fresh_aks_cluster_is_told_and_nothing_is_written() {
    let Some((plane, _kubelet)) = cluster(
        Options {
            audit: true,
            ..aks::options()
        },
        3,
    ) else {
        return;
    };
    let reader = plane.kubeconfig_for("the-reader", &["system:masters"]);
    let said = plugin::status(&reader, &[]);
    said.expect("broken", 3, &["error cni-missing"]);
    assert_eq!(said.cause_of("node-network-not-ready"), Some("cni-missing"));
    assert_eq!(said.cause_of("coredns-pending"), Some("cni-missing"));
    assert_eq!(said.json["platform"]["name"], "aks");
    assert_eq!(said.json["platform"]["byocni"], "confirmed");
    assert_eq!(said.json["cni"], Value::Null);
    assert!(
        said.table.contains("next: kubectl byocni install cilium"),
        "{}",
        said.table
    );
    let log = std::fs::read_to_string(plane.dir().join("audit.log")).expect("the audit log");
    assert!(log.contains("system:"), "the log holds the writes of others");
    let written = log.lines().filter(|line| line.contains("the-reader")).count();
    assert_eq!(written, 0, "no write in the audit log");
}

#[test]
fn it_waits_until_healthy_and_watches_line_by_line() {
    let Some((plane, _kubelet)) = cluster(aks::options(), 3) else {
        return;
    };
    let start = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
            .args(arguments)
            .env("KUBECONFIG", plane.kubeconfig())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the plugin starts")
    };
    let waiting = start(&["status", "--wait", "--timeout", "90s", "--summary"]);
    let mut watching = Watching::of(start(&["status", "--watch"]));
    watching.says("BROKEN");
    // In a terminal the same page is drawn over the one before.
    let played = Command::new("script").arg("--version").output();
    let played = required_or_skip(
        "terminal",
        played.map_err(|e| format!("script (util-linux): {e}")),
    );
    let mut drawn = played.map(|_| {
        let line = format!(
            "stty rows 50 cols 100; exec {} status --watch",
            env!("CARGO_BIN_EXE_kubectl-byocni")
        );
        let mut script = Command::new("script");
        script
            .args(["-qec", line.as_str(), "/dev/null"])
            .envs([
                ("TERM", "xterm-256color"),
                ("SHELL", "/bin/sh"),
                ("LANG", "C.UTF-8"),
                ("COLUMNS", "100"),
            ])
            .env("KUBECONFIG", plane.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Watching::of(script.spawn().expect("script starts"))
    });
    if let Some(drawn) = &mut drawn {
        drawn.says("BROKEN");
    }
    plane.apply(CILIUM);
    let waited = waiting.wait_with_output().expect("it ends");
    let (out, err) = (
        String::from_utf8_lossy(&waited.stdout),
        String::from_utf8_lossy(&waited.stderr),
    );
    assert_eq!(waited.status.code(), Some(0), "{out}\n{err}");
    assert!(out.to_lowercase().contains("healthy"), "{out}");
    let watched = watching.says("HEALTHY");
    if let Some(drawn) = &mut drawn {
        let drawn = drawn.says("HEALTHY");
        // Cleared once, then drawn over: a page that is cleared each time flickers.
        assert_eq!(drawn.matches("\u{1b}[2J").count(), 1, "{drawn}");
        assert!(drawn.matches("\u{1b}[H").count() > 1, "{drawn}");
    }
    assert!(
        !watched.contains('\u{1b}'),
        "no escapes where there is no terminal: {watched}"
    );

    let unhealthy = plugin::run(
        plane.kubeconfig(),
        &[
            "status",
            "--wait",
            "--timeout",
            "1s",
            "--reserved-cidr",
            "10.244.3.0/24",
        ],
    );
    assert_eq!(
        unhealthy.status.code(),
        Some(3),
        "a limit that is over ends the wait"
    );
}

#[test]
fn each_failure_of_an_agent_is_told_by_its_own_code() {
    let Some((plane, kubelet)) = cluster(
        Options {
            node_grace: Duration::from_secs(20),
            ..aks::options()
        },
        6,
    ) else {
        return;
    };
    kubelet.set(&node_name(1, 6), Behaviour::ImagePull);
    kubelet.set(&node_name(2, 6), Behaviour::CrashLoop { exit_code: 137 });
    kubelet.set(&node_name(3, 6), Behaviour::NeverReady);
    plane.apply(CILIUM);
    plane.wait_for("the healthy ones are Ready", SOON, NODES, |list| {
        items(list).iter().filter(|n| is_ready(n)).count() == 3
    });
    let slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices";
    plane.wait_for("something answers DNS", SOON, slices, |list| {
        list.to_string().contains("\"ready\":true")
    });
    // Last, and in its wait: between two waits the container runs, and nothing is wrong to be seen.
    plane.wait_for("every failure shows", SOON, KUBE_SYSTEM, |list| {
        let all = |word: &str| {
            items(list)
                .iter()
                .any(|pod| pod["status"].to_string().contains(word))
        };
        all("ImagePullBackOff") && all("CrashLoopBackOff") && some_agent_loops(list)
    });
    let said = plugin::status(plane.kubeconfig(), &[]);
    assert_eq!((said.verdict(), said.exit), ("degraded", 3), "{}", said.table);
    let errors = said.findings(&["error"]);
    assert!(
        errors.starts_with(&[
            "error agent-crash-looping".into(),
            "error agent-image-pull".into()
        ]),
        "{}",
        said.table
    );
    assert!(said.table.contains("exit code 137"), "{}", said.table);
    assert!(
        said.findings(&["info"])
            .contains(&"info node-joining".to_string()),
        "never ready, and young: {}",
        said.table
    );

    // A node that is lost is one error: its agent is not asked.
    kubelet.set(&node_name(1, 6), Behaviour::Healthy);
    kubelet.set(&node_name(2, 6), Behaviour::Healthy);
    kubelet.set(&node_name(3, 6), Behaviour::Healthy);
    wait_until_healthy(&plane);
    let lost = node_name(5, 6);
    kubelet.set(&lost, Behaviour::Lost);
    plane.wait_for("the node is Unknown", SOON, &format!("{NODES}/{lost}"), |node| {
        node["status"]["conditions"].to_string().contains("\"Unknown\"")
    });
    let json = plugin::status(plane.kubeconfig(), &[]).json;
    let of_lost: Vec<&Value> = json["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|f| f["message"].as_str().is_some_and(|m| m.contains(&lost)))
        .collect();
    let errors = of_lost.iter().filter(|f| f["severity"] == "error").count();
    // Younger than five minutes, the node may still be joining; it is never an error twice.
    assert!(errors <= 1, "{of_lost:#?}");
}

#[test]
fn bare_view_is_incomplete_and_names_what_is_missing() {
    let Some((plane, _kubelet)) = cluster(aks::options(), 2) else {
        return;
    };
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}],
    });
    plane.apply(&binding.to_string());
    std::thread::sleep(Duration::from_secs(1));
    let viewer = plane.kubeconfig_for("viewer", &[]);
    let incomplete = || {
        let said = plugin::status(&viewer, &[]);
        assert_eq!((said.verdict(), said.exit), ("unknown", 5), "{}", said.table);
        assert!(said.table.contains("list nodes"), "{}", said.table);
        let skipped = said.json["skipped"].to_string();
        assert!(skipped.contains("list nodes"), "{skipped}");
    };
    // On a fresh cluster, and on a healthy one.
    incomplete();
    plane.apply(CILIUM);
    wait_until_healthy(&plane);
    incomplete();
}

/// Runs one of the two helms against the control plane.
fn helm_install(plane: &ControlPlane, program: &PathBuf, arguments: &[&str]) {
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("KUBECONFIG", plane.kubeconfig())
        .stdin(Stdio::null())
        .output()
        .expect("helm starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn chart(name: &str) -> Option<String> {
    let charts = required_or_skip("charts", clusters::programs::charts())?;
    Some(charts.join(name).to_string_lossy().into_owned())
}

#[test]
fn releases_of_both_helms_are_read_without_helm() {
    for major in [3, 4] {
        let Some((plane, _kubelet)) = cluster(aks::options(), 2) else {
            return;
        };
        let (Some(program), Some(chart)) = (
            required_or_skip("control-plane", helm(major)),
            chart("cilium-1.20.0.tgz"),
        ) else {
            return;
        };
        let pool = "ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.0/16}";
        helm_install(
            &plane,
            &program,
            &[
                "install",
                "cilium",
                &chart,
                "-n",
                "kube-system",
                "--set",
                "aksbyocni.enabled=true",
                "--set",
                pool,
            ],
        );
        wait_until_healthy(&plane);
        let said = plugin::status(plane.kubeconfig(), &["--wait", "--timeout", "60s"]);
        said.expect("healthy", 0, &[]);
        let release = &said.json["cni"]["release"];
        let told = [
            &release["name"],
            &release["revision"],
            &release["status"],
            &release["chart"],
            &release["version"],
        ];
        assert_eq!(
            told,
            [
                &json!("cilium"),
                &json!(1),
                &json!("deployed"),
                &json!("cilium"),
                &json!("1.20.0")
            ]
        );
        assert_eq!(said.json["cni"]["managedBy"], "helm");
        assert_eq!(said.json["platform"]["byocni"], "confirmed");

        // Scenario 42: a record that is damaged is told, and nothing falls over; then one that is stuck.
        let damaged = base64::engine::general_purpose::STANDARD.encode("no record at all");
        let record = |number: u32, status: &str| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
                "metadata": {"name": format!("sh.helm.release.v1.cilium.v{number}"), "namespace": "kube-system",
                    "labels": {"owner": "helm", "name": "cilium", "status": status, "version": number.to_string()}},
                "data": {"release": damaged},
            })
        };
        plane.apply(&record(2, "superseded").to_string());
        plugin::status(plane.kubeconfig(), &[]).expect("healthy", 0, &["warning unparsable-value"]);
        plane.apply(&record(3, "pending-upgrade").to_string());
        let said = plugin::status(plane.kubeconfig(), &[]);
        assert!(
            said.findings(&["error"])
                .contains(&"error release-pending".to_string()),
            "{}",
            said.table
        );
    }
}

#[test]
fn calico_by_its_operator_is_healthy() {
    let Some((plane, _kubelet)) = cluster(aks::options(), 2) else {
        return;
    };
    let (Some(program), Some(chart)) = (
        required_or_skip("control-plane", helm(3)),
        chart("tigera-operator-v3.31.3.tgz"),
    ) else {
        return;
    };
    let values = plane.dir().join("calico.json");
    let text = json!({"installation": {"kubernetesProvider": "AKS", "cni": {"type": "Calico"},
        "calicoNetwork": {"bgp": "Disabled", "ipPools": [{"cidr": "10.244.0.0/16", "encapsulation": "VXLAN"}]}}});
    std::fs::write(&values, text.to_string()).expect("the values");
    helm_install(
        &plane,
        &program,
        &[
            "install",
            "calico",
            &chart,
            "-n",
            "tigera-operator",
            "--create-namespace",
            "-f",
            &values.to_string_lossy(),
        ],
    );
    plane.wait_for("nodes Ready", SOON, NODES, |list| {
        items(list).iter().all(is_ready)
    });
    let said = plugin::status(plane.kubeconfig(), &["--wait", "--timeout", "60s"]);
    assert_eq!((said.verdict(), said.exit), ("healthy", 0), "{}", said.table);
    assert_eq!(said.json["cni"]["name"], "Calico");
    assert_eq!(said.json["cni"]["release"]["name"], "calico");
    assert_eq!(said.json["podCIDR"]["pools"][0]["cidr"], "10.244.0.0/16");
}

#[test]
fn lists_of_several_pages_are_whole() {
    // A page of nodes is 500.
    let Some((plane, _kubelet)) = cluster(aks::options(), 510) else {
        return;
    };
    let said = plugin::status(plane.kubeconfig(), &["-l", "kubernetes.azure.com/mode=system"]);
    said.expect("broken", 3, &["error cni-missing"]);
    assert_eq!(said.json["nodes"]["total"], 510);
    let shown = said.json["nodes"]["items"].as_array().map_or(0, Vec::len);
    assert!(
        shown > 0 && shown < 510,
        "-l shows the system pool only, findings see all: {shown}"
    );
}

#[test]
fn many_agents_are_told_in_brief_and_a_failing_one_in_full() {
    // Above a hundred agents that are all well, their table is read instead of their objects.
    let Some((plane, kubelet)) = cluster(aks::options(), 120) else {
        return;
    };
    plane.apply(CILIUM);
    wait_until_healthy(&plane);
    let read = || {
        let output = plugin::run(plane.kubeconfig(), &["status", "-v", "-o", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (json, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (json, told) = read();
    assert!(told.contains("120 agents in brief"), "{told}");
    assert_eq!(json["verdict"], "healthy");
    let agents = json["nodes"]["items"].as_array().into_iter().flatten();
    assert_eq!(agents.filter(|n| n["agent"] == "ready").count(), 120);

    kubelet.set(&node_name(7, 120), Behaviour::CrashLoop { exit_code: 1 });
    plane.wait_for("an agent fails", SOON, KUBE_SYSTEM, some_agent_loops);
    let (json, told) = read();
    assert!(!told.contains("in brief"), "{told}");
    let failing = json["nodes"]["items"].as_array().into_iter().flatten();
    let failing: Vec<&Value> = failing.filter(|n| n["agent"] == "crash-looping").collect();
    assert_eq!(failing.len(), 1, "{}", json["findings"]);
    assert_eq!(failing[0]["name"], node_name(7, 120).as_str());
}
