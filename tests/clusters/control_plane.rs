//! A real control plane on free ports: etcd, API server, controller manager, scheduler.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use super::api::Objects;
use super::pki::{self, Authority, Pair};
use super::programs::{Running, assets};

/// What differs between the clusters of the tests.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address that certificates, kubeconfig and the `kubernetes` service name.
    pub advertise: IpAddr,
    /// The address that the API server listens on.
    pub bind: IpAddr,
    pub service_cidr: &'static str,
    /// `None`: nodes get no podCIDR, as on AKS.
    pub pod_cidr: Option<&'static str>,
    pub node_mask: u8,
    /// Writes every change to `audit.log`, as metadata.
    pub audit: bool,
    /// How long a node may be silent before the controller manager calls it Unknown.
    pub node_grace: Duration,
    /// Controllers to run, in the words of `--controllers`.
    pub controllers: &'static str,
    pub scheduler: bool,
    /// More arguments for the API server; they win over ours.
    pub apiserver_arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            advertise: Ipv4Addr::LOCALHOST.into(),
            bind: Ipv4Addr::LOCALHOST.into(),
            service_cidr: "10.0.0.0/16",
            pod_cidr: None,
            node_mask: 24,
            audit: false,
            node_grace: Duration::from_secs(50),
            controllers: "*",
            scheduler: true,
            apiserver_arguments: Vec::new(),
        }
    }
}

impl Options {
    /// For [`super::fill`]: nothing looks after nodes and pods, so that they stay as they were written,
    /// and nothing but the API server uses the processor while the benchmark runs.
    pub fn for_fill() -> Options {
        // Both of these would be asked for each of 150,000 pods and answer "no such object".
        let unused = "LimitRanger,ResourceQuota";
        Options {
            controllers: "serviceaccount-controller,root-ca-certificate-publisher-controller",
            scheduler: false,
            apiserver_arguments: vec![
                format!("--disable-admission-plugins={unused}"),
                "--max-requests-inflight=0".to_owned(),
                "--max-mutating-requests-inflight=0".to_owned(),
                "--enable-priority-and-fairness=false".to_owned(),
                // Reads all of etcd a second time every five minutes: with 150,000 pods that is what would be measured.
                "--feature-gates=DetectCacheInconsistency=false".to_owned(),
            ],
            ..Options::default()
        }
    }
}

/// A running control plane. Dropping it stops the programs and removes its folder.
pub struct ControlPlane {
    // Dropped in this order: what asks before what answers.
    running: Vec<Running>,
    options: Options,
    port: u16,
    /// etcd's address.
    etcd: String,
    authority: Authority,
    kubeconfig: PathBuf,
    dir: Folder,
}

/// Removed with everything in it when dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("BYOCNI_TEST_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl ControlPlane {
    /// Starts one, in seconds. Ports are free when chosen; if another program takes one first, others are tried, and
    /// once more where a program gives up, as the API server does on a machine that is too busy.
    pub fn start(options: Options) -> Result<ControlPlane, String> {
        let programs = assets()?;
        let mut last = String::new();
        for _ in 0..3 {
            match ControlPlane::attempt(&programs, options.clone()) {
                Err(reason) if reason.contains("address already in use") || reason.contains(" ended (") => {
                    last = reason;
                }
                other => return other,
            }
        }
        Err(last)
    }

    fn attempt(programs: &Path, options: Options) -> Result<ControlPlane, String> {
        let dir = new_folder()?;
        let [etcd, peers, port, manager, scheduler] = free_ports()?;
        let authority = Authority::new()?;
        let kubeconfig = dir.0.join("admin.kubeconfig");
        let mut plane = ControlPlane {
            running: Vec::new(),
            options,
            port,
            etcd: format!("http://127.0.0.1:{etcd}"),
            authority,
            kubeconfig,
            dir,
        };
        plane.write_certificates()?;

        let (client, peer) = (plane.etcd.clone(), format!("http://127.0.0.1:{peers}"));
        plane.run(
            programs,
            "etcd",
            &[
                "--data-dir=etcd-data".to_owned(),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=default={peer}"),
                "--unsafe-no-fsync".to_owned(),
                "--quota-backend-bytes=8589934592".to_owned(),
                "--log-level=warn".to_owned(),
            ],
        )?;
        // The API server gives etcd twenty seconds, and tries again too rarely to meet one that comes up late.
        plane.wait_until_ready("etcd", |_| async {
            let there = tokio::net::TcpStream::connect(("127.0.0.1", etcd)).await;
            there.map(drop).map_err(|e| e.to_string())
        })?;
        plane.run(programs, "kube-apiserver", &plane.apiserver_arguments(&client))?;
        plane.wait_until_ready("API server", |client| async move {
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .map_err(|e| e.to_string())?;
            client
                .request_text(request)
                .await
                .map(drop)
                .map_err(|e| e.to_string())
        })?;
        plane.run(
            programs,
            "kube-controller-manager",
            &plane.manager_arguments(manager),
        )?;
        if plane.options.scheduler {
            plane.run(
                programs,
                "kube-scheduler",
                &[
                    "--kubeconfig=scheduler.kubeconfig".to_owned(),
                    "--leader-elect=false".to_owned(),
                    format!("--secure-port={scheduler}"),
                    "--bind-address=127.0.0.1".to_owned(),
                    "--kube-api-qps=1000".to_owned(),
                    "--kube-api-burst=1000".to_owned(),
                ],
            )?;
        }
        // Without it no pod can be created.
        plane.wait_until_ready(
            "controller manager (default service account)",
            |client| async move {
                let objects = Objects::new(client);
                objects
                    .get("/api/v1/namespaces/default/serviceaccounts/default")
                    .await
                    .map(drop)
            },
        )?;
        Ok(plane)
    }

    /// Starts the API server anew: its memory then holds the cluster, and not the history of its filling.
    pub fn restart_api_server(&mut self) -> Result<(), String> {
        let programs = assets()?;
        self.running.retain(|running| running.name() != "kube-apiserver");
        let arguments = self.apiserver_arguments(&self.etcd.clone());
        self.run(&programs, "kube-apiserver", &arguments)?;
        // The whole cluster is read from etcd once: then every list can be answered from memory.
        for path in [
            "/api/v1/pods?limit=1&resourceVersion=0",
            "/api/v1/nodes?limit=1&resourceVersion=0",
        ] {
            self.wait_until_ready("API server's memory of the cluster", |client| async move {
                Objects::new(client).get(path).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Holds `ca.crt`, `ca.key`, the programs' logs and `audit.log`.
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    pub fn url(&self) -> String {
        match self.options.advertise {
            IpAddr::V4(address) => format!("https://{address}:{}", self.port),
            IpAddr::V6(address) => format!("https://[{address}]:{}", self.port),
        }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The administrator's client. Belongs to the tokio runtime that it is asked for in.
    pub async fn client(&self) -> Client {
        client_from(self.kubeconfig())
            .await
            .expect("a client from our own kubeconfig")
    }

    /// A kubeconfig for a user with a certificate of their own, for tests of what rights allow.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> PathBuf {
        let name: String = user
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let pair = self
            .authority
            .client(user, groups)
            .expect("a certificate for the user");
        let path = self.dir().join(format!("{name}.kubeconfig"));
        self.write_kubeconfig(&path, user, &pair)
            .expect("a kubeconfig for the user");
        path
    }

    /// Creates or changes all objects in `yaml`, by server-side apply; a status in it is written too.
    pub fn apply(&self, yaml: &str) {
        self.ask(|client| async move { Objects::new(client).apply(yaml).await })
            .unwrap_or_else(|reason| panic!("cannot apply: {reason}\n{yaml}"));
    }

    /// The object or list at this path of the API; `None` if there is none.
    pub fn get(&self, path: &str) -> Option<serde_json::Value> {
        self.ask(|client| async move { Objects::new(client).find(path).await })
            .unwrap_or_else(|reason| panic!("cannot get {path}: {reason}"))
    }

    /// Deletes the object at this path of the API, if it is there.
    pub fn delete(&self, path: &str) {
        self.ask(|client| async move { Objects::new(client).delete(path).await })
            .unwrap_or_else(|reason| panic!("cannot delete {path}: {reason}"));
    }

    /// Waits until what is at `path` satisfies `holds`; panics with what was there last.
    pub fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        path: &str,
        holds: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let end = Instant::now() + limit;
        loop {
            let found = self.get(path);
            match found {
                Some(found) if holds(&found) => return found,
                found if Instant::now() > end => {
                    let found = serde_json::to_string_pretty(&found).unwrap_or_default();
                    panic!("not within {limit:?}: {what}; {path} is\n{found}")
                }
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Taints a node, as an administrator does.
    pub fn taint(&self, node: &str, taint: &serde_json::Value) {
        let path = format!("/api/v1/nodes/{node}");
        self.wait_for("a node is tainted", Duration::from_secs(60), &path, |object| {
            let mut taints = object["spec"]["taints"].as_array().cloned().unwrap_or_default();
            if taints.iter().any(|t| t["key"] == taint["key"]) {
                return true;
            }
            taints.push(taint.clone());
            let version = &object["metadata"]["resourceVersion"];
            let patch =
                serde_json::json!({"metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
            // A conflict is tried again: the node's own controllers write taints too.
            let path = &path;
            let _ = self.ask(|client| async move { Objects::new(client).merge(path, &patch).await });
            false
        });
    }

    /// Runs a future with a client, from code that is or is not in a tokio runtime.
    pub fn ask<T, F>(&self, question: impl FnOnce(Client) -> F + Send) -> T
    where
        T: Send,
        F: Future<Output = T>,
    {
        let kubeconfig = self.kubeconfig();
        // A thread of its own: a runtime cannot be started within another one's thread.
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a tokio runtime").block_on(async move {
                    question(
                        client_from(kubeconfig)
                            .await
                            .expect("a client from our own kubeconfig"),
                    )
                    .await
                })
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn run(&mut self, programs: &Path, name: &'static str, arguments: &[String]) -> Result<(), String> {
        let running = Running::start(programs, name, self.dir(), arguments.iter().cloned())?;
        self.running.insert(0, running);
        Ok(())
    }

    fn wait_until_ready<F>(&mut self, what: &str, ready: impl Fn(Client) -> F + Sync) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>>,
    {
        let end = Instant::now() + Duration::from_secs(180);
        loop {
            let reason = match self.ask(&ready) {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            if let Some(ended) = self.running.iter_mut().find_map(Running::ended) {
                return Err(ended);
            }
            if Instant::now() > end {
                return Err(format!("not ready within three minutes: {what}: {reason}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn apiserver_arguments(&self, etcd: &str) -> Vec<String> {
        let options = &self.options;
        let mut arguments: Vec<String> = [
            "--tls-cert-file=server.crt",
            "--tls-private-key-file=server.key",
            "--client-ca-file=ca.crt",
            "--kubelet-client-certificate=admin.crt",
            "--kubelet-client-key=admin.key",
            // Test nodes' names do not resolve.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-key-file=tokens.pub",
            "--service-account-signing-key-file=tokens.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--max-requests-inflight=800",
            "--max-mutating-requests-inflight=800",
            "--event-ttl=4h",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--etcd-servers={etcd}"));
        arguments.push(format!("--bind-address={}", options.bind));
        // Only the endpoints of the `kubernetes` service name it, and those cannot be on loopback.
        let endpoint = match options.advertise.is_loopback() {
            true => "203.0.113.10".to_owned(),
            false => options.advertise.to_string(),
        };
        arguments.push(format!("--advertise-address={endpoint}"));
        arguments.push(format!("--secure-port={}", self.port));
        arguments.push(format!("--service-cluster-ip-range={}", options.service_cidr));
        if options.audit {
            arguments.push("--audit-policy-file=audit-policy.yaml".to_owned());
            arguments.push("--audit-log-path=audit.log".to_owned());
        }
        arguments.extend(options.apiserver_arguments.iter().cloned());
        arguments
    }

    fn manager_arguments(&self, port: u16) -> Vec<String> {
        let options = &self.options;
        let mut arguments: Vec<String> = [
            "--kubeconfig=controller-manager.kubeconfig",
            "--service-account-private-key-file=tokens.key",
            "--root-ca-file=ca.crt",
            "--cluster-signing-cert-file=ca.crt",
            "--cluster-signing-key-file=ca.key",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--secure-port={port}"));
        arguments.push(format!("--service-cluster-ip-range={}", options.service_cidr));
        arguments.push(format!(
            "--node-monitor-grace-period={}s",
            options.node_grace.as_secs()
        ));
        arguments.push(format!("--controllers={}", options.controllers));
        match options.pod_cidr {
            None => arguments.push("--allocate-node-cidrs=false".to_owned()),
            Some(cidr) => {
                arguments.push("--allocate-node-cidrs=true".to_owned());
                arguments.push(format!("--cluster-cidr={cidr}"));
                if !cidr.contains(',') {
                    arguments.push(format!("--node-cidr-mask-size={}", options.node_mask));
                }
            }
        }
        arguments
    }

    fn write_certificates(&self) -> Result<(), String> {
        let options = &self.options;
        let mut names: Vec<String> = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
        ]
        .map(str::to_owned)
        .to_vec();
        names.extend([
            "127.0.0.1".to_owned(),
            options.advertise.to_string(),
            options.bind.to_string(),
        ]);
        for cidr in options.service_cidr.split(',') {
            let cidr: ipnet::IpNet = cidr.parse().map_err(|e| format!("{cidr}: {e}"))?;
            names.extend(cidr.hosts().next().map(|first| first.to_string()));
        }
        names.sort();
        names.dedup();
        self.write_pair("ca", &self.authority.pair)?;
        self.write_pair("server", &self.authority.server("kube-apiserver", names)?)?;
        let (private, public) = pki::token_keys()?;
        self.write("tokens.key", &private)?;
        self.write("tokens.pub", &public)?;
        let admin = self.authority.client("admin", &["system:masters"])?;
        self.write_pair("admin", &admin)?;
        self.write_kubeconfig(self.kubeconfig(), "admin", &admin)?;
        for name in ["controller-manager", "scheduler"] {
            let user = format!("system:kube-{name}");
            let path = self.dir().join(format!("{name}.kubeconfig"));
            self.write_kubeconfig(&path, &user, &self.authority.client(&user, &[])?)?;
        }
        self.write(
            "audit-policy.yaml",
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n\
             - {level: None, verbs: [get, list, watch]}\n- {level: Metadata}\n",
        )
    }

    fn write_pair(&self, name: &str, pair: &Pair) -> Result<(), String> {
        self.write(&format!("{name}.crt"), &pair.certificate)?;
        self.write(&format!("{name}.key"), &pair.key)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.dir().join(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn write_kubeconfig(&self, path: &Path, user: &str, pair: &Pair) -> Result<(), String> {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let text = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "byocni-test", "cluster": {
                "server": self.url(),
                "certificate-authority-data": encode(&self.authority.pair.certificate),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate-data": encode(&pair.certificate),
                "client-key-data": encode(&pair.key),
            }}],
            "contexts": [{"name": "byocni-test", "context": {"cluster": "byocni-test", "user": user}}],
            "current-context": "byocni-test",
        });
        let text = serde_yaml::to_string(&text).map_err(|e| e.to_string())?;
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// A client of exactly this kubeconfig: nothing of the environment, no hidden repetitions.
pub async fn client_from(kubeconfig: &Path) -> Result<Client, String> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(|e| e.to_string())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|e| e.to_string())?;
    config.proxy_url = None;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    Client::try_from(config).map_err(|e| e.to_string())
}

/// Five that were free at the same moment.
fn free_ports() -> Result<[u16; 5], String> {
    let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string());
    let listeners = [listener()?, listener()?, listener()?, listener()?, listener()?];
    let mut ports = [0; 5];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr().map_err(|e| e.to_string())?.port();
    }
    Ok(ports)
}

/// A folder for this cluster; those that killed processes left behind are removed first.
fn new_folder() -> Result<Folder, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    const PREFIX: &str = "byocni-cluster-";
    let parent = std::env::temp_dir();
    for entry in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    // Keys are in there.
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Folder(path))
}
