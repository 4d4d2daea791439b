//! What helm does to one release in one cluster.

use std::{ffi::OsString, path::Path, time::Duration};

use serde_json::Value;

use super::{
    Cause, Helm, HelmError, Stop, Target, history, joined,
    run::{Call, Manner},
    said,
};
use crate::core::revision::Revision;

/// Limit of what asks the cluster one thing: helm reads every revision of the release, each up to 1 MB.
const ASK_LIMIT: Duration = Duration::from_secs(60);
/// What a change has beyond helm's own `--timeout`, which counts for its hooks and for CustomResourceDefinitions but
/// not for sending some hundred objects.
const SLACK: Duration = Duration::from_secs(60);
/// Revisions that are kept: those that can be rolled back to.
const HISTORY: &str = "--history-max=20";

/// A release of a cluster.
pub struct Release<'a> {
    helm: &'a Helm,
    target: &'a Target,
    name: &'a str,
    stop: Option<Stop>,
}

/// An install or an upgrade.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The chart's archive.
    pub chart: &'a Path,
    /// All values of the release; nothing of an older revision is taken over.
    pub values: &'a Value,
    /// Helm's `--timeout`: for each hook, and for CustomResourceDefinitions to be served.
    pub timeout: Duration,
    /// Whether the namespace is made where it is missing (install).
    pub create_namespace: bool,
    /// Whether objects that are there are taken over.
    pub take_ownership: bool,
    /// Whether fields of other writers are overwritten (helm 4; helm 3 always does).
    pub force_conflicts: bool,
    /// The revision's remark in the history.
    pub description: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// With nothing forced.
    pub fn new(chart: &'a Path, values: &'a Value, timeout: Duration) -> Self {
        Change {
            chart,
            values,
            timeout,
            create_namespace: false,
            take_ownership: false,
            force_conflicts: false,
            description: None,
        }
    }
}

impl<'a> Release<'a> {
    pub(super) fn new(helm: &'a Helm, target: &'a Target, name: &'a str, stop: Option<Stop>) -> Self {
        Release {
            helm,
            target,
            name,
            stop,
        }
    }

    /// Installs it. Asked to stop, helm marks it failed; it never uninstalls by itself.
    ///
    /// # Errors
    /// As [`HelmError`] says. [`HelmError::StillRunning`] means that it may yet succeed.
    pub async fn install(&self, change: &Change<'_>) -> Result<(), HelmError> {
        let mut flags = vec![];
        if change.create_namespace {
            flags.push("--create-namespace".into());
        }
        self.change("helm install", "install", flags, change).await
    }

    /// Upgrades it, with these values alone.
    ///
    /// # Errors
    /// As [`Release::install`].
    pub async fn upgrade(&self, change: &Change<'_>) -> Result<(), HelmError> {
        let flags = vec!["--reset-values".into(), HISTORY.into()];
        self.change("helm upgrade", "upgrade", flags, change).await
    }

    async fn change(
        &self,
        doing: &'static str,
        verb: &str,
        flags: Vec<OsString>,
        change: &Change<'_>,
    ) -> Result<(), HelmError> {
        // Helm reads them before all else: gone too early, they end it before it wrote anything.
        let values = self.helm.values_file(change.values)?;
        let mut arguments = self.arguments(&[verb]);
        arguments.extend(flags);
        arguments.push(joined("--values", &values.0));
        arguments.push(timeout(change.timeout));
        if change.take_ownership {
            arguments.push("--take-ownership".into());
        }
        if change.force_conflicts && self.helm.version.major >= 4 {
            arguments.push("--force-conflicts".into());
        }
        if let Some(text) = change.description {
            arguments.push(joined("--description", text));
        }
        arguments.extend(["--".into(), self.name.into(), change.chart.into()]);
        let secrets = said::secrets(change.values);
        let outcome = self
            .run(doing, arguments, Manner::Marks, change.timeout + SLACK, &secrets)
            .await;
        outcome.map(drop)
    }

    /// Rolls back. Once begun it is left to finish: interrupted, it would stay pending for ever.
    ///
    /// # Errors
    /// As [`HelmError`] says.
    pub async fn rollback(
        &self,
        revision: i64,
        limit: Duration,
        force_conflicts: bool,
    ) -> Result<(), HelmError> {
        let mut arguments = self.arguments(&["rollback"]);
        arguments.extend([HISTORY.into(), timeout(limit)]);
        if force_conflicts && self.helm.version.major >= 4 {
            arguments.push("--force-conflicts".into());
        }
        arguments.extend(["--".into(), self.name.into(), revision.to_string().into()]);
        self.run("helm rollback", arguments, Manner::Finishes, limit + SLACK, &[])
            .await
            .map(drop)
    }

    /// Removes it with all that it owns but CustomResourceDefinitions of `crds/`. Once begun it is left to finish.
    /// Without `hooks` none is run, for those whose image never could.
    ///
    /// # Errors
    /// As [`HelmError`] says; [`Cause::ReleaseNotFound`] where there is none.
    pub async fn uninstall(&self, hooks: bool, limit: Duration) -> Result<(), HelmError> {
        let mut arguments = self.arguments(&["uninstall"]);
        arguments.push(timeout(limit));
        if !hooks {
            arguments.push("--no-hooks".into());
        }
        arguments.extend(["--".into(), self.name.into()]);
        self.run("helm uninstall", arguments, Manner::Finishes, limit + SLACK, &[])
            .await
            .map(drop)
    }

    /// Its revisions, oldest first; none where there is no such release.
    ///
    /// # Errors
    /// As [`HelmError`] says.
    pub async fn history(&self) -> Result<Vec<Revision>, HelmError> {
        let mut arguments = self.arguments(&["history"]);
        arguments.extend([
            "--max=256".into(),
            "--output=json".into(),
            "--".into(),
            self.name.into(),
        ]);
        match self
            .run("helm history", arguments, Manner::Reads, ASK_LIMIT, &[])
            .await
        {
            Ok(text) => history::parse(&text).map_err(|why| HelmError::Strange {
                program: self.helm.runner.program.clone(),
                why,
            }),
            Err(e) if e.cause() == Some(&Cause::ReleaseNotFound) => Ok(vec![]),
            Err(e) => Err(e),
        }
    }

    /// The user's values of a revision, the newest without a number; an empty map where there are none. They may be
    /// secrets.
    ///
    /// # Errors
    /// As [`HelmError`] says; [`Cause::ReleaseNotFound`] where there is none.
    pub async fn values(&self, revision: Option<i64>) -> Result<Value, HelmError> {
        let mut arguments = self.arguments(&["get", "values"]);
        arguments.push("--output=json".into());
        if let Some(revision) = revision {
            arguments.push(joined("--revision", revision.to_string()));
        }
        arguments.extend(["--".into(), self.name.into()]);
        let text = self
            .run("helm get values", arguments, Manner::Reads, ASK_LIMIT, &[])
            .await?;
        match serde_json::from_str(&text) {
            Ok(Value::Null) => Ok(Value::Object(Default::default())),
            Ok(values @ Value::Object(_)) => Ok(values),
            // Not even the parser's message is repeated: it may quote a value.
            _ => Err(self
                .helm
                .runner
                .strange("helm get values", "prints something that is no map of values")),
        }
    }

    /// The manifest of its newest revision, without hooks and without what a chart's `crds/` holds. It may hold secrets.
    ///
    /// # Errors
    /// As [`HelmError`] says; [`Cause::ReleaseNotFound`] where there is none.
    pub async fn manifest(&self) -> Result<String, HelmError> {
        let mut arguments = self.arguments(&["get", "manifest"]);
        arguments.extend(["--".into(), self.name.into()]);
        self.run("helm get manifest", arguments, Manner::Reads, ASK_LIMIT, &[])
            .await
    }

    fn arguments(&self, verb: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = verb.iter().map(Into::into).collect();
        arguments.extend(self.target.arguments());
        arguments
    }

    async fn run(
        &self,
        doing: &'static str,
        arguments: Vec<OsString>,
        manner: Manner,
        limit: Duration,
        secrets: &[String],
    ) -> Result<String, HelmError> {
        // What reads goes on when the user wants to stop: to stop well one must know where things stand.
        let stop = self.stop.clone().filter(|_| manner == Manner::Marks);
        let call = Call {
            doing,
            arguments,
            manner,
            limit,
            stop,
            secrets,
        };
        self.helm.runner.run(call).await.map(|printed| printed.out)
    }
}

/// Helm's flag, in its own notation; never less than a second, which helm would take for no limit.
fn timeout(limit: Duration) -> OsString {
    joined("--timeout", format!("{}s", limit.as_secs().max(1)))
}
