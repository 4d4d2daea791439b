//! A cluster, somebody who installs on it and whose writes are counted, and what the cluster holds before and after.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    clusters::{ControlPlane, FakeKubelet, Options, aks, helm, kubeadm, programs, required_or_skip},
    plugin,
};

/// For what takes a moment.
pub const SOON: Duration = Duration::from_secs(60);
/// The nodes.
pub const NODES: &str = "/api/v1/nodes";
/// The pods that a CNI and its neighbours run.
pub const KUBE_SYSTEM: &str = "/api/v1/namespaces/kube-system/pods";
/// Whose writes are counted.
const INSTALLER: &str = "the-installer";

/// A cluster and its installer.
pub struct Story {
    pub plane: ControlPlane,
    pub kubelet: FakeKubelet,
    pub installer: PathBuf,
    charts: PathBuf,
    helm: PathBuf,
}

/// What one run of the plugin said.
pub struct Ran {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Story {
    /// An AKS cluster without a CNI, its writes audited.
    pub fn aks(nodes: usize, major: u8) -> Option<Story> {
        Story::with(aks::options(), major, |plane| aks::start(plane, nodes))
    }

    /// A cluster of kubeadm's, whose nodes have podCIDRs.
    pub fn kubeadm(nodes: usize, major: u8) -> Option<Story> {
        Story::with(kubeadm::options(), major, |plane| kubeadm::start(plane, nodes))
    }

    /// Any other.
    pub fn with(
        options: Options,
        major: u8,
        start: impl FnOnce(&ControlPlane) -> FakeKubelet,
    ) -> Option<Story> {
        let helm = required_or_skip("control-plane", helm(major))?;
        let charts = required_or_skip("charts", programs::charts())?;
        let options = Options {
            audit: true,
            ..options
        };
        let plane = required_or_skip("control-plane", ControlPlane::start(options))?;
        let kubelet = start(&plane);
        // Nothing is seen of a workload before its controller has looked at it.
        plane.wait_for("CoreDNS' pods are there", SOON, KUBE_SYSTEM, |list| {
            named(list, "coredns-").count() >= 2
        });
        let installer = plane.kubeconfig_for(INSTALLER, &["system:masters"]);
        Some(Story {
            plane,
            kubelet,
            installer,
            charts,
            helm,
        })
    }

    /// The plugin with helm and without anything else of the caller's environment, by the installer.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_as(&self.installer, arguments)
    }

    /// The same by somebody else, or by another way to the server.
    pub fn command_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
        command
            .args(arguments)
            .env_clear()
            .envs(
                ["PATH", "HOME"]
                    .into_iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .envs([("LANG", "C.UTF-8"), ("COLUMNS", "100")])
            .env("KUBECONFIG", kubeconfig)
            .env("HELM_BIN", &self.helm)
            .stdin(Stdio::null());
        command
    }

    /// Runs the plugin to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("the plugin starts"))
    }

    /// The same by somebody else.
    pub fn run_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Ran {
        let output = self.command_as(kubeconfig, arguments).output();
        Ran::of(output.expect("the plugin starts"))
    }

    /// Starts the plugin, to be waited for with [`Ran::end`].
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.start_as(&self.installer, arguments)
    }

    /// The same by somebody else, or by another way to the server.
    pub fn start_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Child {
        let mut command = self.command_as(kubeconfig, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the plugin starts")
    }

    /// The same with the helm of this major version.
    pub fn start_with(&self, major: u8, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.env("HELM_BIN", helm(major).expect("this helm too"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the plugin starts")
    }

    /// `install … --yes` from the charts at hand.
    pub fn install(&self, arguments: &[&str]) -> Ran {
        self.run(&self.installing(arguments))
    }

    /// The same with another helm.
    pub fn install_with(&self, helm: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(&self.installing(arguments));
        Ran::of(command.env("HELM_BIN", helm).output().expect("the plugin starts"))
    }

    /// The arguments of that.
    pub fn installing<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let charts = self.charts.to_str().expect("a path of text");
        [&["install"], arguments, &["--repo", charts, "--yes"]].concat()
    }

    /// `upgrade … --yes` to charts at hand.
    pub fn upgrade(&self, arguments: &[&str]) -> Ran {
        self.run(&self.upgrading(arguments))
    }

    /// The arguments of that.
    pub fn upgrading<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let charts = self.charts.to_str().expect("a path of text");
        [&["upgrade"], arguments, &["--repo", charts, "--yes"]].concat()
    }

    /// `rollback … --yes`.
    pub fn rollback(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["rollback"], arguments, &["--yes"]].concat())
    }

    /// A chart at hand.
    pub fn chart(&self, name: &str) -> String {
        self.charts.join(name).to_string_lossy().into_owned()
    }

    /// The helm of this cluster.
    pub fn helm(&self, arguments: &[&str]) -> String {
        let ran = self.helm_says(arguments);
        assert_eq!(ran.exit, 0, "helm {arguments:?}: {}", ran.err);
        ran.out
    }

    /// The same, however it ends.
    pub fn helm_says(&self, arguments: &[&str]) -> Ran {
        let mut command = self.helm_command(self.plane.kubeconfig(), arguments);
        Ran::of(command.output().expect("helm starts"))
    }

    /// The same, to be started. Its home is the cluster's folder.
    pub fn helm_command(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.helm);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.plane.dir())
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null());
        command
    }

    /// What `status` says, by the administrator.
    pub fn status(&self) -> plugin::Said {
        plugin::status(self.plane.kubeconfig(), &[])
    }

    /// The installer's writes so far, as `verb uri`: reviews store nothing, and a dry run keeps nothing.
    pub fn writes(&self) -> Vec<String> {
        self.writes_of(INSTALLER)
    }

    /// The same of somebody else.
    pub fn writes_of(&self, user: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.plane.dir().join("audit.log")).expect("the audit log");
        assert!(log.contains("system:"), "the log holds the writes of others");
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = lines.filter(|event| event["user"]["username"] == user);
        own.filter_map(|event| {
            let (verb, uri) = (event["verb"].as_str()?, event["requestURI"].as_str()?);
            let counts = !uri.contains("dryRun=All") && !uri.contains("reviews");
            counts.then(|| format!("{verb} {uri}"))
        })
        .collect()
    }

    /// Everything in the cluster that an install could leave behind, but what the cluster makes of itself.
    pub fn inventory(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for path in [
            "/apis/apps/v1/daemonsets",
            "/apis/apps/v1/deployments",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/api/v1/namespaces",
            "/api/v1/secrets",
            "/api/v1/configmaps",
            "/api/v1/serviceaccounts",
            "/api/v1/services",
            "/apis/coordination.k8s.io/v1/leases",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "/apis/rbac.authorization.k8s.io/v1/roles",
            "/apis/rbac.authorization.k8s.io/v1/rolebindings",
        ] {
            let list = self.plane.get(path).expect("a list");
            for object in items(&list) {
                let meta = &object["metadata"];
                let text = |key: &str| meta[key].as_str().unwrap_or_default();
                let plural = path.rsplit('/').next().unwrap_or_default();
                all.insert(format!("{plural} {} {}", text("namespace"), text("name")));
            }
        }
        let nodes = self.plane.get(NODES).expect("nodes");
        for node in items(&nodes) {
            for taint in node["spec"]["taints"].as_array().into_iter().flatten() {
                all.insert(format!("taint {} {}", name(node), taint["key"]));
            }
        }
        let pods = self.plane.get("/api/v1/pods").expect("pods");
        for pod in items(&pods).iter().filter(|pod| {
            let owners = pod["metadata"]["ownerReferences"].as_array();
            owners.is_none_or(Vec::is_empty)
        }) {
            all.insert(format!("pod {}", name(pod)));
        }
        all
    }

    /// Asserts that the cluster holds what it held before, but for what is in, or is, one of these namespaces.
    pub fn is_as_before(&self, before: &BTreeSet<String>, but: &[&str]) {
        // What the garbage collector still has to find goes within moments.
        let end = Instant::now() + SOON;
        let differing = loop {
            let now = self.inventory();
            let left_out = |one: &&String| !one.split(' ').any(|word| but.contains(&word));
            let of = |mark: char, one: &String| format!("{mark} {one}");
            let more = now.difference(before).filter(left_out).map(|one| of('+', one));
            let less = before.difference(&now).filter(left_out).map(|one| of('-', one));
            let differing: Vec<String> = more.chain(less).collect();
            if differing.is_empty() || Instant::now() > end {
                break differing;
            }
            std::thread::sleep(Duration::from_millis(500));
        };
        assert!(differing.is_empty(), "{differing:#?}");
    }

    /// Nothing of ours is left but the journal's record of this release.
    pub fn only_the_record_is_left(&self, release: &str, version: &str) {
        for path in [
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubectl-byocni",
            "/api/v1/namespaces/kube-system/secrets/kubectl-byocni",
        ] {
            assert_eq!(self.plane.get(path), None, "{path}");
        }
        let pods = self.plane.get(KUBE_SYSTEM).expect("pods");
        assert_eq!(
            named(&pods, "kubectl-byocni-probe").count(),
            0,
            "probes are removed"
        );
        let journal = self.journal().expect("the journal");
        assert_eq!(journal["data"]["operation"], Value::Null, "{journal}");
        let records = journal["data"]["records"].as_str().unwrap_or_default();
        let records: Value = serde_json::from_str(records).expect("records");
        assert_eq!(records[release]["firstInstalled"], version, "{records}");
    }

    /// The ConfigMap that keeps the journal.
    pub fn journal(&self) -> Option<Value> {
        self.plane
            .get("/api/v1/namespaces/kube-system/configmaps/kubectl-byocni")
    }
}

impl Ran {
    /// What a run that has ended said.
    pub fn of(output: std::process::Output) -> Ran {
        plugin::fits_its_schema(&String::from_utf8_lossy(&output.stdout));
        Ran {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What a run that was started said in the end.
    pub fn end(child: Child) -> Ran {
        Ran::of(child.wait_with_output().expect("it ends"))
    }

    /// Asserts the exit code and words of standard output, wherever lines break.
    pub fn expect(&self, exit: i32, words: &[&str]) -> &Ran {
        assert_eq!(self.exit, exit, "\n{}\n{}", self.out, self.err);
        let said = self.said();
        for word in words {
            assert!(
                said.contains(word),
                "{word:?} is not in\n{}\n{}",
                self.out,
                self.err
            );
        }
        self
    }

    /// Everything that was said, in one line.
    pub fn said(&self) -> String {
        let all = format!("{}\n{}", self.out, self.err);
        all.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The items of a list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// An object's name.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Those whose names begin so.
pub fn named<'a>(list: &'a Value, beginning: &'a str) -> impl Iterator<Item = &'a Value> {
    items(list)
        .iter()
        .filter(move |object| name(object).starts_with(beginning))
}

/// Whether a node or pod says that it is Ready.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// The name of the `number`th of so many nodes of AKS.
pub fn node_name(number: usize, of: usize) -> String {
    name(&aks::nodes(of)[number]).to_owned()
}
