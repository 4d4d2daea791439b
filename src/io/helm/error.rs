//! What can go wrong with helm, each with its reason and the next command.

use std::{path::PathBuf, time::Duration};

use thiserror::Error;

use super::cause::Cause;

/// Why helm did not do what it was asked. No message holds a value of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HelmError {
    /// There is no helm.
    #[error("helm was not found: {looked}")]
    Missing {
        /// Where it was looked for.
        looked: String,
    },
    /// It is older than what we were tested with.
    #[error("helm {found} is too old: at least 3.17 or 4.1.3 is needed ({})", .program.display())]
    TooOld {
        /// Its version.
        found: String,
        /// Which program.
        program: PathBuf,
    },
    /// Its major version came after us: its flags may mean something else.
    #[error("helm {found} is not known: helm 3 and 4 are ({})", .program.display())]
    TooNew {
        /// Its version.
        found: String,
        /// Which program.
        program: PathBuf,
    },
    /// It answers nothing that helm would.
    #[error("{} does not behave like helm: {why}", .program.display())]
    Strange {
        /// Which program.
        program: PathBuf,
        /// What it did.
        why: String,
    },
    /// A file that helm needs could not be written or read.
    #[error("cannot {what}: {why}")]
    Files {
        /// `write the values for helm` and the like.
        what: &'static str,
        /// The system's word.
        why: String,
    },
    /// A flag that helm has no counterpart of.
    #[error("{flag} cannot be used for changes: helm has no such flag, or would show it to every process")]
    Flag {
        /// The flag.
        flag: &'static str,
    },
    /// It took longer than its limit and was ended; nothing in the cluster depends on it.
    #[error("{doing} did not end within {}", seconds(*.limit))]
    TimedOut {
        /// `helm template` and the like.
        doing: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It took longer than its limit, was asked to stop and did: the release is marked failed.
    #[error("{doing} did not end within {} and was asked to stop{}", seconds(*.limit), after_colon(.said))]
    Ended {
        /// `helm install` and the like.
        doing: &'static str,
        /// The limit.
        limit: Duration,
        /// What it said.
        said: String,
    },
    /// It took longer than its limit and is still at work: it is never killed in the middle of a write.
    #[error("{doing} is still at work after its limit, as process {pid}")]
    StillRunning {
        /// `helm upgrade` and the like.
        doing: &'static str,
        /// Its process.
        pid: u32,
        /// Where its output goes.
        output: PathBuf,
    },
    /// We were asked to stop, and so was it.
    #[error("{doing} was interrupted{}", after_colon(.said))]
    Stopped {
        /// `helm install` and the like.
        doing: &'static str,
        /// What it said, if it was started at all.
        said: String,
    },
    /// It said that it could not.
    #[error("{doing} failed: {}", .cause.message(.said))]
    Failed {
        /// `helm install` and the like.
        doing: &'static str,
        /// What that means.
        cause: Cause,
        /// Its own words, made harmless and short.
        said: String,
    },
}

impl HelmError {
    /// What it means, where helm said it.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Failed { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// What to do next, usually a command to run.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } => {
                "install it (https://helm.sh/docs/intro/install: brew install helm, winget install Helm.Helm, or the \
                 archive of a release), put it on the PATH, or name it: HELM_BIN=FILE"
            }
            Self::TooOld { .. } => {
                "install a newer one (https://helm.sh/docs/intro/install), or name another: HELM_BIN=FILE"
            }
            Self::TooNew { .. } => "name a helm 4: HELM_BIN=FILE; or update this plugin",
            Self::Strange { .. } => "see what it is: helm version; name another one with HELM_BIN=FILE",
            Self::Files { .. } => "see whether there is room and a right to write: the folder is $TMPDIR",
            Self::Flag { .. } => {
                "put it into a kubeconfig of its own and name that: --kubeconfig FILE --context NAME"
            }
            Self::TimedOut { .. } => {
                "see whether the network is slow or a proxy is missing; a chart on disk needs none: --chart FILE"
            }
            Self::StillRunning { pid, output, .. } => {
                return Some(format!(
                    "wait for it: ps -p {pid}; what it says goes to {}; then see where it stands: kubectl byocni status",
                    output.display()
                ));
            }
            Self::Ended { .. } | Self::Stopped { .. } => "see where it stands: kubectl byocni status",
            Self::Failed { cause, .. } => return cause.hint(),
        };
        Some(hint.to_string())
    }
}

/// A limit as people write it.
fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs().max(1))
}

fn after_colon(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {said}"),
    }
}
