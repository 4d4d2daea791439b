//! One pod on a node: what happens to it, and the status that a kubelet would report. Asks no one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Behaviour;

/// What a kubelet needs to know of a pod.
#[derive(Clone, Debug, Deserialize)]
pub struct Pod {
    pub metadata: Metadata,
    pub spec: Spec,
    #[serde(default)]
    pub status: Status,
}

/// What the API says of a pod: not only a kubelet writes there.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Status {
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub deletion_timestamp: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub owner_references: Vec<Owner>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Owner {
    pub kind: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    #[serde(default)]
    pub node_name: String,
    #[serde(default)]
    pub host_network: bool,
    #[serde(default)]
    pub containers: Vec<Container>,
    #[serde(default)]
    pub init_containers: Vec<Container>,
    #[serde(default)]
    pub restart_policy: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Container {
    pub name: String,
    pub image: String,
    #[serde(default)]
    pub env: Vec<Variable>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Variable {
    pub name: String,
    #[serde(default)]
    pub value: String,
}

impl Pod {
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.spec
            .init_containers
            .iter()
            .chain(&self.spec.containers)
            .map(|container| container.image.as_str())
    }

    pub fn path(&self) -> String {
        format!(
            "/api/v1/namespaces/{}/pods/{}",
            self.metadata.namespace, self.metadata.name
        )
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// Bound to the node; the kubelet has seen it.
    New,
    /// There is no network to put it in.
    NoNetwork,
    /// `true` once the kubelet waits before it asks again.
    Pulling(bool),
    Running,
    /// Exited, and waits for its next start.
    Crashed(i32),
    /// Did its work and ended.
    Completed,
}

/// A pod and how far it has come.
pub struct Play {
    pub pod: Pod,
    stage: Stage,
    pub ready: bool,
    /// Its address, once it has one.
    pub ip: Option<String>,
    restarts: u32,
    seen: Timestamp,
    /// Start of the containers that run now, or ran last.
    started: Option<(Instant, Timestamp)>,
    changed: Timestamp,
    until: Option<Instant>,
    exit: Option<(i32, Timestamp, Timestamp)>,
    /// The status that the API has.
    pub sent: Value,
    probe_failed: bool,
    /// The CNI's agent exited by itself: what it needs is not there.
    pub refused: bool,
    /// Warnings to report: reason and message.
    pub warnings: Vec<(&'static str, String)>,
}

/// The address of a pod that is about to start, or the warning that says why it gets none.
pub type Address = Result<String, (&'static str, String)>;

/// How long a container that crashes runs.
const CRASHES_AFTER: Duration = Duration::from_millis(300);

impl Play {
    pub fn new(pod: Pod) -> Play {
        let now = Timestamp::now();
        Play {
            pod,
            stage: Stage::New,
            ready: false,
            ip: None,
            restarts: 0,
            seen: now,
            started: None,
            changed: now,
            until: None,
            exit: None,
            sent: Value::Null,
            probe_failed: false,
            refused: false,
            warnings: Vec::new(),
        }
    }

    /// The containers run, or ran and will again.
    pub fn has_started(&self) -> bool {
        matches!(self.stage, Stage::Running | Stage::Crashed(_) | Stage::Completed)
    }

    /// Takes the pod as the API has it now. Where somebody else has written another word on it being Ready, as the
    /// controller of nodes does for a node that was silent, this kubelet reports it anew.
    pub fn heard(&mut self, pod: Pod) {
        let ready = pod.status.conditions.iter().find(|c| c.kind == "Ready");
        let sent = self.sent["conditions"].as_array().into_iter().flatten();
        let mut sent = sent.filter(|condition| condition["type"] == "Ready");
        if let (Some(ready), Some(sent)) = (ready, sent.next())
            && sent["status"] != ready.status.as_str()
        {
            self.sent = Value::Null;
        }
        self.pod = pod;
    }

    /// Between an exit and the next start.
    pub fn backs_off(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Crashed(_)) && self.until.is_some_and(|until| until > now)
    }

    pub fn completed(&self) -> bool {
        self.stage == Stage::Completed
    }

    /// Takes it as far as it gets now. `address`: asked for when the pod is about to start. Returns when to look again.
    pub fn advance(
        &mut self,
        behaviour: &Behaviour,
        now: Instant,
        address: impl FnOnce() -> Address,
    ) -> Option<Instant> {
        let before = (self.stage.clone(), self.ready);
        self.until = self.until.filter(|until| *until > now);
        if !self.has_started() {
            self.begin(behaviour, now, address);
        }
        if self.has_started() && !self.completed() {
            self.carry_on(behaviour, now);
        }
        if before != (self.stage.clone(), self.ready) {
            self.changed = Timestamp::now();
        }
        self.until
    }

    fn begin(&mut self, behaviour: &Behaviour, now: Instant, address: impl FnOnce() -> Address) {
        if self.ip.is_none() {
            match address() {
                Ok(ip) => self.ip = Some(ip),
                Err(warning) => {
                    if self.stage != Stage::NoNetwork {
                        self.stage = Stage::NoNetwork;
                        self.warnings.push(warning);
                    }
                    return;
                }
            }
        }
        if *behaviour != Behaviour::ImagePull {
            self.run(now);
            return;
        }
        let image = self.pod.images().next().unwrap_or_default().to_owned();
        match self.stage {
            Stage::Pulling(true) => {}
            Stage::Pulling(false) if self.until.is_none() => {
                self.stage = Stage::Pulling(true);
                self.warnings
                    .push(("BackOff", format!("Back-off pulling image \"{image}\"")));
            }
            Stage::Pulling(false) => {}
            _ => {
                self.stage = Stage::Pulling(false);
                self.until = Some(now + Duration::from_secs(1));
                self.warnings.push((
                    "Failed",
                    format!("Failed to pull image \"{image}\": {}", missing(&image)),
                ));
            }
        }
    }

    fn carry_on(&mut self, behaviour: &Behaviour, now: Instant) {
        if let Stage::Crashed(_) = self.stage {
            let crashes_on = matches!(behaviour, Behaviour::CrashLoop { .. });
            if crashes_on && self.until.is_some() {
                return;
            }
            self.restarts += 1;
            self.run(now);
        }
        let running_for = self
            .started
            .map_or(Duration::ZERO, |(since, _)| now.duration_since(since));
        match behaviour {
            Behaviour::CrashLoop { exit_code } if running_for >= CRASHES_AFTER || self.ready => {
                self.crash(*exit_code, now);
            }
            Behaviour::CrashLoop { .. } => self.until = Some(now + CRASHES_AFTER - running_for),
            Behaviour::NeverReady => {
                if !self.probe_failed {
                    let message = "Readiness probe failed: HTTP probe failed with statuscode: 503".to_owned();
                    self.warnings.push(("Unhealthy", message));
                }
                self.probe_failed = true;
                self.ready = false;
            }
            Behaviour::Slow(needed) if running_for < *needed => {
                self.ready = false;
                self.until = Some(now + *needed - running_for);
            }
            _ if self.ends() => {
                self.stage = Stage::Completed;
                self.ready = false;
            }
            // What runs has its image; and a lost node reports nothing anyway.
            Behaviour::Healthy | Behaviour::Slow(_) | Behaviour::ImagePull | Behaviour::Lost => {
                self.ready = true;
                self.probe_failed = false;
            }
        }
    }

    /// A Job's pod, or a bare one that is not started again.
    fn ends(&self) -> bool {
        self.pod.spec.restart_policy != "Always"
            && self
                .pod
                .metadata
                .owner_references
                .iter()
                .any(|owner| owner.kind == "Job")
    }

    fn run(&mut self, now: Instant) {
        self.stage = Stage::Running;
        self.ready = false;
        self.until = None;
        self.started = Some((now, Timestamp::now()));
    }

    /// Ends its containers with this exit code.
    pub fn crash(&mut self, code: i32, now: Instant) {
        let started = self.started.map_or(self.seen, |(_, at)| at);
        self.exit = Some((code, started, Timestamp::now()));
        self.stage = Stage::Crashed(code);
        self.ready = false;
        // A kubelet waits 10 s, 20 s, … 300 s. Tests see the same states sooner.
        self.until = Some(now + Duration::from_millis(500) * 2u32.pow(self.restarts.min(6)));
        // A kubelet counts repetitions in one event; a few events do here.
        if !(self.restarts + 1).is_power_of_two() {
            return;
        }
        let container = self.pod.spec.containers.first().map_or("", |c| c.name.as_str());
        let Metadata {
            name, namespace, uid, ..
        } = &self.pod.metadata;
        let message =
            format!("Back-off restarting failed container {container} in pod {name}_{namespace}({uid})");
        self.warnings.push(("BackOff", message));
    }

    /// The whole status, as this kubelet's merge patch.
    pub fn status(&self, node_ip: &str) -> Value {
        let ready = self.ready;
        let initialised = self.has_started() || self.pod.spec.init_containers.is_empty();
        let names = |containers: &[Container]| {
            containers
                .iter()
                .map(|c| c.name.clone())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let containers = names(&self.pod.spec.containers);
        let initials = names(&self.pod.spec.init_containers);
        let unready = format!("containers with unready status: [{containers}]");
        let uninitialised = format!("containers with incomplete status: [{initials}]");
        let (since, seen) = (stamp(self.changed), stamp(self.seen));
        let condition = |kind: &str, holds: bool, at: &str, reason: &str, message: &str| {
            let mut condition = json!({"type": kind, "status": if holds { "True" } else { "False" },
                "lastProbeTime": null, "lastTransitionTime": at, "observedGeneration": 1});
            if !holds && !reason.is_empty() {
                condition["reason"] = reason.into();
                condition["message"] = message.into();
            }
            condition
        };
        let unready_reason = if self.completed() {
            "PodCompleted"
        } else {
            "ContainersNotReady"
        };
        let unready = if self.completed() { "" } else { unready.as_str() };
        let has_sandbox = self.ip.is_some() && !self.completed();
        let phase = match self.stage {
            Stage::New | Stage::NoNetwork | Stage::Pulling(_) => "Pending",
            Stage::Running | Stage::Crashed(_) => "Running",
            Stage::Completed => "Succeeded",
        };
        let mut status = json!({
            "phase": phase,
            "startTime": seen,
            "hostIP": node_ip,
            "hostIPs": [{"ip": node_ip}],
            "conditions": [
                condition("PodReadyToStartContainers", has_sandbox, &since, "", ""),
                condition("Initialized", initialised, &seen, "ContainersNotInitialized", &uninitialised),
                condition("Ready", ready, &since, unready_reason, unready),
                condition("ContainersReady", ready, &since, unready_reason, unready),
                condition("PodScheduled", true, &seen, "", ""),
            ],
            "containerStatuses": self.pod.spec.containers.iter()
                .map(|c| self.container_status(c)).collect::<Vec<_>>(),
        });
        if !self.pod.spec.init_containers.is_empty() {
            let statuses = self.pod.spec.init_containers.iter().enumerate();
            status["initContainerStatuses"] = statuses
                .map(|(position, c)| self.init_status(position, c))
                .collect();
        }
        if let Some(ip) = &self.ip {
            status["podIP"] = ip.as_str().into();
            status["podIPs"] = json!([{"ip": ip}]);
        }
        status
    }

    fn container_status(&self, container: &Container) -> Value {
        let started = self.started.map(|(_, at)| stamp(at));
        let waits_for_init = !self.pod.spec.init_containers.is_empty();
        let state = match &self.stage {
            Stage::Running => json!({"running": {"startedAt": started}}),
            Stage::Crashed(_) => {
                let Metadata {
                    name, namespace, uid, ..
                } = &self.pod.metadata;
                let container = &container.name;
                json!({"waiting": {"reason": "CrashLoopBackOff", "message": format!(
                    "back-off 10s restarting failed container={container} pod={name}_{namespace}({uid})"
                )}})
            }
            Stage::Completed => json!({"terminated": {"exitCode": 0, "reason": "Completed",
                "startedAt": started, "finishedAt": stamp(self.changed)}}),
            Stage::Pulling(waits) if !waits_for_init => pulling(*waits, &container.image),
            _ if waits_for_init => json!({"waiting": {"reason": "PodInitializing"}}),
            _ => json!({"waiting": {"reason": "ContainerCreating"}}),
        };
        let mut last = json!({});
        if let Some((code, from, to)) = self.exit {
            let reason = if code == 0 { "Completed" } else { "Error" };
            last = json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": stamp(from),
                "finishedAt": stamp(to), "containerID": self.container_id(container)}});
        }
        let runs = self.stage == Stage::Running;
        let mut status = json!({"name": container.name, "image": container.image, "imageID": "",
            "ready": self.ready, "restartCount": self.restarts, "started": runs, "state": state, "lastState": last});
        if self.has_started() {
            status["imageID"] = format!("sha256:{}", digits(&container.image)).into();
            status["containerID"] = self.container_id(container).into();
        }
        status
    }

    fn init_status(&self, position: usize, container: &Container) -> Value {
        let done = self.has_started();
        let state = match &self.stage {
            _ if done => json!({"terminated": {"exitCode": 0, "reason": "Completed",
                "startedAt": stamp(self.seen), "finishedAt": stamp(self.seen),
                "containerID": self.container_id(container)}}),
            Stage::Pulling(waits) if position == 0 => pulling(*waits, &container.image),
            _ => json!({"waiting": {"reason": "PodInitializing"}}),
        };
        let mut status = json!({"name": container.name, "image": container.image, "imageID": "", "ready": done,
            "restartCount": 0, "started": false, "state": state, "lastState": {}});
        if done {
            status["imageID"] = format!("sha256:{}", digits(&container.image)).into();
            status["containerID"] = self.container_id(container).into();
        }
        status
    }

    fn container_id(&self, container: &Container) -> String {
        let start = format!("{}{}{}", self.pod.metadata.uid, container.name, self.restarts);
        format!("containerd://{}", digits(&start))
    }
}

fn pulling(waits: bool, image: &str) -> Value {
    let cause = missing(image);
    match waits {
        false => json!({"waiting": {"reason": "ErrImagePull", "message": cause}}),
        true => json!({"waiting": {"reason": "ImagePullBackOff",
            "message": format!("Back-off pulling image \"{image}\": ErrImagePull: {cause}")}}),
    }
}

/// In containerd's words.
fn missing(image: &str) -> String {
    format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve \
         reference \"{image}\": {image}: not found"
    )
}

/// Seconds are all that the API keeps.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// 64 hexadecimal digits that always are the same for the same text.
pub fn digits(text: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let word = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, text).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    (0..4).map(word).collect()
}
