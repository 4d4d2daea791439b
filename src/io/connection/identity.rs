//! Who we are to the server, and whom we believe: certificates, tokens, and where a fresh one comes from.
#![expect(
    clippy::disallowed_methods,
    reason = "the door to certificates and tokens on disk, which expire by the clock"
)]

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Cluster};
use secrecy::ExposeSecret;

use super::certificate;
use super::environment::Environment;
use super::error::{ConnectError, printable};
use super::exec::{Credential, Plugin};

/// Where the credential comes from, when it is not simply written in the kubeconfig.
pub(crate) enum Source {
    Fixed,
    Exec(Plugin),
    /// A token file, re-read when its token is refused: service account tokens are replaced hourly.
    File(PathBuf),
}

impl Source {
    /// A fresh credential; running a plugin may take as long as a person needs to log in.
    pub async fn obtain(&self) -> Result<Credential, ConnectError> {
        match self {
            Self::Fixed => Ok(Credential::default()),
            Self::Exec(plugin) => plugin.run().await,
            Self::File(path) => {
                let bytes = read("token file", path)?;
                let token = String::from_utf8_lossy(&bytes).trim().to_owned();
                if token.is_empty() {
                    return Err(ConnectError::BadData {
                        what: "token file",
                        why: "it is empty".into(),
                    });
                }
                Ok(Credential {
                    token: Some(token),
                    ..Credential::default()
                })
            }
        }
    }
}

/// The cluster's CA in PEM; inline data wins over a file.
pub(crate) fn authority_of(cluster: &Cluster) -> Result<Option<Vec<u8>>, ConnectError> {
    pem_of(
        "certificate authority",
        cluster.certificate_authority_data.as_deref(),
        cluster.certificate_authority.as_deref(),
    )
}

fn pem_of(
    what: &'static str,
    data: Option<&str>,
    file: Option<&str>,
) -> Result<Option<Vec<u8>>, ConnectError> {
    match (
        data.filter(|text| !text.is_empty()),
        file.filter(|text| !text.is_empty()),
    ) {
        (Some(data), _) => {
            let packed: String = data.split_whitespace().collect();
            let why = "its data is not base64";
            STANDARD
                .decode(packed)
                .map(Some)
                .map_err(|_| ConnectError::BadData {
                    what,
                    why: why.into(),
                })
        }
        (None, Some(path)) => read(what, Path::new(path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(path).map_err(|e| ConnectError::File {
        what,
        path: path.to_owned(),
        why: e.to_string(),
    })
}

/// Takes out of `user` what the client library would otherwise run or read by itself.
pub(crate) fn source_of(
    user: &mut AuthInfo,
    cluster: &Cluster,
    authority: Option<&[u8]>,
    env: &Environment,
) -> Result<Source, ConnectError> {
    // oidc is the one provider that kubectl still has.
    if let Some(provider) = user
        .auth_provider
        .as_ref()
        .filter(|provider| provider.name != "oidc")
    {
        return Err(ConnectError::AuthProvider {
            name: printable(&provider.name),
        });
    }
    let token_file = user.token_file.take().filter(|path| !path.is_empty());
    let exec = user.exec.take();
    user.token = user
        .token
        .take()
        .filter(|token| !token.expose_secret().is_empty());
    let basic = user.username.as_ref().is_some_and(|name| !name.is_empty()) && user.password.is_some();
    // kubectl never runs the plugin when the kubeconfig itself holds a token or a password.
    Ok(match (token_file, exec) {
        _ if user.token.is_some() || basic => Source::Fixed,
        (Some(path), _) => Source::File(PathBuf::from(path)),
        (None, Some(exec)) => {
            Source::Exec(Plugin::new(&exec, cluster, authority, env.stdin_is_terminal)?.muted(env.mute))
        }
        (None, None) => Source::Fixed,
    })
}

/// Reads the client certificate once now, because the client library's own errors do not name the file.
///
/// An expired one is an error only if it is `alone`: next to a token the server may well do without it.
pub(crate) fn check_identity(user: &AuthInfo, alone: bool) -> Result<(), ConnectError> {
    let data = user.client_key_data.as_ref().map(ExposeSecret::expose_secret);
    let key = pem_of("client key", data, user.client_key.as_deref())?;
    let chain = pem_of(
        "client certificate",
        user.client_certificate_data.as_deref(),
        user.client_certificate.as_deref(),
    )?;
    match (chain, key) {
        (Some(chain), Some(_)) if alone => check_expiry(&chain),
        (Some(_), None) => Err(ConnectError::BadData {
            what: "client certificate",
            why: "its key is missing".into(),
        }),
        (None, Some(_)) => Err(ConnectError::BadData {
            what: "client key",
            why: "its certificate is missing".into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses a client certificate whose time is over: the server would only drop the connection.
pub(crate) fn check_expiry(pem: &[u8]) -> Result<(), ConnectError> {
    let chain = certificate::certificates(pem).map_err(|why| ConnectError::BadData {
        what: "client certificate",
        why,
    })?;
    match chain.first().and_then(|leaf| certificate::not_after(leaf)) {
        Some(end) if end < jiff::Timestamp::now() => {
            Err(ConnectError::ClientCertificateExpired { on: end.to_string() })
        }
        _ => Ok(()),
    }
}
