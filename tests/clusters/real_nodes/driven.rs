//! A cluster of real nodes that the plugin alone changes, and what a test asks of it afterwards.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::clusters::programs::charts;
use super::clusters::real_nodes::stories;
use super::clusters::{self, RealNodes, RealNodesOptions};
use super::plugin;

/// Longer than the slowest of the steps that these tests wait for.
const LIMIT: Duration = Duration::from_secs(120);

/// A cluster, and the helm that the plugin is given.
pub struct Driven {
    pub cluster: RealNodes,
    helm: PathBuf,
    since: Cell<Instant>,
}

/// What a cluster without a CNI is like.
#[derive(Debug, PartialEq, Eq)]
pub struct Fresh {
    verdict: String,
    exit: i32,
    /// Slug and subjects of every finding.
    findings: Vec<String>,
    /// Every object that a CNI could leave, and what nodes bear.
    objects: BTreeSet<String>,
}

/// What the plugin said.
pub struct Said {
    exit: i32,
    /// Standard error, then standard output.
    pub text: String,
}

/// A plugin that runs.
pub struct Started {
    child: Child,
    said: Arc<Mutex<String>>,
}

/// How far helm was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// The release was pending.
    Pending,
    /// It was too fast to be seen at work.
    Done,
}

impl Driven {
    pub fn start(images: &[&str], helm: &'static str, node_cidrs: bool) -> Driven {
        let options = RealNodesOptions {
            node_cidrs,
            images,
            helm,
            ..Default::default()
        };
        let major = if helm == "helm3" { 3 } else { 4 };
        let since = Instant::now();
        let on = Driven {
            helm: clusters::helm(major).unwrap_or_else(|reason| panic!("{reason}")),
            cluster: RealNodes::start(options).unwrap_or_else(|reason| panic!("{reason}")),
            since: Cell::new(since),
        };
        stories::expect_fresh(&on.cluster);
        on.stage("fresh");
        on
    }

    /// Says what was reached, and how long it took.
    pub fn stage(&self, name: &str) {
        // Not eprintln: the test harness would swallow it with the output of a test that passed.
        let _ = writeln!(
            std::io::stderr(),
            "{name}: reached after {:.0?}",
            self.since.get().elapsed()
        );
        self.since.set(Instant::now());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
        command.args(arguments);
        // An upgrade to other values alone takes the chart that the release has.
        let upgrades =
            arguments[0] == "upgrade" && arguments.iter().any(|a| ["--version", "--to"].contains(a));
        if upgrades || (arguments[0] == "install" && !arguments.contains(&"--manifest")) {
            command
                .arg("--repo")
                .arg(charts().unwrap_or_else(|reason| panic!("{reason}")));
        }
        command.env_clear();
        for name in ["PATH", "HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
            .envs([("LANG", "C.UTF-8"), ("COLUMNS", "1000")])
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("HELM_BIN", &self.helm)
            .stdin(Stdio::null());
        command
    }

    /// Runs the plugin to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().expect("the plugin starts");
        let (out, err) = (&output.stdout, &output.stderr);
        Said {
            exit: output.status.code().unwrap_or(-1),
            text: format!("{}{}", String::from_utf8_lossy(err), String::from_utf8_lossy(out)),
        }
    }

    /// Starts the plugin.
    pub fn begin(&self, arguments: &[&str]) -> Started {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the plugin starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (child.stderr.take().expect("its standard error"), said.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                *heard += &format!("{line}\n");
            }
        });
        Started { child, said }
    }

    /// Waits until helm, started by this plugin, has begun to write.
    pub fn helm_at_work(&self, started: &Started) -> Took {
        let pending = "/api/v1/secrets?labelSelector=owner%3Dhelm,status%3Dpending-install";
        let end = Instant::now() + LIMIT;
        loop {
            let found = self.cluster.plane().get(pending).unwrap_or_default();
            if found["items"].as_array().is_some_and(|all| !all.is_empty()) {
                return Took::Pending;
            }
            if started.text().contains("gate: ") {
                return Took::Done;
            }
            assert!(Instant::now() < end, "helm has not begun:\n{}", started.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What there is; a cluster without a CNI, as it should be.
    pub fn fresh(&self) -> Fresh {
        let fresh = self.look();
        assert_eq!((fresh.verdict.as_str(), fresh.exit), ("broken", 3), "{fresh:?}");
        fresh
    }

    fn look(&self) -> Fresh {
        let said = plugin::status(self.cluster.kubeconfig(), &[]);
        let findings = said.json["findings"].as_array().cloned().unwrap_or_default();
        Fresh {
            verdict: said.verdict().to_owned(),
            exit: said.exit,
            findings: findings
                .iter()
                .map(|f| format!("{} {}", f["slug"], f["subjects"]))
                .collect(),
            objects: self.objects(),
        }
    }

    fn objects(&self) -> BTreeSet<String> {
        let kinds = "customresourcedefinitions,namespaces,leases,configmaps,secrets,serviceaccounts,services,\
                     clusterroles,clusterrolebindings,roles,rolebindings,daemonsets,deployments";
        let columns = "--output=custom-columns=K:.kind,N:.metadata.namespace,M:.metadata.name";
        let listed = self
            .cluster
            .kubectl_ok(&["get", kinds, "--all-namespaces", columns, "--no-headers"]);
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut all: BTreeSet<String> = listed.lines().map(squeezed).collect();
        // Nodes renew theirs; the second of them may not have begun.
        all.retain(|line| !line.contains("kube-node-lease "));
        let nodes = self.cluster.plane().get("/api/v1/nodes").unwrap_or_default();
        for node in nodes["items"].as_array().into_iter().flatten() {
            let keys = |value: &Value| {
                value
                    .as_object()
                    .map(|map| map.keys().cloned().collect::<Vec<_>>())
            };
            let taints: Vec<&Value> = node["spec"]["taints"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|taint| &taint["key"])
                .collect();
            let meta = &node["metadata"];
            all.insert(format!(
                "{} taints {taints:?} labels {:?} annotations {:?}",
                meta["name"],
                keys(&meta["labels"]),
                keys(&meta["annotations"])
            ));
        }
        all
    }

    /// Nothing shows that there was a change: the same findings, the same objects, nodes without a network.
    pub fn expect_as_before(&self, fresh: &Fresh) {
        stories::expect_fresh(&self.cluster);
        let now = self.look();
        let new: Vec<&String> = now.objects.difference(&fresh.objects).collect();
        let gone: Vec<&String> = fresh.objects.difference(&now.objects).collect();
        assert!(
            new.is_empty() && gone.is_empty(),
            "new: {new:#?}\ngone: {gone:#?}"
        );
        assert_eq!(&now, fresh);
    }

    /// `status` has nothing to complain of but what a rollout leaves for some minutes.
    pub fn expect_healthy(&self) {
        let passing = [
            "warning agent-restarting",
            "warning rollout-incomplete",
            "warning version-skew",
        ];
        let said = plugin::status(self.cluster.kubeconfig(), &[]);
        let told: Vec<String> = said
            .findings(&["error", "warning"])
            .into_iter()
            .filter(|finding| !passing.contains(&finding.as_str()))
            .collect();
        assert_eq!(
            (said.verdict(), said.exit, told),
            ("healthy", 0, vec![]),
            "{}",
            said.table
        );
        let journal = "/api/v1/namespaces/kube-system/secrets/kubectl-byocni";
        assert!(
            self.cluster.plane().get(journal).is_none(),
            "the Secret of the change is still there"
        );
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubectl-byocni";
        assert!(
            self.cluster.plane().get(lease).is_none(),
            "the lock is still there"
        );
    }

    fn newest(&self, namespace: &str, release: &str) -> Value {
        let told = self
            .cluster
            .helm_ok(&["history", release, "--namespace", namespace, "--output=json"]);
        let told: Value = serde_json::from_str(&told).expect("helm's history");
        told.as_array()
            .and_then(|all| all.last())
            .cloned()
            .unwrap_or_default()
    }

    /// The number of a release's newest revision.
    pub fn revision(&self, namespace: &str, release: &str) -> i64 {
        self.newest(namespace, release)["revision"]
            .as_i64()
            .unwrap_or_default()
    }

    /// The status of a release's newest revision.
    pub fn status_of(&self, namespace: &str, release: &str) -> String {
        self.newest(namespace, release)["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Said {
    /// Asserts the exit code, and that all of this was said.
    pub fn expect(&self, exit: i32, words: &[&str]) {
        assert_eq!(self.exit, exit, "\n{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "{word:?} was not said:\n{}", self.text);
        }
    }
}

impl Started {
    fn text(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this stands on standard error.
    pub fn wait_for(&self, word: &str) {
        let end = Instant::now() + LIMIT;
        while !self.text().contains(word) {
            assert!(Instant::now() < end, "{word:?} was not said:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9`. A helm that it has started goes on.
    pub fn kill(mut self) {
        self.child.kill().expect("kill -9");
        let status = self.child.wait().expect("its end");
        assert_eq!(status.code(), None, "it had ended by itself:\n{}", self.text());
    }

    /// `kill -9` of the plugin and of what it has started, as when the machine loses power.
    pub fn kill_with_helm(self) {
        let children = children(self.child.id());
        self.kill();
        for pid in children {
            // Gone already is fine.
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let parent_of = |process: &Path| {
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        // After the name, which may hold anything: state, parent.
        stat.rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse::<u32>()
            .ok()
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = processes.filter(|process| parent_of(&process.path()) == Some(parent));
    own.filter_map(|process| process.file_name().to_string_lossy().parse().ok())
        .collect()
}
