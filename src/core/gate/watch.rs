//! The gate itself: what only the succession of looks tells, and what follows from each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::{
    capture::Source,
    facts::{AgentState, Facts, Ready},
    finding::{Finding, Subject},
    report::Report,
};

use super::{
    Expectation, Failure, Kind, Look, Phase, Reach, State, Waiting, agents_ever_ran,
    conditions::{self, Probes, Wait},
    errors, failure,
    probe::ProbeSeen,
    standing::Standing,
};

/// A node's agent at one look: its pod's name, and how often its containers have restarted where that was read.
type Incarnation = (String, Option<i64>);

/// The gate. Feed it one capture after the other; it remembers what only their succession tells.
pub struct Gate {
    expected: Expectation,
    /// The nodes of the first look: others joined meanwhile.
    first: Option<BTreeSet<String>>,
    /// Since when each subject is waited for.
    waited: BTreeMap<Subject, Duration>,
    /// Since when everything holds.
    holds: Option<Duration>,
    /// The same, leaving out nodes that joined meanwhile and are within their start-up budget.
    holds_but_joining: Option<Duration>,
    /// Everything held once.
    held: bool,
    /// The agents at the last look.
    agents: BTreeMap<String, Incarnation>,
    /// Since when no agent anywhere can come up because of its image.
    pulls: Option<Duration>,
    /// Nodes that were chosen for probes.
    wanted: BTreeSet<String>,
    /// Nodes whose probe has had a good address.
    answered: BTreeSet<String>,
    /// Nodes that take no probe: the kubelet refused it.
    refused: BTreeSet<String>,
    ever_started: bool,
    /// The last look that could see.
    last: Option<Look>,
    last_elapsed: Duration,
}

/// Nodes with a probe at most.
const PROBES: usize = 10;

/// How often an agent must have been restarted on every node before the gate gives up early: the kubelet's back-off
/// doubles from 10 s, so five restarts take at least two and a half minutes of failing at the same thing.
const HOPELESS_RESTARTS: i64 = 5;

/// How long an image must have been out of reach on every node before the gate gives up early. A registry that limits
/// its rate is back within minutes.
const HOPELESS_PULL: Duration = Duration::from_secs(180);

impl Gate {
    /// A gate that has not looked yet.
    pub fn new(expected: Expectation) -> Self {
        Gate {
            expected,
            first: None,
            waited: BTreeMap::new(),
            holds: None,
            holds_but_joining: None,
            held: false,
            agents: BTreeMap::new(),
            pulls: None,
            wanted: BTreeSet::new(),
            answered: BTreeSet::new(),
            refused: BTreeSet::new(),
            ever_started: false,
            last: None,
            last_elapsed: Duration::ZERO,
        }
    }

    /// Looks at a capture, `elapsed` after the gate's beginning. `probes` are the probe pods that are there now.
    ///
    /// Everything must hold for `settle`; an agent that restarts or is replaced meanwhile starts that anew. The limit
    /// bounds the time until everything holds for the first time without an end, settling is added to it. Nodes that
    /// joined meanwhile are waited for like others; at the limit those within their start-up budget no longer count, so
    /// that a cluster which grows all the time passes too.
    ///
    /// It gives up early only where waiting is hopeless on every node: each agent restarts in a loop and has done so
    /// five times, or none can be pulled (some may loop) for three minutes and half of the limit. One node of many
    /// never ends it early.
    pub fn look(
        &mut self,
        facts: &Facts<'_>,
        report: &Report,
        probes: &[ProbeSeen],
        elapsed: Duration,
    ) -> Look {
        let unread = conditions::unread(facts, report);
        if facts.capture.knows(Source::DaemonSets) && facts.capture.knows(Source::CniPods) {
            self.ever_started |= agents_ever_ran(facts, &self.expected);
        }
        if !unread.is_empty() {
            return self.blind(&format!("could not be read: {}", unread.join(", ")), elapsed);
        }
        let names = || facts.nodes.iter().map(|n| n.name.to_string()).collect();
        let first = self.first.get_or_insert_with(names).clone();
        let standing = Standing::of(facts, &self.expected, &first);
        let planned = self.choose_probes(&standing, probes);
        let seen = conditions::of(
            facts,
            report,
            &self.expected,
            &standing,
            &Probes {
                wanted: &self.wanted,
                answered: &self.answered,
                seen: probes,
                planned,
            },
        );
        let (held_up_by, aside) = errors::new_ones(report, &self.expected.errors_before, &standing.excused);
        let (mut phases, mut waits) = (seen.phases, seen.waits);
        let only_errors = waits.is_empty();
        waits.extend(errors_as_waits(&held_up_by, &standing));
        let waits = one_a_subject(waits);

        if self.agents_changed(&standing) {
            (self.holds, self.holds_but_joining) = (None, None);
        }
        let ok = waits.is_empty();
        // Something of the old must hold, or a cluster of newcomers would pass with nothing running.
        let old = standing.required.len() > standing.joining.len();
        let ok_but_joining = old && waits.iter().all(|w| w.joining);
        self.holds = ok.then(|| self.holds.unwrap_or(elapsed));
        self.holds_but_joining = ok_but_joining.then(|| self.holds_but_joining.unwrap_or(elapsed));
        let waiting = self.ordered(&waits, elapsed);
        let (settle, limit) = (self.expected.settle, self.expected.limit);
        let long = |since: Option<Duration>| since.is_some_and(|s| elapsed.saturating_sub(s) >= settle);
        let late = elapsed >= limit;
        let state = if long(self.holds) || (late && long(self.holds_but_joining)) {
            State::Passed
        } else if late && self.holds_but_joining.is_none_or(|since| since >= limit) {
            let kind = if self.held || (only_errors && !ok) {
                Kind::Regressed
            } else {
                Kind::TimedOut
            };
            State::Failed(Box::new(failure::of(
                kind,
                &waits,
                &waiting,
                &held_up_by,
                report,
                &standing,
                elapsed,
            )))
        } else if !late && self.hopeless(&standing, elapsed) {
            let kind = Kind::Hopeless;
            State::Failed(Box::new(failure::of(
                kind,
                &waits,
                &waiting,
                &held_up_by,
                report,
                &standing,
                elapsed,
            )))
        } else if let Some(since) = self.holds {
            State::Settling {
                left: settle.saturating_sub(elapsed.saturating_sub(since)),
            }
        } else {
            State::Waiting
        };
        self.held |= ok;
        phases.push(self.settling(&state));
        let made: BTreeSet<&str> = probes
            .iter()
            .filter(|p| !p.spent)
            .map(|p| p.node.as_str())
            .collect();
        let unmade = self
            .wanted
            .difference(&self.answered)
            .filter(|n| !made.contains(n.as_str()));
        let look = Look {
            phases,
            waiting,
            state,
            probe_on: unmade.cloned().collect(),
            agents_ever_started: self.ever_started,
            aside,
            elapsed,
        };
        self.last_elapsed = elapsed;
        self.last = Some(look.clone());
        look
    }

    /// A look that could not see, for this reason: nothing is proven by it and nothing disproven, so settling neither
    /// goes on nor starts anew. The limit goes on.
    pub fn blind(&mut self, why: &str, elapsed: Duration) -> Look {
        let gap = elapsed.saturating_sub(self.last_elapsed);
        self.last_elapsed = elapsed;
        for since in [&mut self.holds, &mut self.holds_but_joining, &mut self.pulls]
            .into_iter()
            .flatten()
        {
            *since = since.saturating_add(gap).min(elapsed);
        }
        let waits = [Wait::new(Subject::cluster(), why)];
        let mut waiting = self.ordered_with(&waits, elapsed);
        let before = self.last.as_ref();
        let known = before.map(|l| l.waiting.clone()).unwrap_or_default();
        waiting.extend(known.into_iter().filter(|w| w.subject != Subject::cluster()));
        let state = if elapsed >= self.expected.limit.saturating_add(self.expected.settle)
            || (elapsed >= self.expected.limit && self.holds.is_none())
        {
            State::Failed(Box::new(Failure {
                kind: Kind::TimedOut,
                reach: Reach::Whole,
                waiting: waiting.clone(),
                because: vec![],
                after: elapsed,
            }))
        } else {
            State::Waiting
        };
        Look {
            phases: before.map(|l| l.phases.clone()).unwrap_or_default(),
            waiting,
            state,
            probe_on: vec![],
            // Since it was last seen, one may have begun.
            agents_ever_started: true,
            aside: before.map(|l| l.aside.clone()).unwrap_or_default(),
            elapsed,
        }
    }

    /// Chooses the nodes for probes as they become ready for them: one a node pool, two where there is one pool only.
    /// A choice stays. Returns how many there will be in the end.
    fn choose_probes(&mut self, standing: &Standing<'_, '_>, probes: &[ProbeSeen]) -> usize {
        if !self.expected.probe {
            return 0;
        }
        self.answered
            .extend(probes.iter().filter(|p| p.good()).map(|p| p.node.clone()));
        self.refused
            .extend(probes.iter().filter(|p| p.refused).map(|p| p.node.clone()));
        let mut pools: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
        for (node, agent) in &standing.required {
            if self.refused.contains(node.name) || standing.joining.contains(node.name) {
                continue;
            }
            let agent_up = agent.is_none_or(|a| matches!(a.state, AgentState::Ready { .. }) && !a.outdated);
            let able = node.ready == Ready::Yes && agent_up;
            pools
                .entry(node.pool.unwrap_or_default())
                .or_default()
                .push((node.name, able));
        }
        let there: BTreeSet<&str> = pools.values().flatten().map(|(name, _)| *name).collect();
        self.wanted.retain(|node| there.contains(node.as_str()));
        let each = if pools.len() == 1 { 2 } else { 1 };
        let mut planned = 0;
        for nodes in pools.values().take(PROBES) {
            let target = nodes.len().min(each);
            planned += target;
            let chosen = nodes
                .iter()
                .filter(|(name, _)| self.wanted.contains(*name))
                .count();
            let able = nodes
                .iter()
                .filter(|(name, able)| *able && !self.wanted.contains(*name));
            let more: Vec<String> = able
                .take(target.saturating_sub(chosen))
                .map(|(name, _)| (*name).to_string())
                .collect();
            self.wanted.extend(more);
        }
        planned
    }

    /// Whether an agent was replaced or restarted since the last look.
    fn agents_changed(&mut self, standing: &Standing<'_, '_>) -> bool {
        let now: BTreeMap<String, Incarnation> = standing
            .required
            .iter()
            .filter_map(|(node, agent)| {
                let pod = agent.and_then(|a| a.pod)?;
                // Pods in brief have no identity, and no restarts to compare.
                let full = !pod.meta.uid.is_empty() || !pod.status.init_container_statuses.is_empty();
                let restarts = pod
                    .status
                    .container_statuses
                    .iter()
                    .map(|c| c.restart_count)
                    .sum();
                Some((
                    node.name.to_string(),
                    (pod.meta.name.to_string(), full.then_some(restarts)),
                ))
            })
            .collect();
        let changed = now.iter().any(|(node, (name, restarts))| {
            self.agents.get(node).is_some_and(|(name_before, before)| {
                let restarted = matches!((before, restarts), (Some(a), Some(b)) if a != b);
                name != name_before || restarted
            })
        });
        self.agents = now;
        changed
    }

    /// Whether no agent anywhere has a chance to come up; see [`Gate::look`].
    fn hopeless(&mut self, standing: &Standing<'_, '_>, elapsed: Duration) -> bool {
        let states: Option<Vec<&AgentState>> = standing
            .required
            .iter()
            .map(|(_, agent)| Some(&(*agent)?.state))
            .collect();
        let states = states.unwrap_or_default();
        let loops = |s: &&AgentState| matches!(s, AgentState::CrashLooping { restarts, .. } if *restarts >= HOPELESS_RESTARTS);
        let pulls = |s: &&AgentState| matches!(s, AgentState::ImagePull { .. });
        let fails = |s: &&AgentState| pulls(s) || matches!(s, AgentState::CrashLooping { .. });
        if states.is_empty() || !states.iter().all(fails) {
            self.pulls = None;
            return false;
        }
        if states.iter().all(loops) {
            return true;
        }
        if !states.iter().any(pulls) {
            self.pulls = None;
            return false;
        }
        let since = *self.pulls.get_or_insert(elapsed);
        elapsed.saturating_sub(since) >= HOPELESS_PULL.max(self.expected.limit / 2)
    }

    fn settling(&self, state: &State) -> Phase {
        let total = self.expected.settle;
        let done = match state {
            State::Passed => total,
            State::Settling { left } => total.saturating_sub(*left),
            State::Waiting | State::Failed(_) => Duration::ZERO,
        };
        let whole = |d: Duration| usize::try_from(d.as_secs()).unwrap_or(usize::MAX);
        Phase {
            name: "settling",
            done: whole(done),
            total: whole(total),
            complete: *state == State::Passed,
            note: String::new(),
        }
    }

    /// Keeps since when each is waited for, and orders them by it.
    fn ordered(&mut self, waits: &[Wait], elapsed: Duration) -> Vec<Waiting> {
        let now: BTreeSet<&Subject> = waits.iter().map(|w| &w.subject).collect();
        self.waited.retain(|subject, _| now.contains(subject));
        self.ordered_with(waits, elapsed)
    }

    fn ordered_with(&mut self, waits: &[Wait], elapsed: Duration) -> Vec<Waiting> {
        let mut all: Vec<(u8, Waiting)> = waits
            .iter()
            .map(|wait| {
                let since = *self.waited.entry(wait.subject.clone()).or_insert(elapsed);
                let waiting = Waiting {
                    subject: wait.subject.clone(),
                    why: wait.why.clone(),
                    since,
                };
                (wait.rank, waiting)
            })
            .collect();
        all.sort_by(|(a, x), (b, y)| (x.since, a, &x.subject).cmp(&(y.since, b, &y.subject)));
        all.into_iter().map(|(_, waiting)| waiting).collect()
    }
}

/// Errors that hold the gate up, as what is waited for.
fn errors_as_waits(errors: &[Finding], standing: &Standing<'_, '_>) -> Vec<Wait> {
    let of = |finding: &Finding| {
        let why = finding.message.clone();
        let subjects = finding.subjects.clone().into_iter();
        subjects
            .map(move |subject| Wait {
                joining: subject.kind == "Node" && standing.joining.contains(subject.name.as_str()),
                rank: 0,
                ..Wait::new(subject, why.clone())
            })
            .collect::<Vec<_>>()
    };
    errors.iter().flat_map(of).collect()
}

/// One line a subject: its first reason is the nearest to its cause.
fn one_a_subject(waits: Vec<Wait>) -> Vec<Wait> {
    let mut told: BTreeSet<Subject> = BTreeSet::new();
    waits
        .into_iter()
        .filter(|wait| told.insert(wait.subject.clone()))
        .collect()
}
