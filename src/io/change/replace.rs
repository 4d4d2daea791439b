//! An upgrade or a rollback: the release gets another chart or other values in place, its agents are replaced node by
//! node where that is this CNI's way, and the network is watched. What fails goes the same way back, to the revision
//! that was there before, from Helm's own record. What comes next is decided in core/course.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    at_helm::{self, Wanted},
    held::{Held, Slipped},
    journal::JournalError,
    roll,
    run::{ChangeError, Gated, Interrupted, Job, definitions, gate, left_in_the_middle},
};
use crate::{
    core::{
        change::Ended,
        cni::Cni,
        course::{self, Course, Direction, End, Outcome, Step},
        facts::configured::Configured,
        finding::Finding,
        gate::{Expectation, Reach},
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
    pub expected: Expectation,
    /// How fast agents are replaced; nothing where the CNI's own controllers replace them.
    pub pace: Option<Pace>,
    /// Whether it is the way back.
    pub back: bool,
}

impl<'w> Way<'w> {
    /// The way in this direction; nothing where there is none.
    fn of(job: &'w Job<'_>, direction: Direction) -> Option<Way<'w>> {
        let pace = job.operation.replaces.as_ref()?.pace;
        Some(match direction {
            Direction::There => Way {
                wanted: job.wanted(),
                expected: job.expected.clone(),
                pace,
                back: false,
            },
            Direction::Back => {
                let former = job.former.as_ref()?;
                Way {
                    wanted: Wanted {
                        chart: former.chart,
                        version: former.version,
                        values: former.values,
                        description: OURS,
                    },
                    expected: Expectation {
                        limit: former.expected.limit.max(BACK_WITHIN),
                        ..former.expected.clone()
                    },
                    pace,
                    back: true,
                }
            }
        })
    }
}

/// From the operation's phase to the end.
///
/// # Errors
/// Where it could not be gone on with; the journal stays.
pub(super) async fn go_on(job: Job<'_>, held: Held) -> Result<Ended, ChangeError> {
    let course = Course::of(&job.operation, !job.definitions.is_empty(), job.former.is_some());
    follow(&job, held, course.ok_or(ChangeError::Nothing)?).await
}

/// Takes an interrupted upgrade or rollback back.
///
/// # Errors
/// Where it could not be taken back; the journal stays.
pub(super) async fn abort(job: Job<'_>, held: Held, because: Finding) -> Result<Ended, ChangeError> {
    let course = Course::aborting(&job.operation, job.former.is_some(), because);
    follow(&job, held, course.ok_or(ChangeError::Nothing)?).await
}

/// Carries out what the course says, one step after the other.
async fn follow(job: &Job<'_>, mut held: Held, mut course: Course) -> Result<Ended, ChangeError> {
    let mut phase = job.operation.phase;
    loop {
        let step = course.next().clone();
        if let Step::End(end) = step {
            return ended(job, held, &course, end, phase).await;
        }
        if let Some(begins) = step.phase() {
            phase = begins;
            if let Err(slipped) = held.phase(phase).await {
                return left_in_the_middle(held, Interrupted::Slipped(phase, slipped)).await;
            }
        }
        match carry_out(job, &mut held, &course, &step, phase).await {
            Ok(outcome) => course.came(outcome),
            Err(interrupted) => return left_in_the_middle(held, interrupted).await,
        }
    }
}

/// One step. The journal says already that it is begun.
async fn carry_out(
    job: &Job<'_>,
    held: &mut Held,
    course: &Course,
    step: &Step,
    phase: Phase,
) -> Result<Outcome, Interrupted> {
    let short = |finding: Option<Finding>| match finding {
        Some(because) => Outcome::Bad {
            because,
            nodes: vec![],
        },
        None => Outcome::Well,
    };
    let way = step.direction().and_then(|direction| Way::of(job, direction));
    match (step, way) {
        (Step::Define, _) => definitions(job, held).await.map(short),
        (Step::Look, _) => match at_helm::newest(job).await {
            Ok(newest) => {
                let newest = newest.map(|newest| newest.revision);
                Ok(match newest == job.operation.before.revision {
                    true => Outcome::Untouched,
                    false => Outcome::Touched(newest),
                })
            }
            Err(error) => Err(Interrupted::Helm(phase, error)),
        },
        (Step::Turn { broken }, _) => match turn_round(job, held, course, *broken).await {
            Ok(()) => Ok(Outcome::Well),
            Err(slipped) => Err(Interrupted::Slipped(phase, slipped)),
        },
        (Step::Helm(_), Some(way)) => {
            let still = way.pace.map(|_| still(way.wanted.values, way.expected.cni));
            let wanted = match &still {
                Some(values) => Wanted {
                    values,
                    description: STRATEGY_ONLY,
                    ..way.wanted
                },
                None => way.wanted,
            };
            let does = format!(
                "helm upgrade {} to {} in {}",
                job.operation.release, wanted.version, job.operation.namespace
            );
            job.step("helm-upgrade", does);
            helm(job, held, wanted, phase).await.map(short)
        }
        (Step::Roll(_), Some(way)) => match way.pace {
            Some(pace) => roll::roll(job, held, &way, pace).await,
            None => Ok(Outcome::Well),
        },
        (Step::Gate(_), Some(way)) => match gate(job, held, &way.expected).await? {
            Gated::Open(look) => Ok(Outcome::Open(look)),
            Gated::Shut(failure, _) => Ok(Outcome::Bad {
                because: failure.finding(),
                nodes: match failure.reach {
                    Reach::Partly { nodes } => nodes,
                    Reach::Whole => vec![],
                },
            }),
        },
        (Step::Strategy(..), Some(way)) => {
            // The template is the same: no pod moves.
            job.step(
                "strategy",
                "give the DaemonSets the chart's own update strategy back",
            );
            helm(job, held, way.wanted, phase).await.map(short)
        }
        // The course leads no way that is not there.
        (Step::Helm(_) | Step::Roll(_) | Step::Gate(_) | Step::Strategy(..), None) | (Step::End(_), _) => {
            Ok(short(Some(at_helm::failed("there is no way back", None))))
        }
    }
}

/// Writes down that it goes back. From here on nothing is upgraded any more, by whoever goes on.
async fn turn_round(
    job: &Job<'_>,
    held: &mut Held,
    course: &Course,
    broken: Option<i64>,
) -> Result<(), Slipped> {
    let (Some(because), Some(replaces)) = (course.because(), &job.operation.replaces) else {
        return Ok(());
    };
    if let Some(revision) = broken {
        let record = held.book.journal.records.entry(key(job)).or_default();
        record.health.insert(revision, BROKEN.into());
    }
    held.note(|operation| course::turn(operation, because)).await?;
    job.step(
        "back",
        format!(
            "{}: back to revision {} ({} {}), by the same way",
            because.code.slug, replaces.revision, job.operation.chart.name, replaces.version
        ),
    );
    Ok(())
}

/// Closes the journal, or leaves it for somebody to go on with.
async fn ended(
    job: &Job<'_>,
    mut held: Held,
    course: &Course,
    end: End,
    phase: Phase,
) -> Result<Ended, ChangeError> {
    let because = || course.because().cloned().ok_or(ChangeError::Nothing);
    match end {
        End::Done(look) => {
            record(job, &mut held, None).await;
            let done = Ended::Done {
                look,
                broken_before: job.operation.before.broken_nodes.clone(),
            };
            Ok(close(held, phase).await?.unwrap_or(done))
        }
        End::TakenBack | End::Untouched => {
            if matches!(end, End::TakenBack) {
                let restored = restored(job).await;
                record(job, &mut held, restored).await;
            }
            let back = Ended::Back {
                because: because()?,
                left: vec![],
                stays: definitions_stay(job),
            };
            Ok(close(held, phase).await?.unwrap_or(back))
        }
        End::Paused(because) => {
            held.leave().await;
            Ok(Ended::Paused { because })
        }
        End::AtCanary(canaries) => {
            if let Err(slipped) = held.note(course::past_the_canaries).await {
                return left_in_the_middle(held, Interrupted::Slipped(phase, slipped)).await;
            }
            held.leave().await;
            Ok(Ended::AtCanary { canaries })
        }
        End::Stays { why, nodes } => {
            held.leave().await;
            Ok(Ended::Stays {
                because: because()?,
                why,
                nodes,
            })
        }
    }
}

/// Has helm bring the release to what is wanted; a finding where it would not.
async fn helm(
    job: &Job<'_>,
    held: &Held,
    wanted: Wanted<'_>,
    phase: Phase,
) -> Result<Option<Finding>, Interrupted> {
    let brought = at_helm::replace(job, &held.lock, wanted).await;
    if !held.lock.held() && !held.lock.ours().await {
        return Err(Interrupted::Slipped(phase, Slipped::Lost));
    }
    match brought {
        Ok(finding) if finding.is_none() && job.stopping() && phase == Phase::Helm => {
            Err(Interrupted::ByUser(phase))
        }
        Ok(finding) => Ok(finding),
        Err(HelmError::Stopped { .. }) => Err(Interrupted::ByUser(phase)),
        Err(error) => Err(Interrupted::Helm(phase, error)),
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
async fn restored(job: &Job<'_>) -> Option<Restored> {
    let since = job.operation.before.configured?;
    let expected = &job.former.as_ref()?.expected;
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
async fn close(held: Held, phase: Phase) -> Result<Option<Ended>, ChangeError> {
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
