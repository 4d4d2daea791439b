//! What is asked of helm in the course of a change: where the release stands, and to bring it to a chart and values from
//! whatever an interrupted helm left. That helm ended well is not believed.
#![expect(
    clippy::disallowed_methods,
    reason = "a helm that outlived its plugin is waited for"
)]

use std::{
    convert::Infallible,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::watch;

use super::{lock::Lock, run::Job, tries::Tries};
use crate::{
    core::{
        change::Event,
        codes::change::HELM_FAILED,
        course::{self, Ask},
        finding::Finding,
        plan::differing,
        revision::Revision,
    },
    io::helm::{Change, HelmError, Release, Stop},
};

/// Helm's own limit: for hooks, and for the API server to serve definitions. The network is waited for by the gate.
const HELM_LIMIT: Duration = Duration::from_secs(300);

/// How long a helm that outlived its plugin is waited for.
const OUTLIVED: Duration = Duration::from_secs(60);

/// What a release is to become.
#[derive(Clone, Copy)]
pub struct Wanted<'w> {
    /// The chart's archive.
    pub chart: &'w Path,
    /// The chart's version.
    pub version: &'w str,
    /// All values.
    pub values: &'w Value,
    /// The revision's remark in the history.
    pub description: &'w str,
}

/// The newest revision. An API server that fails for a moment is asked again: nothing depends on this but what is known.
pub async fn newest(job: &Job<'_>) -> Result<Option<Revision>, HelmError> {
    let mut tries = Tries::new();
    loop {
        match job.release().history().await {
            Err(HelmError::Failed { .. }) if tries.another().await => {}
            other => return Ok(other?.pop()),
        }
    }
}

/// The newest revision, once no helm is at work on it: one that outlived its plugin is given time to end.
pub async fn settled(job: &Job<'_>) -> Result<Option<Revision>, HelmError> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let newest = newest(job).await?;
        let at_work = course::at_work(newest.as_ref(), &job.operation);
        if !at_work || begun.elapsed() > OUTLIVED || job.stopping() {
            return Ok(newest);
        }
        if !told {
            (job.tell)(&Event::Wait {
                what: "helm's release is pending: waiting for the helm that an interrupted run may have left at work"
                    .into(),
                limit: OUTLIVED,
            });
            told = true;
        }
        let mut stop = job.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Brings a release into the cluster, from whatever an interrupted helm left; a finding where helm would not.
pub async fn install(job: &Job<'_>, lock: &Lock, wanted: Wanted<'_>) -> Result<Option<Finding>, HelmError> {
    until_stopped(job, lock, "helm install", async |release| {
        let mut change = change(&wanted);
        change.create_namespace = true;
        change.take_ownership = job.operation.take_ownership;
        // Who takes objects over takes their fields: kubectl wrote them, and helm 4 would leave them to it.
        change.force_conflicts = job.operation.take_ownership;
        match &settled(job).await? {
            None => release.install(&change).await?,
            // An interrupted way back: it is gone to its end, and then the way forth is begun again.
            Some(newest) if newest.status == "uninstalling" => {
                release.uninstall(false, HELM_LIMIT).await?;
                release.install(&change).await?;
            }
            Some(newest) => complete(job, &release, newest, &change, &wanted).await?,
        }
        Ok(None)
    })
    .await
}

/// Brings a release that is there to another chart or other values; a finding where helm would not. What an earlier run
/// has done already is left.
pub async fn replace(job: &Job<'_>, lock: &Lock, wanted: Wanted<'_>) -> Result<Option<Finding>, HelmError> {
    until_stopped(job, lock, "helm upgrade", async |release| {
        let mut newest = settled(job).await?;
        loop {
            let ask = course::ask(
                newest.as_ref(),
                &job.operation,
                wanted.version,
                wanted.description,
            );
            match (ask, &newest) {
                (Ask::Finish(revision), _) => {
                    release.rollback(revision, HELM_LIMIT, false).await?;
                    newest = self::newest(job).await?;
                    if newest.as_ref().is_some_and(Revision::pending) {
                        return Ok(Some(failed(
                            "the release is still pending after a rollback",
                            None,
                        )));
                    }
                }
                (Ask::Compare, Some(there)) => {
                    let given = release.values(Some(there.revision)).await?;
                    if !differing(&given, wanted.values).is_empty() {
                        release.upgrade(&change(&wanted)).await?;
                    }
                    return Ok(None);
                }
                (Ask::Upgrade, Some(_)) => {
                    release.upgrade(&change(&wanted)).await?;
                    return Ok(None);
                }
                (Ask::Gone, _) | (_, None) => {
                    return Ok(Some(failed("the release is not there any more", None)));
                }
            }
        }
    })
    .await
}

fn change<'w>(wanted: &Wanted<'w>) -> Change<'w> {
    let mut change = Change::new(wanted.chart, wanted.values, HELM_LIMIT);
    change.description = Some(wanted.description);
    change
}

/// Brings a release that is there to the planned chart and values.
async fn complete(
    job: &Job<'_>,
    release: &Release<'_>,
    newest: &Revision,
    change: &Change<'_>,
    wanted: &Wanted<'_>,
) -> Result<(), HelmError> {
    let given = release.values(Some(newest.revision)).await?;
    if newest.pending() {
        // Nobody is at work on it any more: its own manifest once more, with everything that is missing.
        release.rollback(newest.revision, HELM_LIMIT, false).await?;
    }
    // Resumed with another chart or other values, or after a helm that was told to stop: what it made stays.
    let other = newest.version != job.operation.chart.version || !differing(&given, wanted.values).is_empty();
    match other || newest.status == "failed" {
        true => release.upgrade(change).await,
        false => Ok(()),
    }
}

/// Lets helm work, and has it stop at its next safe point when the user wants to stop or somebody else has the lock.
/// Where it ended well the release is looked at; a finding where it is not deployed, or where helm would not.
async fn until_stopped<'j>(
    job: &'j Job<'_>,
    lock: &Lock,
    doing: &'static str,
    work: impl AsyncFnOnce(Release<'j>) -> Result<Option<Finding>, HelmError>,
) -> Result<Option<Finding>, HelmError> {
    let (tell, stop) = watch::channel(false);
    let forwarding = async {
        let mut asked = job.stop.clone();
        tokio::select! {
            _ = asked.wait_for(|stop| *stop) => {}
            () = lock.lost() => {}
        }
        let _ = tell.send(true);
        std::future::pending::<Infallible>().await
    };
    let working = async {
        if *stop.borrow() {
            return Err(HelmError::Stopped {
                doing,
                said: String::new(),
            });
        }
        let stop: Stop = stop.clone();
        work(job.helm.release(job.target, &job.operation.release, Some(stop))).await
    };
    let done = tokio::select! {
        done = working => done,
        never = forwarding => match never {},
    };
    match done {
        Ok(None) => {}
        Ok(Some(finding)) => return Ok(Some(finding)),
        Err(HelmError::Failed { cause, said, .. }) => {
            let hint = cause.hint();
            return Ok(Some(failed(&cause.message(&said), hint)));
        }
        Err(error @ (HelmError::Ended { .. } | HelmError::Files { .. })) => {
            return Ok(Some(failed(&error.to_string(), error.hint())));
        }
        Err(other) => return Err(other),
    }
    Ok(match newest(job).await? {
        Some(newest) if newest.status == "deployed" => None,
        Some(newest) => Some(failed(
            &format!(
                "helm ended without an error, but revision {} is {}",
                newest.revision, newest.status
            ),
            None,
        )),
        None => Some(failed(
            "helm ended without an error, but there is no release",
            None,
        )),
    })
}

/// What helm said, as a finding.
pub fn failed(said: &str, hint: Option<String>) -> Finding {
    let fix = hint.unwrap_or_else(|| "kubectl byocni explain helm-failed".into());
    Finding::new(&HELM_FAILED, vec![], said.to_string(), fix)
}
