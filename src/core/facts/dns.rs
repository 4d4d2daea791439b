//! Cluster DNS: the Service, what is behind it, and who answers.

use std::net::IpAddr;

use super::ranges;
use crate::core::capture::{Capture, Pod, Service, Source, State, Workload, object::Map};

/// What is known of cluster DNS.
#[derive(Debug, Default)]
pub struct DnsFacts<'a> {
    /// The kube-dns Service.
    pub service: Option<&'a Service>,
    /// Its ClusterIPs.
    pub service_ips: Vec<IpAddr>,
    /// The Deployment behind it.
    pub deployment: Option<&'a Workload>,
    /// A DaemonSet behind it, on the platforms that do so.
    pub daemon_set: Option<&'a Workload>,
    /// Its pods that have not finished.
    pub pods: Vec<&'a Pod>,
    /// Ready endpoints.
    pub endpoints: usize,
}

/// Finds cluster DNS: the Service `kube-system/kube-dns`, else the one labelled `k8s-app=kube-dns`.
pub fn of(capture: &Capture) -> DnsFacts<'_> {
    let in_system = |s: &&Service| s.meta.namespace == "kube-system";
    let named = capture
        .services
        .iter()
        .filter(in_system)
        .find(|s| s.meta.name == "kube-dns");
    // NodeLocal DNS adds kube-dns-upstream with the same label, without being what pods ask.
    let labelled = || {
        let marked = capture
            .services
            .iter()
            .filter(in_system)
            .filter(|s| s.meta.label("k8s-app") == Some("kube-dns"));
        marked.into_iter().find(|s| s.meta.name != "kube-dns-upstream")
    };
    let Some(service) = named.or_else(labelled) else {
        return DnsFacts::default();
    };
    let selector = &service.spec.selector;
    let behind = |w: &&Workload| {
        w.meta.namespace == service.meta.namespace && selects(selector, &w.spec.template.meta.labels)
    };
    let slices = capture.endpoint_slices.iter().filter(|s| {
        s.meta.namespace == service.meta.namespace
            && s.meta.label("kubernetes.io/service-name") == Some(service.meta.name.as_str())
    });
    let endpoints = slices
        .flat_map(|s| &s.endpoints)
        .filter(|e| e.conditions.ready != Some(false));
    let mut addresses: Vec<&str> = endpoints
        .flat_map(|e| e.addresses.iter().map(|a| a.as_str()))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let pods: Vec<&Pod> = capture
        .pods
        .iter()
        .filter(|p| p.meta.namespace == service.meta.namespace && !p.finished())
        .filter(|p| selects(selector, &p.meta.labels))
        .collect();
    // A server without EndpointSlices (before Kubernetes 1.21) has Endpoints, which are the ready pods.
    let endpoints = match capture.state(Source::EndpointSlices) {
        State::Absent => pods.iter().filter(|p| p.ready()).count(),
        _ => addresses.len(),
    };
    DnsFacts {
        service: Some(service),
        service_ips: ranges::cluster_ips(service),
        deployment: capture.deployments.iter().find(behind),
        daemon_set: capture.daemon_sets.iter().find(behind),
        pods,
        endpoints,
    }
}

fn selects(selector: &Map, labels: &Map) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
