//! Real nodes without a CNI: containerd and kubelet in namespaces of their own, beside a real control plane.
//!
//! Nothing of a cluster is left when it is dropped, or when the test is killed: the kernel then kills the nodes'
//! first processes, with them go their network namespaces, links and mounts; a caretaker process removes cgroups
//! and files. No firewall rule and no setting of the machine is changed: the nodes' bridge has a network
//! namespace of its own, and one link to the machine, whose end there has the address that the API server uses.

mod network;
pub mod stories;
mod waiting;

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::control_plane::{ControlPlane, Options};
use super::programs::{Running, assets, cache, charts};
use network::{in_network_of, link_machine_to_switch, wait_for_own_network};
pub use waiting::{all, condition, waiting_reasons};

/// Images that every cluster has; others by the names that `real-nodes/images.sh` knows.
const IMAGES: [&str; 4] = ["pause", "agnhost", "coredns", "kube-proxy"];
const POD_CIDR: &str = "10.244.0.0/16";
const SERVICE_CIDR: &str = "10.0.0.0/16";
const CLUSTER_DNS: &str = "10.0.0.10";
/// A file of values that Cilium's chart needs on these nodes, beside those that a test is about.
pub const CILIUM_VALUES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/clusters/real-nodes/cilium-values.yaml"
);

/// What differs between the clusters of the tests.
#[derive(Clone, Debug)]
pub struct RealNodesOptions<'a> {
    pub nodes: u8,
    /// Whether nodes get a podCIDR (kubeadm) or not (AKS BYOCNI).
    pub node_cidrs: bool,
    /// More images: `flannel`, `flannel-v0.28.3`, `cilium-v1.19.6`, `cilium-v1.20.0`, `traffic`.
    pub images: &'a [&'a str],
    /// `helm3` or `helm4`.
    pub helm: &'static str,
}

impl Default for RealNodesOptions<'_> {
    fn default() -> Self {
        RealNodesOptions {
            nodes: 2,
            node_cidrs: true,
            images: &[],
            helm: "helm3",
        }
    }
}

/// A running cluster. Dropping it ends and removes everything that it consists of.
pub struct RealNodes {
    // Dropped in this order.
    nodes: Vec<Running>,
    switch: Option<Running>,
    plane: ControlPlane,
    helm: &'static str,
    dir: PathBuf,
    // The last: it removes what the others leave.
    _caretaker: Caretaker,
}

/// What this machine lacks for real nodes with these images, in one line.
pub fn prerequisites(images: &[&str]) -> Result<(), String> {
    if std::fs::metadata("/proc/self").map_or(1, |process| process.uid()) != 0 {
        return Err("not root".to_owned());
    }
    let programs = "containerd containerd-shim-runc-v2 ctr runc ip iptables xtables-nft-multi ipset conntrack busybox \
                    unshare nsenter setpriv flock hostname sysctl python3 gcc kubectl";
    let mut wanted: Vec<&str> = programs.split_whitespace().collect();
    let cilium = images.iter().any(|image| image.starts_with("cilium-"));
    if cilium && !cache()?.join("images/debian/.complete").is_file() {
        wanted.push("debootstrap");
    }
    wanted.retain(|name| find_program(name).is_none());
    if !wanted.is_empty() {
        return Err(format!("not installed: {}", wanted.join(", ")));
    }
    let folders = ["/usr/lib/cni", "/usr/libexec/cni"];
    if !folders
        .iter()
        .any(|folder| Path::new(folder).join("loopback").is_file())
    {
        return Err("not installed: containernetworking-plugins".to_owned());
    }
    assets()?;
    let built = node_programs()?;
    let mut wanted: Vec<PathBuf> = ["kubelet", "kube-proxy", "agnhost", "coredns"]
        .iter()
        .map(|name| built.join(name))
        .collect();
    for image in images {
        wanted.push(match image.split_once('-') {
            Some(("cilium", version)) => built.join("cilium").join(version).join("cilium-operator-generic"),
            Some((flannel, version)) => built.join(flannel).join(version).join("flanneld"),
            None if *image == "flannel" => built.join("flanneld"),
            // Made of a file of this repository.
            None => continue,
        });
    }
    match wanted.iter().find(|program| !program.is_file()) {
        Some(program) => Err(format!(
            "no {}: build it with tests/clusters/build.sh '{}' real-nodes",
            program.display(),
            built.display()
        )),
        None => Ok(()),
    }
}

/// Where kubelet and what runs on nodes are; the folder of the control plane's programs may lack them.
fn node_programs() -> Result<PathBuf, String> {
    Ok(cache()?.join("bin"))
}

impl RealNodes {
    /// Brings up the control plane and its nodes; returns when the nodes have reported. Makes images that are not
    /// there yet, which takes a minute for each Cilium the first time.
    pub fn start(options: RealNodesOptions<'_>) -> Result<RealNodes, String> {
        prerequisites(options.images)?;
        let programs = node_programs()?;
        let images = cache()?.join("images");
        make_images(&programs, &images, options.images)?;

        let dir = new_folder()?;
        let tag = format!(
            "byocni-{}",
            dir.file_name().and_then(OsStr::to_str).unwrap_or_default()
        );
        let caretaker = Caretaker::start(&tag, &dir)?;

        let switch = in_namespaces(&dir.join("switch"), &["--net", "sleep", "infinity"])?;
        wait_for_own_network(switch.pid())?;
        let subnet = link_machine_to_switch(switch.pid())?;
        let gateway = format!("10.89.{subnet}.1");

        let address = gateway.parse().map_err(|e| format!("{gateway}: {e}"))?;
        let plane = ControlPlane::start(Options {
            advertise: address,
            bind: address,
            service_cidr: SERVICE_CIDR,
            pod_cidr: options.node_cidrs.then_some(POD_CIDR),
            ..Options::default()
        })?;
        let mut cluster = RealNodes {
            nodes: Vec::new(),
            switch: Some(switch),
            plane,
            helm: options.helm,
            dir,
            _caretaker: caretaker,
        };
        for number in 1..=options.nodes {
            cluster.start_node(number, subnet, &tag, &programs, &images)?;
        }
        let addons = include_str!("real-nodes/addons.yaml")
            .replace("@POD_CIDR@", POD_CIDR)
            .replace("@SERVER@", &cluster.plane.url())
            .replace("@CLUSTER_DNS@", CLUSTER_DNS);
        cluster.plane.apply(&addons);
        cluster.wait_for_nodes()?;
        Ok(cluster)
    }

    fn start_node(
        &mut self,
        number: u8,
        subnet: u8,
        tag: &str,
        programs: &Path,
        images: &Path,
    ) -> Result<(), String> {
        let name = format!("node-{number}");
        let dir = self.dir.join(&name);
        std::fs::create_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let user = self
            .plane
            .kubeconfig_for(&format!("system:node:{name}"), &["system:nodes"]);
        for (from, to) in [(user, "kubeconfig"), (self.plane.dir().join("ca.crt"), "ca.crt")] {
            std::fs::copy(&from, dir.join(to)).map_err(|e| format!("{}: {e}", from.display()))?;
        }
        let script = scripts().join("node.sh");
        let arguments = [
            "--net --mount --pid --uts --fork --kill-child=KILL --mount-proc --propagation private",
            // Nothing of the test's environment (proxies, above all) is meant for the node.
            "env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash",
        ]
        .join(" ");
        let address = format!("10.89.{subnet}.{}/24", number + 1);
        let (gateway, cgroup) = (format!("10.89.{subnet}.1"), format!("{tag}-{name}"));
        let mut words: Vec<&OsStr> = arguments.split(' ').map(OsStr::new).collect();
        words.push(script.as_os_str());
        words.extend([&name, &address, &gateway, CLUSTER_DNS, &cgroup].map(OsStr::new));
        words.extend([programs, images, &dir].map(Path::as_os_str));
        let node = in_namespaces(&dir, &words)?;
        let (pid, switch) = (node.pid(), self.switch.as_ref().map_or(0, Running::pid));
        self.nodes.push(node);
        wait_for_own_network(pid)?;
        let (port, pid) = (format!("port{number}"), pid.to_string());
        in_network_of(
            switch,
            &[
                "ip", "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &pid,
            ],
        )?;
        in_network_of(switch, &["ip", "link", "set", &port, "master", "bridge", "up"])
    }

    fn wait_for_nodes(&mut self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(ended) = self.nodes.iter_mut().find_map(Running::ended) {
                return Err(ended);
            }
            let nodes = self.plane.get("/api/v1/nodes").unwrap_or_default();
            let reported = nodes["items"].as_array().map_or(0, |nodes| {
                nodes
                    .iter()
                    .filter(|node| node["status"]["conditions"].is_array())
                    .count()
            });
            if reported == self.nodes.len() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!(
                    "{reported} of {} nodes have reported within a minute",
                    self.nodes.len()
                ));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        self.plane.kubeconfig()
    }

    /// The nodes' logs are in `node-N/` here.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `KEY=VALUE` for `sh`, so that a person's helm and kubectl act on this cluster.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("KUBECONFIG", self.kubeconfig().to_path_buf()),
            ("HELM_CACHE_HOME", self.dir.join("helm/cache")),
            ("HELM_CONFIG_HOME", self.dir.join("helm/config")),
            ("HELM_DATA_HOME", self.dir.join("helm/data")),
        ]
    }

    /// Runs kubectl as administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.run(Path::new("kubectl"), arguments)
    }

    /// Runs kubectl; panics with what it said if it fails.
    pub fn kubectl_ok(&self, arguments: &[&str]) -> String {
        succeeded("kubectl", arguments, self.kubectl(arguments))
    }

    /// Runs plain helm as administrator, without anything of this user's helm.
    pub fn helm(&self, arguments: &[&str]) -> Output {
        let helm = node_programs().map(|programs| programs.join(self.helm).join("helm"));
        self.run(&helm.unwrap_or_else(|_| "helm".into()), arguments)
    }

    /// Runs helm; panics with what it said if it fails.
    pub fn helm_ok(&self, arguments: &[&str]) -> String {
        succeeded("helm", arguments, self.helm(arguments))
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command
            .env_clear()
            .env("HOME", &self.dir)
            .envs(self.environment());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .output()
            .unwrap_or_else(|e| panic!("cannot run {}: {e}", program.display()))
    }

    /// Installs or upgrades a release of a chart's archive and of no other values than these.
    pub fn install(&self, release: &str, namespace: &str, archive: &str, values: &[&str]) -> String {
        let chart = charts()
            .map(|charts| charts.join(archive))
            .unwrap_or_else(|reason| panic!("{reason}"));
        let chart = chart.to_string_lossy().into_owned();
        let mut arguments = vec![
            "upgrade",
            "--install",
            release,
            &chart,
            "--namespace",
            namespace,
            "--create-namespace",
        ];
        for value in values {
            arguments.push(if value.ends_with(".yaml") {
                "--values"
            } else {
                "--set"
            });
            arguments.push(value);
        }
        self.helm_ok(&arguments)
    }
}

fn succeeded(program: &str, arguments: &[&str], output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {}: {}\n{said}",
        arguments.join(" "),
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The process that removes a cluster's cgroups and files once this process has ended or dropped it.
struct Caretaker(Child);

impl Caretaker {
    fn start(tag: &str, dir: &Path) -> Result<Caretaker, String> {
        let mut command = Command::new("bash");
        command.arg(scripts().join("caretaker.sh")).arg(tag).arg(dir);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Ctrl-C in a terminal must not end it too.
        command.process_group(0);
        command
            .spawn()
            .map(Caretaker)
            .map_err(|e| format!("caretaker.sh: {e}"))
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clusters/real-nodes")
}

fn make_images(programs: &Path, images: &Path, more: &[&str]) -> Result<(), String> {
    let mut command = Command::new("bash");
    command
        .arg(scripts().join("images.sh"))
        .args([programs, images])
        .args(IMAGES)
        .args(more);
    run(&mut command)
}

/// A folder beside the images, so that nodes can link to them. Its name holds our process id.
fn new_folder() -> Result<PathBuf, String> {
    let parent = cache()?.join("nodes");
    std::fs::create_dir_all(&parent).map_err(|e| format!("{}: {e}", parent.display()))?;
    for entry in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
        // Its caretaker did not come to it: the machine was switched off, say.
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let own = std::process::id();
    let free = (0..1000).map(|number| parent.join(format!("{own}-{number}")));
    for folder in free {
        match std::fs::create_dir(&folder) {
            Ok(()) => {
                std::fs::create_dir(folder.join("switch")).map_err(|e| e.to_string())?;
                return Ok(folder);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(format!("{}: {e}", folder.display())),
        }
    }
    Err(format!("no free name in {}", parent.display()))
}

/// Starts `unshare` with these arguments; it ends with us, and all that it started ends with it.
fn in_namespaces(dir: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Running, String> {
    let unshare = find_program("unshare").ok_or("no unshare on the PATH")?;
    let folder = unshare.parent().unwrap_or(Path::new("/usr/bin"));
    Running::start(
        folder,
        "unshare",
        dir,
        arguments.iter().map(|word| word.as_ref().to_owned()),
    )
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    ))
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
