//! Turns the errors below HTTP into a sentence: who refused, and why.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use super::error::{RequestError, printable};

/// Where a request was going, for the sentences.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The server's host and port.
    pub host: String,
    /// The proxy on the way, as it may be shown.
    pub proxy: Option<String>,
    /// How long a connection may take to be set up.
    pub connect_limit: Duration,
}

/// A failed try: what to report, and whether another try may do better.
pub(crate) struct Failure {
    pub error: RequestError,
    pub again: bool,
}

/// Explains an error of the client library.
pub(crate) fn explain(error: &(dyn Error + 'static), route: &Route) -> Failure {
    let chain = chain(error);
    if let Some(tls) = chain.iter().find_map(|e| e.downcast_ref::<rustls::Error>()) {
        return Failure {
            error: RequestError::Insecure {
                why: tls_words(tls, route),
            },
            again: false,
        };
    }
    let said = chain.iter().map(|e| e.to_string()).collect::<Vec<_>>();
    let says = |text: &str| said.iter().any(|message| message.contains(text));
    let to = match &route.proxy {
        Some(proxy) => format!("{} through the proxy {proxy}", route.host),
        None => route.host.clone(),
    };
    let mut kinds = chain
        .iter()
        .rev()
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    let kind = kinds.find(|kind| *kind != ErrorKind::Other);
    let (why, again) = if says("proxy authorization required") {
        (
            format!("the proxy on the way to {to} wants a user name and password (HTTP 407)"),
            false,
        )
    } else if says("tunnel error: unsuccessful") {
        (format!("the proxy refused to connect to {to}"), true)
    } else if says("dns error") {
        let name = route.proxy.as_deref().unwrap_or(&route.host);
        (format!("the name of {name} cannot be resolved"), true)
    } else {
        match kind {
            Some(ErrorKind::ConnectionRefused) => (format!("{to} refused the connection"), true),
            Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => {
                (format!("{to} broke off the connection"), true)
            }
            // TCP has knocked several times already within the limit: another try only doubles the wait.
            Some(ErrorKind::TimedOut) => (
                format!("{to} did not answer within {:?}", route.connect_limit),
                false,
            ),
            Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
                (format!("there is no route to {to}"), true)
            }
            Some(ErrorKind::UnexpectedEof) => (format!("{to} closed the connection"), true),
            _ if says("connection closed before message completed") => {
                (format!("{to} closed the connection before it answered"), true)
            }
            // A message may name a URL with a user part only on its outer layers; the innermost is the reason.
            _ => (
                format!(
                    "{to}: {}",
                    printable(said.last().map_or("no reason given", String::as_str))
                ),
                true,
            ),
        }
    };
    Failure {
        error: RequestError::Unreachable { why },
        again,
    }
}

/// The error and everything below it, also what an `io::Error` wraps.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut found: Vec<&'a (dyn Error + 'static)> = Vec::new();
    let mut next = Some(error);
    // The bound only guards against an error that is its own source.
    while let Some(current) = next.filter(|_| found.len() < 32) {
        found.push(current);
        let wrapped = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    found
}

fn tls_words(error: &rustls::Error, route: &Route) -> String {
    let host = &route.host;
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired (or this machine's clock is wrong)")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of {host} is not valid yet (or this machine's clock is wrong)")
            }
            CertificateError::UnknownIssuer => {
                format!("the certificate of {host} is signed by an unknown authority")
            }
            CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                let names = presented
                    .iter()
                    .take(5)
                    .map(|name| printable(name))
                    .collect::<Vec<_>>()
                    .join(", ");
                format!("the certificate is not for the host name {host}, but for {names}")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate is not for the host name {host}")
            }
            CertificateError::Revoked => format!("the certificate of {host} was revoked"),
            CertificateError::BadSignature => {
                format!(
                    "the certificate of {host} is not signed by the authority in the kubeconfig (unknown authority)"
                )
            }
            other => format!(
                "the certificate of {host} is not acceptable: {}",
                printable(&other.to_string())
            ),
        },
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied),
        ) => format!("{host} refused our client certificate ({alert:?})"),
        rustls::Error::InvalidMessage(_) => format!("{host} does not speak TLS; is it an http:// server?"),
        other => format!("{host}: {}", printable(&other.to_string())),
    }
}
