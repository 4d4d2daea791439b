//! Pods: in full where they are judged one by one, as a row of address and node where they are counted.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    object::{Condition, Meta, null_as_default, time},
    workload::Container,
};
use crate::core::text::Text;

/// A pod in full.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Name, namespace, labels, owner.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// Where it runs and what.
    pub spec: PodSpec,
    /// How it runs.
    pub status: PodStatus,
}

/// A pod's `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node; empty while it waits for one.
    #[serde(deserialize_with = "null_as_default")]
    pub node_name: Text,
    /// Uses the node's own address.
    #[serde(deserialize_with = "null_as_default")]
    pub host_network: bool,
    /// Containers.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub containers: Vec<Container>,
    /// Init containers.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub init_containers: Vec<Container>,
}

/// A pod's `status`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "null_as_default")]
    pub phase: Text,
    /// One word on why, such as `Evicted`.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: Text,
    /// The first address.
    #[serde(rename = "podIP", deserialize_with = "null_as_default")]
    pub pod_ip: Text,
    /// All addresses, one a family.
    #[serde(
        rename = "podIPs",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub pod_ips: Vec<PodIp>,
    /// The node's address.
    #[serde(rename = "hostIP", deserialize_with = "null_as_default")]
    pub host_ip: Text,
    /// Ready, PodScheduled and others.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// Containers.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub container_statuses: Vec<ContainerStatus>,
    /// Init containers.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// One address of a pod.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// The address.
    pub ip: Text,
}

/// How one container runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Ready for traffic.
    pub ready: bool,
    /// How often it was started again.
    pub restart_count: i64,
    /// The image that runs.
    #[serde(deserialize_with = "null_as_default")]
    pub image: Text,
    /// What it does now.
    #[serde(deserialize_with = "null_as_default")]
    pub state: ContainerState,
    /// What it did before.
    #[serde(deserialize_with = "null_as_default")]
    pub last_state: ContainerState,
}

/// One of three.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// Ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<Terminated>,
}

/// Why a container has not started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// One word: `ContainerCreating`, `CrashLoopBackOff`, `ImagePullBackOff`.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: Text,
    /// A sentence.
    #[serde(deserialize_with = "null_as_default")]
    pub message: Text,
}

/// Since when a container runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Its start.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
}

/// How a container ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// Its exit code.
    pub exit_code: i64,
    /// One word: `Error`, `OOMKilled`, `Completed`.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: Text,
    /// Its end.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub finished_at: Option<Timestamp>,
    /// Its last words, where it left some.
    #[serde(
        skip_serializing_if = "termination_message_is_empty",
        deserialize_with = "null_as_default"
    )]
    pub message: Text,
}

fn termination_message_is_empty(text: &Text) -> bool {
    text.is_empty()
}

impl Pod {
    /// Without what may hold secrets and what nothing is judged by.
    pub fn trimmed(mut self) -> Self {
        let spec = &mut self.spec;
        for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
            container.env.clear();
            container.args.clear();
            container.command.clear();
        }
        self.status
            .conditions
            .retain(|c| c.kind == "Ready" || c.kind == "PodScheduled");
        self
    }

    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == *kind)
    }

    /// Whether the Ready condition is True.
    pub fn ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }

    /// Whether all its containers have ended for good.
    pub fn finished(&self) -> bool {
        self.status.phase == "Succeeded" || self.status.phase == "Failed"
    }
}

/// What a pod does, as far as its address is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodState {
    /// Has no node yet.
    Unscheduled,
    /// Has a node and no sandbox yet, so no address either.
    Starting,
    /// Has a sandbox; what its containers do is not asked here.
    Running,
    /// Is being deleted: its address may be another's already.
    Terminating,
}

/// A pod as a row: enough to judge addresses by, small enough for 150,000 of them. Pods that have finished are not
/// rows: their addresses are free.
#[derive(Debug, Clone)]
pub struct PodRow {
    /// The name.
    pub name: Box<str>,
    /// Empty where it is not known: the server's Table has none in a list over all namespaces.
    pub namespace: Box<str>,
    /// The node; empty while it waits for one. Shared between the node's pods.
    pub node: Arc<str>,
    /// The first address.
    pub ip: Option<IpAddr>,
    /// The second family's address, where it was seen.
    pub second_ip: Option<IpAddr>,
    /// What it does.
    pub state: PodState,
    /// When it was made, where that is known.
    pub created: Option<Timestamp>,
    /// The object's identity, where it was read in full: the second look at a suspect must be at the same pod.
    pub uid: Box<str>,
}

impl PodRow {
    /// The addresses.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.ip.into_iter().chain(self.second_ip)
    }

    /// The row of a pod that was read in full; none where it has finished. `nodes` holds the names that are shared.
    pub fn of(pod: &Pod, nodes: &mut NodeNames) -> Option<PodRow> {
        if pod.finished() {
            return None;
        }
        let listed = pod.status.pod_ips.iter().map(|p| &p.ip);
        let mut ips = listed
            .chain([&pod.status.pod_ip])
            .filter_map(|ip| ip.parse::<IpAddr>().ok());
        let ip = ips.next();
        let second_ip = ips.find(|other| Some(*other) != ip);
        let state = if pod.meta.deletion_timestamp.is_some() {
            PodState::Terminating
        } else if pod.spec.node_name.is_empty() {
            PodState::Unscheduled
        } else if ip.is_none() {
            PodState::Starting
        } else {
            PodState::Running
        };
        Some(PodRow {
            name: pod.meta.name.as_str().into(),
            namespace: pod.meta.namespace.as_str().into(),
            node: nodes.shared(&pod.spec.node_name),
            ip,
            second_ip,
            state,
            created: pod.meta.creation_timestamp,
            uid: pod.meta.uid.as_str().into(),
        })
    }

    /// The pod that this row stands for, as far as it is known; [`PodRow::of`] gives the row back.
    pub fn to_pod(&self, taken_at: Timestamp) -> Pod {
        let mut pod = Pod::default();
        pod.meta.name = Text::new(&self.name);
        pod.meta.namespace = Text::new(&self.namespace);
        pod.meta.uid = Text::new(&self.uid);
        pod.meta.creation_timestamp = self.created;
        pod.meta.deletion_timestamp = (self.state == PodState::Terminating).then_some(taken_at);
        pod.spec.node_name = Text::new(&self.node);
        pod.status.phase = Text::new(if self.ip.is_some() { "Running" } else { "Pending" });
        pod.status.pod_ips = self
            .ips()
            .map(|ip| PodIp {
                ip: Text::new(&ip.to_string()),
            })
            .collect();
        pod.status.pod_ip = pod
            .status
            .pod_ips
            .first()
            .map(|p| p.ip.clone())
            .unwrap_or_default();
        pod
    }
}

/// Names of nodes, each held once.
#[derive(Debug, Default)]
pub struct NodeNames(HashSet<Arc<str>>);

impl NodeNames {
    /// The shared copy of a name.
    pub fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let new: Arc<str> = name.into();
        self.0.insert(new.clone());
        new
    }
}
