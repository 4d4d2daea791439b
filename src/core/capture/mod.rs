//! What the API said, in slim structs of Kubernetes' own shape: they read from the API, from a List file and from a
//! fixture alike, and serialise to a valid List again. Nothing is judged here.

pub mod admission;
pub mod custom;
pub mod file;
pub mod object;
pub mod pod;
pub mod source;
pub mod workload;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use admission::{Namespace, Webhook, WebhookConfiguration};
pub use custom::{Custom, Resource};
pub use object::{
    ConfigMap, Crd, EndpointSlice, Event, Lease, Meta, Node, ReleaseRecord, Service, ServiceCidr,
};
pub use pod::{NodeNames, Pod, PodRow, PodState};
pub use source::{Source, State};
pub use workload::Workload;

use super::text::Text;

/// One look at a cluster.
#[derive(Debug, Clone)]
pub struct Capture {
    /// The clock of everything that follows: ages are reckoned from here, so an old capture tells the same for ever.
    pub taken_at: Timestamp,
    /// The kubeconfig context, where there was one.
    pub context: Option<Text>,
    /// Read by us (live, or from a capture of ours): field times and releases are there as far as rights went.
    pub own: bool,
    /// What became of each source. A source that is not here was not asked for.
    pub states: BTreeMap<Source, State>,
    /// The API server's version: `v1.34.4`.
    pub server_version: Option<Text>,
    /// The API server's address as the kubeconfig has it: a mark of the platform.
    pub server: Option<Text>,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All DaemonSets.
    pub daemon_sets: Vec<Workload>,
    /// The Deployments of the namespaces that matter.
    pub deployments: Vec<Workload>,
    /// Pods read in full: the CNI's, CoreDNS's, and those that looked wrong.
    pub pods: Vec<Pod>,
    /// Every pod, as far as addresses go.
    pub pod_rows: Vec<PodRow>,
    /// All Services.
    pub services: Vec<Service>,
    /// The EndpointSlices of kube-dns; where a change is planned also those of webhooks.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// The ConfigMaps that a CNI, kube-proxy or an installer keeps its configuration in.
    pub config_maps: Vec<ConfigMap>,
    /// Events about sandboxes that failed and nodes that are repaired or upgraded.
    pub events: Vec<Event>,
    /// The ServiceCIDR objects (Kubernetes 1.33 and later).
    pub service_cidrs: Vec<ServiceCidr>,
    /// The names of the CustomResourceDefinitions.
    pub crds: Vec<Crd>,
    /// The CNIs' own objects, by `plural.group`.
    pub custom: BTreeMap<&'static str, Vec<Custom>>,
    /// Helm's records, without their contents.
    pub releases: Vec<ReleaseRecord>,
    /// The lock of changes, where it was looked for.
    pub leases: Vec<Lease>,
    /// The ValidatingWebhookConfigurations; read for a change.
    pub validating_webhooks: Vec<WebhookConfiguration>,
    /// The MutatingWebhookConfigurations; read for a change.
    pub mutating_webhooks: Vec<WebhookConfiguration>,
    /// The namespaces; read for a change.
    pub namespaces: Vec<Namespace>,
}

impl Capture {
    /// A capture of nothing, taken at `taken_at`.
    pub fn new(taken_at: Timestamp) -> Self {
        Capture {
            taken_at,
            context: None,
            own: false,
            states: BTreeMap::new(),
            server_version: None,
            server: None,
            nodes: vec![],
            daemon_sets: vec![],
            deployments: vec![],
            pods: vec![],
            pod_rows: vec![],
            services: vec![],
            endpoint_slices: vec![],
            config_maps: vec![],
            events: vec![],
            service_cidrs: vec![],
            crds: vec![],
            custom: BTreeMap::new(),
            releases: vec![],
            leases: vec![],
            validating_webhooks: vec![],
            mutating_webhooks: vec![],
            namespaces: vec![],
        }
    }

    /// What became of a source.
    pub fn state(&self, source: Source) -> &State {
        self.states.get(&source).unwrap_or(&State::Unread)
    }

    /// Whether a source was read, or is known not to exist.
    pub fn knows(&self, source: Source) -> bool {
        matches!(self.state(source), State::Read | State::Absent)
    }

    /// The objects of a custom resource; none where it was not read.
    pub fn custom(&self, resource: &Resource) -> &[Custom] {
        self.custom.get(resource.name).map_or(&[], Vec::as_slice)
    }

    /// A ConfigMap by namespace and name.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&ConfigMap> {
        self.config_maps
            .iter()
            .find(|c| c.meta.namespace == *namespace && c.meta.name == *name)
    }
}
