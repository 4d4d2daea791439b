//! The rollout itself: what only the succession of looks tells, and what follows from each.

mod canary;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{
    Candidate, Do, Failure, Kind, Look, MARGIN, NodeSeen, PodRef, Seen, Settings,
    schedule::{self, OPERATOR, shown},
    track::{CRASHES, PULLS, Track, Verdict},
};
use crate::core::{
    facts::Ready,
    finding::Subject,
    gate::{self, Waiting, probe::ProbeSeen},
};

use canary::Canary;

/// A rollout. Feed it one look after the other; it remembers what only their succession tells.
///
/// Order: the operator; the canaries, one after the other; then waves that slide, so that a node begins when another is
/// done; at last the nodes that were broken before, for which nobody waits. It never names a pod while the operator is
/// not up, while the platform works on nodes, while a new agent looks bad, or after it has failed.
pub struct Rollout {
    settings: Settings,
    broken: BTreeSet<String>,
    /// Nodes that an earlier run has finished.
    finished: BTreeSet<String>,
    looked: bool,
    /// Whether anything had to be replaced when it began.
    rolls: bool,
    tracks: BTreeMap<String, Track>,
    /// The templates' generations at the first look at each.
    templates: BTreeMap<String, String>,
    /// Pools of mixed versions at the first look.
    mixed: BTreeSet<String>,
    operator: Operator,
    canary: Option<Canary>,
    /// Canaries that have held, of this run.
    passed: BTreeSet<String>,
    /// How many have held in each pool, of all runs.
    passed_in: BTreeMap<String, usize>,
    /// Canaries that could not be: they went away before their turn.
    skipped: BTreeSet<String>,
    canaries_over: bool,
    /// Nodes whose pods were named for deletion.
    touched: BTreeSet<String>,
    waited: BTreeMap<Subject, Duration>,
    /// Time that no limit counts: pauses, and looks that could not see.
    idle: Duration,
    last: Duration,
    paused: Option<Duration>,
    blind: Option<Duration>,
    too_many_lost: Option<Duration>,
    /// Since when all but nodes that joined are done.
    closing: Option<Duration>,
    held: bool,
    before: Option<Look>,
    failed: Option<Box<Failure>>,
}

/// What is remembered of the operator.
#[derive(Debug, Default)]
struct Operator {
    since: Option<Duration>,
    pulls: Option<Duration>,
    /// One of its pods was named for deletion.
    restarted: bool,
    /// It is as it should be, in this look.
    up: bool,
}

/// What this look has to tell besides what follows from it.
#[derive(Default)]
struct Told {
    waits: Vec<(Subject, String)>,
    probe_on: Vec<String>,
    note: String,
}

impl Rollout {
    /// A rollout that has not looked yet. Nothing is asked of nodes that were `broken_before` (the gate's baseline);
    /// `done` are the nodes that an earlier run of the same change has finished ([`Look::done`], from its journal): how
    /// each of them is follows from the cluster, and its pool needs no other canary.
    pub fn new(settings: Settings, broken_before: &[String], done: &BTreeSet<String>) -> Self {
        Rollout {
            settings,
            broken: broken_before.iter().cloned().collect(),
            finished: done.clone(),
            looked: false,
            rolls: false,
            tracks: BTreeMap::new(),
            templates: BTreeMap::new(),
            mixed: BTreeSet::new(),
            operator: Operator::default(),
            canary: None,
            passed: BTreeSet::new(),
            passed_in: BTreeMap::new(),
            skipped: BTreeSet::new(),
            canaries_over: false,
            touched: BTreeSet::new(),
            waited: BTreeMap::new(),
            idle: Duration::ZERO,
            last: Duration::ZERO,
            paused: None,
            blind: None,
            too_many_lost: None,
            closing: None,
            held: false,
            before: None,
            failed: None,
        }
    }

    /// From now on nothing more is deleted: the user wants to stop. A look that is [`Look::at_rest`] is where.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Looks at the cluster, `elapsed` after the rollout's beginning. `probes` are the probe pods that are there now.
    pub fn look(&mut self, seen: &Seen, probes: &[ProbeSeen], elapsed: Duration) -> Look {
        if !seen.unread.is_empty() {
            return self.blind(&format!("could not be read: {}", seen.unread.join(", ")), elapsed);
        }
        self.blind = None;
        self.begin(seen);
        let pause = self.pause(seen);
        let now = self.clock(elapsed, pause.is_some());
        let mut told = Told::default();
        let mut failure = self.edited(seen);
        failure = failure.or(self.look_at_operator(seen, now, &mut told));
        let bad = self.look_at_nodes(seen, now);
        failure = failure.or(bad).or(self.look_at_losses(seen, now));
        let mut next = match (&self.failed, failure) {
            (Some(failed), _) => Do::Failed(failed.clone()),
            (None, Some(failure)) => self.fail(failure, seen, elapsed),
            (None, None) => {
                let troubled = self.nodes(seen).any(|(n, t)| t.troubles(n, self.rolls));
                let quiet = pause.is_none() && !troubled && self.too_many_lost.is_none();
                let may = quiet && self.operator.up && !self.held;
                self.next(seen, probes, now, may, &mut told)
                    .unwrap_or_else(|failure| self.fail(failure, seen, elapsed))
            }
        };
        if next == Do::Wait {
            next = self.overdue(seen, pause.as_deref(), now, elapsed).unwrap_or(next);
        }
        if let Some(why) = &pause {
            told.waits
                .insert(0, (Subject::cluster(), format!("paused: {why}")));
        }
        self.tell(seen, next, told, elapsed)
    }

    /// A look that could not see, for this reason: nothing follows from it, and no limit goes on but that of pauses.
    pub fn blind(&mut self, why: &str, elapsed: Duration) -> Look {
        self.clock(elapsed, true);
        let since = *self.blind.get_or_insert(elapsed);
        let mut look = self.before.clone().unwrap_or_else(|| Look {
            next: Do::Wait,
            phases: vec![],
            waiting: vec![],
            probe_on: vec![],
            done: self.finished.iter().cloned().collect(),
            apart: vec![],
            at_rest: true,
            elapsed,
        });
        look.elapsed = elapsed;
        look.probe_on.clear();
        look.waiting.retain(|w| w.subject != Subject::cluster());
        look.waiting.insert(
            0,
            Waiting {
                subject: Subject::cluster(),
                why: why.into(),
                since,
            },
        );
        look.next = match &self.failed {
            Some(failed) => Do::Failed(failed.clone()),
            None if elapsed.saturating_sub(since) >= self.settings.pause_limit => Do::Paused(why.into()),
            None => Do::Wait,
        };
        look
    }

    fn max_parallel(&self) -> usize {
        self.settings.max_parallel.max(1)
    }

    /// The time that limits count.
    fn clock(&mut self, elapsed: Duration, idle: bool) -> Duration {
        let gap = elapsed.saturating_sub(self.last);
        self.last = elapsed;
        if idle {
            self.idle = self.idle.saturating_add(gap);
        }
        elapsed.saturating_sub(self.idle)
    }

    /// Keeps what the first look shows, and forgets nodes that are gone.
    fn begin(&mut self, seen: &Seen) {
        let first = !self.looked;
        if first {
            self.looked = true;
            self.rolls = !self.finished.is_empty() || seen.nodes.iter().any(NodeSeen::outdated);
            self.mixed = seen.mixed_pools.clone();
            for node in seen.nodes.iter().filter(|n| self.finished.contains(&n.name)) {
                *self.passed_in.entry(node.pool.clone()).or_default() += 1;
            }
        }
        let there: BTreeSet<&str> = seen.nodes.iter().map(|n| n.name.as_str()).collect();
        self.tracks.retain(|name, _| there.contains(name.as_str()));
        for node in &seen.nodes {
            let broken = self.broken.contains(&node.name);
            self.tracks
                .entry(node.name.clone())
                .or_insert_with(|| Track::new(node, first, broken, self.rolls));
        }
    }

    /// Each node with its memory.
    fn nodes<'m, 's>(&'m self, seen: &'s Seen) -> impl Iterator<Item = (&'s NodeSeen, &'m Track)> {
        seen.nodes
            .iter()
            .filter_map(|node| Some((node, self.tracks.get(&node.name)?)))
    }

    /// What speaks for touching nothing: repairs and upgrades, and pools that became mixed meanwhile.
    fn pause(&self, seen: &Seen) -> Option<String> {
        let mut mixed = seen.mixed_pools.difference(&self.mixed);
        let upgraded = || {
            let pool = mixed.next()?;
            Some(format!(
                "node pool {pool} has mixed kubelet versions since the rollout began"
            ))
        };
        seen.pause.clone().or_else(upgraded)
    }

    /// A template that moves is somebody else's doing.
    fn edited(&mut self, seen: &Seen) -> Option<Failed> {
        let mut because = vec![];
        for (set, generation) in &seen.templates {
            let before = self
                .templates
                .entry(set.clone())
                .or_insert_with(|| generation.clone());
            if before != generation {
                let (namespace, name) = set.split_once('/').unwrap_or(("", set));
                because.push((
                    Subject::namespaced("DaemonSet", namespace, name),
                    format!("its template is of generation {generation}, {before} when the rollout began"),
                ));
            }
        }
        Failed::of(Kind::Edited, because)
    }

    /// The operator's Deployments, and the DaemonSets' controller.
    fn look_at_operator(&mut self, seen: &Seen, now: Duration, told: &mut Told) -> Option<Failed> {
        let lacking = seen
            .operators
            .iter()
            .filter_map(|o| Some((o.subject(), o.lacks.clone()?)));
        let mut lacks: Vec<(Subject, String)> = seen.unsettled.clone();
        lacks.extend(lacking);
        if self.operator.restarted {
            let starting = seen.operators.iter().filter(|o| !o.whole && o.lacks.is_none());
            lacks.extend(starting.map(|o| (o.subject(), "a replica is starting".to_string())));
        }
        let not_up = |o: &&super::OperatorSeen| o.lacks.is_some();
        let crashing = seen
            .operators
            .iter()
            .filter(not_up)
            .any(|o| o.crashes.is_some_and(|n| n >= CRASHES));
        let pulls = seen.operators.iter().filter(not_up).any(|o| o.pulls);
        self.operator.pulls = pulls.then(|| self.operator.pulls.unwrap_or(now));
        self.operator.since = (!lacks.is_empty()).then(|| self.operator.since.unwrap_or(now));
        self.operator.up = lacks.is_empty();
        let long =
            |since: Option<Duration>, limit| since.is_some_and(|since| now.saturating_sub(since) >= limit);
        let over = crashing
            || long(self.operator.pulls, PULLS)
            || long(self.operator.since, OPERATOR.saturating_add(MARGIN));
        told.waits.extend(lacks.iter().cloned());
        over.then(|| Failed::of(Kind::Operator, lacks)).flatten()
    }

    /// Takes in each node, and gathers those whose new agent is bad.
    fn look_at_nodes(&mut self, seen: &Seen, now: Duration) -> Option<Failed> {
        let mut because = vec![];
        let mut kind = Kind::Node;
        for node in &seen.nodes {
            let canary = self.canary.as_ref().is_some_and(|c| c.name == node.name);
            let Some(track) = self.tracks.get_mut(&node.name) else {
                continue;
            };
            if let Verdict::Bad(why) = track.look(node, &self.settings, canary, self.rolls, now) {
                because.push((Subject::node(&node.name), why));
                kind = if canary { Kind::Canary } else { kind };
            }
        }
        Failed::of(kind, because)
    }

    /// Machines go away one at a time; more is a network that cut its nodes off.
    fn look_at_losses(&mut self, seen: &Seen, now: Duration) -> Option<Failed> {
        let asked = || self.nodes(seen).filter(|(_, t)| !t.broken && !t.joined);
        let lost: Vec<&str> = asked()
            .filter(|(n, _)| n.ready == Ready::Lost)
            .map(|(n, _)| n.name.as_str())
            .collect();
        let stuck = asked().filter(|(_, t)| t.stuck).count();
        let left = asked().any(|(n, t)| t.has_its_turn(n));
        // Where nothing was replaced, nothing was cut off.
        let many = self.rolls && gate::too_many(lost.len(), asked().count());
        let because: Vec<(Subject, String)> = lost
            .iter()
            .map(|n| {
                (
                    Subject::node(n),
                    "its kubelet has not been heard of (Ready=Unknown)".into(),
                )
            })
            .collect();
        self.too_many_lost = many.then(|| self.too_many_lost.unwrap_or(now));
        let long = self
            .too_many_lost
            .is_some_and(|since| now.saturating_sub(since) >= self.settings.patience);
        // Nodes that were lost in our hands keep their places: with none left the others could never follow.
        let no_place = stuck >= self.max_parallel() && left;
        (long || no_place)
            .then(|| Failed::of(Kind::Lost, because))
            .flatten()
    }

    fn fail(&mut self, failed: Failed, seen: &Seen, elapsed: Duration) -> Do {
        let waits = failed
            .because
            .into_iter()
            .map(|(subject, why)| Waiting {
                since: *self.waited.get(&subject).unwrap_or(&elapsed),
                subject,
                why,
            })
            .collect();
        let failure = Box::new(Failure {
            kind: failed.kind,
            because: waits,
            replaced: self.touched.len(),
            nodes: seen.nodes.len(),
            after: elapsed,
        });
        self.failed = Some(failure.clone());
        Do::Failed(failure)
    }

    /// What follows from a look with nothing bad in it. `may` says whether pods may be named at all.
    fn next(
        &mut self,
        seen: &Seen,
        probes: &[ProbeSeen],
        now: Duration,
        may: bool,
        told: &mut Told,
    ) -> Result<Do, Failed> {
        // While they wait for the operator, canaries are not chosen: by then another node may be fitter.
        if !self.operator.up {
            return Ok(Do::Wait);
        }
        if let Some(pod) = seen.operators.iter().find_map(|o| o.old.first()) {
            let whole = seen.operators.iter().all(|o| o.whole);
            if !(may && whole) {
                return Ok(Do::Wait);
            }
            self.operator.restarted = true;
            return Ok(Do::Replace(vec![pod.clone()]));
        }
        let again = if may { self.take_again(seen, now) } else { vec![] };
        if !again.is_empty() {
            return Ok(Do::Replace(again));
        }
        if !self.canaries_over
            && let Some(next) = self.prove(seen, probes, now, may, told)?
        {
            return Ok(next);
        }
        let left = self.nodes(seen).any(|(n, t)| t.has_its_turn(n));
        if self.settings.pause && !self.passed.is_empty() && left {
            return Ok(Do::AtCanary);
        }
        let taken = if may { self.take_wave(seen, now) } else { vec![] };
        if !taken.is_empty() {
            return Ok(Do::Replace(taken));
        }
        Ok(self.end(seen, now, may))
    }

    /// Pods of nodes in our hands that are still there: their deletion did not reach the server, or did not last.
    fn take_again(&mut self, seen: &Seen, now: Duration) -> Vec<PodRef> {
        let mut named = vec![];
        for node in seen.nodes.iter().filter(|n| n.outdated()) {
            let track = self.tracks.get_mut(&node.name);
            if let Some(track) = track.filter(|t| t.taken.is_some()) {
                named.extend(track.take(node, now));
            }
        }
        named
    }

    /// How many places are taken.
    fn places(&self, seen: &Seen) -> usize {
        self.nodes(seen).filter(|(n, t)| t.away(n, self.rolls)).count()
    }

    fn candidates(&self, seen: &Seen) -> Vec<Candidate> {
        let out = |node: &NodeSeen, track: &Track| {
            let out = track.broken || track.apart.is_some() || track.joined || !node.reachable();
            out.then(String::new)
        };
        self.nodes(seen).map(|(n, t)| n.candidate(out(n, t))).collect()
    }

    /// The canaries that are still to come.
    fn to_come(&self, seen: &Seen) -> Vec<String> {
        if self.canaries_over {
            return vec![];
        }
        let mut not: BTreeSet<String> = self.passed.union(&self.skipped).cloned().collect();
        not.extend(self.finished.iter().cloned());
        let mut passed = self.passed_in.clone();
        if let Some(canary) = &self.canary {
            not.insert(canary.name.clone());
            *passed.entry(canary.pool.clone()).or_default() += 1;
        }
        schedule::canaries(&self.candidates(seen), self.settings.canaries, &passed, &not)
    }

    /// The canaries, one after the other; nothing once all have held.
    fn prove(
        &mut self,
        seen: &Seen,
        probes: &[ProbeSeen],
        now: Duration,
        may: bool,
        told: &mut Told,
    ) -> Result<Option<Do>, Failed> {
        loop {
            let Some(name) = self.canary.as_ref().map(|c| c.name.clone()) else {
                let Some(name) = self.to_come(seen).into_iter().next() else {
                    self.canaries_over = true;
                    return Ok(None);
                };
                let pool = seen.node(&name).map(|n| n.pool.clone()).unwrap_or_default();
                self.canary = Some(Canary::new(name, pool));
                continue;
            };
            let (Some(node), Some(track)) = (seen.node(&name), self.tracks.get(&name)) else {
                // It was taken away: another node of its pool goes first.
                self.canary = None;
                continue;
            };
            if node.outdated() && track.taken.is_none() {
                // Its pods are on their way out already: an earlier run's doing, or somebody's.
                if track.apart.is_none() && node.reachable() && node.to_replace().is_empty() {
                    return Ok(Some(Do::Wait));
                }
                if !track.has_its_turn(node) {
                    self.canary = None;
                    self.skipped.insert(name);
                    continue;
                }
                let cost = usize::from(!track.away(node, self.rolls));
                if !may || self.places(seen) + cost > self.max_parallel() {
                    let why = "it goes first, once nothing else is down";
                    told.waits.push((Subject::node(&name), why.into()));
                    return Ok(Some(Do::Wait));
                }
                return Ok(Some(Do::Replace(self.take(node, now))));
            }
            let Some(canary) = &mut self.canary else { continue };
            if !canary.prove(node, &self.settings, probes, now, told)? {
                return Ok(Some(Do::Wait));
            }
            *self.passed_in.entry(node.pool.clone()).or_default() += 1;
            self.passed.insert(name);
            self.canary = None;
        }
    }

    fn take(&mut self, node: &NodeSeen, now: Duration) -> Vec<PodRef> {
        let Some(track) = self.tracks.get_mut(&node.name) else {
            return vec![];
        };
        self.touched.insert(node.name.clone());
        track.take(node, now)
    }

    /// As many nodes as there are places: first those whose agent is down already, then pool after pool by name.
    fn take_wave(&mut self, seen: &Seen, now: Duration) -> Vec<PodRef> {
        let mut turn: Vec<(&NodeSeen, usize)> = self
            .nodes(seen)
            .filter(|(n, t)| t.has_its_turn(n))
            .map(|(n, t)| (n, usize::from(!t.away(n, self.rolls))))
            .collect();
        turn.sort_by_key(|(n, _)| (n.up(), &n.pool, &n.name));
        let mut places = self.places(seen);
        let mut named = vec![];
        for (node, cost) in turn {
            if places + cost > self.max_parallel() {
                continue;
            }
            places += cost;
            named.extend(self.take(node, now));
        }
        named
    }

    /// Nobody is left whose turn could come now: waits for those on their way, then sees to those that were told
    /// apart, then to those that joined.
    fn end(&mut self, seen: &Seen, now: Duration, may: bool) -> Do {
        let done = |n: &NodeSeen, t: &Track| t.broken || t.apart.is_some() || t.stuck || t.joined || n.good();
        if !self.nodes(seen).all(|(n, t)| done(n, t)) {
            self.closing = None;
            return Do::Wait;
        }
        // Their pods must not be left to the chart's own strategy, which asks nobody. Those that are down already cost
        // nothing; the others take places like anybody.
        let last: Vec<&NodeSeen> = self
            .nodes(seen)
            .filter(|(n, t)| t.taken.is_none() && !n.to_replace().is_empty())
            .map(|(n, _)| n)
            .collect();
        let (mut places, mut named, mut nodes) = (self.places(seen), vec![], 0);
        for node in last {
            let cost = usize::from(node.up());
            let room = places + cost <= self.max_parallel() && nodes < self.max_parallel();
            if may && room {
                places += cost;
                nodes += 1;
                named.extend(self.take(node, now));
            } else if !may {
                return Do::Wait;
            }
        }
        if !named.is_empty() {
            return Do::Replace(named);
        }
        // One of them that was up may come back and make place for the next.
        let coming = |n: &NodeSeen, t: &Track| {
            let late = t
                .coming
                .is_none_or(|since| now.saturating_sub(since) >= self.settings.budget.saturating_add(MARGIN));
            t.broken && t.away(n, self.rolls) && !late
        };
        let joining = |n: &NodeSeen, t: &Track| t.joined && t.apart.is_none() && !t.broken && !n.good();
        let since = *self.closing.get_or_insert(now);
        let late = now.saturating_sub(since) >= self.settings.budget.saturating_add(MARGIN);
        let waits = self
            .nodes(seen)
            .any(|(n, t)| coming(n, t) || (!late && joining(n, t)));
        if waits { Do::Wait } else { Do::Done }
    }

    /// A wait that has gone on for too long.
    fn overdue(&mut self, seen: &Seen, pause: Option<&str>, now: Duration, elapsed: Duration) -> Option<Do> {
        self.paused = pause.is_some().then(|| self.paused.unwrap_or(elapsed));
        if let (Some(since), Some(why)) = (self.paused, pause) {
            let long = elapsed.saturating_sub(since) >= self.settings.pause_limit;
            return long.then(|| Do::Paused(why.into()));
        }
        let limit = self.settings.limit.filter(|limit| now >= *limit)?;
        let missing = self.nodes(seen).filter(|(n, t)| !t.broken && !n.good());
        let mut because: Vec<(Subject, String)> = missing
            .map(|(n, _)| (Subject::node(&n.name), n.lacks()))
            .collect();
        if because.is_empty() {
            because.push((Subject::cluster(), format!("the limit was {}", shown(limit))));
        }
        let failed = Failed {
            kind: Kind::TimedOut,
            because,
        };
        Some(self.fail(failed, seen, elapsed))
    }
}

/// A failure in the making.
struct Failed {
    kind: Kind,
    because: Vec<(Subject, String)>,
}

impl Failed {
    /// Nothing where there is no reason.
    fn of(kind: Kind, because: Vec<(Subject, String)>) -> Option<Failed> {
        (!because.is_empty()).then_some(Failed { kind, because })
    }
}
