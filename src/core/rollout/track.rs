//! What is remembered of one node, and what follows from a look at it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{MARGIN, NodeSeen, PodRef, Settings};
use crate::core::facts::{AgentState, Ready};

/// How often a new agent must have been started again to be called bad.
pub(super) const CRASHES: i64 = 3;

/// How long a new agent's image must have been out of reach to be called bad: a registry that limits its rate asks for
/// less.
pub(super) const PULLS: Duration = Duration::from_secs(90);

/// How often other new pods of a node begin its wait anew: its own, and those that somebody deletes.
const REPLACED: usize = 4;

/// One node's memory.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// It was not there at the first look.
    pub joined: bool,
    /// It was broken before the change: nothing is asked of it.
    pub broken: bool,
    /// Its old agent was down, or the node not Ready, before we came to it: it takes nobody's place.
    pub ailing: bool,
    /// Its pods were named for deletion.
    pub taken: Option<Taken>,
    /// It was well with its new agent.
    pub was_good: bool,
    /// Since when its new agent is waited for.
    pub coming: Option<Duration>,
    /// Its kubelet was away at the last look at a new agent.
    pub cut_off: bool,
    /// The new pods that are waited for, and how often others came in their place.
    pub awaited: (BTreeSet<String>, usize),
    /// Since when a new pod's image cannot be pulled.
    pub pulls: Option<Duration>,
    /// Since when it is down with its old agent.
    pub down: Option<Duration>,
    /// Why it holds up nobody any more.
    pub apart: Option<String>,
    /// Lost in our hands: it keeps its place for ever, as we took its agent down.
    pub stuck: bool,
}

/// What was done to a node.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// It was down before.
    pub was_down: bool,
    /// The pod that was named, by DaemonSet: each is replaced once.
    pub uids: BTreeMap<String, String>,
}

/// What a look at one node has shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Fine,
    /// The new agent is bad, for this reason.
    Bad(String),
}

impl Track {
    /// The memory of a node that is seen for the first time, at the first look of all or later.
    pub(super) fn new(node: &NodeSeen, first: bool, broken: bool, rolls: bool) -> Self {
        let was_down = |p: &super::PodSeen| !p.up() && !p.terminating;
        let bad_and_not_ours = !rolls && !node.good();
        Track {
            joined: !first,
            broken,
            ailing: first && node.outdated() && (node.pods.iter().any(was_down) || node.ready != Ready::Yes),
            apart: (first && bad_and_not_ours && !broken)
                .then(|| format!("not well before either: {}", node.lacks())),
            ..Track::default()
        }
    }

    /// Takes in a look, at `now`. `canary` is the one that is being proven; `rolls` says whether anything had to be
    /// replaced at all, without which nothing that is bad is the change's doing.
    pub(super) fn look(
        &mut self,
        node: &NodeSeen,
        settings: &Settings,
        canary: bool,
        rolls: bool,
        now: Duration,
    ) -> Verdict {
        if self.broken {
            return Verdict::Fine;
        }
        if node.ready == Ready::Yes && node.up() {
            (self.ailing, self.apart, self.stuck, self.down) = (false, None, false, None);
        }
        if node.good() {
            (self.coming, self.pulls) = (None, None);
            self.was_good = true;
            return Verdict::Fine;
        }
        // Somebody may have replaced one pod of it and not the other.
        let half_new = node.pods.iter().any(|p| !p.outdated && !p.up());
        if node.outdated() && self.taken.is_none() && !half_new {
            (self.coming, self.pulls) = (None, None);
            self.old_one(node, settings, now);
            return Verdict::Fine;
        }
        self.new_one(node, settings, canary, rolls, now)
    }

    /// A node that has not had its turn: one that is down is waited for for a while, as it may be back.
    fn old_one(&mut self, node: &NodeSeen, settings: &Settings, now: Duration) {
        if node.ready == Ready::Yes && node.up() {
            return;
        }
        let since = *self.down.get_or_insert(now);
        if now.saturating_sub(since) < settings.patience {
            return;
        }
        // It can be replaced all the same where its kubelet is there to do it.
        self.ailing = true;
        if (!node.reachable() || node.to_replace().is_empty()) && self.apart.is_none() {
            self.apart = Some(node.lacks());
        }
    }

    /// A node whose new agent is on its way.
    fn new_one(
        &mut self,
        node: &NodeSeen,
        settings: &Settings,
        canary: bool,
        rolls: bool,
        now: Duration,
    ) -> Verdict {
        if self.begins_anew(node) {
            self.coming = Some(now);
        }
        let waited = now.saturating_sub(*self.coming.get_or_insert(now));
        let of_new = || node.pods.iter().filter(|p| !p.outdated);
        let pulls = of_new().any(|p| matches!(p.state, AgentState::ImagePull { .. }));
        self.pulls = pulls.then(|| self.pulls.unwrap_or(now));
        // Well once, or never touched: a node that goes away by itself is the machine's affair.
        if !canary && !node.reachable() && (self.was_good || self.taken.is_none()) {
            if waited >= settings.patience {
                self.apart.get_or_insert_with(|| node.lacks());
            }
            return Verdict::Fine;
        }
        let loops = |p: &&super::PodSeen| matches!(p.state, AgentState::CrashLooping { restarts, .. } if restarts >= CRASHES);
        let crashing = of_new().find(loops).and_then(super::PodSeen::lacks);
        let unpulled = self.pulls.is_some_and(|since| now.saturating_sub(since) >= PULLS);
        let late = waited >= settings.budget.saturating_add(MARGIN);
        let why = match crashing {
            Some(why) if node.ready != Ready::Lost => why,
            _ if (unpulled && node.ready != Ready::Lost) || late => node.lacks(),
            _ => return Verdict::Fine,
        };
        let was_down = self.taken.as_ref().is_some_and(|t| t.was_down);
        let ours = match &self.taken {
            Some(_) => !was_down,
            None => rolls && !self.ailing,
        };
        if canary || (ours && node.ready != Ready::Lost) {
            return Verdict::Bad(why);
        }
        if ours && node.ready == Ready::Lost {
            self.stuck = true;
        } else {
            self.apart.get_or_insert(why);
        }
        Verdict::Fine
    }

    /// Whether a new agent's time begins now: a kubelet that was away has started nothing meanwhile, and a pod that
    /// somebody else put in its place has all its start before it. One that never lasts is not waited for for ever.
    fn begins_anew(&mut self, node: &NodeSeen) -> bool {
        let back = std::mem::replace(&mut self.cut_off, node.ready == Ready::Lost) && !self.cut_off;
        let there = node.pods.iter().filter(|p| !p.outdated && !p.uid.is_empty());
        let there: BTreeSet<String> = there.map(|p| p.uid.clone()).collect();
        let (awaited, times) = &mut self.awaited;
        let other = there.iter().any(|uid| !awaited.contains(uid));
        if other {
            *times += 1;
            *awaited = there;
        }
        back || (other && *times <= REPLACED)
    }

    /// Whether its agent is away and takes one of the places: we took it down, or it went down by itself and nobody
    /// knows yet for how long.
    pub(super) fn away(&self, node: &NodeSeen, rolls: bool) -> bool {
        if self.broken {
            return self.taken.as_ref().is_some_and(|t| !t.was_down) && !node.up();
        }
        if node.good() || self.apart.is_some() {
            return false;
        }
        if self.taken.is_some() {
            return true;
        }
        if node.outdated() {
            let well = node.up() && node.reachable();
            return !(self.ailing || well);
        }
        rolls && !self.joined
    }

    /// Whether its new agent shows signs of being bad, and that would be the change's doing: time will tell, and until
    /// then no other is taken down.
    pub(super) fn troubles(&self, node: &NodeSeen, rolls: bool) -> bool {
        let ours = match &self.taken {
            Some(taken) => !taken.was_down,
            None => rolls && !self.ailing,
        };
        let bad = |p: &super::PodSeen| {
            let fails = matches!(
                p.state,
                AgentState::CrashLooping { .. } | AgentState::ImagePull { .. }
            );
            fails && !p.outdated
        };
        ours && !self.broken && self.apart.is_none() && node.pods.iter().any(bad)
    }

    /// Whether we took its agent down and it is not back: no point to stop at.
    pub(super) fn in_hand(&self, node: &NodeSeen) -> bool {
        let back = node.up() && node.ready == Ready::Yes;
        self.taken.is_some() && !self.broken && !self.stuck && self.apart.is_none() && !back
    }

    /// Whether its turn can come: it is outdated, was not touched, and its kubelet is there to make a new pod.
    pub(super) fn has_its_turn(&self, node: &NodeSeen) -> bool {
        let free = !self.broken && self.apart.is_none() && self.taken.is_none();
        free && node.reachable() && !node.to_replace().is_empty()
    }

    /// Names its pods for deletion: those that were not named yet, and those that were and are still there. A pod that
    /// came after one that was named is never named.
    pub(super) fn take(&mut self, node: &NodeSeen, now: Duration) -> Vec<PodRef> {
        let was_down = !(node.up() && node.reachable());
        let taken = self.taken.get_or_insert_with(|| Taken {
            was_down,
            uids: BTreeMap::new(),
        });
        self.coming.get_or_insert(now);
        let mut named = vec![];
        for pod in node
            .pods
            .iter()
            .filter(|p| p.outdated && !p.terminating && !p.uid.is_empty())
        {
            let uid = taken
                .uids
                .entry(format!("{}/{}", pod.namespace, pod.daemon_set))
                .or_insert_with(|| pod.uid.clone());
            if *uid == pod.uid {
                named.push(PodRef {
                    namespace: pod.namespace.clone(),
                    name: pod.name.clone(),
                    uid: pod.uid.clone(),
                    node: node.name.clone(),
                });
            }
        }
        named
    }
}
