//! What can go wrong between the flags and an answer, each with its reason and the next command.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why no connection could be set up. No message ever holds a token, a password or a URL's user part.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// None of the places kubectl looks at holds a kubeconfig, and this is no pod.
    #[error("no kubeconfig found{}", looked_at(.looked))]
    NoKubeconfig {
        /// The places looked at.
        looked: Vec<PathBuf>,
    },
    /// The file that `--kubeconfig` names does not exist.
    #[error("the kubeconfig {} does not exist", .path.display())]
    KubeconfigMissing {
        /// The file named.
        path: PathBuf,
    },
    /// A kubeconfig exists but cannot be read.
    #[error("cannot read the kubeconfig {}: {why}", .path.display())]
    KubeconfigUnreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A kubeconfig is no valid YAML, or not of a kubeconfig's shape.
    #[error("cannot understand the kubeconfig {}{}: {why}", .path.display(), at_line(*.line))]
    KubeconfigUnparsable {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where known.
        line: Option<u64>,
        /// What is wrong there; quoted values are left out because they may be secrets.
        why: String,
    },
    /// There are contexts, but none is current and no `--context` was given.
    #[error("no context is chosen: the kubeconfig has no current-context{}", known_names(.known))]
    NoCurrentContext {
        /// The contexts there are.
        known: Vec<String>,
    },
    /// A context, cluster or user that the kubeconfig does not have.
    #[error("the kubeconfig has no {what} named {name:?}{}{}", did_you_mean(.nearest), known_names(.known))]
    Unknown {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The most similar name there is, if one is similar.
        nearest: Option<String>,
        /// All names there are.
        known: Vec<String>,
    },
    /// The chosen cluster has no server, or one that is no URL.
    #[error("the server of cluster {cluster:?} cannot be used: {why}")]
    BadServer {
        /// The cluster's name.
        cluster: String,
        /// What is wrong.
        why: String,
    },
    /// A proxy is set but cannot be used.
    #[error("the proxy from {from} cannot be used: {why}")]
    BadProxy {
        /// The variable or kubeconfig field that sets it.
        from: &'static str,
        /// What is wrong; never the URL's user part.
        why: String,
    },
    /// A file that the kubeconfig or a flag refers to cannot be read.
    #[error("cannot read the {what} {}: {why}", .path.display())]
    File {
        /// `client certificate`, `token file` and the like.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A certificate, key or token is there but malformed.
    #[error("the {what} cannot be used: {why}")]
    BadData {
        /// `client certificate`, `token` and the like.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The client certificate's time is over.
    #[error("the client certificate expired on {on}")]
    ClientCertificateExpired {
        /// When, in RFC 3339.
        on: String,
    },
    /// The credential plugin is not installed or not on the PATH.
    #[error("the credential plugin {command:?} of this kubeconfig was not found")]
    ExecNotFound {
        /// The program named by the kubeconfig.
        command: String,
        /// The kubeconfig's own advice on how to install it.
        install_hint: Option<String>,
    },
    /// The credential plugin ran and failed, or could not be started.
    #[error("the credential plugin {command:?} failed: {why}")]
    ExecFailed {
        /// The program.
        command: String,
        /// Exit code and the last line it wrote to standard error.
        why: String,
    },
    /// The credential plugin ended well but what it printed is no credential.
    #[error("the credential plugin {command:?} did not return a credential: {why}")]
    ExecOutput {
        /// The program.
        command: String,
        /// What is wrong with it; never the output itself.
        why: String,
    },
    /// The kubeconfig says that the plugin needs a person at a terminal, and there is none.
    #[error("the credential plugin {command:?} must ask questions, but standard input is not a terminal")]
    ExecNeedsTerminal {
        /// The program.
        command: String,
    },
    /// The kubeconfig uses one of the authentication providers that Kubernetes removed.
    #[error("the kubeconfig uses the authentication provider {name:?}, which kubectl no longer has")]
    AuthProvider {
        /// The provider's name, `azure` for AKS.
        name: String,
    },
    /// Flags that do not go together, or one that cannot be used.
    #[error("{flag}: {why}")]
    BadFlag {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The client library refused the configuration for another reason.
    #[error("cannot set up the connection: {why}")]
    Client {
        /// Its reason.
        why: String,
    },
}

impl ConnectError {
    /// What to do next, usually a command to run.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoKubeconfig { .. } => {
                "on AKS: az aks get-credentials --resource-group GROUP --name CLUSTER; else --kubeconfig FILE".into()
            }
            Self::KubeconfigMissing { .. } => "check --kubeconfig, or leave it out to use $KUBECONFIG or ~/.kube/config".into(),
            Self::KubeconfigUnparsable { path, .. } => {
                format!("kubectl config view --kubeconfig {} shows whether kubectl can read it", path.display())
            }
            Self::NoCurrentContext { known } if known.is_empty() => "kubectl config get-contexts".into(),
            Self::NoCurrentContext { .. } => "kubectl config use-context NAME, or --context NAME".into(),
            Self::Unknown { what, .. } => match *what {
                "context" => "kubectl config get-contexts".into(),
                "cluster" => "kubectl config get-clusters".into(),
                _ => "kubectl config get-users".into(),
            },
            Self::BadProxy { .. } => "write it as http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT".into(),
            Self::ClientCertificateExpired { .. } => {
                "fetch fresh credentials; on AKS: az aks get-credentials --overwrite-existing --resource-group GROUP --name CLUSTER".into()
            }
            Self::ExecNotFound { command, install_hint } => match install_hint {
                Some(text) => text.clone(),
                None if is_kubelogin(command) => "install kubelogin: az aks install-cli".into(),
                None => format!("install {command:?} or put it on the PATH"),
            },
            Self::ExecFailed { command, .. } if is_kubelogin(command) => {
                "log in again (az login), or change how kubelogin logs in: kubelogin convert-kubeconfig -l azurecli".into()
            }
            Self::ExecFailed { command, .. } | Self::ExecOutput { command, .. } => {
                format!("kubectl auth whoami runs {command:?} too and shows whether it works for kubectl")
            }
            Self::ExecNeedsTerminal { command } if is_kubelogin(command) => {
                "use a login that asks nothing: kubelogin convert-kubeconfig -l azurecli".into()
            }
            Self::AuthProvider { name } if name == "azure" => {
                "kubelogin convert-kubeconfig -l azurecli (az aks install-cli installs kubelogin)".into()
            }
            Self::AuthProvider { name } if name == "gcp" => {
                "install gke-gcloud-auth-plugin, then gcloud container clusters get-credentials CLUSTER".into()
            }
            _ => return None,
        };
        Some(hint)
    }
}

/// Why a request brought no answer that can be used. Text from the server is free of control characters.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// 403: logged in, but not allowed to.
    #[error("forbidden: {message}")]
    Forbidden {
        /// The server's sentence, which names the verb and the resource.
        message: String,
    },
    /// 401: the server does not know who is asking, also after the credential was renewed once.
    #[error("not logged in: {message}")]
    Unauthorized {
        /// The server's sentence, and why renewing the credential failed if it did.
        message: String,
    },
    /// 404: no such object, or no such API on this server.
    #[error("not found: the server has no such object or API")]
    NotFound,
    /// 410: the continue token of a paged list expired; start the list again.
    #[error("the list expired on the server: {message}")]
    Gone {
        /// The server's sentence.
        message: String,
    },
    /// Any other refusal, after all tries where trying again makes sense.
    #[error("the server answered {code} {reason}: {message}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// Kubernetes' word for it, such as `InternalError`, else HTTP's.
        reason: String,
        /// The server's sentence.
        message: String,
    },
    /// No complete answer within the request timeout.
    #[error("no complete answer within {after:?}")]
    TimedOut {
        /// The limit that was hit.
        after: Duration,
    },
    /// No connection to the server.
    #[error("cannot reach the API server: {why}")]
    Unreachable {
        /// Who could not be reached and why.
        why: String,
    },
    /// The TLS handshake failed, nearly always because of a certificate.
    #[error("no secure connection to the API server: {why}")]
    Insecure {
        /// Whose certificate is refused and why.
        why: String,
    },
    /// Something answered, but not an API server: a login page, a redirect.
    #[error("this does not look like the API server: {why}")]
    NotTheApi {
        /// What answered instead.
        why: String,
    },
    /// The request itself could not be formed.
    #[error("cannot form the request: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
}

impl RequestError {
    /// 429: the server was too busy to look at the request.
    pub fn is_too_many_requests(&self) -> bool {
        matches!(self, Self::Status { code: 429, .. })
    }

    /// 409: the object is there already, or is another one than was read.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Status { code: 409, .. })
    }

    /// Whether a write may have been carried out all the same: only reading back tells.
    pub fn leaves_open_what_happened(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Unreachable { .. } => true,
            Self::Status { code, .. } => *code >= 500,
            _ => false,
        }
    }

    /// What to do next, usually a command to run.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Forbidden { .. } => "kubectl auth can-i --list shows what this user may do",
            Self::Unauthorized { .. } => "log in again, then check with: kubectl auth whoami",
            Self::Status {
                code: 429 | 500..=599,
                ..
            } => "the server is overloaded or broken: kubectl get --raw '/readyz?verbose'",
            Self::TimedOut { .. } => "give it longer with --request-timeout 2m (0 = no limit)",
            Self::Unreachable { .. } => {
                "kubectl cluster-info shows whether kubectl can reach it; check VPN, proxy and firewall"
            }
            Self::Insecure { .. } => {
                "check the kubeconfig's certificate-authority and tls-server-name: kubectl config view --minify"
            }
            Self::NotTheApi { .. } => {
                "check the server and the proxy: kubectl config view --minify, HTTPS_PROXY, NO_PROXY"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Whether this program is Azure's kubelogin, for which we know what helps.
fn is_kubelogin(command: &str) -> bool {
    command
        .rsplit(['/', '\\'])
        .next()
        .is_some_and(|name| name.trim_end_matches(".exe") == "kubelogin")
}

fn looked_at(paths: &[PathBuf]) -> String {
    match paths {
        [] => ": no home folder and no KUBECONFIG".to_owned(),
        _ => format!(
            " (looked at {})",
            paths
                .iter()
                .map(|p| p.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn at_line(line: Option<u64>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|name| format!("; did you mean {name:?}?"))
        .unwrap_or_default()
}

/// The existing names, shortened where a kubeconfig holds hundreds.
fn known_names(names: &[String]) -> String {
    const SHOWN: usize = 10;
    if names.is_empty() {
        return " (it has none)".to_owned();
    }
    let mut listed = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        listed.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    format!(" (it has: {listed})")
}

/// Text from outside made safe for a terminal: one line, no control or direction characters, at most 600 characters.
pub(crate) fn printable(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| {
            let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
            !c.is_control() && !invisible
        })
        .take(600)
        .collect();
    clean.trim().to_owned()
}
