//! A canary: a node whose new agent must be seen to work before another node is touched.

use std::time::Duration;

use super::{Failed, Told};
use crate::core::{
    finding::Subject,
    gate::probe::ProbeSeen,
    rollout::{Kind, NodeSeen, Settings, schedule::shown},
};

/// How long a new pod on a canary may be without an address once the agent there is up.
const ADDRESS: Duration = Duration::from_secs(120);

/// How often a canary may stop being well while it is watched.
const RELAPSES: usize = 3;

/// The node that is being proven.
#[derive(Debug)]
pub(super) struct Canary {
    /// Its name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// Since when it waits for a probe's address.
    asked: Option<Duration>,
    answered: bool,
    /// Since when it holds, and the pods that do.
    holds: Option<(Duration, Vec<(String, i64)>)>,
    relapses: usize,
}

impl Canary {
    /// A canary that was not looked at yet.
    pub(super) fn new(name: String, pool: String) -> Self {
        Canary {
            name,
            pool,
            asked: None,
            answered: false,
            holds: None,
            relapses: 0,
        }
    }

    /// Whether it has held: its pods well, a new pod there with an address, and all of that for the soak.
    pub(super) fn prove(
        &mut self,
        node: &NodeSeen,
        settings: &Settings,
        probes: &[ProbeSeen],
        now: Duration,
        told: &mut Told,
    ) -> Result<bool, Failed> {
        let subject = Subject::node(&node.name);
        let pods: Vec<(String, i64)> = node.pods.iter().map(|p| (p.uid.clone(), p.restarts)).collect();
        let relapsed = self
            .holds
            .as_ref()
            .is_some_and(|(_, held)| *held != pods || !node.good());
        if relapsed {
            self.holds = None;
            self.relapses += 1;
        }
        if self.relapses >= RELAPSES {
            let why = format!("it was well and then not, {RELAPSES} times: {}", node.lacks());
            return Failed::of(Kind::Canary, vec![(subject, why)]).map_or(Ok(false), Err);
        }
        if !node.good() {
            self.asked = None;
            return Ok(false);
        }
        let here = || probes.iter().filter(|p| p.node == node.name);
        // A kubelet that has no room for a pod shows nothing, good or bad.
        self.answered |= !settings.probe || here().any(|p| p.good() || p.refused);
        if !self.answered {
            let since = *self.asked.get_or_insert(now);
            if here().all(|p| p.spent) {
                told.probe_on.push(node.name.clone());
            }
            let why = here()
                .find_map(|p| p.problem.clone())
                .unwrap_or_else(|| "a new pod there is being made".into());
            if now.saturating_sub(since) >= ADDRESS {
                return Failed::of(Kind::NoAddress, vec![(subject, why)]).map_or(Ok(false), Err);
            }
            told.waits.push((subject, why));
            return Ok(false);
        }
        let since = self.holds.get_or_insert((now, pods)).0;
        let left = settings.soak.saturating_sub(now.saturating_sub(since));
        if left.is_zero() {
            return Ok(true);
        }
        told.note = format!("{} holds, {} left", node.name, shown(left));
        told.waits.push((
            subject,
            format!("it is well and is watched for {} more", shown(left)),
        ));
        Ok(false)
    }
}
