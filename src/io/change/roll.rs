//! Replaces agents node by node: looks, asks the rollout what to do, deletes the pods that it names, and writes down how
//! far it came. The DaemonSets replace nothing by themselves meanwhile: when this ends, however it ends, the cluster
//! stands still.
#![expect(clippy::disallowed_methods, reason = "a rollout has a time limit")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    held::{Held, Slipped},
    replace::Way,
    run::{Interrupted, Job},
    tries,
};
use crate::{
    core::{
        capture::{Capture, Pod},
        change::Event,
        codes::preflight::CHANGE_PAUSED,
        course::Outcome,
        facts::{Facts, configured::Configured},
        finding::Finding,
        gate::{self, probe::ProbeSeen},
        journal::{Pace, Phase, Replaces},
        rollout::{self, Candidate, Do, Look, PodRef, Rollout, Seen, Settings, Stale},
    },
    io::{
        cluster,
        connection::{Connection, RequestError},
        probe,
    },
};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// How long agents that were taken down are waited for when the user wants to stop.
const AT_REST_WITHIN: Duration = Duration::from_secs(120);

/// Replaces what is outdated.
pub(super) async fn roll(
    job: &Job<'_>,
    held: &mut Held,
    way: &Way<'_>,
    pace: Pace,
) -> Result<Outcome, Interrupted> {
    (job.tell)(&Event::Step {
        name: "rolling",
        limit: Some(Duration::from_secs(pace.limit_seconds)),
        does: format!(
            "replace agents node by node, at most {} at once{}",
            pace.max_parallel,
            match (way.back, pace.canaries) {
                (false, n) if n > 0 => ", canaries first",
                _ => "",
            }
        ),
    });
    let rolled = until_done(job, held, way, pace).await;
    let ours = held.lock.ours().await;
    if ours
        && probe::remove_all(job.connection, &job.operation.id)
            .await
            .is_err()
    {
        (job.tell)(&Event::Note(
            "probe pods could not be removed; they end by themselves five minutes after they were made"
                .into(),
        ));
    }
    rolled
}

async fn until_done(
    job: &Job<'_>,
    held: &mut Held,
    way: &Way<'_>,
    pace: Pace,
) -> Result<Outcome, Interrupted> {
    let begun = Instant::now();
    let slipped = |slipped| Interrupted::Slipped(Phase::Rolling, slipped);
    // What an earlier run of this way has done; a way back begins with nothing.
    let mut done: BTreeSet<String> = replaces(held)
        .filter(|r| r.back.is_some() == way.back)
        .map(|r| r.done.iter().cloned().collect())
        .unwrap_or_default();
    let mut machine: Option<Rollout> = None;
    let mut stop_since: Option<Instant> = None;
    let mut paused_by: Option<String> = None;
    loop {
        let looking = Instant::now();
        let look = match sight(job, way).await {
            Ok(sight) => {
                let machine = machine.get_or_insert_with(|| {
                    let settings = settings(&sight.facts(job), way, pace);
                    Rollout::new(settings, &job.operation.before.broken_nodes, &done)
                });
                let facts = sight.facts(job);
                let written = configured(&facts, way);
                // Before the first agent that reads it is started.
                if !way.back && written.is_some() && replaces(held).is_some_and(|r| r.configured.is_none()) {
                    let noted = held.note(|operation| {
                        if let Some(replaces) = &mut operation.replaces {
                            replaces.configured = written;
                        }
                    });
                    noted.await.map_err(slipped)?;
                }
                let seen = Seen::of(&facts, &rolled(way), &sight.beside, stale(held, way, written));
                if seen.pause != paused_by {
                    paused_by.clone_from(&seen.pause);
                    (job.tell)(&Event::Note(match &paused_by {
                        Some(why) => format!("{why}: no further agent is touched until that is over"),
                        None => "the platform is done: it goes on".into(),
                    }));
                }
                let look = machine.look(&seen, &sight.probes, begun.elapsed());
                probe_where_wanted(job, held, &facts, &look).await;
                look
            }
            Err(why) => match &mut machine {
                Some(machine) => machine.blind(&why, begun.elapsed()),
                None => {
                    (job.tell)(&Event::Note(format!("the cluster cannot be read: {why}")));
                    wait(job, held, PAUSE).await?;
                    continue;
                }
            },
        };
        tell(job, &look);
        if look.done.iter().any(|node| !done.contains(node)) {
            done.extend(look.done.iter().cloned());
            let nodes: Vec<String> = done.iter().cloned().collect();
            held.note(|operation| {
                if let Some(replaces) = &mut operation.replaces {
                    replaces.done = nodes;
                }
            })
            .await
            .map_err(slipped)?;
        }
        if job.stopping() {
            let since = *stop_since.get_or_insert_with(Instant::now);
            if let Some(machine) = &mut machine {
                machine.hold();
            }
            if look.at_rest || since.elapsed() > AT_REST_WITHIN {
                return Err(Interrupted::ByUser(Phase::Rolling));
            }
        }
        match look.next {
            Do::Done => return Ok(Outcome::Well),
            Do::Failed(failure) => {
                return Ok(Outcome::Bad {
                    because: failure.finding(),
                    nodes: vec![],
                });
            }
            Do::Paused(why) => return Ok(Outcome::Paused(paused(&why))),
            Do::AtCanary => return Ok(Outcome::AtCanary(look.done)),
            Do::Replace(pods) if !job.stopping() => {
                for pod in &pods {
                    if !held.lock.ours().await {
                        return Err(slipped(Slipped::Lost));
                    }
                    if let Err(error) = delete(job.connection, pod).await {
                        (job.tell)(&Event::Note(format!(
                            "pod {} could not be deleted: {error}",
                            pod.name
                        )));
                    }
                }
            }
            Do::Replace(_) | Do::Wait => {}
        }
        // A cluster that takes long to read is not read all the time.
        wait(job, held, PAUSE.max(looking.elapsed())).await?;
    }
}

async fn wait(job: &Job<'_>, held: &Held, pause: Duration) -> Result<(), Interrupted> {
    let stopping = job.stopping();
    let mut stop = job.stop.clone();
    let stopped = async {
        if stopping {
            std::future::pending::<()>().await;
        }
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = stopped => Ok(()),
        () = held.lock.lost() => Err(Interrupted::Slipped(Phase::Rolling, Slipped::Lost)),
    }
}

/// What was read for one look.
struct Sight {
    capture: Capture,
    /// Pods of those that run beside agents: a capture leaves them out.
    beside: Vec<Pod>,
    probes: Vec<ProbeSeen>,
}

impl Sight {
    fn facts<'s>(&'s self, job: &'s Job<'_>) -> Facts<'s> {
        Facts::of(&self.capture, job.asked)
    }
}

/// What the journal says of what is replaced, as it stands now.
fn replaces(held: &Held) -> Option<&Replaces> {
    held.book.journal.operation.as_ref()?.replaces.as_ref()
}

/// Which agents must be started again though their template is the newest: where it stays the same, those that have not
/// read what the release now says; on the way back only those that have read what is being taken back.
fn stale(held: &Held, way: &Way<'_>, written: Option<Timestamp>) -> Option<Stale> {
    let replaces = replaces(held).filter(|r| r.restart)?;
    let (from, before) = match way.back {
        false => (None, replaces.configured.or(written)?),
        true => (Some(replaces.configured?), written?),
    };
    Some(Stale { from, before })
}

/// When the agents' configuration was last written.
fn configured(facts: &Facts<'_>, way: &Way<'_>) -> Option<Timestamp> {
    Configured::of(facts.capture, way.expected.cni?, &way.expected.namespace)?.written
}

/// The DaemonSets that are replaced node by node: those that the chart renders.
fn rolled(way: &Way<'_>) -> Vec<(String, String)> {
    let cni = way.expected.cni;
    let names = cni
        .and_then(|cni| cni.installing)
        .map_or(&[][..], |i| i.strategies);
    let own = way.expected.daemon_sets.iter();
    own.filter(|(_, name)| names.iter().any(|(_, own)| own == name))
        .cloned()
        .collect()
}

async fn sight(job: &Job<'_>, way: &Way<'_>) -> Result<Sight, String> {
    let connection = job.connection;
    let capture = cluster::read(connection, job.asked, &|_, _, _| {})
        .await
        .map_err(|e| e.to_string())?;
    let mut beside = vec![];
    for (namespace, name) in rolled(way) {
        let own = capture
            .daemon_sets
            .iter()
            .find(|w| w.meta.namespace == *namespace && w.meta.name == *name);
        let Some(workload) = own else { continue };
        let known = capture
            .pods
            .iter()
            .any(|p| p.meta.namespace == *namespace && workload.selects(&p.meta.labels));
        if !known {
            let pods = cluster::pods_of(connection, workload).await;
            beside.extend(pods.map_err(|e| format!("the pods of {name}: {e}"))?);
        }
    }
    let probes = probe::look(connection, &job.operation.id, &way.expected.pools)
        .await
        .map_err(|e| format!("probes: {e}"))?;
    Ok(Sight {
        capture,
        beside,
        probes,
    })
}

/// How this way goes about it. An agent's start-up budget is that of the new template, which stands in the cluster by now.
fn settings(facts: &Facts<'_>, way: &Way<'_>, pace: Pace) -> Settings {
    let all = rolled(way);
    let budget = facts
        .capture
        .daemon_sets
        .iter()
        .filter(|w| {
            all.iter()
                .any(|(ns, name)| w.meta.namespace == **ns && w.meta.name == **name)
        })
        .map(rollout::budget)
        .max();
    let nodes = facts.served_nodes().count();
    let limit = Duration::from_secs(pace.limit_seconds);
    let own = Settings {
        canaries: pace.canaries,
        max_parallel: pace.max_parallel,
        soak: Duration::from_secs(pace.soak_seconds),
        pause: pace.pause,
        limit: Some(limit),
        ..Settings::new(nodes, budget.unwrap_or(Duration::from_secs(300)))
    };
    if !way.back {
        return own;
    }
    let own = own.back();
    // The limit of the way there may have been the user's, for what was to come up quickly; the old agents take the time
    // that they take.
    let candidates = Candidate::all(facts, &way.expected.broken_before);
    let needed = rollout::schedule(&candidates, &own).limit;
    Settings {
        limit: Some(needed.max(limit)),
        ..own
    }
}

/// Makes probes on canaries; one that could not be made is made at the next look.
async fn probe_where_wanted(job: &Job<'_>, held: &Held, facts: &Facts<'_>, look: &Look) {
    for node in look.probe_on.iter().filter(|_| held.lock.held()) {
        let Some(image) = gate::probe::image(facts, node) else {
            continue;
        };
        let pod: Value = gate::probe::pod(node, &image, &job.operation.id);
        if let Err(error) = probe::create(job.connection, &pod, false).await {
            (job.tell)(&Event::Note(format!("a probe pod could not be made: {error}")));
        }
    }
}

/// Shows a look as any other of a gate.
fn tell(job: &Job<'_>, look: &Look) {
    (job.tell)(&Event::Look(Box::new(gate::Look {
        phases: look.phases.clone(),
        waiting: look.waiting.clone(),
        state: gate::State::Waiting,
        probe_on: look.probe_on.clone(),
        agents_ever_started: true,
        aside: vec![],
        elapsed: look.elapsed,
    })));
}

/// Deletes this pod and no other of its name; one that is gone is fine.
async fn delete(connection: &Connection, pod: &PodRef) -> Result<(), RequestError> {
    let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.name);
    let options = json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": pod.uid },
    });
    let body = options.to_string().into_bytes();
    match tries::send(connection, Method::DELETE, &path, "application/json", &body).await {
        Ok(_) | Err(RequestError::NotFound) => Ok(()),
        // Another pod of that name: the next look sees it.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

fn paused(why: &str) -> Finding {
    Finding::new(
        &CHANGE_PAUSED,
        vec![],
        format!("stopped at a safe point: {why}"),
        "kubectl byocni resume, once that is over",
    )
}
