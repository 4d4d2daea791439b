//! Slim kinds of the core API: the fields that something is judged by, and no others.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::core::text::Text;

/// Labels, or a ConfigMap's data.
pub type Map = BTreeMap<Text, Text>;

/// `null` as the type's default: the API writes it for empty lists and maps now and then.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A time, or nothing where there is none or it cannot be read: a broken time is no reason to lose the object.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let raw = Option::<Text>::deserialize(deserializer)?;
    Ok(raw.and_then(|t| t.parse().ok()))
}

/// `metadata`, without `managedFields`: parsing those is most of the cost of reading a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// The object's name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Empty for objects that live in no namespace.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub namespace: Text,
    /// Tells an object from a later one of the same name.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub uid: Text,
    /// Counts changes of `spec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// When the object was made.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub creation_timestamp: Option<Timestamp>,
    /// When its deletion was asked for.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub deletion_timestamp: Option<Timestamp>,
    /// All labels: a DaemonSet may select by any of them.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub labels: Map,
    /// The annotations that something is judged by.
    #[serde(
        skip_serializing_if = "Annotations::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: Annotations,
    /// Who owns the object.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub owner_references: Vec<Owner>,
    /// When and by whom the data was last changed; kept for the CNI's ConfigMap only.
    #[serde(skip_serializing_if = "Vec::is_empty", skip_deserializing)]
    pub managed_fields: Vec<FieldTime>,
}

fn str_is_empty(text: &Text) -> bool {
    text.is_empty()
}

impl Meta {
    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(Text::as_str)
    }

    /// An annotation's value, if it is one of those that are kept.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.0.get(key).map(Text::as_str)
    }
}

/// An owner reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// The owner's kind.
    pub kind: Text,
    /// The owner's name.
    pub name: Text,
}

/// One entry of `managedFields`, without the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldTime {
    /// Who set them.
    #[serde(deserialize_with = "null_as_default")]
    pub manager: Text,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub time: Option<Timestamp>,
}

/// Beginnings of the annotation keys that are kept. Others are skipped while parsing, never held: one annotation may
/// be 256 KiB, and `last-applied-configuration` doubles every object.
const KEPT_ANNOTATIONS: &[&str] = &[
    "addonmanager.kubernetes.io/",
    "admissions.enforcer/",
    "argocd.argoproj.io/",
    "byocni.io/",
    "deprecated.daemonset.template.generation",
    "fleet.cattle.io/",
    "flannel.alpha.coreos.com/",
    "helm.toolkit.fluxcd.io/",
    "io.cilium.",
    "k0s.k0sproject.io/",
    "k3s.io/",
    "kube-router.io/",
    "kubeadm.alpha.kubernetes.io/",
    "kubernetes.azure.com/",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "network.cilium.io/",
    "node.antrea.io/",
    "ovn.kubernetes.io/",
    "projectcalico.org/",
    "rke2.io/",
];

/// Annotations, as far as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Annotations(pub Map);

impl Annotations {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Picky;
        impl<'de> Visitor<'de> for Picky {
            type Value = Annotations;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut kept = Map::new();
                while let Some(key) = map.next_key::<Text>()? {
                    if KEPT_ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix)) {
                        kept.insert(key, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Annotations(kept))
            }
        }
        deserializer.deserialize_map(Picky)
    }
}

/// A condition of a node, a pod or a custom object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What is stated: `Ready`.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: Text,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "null_as_default")]
    pub status: Text,
    /// One word on why.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub reason: Text,
    /// A sentence on why.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub message: Text,
    /// Since when the status holds.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub last_transition_time: Option<Timestamp>,
}

/// A node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Name, labels, annotations.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// What is wanted of it.
    pub spec: NodeSpec,
    /// What it is.
    pub status: NodeStatus,
}

/// A node's `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// The first of `podCIDRs`; older servers write only this one.
    #[serde(
        rename = "podCIDR",
        skip_serializing_if = "str_is_empty",
        deserialize_with = "null_as_default"
    )]
    pub pod_cidr: Text,
    /// The blocks that the controller manager cut for the node.
    #[serde(
        rename = "podCIDRs",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub pod_cidrs: Vec<Text>,
    /// The cloud's name for the machine.
    #[serde(
        rename = "providerID",
        skip_serializing_if = "str_is_empty",
        deserialize_with = "null_as_default"
    )]
    pub provider_id: Text,
    /// What keeps pods away.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub taints: Vec<Taint>,
    /// Cordoned.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "null_as_default"
    )]
    pub unschedulable: bool,
}

/// A taint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taint {
    /// The taint's key.
    pub key: Text,
    /// Its value, often empty.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub value: Text,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[serde(deserialize_with = "null_as_default")]
    pub effect: Text,
}

/// A node's `status`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// InternalIP, Hostname and others.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub addresses: Vec<Address>,
    /// What pods may use.
    #[serde(deserialize_with = "null_as_default")]
    pub allocatable: Allocatable,
    /// Ready and NetworkUnavailable; the others say nothing about the network and are dropped by [`Node::trimmed`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub conditions: Vec<Condition>,
    /// Versions.
    #[serde(deserialize_with = "null_as_default")]
    pub node_info: NodeInfo,
}

/// One address of a node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// `InternalIP`, `ExternalIP`, `Hostname`, …
    #[serde(rename = "type")]
    pub kind: Text,
    /// The address itself.
    pub address: Text,
}

/// The part of `allocatable` that bounds pod addresses.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Allocatable {
    /// The kubelet's `maxPods`, as a Kubernetes quantity.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub pods: Text,
}

/// Versions of what runs on a node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// `uname -r`.
    pub kernel_version: Text,
    /// The kubelet's version.
    pub kubelet_version: Text,
    /// `linux` or `windows`.
    pub operating_system: Text,
    /// The distribution.
    pub os_image: Text,
}

impl Node {
    /// Without the conditions that say nothing about the network.
    pub fn trimmed(mut self) -> Self {
        self.status
            .conditions
            .retain(|c| c.kind == "Ready" || c.kind == "NetworkUnavailable");
        self
    }

    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == *kind)
    }
}

/// A Service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Name and labels.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// Addresses and policy.
    pub spec: ServiceSpec,
}

/// A Service's `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// The first ClusterIP, `None` for a headless Service.
    #[serde(
        rename = "clusterIP",
        skip_serializing_if = "str_is_empty",
        deserialize_with = "null_as_default"
    )]
    pub cluster_ip: Text,
    /// All ClusterIPs, one a family.
    #[serde(
        rename = "clusterIPs",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub cluster_ips: Vec<Text>,
    /// Which pods are behind it.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub selector: Map,
    /// `Cluster` or `Local`.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub internal_traffic_policy: Text,
}

/// An EndpointSlice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// Name and labels; `kubernetes.io/service-name` names the Service.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// The endpoints.
    #[serde(deserialize_with = "null_as_default")]
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Its addresses.
    #[serde(deserialize_with = "null_as_default")]
    pub addresses: Vec<Text>,
    /// Whether it takes traffic.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: EndpointConditions,
}

/// Whether an endpoint takes traffic; absent means ready.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// Takes new connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
}

/// A ConfigMap.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Name and field times.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// The data.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub data: Map,
}

impl ConfigMap {
    /// A key's value without surrounding white space; nothing where the key is absent or empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.data.get(key).map(|v| v.trim()).filter(|v| !v.is_empty())
    }
}

/// An event.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Name and namespace.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// One word on what happened.
    #[serde(deserialize_with = "null_as_default")]
    pub reason: Text,
    /// A sentence on what happened.
    #[serde(deserialize_with = "null_as_default")]
    pub message: Text,
    /// What it happened to.
    #[serde(deserialize_with = "null_as_default")]
    pub involved_object: Involved,
    /// Who reports it (older clients).
    #[serde(deserialize_with = "null_as_default")]
    pub source: EventSource,
    /// Who reports it.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub reporting_component: Text,
    /// When it last happened.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub last_timestamp: Option<Timestamp>,
    /// When it happened (newer clients).
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    pub event_time: Option<Timestamp>,
}

impl Event {
    /// When it last happened.
    pub fn time(&self) -> Option<Timestamp> {
        self.last_timestamp
            .or(self.event_time)
            .or(self.meta.creation_timestamp)
    }
}

/// The object that an event is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Involved {
    /// Its kind.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: Text,
    /// Its namespace.
    #[serde(skip_serializing_if = "str_is_empty", deserialize_with = "null_as_default")]
    pub namespace: Text,
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
}

/// Who reports an event.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventSource {
    /// The component.
    #[serde(deserialize_with = "null_as_default")]
    pub component: Text,
}

/// A ServiceCIDR.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceCidr {
    /// Its name.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// Its ranges.
    pub spec: ServiceCidrSpec,
}

/// A ServiceCIDR's `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceCidrSpec {
    /// One range a family.
    #[serde(deserialize_with = "null_as_default")]
    pub cidrs: Vec<Text>,
}

/// A Lease: who changes the CNI, and when he was last heard of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// Its name.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// Who holds it.
    pub spec: LeaseSpec,
}

/// A Lease's `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LeaseSpec {
    /// Who holds it; empty where nobody does.
    #[serde(deserialize_with = "null_as_default")]
    pub holder_identity: Text,
    /// When it was last renewed, by the holder's clock.
    pub renew_time: Option<Timestamp>,
}

/// A CustomResourceDefinition, of which only the name counts: `plural.group`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Crd {
    /// The name.
    #[serde(rename = "metadata")]
    pub meta: Meta,
}

/// One revision of a Helm release: its Secret's metadata, never its data. Chart and versions were decoded in memory
/// and stand in annotations of ours.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseRecord {
    /// Labels `name`, `owner=helm`, `status`, `version`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
}

impl ReleaseRecord {
    /// The annotation with the chart's name.
    pub const CHART: &str = "byocni.io/chart";
    /// The annotation with the chart's version.
    pub const CHART_VERSION: &str = "byocni.io/chart-version";
    /// The annotation with the chart's app version.
    pub const APP_VERSION: &str = "byocni.io/app-version";
    /// The annotation that says why the record could not be decoded.
    pub const UNREADABLE: &str = "byocni.io/unreadable";
}
