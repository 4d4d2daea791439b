//! The API server's address, as agents can use it that have no kube-proxy to lead them to the `kubernetes` Service.

use std::net::IpAddr;

use crate::core::{
    capture::Capture,
    facts::{Facts, ranges},
};

/// Host and port of an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, an IPv6 one without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The server that the kubeconfig names; nothing where the capture has none, or one that cannot be read.
pub fn of(capture: &Capture) -> Option<Endpoint> {
    let server = capture.server.as_deref()?.trim();
    let (scheme, rest) = server.split_once("://").unwrap_or(("https", server));
    let authority = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, Some(port)),
            _ => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None if scheme == "http" => 80,
        None => 443,
    };
    let wellformed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    (!host.is_empty() && host.chars().all(wellformed)).then(|| Endpoint {
        host: host.to_string(),
        port,
    })
}

/// Why agents on nodes cannot use this host for the API server; nothing where they can, as far as that is to be seen.
/// A ClusterIP needs what the agents have yet to bring (<https://github.com/cilium/cilium/issues/26561>); a loopback
/// address is the user's own machine.
pub fn unusable(facts: &Facts<'_>, host: &str) -> Option<&'static str> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return Some("is the machine's own");
    }
    if matches!(name.as_str(), "kubernetes" | "kubernetes.default")
        || name.starts_with("kubernetes.default.svc")
    {
        return Some("is the name of the kubernetes Service");
    }
    let ip: IpAddr = name.trim_matches(['[', ']']).parse().ok()?;
    if ip.is_loopback() || ip.is_unspecified() {
        return Some("is the machine's own");
    }
    let services = || facts.capture.services.iter().flat_map(ranges::cluster_ips);
    let in_range = facts.services.iter().any(|s| s.cidr.contains(&ip));
    (in_range || services().any(|own| own == ip)).then_some("is the ClusterIP of a Service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read_from_what_kubeconfigs_hold() {
        let of = |server: &str| {
            let mut capture = Capture::new(jiff::Timestamp::UNIX_EPOCH);
            capture.server = Some(server.into());
            of(&capture).map(|e| format!("{} {}", e.host, e.port))
        };
        let fqdn = "network-abc.hcp.westeurope.azmk8s.io";
        assert_eq!(
            of(&format!("https://{fqdn}:443")).as_deref(),
            Some("network-abc.hcp.westeurope.azmk8s.io 443")
        );
        assert_eq!(
            of(&format!("https://{fqdn}/")).as_deref(),
            Some("network-abc.hcp.westeurope.azmk8s.io 443")
        );
        assert_eq!(of("https://[fd00::1]:6443").as_deref(), Some("fd00::1 6443"));
        assert_eq!(of("https://[fd00::1]").as_deref(), Some("fd00::1 443"));
        assert_eq!(
            of("https://10.0.0.4:6443/k8s/clusters/c-1").as_deref(),
            Some("10.0.0.4 6443")
        );
        assert_eq!(of("https://a b:1"), None);
        assert_eq!(of("https://a:port"), None);
        assert_eq!(of(""), None);
    }
}
