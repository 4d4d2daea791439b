//! Watches a change until its gate opens or closes: one capture after the other, the same that `status` takes.
#![expect(clippy::disallowed_methods, reason = "a gate has a time limit")]

use std::time::{Duration, Instant};

use serde_json::Value;

use super::lock::Lock;
use crate::{
    core::{
        capture::Capture,
        change::Event,
        facts::{Asked, Facts},
        gate::{self, Expectation, Failure, Gate, Look, State},
        judge,
    },
    io::{cluster, connection::Connection, helm::Stop, probe},
};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// How watching ended.
pub enum Watched {
    /// Everything held.
    Passed(Box<Look>),
    /// Waiting is over.
    Failed(Box<Failure>, Box<Look>),
    /// The user wants to stop.
    Stopped,
    /// The lock is no longer ours.
    Lost,
}

/// What is watched.
pub struct Watching<'w> {
    /// The cluster.
    pub connection: &'w Connection,
    /// What must come about.
    pub expected: Expectation,
    /// The operation's id: its probes bear it.
    pub operation: &'w str,
    /// What the user's flags add to the capture.
    pub asked: &'w Asked,
    /// Becomes true when the user wants to stop.
    pub stop: Stop,
    /// Who wants to know.
    pub tell: &'w (dyn Fn(&Event) + Sync),
}

impl Watching<'_> {
    /// Looks until the gate says so. Probes are removed in every outcome.
    pub async fn watch(self, lock: &Lock) -> Watched {
        let watched = self.until_decided(lock).await;
        // After a failure nobody waits for an API server that is away: probes end by themselves.
        let ours = match &watched {
            Watched::Passed(_) => lock.ours().await,
            Watched::Failed(..) | Watched::Stopped | Watched::Lost => lock.held(),
        };
        if self.expected.probe && ours && probe::remove_all(self.connection, self.operation).await.is_err() {
            (self.tell)(&Event::Note(
                "probe pods could not be removed; they end by themselves five minutes after they were made"
                    .into(),
            ));
        }
        watched
    }

    async fn until_decided(&self, lock: &Lock) -> Watched {
        let begun = Instant::now();
        let mut gate = Gate::new(self.expected.clone());
        let mut told = false;
        let mut stop = self.stop.clone();
        loop {
            let looking = Instant::now();
            // A look writes nothing, and may take minutes where the API server is silent: nobody waits for its end.
            let (look, probes) = tokio::select! {
                seen = self.look(&mut gate, begun) => seen,
                () = lock.lost() => return Watched::Lost,
                _ = stop.wait_for(|stop| *stop) => return Watched::Stopped,
            };
            (self.tell)(&Event::Look(Box::new(look.clone())));
            match &look.state {
                State::Passed => return Watched::Passed(Box::new(look)),
                State::Failed(failure) => return Watched::Failed(failure.clone(), Box::new(look)),
                State::Waiting | State::Settling { .. } => {}
            }
            // Looking goes on until the gate's limit; nothing is written until the lock is seen to be ours still.
            let held = lock.held();
            if !held && !told {
                (self.tell)(&Event::Note(
                    "the lock's lease could not be renewed: nothing is written until the API server lets it be".into(),
                ));
            }
            told = !held;
            for pod in probes.iter().filter(|_| held) {
                // One that could not be made is made at the next look; one that is refused says so in the look.
                if let Err(error) = probe::create(self.connection, pod, false).await {
                    (self.tell)(&Event::Note(format!("a probe pod could not be made: {error}")));
                }
            }
            // A cluster that takes long to read is not read all the time.
            let pause = PAUSE.max(looking.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = lock.lost() => return Watched::Lost,
                _ = stop.wait_for(|stop| *stop) => return Watched::Stopped,
            }
        }
    }

    /// A look, and the probe pods that it asks for.
    async fn look(&self, gate: &mut Gate, begun: Instant) -> (Look, Vec<Value>) {
        let capture = match capture(self.connection, self.asked, &self.expected).await {
            Ok(capture) => capture,
            Err(error) => return (gate.blind(&error.to_string(), begun.elapsed()), vec![]),
        };
        let probes = if self.expected.probe {
            match probe::look(self.connection, self.operation, &self.expected.pools).await {
                Ok(probes) => probes,
                Err(error) => return (gate.blind(&format!("probes: {error}"), begun.elapsed()), vec![]),
            }
        } else {
            vec![]
        };
        let facts = Facts::of(&capture, self.asked);
        let report = judge::report(&capture, self.asked, &|_| true);
        let look = gate.look(&facts, &report, &probes, begun.elapsed());
        let wanted = look.probe_on.iter().filter_map(|node| {
            let image = gate::probe::image(&facts, node)?;
            Some(gate::probe::pod(node, &image, self.operation))
        });
        let wanted = wanted.collect();
        (look, wanted)
    }
}

/// The cluster as a gate looks at it: as `status` does, and the workloads of a product that nobody knows in full.
///
/// # Errors
/// As [`cluster::read`].
pub async fn capture(
    connection: &Connection,
    asked: &Asked,
    expected: &Expectation,
) -> Result<Capture, cluster::ReadError> {
    let mut capture = cluster::read(connection, asked, &|_, _, _| {}).await?;
    if expected.cni.is_none() {
        let (daemon_sets, deployments) = (&expected.daemon_sets, &expected.deployments);
        cluster::read_brought(connection, &mut capture, daemon_sets, deployments).await;
    }
    Ok(capture)
}
