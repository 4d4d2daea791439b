//! A change, step by step. Each phase is written into the journal before it begins; before each write the lock is asked
//! whether it is still ours. What a step did is read back from the cluster, not believed.

use serde_json::Value;

use super::{
    apply, at_helm, back,
    held::{Held, Slipped},
    journal::{JournalError, Luggage},
    kept,
    lock::LockError,
    replace,
    watching::{Watched, Watching},
};
use crate::{
    core::{
        change::{Ended, Event, where_it_stands},
        codes::change::{CHANGE_INTERRUPTED, PLAN_STALE},
        facts::Asked,
        finding::{Finding, Subject},
        gate::{Expectation, Failure, Look, Reach},
        journal::{Operation, Phase},
        manifest::Object,
        revision::OURS,
    },
    io::{
        connection::{Connection, RequestError},
        helm::{Helm, HelmError, Release, Stop, Target},
    },
};

/// The revision that an upgrade or a rollback goes back to, from Helm's own record.
pub struct Former<'j> {
    /// Its chart's archive.
    pub chart: &'j std::path::Path,
    /// Its chart's version.
    pub version: &'j str,
    /// Its values, whole.
    pub values: &'j Value,
    /// What the gate waits for on the way back.
    pub expected: Expectation,
}

/// Everything that a change needs.
pub struct Job<'j> {
    /// The cluster.
    pub connection: &'j Connection,
    /// Helm.
    pub helm: &'j Helm,
    /// The same cluster, for helm.
    pub target: &'j Target,
    /// What is done.
    pub operation: Operation,
    /// The chart's archive.
    pub chart: &'j std::path::Path,
    /// Definitions that go first.
    pub definitions: &'j [Object],
    /// What goes into the Secret: archives and values.
    pub luggage: Luggage,
    /// What the gate waits for.
    pub expected: Expectation,
    /// Where an upgrade or a rollback goes back to; nothing on an install.
    pub former: Option<Former<'j>>,
    /// What the user's flags add to captures.
    pub asked: &'j Asked,
    /// Becomes true when the user wants to stop.
    pub stop: Stop,
    /// Who wants to know.
    pub tell: &'j (dyn Fn(&Event) + Sync),
}

/// Why a change could not go on, where that is no judgement on the network.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The lock could not be had for a reason of the API server's.
    #[error("{0}")]
    Lock(LockError),
    /// The journal.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// A request.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// Helm could not be asked.
    #[error("{0}")]
    Helm(#[from] HelmError),
    /// The change was begun, and its journal stands.
    #[error("stopped {}: {error}", .phase.doing())]
    Midway {
        /// How far it came.
        phase: Phase,
        /// Why it went no further.
        error: Box<ChangeError>,
    },
    /// There is nothing to go on with.
    #[error("no change was interrupted in this cluster")]
    Nothing,
}

impl ChangeError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            ChangeError::Lock(LockError::Request(error)) | ChangeError::Request(error) => error.hint(),
            ChangeError::Helm(error) => error.hint(),
            ChangeError::Journal(_) => {
                Some("kubectl get configmap kubectl-byocni -n kube-system -o yaml".into())
            }
            ChangeError::Midway { error, .. } => {
                let first = match &**error {
                    ChangeError::Journal(_) => None,
                    other => other.hint().map(|hint| format!("{hint}; then ")),
                };
                Some(format!(
                    "{}kubectl byocni resume goes on, kubectl byocni abort takes it back",
                    first.unwrap_or_default()
                ))
            }
            ChangeError::Nothing => Some("kubectl byocni status".into()),
            ChangeError::Lock(LockError::Held(_)) => None,
        }
    }
}

impl ChangeError {
    /// The same, for a change whose journal stands.
    pub(super) fn midway(self, phase: Phase) -> Self {
        match self {
            ChangeError::Midway { .. } => self,
            other => ChangeError::Midway {
                phase,
                error: Box::new(other),
            },
        }
    }
}

impl<'j> Job<'j> {
    pub(super) fn step(&self, name: &'static str, does: impl Into<String>) {
        (self.tell)(&Event::Step {
            name,
            does: does.into(),
            limit: None,
        });
    }

    /// The release, for what reads it or must finish.
    pub(super) fn release(&self) -> Release<'_> {
        self.helm.release(self.target, &self.operation.release, None)
    }

    /// What the release is to become.
    pub(super) fn wanted(&self) -> at_helm::Wanted<'_> {
        at_helm::Wanted {
            chart: self.chart,
            version: &self.operation.chart.version,
            values: &self.luggage.values,
            description: OURS,
        }
    }

    pub(super) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

/// Begins a change. `still` looks at the cluster again, with the lock held: what has moved since the plan, if anything.
///
/// # Errors
/// Where it could not be begun; nothing was changed then.
pub async fn begin(
    job: Job<'_>,
    still: impl AsyncFnOnce() -> Result<Option<String>, String>,
) -> Result<Ended, ChangeError> {
    job.step(
        "lock",
        "take the lock, and see whether the cluster is still what was planned from",
    );
    let mut held = match Held::take(job.connection, &job.operation.by, job.tell).await? {
        Ok(held) => held,
        Err(finding) => return Ok(Ended::Refused(finding)),
    };
    if let Some(operation) = &held.book.journal.operation {
        let finding = interrupted(operation);
        held.leave().await;
        return Ok(Ended::Refused(finding));
    }
    let moved = still()
        .await
        .unwrap_or_else(|why| Some(format!("it could not be read again: {why}")));
    if let Some(moved) = moved {
        held.leave().await;
        return Ok(Ended::Refused(stale(&moved)));
    }
    if job.stopping() {
        held.leave().await;
        return Ok(Ended::Stopped { phase: Phase::Done });
    }
    held.book.journal.operation = Some(job.operation.clone());
    // The journal first: what follows can then be found and removed by anybody.
    match held.phase(Phase::Planned).await {
        Ok(()) => {}
        Err(Slipped::Lost) => {
            return Ok(Ended::Lost {
                phase: Phase::Planned,
            });
        }
        Err(Slipped::Journal(error)) => {
            held.leave().await;
            return Err(error.into());
        }
    }
    if let Err(error) = job.luggage.keep(job.connection).await {
        // Nothing else was written yet: where the journal can be ended nothing stays.
        let phase = Phase::Planned;
        held.end().await.map_err(|error| error.midway(phase))?;
        return Err(error.into());
    }
    go_on(job, held).await
}

/// Finishes an interrupted change: `job` is made from its journal, which said `stood`, and from its Secret.
///
/// # Errors
/// Where it could not be gone on with; the journal stays.
pub async fn resume(job: Job<'_>, stood: &Operation) -> Result<Ended, ChangeError> {
    job.step("lock", "take the lock over from whoever was interrupted");
    let mut held = match Held::take(job.connection, &super::who(), job.tell).await? {
        Ok(held) => held,
        Err(finding) => return Ok(Ended::Refused(finding)),
    };
    // Between the look at the journal and the lock somebody may have answered a question, or waited for the lease:
    // another run may have gone on, and even have turned back.
    let moved = match &held.book.journal.operation {
        Some(operation) if operation == stood => None,
        Some(operation) if operation.id == stood.id => Some(format!(
            "somebody else has gone on with the change, and stopped {}",
            operation.phase.doing()
        )),
        _ => Some("the journal is no longer that of this change".into()),
    };
    if let Some(moved) = moved {
        held.leave().await;
        return Ok(Ended::Refused(stale(&moved)));
    }
    if job.operation.phase == Phase::Back {
        let because = interrupted(&job.operation);
        return back_again(job, held, because, false).await;
    }
    held.book.journal.operation = Some(job.operation.clone());
    if let Err(error) = job.luggage.keep(job.connection).await {
        held.leave().await;
        return Err(ChangeError::from(error).midway(job.operation.phase));
    }
    go_on(job, held).await
}

/// Takes an interrupted change back; with `uninstall` also where agents have run.
///
/// # Errors
/// Where it could not be taken back; the journal stays.
pub async fn abort(mut job: Job<'_>, uninstall: bool) -> Result<Ended, ChangeError> {
    job.step("lock", "take the lock over from whoever was interrupted");
    let held = match Held::take(job.connection, &super::who(), job.tell).await? {
        Ok(held) => held,
        Err(finding) => return Ok(Ended::Refused(finding)),
    };
    let Some(operation) = held.book.journal.operation.clone() else {
        held.leave().await;
        return Err(ChangeError::Nothing);
    };
    if operation.id != job.operation.id {
        held.leave().await;
        return Ok(Ended::Refused(stale(
            "the journal is no longer that of this change",
        )));
    }
    job.operation.phase = operation.phase;
    let because = interrupted(&operation);
    if operation.replaces.is_some() {
        job.operation.replaces = operation.replaces;
        return replace::abort(job, held, because).await;
    }
    back_again(job, held, because, uninstall).await
}

/// Takes back what an earlier run left, unless that would do harm.
async fn back_again(
    job: Job<'_>,
    held: Held,
    because: Finding,
    uninstall: bool,
) -> Result<Ended, ChangeError> {
    let phase = job.operation.phase;
    if phase >= Phase::Helm {
        if let Err(error) = at_helm::settled(&job).await {
            held.leave().await;
            return Err(ChangeError::from(error).midway(phase));
        }
        // A chart that is not known and that is gone: nobody can tell which workloads are its agents.
        let unknown = job.expected.cni.is_none() && job.luggage.archives.is_empty();
        let why = if job.operation.before.revision.is_some() {
            Some("the release was there before")
        } else if uninstall {
            None
        } else if unknown {
            Some(
                "its chart is gone from the Secret kubectl-byocni, so that it cannot be told whether its agents have run",
            )
        } else if back::agents_ever_ran(&job).await {
            Some("its agents have run, and without them nodes would be Ready without a network")
        } else {
            None
        };
        if let Some(why) = why {
            held.leave().await;
            return Ok(Ended::Stays {
                because,
                why: why.into(),
                nodes: vec![],
            });
        }
    }
    Box::pin(back::take(&job, held, because)).await
}

/// From the operation's phase to the end.
async fn go_on(job: Job<'_>, mut held: Held) -> Result<Ended, ChangeError> {
    if job.operation.replaces.is_some() {
        return replace::go_on(job, held).await;
    }
    match steps(&job, &mut held).await {
        Ok(Came::Through(look)) => {
            job.step(
                "record",
                "write down what was installed, remove the rest of the journal, give the lock back",
            );
            let operation = &job.operation;
            let key = format!("{}/{}", operation.namespace, operation.release);
            let newest = at_helm::newest(&job).await.ok().flatten().map(|r| r.revision);
            let record = held.book.journal.records.entry(key).or_default();
            record
                .first_installed
                .get_or_insert_with(|| operation.chart.version.clone());
            if let Some(revision) = newest {
                record.health.insert(revision, "healthy".into());
                record.by.insert(revision, operation.by.clone());
            }
            match held.end().await {
                Ok(()) => Ok(Ended::Done {
                    look,
                    broken_before: job.operation.before.broken_nodes.clone(),
                }),
                Err(ChangeError::Journal(JournalError::Changed)) => Ok(Ended::Lost { phase: Phase::Gate }),
                Err(error) => Err(error.midway(Phase::Gate)),
            }
        }
        Ok(Came::Short(because)) => fall_back(&job, held, because, None).await,
        Ok(Came::ToTheGate(failure, look)) => {
            let because = failure.finding();
            fall_back(&job, held, because, Some((*failure, *look))).await
        }
        Err(interrupted) => left_in_the_middle(held, interrupted).await,
    }
}

/// Leaves a change whose journal says how to go on.
pub(super) async fn left_in_the_middle(held: Held, interrupted: Interrupted) -> Result<Ended, ChangeError> {
    match interrupted {
        Interrupted::ByUser(phase) => {
            held.leave().await;
            Ok(Ended::Stopped { phase })
        }
        Interrupted::Slipped(phase, Slipped::Lost) => Ok(Ended::Lost { phase }),
        Interrupted::Slipped(phase, Slipped::Journal(error)) => {
            held.leave().await;
            Err(ChangeError::from(error).midway(phase))
        }
        Interrupted::Helm(phase, error) => {
            held.leave().await;
            Err(ChangeError::from(error).midway(phase))
        }
    }
}

/// How far the steps of an install came.
enum Came {
    /// The network was seen to work.
    Through(Box<Look>),
    /// A step failed before there was a network to look at.
    Short(Finding),
    /// The gate did not open.
    ToTheGate(Box<Failure>, Box<Look>),
}

/// What the gate decided.
pub(super) enum Gated {
    /// The network was seen to work.
    Open(Box<Look>),
    /// Waiting is over.
    Shut(Box<Failure>, Box<Look>),
}

/// Why the steps were left in the middle, the journal staying as it is.
pub(super) enum Interrupted {
    /// The user wants to stop.
    ByUser(Phase),
    /// Lock or journal.
    Slipped(Phase, Slipped),
    /// Helm could not be asked where the release stands, or is still at work.
    Helm(Phase, HelmError),
}

async fn steps(job: &Job<'_>, held: &mut Held) -> Result<Came, Interrupted> {
    let from = job.operation.phase;
    let to = |phase| move |slipped| Interrupted::Slipped(phase, slipped);
    if from <= Phase::ApplyingCrds && !job.definitions.is_empty() {
        let phase = Phase::ApplyingCrds;
        held.phase(phase).await.map_err(to(phase))?;
        if let Some(finding) = definitions(job, held).await? {
            return Ok(Came::Short(finding));
        }
    }
    if from <= Phase::Helm {
        held.phase(Phase::Helm).await.map_err(to(Phase::Helm))?;
        let chart = &job.operation.chart;
        job.step(
            "helm-install",
            format!(
                "helm install {} {} in {}",
                chart.name, chart.version, job.operation.namespace
            ),
        );
        let brought = at_helm::install(job, &held.lock, job.wanted()).await;
        if !held.lock.held() && !held.lock.ours().await {
            return Err(Interrupted::Slipped(Phase::Helm, Slipped::Lost));
        }
        match brought {
            Ok(None) => {}
            Ok(Some(finding)) => return Ok(Came::Short(finding)),
            Err(HelmError::Stopped { .. }) => return Err(Interrupted::ByUser(Phase::Helm)),
            Err(error) => return Err(Interrupted::Helm(Phase::Helm, error)),
        }
        if job.stopping() {
            return Err(Interrupted::ByUser(Phase::Helm));
        }
    }
    held.phase(Phase::Gate).await.map_err(to(Phase::Gate))?;
    Ok(match gate(job, held, &job.expected).await? {
        Gated::Open(look) => Came::Through(look),
        Gated::Shut(failure, look) => Came::ToTheGate(failure, look),
    })
}

/// Applies the definitions that go first; a finding where the server would not have them.
pub(super) async fn definitions(job: &Job<'_>, held: &Held) -> Result<Option<Finding>, Interrupted> {
    let phase = Phase::ApplyingCrds;
    job.step(
        "apply-crds",
        format!(
            "apply {} CustomResourceDefinitions, and wait until they are served",
            job.definitions.len()
        ),
    );
    match apply::definitions(job.connection, job.definitions, &held.lock).await {
        Ok(()) if job.stopping() => Err(Interrupted::ByUser(phase)),
        Ok(()) => Ok(None),
        Err(apply::ApplyError::Lost) => Err(Interrupted::Slipped(phase, Slipped::Lost)),
        Err(error) => Ok(Some(at_helm::failed(&error.to_string(), None))),
    }
}

/// Watches until the network is seen to work, or waiting is over.
pub(super) async fn gate(job: &Job<'_>, held: &Held, expected: &Expectation) -> Result<Gated, Interrupted> {
    job.step("gate", "wait until the network is seen to work");
    let watching = Watching {
        connection: job.connection,
        expected: expected.clone(),
        operation: &job.operation.id,
        asked: job.asked,
        stop: job.stop.clone(),
        tell: job.tell,
    };
    match watching.watch(&held.lock).await {
        Watched::Passed(look) => Ok(Gated::Open(look)),
        Watched::Failed(failure, look) => Ok(Gated::Shut(failure, look)),
        Watched::Stopped => Err(Interrupted::ByUser(Phase::Gate)),
        Watched::Lost => Err(Interrupted::Slipped(Phase::Gate, Slipped::Lost)),
    }
}

/// A first install is taken back only while no agent ever ran.
async fn fall_back(
    job: &Job<'_>,
    held: Held,
    because: Finding,
    gate: Option<(Failure, Look)>,
) -> Result<Ended, ChangeError> {
    let ever_ran = match &gate {
        Some((_, look)) => look.agents_ever_started,
        None => back::agents_ever_ran(job).await,
    };
    let nodes = match gate.map(|(failure, _)| failure.reach) {
        Some(Reach::Partly { nodes }) => nodes,
        _ => vec![],
    };
    let first = job.operation.before.revision.is_none();
    let why = if job.operation.no_rollback {
        "--no-rollback was given"
    } else if ever_ran {
        "its agents have run, and without them nodes would be Ready without a network"
    } else if !first {
        "the release was there before"
    } else {
        return Box::pin(back::take(job, held, because)).await;
    };
    held.leave().await;
    Ok(Ended::Stays {
        because,
        why: why.into(),
        nodes,
    })
}

fn stale(moved: &str) -> Finding {
    Finding::new(
        &PLAN_STALE,
        vec![],
        format!("the cluster is no longer what was planned from: {moved}"),
        "plan again: the same command once more",
    )
}

/// What an unfinished change is told as.
pub fn interrupted(operation: &Operation) -> Finding {
    Finding::new(
        &CHANGE_INTERRUPTED,
        vec![Subject::namespaced("ConfigMap", kept::NAMESPACE, kept::NAME)],
        format!(
            "an earlier change was not finished: {}",
            where_it_stands(operation)
        ),
        "kubectl byocni resume finishes it, kubectl byocni abort takes it back",
    )
}
