//! What the surroundings of the process say, read once at the door so that nothing deeper asks for it.
#![expect(clippy::disallowed_methods, reason = "the door to the environment")]

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

/// The environment variables, folders and terminal that decide how a cluster is reached.
///
/// Tests build their own; the default knows nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `KUBECONFIG`, a list in the platform's path separator.
    pub kubeconfig: Option<OsString>,
    /// Folders that may hold `.kube/config`, the preferred one first (Windows knows several, kubectl tries all).
    pub homes: Vec<PathBuf>,
    /// `HTTPS_PROXY` or `https_proxy`: the proxy for `https` servers.
    pub https_proxy: Option<String>,
    /// `HTTP_PROXY` or `http_proxy`: the proxy for `http` servers.
    pub http_proxy: Option<String>,
    /// `NO_PROXY` or `no_proxy`.
    pub no_proxy: Option<String>,
    /// `KUBERNETES_SERVICE_HOST`, set inside pods.
    pub service_host: Option<String>,
    /// `KUBERNETES_SERVICE_PORT`, set inside pods.
    pub service_port: Option<String>,
    /// The folder of the pod's service account.
    pub service_account: PathBuf,
    /// Whether a person can answer a question on standard input.
    pub stdin_is_terminal: bool,
    /// Whether what programs say on the way is for nobody.
    pub mute: bool,
}

impl Environment {
    /// Reads the process's own environment.
    pub fn read() -> Self {
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()),
            homes: homes(),
            https_proxy: first_set(&["HTTPS_PROXY", "https_proxy"]),
            http_proxy: first_set(&["HTTP_PROXY", "http_proxy"]),
            no_proxy: first_set(&["NO_PROXY", "no_proxy"]),
            service_host: first_set(&["KUBERNETES_SERVICE_HOST"]),
            service_port: first_set(&["KUBERNETES_SERVICE_PORT"]),
            service_account: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            mute: false,
        }
    }

    /// The same where nobody looks and nobody can answer.
    pub fn unwatched(self) -> Self {
        Self {
            stdin_is_terminal: false,
            mute: true,
            ..self
        }
    }
}

/// The first of these variables that holds anything.
fn first_set(names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn homes() -> Vec<PathBuf> {
    // As kubectl: nobody else is asked who we are where HOME is not set.
    let mut homes: Vec<PathBuf> = std::env::var_os("HOME").map(PathBuf::from).into_iter().collect();
    if cfg!(windows) {
        if let (Some(mut drive), Some(path)) = (std::env::var_os("HOMEDRIVE"), std::env::var_os("HOMEPATH")) {
            drive.push(path);
            homes.push(PathBuf::from(drive));
        }
        homes.extend(std::env::var_os("USERPROFILE").map(PathBuf::from));
    }
    homes.retain(|home| !home.as_os_str().is_empty());
    homes
}
