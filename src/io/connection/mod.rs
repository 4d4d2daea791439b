//! How the API server is reached: kubeconfig, credentials, proxy, time limits and retries.
//!
//! The client library does the TLS and HTTP. Whatever it would decide from the environment or by running programs is
//! decided here first, so that it happens once, as kubectl would do it, and with errors that say what to do.
#![expect(clippy::disallowed_methods, reason = "credentials expire by the clock")]

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Uri};
use kube::config::{AuthInfo, Cluster};
use secrecy::ExposeSecret;

mod certificate;
mod duration;
mod environment;
mod error;
mod exec;
mod identity;
mod kubeconfig;
mod proxy;
mod request;
#[cfg(test)]
mod tests;
mod why;

pub use duration::parse_duration;
pub use error::{ConnectError, RequestError};
pub use kubeconfig::Names;

use environment::Environment;
use exec::Credential;
use identity::{Source, authority_of, check_expiry, check_identity, source_of};
use request::Question;
use why::Route;

/// The limit of one request, retries and body included, unless `--request-timeout` says otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The limit for setting up one connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the user's flags say about how to reach the cluster, in kubectl's words. Empty values count as unset.
#[derive(Clone, Default)]
#[expect(missing_docs, reason = "each field is kubectl's flag of the same name")]
pub struct Flags {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    pub cluster: Option<String>,
    pub user: Option<String>,
    pub server: Option<String>,
    pub token: Option<String>,
    pub tls_server_name: Option<String>,
    pub insecure_skip_tls_verify: bool,
    pub certificate_authority: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// `--as`
    pub as_user: Option<String>,
    /// `--as-group`, any number of times
    pub as_groups: Vec<String>,
    pub as_uid: Option<String>,
    /// `--as-user-extra`, each `key=value`
    pub as_user_extra: Vec<String>,
    /// `None` is our default of 30 s, zero is no limit
    pub request_timeout: Option<Duration>,
    pub disable_compression: bool,
}

impl fmt::Debug for Flags {
    /// Only what names things: the token must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags")
            .field("kubeconfig", &self.kubeconfig)
            .field("context", &self.context)
            .field("cluster", &self.cluster)
            .field("user", &self.user)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("as_user", &self.as_user)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

/// What the kubeconfigs that apply name: contexts, clusters, users.
///
/// # Errors
/// When one is not readable, or is none.
pub fn names(flags: &Flags) -> Result<Names, ConnectError> {
    kubeconfig::names(flags, &Environment::read())
}

/// An API server and how to ask it. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    context: String,
    cluster_name: String,
    namespace: String,
    server: String,
    route: Route,
    limit: Option<Duration>,
    compressed: bool,
    /// Whether a read that failed for the moment is begun anew.
    patient: AtomicBool,
    /// Everything but the credential that `source` yields.
    base: kube::Config,
    source: Source,
    live: Mutex<Live>,
    /// Held while a credential is renewed, so that requests that fail together renew it once. Holds the generation
    /// whose fresh credential was refused as well: renewing that again would only run the plugin for nothing.
    renewal: tokio::sync::Mutex<Option<u64>>,
}

/// The client with the current credential.
#[derive(Clone)]
struct Live {
    client: kube::Client,
    /// Counts the credentials, so that a request knows whether another one has renewed it meanwhile.
    generation: u64,
    expires: Option<jiff::Timestamp>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("context", &self.context())
            .field("server", &self.server())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads the kubeconfig, runs its credential plugin if it has one, and sets up the client. Nothing is asked of the
    /// server yet.
    ///
    /// # Errors
    /// When no cluster can be chosen or its credentials cannot be had; each error names the next command.
    pub async fn open(flags: &Flags) -> Result<Self, ConnectError> {
        Self::open_in(flags, &Environment::read()).await
    }

    /// The same while nobody looks, as for a TAB: a credential plugin cannot ask, and what it complains of is not shown.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn unwatched(flags: &Flags) -> Result<Self, ConnectError> {
        Self::open_in(flags, &Environment::read().unwatched()).await
    }

    async fn open_in(flags: &Flags, env: &Environment) -> Result<Self, ConnectError> {
        let kubeconfig::Target {
            context,
            cluster_name,
            namespace,
            cluster,
            mut user,
        } = kubeconfig::target(flags, env)?;
        let limit = Some(flags.request_timeout.unwrap_or(REQUEST_TIMEOUT)).filter(|limit| !limit.is_zero());
        let server = server_of(&cluster, &user, &cluster_name)?;
        let authority = authority_of(&cluster)?;
        let source = source_of(&mut user, &cluster, authority.as_deref(), env)?;
        let alone = matches!(source, Source::Fixed) && user.token.is_none() && user.username.is_none();
        check_identity(&user, alone)?;

        let mut base = kube::Config::new(server.clone());
        base.default_namespace.clone_from(&namespace);
        base.root_cert = match &authority {
            Some(pem) => Some(
                certificate::certificates(pem).map_err(|why| ConnectError::BadData {
                    what: "certificate authority",
                    why,
                })?,
            ),
            None => None,
        };
        base.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
        base.tls_server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
        base.proxy_url = proxy::decide(cluster.proxy_url.as_deref(), &server, env)?;
        // On the same machine compressing costs more than it saves.
        base.disable_compression = cluster.disable_compression.unwrap_or(false) || is_loopback(&server);
        base.connect_timeout = Some(limit.map_or(CONNECT_TIMEOUT, |limit| limit.min(CONNECT_TIMEOUT)));
        base.default_retry = false;
        base.auth_info = user;

        let route = Route {
            host: server
                .authority()
                .map(|authority| authority.to_string())
                .unwrap_or_default(),
            proxy: base.proxy_url.as_ref().map(proxy::shown),
            connect_limit: base.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        };
        let live = live(&base, source.obtain().await?, 0)?;
        let inner = Inner {
            context,
            cluster_name,
            namespace,
            server: server.to_string().trim_end_matches('/').to_owned(),
            route,
            limit,
            compressed: !base.disable_compression,
            patient: AtomicBool::new(false),
            base,
            source,
            live: Mutex::new(live),
            renewal: tokio::sync::Mutex::new(None),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The context's name; empty when only `--server` was given, `in-cluster` in a pod.
    pub fn context(&self) -> &str {
        &self.inner.context
    }

    /// The cluster's name in the kubeconfig.
    pub fn cluster_name(&self) -> &str {
        &self.inner.cluster_name
    }

    /// The server's URL, without user part and trailing slash.
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// The context's namespace, else `default`.
    pub fn namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// Reads `path_and_query` (`/api/v1/nodes?limit=500`); `accept` is the value of the Accept header.
    ///
    /// Tried three times within the request timeout after 429, 5xx and broken connections, as late as the server asks.
    ///
    /// # Errors
    /// What the last try brought; see [`RequestError`].
    pub async fn get(&self, path_and_query: &str, accept: &str) -> Result<Bytes, RequestError> {
        let compressed = self.inner.compressed;
        let question = Question {
            method: Method::GET,
            path_and_query,
            accept,
            body: None,
            content_type: "",
            compressed,
        };
        match self.ask(question.clone()).await {
            Err(error) if error.leaves_open_what_happened() && self.inner.patient.load(Ordering::Relaxed) => {
                self.ask(question).await
            }
            answer => answer,
        }
    }

    /// From now on a read that failed for the moment, or that used up its time, is begun anew once; also by clones of
    /// this. For changes: one look at a cluster is some thirty reads, and a server that loses a tenth of them would show
    /// nothing at all to somebody who gives up at the first.
    pub fn be_patient(&self) {
        self.inner.patient.store(true, Ordering::Relaxed);
    }

    /// Posts JSON, for reviews such as SelfSubjectAccessReview. See [`Connection::send`].
    ///
    /// # Errors
    /// What the try brought; see [`RequestError`].
    pub async fn post_json(&self, path: &str, body: Vec<u8>) -> Result<Bytes, RequestError> {
        self.send(Method::POST, path, "application/json", body).await
    }

    /// Sends a write. Tried again only where the server has done nothing with it: after a 429, and once with a renewed
    /// credential after a 401. Whether a write took place whose answer was lost, the caller finds out by reading
    /// ([`RequestError::leaves_open_what_happened`]).
    ///
    /// # Errors
    /// What the try brought; see [`RequestError`].
    pub async fn send(
        &self,
        method: Method,
        path_and_query: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, RequestError> {
        let compressed = self.inner.compressed;
        self.ask(Question {
            method,
            path_and_query,
            accept: "application/json",
            body: Some(Bytes::from(body)),
            content_type,
            compressed,
        })
        .await
    }

    async fn ask(&self, question: Question<'_>) -> Result<Bytes, RequestError> {
        let inner = &*self.inner;
        let mut live = inner.current();
        if live
            .expires
            .is_some_and(|expires| expires <= jiff::Timestamp::now())
        {
            // If this fails the old credential may still do; the server will tell.
            if let Ok(Some(renewed)) = inner.renew(live.generation).await {
                live = renewed;
            }
        }
        let answer = request::ask(&live.client, &question, inner.limit, &inner.route).await;
        let Err(RequestError::Unauthorized { message }) = answer else {
            return answer;
        };
        match inner.renew(live.generation).await {
            Ok(None) => Err(RequestError::Unauthorized { message }),
            Err(e) => Err(RequestError::Unauthorized {
                message: format!("{message}; renewing the credential failed: {e}"),
            }),
            Ok(Some(renewed)) => {
                let answer = request::ask(&renewed.client, &question, inner.limit, &inner.route).await;
                if matches!(answer, Err(RequestError::Unauthorized { .. })) {
                    *inner.renewal.lock().await = Some(renewed.generation);
                }
                answer
            }
        }
    }
}

impl Inner {
    fn current(&self) -> Live {
        // Nothing can panic while it is held, so a poisoned lock still holds a whole value.
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client with a newer credential than that of `seen`; `None` when there is none to be had.
    async fn renew(&self, seen: u64) -> Result<Option<Live>, ConnectError> {
        if matches!(self.source, Source::Fixed) {
            return Ok(None);
        }
        let refused = self.renewal.lock().await;
        let current = self.current();
        if current.generation != seen {
            return Ok(Some(current));
        }
        if *refused == Some(seen) {
            return Ok(None);
        }
        let renewed = live(&self.base, self.source.obtain().await?, seen + 1)?;
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = renewed.clone();
        Ok(Some(renewed))
    }
}

/// Builds the client with this credential.
fn live(base: &kube::Config, credential: Credential, generation: u64) -> Result<Live, ConnectError> {
    let mut config = base.clone();
    let user = &mut config.auth_info;
    if let Some((certificate, key)) = credential.certificate {
        check_expiry(certificate.as_bytes())?;
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    let written = || {
        user.token
            .as_ref()
            .map(|token| token.expose_secret().trim().to_owned())
    };
    if let Some(token) = credential.token.or_else(written) {
        // The client library panics on a token that is no header value.
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            let why = "it holds characters that no token has, such as spaces or line breaks".into();
            return Err(ConnectError::BadData { what: "token", why });
        }
        user.token = Some(token.into());
    }
    // One that comes expired already would be renewed before every request, and to no avail.
    let expires = credential
        .expires
        .filter(|expires| *expires > jiff::Timestamp::now());
    let client = kube::Client::try_from(config).map_err(|e| ConnectError::Client {
        why: client_words(&e),
    })?;
    Ok(Live {
        client,
        generation,
        expires,
    })
}

/// A setup error of the client library, without what may hold a URL's user part.
fn client_words(error: &kube::Error) -> String {
    match error {
        kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => {
            "the proxy's protocol is not supported".into()
        }
        other => error::printable(&other.to_string()),
    }
}

/// The server's URL; without a scheme it is http, or https when anything about TLS is configured, as for kubectl.
fn server_of(cluster: &Cluster, user: &AuthInfo, name: &str) -> Result<Uri, ConnectError> {
    let bad = |why: &str| ConnectError::BadServer {
        cluster: name.to_owned(),
        why: why.to_owned(),
    };
    let text = cluster.server.as_deref().unwrap_or_default().trim();
    if text.is_empty() {
        return Err(bad("the kubeconfig names no server"));
    }
    let tls = cluster.certificate_authority.is_some()
        || cluster.certificate_authority_data.is_some()
        || cluster.insecure_skip_tls_verify == Some(true)
        || user.client_certificate.is_some()
        || user.client_certificate_data.is_some();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (if tls { "https" } else { "http" }.to_owned(), text),
    };
    if scheme != "http" && scheme != "https" {
        return Err(bad("its scheme is neither https nor http"));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // A user part is never needed here, and must not be shown.
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let uri: Uri = format!("{scheme}://{host}{path}")
        .parse()
        .map_err(|_| bad("it is not a URL"))?;
    if uri.host().is_none_or(str::is_empty) {
        Err(bad("it names no host"))
    } else {
        Ok(uri)
    }
}

fn is_loopback(server: &Uri) -> bool {
    let host = server
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}
