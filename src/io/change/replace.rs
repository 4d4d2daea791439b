//! An upgrade or a rollback: the release gets another chart or other values in place, its agents are replaced node by
//! node where that is this CNI's way, and the network is watched. What fails goes the same way back, to the revision
//! that was there before, from Helm's own record.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    at_helm::{self, Wanted},
    held::{Held, Slipped},
    journal::JournalError,
    roll,
    run::{Came, ChangeError, Interrupted, Job, definitions, gate, left_in_the_middle},
};
use crate::{
    core::{
        change::Ended,
        cni::Cni,
        codes::{self, change::CHANGE_INTERRUPTED},
        facts::configured::Configured,
        finding::Finding,
        gate::{Expectation, Look, Reach},
        journal::{Pace, Phase, Restored},
        plan::tree,
        revision::{BROKEN, OURS, STRATEGY_ONLY},
    },
    io::{cluster, helm::HelmError},
};

/// The least that the way back has for its gate: `--timeout` was given for what was to come up quickly, and what ran
/// before takes the time that it takes.
const BACK_WITHIN: Duration = Duration::from_secs(180);

/// One way: there, or back.
pub(super) struct Way<'w> {
    /// What the release is to become in the end.
    pub wanted: Wanted<'w>,
    /// What the gate waits for.
    pub expected: &'w Expectation,
    /// How fast agents are replaced; nothing where the CNI's own controllers replace them.
    pub pace: Option<Pace>,
    /// Whether it is the way back.
    pub back: bool,
}

/// From the operation's phase to the end.
///
/// # Errors
/// Where it could not be gone on with; the journal stays.
pub(super) async fn go_on(job: Job<'_>, mut held: Held) -> Result<Ended, ChangeError> {
    let Some(replaces) = &job.operation.replaces else {
        return Err(ChangeError::Nothing);
    };
    if let Some((slug, message)) = &replaces.back {
        let because = known(slug, message);
        return back(&job, held, because, job.operation.phase).await;
    }
    let there = Way {
        wanted: job.wanted(),
        expected: &job.expected,
        pace: replaces.pace,
        back: false,
    };
    match go(&job, &mut held, &there, job.operation.phase).await {
        Ok(Came::Through(look)) => {
            record(&job, &mut held, None).await;
            end(held, Phase::Strategy)
                .await
                .map(|lost| lost.unwrap_or(done(&job, look)))
        }
        Ok(Came::Paused(because)) => {
            held.leave().await;
            Ok(Ended::Paused { because })
        }
        Ok(Came::AtCanary(canaries)) => {
            // What goes on does not stop there a second time.
            let noted = held.note(|operation| {
                if let Some(pace) = operation.replaces.as_mut().and_then(|r| r.pace.as_mut()) {
                    pace.pause = false;
                }
            });
            if let Err(slipped) = noted.await {
                return left_in_the_middle(held, Interrupted::Slipped(Phase::Rolling, slipped)).await;
            }
            held.leave().await;
            Ok(Ended::AtCanary { canaries })
        }
        Ok(Came::Short(because)) => fall_back(&job, held, because, vec![]).await,
        Ok(Came::ToTheGate(failure, _)) => {
            let nodes = match &failure.reach {
                Reach::Partly { nodes } => nodes.clone(),
                Reach::Whole => vec![],
            };
            fall_back(&job, held, failure.finding(), nodes).await
        }
        Err(interrupted) => left_in_the_middle(held, interrupted).await,
    }
}

/// Takes an interrupted upgrade or rollback back.
///
/// # Errors
/// Where it could not be taken back; the journal stays.
pub(super) async fn abort(job: Job<'_>, held: Held, because: Finding) -> Result<Ended, ChangeError> {
    let phase = job.operation.phase;
    let turned = job.operation.replaces.as_ref().is_some_and(|r| r.back.is_some());
    back(&job, held, because, if turned { phase } else { Phase::Planned }).await
}

fn done(job: &Job<'_>, look: Box<Look>) -> Ended {
    Ended::Done {
        look,
        broken_before: job.operation.before.broken_nodes.clone(),
    }
}

async fn fall_back(
    job: &Job<'_>,
    held: Held,
    because: Finding,
    nodes: Vec<String>,
) -> Result<Ended, ChangeError> {
    if job.operation.no_rollback {
        held.leave().await;
        return Ok(Ended::Stays {
            because,
            why: "--no-rollback was given".into(),
            nodes,
        });
    }
    back(job, held, because, Phase::Planned).await
}

/// Goes back to the revision that was there before. It is one way only: from here on nothing is upgraded any more.
async fn back(job: &Job<'_>, mut held: Held, because: Finding, from: Phase) -> Result<Ended, ChangeError> {
    let stays = |why: String, nodes: Vec<String>| Ended::Stays {
        because: because.clone(),
        why,
        nodes,
    };
    let Some(replaces) = &job.operation.replaces else {
        return Err(ChangeError::Nothing);
    };
    let Some(former) = &job.former else {
        held.leave().await;
        let why = format!("revision {} can no longer be read", replaces.revision);
        return Ok(stays(why, vec![]));
    };
    let turned_before = replaces.back.is_some();
    // What was never begun needs no way back.
    match at_helm::newest(job).await {
        Ok(newest) if newest.as_ref().map(|r| r.revision) == job.operation.before.revision => {
            return match end(held, job.operation.phase).await? {
                Some(lost) => Ok(lost),
                None => Ok(Ended::Back {
                    because,
                    left: vec![],
                    stays: definitions_stay(job),
                }),
            };
        }
        Ok(Some(newest)) if !turned_before => {
            // Nobody goes back to it by itself.
            let record = held.book.journal.records.entry(key(job)).or_default();
            record.health.insert(newest.revision, BROKEN.into());
        }
        Ok(_) => {}
        Err(error) => {
            held.leave().await;
            return Err(ChangeError::from(error).midway(job.operation.phase));
        }
    }
    let turned = held
        .note(|operation| {
            if let Some(replaces) = &mut operation.replaces {
                let reason = (because.code.slug.to_string(), because.message.clone());
                if replaces.back.is_none() {
                    replaces.done.clear();
                }
                replaces.back.get_or_insert(reason);
            }
            operation.phase = from.max(Phase::Helm);
        })
        .await;
    if let Err(slipped) = turned {
        return left_in_the_middle(held, Interrupted::Slipped(job.operation.phase, slipped)).await;
    }
    job.step(
        "back",
        format!(
            "{}: back to revision {} ({} {}), by the same way",
            because.code.slug, replaces.revision, job.operation.chart.name, replaces.version
        ),
    );
    let expected = Expectation {
        limit: former.expected.limit.max(BACK_WITHIN),
        ..former.expected.clone()
    };
    let way = Way {
        wanted: Wanted {
            chart: former.chart,
            version: former.version,
            values: former.values,
            description: OURS,
        },
        expected: &expected,
        pace: replaces.pace,
        back: true,
    };
    match go(job, &mut held, &way, from).await {
        Ok(Came::Through(_)) => {
            let restored = restored(job, &expected).await;
            record(job, &mut held, restored).await;
            match end(held, Phase::Strategy).await? {
                Some(lost) => Ok(lost),
                None => Ok(Ended::Back {
                    because,
                    left: vec![],
                    stays: definitions_stay(job),
                }),
            }
        }
        Ok(Came::Short(second) | Came::Paused(second)) => {
            held.leave().await;
            let why = format!("the way back failed as well: {}", second.message);
            Ok(stays(why, vec![]))
        }
        Ok(Came::AtCanary(nodes)) => {
            held.leave().await;
            Ok(stays("the way back was stopped".into(), nodes))
        }
        Ok(Came::ToTheGate(second, _)) => {
            held.leave().await;
            let nodes = match &second.reach {
                Reach::Partly { nodes } => nodes.clone(),
                Reach::Whole => vec![],
            };
            let why = format!("the way back failed as well: {}", second.finding().message);
            Ok(stays(why, nodes))
        }
        Err(interrupted) => left_in_the_middle(held, interrupted).await,
    }
}

/// One way, from this phase on.
async fn go(job: &Job<'_>, held: &mut Held, way: &Way<'_>, from: Phase) -> Result<Came, Interrupted> {
    if !way.back
        && from <= Phase::ApplyingCrds
        && let Some(finding) = definitions(job, held).await?
    {
        return Ok(Came::Short(finding));
    }
    let cni = way.expected.cni;
    let held_still = way.pace.map(|_| still(way.wanted.values, cni));
    if from <= Phase::Helm {
        let wanted = match &held_still {
            Some(values) => Wanted {
                values,
                description: STRATEGY_ONLY,
                ..way.wanted
            },
            None => way.wanted,
        };
        if let Some(finding) = helm(job, held, wanted, Phase::Helm, "helm-upgrade").await? {
            return Ok(Came::Short(finding));
        }
    }
    if let Some(pace) = way.pace.filter(|_| from <= Phase::Rolling) {
        let to = |slipped| Interrupted::Slipped(Phase::Rolling, slipped);
        held.phase(Phase::Rolling).await.map_err(to)?;
        if let Some(came) = roll::roll(job, held, way, pace).await? {
            return Ok(came);
        }
    }
    let look = match gate(job, held, way.expected).await? {
        Came::Through(look) => look,
        other => return Ok(other),
    };
    if way.pace.is_some() {
        // The template is the same: no pod moves.
        if let Some(finding) = helm(job, held, way.wanted, Phase::Strategy, "strategy").await? {
            return Ok(Came::Short(finding));
        }
    }
    Ok(Came::Through(look))
}

/// Has helm bring the release to what is wanted; a finding where it would not.
async fn helm(
    job: &Job<'_>,
    held: &mut Held,
    wanted: Wanted<'_>,
    phase: Phase,
    step: &'static str,
) -> Result<Option<Finding>, Interrupted> {
    let to = |slipped| Interrupted::Slipped(phase, slipped);
    held.phase(phase).await.map_err(to)?;
    let does = match phase {
        Phase::Strategy => "give the DaemonSets the chart's own update strategy back".to_string(),
        _ => format!(
            "helm upgrade {} to {} in {}",
            job.operation.release, wanted.version, job.operation.namespace
        ),
    };
    job.step(step, does);
    let brought = at_helm::replace(job, &held.lock, wanted).await;
    if !held.lock.held() && !held.lock.ours().await {
        return Err(to(Slipped::Lost));
    }
    match brought {
        Ok(finding) if finding.is_none() && job.stopping() && phase == Phase::Helm => {
            Err(Interrupted::ByUser(phase))
        }
        Ok(finding) => Ok(finding),
        Err(HelmError::Stopped { .. }) => Err(Interrupted::ByUser(phase)),
        Err(error) => Err(Interrupted::Helm(error)),
    }
}

/// The same values with the update strategies that `before` had, the chart's own where it had none: those of a revision
/// that only holds the agents still.
pub fn at_ease(values: &Value, before: Option<&Value>, cni: Option<&'static Cni>) -> Value {
    let mut values = values.clone();
    let strategies = cni
        .and_then(|cni| cni.installing)
        .map_or(&[][..], |i| i.strategies);
    for (key, _) in strategies {
        match before.and_then(|before| tree::at(before, key)) {
            Some(own) => tree::set(&mut values, key, own.clone()),
            None => {
                tree::remove(&mut values, key);
            }
        }
    }
    values
}

/// The values with which nothing replaces agents but us.
pub fn still(values: &Value, cni: Option<&'static Cni>) -> Value {
    let mut values = values.clone();
    let strategies = cni
        .and_then(|cni| cni.installing)
        .map_or(&[][..], |i| i.strategies);
    for (key, _) in strategies {
        // Without the null the chart's own rollingUpdate would be merged in, and the server would refuse it.
        tree::set(
            &mut values,
            key,
            json!({ "type": "OnDelete", "rollingUpdate": null }),
        );
    }
    values
}

/// Writes down what is known of the revision that stands now.
async fn record(job: &Job<'_>, held: &mut Held, restored: Option<Restored>) {
    job.step(
        "record",
        "write down version and health, remove the rest of the journal, give the lock back",
    );
    let operation = &job.operation;
    let newest = at_helm::newest(job).await.ok().flatten();
    let record = held.book.journal.records.entry(key(job)).or_default();
    record.restored = restored.or(record.restored);
    if let Some(newest) = newest {
        record.health.insert(newest.revision, "healthy".into());
        record.by.insert(newest.revision, operation.by.clone());
    }
}

/// That the agents' configuration was written anew on the way back and says what it said before: agents that were never
/// touched run with what stands there.
async fn restored(job: &Job<'_>, expected: &Expectation) -> Option<Restored> {
    let since = job.operation.before.configured?;
    // Without it `status` has a warning too many, and nothing else is lost.
    let capture = cluster::read(job.connection, job.asked, &|_, _, _| {})
        .await
        .ok()?;
    let written = Configured::of(&capture, expected.cni?, &expected.namespace)?.written?;
    (written > since).then_some(Restored { written, since })
}

/// The release's key among the records.
fn key(job: &Job<'_>) -> String {
    format!("{}/{}", job.operation.namespace, job.operation.release)
}

/// Ends the journal; what the change ended as where the lock was lost meanwhile.
async fn end(held: Held, phase: Phase) -> Result<Option<Ended>, ChangeError> {
    match held.end().await {
        Ok(()) => Ok(None),
        Err(ChangeError::Journal(JournalError::Changed)) => Ok(Some(Ended::Lost { phase })),
        Err(error) => Err(error.midway(phase)),
    }
}

/// What no way back undoes.
fn definitions_stay(job: &Job<'_>) -> Vec<String> {
    let charts = job.operation.crd_charts.iter();
    charts
        .map(|c| {
            format!(
                "the CustomResourceDefinitions of {} {} stay: going back leaves newer ones in place",
                c.name, c.version
            )
        })
        .collect()
}

/// The finding that a way back was begun for, as the journal keeps it.
fn known(slug: &str, message: &str) -> Finding {
    let code = codes::find(slug).unwrap_or(&CHANGE_INTERRUPTED);
    let fix = format!("kubectl byocni explain {}", code.slug);
    Finding::new(code, vec![], message.to_string(), fix)
}
