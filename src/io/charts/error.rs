//! Why a chart, a manifest or values cannot be used, each with the next command.

use thiserror::Error;

use crate::io::helm::{Cause, HelmError};

/// Why a chart could not be had. Nothing was written anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChartError {
    /// What the user named cannot be a chart's place.
    #[error("{named:?} names no chart: {why}")]
    Named {
        /// What was named.
        named: String,
        /// What is wrong with it.
        why: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// The system's word.
        why: String,
    },
    /// It was read and is no chart that can be used.
    #[error("{source_name} is no chart that can be installed: {why}")]
    Bad {
        /// Where it came from.
        source_name: String,
        /// What is wrong.
        why: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// Its bytes are not those that were promised. Helm never saw it.
    #[error("{source_name} has the digest {found}, not {wanted} as {by} says")]
    Digest {
        /// Where it came from.
        source_name: String,
        /// Who promised.
        by: &'static str,
        /// The digest that was promised.
        wanted: String,
        /// The one that it has.
        found: String,
    },
    /// The repository has no chart of this name.
    #[error("{repository} has no chart {name:?}{}", listed("it has", .known))]
    NoChart {
        /// Which repository.
        repository: String,
        /// The name asked for.
        name: String,
        /// Some that it has.
        known: Vec<String>,
    },
    /// The chart has no such version.
    #[error("{source_name} has no version {version}{}", listed("the nearest are", .nearest))]
    NoVersion {
        /// Where it was looked for.
        source_name: String,
        /// The version asked for.
        version: String,
        /// The most similar that there are.
        nearest: Vec<String>,
    },
    /// Only helm can fetch it, and helm is not there.
    #[error("{source_name} can only be fetched with helm")]
    NeedsHelm {
        /// Where it is.
        source_name: String,
        /// The flag that takes a file in its place.
        flag: &'static str,
    },
    /// The manifest's URL gave nothing.
    #[error("the manifest {source_name} cannot be fetched: {why}")]
    NotFetched {
        /// Where it is.
        source_name: String,
        /// Helm's words, which are made harmless already.
        why: String,
    },
    /// The manifest cannot be installed.
    #[error("{name} is no manifest that can be installed: {why}")]
    Manifest {
        /// Its file.
        name: String,
        /// What is wrong.
        why: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A file of values cannot be used.
    #[error("the values in {path} cannot be used: {why}")]
    Values {
        /// Its file.
        path: String,
        /// What is wrong, with the line where one is known.
        why: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Our own copy could not be written.
    #[error("cannot keep the chart for helm: {why}")]
    Folder {
        /// The system's word.
        why: String,
    },
    /// A registry did not give it.
    #[error("{error}")]
    Registry {
        /// Its host, with the port, as `helm registry login` wants it.
        host: String,
        /// Helm's complaint.
        error: HelmError,
    },
    /// Helm could not do its part.
    #[error(transparent)]
    Helm(#[from] HelmError),
}

impl ChartError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Named { hint, .. } => Some((*hint).to_string()),
            Self::Unreadable { .. } => Some("check the path, and whether this user may read it".into()),
            Self::Bad { hint, .. } => hint.map(str::to_string),
            Self::Digest { by: "the user", .. } => Some(
                "see whether it is the digest of this very version, which --version names: sha256sum FILE prints an \
                 archive's, helm pull a registry's; if it is, the chart was changed after it was published: do not use it"
                    .into(),
            ),
            Self::Digest { .. } => Some(
                "it was changed after it was published, or something on the way changed it: do not use it; \
                 ask who publishes it"
                    .into(),
            ),
            Self::NoChart { .. } => Some("name another repository: --repo URL; or the chart itself: --chart FILE".into()),
            Self::NoVersion { .. } => Some("leave --version out for the newest that suits the cluster".into()),
            Self::NeedsHelm { flag, .. } => {
                let what = flag.trim_start_matches('-');
                Some(format!(
                    "install helm (https://helm.sh/docs/intro/install), or download the {what} elsewhere and name \
                     the file: {flag} FILE"
                ))
            }
            Self::NotFetched { .. } => Some(
                "see whether the address is right, and HTTPS_PROXY and NO_PROXY; without a way there, download it \
                 elsewhere: --manifest FILE"
                    .into(),
            ),
            Self::Manifest { hint, .. } | Self::Values { hint, .. } => hint.clone(),
            Self::Folder { .. } => Some("see whether there is room and a right to write: the folder is $TMPDIR".into()),
            Self::Registry { host, error } if error.cause() == Some(&Cause::RegistryLogin) => Some(format!(
                "helm registry login {host}; or download the chart and name the file: --chart FILE"
            )),
            Self::Registry { error, .. } | Self::Helm(error) => error.hint(),
        }
    }
}

fn listed(words: &str, names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; {words} {}", names.join(", ")),
    }
}
