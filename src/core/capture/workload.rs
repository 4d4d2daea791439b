//! DaemonSets and Deployments in one slim shape.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{Map, Meta, null_as_default};
use crate::core::text::Text;

/// A DaemonSet or a Deployment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Name, labels, annotations.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// What is wanted.
    pub spec: Spec,
    /// What is.
    pub status: Status,
}

/// What is wanted of a workload.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// A Deployment's replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Which pods are its own.
    #[serde(deserialize_with = "null_as_default")]
    pub selector: Selector,
    /// What its pods look like.
    pub template: Template,
}

/// A label selector, as far as workloads of this field use it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Labels that must be there.
    #[serde(deserialize_with = "null_as_default")]
    pub match_labels: Map,
}

/// A pod template.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Labels of the pods.
    #[serde(rename = "metadata", deserialize_with = "null_as_default")]
    pub meta: Meta,
    /// The pods.
    pub spec: PodTemplateSpec,
}

/// A pod template's `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplateSpec {
    /// Containers.
    #[serde(deserialize_with = "null_as_default")]
    pub containers: Vec<Container>,
    /// Init containers.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub init_containers: Vec<Container>,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "Map::is_empty", deserialize_with = "null_as_default")]
    pub node_selector: Map,
    /// Affinity as it is written; `nodeAffinity` is evaluated.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub affinity: Value,
    /// Which taints are borne.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub tolerations: Vec<Toleration>,
    /// Volumes from the node's own file system; others are dropped by [`Workload::trimmed`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub volumes: Vec<Volume>,
}

/// A volume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// A path of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<HostPath>,
}

/// A path of the node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostPath {
    /// The path.
    #[serde(deserialize_with = "null_as_default")]
    pub path: Text,
}

/// A toleration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// The taint's key; empty with `Exists` bears every taint.
    #[serde(deserialize_with = "null_as_default")]
    pub key: Text,
    /// `Exists` or `Equal` (the default).
    #[serde(deserialize_with = "null_as_default")]
    pub operator: Text,
    /// The taint's value.
    #[serde(deserialize_with = "null_as_default")]
    pub value: Text,
    /// The taint's effect; empty bears every effect.
    #[serde(deserialize_with = "null_as_default")]
    pub effect: Text,
}

/// A container of a template or a pod.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Its image as it is written.
    #[serde(deserialize_with = "null_as_default")]
    pub image: Text,
    /// Its command.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub command: Vec<Text>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub args: Vec<Text>,
    /// Environment variables with values of their own that a CNI is configured by; see [`Container::trim`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub env: Vec<Env>,
    /// How long it may take to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<Probe>,
}

/// An environment variable.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Env {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Its value, where it is written there.
    #[serde(deserialize_with = "null_as_default")]
    pub value: Text,
}

/// The timing of a startup probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// Tries before the container is killed.
    pub failure_threshold: Option<i64>,
    /// Seconds between tries.
    pub period_seconds: Option<i64>,
}

/// Beginnings of the environment variables that are kept. Others may hold secrets and are dropped at the door.
const KEPT_ENV: &[&str] = &[
    "CALICO_",
    "FELIX_IPV6SUPPORT",
    "IP",
    "IP6",
    "CLUSTER_TYPE",
    "CONF_HASH",
    "IPALLOC_RANGE",
];

impl Container {
    /// Drops the environment but for what a CNI's networks are configured by.
    pub fn trim(&mut self) {
        self.env.retain(|e| {
            KEPT_ENV
                .iter()
                .any(|k| e.name == *k || (k.ends_with('_') && e.name.starts_with(k)))
        });
    }

    /// The value of `--flag=value` or `--flag value` among command and arguments.
    pub fn flag(&self, flag: &str) -> Option<&str> {
        let words: Vec<&str> = self.command.iter().chain(&self.args).map(|w| w.trim()).collect();
        words.iter().enumerate().find_map(|(i, word)| {
            let rest = word.strip_prefix("--")?.strip_prefix(flag)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value.trim_matches('"')),
                None if rest.is_empty() => words.get(i + 1).copied().filter(|v| !v.starts_with("--")),
                None => None,
            }
        })
    }

    /// The value of an environment variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .find(|e| e.name == *name)
            .map(|e| e.value.trim())
            .filter(|v| !v.is_empty())
    }
}

/// What is, of a DaemonSet or a Deployment; each has its own words for the same thing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The generation that the controller has seen.
    pub observed_generation: Option<i64>,
    /// DaemonSet: pods wanted.
    pub desired_number_scheduled: Option<i64>,
    /// DaemonSet: pods of the current template.
    pub updated_number_scheduled: Option<i64>,
    /// DaemonSet: ready pods.
    pub number_ready: Option<i64>,
    /// DaemonSet: available pods.
    pub number_available: Option<i64>,
    /// Deployment: pods of the current template.
    pub updated_replicas: Option<i64>,
    /// Deployment: ready pods.
    pub ready_replicas: Option<i64>,
    /// Deployment: available pods.
    pub available_replicas: Option<i64>,
}

impl Workload {
    /// Without what may hold secrets and what nothing is judged by.
    pub fn trimmed(mut self) -> Self {
        let spec = &mut self.spec.template.spec;
        spec.containers
            .iter_mut()
            .chain(&mut spec.init_containers)
            .for_each(Container::trim);
        spec.volumes.retain(|v| v.host_path.is_some());
        if let Value::Object(affinity) = &mut spec.affinity {
            affinity.retain(|key, _| key == "nodeAffinity");
            if affinity.is_empty() {
                spec.affinity = Value::Null;
            }
        }
        self
    }

    /// Pods wanted: a DaemonSet's scheduled, a Deployment's replicas (one where it does not say).
    pub fn desired(&self) -> i64 {
        self.status
            .desired_number_scheduled
            .or(self.spec.replicas)
            .unwrap_or_else(|| i64::from(self.is_deployment()))
    }

    /// Pods of the current template.
    pub fn updated(&self) -> i64 {
        self.status
            .updated_number_scheduled
            .or(self.status.updated_replicas)
            .unwrap_or(0)
    }

    /// Ready pods.
    pub fn ready(&self) -> i64 {
        self.status
            .number_ready
            .or(self.status.ready_replicas)
            .unwrap_or(0)
    }

    /// Available pods.
    pub fn available(&self) -> i64 {
        self.status
            .number_available
            .or(self.status.available_replicas)
            .unwrap_or(0)
    }

    /// A DaemonSet's status always has `desiredNumberScheduled`; a Deployment's never.
    fn is_deployment(&self) -> bool {
        self.status.desired_number_scheduled.is_none() && self.spec.replicas.is_some()
    }

    /// Whether the controller has seen the newest `spec`.
    pub fn observed(&self) -> bool {
        match (self.meta.generation, self.status.observed_generation) {
            (Some(generation), Some(observed)) => observed >= generation,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// Whether a path of the node is mounted, or one below it.
    pub fn mounts(&self, path: &str) -> bool {
        let volumes = &self.spec.template.spec.volumes;
        volumes
            .iter()
            .filter_map(|v| v.host_path.as_ref())
            .any(|h| h.path.starts_with(path))
    }

    /// A container of the template.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.spec
            .template
            .spec
            .containers
            .iter()
            .find(|c| c.name == *name)
    }

    /// Whether a pod's labels are selected.
    pub fn selects(&self, labels: &Map) -> bool {
        let wanted = &self.spec.selector.match_labels;
        !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}
