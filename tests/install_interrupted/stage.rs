//! The stage of these stories: an AKS cluster of three nodes, a proxy before its API server, a helm that notes when it was
//! called, and the plugin as a process that can be signalled.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::clusters::{
    Behaviour, ControlPlane, FakeKubelet, Options, Proxy, Which, aks, helm, programs, required_or_skip,
};

pub const NAMESPACED: &str = "/api/v1/namespaces/kube-system";
pub const JOURNAL: &str = "/api/v1/namespaces/kube-system/configmaps/kubectl-byocni";
pub const SECRET: &str = "/api/v1/namespaces/kube-system/secrets/kubectl-byocni";
pub const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubectl-byocni";
pub const AGENTS: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";

pub struct Stage {
    pub proxy: Proxy,
    pub kubelet: FakeKubelet,
    pub plane: ControlPlane,
    charts: PathBuf,
    helm: PathBuf,
    notes: PathBuf,
    fresh: BTreeSet<String>,
}

/// What a run of the plugin came to.
#[derive(Debug)]
pub struct Told {
    pub exit: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Stage {
    /// Of three nodes; `None` where the tier cannot run here.
    pub fn set(helm_major: u8) -> Option<Stage> {
        Stage::of(3, helm_major)
    }

    /// Of so many nodes.
    pub fn of(nodes: usize, helm_major: u8) -> Option<Stage> {
        let charts = required_or_skip("charts", programs::charts())?;
        let program = required_or_skip("control-plane", helm(helm_major))?;
        let options = Options {
            audit: true,
            ..aks::options()
        };
        let plane = required_or_skip("control-plane", ControlPlane::start(options))?;
        let kubelet = aks::start(&plane, nodes);
        let proxy = Proxy::start(&plane);
        let notes = plane.dir().join("helm-notes");
        fs::create_dir(&notes).expect("a folder for notes");
        let script = plane.dir().join("helm-noted");
        let text = format!(
            "#!/bin/sh\necho $$ > {0}/pid-$1\nexec {1} \"$@\"\n",
            notes.display(),
            program.display()
        );
        fs::write(&script, text).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a program");
        let mut stage = Stage {
            proxy,
            kubelet,
            plane,
            charts,
            helm: script,
            notes,
            fresh: BTreeSet::new(),
        };
        // What controllers make after a start belongs to the cluster, not to the change.
        until("the cluster comes to rest", Duration::from_secs(60), || {
            let before = stage.things();
            std::thread::sleep(Duration::from_millis(700));
            let same = before == stage.things();
            stage.fresh = before;
            same
        });
        Some(stage)
    }

    /// A chart of the tests.
    pub fn chart(&self, name: &str) -> String {
        self.charts.join(name).display().to_string()
    }

    /// From now on helm is replaced by this for one of its verbs.
    pub fn helm_lies(&mut self, verb: &str, deed: &str) {
        let script = self.plane.dir().join(format!("helm-{verb}"));
        let text = format!(
            "#!/bin/sh\necho $$ > {0}/pid-$1\nif [ \"$1\" = {verb} ]; then {deed}; fi\nexec {1} \"$@\"\n",
            self.notes.display(),
            self.helm.display()
        );
        fs::write(&script, text).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a program");
        self.helm = script;
    }

    /// The helm that is used.
    pub fn helm_program(&self) -> &Path {
        &self.helm
    }

    /// From now on this one is used.
    pub fn use_helm(&mut self, program: &Path) {
        self.helm = program.to_owned();
    }

    /// Helm as its users call it, by the administrator.
    pub fn helm(&self, arguments: &[&str]) -> Told {
        let home = self.plane.dir().join("helm-home");
        fs::create_dir_all(&home).expect("a folder");
        let begun = Instant::now();
        let output = Command::new(&self.helm)
            .args(arguments)
            .env_clear()
            .env("HOME", &home)
            .env("PATH", "/usr/bin:/bin")
            .env("KUBECONFIG", self.plane.kubeconfig())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("helm starts");
        Told {
            exit: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: begun.elapsed(),
        }
    }

    /// No agent's image can be pulled: the gate waits, and no agent ever runs.
    pub fn hold_agents(&self) {
        self.kubelet.set_everywhere(Which::Agent, Behaviour::ImagePull);
    }

    pub fn free_agents(&self) {
        self.kubelet.set_everywhere(Which::Agent, Behaviour::Healthy);
    }

    /// Starts the plugin.
    pub fn start(&self, arguments: &[&str]) -> Run {
        self.start_with(self.proxy.kubeconfig(), arguments)
    }

    /// Starts an install that asks, in a terminal; `None` where no terminal can be played.
    pub fn asked(&self, cni: &str) -> Option<Run> {
        let played = Command::new("script").arg("--version").output();
        required_or_skip(
            "terminal",
            played.map_err(|e| format!("script (util-linux): {e}")),
        )?;
        let line = format!(
            "{} install {cni} --repo {}",
            env!("CARGO_BIN_EXE_kubectl-byocni"),
            self.charts.display()
        );
        let (out, err) = (
            self.plane.dir().join("asked.out"),
            self.plane.dir().join("asked.err"),
        );
        let plugin = self.command(self.proxy.kubeconfig(), &[]);
        let mut script = Command::new("script");
        script.args(["-qec", line.as_str(), "/dev/null"]).env_clear();
        script.envs(plugin.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child = script
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .stdin(std::process::Stdio::piped())
            .stdout(File::create(&out).expect("a file"))
            .stderr(File::create(&err).expect("a file"))
            .spawn()
            .expect("script starts");
        Some(Run {
            begun: Instant::now(),
            child,
            // A terminal has one stream.
            err: out.clone(),
            out,
        })
    }

    pub fn start_with(&self, kubeconfig: &Path, arguments: &[&str]) -> Run {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = |end: &str| self.plane.dir().join(format!("plugin-{number}.{end}"));
        let (out, err) = (file("out"), file("err"));
        let child = self
            .command(kubeconfig, arguments)
            .stdin(std::process::Stdio::null())
            .stdout(File::create(&out).expect("a file"))
            .stderr(File::create(&err).expect("a file"))
            .spawn()
            .expect("the plugin starts");
        Run {
            begun: Instant::now(),
            child,
            out,
            err,
        }
    }

    pub fn command(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
        command
            .args(arguments)
            .env_clear()
            .envs(
                ["PATH", "HOME"]
                    .into_iter()
                    .filter_map(|n| Some((n, std::env::var_os(n)?))),
            )
            .envs([("LANG", "C.UTF-8"), ("COLUMNS", "160"), ("USER", "tester")])
            .env("KUBECONFIG", kubeconfig)
            .env("HELM_BIN", &self.helm)
            .env("TMPDIR", self.plane.dir());
        command
    }

    /// `install CNI --yes` from the charts of the tests.
    pub fn install(&self, cni: &str, more: &[&str]) -> Run {
        let charts = self.charts.display().to_string();
        let base = ["install", cni, "--yes", "--repo", charts.as_str()];
        self.start(&[&base[..], more].concat())
    }

    /// Runs a verb to its end, with `--yes`.
    pub fn run(&self, arguments: &[&str], limit: Duration) -> Told {
        self.start(&[arguments, &["--yes"]].concat()).end(limit)
    }

    /// The newest process of helm with this verb.
    pub fn helm_pid(&self, verb: &str) -> Option<Pid> {
        let text = fs::read_to_string(self.notes.join(format!("pid-{verb}"))).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    pub fn helm_lives(&self, verb: &str) -> bool {
        self.helm_pid(verb)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }

    /// `revision status` of the release's records, in order.
    pub fn release(&self, namespace: &str) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm");
        let list = self.plane.get(&path).unwrap_or_default();
        let label = |item: &Value, name: &str| {
            item.pointer(&format!("/metadata/labels/{name}"))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let mut all: Vec<(u32, String)> = items
            .iter()
            .map(|item| {
                let (version, status) = (label(item, "version"), label(item, "status"));
                (version.parse().unwrap_or(0), format!("{version} {status}"))
            })
            .collect();
        all.sort();
        all.into_iter().map(|(_, told)| told).collect()
    }

    /// Where the journal says that the change stands.
    pub fn phase(&self) -> Option<String> {
        let journal = self.plane.get(JOURNAL)?;
        let operation: Value = serde_json::from_str(journal["data"]["operation"].as_str()?).ok()?;
        operation["phase"].as_str().map(str::to_owned)
    }

    /// Asserts that the network was installed whole, and that nothing of ours is left but the record.
    pub fn assert_installed(&self, told: &Told) {
        assert_eq!(told.exit, Some(0), "{told:#?}");
        assert!(told.out.contains("DONE"), "{told:#?}");
        self.assert_whole();
    }

    /// The same of the cluster alone.
    pub fn assert_whole(&self) {
        self.assert_whole_but_probes();
        self.assert_no_probes();
    }

    /// The same, where probes were left to end by themselves.
    pub fn assert_whole_but_probes(&self) {
        let newest = self.release("kube-system").pop().unwrap_or_default();
        assert!(newest.ends_with(" deployed"), "{:?}", self.release("kube-system"));
        let agents = self.plane.get(AGENTS).expect("the agents");
        let status = &agents["status"];
        assert_eq!(
            status["numberReady"], status["desiredNumberScheduled"],
            "{agents}"
        );
        assert!(status["numberReady"].as_u64() >= Some(2), "{agents}");
        assert_eq!(self.phase(), None, "the journal is ended");
        assert!(self.plane.get(SECRET).is_none(), "the Secret is gone");
        assert!(self.plane.get(LEASE).is_none(), "the lock is given back");
    }

    pub fn assert_no_probes(&self) {
        let path = format!("{NAMESPACED}/pods?labelSelector=byocni.io%2Foperation");
        let pods = self.plane.get(&path).unwrap_or_default();
        let items = pods["items"].as_array().cloned().unwrap_or_default();
        let alive: Vec<&Value> = items
            .iter()
            .filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none())
            .map(|pod| &pod["metadata"]["name"])
            .collect();
        assert!(alive.is_empty(), "probes are left: {alive:?}");
    }

    /// Asserts that the cluster holds what it held before the first change, and nothing else.
    pub fn assert_fresh(&self) {
        let (mut more, mut less) = (vec![], vec![]);
        let end = Instant::now() + Duration::from_secs(20);
        // The garbage collector takes a moment.
        while Instant::now() < end {
            let now = self.things();
            more = now.difference(&self.fresh).cloned().collect::<Vec<_>>();
            less = self.fresh.difference(&now).cloned().collect();
            if more.is_empty() && less.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        panic!("the cluster is not as it was: too much {more:?}, too little {less:?}");
    }

    /// `path/name` of everything that a CNI's chart makes, and each node's taints.
    fn things(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for path in [
            "/api/v1/namespaces",
            "/api/v1/configmaps",
            "/api/v1/secrets",
            "/api/v1/services",
            "/api/v1/serviceaccounts",
            "/apis/apps/v1/daemonsets",
            "/apis/apps/v1/deployments",
            "/apis/batch/v1/jobs",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "/apis/rbac.authorization.k8s.io/v1/roles",
            "/apis/rbac.authorization.k8s.io/v1/rolebindings",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/apis/coordination.k8s.io/v1/leases",
        ] {
            let list = self.plane.get(path).unwrap_or_default();
            for item in list["items"].as_array().into_iter().flatten() {
                let part = |name: &str| item["metadata"][name].as_str().unwrap_or_default().to_owned();
                all.insert(format!("{path}/{}/{}", part("namespace"), part("name")));
            }
        }
        let nodes = self.plane.get("/api/v1/nodes").unwrap_or_default();
        for node in nodes["items"].as_array().into_iter().flatten() {
            let taints = node["spec"]["taints"].as_array().into_iter().flatten();
            let keys: BTreeSet<&str> = taints.filter_map(|t| t["key"].as_str()).collect();
            all.insert(format!("taints of {} {keys:?}", node["metadata"]["name"]));
        }
        all
    }

    /// Writes that the API server has noted from the plugin and from helm, tries and reviews left out.
    pub fn audited_writes(&self) -> Vec<String> {
        let text = fs::read_to_string(self.plane.dir().join("audit.log")).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ours = lines.filter(|event| {
            let agent = event["userAgent"].as_str().unwrap_or_default();
            let uri = event["requestURI"].as_str().unwrap_or_default();
            (agent.starts_with("kubectl-byocni/") || agent.starts_with("Helm/"))
                && !uri.contains("dryRun=All")
                && !uri.contains("reviews")
                && event["responseStatus"]["code"]
                    .as_u64()
                    .is_some_and(|code| code < 300)
        });
        ours.map(|event| format!("{} {}", event["verb"], event["requestURI"]))
            .collect()
    }
}

/// The plugin, running.
pub struct Run {
    begun: Instant,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Run {
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("the plugin runs");
    }

    /// Whether it has not ended yet.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Types this into its terminal.
    pub fn types(&mut self, keys: &str) {
        use std::io::Write as _;
        let input = self.child.stdin.as_mut().expect("a terminal");
        input.write_all(keys.as_bytes()).expect("typed");
        input.flush().expect("typed");
    }

    pub fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Waits until it says this on standard error.
    pub fn says(&mut self, what: &str) {
        let end = Instant::now() + Duration::from_secs(120);
        while !self.err().contains(what) {
            let ended = self.child.try_wait().expect("a child");
            assert!(
                ended.is_none() || self.err().contains(what),
                "it ended ({ended:?}) and did not say {what:?}:\n{}{}",
                fs::read_to_string(&self.out).unwrap_or_default(),
                self.err()
            );
            assert!(Instant::now() < end, "it does not say {what:?}:\n{}", self.err());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for its end.
    pub fn end(mut self, limit: Duration) -> Told {
        let end = Instant::now() + limit;
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("not over within {limit:?}:\n{}", self.err());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        Told {
            exit: status.code(),
            out: fs::read_to_string(&self.out).unwrap_or_default(),
            err: self.err(),
            took: self.begun.elapsed(),
        }
    }

    /// Ends it without asking, and waits until it is gone.
    pub fn kill(mut self) -> Told {
        self.child.kill().expect("the plugin runs");
        self.child.wait().expect("a child");
        Told {
            exit: None,
            out: String::new(),
            err: self.err(),
            took: self.begun.elapsed(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition.
pub fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub const MINUTE: Duration = Duration::from_secs(60);
/// The longest that one run may take here.
pub const LONG: Duration = Duration::from_secs(240);
