//! The helm program: the only module that runs it. Nothing here judges what a release should be; that helm ended well
//! is not believed either, callers look at the history and at the cluster.

mod cause;
mod environment;
mod error;
mod history;
mod release;
mod run;
mod said;
mod target;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use semver::Version;
use serde_json::Value;

pub use cause::{Cause, Owned};
pub use environment::Environment;
pub use error::HelmError;
pub use release::{Change, Release};
pub use run::Stop;
pub use target::Target;

use super::private_folder::PrivateFolder;
use run::{Call, Manner, Printed, Runner};

/// The oldest of each major that is taken: 3.17 brought `--take-ownership`; up to 4.1.2 flags of helm 3 were missing
/// that scripts around it use, and came back as deprecated (helm#31900).
const OLDEST: [Version; 2] = [Version::new(3, 17, 0), Version::new(4, 1, 3)];

/// Limit of `helm version`, which reads nothing.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// Limit of rendering: the largest CNI chart takes half a second.
const TEMPLATE_LIMIT: Duration = Duration::from_secs(60);
/// Limit of what comes over the network from a chart's source: an index is up to 20 MB.
const FETCH_LIMIT: Duration = Duration::from_secs(180);
/// How long an install or an upgrade has to mark its release failed once it was asked to stop.
const GRACE: Duration = Duration::from_secs(30);

/// A helm that is known to be good. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Helm {
    runner: Runner,
    version: Version,
    /// Repositories that were added to the private configuration, in the order of their numbers.
    repositories: Arc<Mutex<Vec<String>>>,
}

/// What to render.
#[derive(Debug)]
pub struct Rendering<'a> {
    /// The chart's archive.
    pub chart: &'a Path,
    /// The release's name.
    pub release: &'a str,
    /// The release's namespace.
    pub namespace: &'a str,
    /// The values.
    pub values: &'a Value,
    /// The cluster's version, `1.33.2`; helm takes its own default without it.
    pub kube_version: Option<&'a str>,
    /// What the cluster serves, as charts ask for it: `monitoring.coreos.com/v1`, `apps/v1/Deployment`.
    pub api_versions: &'a [String],
    /// Whether the release is there already (`.Release.IsUpgrade`).
    pub upgrade: bool,
}

impl Helm {
    /// Finds helm, `$HELM_BIN` or `helm` on the `PATH`, and asks for its version.
    ///
    /// # Errors
    /// [`HelmError::Missing`], [`HelmError::TooOld`], [`HelmError::TooNew`], [`HelmError::Strange`], or that there is
    /// no room for the private folder.
    pub async fn find(environment: &Environment) -> Result<Helm, HelmError> {
        let named = environment.get("HELM_BIN");
        let program = environment.program(named.unwrap_or(OsStr::new("helm")));
        let program = program.ok_or_else(|| HelmError::Missing {
            looked: match named {
                Some(name) => format!("HELM_BIN names {name:?}, which is no program"),
                None => "there is none on the PATH".into(),
            },
        })?;
        let folder = PrivateFolder::new().map_err(|e| HelmError::Files {
            what: "make a folder for helm",
            why: e.to_string(),
        })?;
        let runner = Runner {
            program,
            variables: environment.for_helm(folder.path()),
            folder: Arc::new(folder),
            grace: GRACE,
        };
        let strange = |why: String| HelmError::Strange {
            program: runner.program.clone(),
            why,
        };
        let call = Call {
            doing: "helm version",
            arguments: ["version", "--template", "{{.Version}}"].map(Into::into).into(),
            manner: Manner::Reads,
            limit: VERSION_LIMIT,
            stop: None,
            secrets: &[],
        };
        let printed = runner.run(call).await.map_err(|e| match e {
            HelmError::Failed { said, .. } => strange(format!("helm version failed: {said}")),
            HelmError::TimedOut { .. } => strange(e.to_string()),
            other => other,
        })?;
        let text = printed.out.trim();
        let version = Version::parse(text.strip_prefix('v').unwrap_or(text)).map_err(|_| {
            let shown = crate::core::text::Text::new(text).line(60);
            strange(format!("it says that its version is {shown:?}"))
        })?;
        let (found, program) = (version.to_string(), runner.program.clone());
        match OLDEST.iter().find(|oldest| oldest.major == version.major) {
            // A release candidate of the oldest is as good as it.
            Some(oldest) if (version.minor, version.patch) >= (oldest.minor, oldest.patch) => Ok(Helm {
                runner,
                version,
                repositories: Arc::default(),
            }),
            None if version.major > 4 => Err(HelmError::TooNew { found, program }),
            _ => Err(HelmError::TooOld { found, program }),
        }
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Where it is.
    pub fn program(&self) -> &Path {
        &self.runner.program
    }

    /// The folder of this run.
    pub(crate) fn folder(&self) -> &Arc<PrivateFolder> {
        &self.runner.folder
    }

    /// A release in a cluster; `stop` becomes true when the user wants to stop.
    pub fn release<'a>(&'a self, target: &'a Target, name: &'a str, stop: Option<Stop>) -> Release<'a> {
        Release::new(self, target, name, stop)
    }

    /// Renders a chart, without any cluster: its objects and its CustomResourceDefinitions, without its tests.
    ///
    /// # Errors
    /// Above all [`Cause::Template`], [`Cause::Schema`] and [`Cause::KubernetesVersion`].
    pub async fn template(&self, rendering: &Rendering<'_>) -> Result<String, HelmError> {
        let values = self.values_file(rendering.values)?;
        let mut arguments = vec!["template".into(), "--include-crds".into(), "--skip-tests".into()];
        arguments.push(joined("--namespace", rendering.namespace));
        arguments.push(joined("--values", &values.0));
        if let Some(version) = rendering.kube_version {
            arguments.push(joined("--kube-version", version));
        }
        if rendering.upgrade {
            arguments.push("--is-upgrade".into());
        }
        for version in rendering.api_versions {
            arguments.push(joined("--api-versions", version));
        }
        arguments.extend(["--".into(), rendering.release.into(), rendering.chart.into()]);
        self.read(
            "helm template",
            arguments,
            TEMPLATE_LIMIT,
            &said::secrets(rendering.values),
        )
        .await
        .map(|printed| printed.out)
    }

    /// Downloads a chart into a new folder of this run: by URL, by `oci://` reference, or by name from a repository.
    /// Gives the archive, and the manifest's digest where a registry named one.
    ///
    /// # Errors
    /// Above all those of the network, [`Cause::RegistryLogin`] and [`Cause::ChartNotFound`].
    pub async fn pull(
        &self,
        reference: &str,
        version: Option<&str>,
        repository: Option<&str>,
    ) -> Result<(PathBuf, Option<String>), HelmError> {
        let folder = self
            .folder()
            .folder(&format!("pull-{}", self.folder().next()))
            .map_err(|e| HelmError::Files {
                what: "make a folder for the chart",
                why: e.to_string(),
            })?;
        let mut arguments = vec!["pull".into(), joined("--destination", &folder)];
        if let Some(version) = version {
            arguments.push(joined("--version", version));
        }
        let reference = match repository {
            Some(url) => format!("{}/{reference}", self.repository(url).await?),
            None => reference.to_string(),
        };
        // What signs a URL is not repeated with what helm says of it.
        let secrets: Vec<String> = reference
            .split_once('?')
            .map(|(_, query)| query.to_string())
            .filter(|query| !query.is_empty())
            .into_iter()
            .collect();
        arguments.extend(["--".into(), reference.into()]);
        let printed = self.read("helm pull", arguments, FETCH_LIMIT, &secrets).await?;
        let archive = only_file(&folder).ok_or_else(|| {
            self.runner
                .strange("helm pull", "ended well, but there is no chart")
        })?;
        // Helm 4 says it on standard output, helm 3 on standard error.
        let digest = printed
            .out
            .lines()
            .chain(printed.err.lines())
            .find_map(|line| line.strip_prefix("Digest:"))
            .map(|digest| digest.trim().to_string());
        Ok((archive, digest))
    }

    /// Downloads a repository's index, once a run, and gives the file.
    ///
    /// # Errors
    /// Above all those of the network.
    pub async fn index(&self, url: &str) -> Result<PathBuf, HelmError> {
        let name = self.repository(url).await?;
        Ok(self
            .folder()
            .path()
            .join("repositories")
            .join(format!("{name}-index.yaml")))
    }

    /// The name of a repository in the private configuration, to which it is added first.
    async fn repository(&self, url: &str) -> Result<String, HelmError> {
        let known = |all: &Vec<String>| all.iter().position(|known| known == url);
        let named = |at: usize| format!("source-{}", at + 1);
        if let Some(at) = self.repositories.lock().ok().and_then(|all| known(&all)) {
            return Ok(named(at));
        }
        let next = self.repositories.lock().map_or(0, |all| all.len());
        let arguments = ["repo", "add", "--force-update", "--", &named(next), url].map(Into::into);
        self.read("helm repo add", arguments.into(), FETCH_LIMIT, &[])
            .await?;
        if let Ok(mut all) = self.repositories.lock() {
            all.push(url.to_string());
        }
        Ok(named(next))
    }

    /// Runs what writes nothing to any cluster.
    async fn read(
        &self,
        doing: &'static str,
        arguments: Vec<std::ffi::OsString>,
        limit: Duration,
        secrets: &[String],
    ) -> Result<Printed, HelmError> {
        let call = Call {
            doing,
            arguments,
            manner: Manner::Reads,
            limit,
            stop: None,
            secrets,
        };
        self.runner.run(call).await
    }

    /// The values in a file that only this user can read, and that goes with the answer.
    fn values_file(&self, values: &Value) -> Result<ValuesFile, HelmError> {
        let name = format!("{}.values", self.folder().next());
        // JSON is YAML, and leaves nothing to the reading of plain words.
        self.folder()
            .write(&name, values.to_string().as_bytes())
            .map(ValuesFile)
            .map_err(|e| HelmError::Files {
                what: "write the values for helm",
                why: e.to_string(),
            })
    }
}

/// Values on disk.
struct ValuesFile(PathBuf);

impl Drop for ValuesFile {
    #[expect(
        clippy::disallowed_methods,
        reason = "values do not stay longer than they are needed"
    )]
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `--flag=value` in one word: a value that begins with a dash stays a value.
fn joined(flag: &str, value: impl AsRef<OsStr>) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from(flag);
    word.push("=");
    word.push(value);
    word
}

/// The only file of a folder.
#[expect(
    clippy::disallowed_methods,
    reason = "what helm downloaded is looked up by its folder"
)]
fn only_file(folder: &Path) -> Option<PathBuf> {
    let mut files = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    let first = files.next()?;
    files.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
