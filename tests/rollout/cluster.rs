//! A cluster that is played: nodes with an agent and an envoy each, under OnDelete.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kubectl_byocni::core::{
    facts::{AgentState, Ready},
    gate::probe::ProbeSeen,
    rollout::{Do, Look, NodeSeen, OperatorSeen, PodRef, PodSeen, Rollout, Seen, Settings},
};

/// The seconds between two looks.
pub const STEP: u64 = 2;

/// What a node's new agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum New {
    /// Ready after so many seconds.
    Good(u64),
    /// Ends at once, and is started again every 10 seconds.
    Crashes,
    /// Its image cannot be pulled.
    Unpullable,
    /// Runs and is never Ready.
    Hangs,
}

#[derive(Debug, Clone)]
pub struct Pod {
    pub uid: u64,
    pub new: bool,
    made: u64,
    /// When it is gone, once its deletion was asked for.
    gone: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub pool: String,
    pub ready: Ready,
    pub new: New,
    /// Its old agent is down.
    pub ailing: bool,
    /// Lost until then.
    pub lost: Option<u64>,
    pub pods: [Pod; 2],
    made: u64,
    /// We took its agent down, and it was not well since.
    pub ours: bool,
}

const SETS: [&str; 2] = ["cilium", "cilium-envoy"];

pub struct Cluster {
    pub nodes: BTreeMap<String, Node>,
    pub now: u64,
    uids: u64,
    pub template: u64,
    pub operator_lacks: Option<String>,
    pub operator_crashes: Option<i64>,
    /// The operator's pods that must be restarted.
    pub operator_old: Vec<PodRef>,
    /// When the operator's restarted pod is there.
    operator_whole: u64,
    pub pause: Option<String>,
    /// Every pod that was deleted at our wish: node and DaemonSet.
    pub deleted: Vec<(String, &'static str)>,
    /// Nodes in the order in which they were touched.
    pub order: Vec<String>,
    /// The most nodes at once that we had taken down.
    pub most: usize,
    pub probes: Vec<ProbeSeen>,
    /// Whether probes get addresses.
    pub addresses: bool,
}

impl Cluster {
    pub fn new() -> Self {
        Cluster {
            nodes: BTreeMap::new(),
            now: 0,
            uids: 0,
            template: 2,
            operator_lacks: None,
            operator_crashes: None,
            operator_old: vec![],
            operator_whole: 0,
            pause: None,
            deleted: vec![],
            order: vec![],
            most: 0,
            probes: vec![],
            addresses: true,
        }
    }

    /// So many nodes of one pool: `pool-0`, `pool-1`, …
    pub fn with(mut self, pool: &str, nodes: usize) -> Self {
        for n in 0..nodes {
            self.add(&format!("{pool}-{n}"), pool, false);
        }
        self
    }

    pub fn add(&mut self, name: &str, pool: &str, new: bool) {
        let pods = [self.pod(new), self.pod(new)];
        let node = Node {
            pool: pool.into(),
            ready: Ready::Yes,
            new: New::Good(10),
            ailing: false,
            lost: None,
            pods,
            made: self.now,
            ours: false,
        };
        self.nodes.insert(name.into(), node);
    }

    fn pod(&mut self, new: bool) -> Pod {
        self.uids += 1;
        Pod {
            uid: self.uids,
            new,
            made: self.now,
            gone: None,
        }
    }

    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).expect("a node")
    }

    pub fn all_new(&self) -> bool {
        self.nodes.values().all(|n| n.pods.iter().all(|p| p.new))
    }

    /// Somebody else deletes a node's agent.
    pub fn foreign(&mut self, name: &str) {
        let gone = self.now + 2;
        if let Some(node) = self.nodes.get_mut(name) {
            node.pods[0].gone.get_or_insert(gone);
        }
    }

    pub fn delete(&mut self, pod: &PodRef) {
        if let Some(at) = self.operator_old.iter().position(|p| p == pod) {
            self.operator_old.remove(at);
            self.operator_whole = self.now + 8;
            self.order.push("operator".into());
            return;
        }
        let gone = self.now + 3;
        let Some(node) = self.nodes.get_mut(&pod.node) else {
            return;
        };
        let up = node.up(self.now);
        for (set, place) in SETS.iter().zip(&mut node.pods) {
            if place.uid.to_string() == pod.uid && place.gone.is_none() {
                assert!(!place.new, "{} is new already", pod.name);
                place.gone = Some(gone);
                node.ours |= up;
                self.deleted.push((pod.node.clone(), set));
            }
        }
        if self.order.last() != Some(&pod.node) {
            self.order.push(pod.node.clone());
        }
    }

    /// Two seconds pass.
    pub fn step(&mut self) {
        self.now += STEP;
        let mut uids = self.uids;
        for node in self.nodes.values_mut() {
            if node.lost.is_some_and(|until| until <= self.now) {
                (node.lost, node.ready) = (None, Ready::Yes);
            }
            for pod in &mut node.pods {
                let gone = node.lost.is_none() && pod.gone.is_some_and(|at| at <= self.now);
                if gone {
                    uids += 1;
                    *pod = Pod {
                        uid: uids,
                        new: true,
                        made: self.now,
                        gone: None,
                    };
                }
            }
            node.ours &= !node.up(self.now);
        }
        self.uids = uids;
    }

    pub fn seen(&self) -> Seen {
        let nodes = self.nodes.iter().map(|(name, node)| NodeSeen {
            name: name.clone(),
            pool: node.pool.clone(),
            ready: if node.lost.is_some() {
                Ready::Lost
            } else {
                node.ready
            },
            young: self.now - node.made < 300,
            schedulable: true,
            dns: false,
            pods: node.seen(name, self.now),
        });
        Seen {
            nodes: nodes.collect(),
            operators: vec![OperatorSeen {
                namespace: "kube-system".into(),
                name: "cilium-operator".into(),
                lacks: self.operator_lacks.clone(),
                crashes: self.operator_crashes,
                pulls: false,
                old: self.operator_old.clone(),
                whole: self.operator_whole <= self.now,
            }],
            templates: BTreeMap::from([("kube-system/cilium".to_string(), self.template.to_string())]),
            pause: self.pause.clone(),
            ..Seen::default()
        }
    }

    /// Looks, does what the look says, and lets two seconds pass.
    pub fn turn(&mut self, rollout: &mut Rollout) -> Look {
        for node in self.nodes.values_mut() {
            node.ours &= !node.up(self.now);
        }
        let look = rollout.look(&self.seen(), &self.probes, Duration::from_secs(self.now));
        if let Do::Replace(pods) = &look.next {
            for pod in pods {
                self.delete(pod);
            }
        }
        let ours = self.nodes.values().filter(|n| n.ours).count();
        self.most = self.most.max(ours);
        for node in &look.probe_on {
            let good = self.addresses;
            self.probes.push(ProbeSeen {
                name: format!("probe-{node}"),
                node: node.clone(),
                ip: good.then(|| "10.1.0.7".parse().expect("an address")),
                in_pool: good,
                refused: false,
                spent: false,
                problem: (!good).then(|| "a new pod there has no address yet".into()),
            });
        }
        self.step();
        look
    }

    /// Turns until the rollout ends, or until this says so.
    pub fn until(
        &mut self,
        rollout: &mut Rollout,
        mut stop: impl FnMut(&mut Cluster, &Look) -> bool,
    ) -> Look {
        for _ in 0..20_000 {
            let look = self.turn(rollout);
            let over = !matches!(look.next, Do::Wait | Do::Replace(_));
            if over || stop(self, &look) {
                return look;
            }
        }
        panic!("no end after {} seconds", self.now);
    }

    /// Turns until the rollout ends.
    pub fn end(&mut self, rollout: &mut Rollout) -> Look {
        self.until(rollout, |_, _| false)
    }

    /// The nodes that lost a pod at our wish.
    pub fn touched(&self) -> BTreeSet<&str> {
        self.deleted.iter().map(|(node, _)| node.as_str()).collect()
    }
}

impl Node {
    pub fn up(&self, now: u64) -> bool {
        let pods = self.seen("", now);
        self.lost.is_none() && self.ready == Ready::Yes && pods.iter().all(PodSeen::up)
    }

    fn seen(&self, name: &str, now: u64) -> Vec<PodSeen> {
        let of = SETS.iter().zip(&self.pods).map(|(set, pod)| PodSeen {
            daemon_set: (*set).into(),
            namespace: "kube-system".into(),
            name: format!("{set}-{name}"),
            uid: pod.uid.to_string(),
            outdated: !pod.new,
            terminating: pod.gone.is_some(),
            restarts: 0,
            state: self.state(set, pod, now),
        });
        of.collect()
    }

    fn state(&self, set: &str, pod: &Pod, now: u64) -> AgentState {
        let waits = |why: &str| AgentState::Starting { waits: why.into() };
        let ready = AgentState::Ready { restarted: None };
        if self.lost.is_some() {
            return AgentState::NotReady {
                why: "its node is lost".into(),
            };
        }
        if pod.gone.is_some() {
            return waits("its pod is being replaced");
        }
        if !pod.new {
            return if self.ailing {
                waits("the old agent is down")
            } else {
                ready
            };
        }
        let age = now - pod.made;
        match self.new {
            _ if set != "cilium" => ready,
            New::Good(after) if age >= after => ready,
            New::Good(_) | New::Hangs => waits("container cilium-agent runs and is not Ready"),
            New::Crashes => AgentState::CrashLooping {
                container: "cilium-agent".into(),
                restarts: i64::try_from(age / 10).expect("a count"),
                last: "exit code 1 (Error)".into(),
            },
            New::Unpullable => AgentState::ImagePull {
                image: "quay.io/cilium/cilium:v1.20.0".into(),
                reason: "ImagePullBackOff".into(),
            },
        }
    }
}

/// A rollout's settings with short times.
pub fn settings(max_parallel: usize) -> Settings {
    Settings {
        max_parallel,
        soak: Duration::from_secs(20),
        ..Settings::new(1, Duration::from_secs(120))
    }
}

pub fn begin(settings: Settings) -> Rollout {
    Rollout::new(settings, &[], &BTreeSet::new())
}
