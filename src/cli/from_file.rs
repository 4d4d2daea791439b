//! What a release is where there is no cluster to ask: the capture has its name and its version, the user its values, and
//! its chart is taken from where charts are offered.

use std::path::PathBuf;

use serde_json::Value;

use super::{
    Failure, Outcome,
    changing::DryRun,
    replacing::{cni_of, no_release},
};
use crate::{
    core::{
        capture::Capture,
        cni::{Cni, Installing},
        facts::Facts,
        finding::Finding,
        plan::Draft,
        revision::Recorded,
    },
    io::{
        capture_file,
        change::planning::render,
        charts::{ChartError, ChartSource, Charts},
        helm::Helm,
        recorded::Kept,
    },
};

/// What is said where a plan is made without the release's values.
pub const NO_VALUES: &str = "a capture holds no values: this is planned as if the release had none. Its own are given with -f, \
     as printed by helm get values RELEASE -n NAMESPACE -o yaml";

/// Reads the captures of `--from`, for `verb`.
///
/// # Errors
/// Where a server was to be asked too, or a file cannot be read.
pub fn opened(from: &[PathBuf], dry_run: Option<DryRun>, verb: &str) -> Result<Capture, Failure> {
    if dry_run == Some(DryRun::Server) {
        return Err(Failure::usage(
            "--from is a file: there is no server to ask",
            format!("kubectl byocni {verb} --dry-run=client --from FILE"),
        ));
    }
    Ok(capture_file::load(from)?)
}

/// What a release's charts are had with.
pub struct Ways<'w> {
    /// Charts of this run.
    pub charts: &'w Charts<'w>,
    /// Without it what a chart renders is not known.
    pub helm: Option<&'w Helm>,
    /// `--chart`: a registry has other versions beside it.
    pub chart: Option<&'w str>,
    /// `--repo`; else the CNI's own place.
    pub repo: Option<&'w str>,
}

/// A release, as it is told.
pub struct Told {
    /// The CNI.
    pub cni: &'static Cni,
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// What stands.
    pub kept: Kept,
}

impl Told {
    /// What the capture tells.
    ///
    /// # Errors
    /// A finding where there is no release; a failure where its chart cannot be had, or does not take the values.
    pub async fn of(
        facts: &Facts<'_>,
        ways: &Ways<'_>,
        values: &Value,
    ) -> Result<Result<Told, Finding>, Failure> {
        let release = facts.release.as_ref().map(|r| &r.release);
        // The agents' image says it where the release does not.
        let version = release
            .and_then(|release| release.version.clone())
            .or_else(|| facts.agents.iter().find_map(|agent| agent.version.clone()));
        let known = cni_of(facts).and_then(|cni| Some((cni, cni.installing?)));
        let (Some((cni, installing)), Some(version)) = (known, version) else {
            return Ok(Err(no_release(facts)?));
        };
        let (name, namespace) = match release {
            Some(release) => (release.name.clone(), release.namespace.clone()),
            None => (installing.release.to_string(), installing.namespace.to_string()),
        };
        let place = Place {
            facts,
            ways,
            installing,
            release: &name,
            namespace: &namespace,
        };
        let number = release.and_then(|r| r.revision).unwrap_or(1);
        let mut kept = place.kept(&version, number, values).await?;
        if let Some(status) = release.and_then(|r| r.status.clone()) {
            kept.recorded.status = status;
        }
        Ok(Ok(Told {
            cni,
            release: name,
            namespace,
            kept,
        }))
    }

    /// A revision of it, of this version and with the values that stand.
    ///
    /// # Errors
    /// As [`Told::of`].
    pub async fn revision(
        &self,
        facts: &Facts<'_>,
        ways: &Ways<'_>,
        (number, version): (i64, &str),
    ) -> Result<Kept, Failure> {
        let Some(installing) = self.cni.installing else {
            return Ok(self.kept.clone());
        };
        let place = Place {
            facts,
            ways,
            installing,
            release: &self.release,
            namespace: &self.namespace,
        };
        place.kept(version, number, &self.kept.recorded.values).await
    }
}

/// Where a revision is, and what its chart is taken with.
struct Place<'p> {
    facts: &'p Facts<'p>,
    ways: &'p Ways<'p>,
    installing: &'static Installing,
    release: &'p str,
    namespace: &'p str,
}

impl Place<'_> {
    /// The revision as Helm's record would hold it; without helm what it renders is not known.
    async fn kept(&self, version: &str, revision: i64, values: &Value) -> Result<Kept, Failure> {
        let ways = self.ways;
        let named = ways.chart.map(ChartSource::chart).transpose()?;
        let source = match named.and_then(|chart| chart.versions()) {
            Some(source) => source,
            None => ChartSource::of(self.installing, ways.repo)?,
        };
        let chart = ways.charts.fetch(&source, Some(version)).await;
        let chart = chart.map_err(|error| match error {
            // Another version would be the plan of something else.
            ChartError::NoVersion { .. } => Failure {
                hint: Some("name where that version is offered: --repo FOLDER|URL|oci://…".into()),
                ..error.into()
            },
            _ => error.into(),
        })?;
        let mut manifest = vec![];
        if let Some(helm) = ways.helm {
            let draft = Draft {
                namespace: self.namespace.to_string(),
                release: self.release.to_string(),
                values: values.clone(),
                reasons: vec![],
                pools: vec![],
                masks: vec![],
                findings: vec![],
            };
            let kubernetes = self.facts.capture.server_version.as_ref();
            let kubernetes = kubernetes.map(ToString::to_string);
            let rendered = render(helm, &chart, &draft, kubernetes.as_deref(), true).await;
            manifest = rendered.map_err(|error| Failure {
                message: format!(
                    "{} {version} cannot be rendered with these values: {error}",
                    self.installing.chart
                ),
                hint: Some(format!(
                    "helm get values {} -n {} -o yaml > values.yaml",
                    self.release, self.namespace
                )),
                outcome: Outcome::Failed,
            })?;
        }
        Ok(Kept {
            recorded: Recorded {
                revision,
                status: "deployed".into(),
                description: String::new(),
                chart: chart.chart.clone(),
                values: values.clone(),
                manifest,
            },
            chart,
        })
    }
}
