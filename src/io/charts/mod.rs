//! From what the user names to a chart's bytes: fetched once, read by ourselves, and checked against the digest that
//! was promised before helm sees them. What was read is what is rendered and installed.
#![expect(clippy::disallowed_methods, reason = "the door to charts on disk")]

mod archive;
mod content;
mod error;
mod folder;
mod ignore;
mod index;
mod manifest;
mod recorded;
mod registry;
mod source;
mod values_file;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use sha2::{Digest, Sha256};

pub use error::ChartError;
pub use manifest::{ManifestSource, is_wrapped};
pub use recorded::RecordedChart;
pub use source::ChartSource;
pub use values_file::read_values;

use self::{
    index::{Entry, Index},
    source::Place,
};
use super::{
    helm::{Helm, HelmError},
    private_folder::PrivateFolder,
};
use crate::core::{
    chart::{Chart, Offered},
    cni::{Installing, minor_of},
    text::Text,
};

/// A chart with its bytes.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// What is in it.
    pub chart: Chart,
    /// The archive.
    pub archive: Vec<u8>,
    /// The archive in the folder of this run, for helm.
    pub path: PathBuf,
}

/// What was read already, by what was asked for.
type Known<K, T> = Mutex<Vec<(K, T)>>;

/// Charts of one run. Without helm only what lies on disk can be had.
#[derive(Debug)]
pub struct Charts<'a> {
    helm: Option<&'a Helm>,
    folder: Arc<PrivateFolder>,
    indexes: Known<String, Arc<Index>>,
    // With the digest that the source is pinned to: a chart that suits one may not suit the other.
    fetched: Known<(ChartSource, Option<String>), Fetched>,
    manifests: Known<ManifestSource, String>,
}

impl<'a> Charts<'a> {
    /// With this helm, if there is one.
    ///
    /// # Errors
    /// Where there is no room for the folder of this run.
    pub fn new(helm: Option<&'a Helm>) -> Result<Self, ChartError> {
        let folder = match helm {
            Some(helm) => Arc::clone(helm.folder()),
            None => Arc::new(PrivateFolder::new().map_err(|e| ChartError::Folder { why: e.to_string() })?),
        };
        Ok(Charts {
            helm,
            folder,
            indexes: Known::default(),
            fetched: Known::default(),
            manifests: Known::default(),
        })
    }

    /// The versions that a source has, newest first. A folder, an archive and a URL have one; a registry lists none,
    /// so its newest is fetched: [`Charts::sought`] asks it for more.
    ///
    /// # Errors
    /// As [`ChartError`] says.
    pub async fn offered(&self, source: &ChartSource) -> Result<Vec<Offered>, ChartError> {
        let (Place::Repository { chart, .. } | Place::LocalRepository { chart, .. }) = &source.place else {
            return Ok(vec![offer(&self.fetch(source, None).await?)]);
        };
        let index = self.index(source).await?;
        let entries = entries(&index, source, chart)?;
        Ok(entries.iter().map(|entry| entry.offered.clone()).collect())
    }

    /// The chart of the definitions that this version of a CNI's chart wants, from beside its source; nothing where the
    /// chart brings its own.
    ///
    /// # Errors
    /// As [`ChartError`] says.
    pub async fn definitions(
        &self,
        installing: &Installing,
        source: &ChartSource,
        version: &str,
    ) -> Result<Option<Fetched>, ChartError> {
        match installing.crd_chart {
            Some((name, from)) if minor_of(version).is_some_and(|minor| minor >= from) => {
                let source = source.sibling(name, version, installing.repository)?;
                self.fetch(&source, Some(version)).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The chart in this version (`1.19.6` and `v1.19.6` are the same), in the newest stable one without. What has
    /// one version must have this one.
    ///
    /// # Errors
    /// As [`ChartError`] says.
    pub async fn fetch(&self, source: &ChartSource, version: Option<&str>) -> Result<Fetched, ChartError> {
        let key = (source.clone(), version.map(str::to_string));
        if let Some(fetched) = recall(&self.fetched, &key) {
            return Ok(fetched);
        }
        let shown = source.shown();
        // Whose word the digest is, and the digest.
        let mut promised: Option<(&'static str, String)> = None;
        let mut pinned = source.pinned.clone();
        let archive = match &source.place {
            Place::Folder(path) => folder::packed(path, &shown)?,
            Place::Archive(path) => read_bounded(path)?,
            Place::Url(url) => {
                let (path, _) = self.helm(source)?.pull(url, None, None).await?;
                read_bounded(&path)?
            }
            Place::Oci(reference) => {
                // Two digests are right there, and have been compared.
                pinned = None;
                self.tagged_archive(source, reference, version).await?
            }
            Place::Repository { url, chart } => {
                let index = self.index(source).await?;
                let entry = choose(&index, source, chart, version)?;
                promised = entry
                    .offered
                    .digest
                    .clone()
                    .map(|digest| ("the repository's index", digest));
                let version = entry.offered.version.clone();
                let (path, _) = self.helm(source)?.pull(chart, Some(&version), Some(url)).await?;
                read_bounded(&path)?
            }
            Place::LocalRepository { folder, chart } => {
                let index = self.index(source).await?;
                let entry = choose(&index, source, chart, version)?;
                promised = entry
                    .offered
                    .digest
                    .clone()
                    .map(|digest| ("the folder's index", digest));
                read_bounded(&local_archive(folder, chart, entry))?
            }
        };
        if let Some(pinned) = &pinned {
            compare(&source.named(), "the user", pinned, &archive)?;
        }
        if let Some((by, wanted)) = &promised {
            compare(&source.named(), by, wanted, &archive)?;
        }
        let fetched = self.read(archive, &shown)?;
        if let Some(version) = version
            && !same_version(version, &fetched.chart.version)
        {
            return Err(ChartError::NoVersion {
                source_name: source.named(),
                version: Text::new(version).line(60),
                nearest: vec![fetched.chart.version],
            });
        }
        let named = (key.0.clone(), Some(fetched.chart.version.clone()));
        keep(&self.fetched, named, &fetched);
        keep(&self.fetched, key, &fetched);
        Ok(fetched)
    }

    /// A chart whose bytes are there already, as a journal keeps them.
    ///
    /// # Errors
    /// [`ChartError::Bad`].
    pub fn read(&self, archive: Vec<u8>, source: &str) -> Result<Fetched, ChartError> {
        let files = archive::unpack(&archive).map_err(|why| ChartError::Bad {
            source_name: source.to_string(),
            why,
            hint: None,
        })?;
        let chart = content::read(&files, digest_of(&archive), source)?;
        let name = format!("{}.tgz", self.folder.next());
        let path = self
            .folder
            .write(&name, &archive)
            .map_err(|e| ChartError::Folder { why: e.to_string() })?;
        Ok(Fetched { chart, archive, path })
    }

    /// The text of a manifest; one that lies at a URL is fetched once.
    ///
    /// # Errors
    /// As [`ChartError`] says.
    pub async fn manifest(&self, source: &ManifestSource) -> Result<String, ChartError> {
        if let Some(text) = source.text() {
            return Ok(text.clone());
        }
        if let Some(text) = recall(&self.manifests, source) {
            return Ok(text);
        }
        let helm = self.helm.ok_or_else(|| ChartError::NeedsHelm {
            source_name: source.shown(),
            flag: "--manifest",
        })?;
        // Helm has the proxies and certificates of this machine for charts already, and takes any file.
        let pulled = helm.pull(source.url(), None, None).await;
        let (path, _) = pulled.map_err(|error| ChartError::NotFetched {
            source_name: source.shown(),
            why: match error {
                // What its words mean for a chart is nothing to a manifest.
                HelmError::Failed { said, .. } => said,
                error => error.to_string(),
            },
        })?;
        let text = source.read(&path)?;
        keep(&self.manifests, source.clone(), &text);
        Ok(text)
    }

    /// A manifest as a chart: its text is not templated, its CustomResourceDefinitions go first. `name` becomes the
    /// chart's name, `source` is where the text came from.
    ///
    /// # Errors
    /// [`ChartError::Manifest`] with the document that is wrong.
    pub fn wrap_manifest(&self, name: &str, source: &str, text: &str) -> Result<Fetched, ChartError> {
        let archive = manifest::wrap(name, source, text)?;
        self.read(archive, source)
    }

    /// The chart of a release's record, as an archive again; `source` says which record.
    ///
    /// # Errors
    /// [`ChartError::Bad`] where the record does not hold the whole chart.
    pub fn recorded(&self, chart: &RecordedChart, source: &str) -> Result<Fetched, ChartError> {
        self.read(recorded::packed(chart, source)?, source)
    }

    fn helm(&self, source: &ChartSource) -> Result<&'a Helm, ChartError> {
        self.helm.ok_or_else(|| ChartError::NeedsHelm {
            source_name: source.named(),
            flag: "--chart",
        })
    }

    /// The repository's index, read once.
    async fn index(&self, source: &ChartSource) -> Result<Arc<Index>, ChartError> {
        let key = source.shown();
        if let Some(index) = recall(&self.indexes, &key) {
            return Ok(index);
        }
        let file = match &source.place {
            Place::Repository { url, .. } => self.helm(source)?.index(url).await?,
            Place::LocalRepository { folder, .. } => folder.join("index.yaml"),
            _ => return Ok(Arc::default()),
        };
        let index = match (&source.place, file.exists()) {
            (Place::LocalRepository { folder, .. }, false) => index_of(folder)?,
            _ => {
                let bytes = read_bounded(&file)?;
                let text = String::from_utf8_lossy(&bytes);
                index::parse(&text).map_err(|why| ChartError::Bad {
                    source_name: format!("the index of {}", source.shown()),
                    why: Text::new(&why).line(200),
                    hint: None,
                })?
            }
        };
        let index = Arc::new(index);
        keep(&self.indexes, key, &index);
        Ok(index)
    }
}

fn recall<K: PartialEq, T: Clone>(known: &Known<K, T>, key: &K) -> Option<T> {
    let all = known.lock().ok()?;
    all.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone())
}

fn keep<K, T: Clone>(known: &Known<K, T>, key: K, value: &T) {
    if let Ok(mut all) = known.lock() {
        all.push((key, value.clone()));
    }
}

/// A chart that is at hand, as an index would list it.
fn offer(fetched: &Fetched) -> Offered {
    let chart = &fetched.chart;
    Offered {
        version: chart.version.clone(),
        app_version: chart.app_version.clone(),
        kube_version: chart.kube_version.clone(),
        digest: Some(chart.digest.clone()),
    }
}

/// `sha256:` and the digest.
fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn compare(source: &str, by: &'static str, wanted: &str, bytes: &[u8]) -> Result<(), ChartError> {
    let found = digest_of(bytes);
    match wanted == found {
        true => Ok(()),
        false => Err(ChartError::Digest {
            source_name: source.to_string(),
            by,
            wanted: wanted.to_string(),
            found,
        }),
    }
}

fn same_version(one: &str, other: &str) -> bool {
    let bare = |version: &str| version.strip_prefix('v').unwrap_or(version).to_string();
    bare(one) == bare(other)
}

fn entries<'i>(index: &'i Index, source: &ChartSource, chart: &str) -> Result<&'i [Entry], ChartError> {
    let found = index.get(chart).filter(|entries| !entries.is_empty());
    found.map(Vec::as_slice).ok_or_else(|| ChartError::NoChart {
        repository: source.shown(),
        name: Text::new(chart).line(60),
        known: index
            .keys()
            .take(8)
            .map(|name| Text::new(name).line(60))
            .collect(),
    })
}

/// The entry of this version, else the newest stable one, else the newest.
fn choose<'i>(
    index: &'i Index,
    source: &ChartSource,
    chart: &str,
    version: Option<&str>,
) -> Result<&'i Entry, ChartError> {
    let entries = entries(index, source, chart)?;
    let found = match version {
        Some(version) => entries.iter().find(|e| same_version(version, &e.offered.version)),
        None => {
            let stable = |e: &&Entry| index::semantic(&e.offered.version).is_some_and(|v| v.pre.is_empty());
            entries.iter().find(stable).or_else(|| entries.first())
        }
    };
    found.ok_or_else(|| {
        let version = version.unwrap_or_default();
        let wanted = index::semantic(version);
        let distance = |e: &&Entry| match (&wanted, index::semantic(&e.offered.version)) {
            (Some(a), Some(b)) => (
                a.major.abs_diff(b.major),
                a.minor.abs_diff(b.minor),
                a.patch.abs_diff(b.patch),
            ),
            _ => (u64::MAX, 0, 0),
        };
        let mut nearest: Vec<&Entry> = entries.iter().collect();
        nearest.sort_by_key(distance);
        ChartError::NoVersion {
            source_name: source.named(),
            version: Text::new(version).line(60),
            nearest: nearest
                .iter()
                .take(3)
                .map(|e| e.offered.version.clone())
                .collect(),
        }
    })
}

/// Where a folder keeps an archive of its index: by the last part of its URL, as `helm repo index` names it, which may
/// have been made for another host.
fn local_archive(folder: &Path, chart: &str, entry: &Entry) -> PathBuf {
    let file = entry
        .urls
        .iter()
        .filter_map(|url| url.rsplit('/').next())
        .find(|file| !file.is_empty() && *file != ".." && !file.contains('\\'))
        .map_or_else(
            || format!("{chart}-{}.tgz", entry.offered.version),
            str::to_string,
        );
    folder.join(file)
}

/// The charts of a folder without an index. What is no chart is none of ours.
fn index_of(folder: &Path) -> Result<Index, ChartError> {
    let mut index = Index::new();
    let listed = fs::read_dir(folder).map_err(|e| unreadable(folder, &e))?;
    for path in listed.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|end| end != "tgz") || !path.is_file() {
            continue;
        }
        let Ok(bytes) = read_bounded(&path) else { continue };
        let shown = path.display().to_string();
        let Ok(chart) = archive::unpack(&bytes)
            .map_err(drop)
            .and_then(|files| content::read(&files, digest_of(&bytes), &shown).map_err(drop))
        else {
            continue;
        };
        index.entry(chart.name.clone()).or_default().push(Entry {
            offered: Offered {
                version: chart.version,
                app_version: chart.app_version,
                kube_version: chart.kube_version,
                digest: Some(chart.digest),
            },
            urls: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .into_iter()
                .collect(),
        });
    }
    index.values_mut().for_each(|entries| index::sort(entries));
    Ok(index)
}

/// A file of at most [`archive::LARGEST`] bytes.
fn read_bounded(path: &Path) -> Result<Vec<u8>, ChartError> {
    let mut bytes = vec![];
    fs::File::open(path)
        .and_then(|file| file.take(archive::LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|e| unreadable(path, &e))?;
    match bytes.len() as u64 > archive::LARGEST {
        true => Err(ChartError::Unreadable {
            path: Text::new(&path.display().to_string()).line(200),
            why: format!("it is larger than {} MiB", archive::LARGEST >> 20),
        }),
        false => Ok(bytes),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ChartError {
    ChartError::Unreadable {
        path: Text::new(&path.display().to_string()).line(200),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
