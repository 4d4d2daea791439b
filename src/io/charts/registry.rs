//! Charts from a registry, where versions are tags: `1.2.3` is not `v1.2.3`, and projects have either. Helm finds one
//! version at a time, the newest of a range; of all tags it reads only those without the `v`.

use std::path::PathBuf;

use super::{
    ChartError, ChartSource, Charts, Fetched, compare, digest_of, keep, offer, read_bounded, recall,
    source::Place,
};
use crate::{
    core::{chart::Offered, cni::minor_of, plan::sought::Sought, text::Text},
    io::helm::Cause,
};

/// A pulled archive, and the digest of its manifest where helm says it.
type Pulled = (PathBuf, Option<String>);

impl Charts<'_> {
    /// The versions that a source has, as far as they matter. A registry is asked question by question, until what was
    /// found is `enough`; any other source says all that it has.
    ///
    /// # Errors
    /// As [`ChartError`] says; where a registry answers no question, the first of its refusals.
    pub async fn sought(
        &self,
        source: &ChartSource,
        questions: &[Sought],
        enough: impl Fn(&[Offered]) -> bool,
    ) -> Result<Vec<Offered>, ChartError> {
        let (Place::Oci(reference), true) = (&source.place, source.has_versions()) else {
            // What is pinned is one chart, in the version that was asked for if one was.
            if let (Some(_), Some(Sought::Exactly(version))) = (&source.pinned, questions.first())
                && matches!(source.place, Place::Oci(_))
            {
                return Ok(vec![offer(&self.fetch(source, Some(version)).await?)]);
            }
            return self.offered(source).await;
        };
        let mut found: Vec<Offered> = vec![];
        let mut refused = None;
        for question in questions {
            let answer = match question {
                Sought::Exactly(version) => {
                    match recall(&self.fetched, &(source.clone(), Some(version.clone()))) {
                        Some(known) => Ok(known),
                        None => match self.tag(source, reference, version).await {
                            Ok(pulled) => self.keep_pulled(source, &pulled),
                            Err(error) => Err(error),
                        },
                    }
                }
                Sought::Minor(major, minor) => {
                    let range = within(*major, *minor);
                    self.newest(source, reference, Some(&range)).await
                }
                Sought::Newest => self.newest(source, reference, None).await,
            };
            match answer {
                Ok(fetched) => {
                    let offered = offer(&fetched);
                    if found.iter().all(|known| known.version != offered.version) {
                        found.push(offered);
                    }
                    if enough(&found) {
                        break;
                    }
                }
                Err(error) if is_missing(&error) => refused = refused.or(Some(error)),
                // Of a version that is there the nearest need not be known.
                Err(error) if found.is_empty() => return Err(refused.unwrap_or(error)),
                Err(_) => break,
            }
        }
        match (found.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            _ => Ok(found),
        }
    }

    /// The archive of this version, of the pinned digest, or the newest stable one.
    ///
    /// # Errors
    /// As [`ChartError`] says; [`ChartError::NoVersion`] with the nearest where the registry has others.
    pub(super) async fn tagged_archive(
        &self,
        source: &ChartSource,
        reference: &str,
        version: Option<&str>,
    ) -> Result<Vec<u8>, ChartError> {
        let (path, manifest) = match version {
            Some(version) => match self.tag(source, reference, version).await {
                Err(error) if is_missing(&error) => {
                    return Err(self.nearest(source, reference, version).await.unwrap_or(error));
                }
                pulled => pulled?,
            },
            None => match self.pinned(source, reference).await {
                Some(pulled) => pulled,
                None => self.stable(source, reference).await?,
            },
        };
        let archive = read_bounded(&path)?;
        // The digest that registries show is the manifest's; the archive's own is as good.
        match (&source.pinned, manifest) {
            (Some(pinned), Some(manifest)) if *pinned == manifest => {}
            (Some(pinned), Some(manifest)) if *pinned != digest_of(&archive) => {
                return Err(ChartError::Digest {
                    source_name: source.named(),
                    by: "the user",
                    wanted: pinned.clone(),
                    found: format!("{manifest} (its archive {})", digest_of(&archive)),
                });
            }
            (Some(pinned), _) => compare(&source.named(), "the user", pinned, &archive)?,
            (None, _) => {}
        }
        Ok(archive)
    }

    /// The tag of a version, with and without a `v`.
    async fn tag(&self, source: &ChartSource, reference: &str, version: &str) -> Result<Pulled, ChartError> {
        // `1.2.3+4` is the tag `1.2.3_4`, which helm does by itself.
        let first = self.pull(source, reference, Some(version)).await;
        let Err(error) = first else { return first };
        if !is_missing(&error) {
            return Err(error);
        }
        let other = match version.strip_prefix('v') {
            Some(bare) => bare.to_string(),
            None => format!("v{version}"),
        };
        let second = self.pull(source, reference, Some(&other)).await;
        // What the user wrote is what is not there.
        second.map_err(|_| error)
    }

    /// By the manifest's digest alone. Nothing where that fails: it may be the archive's digest, which nobody can look
    /// up, and what else is wrong shows again without it.
    async fn pinned(&self, source: &ChartSource, reference: &str) -> Option<Pulled> {
        let pinned = source.pinned.as_ref().filter(|_| !source.is_tagged())?;
        let pulled = self.pull(source, &format!("{reference}@{pinned}"), None).await;
        pulled.ok().map(|(path, _)| (path, Some(pinned.clone())))
    }

    /// The newest stable version, else the newest.
    async fn stable(&self, source: &ChartSource, reference: &str) -> Result<Pulled, ChartError> {
        match self.pull(source, reference, None).await {
            Err(error) if is_missing(&error) && !source.is_tagged() => {
                let early = self.pull(source, reference, Some(">=0.0.0-0")).await;
                early.map_err(|_| error)
            }
            pulled => pulled,
        }
    }

    /// What is there in place of a version that is not; nothing where the registry lists none.
    async fn nearest(&self, source: &ChartSource, reference: &str, version: &str) -> Option<ChartError> {
        if !source.has_versions() {
            return None;
        }
        let minor = minor_of(version).map(|(major, minor)| within(major, minor));
        let mut nearest: Vec<String> = vec![];
        for range in minor.as_deref().map(Some).into_iter().chain([None]) {
            if let Ok(fetched) = self.newest(source, reference, range).await
                && !nearest.contains(&fetched.chart.version)
            {
                nearest.push(fetched.chart.version);
            }
        }
        (!nearest.is_empty()).then(|| ChartError::NoVersion {
            source_name: source.named(),
            version: Text::new(version).line(60),
            nearest,
        })
    }

    /// The newest stable version of a range, or of all.
    async fn newest(
        &self,
        source: &ChartSource,
        reference: &str,
        range: Option<&str>,
    ) -> Result<Fetched, ChartError> {
        let pulled = match range {
            Some(_) => self.pull(source, reference, range).await?,
            None => self.stable(source, reference).await?,
        };
        self.keep_pulled(source, &pulled)
    }

    /// Reads what was pulled, and keeps it for who asks for its version.
    fn keep_pulled(&self, source: &ChartSource, (path, _): &Pulled) -> Result<Fetched, ChartError> {
        let fetched = self.read(read_bounded(path)?, &source.shown())?;
        let named = (source.clone(), Some(fetched.chart.version.clone()));
        if recall(&self.fetched, &named).is_none() {
            keep(&self.fetched, named, &fetched);
        }
        Ok(fetched)
    }

    async fn pull(
        &self,
        source: &ChartSource,
        reference: &str,
        version: Option<&str>,
    ) -> Result<Pulled, ChartError> {
        let pulled = self.helm(source)?.pull(reference, version, None).await;
        pulled.map_err(|error| ChartError::Registry {
            host: host(reference).to_string(),
            error,
        })
    }
}

/// The stable patches of a minor, as helm writes a range.
fn within(major: u64, minor: u64) -> String {
    format!("~{major}.{minor}.0")
}

/// Whether the registry answers and has no such version.
fn is_missing(error: &ChartError) -> bool {
    matches!(error, ChartError::Registry { error, .. } if error.cause() == Some(&Cause::ChartNotFound))
}

/// Host and port, as `helm registry login` wants them.
fn host(reference: &str) -> &str {
    let rest = reference.strip_prefix("oci://").unwrap_or(reference);
    rest.split('/').next().unwrap_or(rest)
}
