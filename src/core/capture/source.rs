//! The sources of a capture, and what became of each.

use serde::{Deserialize, Serialize};

/// One thing that is read from the API, each with one right of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The server's version.
    Version,
    /// Nodes.
    Nodes,
    /// DaemonSets.
    DaemonSets,
    /// Deployments.
    Deployments,
    /// Every pod's node and address.
    Pods,
    /// The pods of the CNI and of cluster DNS in full.
    CniPods,
    /// Services.
    Services,
    /// EndpointSlices.
    EndpointSlices,
    /// ConfigMaps.
    ConfigMaps,
    /// Events.
    Events,
    /// ServiceCIDR objects.
    ServiceCidrs,
    /// CustomResourceDefinitions.
    Crds,
    /// Helm's release Secrets.
    Releases,
    /// The Lease of whoever changes the CNI; read where the journal says that somebody does.
    Lock,
    /// ValidatingWebhookConfigurations; for a change.
    ValidatingWebhooks,
    /// MutatingWebhookConfigurations; for a change.
    MutatingWebhooks,
    /// Namespaces; for a change.
    Namespaces,
    /// The EndpointSlices behind fail-closed webhooks; for a change.
    WebhookEndpoints,
    /// A CNI's own kind, by `plural.group`.
    Custom(&'static str),
}

impl Source {
    /// Every source but the CNIs' own kinds, in the order in which they are told.
    pub const ALL: &[Source] = &[
        Source::Version,
        Source::Nodes,
        Source::DaemonSets,
        Source::Deployments,
        Source::Pods,
        Source::CniPods,
        Source::Services,
        Source::EndpointSlices,
        Source::ConfigMaps,
        Source::Events,
        Source::ServiceCidrs,
        Source::Crds,
        Source::Releases,
        Source::Lock,
        Source::ValidatingWebhooks,
        Source::MutatingWebhooks,
        Source::Namespaces,
        Source::WebhookEndpoints,
    ];

    /// The sources that only a change needs; `status` does not ask for them.
    pub const FOR_CHANGE: &[Source] = &[
        Source::ValidatingWebhooks,
        Source::MutatingWebhooks,
        Source::Namespaces,
        Source::WebhookEndpoints,
    ];

    /// The resource as RBAC names it.
    pub fn resource(self) -> &'static str {
        match self {
            Source::Version => "/version",
            Source::Nodes => "nodes",
            Source::DaemonSets => "daemonsets.apps",
            Source::Deployments => "deployments.apps",
            Source::Pods | Source::CniPods => "pods",
            Source::Services => "services",
            Source::EndpointSlices | Source::WebhookEndpoints => "endpointslices.discovery.k8s.io",
            Source::ConfigMaps => "configmaps",
            Source::Events => "events",
            Source::ServiceCidrs => "servicecidrs.networking.k8s.io",
            Source::Crds => "customresourcedefinitions.apiextensions.k8s.io",
            Source::Releases => "secrets",
            Source::Lock => "leases.coordination.k8s.io",
            Source::ValidatingWebhooks => "validatingwebhookconfigurations.admissionregistration.k8s.io",
            Source::MutatingWebhooks => "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            Source::Namespaces => "namespaces",
            Source::Custom(name) => name,
        }
    }

    /// The name under which a capture's header keeps the source.
    pub fn key(self) -> &'static str {
        match self {
            Source::CniPods => "pods (in full)",
            Source::WebhookEndpoints => "endpointslices (of webhooks)",
            other => other.resource(),
        }
    }

    /// The verb that reading it takes.
    pub fn verb(self) -> &'static str {
        match self {
            Source::Version | Source::ConfigMaps | Source::Lock => "get",
            _ => "list",
        }
    }
}

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum State {
    /// Everything was read.
    Read,
    /// The server does not have this API: judged from what is there instead.
    Absent,
    /// A file that does not hold it.
    Unread,
    /// The reader may not.
    Forbidden {
        /// The right that is missing, as `verb resource`.
        right: String,
    },
    /// Tried, and failed for another reason.
    Failed {
        /// Why, in words.
        why: String,
    },
}

impl State {
    /// What is missing for want of this source; nothing where it is known.
    pub fn missing(&self, source: Source) -> Option<String> {
        match self {
            State::Read | State::Absent => None,
            State::Unread => Some(format!("{} (not in the file)", source.resource())),
            State::Forbidden { right } => Some(right.clone()),
            State::Failed { why } => Some(format!("{} ({why})", source.resource())),
        }
    }
}
