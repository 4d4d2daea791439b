//! One node: its heartbeats, its pods, and its network once the CNI's agent runs.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::cni::{self, Network};
use super::pod::{Address, Play, digits, stamp};
use super::{Behaviour, Message, Shared};

/// What a kubelet says as long as there is no file in /etc/cni/net.d.
pub const NO_NETWORK: &str = "container runtime network not ready: NetworkReady=false \
    reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";

struct Node {
    shared: Arc<Shared>,
    name: String,
    ip: String,
    plays: HashMap<String, Play>,
    /// There since an agent ran for the first time: it stays when the agent does not.
    network: Option<Network>,
    /// UID of the agent's pod that is up.
    agent: Option<String>,
    addresses: BTreeSet<Ipv4Addr>,
    ready_since: Timestamp,
}

/// Plays `object` until it is taken away.
pub async fn play(shared: Arc<Shared>, object: Value, mut inbox: UnboundedReceiver<Message>) {
    let mut node = Node::new(shared, &object);
    node.register(object).await;
    node.shared.registered.fetch_add(1, Ordering::AcqRel);
    let heartbeat = node.shared.heartbeat;
    // Spread over the period by name, as real kubelets are by the time of their start.
    let offset = u64::from_str_radix(&digits(&node.name)[..8], 16).unwrap_or_default();
    let first = tokio::time::Instant::now() + heartbeat.mul_f64(offset as f64 / f64::from(u32::MAX));
    let mut heartbeats = tokio::time::interval_at(first, heartbeat);
    heartbeats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut wake: Option<Instant> = None;
    let mut silent = false;
    let mut renewed = Instant::now();
    loop {
        let rest = wake.map_or(Duration::from_secs(3600), |at| {
            at.saturating_duration_since(Instant::now())
        });
        tokio::select! {
            message = inbox.recv() => {
                let mut next = message;
                loop {
                    match next {
                        None | Some(Message::Stop) => return,
                        Some(message) => node.take(message),
                    }
                    match inbox.try_recv() {
                        Ok(message) => next = Some(message),
                        Err(_) => break,
                    }
                }
            }
            _ = tokio::time::sleep(rest) => {}
            _ = heartbeats.tick() => {
                if !node.shared.lost(&node.name) {
                    node.renew_lease().await;
                    // Late, on a busy machine: it may have been called Unknown, which a kubelet puts right.
                    if renewed.elapsed() > heartbeat * 3 {
                        node.report().await;
                        // Its pods were called not Ready with it: they are reported anew in this round.
                        for play in node.plays.values_mut() {
                            play.sent = Value::Null;
                        }
                    }
                    renewed = Instant::now();
                }
            }
        }
        if node.shared.lost(&node.name) {
            silent = true;
            wake = None;
            continue;
        }
        if std::mem::take(&mut silent) {
            node.renew_lease().await;
            node.report().await;
        }
        wake = node.round().await;
    }
}

impl Node {
    fn new(shared: Arc<Shared>, object: &Value) -> Node {
        let addresses = object["status"]["addresses"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let ip = addresses
            .iter()
            .find(|a| a["type"] == "InternalIP")
            .map(|a| &a["address"]);
        Node {
            shared,
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            ip: ip
                .and_then(Value::as_str)
                .expect("a node has an InternalIP")
                .to_owned(),
            plays: HashMap::new(),
            network: None,
            agent: None,
            addresses: BTreeSet::new(),
            ready_since: Timestamp::now(),
        }
    }

    async fn register(&mut self, mut object: Value) {
        object["status"]["conditions"] = self.conditions();
        let objects = &self.shared.objects;
        self.retry("register", || {
            async { objects.create("/api/v1/nodes", &object).await.map(drop) }.boxed()
        })
        .await;
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": self.name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": micro_now()}});
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        self.retry("make the lease of", || {
            async { objects.create(path, &lease).await.map(drop) }.boxed()
        })
        .await;
    }

    async fn renew_lease(&self) {
        let path = format!(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{}",
            self.name
        );
        let patch = json!({"spec": {"renewTime": micro_now()}});
        let objects = &self.shared.objects;
        self.retry("renew the lease of", || {
            async { objects.merge(&path, &patch).await.map(drop) }.boxed()
        })
        .await;
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Pod(pod) => {
                let uid = pod.metadata.uid.clone();
                match self.plays.get_mut(&uid) {
                    Some(play) => play.heard(*pod),
                    None => drop(self.plays.insert(uid, Play::new(*pod))),
                }
            }
            Message::Gone(uid) => self.forget(&uid),
            Message::Look | Message::Stop => {}
        }
    }

    fn forget(&mut self, uid: &str) {
        if let Some(play) = self.plays.remove(uid)
            && let Some(ip) = play.ip.and_then(|ip| ip.parse().ok())
        {
            self.addresses.remove(&ip);
        }
    }

    /// Takes every pod as far as it gets now. Returns when to look again.
    async fn round(&mut self) -> Option<Instant> {
        let mut uids: Vec<String> = self.plays.keys().cloned().collect();
        // The agent first: what waits for the network then starts in the same round.
        uids.sort_by_key(|uid| cni::agent(&self.plays[uid].pod).is_none());
        let mut wake: Option<Instant> = None;
        for uid in uids {
            // Out of the map while it is played: its neighbours are ours to look at.
            let Some(mut play) = self.plays.remove(&uid) else {
                continue;
            };
            if play.pod.metadata.deletion_timestamp.is_some() {
                let path = play.pod.path();
                let objects = &self.shared.objects;
                self.retry("end a pod on", || {
                    async { objects.delete_now(&path, &uid).await.map(drop) }.boxed()
                })
                .await;
                self.plays.insert(uid.clone(), play);
                self.forget(&uid);
                continue;
            }
            let next = self.advance(&mut play, &uid).await;
            wake = [wake, next].into_iter().flatten().min();
            self.plays.insert(uid, play);
        }
        let up = self
            .agent
            .as_ref()
            .is_some_and(|uid| self.plays.get(uid).is_some_and(|play| play.ready));
        if self.agent.is_some() && !up {
            self.agent = None;
            self.taint(true).await;
        }
        wake
    }

    async fn advance(&mut self, play: &mut Play, uid: &str) -> Option<Instant> {
        let now = Instant::now();
        let behaviour = match play.refused && play.backs_off(now) {
            true => Behaviour::CrashLoop { exit_code: 1 },
            false => self.shared.behaviour(&self.name, &play.pod),
        };
        let was_ready = play.ready;
        let host_network = play.pod.spec.host_network;
        let mut wake = play.advance(&behaviour, now, || self.address(host_network));
        let agent = cni::agent(&play.pod);
        if agent.is_some() && play.ready && self.agent.as_deref() != Some(uid) {
            match self.bring_up(play).await {
                Ok(()) => {
                    self.agent = Some(uid.to_owned());
                    play.refused = false;
                }
                Err(_) => {
                    play.refused = true;
                    play.crash(1, now);
                    wake = play.advance(&Behaviour::CrashLoop { exit_code: 1 }, now, || Ok(String::new()));
                }
            }
        }
        let status = play.status(&self.ip);
        if status != play.sent {
            let path = format!("{}/status", play.pod.path());
            let patch = json!({"status": status});
            let objects = &self.shared.objects;
            self.retry("report a pod of", || {
                async { objects.merge(&path, &patch).await.map(drop) }.boxed()
            })
            .await;
            play.sent = status;
        }
        for (reason, message) in std::mem::take(&mut play.warnings) {
            self.warn(play, reason, &message).await;
        }
        if play.ready && !was_ready {
            cni::started(&self.shared, &play.pod).await;
        }
        wake
    }

    /// An address for a pod that starts now.
    fn address(&mut self, host_network: bool) -> Address {
        if host_network {
            return Ok(self.ip.clone());
        }
        let Some(network) = &self.network else {
            return Err(("NetworkNotReady", format!("network is not ready: {NO_NETWORK}")));
        };
        let failed = |why: &str| {
            let plugin = network.plugin();
            let message = format!(
                "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for \
                 sandbox: plugin type=\"{plugin}\" failed (add): {why}"
            );
            ("FailedCreatePodSandBox", message)
        };
        if self.agent.is_none() && network.needs_agent() {
            return Err(failed("unable to connect to the agent: connection refused"));
        }
        let free = network
            .addresses()
            .find(|address| !self.addresses.contains(address));
        let Some(free) = free else {
            return Err(failed("range is full"));
        };
        self.addresses.insert(free);
        Ok(free.to_string())
    }

    /// The agent runs: what it and its operator do for this node.
    async fn bring_up(&mut self, play: &Play) -> Result<(), String> {
        let network = cni::bring_up(&self.shared, &self.name, &self.ip, &play.pod).await?;
        let first = self.network.is_none();
        self.network = Some(network);
        if first {
            self.ready_since = Timestamp::now();
            self.report().await;
        }
        self.taint(false).await;
        Ok(())
    }

    /// Cilium's operator keeps pods away from nodes whose agent does not run.
    async fn taint(&self, wanted: bool) {
        if !self.network.as_ref().is_some_and(Network::is_cilium) {
            return;
        }
        let path = format!("/api/v1/nodes/{}", self.name);
        let objects = &self.shared.objects;
        self.retry("taint", || {
            async {
                let Some(node) = objects.find(&path).await? else {
                    return Ok(());
                };
                cni::taint(objects, &node, wanted).await
            }
            .boxed()
        })
        .await;
    }

    /// Writes the node's conditions.
    async fn report(&self) {
        let path = format!("/api/v1/nodes/{}/status", self.name);
        let patch = json!({"status": {"conditions": self.conditions()}});
        let objects = &self.shared.objects;
        self.retry("report", || {
            async { objects.merge_conditions(&path, &patch).await.map(drop) }.boxed()
        })
        .await;
    }

    fn conditions(&self) -> Value {
        let (now, since) = (stamp(Timestamp::now()), stamp(self.ready_since));
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": now, "lastTransitionTime": since})
        };
        let ready = match self.network {
            Some(_) => condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            None => condition("Ready", "False", "KubeletNotReady", NO_NETWORK),
        };
        json!([
            condition(
                "MemoryPressure",
                "False",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available"
            ),
            condition(
                "DiskPressure",
                "False",
                "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure"
            ),
            condition(
                "PIDPressure",
                "False",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available"
            ),
            ready,
        ])
    }

    async fn warn(&self, play: &Play, reason: &str, message: &str) {
        let metadata = &play.pod.metadata;
        let now = Timestamp::now();
        let name = format!("{}.{:x}", metadata.name, now.as_nanosecond());
        let event = json!({"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": metadata.namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": metadata.name,
                "namespace": metadata.namespace, "uid": metadata.uid},
            "type": "Warning", "reason": reason, "message": message, "count": 1,
            "firstTimestamp": stamp(now), "lastTimestamp": stamp(now),
            "source": {"component": "kubelet", "host": self.name},
            "reportingComponent": "kubelet", "reportingInstance": self.name});
        let path = format!("/api/v1/namespaces/{}/events", metadata.namespace);
        // A namespace that is being deleted takes no events.
        let _permit = self.shared.permits.acquire().await;
        let _ = self.shared.objects.create(&path, &event).await;
    }

    /// Until it works, as a kubelet does, but not for ever: a cluster that is gone is not asked again.
    async fn retry<'a>(&'a self, what: &str, write: impl Fn() -> BoxFuture<'a, Result<(), String>>) {
        let mut reason = String::new();
        for attempt in 0..20 {
            let permit = self.shared.permits.acquire().await;
            match write().await {
                Ok(()) => return,
                Err(error) => reason = error,
            }
            drop(permit);
            tokio::time::sleep(Duration::from_millis(50 << attempt.min(5))).await;
        }
        eprintln!("fake kubelet: cannot {what} {}: {reason}", self.name);
    }
}

/// Leases are renewed in microseconds.
fn micro_now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
