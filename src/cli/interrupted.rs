//! What an interrupted change left: its journal, its chart and its values, put together again for `resume` and `abort`.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Map, Value};

use super::{
    Failure, Outcome,
    changing::{CHART, luggage},
    global::Global,
};
use crate::{
    core::{
        chart::Chart,
        cni::{self, Cni},
        facts::{Asked, Facts},
        journal::{JournaledChart, Operation, Phase},
        manifest::Object,
        plan::{Draft, Request, assemble::SETTLE, blocks, tree, values},
    },
    io::{
        change::{
            ChangeError,
            journal::{self, Luggage},
            planning::render,
        },
        charts::{Charts, Fetched},
        cluster,
        connection::Connection,
        helm::{Helm, Target},
        recorded::{self, Kept},
    },
};

/// An interrupted change and where it was begun.
pub struct Interrupted {
    /// The cluster.
    pub connection: Connection,
    /// The same for helm.
    pub target: Target,
    /// What the journal said when it was read.
    pub stood: Operation,
    /// What is gone on with: the same, until other parts are asked for.
    pub operation: Operation,
    /// The CNI, where it is a known one.
    pub cni: Option<&'static Cni>,
    /// What the Secret holds; absent where it is gone.
    pub luggage: Option<Luggage>,
    /// The server's version, for charts that ask for one.
    pub kubernetes: Option<String>,
}

/// Its parts, ready to be gone on with.
pub struct Parts {
    /// The chart.
    pub chart: Fetched,
    /// What it renders.
    pub rendered: Vec<Object>,
    /// Definitions that go first.
    pub definitions: Vec<Object>,
    /// What goes into the Secret again.
    pub luggage: Luggage,
}

impl Interrupted {
    /// Reads the journal; nothing where no change was interrupted.
    ///
    /// # Errors
    /// Where the cluster cannot be reached or the journal cannot be read.
    pub async fn read(global: &Global) -> Result<Option<Interrupted>, Failure> {
        let flags = global.connection();
        let connection = Connection::open(&flags).await?;
        let book = journal::read(&connection).await.map_err(ChangeError::from)?;
        let Some(operation) = book.journal.operation else {
            return Ok(None);
        };
        let target = Target::of(&flags, Some(connection.context()), &operation.namespace)
            .map_err(|e| Failure::new(e.to_string()))?;
        let luggage = Luggage::fetch(&connection)
            .await
            .map_err(ChangeError::from)?
            .filter(|kept| kept.operation == operation.id);
        let capture = cluster::read(&connection, &Asked::default(), &|_, _, _| {}).await?;
        Ok(Some(Interrupted {
            cni: cni::ALL
                .iter()
                .copied()
                .find(|c| c.id == operation.cni && c.installing.is_some()),
            kubernetes: capture.server_version.as_ref().map(ToString::to_string),
            connection,
            target,
            stood: operation.clone(),
            operation,
            luggage,
        }))
    }

    /// The parts as the Secret holds them, their bytes compared with what the journal says.
    ///
    /// # Errors
    /// Where the Secret is gone or damaged, or the chart cannot be rendered.
    pub async fn parts(&self, helm: &Helm, charts: &Charts<'_>) -> Result<Parts, Failure> {
        let (chart, crd_charts, kept) = self.kept(charts)?;
        self.put_together(helm, chart, &crd_charts, &kept.values, &kept.user_values)
            .await
    }

    /// The charts in the Secret, and what else it holds.
    ///
    /// # Errors
    /// Where the Secret is gone or damaged.
    pub fn kept(&self, charts: &Charts<'_>) -> Result<(Fetched, Vec<Fetched>, &Luggage), Failure> {
        let gone = |why: &str| Failure {
            message: format!("the change cannot be gone on with: {why}"),
            hint: Some("kubectl byocni abort takes it back; then install anew".into()),
            outcome: Outcome::Refused,
        };
        let Some(kept) = &self.luggage else {
            return Err(gone(
                "the Secret kubectl-byocni in kube-system is gone, and with it chart and values",
            ));
        };
        let Some(archive) = kept.archives.get(CHART) else {
            return Err(gone("the Secret kubectl-byocni in kube-system holds no chart"));
        };
        let chart = charts.read(archive.clone(), "the journal's Secret")?;
        if chart.chart.digest != self.operation.chart.digest {
            return Err(gone(
                "the chart in the Secret is not the one that the journal names (another digest)",
            ));
        }
        let mut crd_charts = vec![];
        for (name, archive) in kept.archives.iter().filter(|(name, _)| name.as_str() != CHART) {
            let fetched = charts.read(archive.clone(), name)?;
            if !self
                .operation
                .crd_charts
                .iter()
                .any(|c| c.digest == fetched.chart.digest)
            {
                return Err(gone(
                    "a chart of definitions in the Secret is not one that the journal names",
                ));
            }
            crd_charts.push(fetched);
        }
        Ok((chart, crd_charts, kept))
    }

    /// The parts with another chart or with other values: `over` goes over what the user gave before, the cluster's
    /// values are looked up again. The operation becomes that of these parts.
    ///
    /// # Errors
    /// Where the values are refused or the chart cannot be rendered.
    pub async fn parts_with(
        &mut self,
        helm: &Helm,
        chart: Fetched,
        crd_charts: &[Fetched],
        over: &Value,
        asked: &Asked,
    ) -> Result<Parts, Failure> {
        let user_values = self.luggage.as_ref().map(|l| l.user_values.clone());
        let mut user_values = user_values.unwrap_or_else(|| Value::Object(Map::new()));
        tree::merge(&mut user_values, over);
        let capture = cluster::read(&self.connection, asked, &|_, _, _| {}).await?;
        let facts = Facts::of(&capture, asked);
        let request = Request {
            change: self.operation.change,
            cni: self.cni,
            pod_cidrs: self.operation.pools.clone(),
            user_values: user_values.clone(),
            namespace: Some(self.operation.namespace.clone()),
            timeout: None,
            take_ownership: self.operation.take_ownership,
            assume_byocni: true,
            no_rollback: self.operation.no_rollback,
        };
        let draft = values::draft(&facts, &chart.chart, &request);
        if let Some(finding) = draft.findings.iter().find(|f| blocks(f, request.change)) {
            return Err(Failure {
                message: format!("{}: {}", finding.code.slug, finding.message),
                hint: Some(finding.fix.to_string()),
                outcome: Outcome::Refused,
            });
        }
        let parts = self
            .put_together(helm, chart, crd_charts, &draft.values, &user_values)
            .await?;
        let journaled = |chart: &Chart| JournaledChart {
            name: chart.name.clone(),
            version: chart.version.clone(),
            digest: chart.digest.clone(),
        };
        let other = self.operation.chart.digest != parts.chart.chart.digest;
        self.operation.chart = journaled(&parts.chart.chart);
        self.operation.crd_charts = crd_charts.iter().map(|f| journaled(&f.chart)).collect();
        self.operation.pools = draft.pools;
        self.operation.phase = self.operation.phase.min(Phase::Helm);
        if other && !parts.definitions.is_empty() {
            // Those of the version that failed are not those of this one.
            self.operation.phase = self.operation.phase.min(Phase::ApplyingCrds);
        }
        self.defines(&parts).await?;
        Ok(parts)
    }

    /// Notes the definitions that these parts bring beside those that are noted already, so that all of them are taken
    /// back where it comes to that. Such as are there, and that neither the CNI nor the parts before can have made,
    /// belong to somebody else and stay.
    async fn defines(&mut self, parts: &Parts) -> Result<(), Failure> {
        let all = parts.rendered.iter().chain(&parts.definitions);
        let brought = all.filter(|o| o.kind == "CustomResourceDefinition");
        let new: BTreeSet<&str> = brought.map(|o| o.name.as_str()).collect();
        let groups = self.cni.map_or(&[][..], |cni| cni.groups);
        let of_cni = |name: &str| groups.iter().any(|group| name.ends_with(&format!(".{group}")));
        for name in new {
            if self.operation.defines.iter().any(|known| known == name) {
                continue;
            }
            self.operation.defines.push(name.to_string());
            if !of_cni(name)
                && cluster::has_definition(&self.connection, name)
                    .await
                    .map_err(ChangeError::from)?
            {
                self.operation.before.crds.push(name.to_string());
            }
        }
        Ok(())
    }

    async fn put_together(
        &self,
        helm: &Helm,
        chart: Fetched,
        crd_charts: &[Fetched],
        values: &Value,
        user_values: &Value,
    ) -> Result<Parts, Failure> {
        let draft = |values: Value| Draft {
            namespace: self.operation.namespace.clone(),
            release: self.operation.release.clone(),
            values,
            reasons: vec![],
            pools: vec![],
            masks: vec![],
            findings: vec![],
        };
        let kubernetes = self.kubernetes.as_deref();
        let upgrade = self.operation.replaces.is_some();
        let failed = |error: crate::io::helm::HelmError| Failure {
            message: error.to_string(),
            hint: error.hint(),
            outcome: Outcome::Failed,
        };
        let rendered = render(helm, &chart, &draft(values.clone()), kubernetes, upgrade)
            .await
            .map_err(failed)?;
        let mut definitions = vec![];
        for crds in crd_charts {
            let empty = draft(Value::Object(Map::new()));
            definitions.extend(
                render(helm, crds, &empty, kubernetes, upgrade)
                    .await
                    .map_err(failed)?,
            );
        }
        let luggage = luggage(&self.operation, &chart, crd_charts, values, user_values);
        Ok(Parts {
            chart,
            rendered,
            definitions,
            luggage,
        })
    }

    /// How long everything must hold in the end.
    pub fn settle(&self) -> Duration {
        let replaces = self.operation.replaces.as_ref();
        replaces.map_or(SETTLE, |r| Duration::from_secs(r.settle_seconds))
    }

    /// What it replaces, in a few words: `1.19.6, revision 3`.
    pub fn before(&self) -> Option<String> {
        let replaces = self.operation.replaces.as_ref()?;
        let version = replaces.version.trim_start_matches('v');
        Some(format!("{version}, revision {}", replaces.revision))
    }

    /// Where an upgrade or a rollback goes back to, from Helm's record; nothing on an install, or where it cannot be read.
    pub async fn former(&self, charts: &Charts<'_>) -> Option<Kept> {
        let replaces = self.operation.replaces.as_ref()?;
        let (namespace, release) = (&self.operation.namespace, &self.operation.release);
        recorded::read(&self.connection, charts, namespace, release, replaces.revision)
            .await
            .ok()
    }

    /// The CNI's name for people.
    pub fn name(&self) -> String {
        self.cni
            .map_or(self.operation.cni.as_str(), |cni| cni.name)
            .to_string()
    }
}
