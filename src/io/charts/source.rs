//! What the user names as a chart.
#![expect(
    clippy::disallowed_methods,
    reason = "whether a name is a file, a folder or neither"
)]

use std::path::{Path, PathBuf};

use super::error::ChartError;
use crate::core::{cni::Installing, text::Text};

/// A chart's place, and the digest that it must have where the user said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartSource {
    pub(super) place: Place,
    /// `sha256:…`
    pub(super) pinned: Option<String>,
}

/// Where charts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
    /// An archive, by http or https.
    Url(String),
    /// Without version.
    Oci(String),
    Repository {
        url: String,
        chart: String,
    },
    LocalRepository {
        folder: PathBuf,
        chart: String,
    },
}

const WAYS: &str = "name a folder, a .tgz, an https:// URL or an oci:// reference: --chart PATH|URL|oci://…";

impl ChartSource {
    /// `--chart`: a folder, an archive, a URL or an `oci://` reference, each with `@sha256:…` if it is pinned.
    ///
    /// # Errors
    /// [`ChartError::Named`].
    pub fn chart(named: &str) -> Result<Self, ChartError> {
        let (text, pinned) = pin(named)?;
        let place = if let Some(rest) = text.strip_prefix("oci://") {
            no_login(named, rest)?;
            if rest.trim_end_matches('/').split('/').nth(1).is_none() {
                return Err(wrong(
                    named,
                    "it names a registry and no chart in it",
                    "name the chart, too: --chart oci://REGISTRY/FOLDER/CHART",
                ));
            }
            Place::Oci(text.trim_end_matches('/').to_string())
        } else if text.starts_with("https://") || text.starts_with("http://") {
            no_login(named, text.split_once("//").map_or("", |(_, rest)| rest))?;
            Place::Url(text.to_string())
        } else if text.contains("://") {
            return Err(wrong(named, "it is neither https:// nor oci://", WAYS));
        } else {
            let path = PathBuf::from(text);
            match (path.is_dir(), path.exists()) {
                (true, _) => Place::Folder(path),
                (false, true) => Place::Archive(path),
                _ => return Err(wrong(named, "there is no such file or folder", WAYS)),
            }
        };
        Ok(ChartSource { place, pinned })
    }

    /// `--repo`, a URL, an `oci://` reference or a folder, and a chart's name, with `@sha256:…` if it is pinned.
    ///
    /// # Errors
    /// [`ChartError::Named`].
    pub fn repository(repository: &str, chart: &str) -> Result<Self, ChartError> {
        let (name, pinned) = pin(chart)?;
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('-') {
            return Err(wrong(
                chart,
                "it is no chart's name",
                "name it as the repository does: cilium",
            ));
        }
        let url = repository.trim_end_matches('/');
        let place = if let Some(rest) = url.strip_prefix("oci://") {
            no_login(repository, rest)?;
            Place::Oci(format!("{url}/{name}"))
        } else if url.starts_with("https://") || url.starts_with("http://") {
            no_login(repository, url.split_once("//").map_or("", |(_, rest)| rest))?;
            Place::Repository {
                url: url.to_string(),
                chart: name.to_string(),
            }
        } else if Path::new(repository).is_dir() {
            Place::LocalRepository {
                folder: repository.into(),
                chart: name.to_string(),
            }
        } else {
            return Err(wrong(
                repository,
                "it is neither a URL nor a folder that is there",
                "--repo URL|FOLDER; aliases of helm's own repositories are not read",
            ));
        };
        Ok(ChartSource { place, pinned })
    }

    /// The CNI's chart in its project's repository, or in `--repo`.
    ///
    /// # Errors
    /// As [`ChartSource::repository`].
    pub fn of(installing: &Installing, repository: Option<&str>) -> Result<Self, ChartError> {
        Self::repository(repository.unwrap_or(installing.repository), installing.chart)
    }

    /// The source of another chart of the same project: beside this one, else in the project's repository.
    ///
    /// # Errors
    /// As [`ChartSource::repository`].
    pub fn sibling(&self, chart: &str, version: &str, repository: &str) -> Result<Self, ChartError> {
        let beside = |path: &Path| {
            let file = path.with_file_name(format!("{chart}-{version}.tgz"));
            file.is_file().then_some(ChartSource {
                place: Place::Archive(file),
                pinned: None,
            })
        };
        match &self.place {
            Place::Repository { url, .. } => Self::repository(url, chart),
            Place::LocalRepository { folder, .. } => Self::repository(&folder.to_string_lossy(), chart),
            Place::Oci(reference) => {
                let registry = reference
                    .rsplit_once('/')
                    .map_or(reference.as_str(), |(registry, _)| registry);
                Self::repository(registry, chart)
            }
            Place::Archive(path) | Place::Folder(path) => match beside(path) {
                Some(source) => Ok(source),
                None => Self::repository(repository, chart),
            },
            Place::Url(_) => Self::repository(repository, chart),
        }
    }

    /// Whether it takes helm to get it.
    pub fn needs_helm(&self) -> bool {
        match self.place {
            Place::Folder(_) | Place::Archive(_) | Place::LocalRepository { .. } => false,
            Place::Url(_) | Place::Oci(_) | Place::Repository { .. } => true,
        }
    }

    /// Whether it has a chart in many versions, and not one chart.
    pub fn has_versions(&self) -> bool {
        match self.place {
            Place::Folder(_) | Place::Archive(_) | Place::Url(_) => false,
            Place::Oci(_) => self.pinned.is_none() && !self.is_tagged(),
            Place::Repository { .. } | Place::LocalRepository { .. } => true,
        }
    }

    /// Where the other versions of the chart are: a registry has them beside what is named by tag or digest. Nothing for a
    /// chart that stands alone.
    pub fn versions(&self) -> Option<Self> {
        let place = match &self.place {
            Place::Oci(reference) if self.is_tagged() => {
                let untagged = reference
                    .rsplit_once(':')
                    .map_or(reference.as_str(), |(before, _)| before);
                Place::Oci(untagged.to_string())
            }
            place @ (Place::Oci(_) | Place::Repository { .. } | Place::LocalRepository { .. }) => {
                place.clone()
            }
            Place::Folder(_) | Place::Archive(_) | Place::Url(_) => return None,
        };
        Some(ChartSource { place, pinned: None })
    }

    /// Whether it names a tag of a registry: `oci://r/charts/net:1.2.3`.
    pub(super) fn is_tagged(&self) -> bool {
        matches!(&self.place, Place::Oci(reference) if reference.rsplit('/').next().is_some_and(|name| name.contains(':')))
    }

    /// As the user would write it: for a repository the repository alone.
    pub fn shown(&self) -> String {
        let text = match &self.place {
            Place::Folder(path) | Place::Archive(path) | Place::LocalRepository { folder: path, .. } => {
                path.display().to_string()
            }
            Place::Url(url) | Place::Oci(url) | Place::Repository { url, .. } => url.clone(),
        };
        without_query(&text)
    }

    /// As a sentence names it: with the chart's name.
    pub(super) fn named(&self) -> String {
        match &self.place {
            Place::Repository { chart, .. } | Place::LocalRepository { chart, .. } => {
                format!("the chart {} of {}", Text::new(chart).line(60), self.shown())
            }
            _ => self.shown(),
        }
    }
}

/// A name as it is shown: what follows the `?` of a URL may be a signature or a token.
pub(super) fn without_query(named: &str) -> String {
    let shown = match named.split_once('?') {
        Some((before, _)) if named.contains("://") => format!("{before}?…"),
        _ => named.to_string(),
    };
    Text::new(&shown).line(200)
}

fn wrong(named: &str, why: &str, hint: &'static str) -> ChartError {
    ChartError::Named {
        named: Text::new(named).line(200),
        why: why.to_string(),
        hint,
    }
}

/// Takes `@sha256:…` off.
pub(super) fn pin(named: &str) -> Result<(&str, Option<String>), ChartError> {
    let Some((text, digest)) = named.rsplit_once("@sha256:") else {
        return Ok((named, None));
    };
    match digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok((text, Some(format!("sha256:{}", digest.to_lowercase())))),
        false => Err(wrong(
            named,
            "what follows @sha256: is no digest of 64 hexadecimal digits",
            "sha256sum FILE prints it",
        )),
    }
}

/// A login in a URL would stand on helm's command line, where every process of the machine can read it.
pub(super) fn no_login(named: &str, rest: &str) -> Result<(), ChartError> {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        return Err(wrong(named, "it names no host", WAYS));
    }
    match host.rsplit_once('@') {
        None => Ok(()),
        // The login must not be repeated, so the name is cut to the host.
        Some((_, host)) => Err(wrong(
            &format!("…@{host}"),
            "it holds a login, which every process of this machine could read",
            "log in first: helm registry login HOST; or download the chart and name the file: --chart FILE",
        )),
    }
}
