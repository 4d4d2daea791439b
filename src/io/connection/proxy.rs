//! Which proxy, if any, stands between us and the API server: the decision Go's HTTP client makes.
//!
//! The client library is told the answer and never asks the environment itself, because it compares `NO_PROXY` with
//! the proxy's own name and stops at entries that Go skips.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

use super::environment::Environment;
use super::error::ConnectError;

/// The proxy for this server; `None` to go straight.
///
/// # Errors
/// When the proxy that applies cannot be used. (Go silently goes straight then, which looks like a broken network.)
pub(crate) fn decide(
    cluster_proxy: Option<&str>,
    server: &Uri,
    env: &Environment,
) -> Result<Option<Uri>, ConnectError> {
    if let Some(text) = cluster_proxy.filter(|text| !text.is_empty()) {
        // NO_PROXY does not apply to a proxy that the kubeconfig names for this very cluster.
        return parse(text, "the kubeconfig's proxy-url").map(Some);
    }
    let (text, from) = match server.scheme_str() {
        Some("https") => (&env.https_proxy, "HTTPS_PROXY"),
        _ => (&env.http_proxy, "HTTP_PROXY"),
    };
    match text.as_deref().map(str::trim) {
        Some(text) if !text.is_empty() && !bypassed(server, env.no_proxy.as_deref().unwrap_or_default()) => {
            parse(text, from).map(Some)
        }
        _ => Ok(None),
    }
}

/// A proxy's URL; without a scheme it is an HTTP proxy.
fn parse(text: &str, from: &'static str) -> Result<Uri, ConnectError> {
    let bad = |why: String| ConnectError::BadProxy { from, why };
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let (scheme, rest) = full.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user_part = authority.rsplit_once('@').map(|(user, _)| user);
    let rebuilt = match scheme.as_str() {
        "http" | "https" => format!("{scheme}://{authority}/"),
        // The name is resolved by the proxy for both spellings, here as in Go.
        "socks5" | "socks5h" if user_part.is_some() => {
            return Err(bad("a SOCKS proxy with a user name is not supported".into()));
        }
        "socks5" | "socks5h" => {
            let port = if has_port(authority) { "" } else { ":1080" };
            format!("socks5://{authority}{port}/")
        }
        other => return Err(bad(format!("its scheme {other:?} is not http, https or socks5"))),
    };
    let uri: Uri = rebuilt.parse().map_err(|_| bad("it is not a URL".into()))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(bad("it names no host".into()));
    }
    // "http://host:99999" parses, but without a port; say so rather than use port 80.
    if has_port(authority) && uri.port_u16().is_none() {
        return Err(bad("its port is no number below 65536".into()));
    }
    Ok(uri)
}

/// Whether `host:port` has a port; colons within an IPv6 address's brackets are none.
fn has_port(authority: &str) -> bool {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match (host.rfind(':'), host.rfind(']')) {
        (Some(colon), Some(bracket)) => colon > bracket,
        (colon, _) => colon.is_some(),
    }
}

/// Whether Go would go straight to this server in spite of a proxy.
fn bypassed(server: &Uri, no_proxy: &str) -> bool {
    let host = server
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_lowercase();
    let port = server
        .port_u16()
        .unwrap_or(if server.scheme_str() == Some("http") {
            80
        } else {
            443
        })
        .to_string();
    if host == "localhost" {
        return true;
    }
    // A zone (`fe80::1%eth0`) is no part of the address.
    let ip = host
        .split('%')
        .next()
        .unwrap_or_default()
        .parse::<IpAddr>()
        .ok()
        .map(|ip| ip.to_canonical());
    if ip.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    no_proxy
        .split(',')
        .any(|entry| matches(&entry.trim().to_lowercase(), &host, &port, ip))
}

/// One entry of `NO_PROXY`: `*`, a network, an address, or a domain, the last two with an optional port.
fn matches(entry: &str, host: &str, port: &str, ip: Option<IpAddr>) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return ip.is_some_and(|ip| network.contains(&ip));
    }
    let (name, wanted_port) = split_port(entry);
    let port_fits = wanted_port.is_empty() || wanted_port == port;
    if let Ok(address) = name.parse::<IpAddr>() {
        return port_fits && ip == Some(address.to_canonical());
    }
    // `*.example.com` is `.example.com`: everything below, not the name itself. `example.com` is both.
    let name = if name.starts_with("*.") { &name[1..] } else { name };
    if name.is_empty() || ip.is_some() {
        return false;
    }
    let below = match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    };
    below && port_fits
}

/// Splits `host:port` and `[v6]:port`; anything else is all host.
fn split_port(entry: &str) -> (&str, &str) {
    if let Some(inner) = entry.strip_prefix('[') {
        return match inner.split_once("]:") {
            Some((host, port)) if !port.contains(':') => (host, port),
            _ => (entry, ""),
        };
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port),
        _ => (entry, ""),
    }
}

/// A proxy as it may be shown: scheme, host and port, never the user part.
pub(crate) fn shown(proxy: &Uri) -> String {
    let port = proxy
        .port_u16()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!(
        "{}://{}{port}",
        proxy.scheme_str().unwrap_or("http"),
        proxy.host().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(https: &str, no_proxy: &str) -> Environment {
        Environment {
            https_proxy: Some(https.into()),
            http_proxy: Some("plain:3128".into()),
            no_proxy: Some(no_proxy.into()),
            ..Environment::default()
        }
    }

    fn chosen(server: &str, env: &Environment) -> Option<String> {
        decide(None, &server.parse().expect("a server"), env)
            .expect("a usable proxy")
            .map(|uri| uri.to_string())
    }

    #[rustfmt::skip]
    const SERVERS: &[&str] = &[
        "https://example.com", "https://example.com:6443", "https://a.example.com", "https://badexample.com",
        "https://10.0.0.5", "https://10.0.0.5:6443", "https://[fd00::1]", "https://localhost:6443",
        "https://127.9.9.9", "https://[::1]:6443", "https://A.Example.COM:443", "https://[::ffff:10.0.0.5]",
        "https://[::ffff:127.0.0.1]",
    ];

    /// `NO_PROXY`, and for each of the servers whether Go (httpproxy of x/net 0.60.0) uses the proxy or goes straight.
    #[rustfmt::skip]
    const NO_PROXY_TABLE: &[(&str, &str)] = &[
        ("", "PPPPPPP---PP-"),
        ("*", "-------------"),
        ("example.com", "---PPPP----P-"),
        (".example.com", "PP-PPPP----P-"),
        ("*.example.com", "PP-PPPP----P-"),
        ("EXAMPLE.com", "---PPPP----P-"),
        (" example.com ,", "---PPPP----P-"),
        ("foo,,example.com", "---PPPP----P-"),
        ("example.com:443", "-P-PPPP----P-"),
        ("example.com:6443", "P-PPPPP---PP-"),
        ("example.com:", "---PPPP----P-"),
        ("10.0.0.0/8", "PPPP--P---P--"),
        ("10.0.0.5", "PPPP--P---P--"),
        ("10.0.0.5:443", "PPPP-PP---P--"),
        ("10.0.0.5:6443", "PPPPP-P---PP-"),
        ("10.1.2.3/8", "PPPP--P---P--"),
        ("fd00::/8", "PPPPPP----PP-"),
        ("fd00::1", "PPPPPP----PP-"),
        ("[fd00::1]:443", "PPPPPP----PP-"),
        ("[fd00::1]", "PPPPPPP---PP-"),
        ("[::1]", "PPPPPPP---PP-"),
        ("<local>", "PPPPPPP---PP-"),
        (",", "PPPPPPP---PP-"),
        (":443", "PPPPPPP---PP-"),
        ("::ffff:10.0.0.5", "PPPP--P---P--"),
        ("a,*", "-------------"),
        ("*example.com", "PPPPPPP---PP-"),
        ("ample.com", "PPPPPPP---PP-"),
        ("*.", "PPPPPPP---PP-"),
        ("*.:443", "PPPPPPP---PP-"),
        (".com", "----PPP----P-"),
        ("com", "----PPP----P-"),
        ("10.", "PPPPPPP---PP-"),
        ("10.0.0", "PPPPPPP---PP-"),
        ("10.0.0.5/33", "PPPPPPP---PP-"),
        ("http://example.com", "PPPPPPP---PP-"),
        ("example.com/", "PPPPPPP---PP-"),
        ("127.0.0.1", "PPPPPPP---PP-"),
        ("localhost", "PPPPPPP---PP-"),
        ("*:443", "PPPPPPP---PP-"),
        (".", "PPPPPPP---PP-"),
        ("..example.com", "PPPPPPP---PP-"),
    ];

    #[test]
    fn no_proxy_as_go_reads_it() {
        for (no_proxy, ways) in NO_PROXY_TABLE {
            assert_eq!(ways.len(), SERVERS.len());
            for (server, way) in SERVERS.iter().zip(ways.chars()) {
                let proxied = chosen(server, &env("http://proxy:8080", no_proxy)).is_some();
                assert_eq!(proxied, way == 'P', "NO_PROXY={no_proxy:?} server={server}");
            }
        }
    }

    #[test]
    fn the_proxy_is_chosen_by_scheme_and_kubeconfig() {
        let env = env("http://proxy:8080", "");
        assert_eq!(
            chosen("https://aks.example.com", &env).as_deref(),
            Some("http://proxy:8080/")
        );
        assert_eq!(
            chosen("http://aks.example.com", &env).as_deref(),
            Some("http://plain:3128/")
        );
        let server = "https://aks.example.com".parse().expect("a server");
        let everything = Environment {
            no_proxy: Some("*".into()),
            ..env.clone()
        };
        let own = decide(Some("socks5://own"), &server, &everything)
            .expect("usable")
            .expect("a proxy");
        assert_eq!(own.to_string(), "socks5://own:1080/");
        assert_eq!(
            decide(Some(""), &server, &Environment::default()).expect("usable"),
            None
        );
    }

    #[test]
    fn spellings_of_a_proxy() {
        let read = |text: &str| parse(text, "HTTPS_PROXY").map(|uri| uri.to_string());
        assert_eq!(read("proxy").expect("no scheme"), "http://proxy/");
        assert_eq!(read("proxy:80").expect("port"), "http://proxy:80/");
        assert_eq!(
            read("HTTP://Proxy:80/ignored?x").expect("path"),
            "http://Proxy:80/"
        );
        assert_eq!(
            read("user:pa%40ss@proxy:80").expect("user"),
            "http://user:pa%40ss@proxy:80/"
        );
        assert_eq!(read("socks5h://proxy").expect("socks5h"), "socks5://proxy:1080/");
        assert_eq!(read("socks5://[::1]:9").expect("v6"), "socks5://[::1]:9/");
        assert_eq!(read("socks5://[::1]").expect("v6"), "socks5://[::1]:1080/");
        for bad in [
            "ftp://proxy",
            "http://",
            "http://:80",
            "proxy:99999",
            "http://us er:secret@proxy",
            "socks5://u:secret@p",
        ] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(
                error.contains("HTTPS_PROXY") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_bypassed_proxy_may_be_broken() {
        assert_eq!(chosen("https://127.0.0.1:6443", &env("ftp://broken", "")), None);
    }

    #[test]
    fn the_user_part_is_never_shown() {
        let proxy = parse("http://me:secret@proxy:8080", "HTTPS_PROXY").expect("usable");
        assert_eq!(shown(&proxy), "http://proxy:8080");
    }

    proptest::proptest! {
        #[test]
        fn no_entry_panics(no_proxy in "[a-z0-9.:*/\\[\\] ,-]{0,40}", host in "[a-z0-9.-]{1,20}") {
            if let Ok(server) = format!("https://{host}").parse::<Uri>() {
                bypassed(&server, &no_proxy);
            }
        }
    }
}
