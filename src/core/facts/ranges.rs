//! The addresses of services, and kube-proxy's idea of the pods' addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Notes, cidr};
use crate::core::{
    capture::{Capture, Service, Source, State, Workload},
    finding::Subject,
    report::ServiceRange,
    text::Text,
};

/// All ClusterIPs of a Service.
pub fn cluster_ips(service: &Service) -> Vec<IpAddr> {
    let listed = service.spec.cluster_ips.iter().chain([&service.spec.cluster_ip]);
    let mut ips: Vec<IpAddr> = listed.filter_map(|text| text.parse().ok()).collect();
    ips.sort_unstable();
    ips.dedup();
    ips
}

/// The service ranges: the ServiceCIDR objects, else the smallest networks that hold every ClusterIP there is. The
/// latter is a lower bound: the API server does not tell its flag.
pub fn services(capture: &Capture, notes: &mut Notes) -> Vec<ServiceRange> {
    let mut ranges = vec![];
    for object in &capture.service_cidrs {
        for text in &object.spec.cidrs {
            match cidr::parse(text) {
                Some(cidr) => {
                    ranges.push(ServiceRange {
                        cidr,
                        source: format!("ServiceCIDR/{}", object.meta.name),
                    });
                }
                None => notes.unparsable(Subject::new("ServiceCIDR", &object.meta.name), "spec.cidrs", text),
            }
        }
    }
    if !ranges.is_empty() || *capture.state(Source::ServiceCidrs) == State::Read {
        return ranges;
    }
    let kubernetes = capture
        .services
        .iter()
        .find(|s| s.meta.name == "kubernetes" && s.meta.namespace == "default");
    // The API server takes the first address of the range for the `kubernetes` Service.
    let first = kubernetes.map(cluster_ips).unwrap_or_default();
    let ips = capture
        .services
        .iter()
        .flat_map(cluster_ips)
        .chain(first.into_iter().filter_map(before));
    let hulls = cidr::hulls(ips);
    hulls
        .into_iter()
        .map(|cidr| ServiceRange {
            cidr,
            source: "inferred from ClusterIPs".into(),
        })
        .collect()
}

fn before(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => Some(IpAddr::V4(u32::from(ip).checked_sub(1)?.into())),
        IpAddr::V6(ip) => Some(IpAddr::V6(u128::from(ip).checked_sub(1)?.into())),
    }
}

/// The pods' networks that kubeadm gave to the controller manager: `networking.podSubnet` of its ClusterConfiguration
/// (<https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/#kubeadm-k8s-io-v1beta4-Networking>).
pub fn kubeadm_pod_subnets(capture: &Capture) -> Vec<IpNet> {
    let config = capture
        .config_map("kube-system", "kubeadm-config")
        .and_then(|c| c.get("ClusterConfiguration"));
    let line = |text: &'_ str| {
        text.lines()
            .find_map(|line| yaml_line(line.trim_start(), "podSubnet"))
            .map(str::to_string)
    };
    let text = config.and_then(line).unwrap_or_default();
    cidr::words(&text).filter_map(cidr::parse).collect()
}

/// What is known of kube-proxy.
#[derive(Debug, Default)]
pub struct KubeProxy {
    /// Whether it runs; nothing where that could not be told.
    pub runs: Option<bool>,
    /// Its cluster CIDRs.
    pub cluster_cidrs: Vec<IpNet>,
    /// Where they were read.
    pub source: String,
    /// `iptables`, `ipvs`, `nftables`, in lower case; nothing where it is not written down (its default, iptables,
    /// then) or could not be read.
    pub mode: Option<String>,
}

/// Platforms that carry kube-proxy inside another process or as static pods: that no DaemonSet is there says nothing.
const WITHOUT_DAEMON_SET: &[&str] = &["k3s", "rke2", "k0s", "gke", "microk8s"];

/// Reads kube-proxy's DaemonSet and ConfigMap.
pub fn kube_proxy(capture: &Capture, platform: &str, notes: &mut Notes) -> KubeProxy {
    let daemon_set = capture
        .daemon_sets
        .iter()
        .find(|d| d.desired() > 0 && is_kube_proxy(d));
    let static_pod = || {
        capture
            .pod_rows
            .iter()
            .any(|row| row.name.starts_with("kube-proxy-"))
    };
    let mut proxy = KubeProxy {
        runs: match daemon_set {
            Some(_) => Some(true),
            None if !capture.knows(Source::DaemonSets) || WITHOUT_DAEMON_SET.contains(&platform) => None,
            None => Some(static_pod()),
        },
        ..KubeProxy::default()
    };
    let Some(daemon_set) = daemon_set else {
        return proxy;
    };
    let namespace = daemon_set.meta.namespace.as_str();
    let flag = |name: &str| {
        let containers = &daemon_set.spec.template.spec.containers;
        containers.iter().find_map(|c| c.flag(name))
    };
    let written = |key: &str| {
        let config = capture.config_map(namespace, "kube-proxy")?.get("config.conf")?;
        yaml_line(config, key)
    };
    proxy.mode = flag("proxy-mode")
        .or_else(|| written("mode"))
        .map(|mode| Text::new(mode).line(40).to_lowercase());
    let argument = flag("cluster-cidr");
    let (text, subject, source) = match argument {
        Some(text) => (
            text,
            Subject::namespaced("DaemonSet", namespace, &daemon_set.meta.name),
            "its --cluster-cidr",
        ),
        None => {
            let Some(text) = written("clusterCIDR") else {
                return proxy;
            };
            (
                text,
                Subject::namespaced("ConfigMap", namespace, "kube-proxy"),
                "ConfigMap kube-proxy",
            )
        }
    };
    proxy.source = source.to_string();
    for word in cidr::words(text) {
        match cidr::parse(word) {
            Some(net) => proxy.cluster_cidrs.push(net),
            None => notes.unparsable(subject.clone(), "cluster-cidr", word),
        }
    }
    proxy
}

/// AKS's `windows-kube-proxy-initializer` is not kube-proxy (Azure/AKS#4952).
fn is_kube_proxy(workload: &Workload) -> bool {
    let label = |key| workload.spec.template.meta.label(key) == Some("kube-proxy");
    workload.meta.name == "kube-proxy" || label("k8s-app") || label("component")
}

/// The value of a top-level key in a YAML text; kube-proxy's configuration has it on one line.
fn yaml_line<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let value = line.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then_some(value)
}
