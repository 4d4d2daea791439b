//! The gate over stories: each begins with a cluster that is well, and breaks one thing at a time. The numbers are
//! those of the acceptance scenarios.

#[path = "scenarios/harness.rs"]
#[expect(dead_code, reason = "the scenarios' own test uses the rest")]
mod harness;

use std::time::Duration;

use kubectl_byocni::core::{
    capture::{Capture, Pod, Source, State as Read, file},
    cni::{self, Cni},
    code::Change,
    facts::{Asked, Facts},
    finding::Subject,
    gate::{
        Expectation, Gate, Kind, Look, Reach, State, agents_ever_ran, baseline,
        probe::{self, ProbeSeen},
    },
};
use serde_json::{Value, json};

const SYSTEM_0: &str = "aks-system-31415926-vmss000000";
const SYSTEM_1: &str = "aks-system-31415926-vmss000001";
const USER_0: &str = "aks-user-27182818-vmss000000";
/// The agent's pod on [`USER_0`].
const AGENT: &str = "cilium-m4zrt";

/// A cluster that is changed as the story goes.
#[derive(Clone)]
struct Cluster(Vec<Value>);

impl Cluster {
    fn of(base: &str) -> Self {
        Cluster(harness::base(base))
    }

    fn matches(object: &Value, kind: &str, name: &str) -> bool {
        let own = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let named = match name.strip_suffix('*') {
            Some(beginning) => own.starts_with(beginning),
            None => own == name,
        };
        named && object.get("kind").and_then(Value::as_str) == Some(kind)
    }

    /// The same with a patch merged into each object of that kind and name.
    fn with(mut self, kind: &str, name: &str, patch: Value) -> Self {
        let mut touched = false;
        for object in self.0.iter_mut().filter(|o| Self::matches(o, kind, name)) {
            harness::merge(object, &patch);
            touched = true;
        }
        assert!(touched, "{kind}/{name} is not there");
        self
    }

    fn without(mut self, kind: &str, name: &str) -> Self {
        let before = self.0.len();
        self.0.retain(|o| !Self::matches(o, kind, name));
        assert!(self.0.len() < before, "{kind}/{name} is not there");
        self
    }

    /// The same with copies of an object, each changed by a patch.
    fn copied(mut self, kind: &str, name: &str, copies: impl IntoIterator<Item = Value>) -> Self {
        let model = self.0.iter().find(|o| Self::matches(o, kind, name)).cloned();
        let model = model.unwrap_or_else(|| panic!("{kind}/{name} is not there"));
        for patch in copies {
            let mut copy = model.clone();
            harness::merge(&mut copy, &patch);
            self.0.push(copy);
        }
        self
    }

    fn capture(&self) -> Capture {
        file::from_documents(self.0.clone(), &cni::resources()).expect("a capture")
    }

    /// The agent's container on the user node does this; the pod is not Ready.
    fn agent_does(self, state: Value, restarts: i64, last: Value) -> Self {
        let container = json!({"name": "cilium-agent", "ready": false, "restartCount": restarts, "state": state, "lastState": last});
        // A list is merged item by item: what was there goes first.
        let cleared = json!({"status": {"containerStatuses": null}});
        self.with("Pod", AGENT, cleared).with(
            "Pod",
            AGENT,
            json!({"status": {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [container]}}),
        )
    }

    /// Every agent and every node as on a cluster whose agents have not come up.
    fn no_network(self, container: Value) -> Self {
        let pod = json!({"status": {
            "phase": "Pending",
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [container],
        }});
        let node = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady",
            "message": "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"}]}});
        let cleared = json!({"status": {"initContainerStatuses": null, "containerStatuses": null}});
        let mut cluster = self;
        for agent in ["cilium-7k2pq", "cilium-b9xdn", AGENT] {
            cluster = cluster
                .with("Pod", agent, cleared.clone())
                .with("Pod", agent, pod.clone());
        }
        cluster
            .with("Node", "aks-*", node)
            .with(
                "DaemonSet",
                "cilium",
                json!({"status": {"numberReady": 0, "numberAvailable": 0}}),
            )
            .with("EndpointSlice", "kube-dns-*", json!({"endpoints": []}))
    }
}

fn pulling() -> Value {
    json!({"name": "cilium-agent", "ready": false, "restartCount": 0, "image": "", "imageID": "",
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}, "lastState": null})
}

fn crashing(restarts: i64) -> Value {
    json!({"name": "cilium-agent", "ready": false, "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}, "running": null},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T07:59:00Z"}}})
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pair(namespace: &str, name: &str) -> (String, String) {
    (namespace.into(), name.into())
}

fn known(id: &str) -> Option<&'static Cni> {
    cni::ALL.iter().copied().find(|c| c.id == id)
}

/// What an install of Cilium must bring; no probes, 30 s of settling, 10 min at most.
fn cilium() -> Expectation {
    Expectation {
        change: Change::Install,
        cni: known("cilium"),
        daemon_sets: vec![pair("kube-system", "cilium"), pair("kube-system", "cilium-envoy")],
        deployments: vec![pair("kube-system", "cilium-operator")],
        namespace: "kube-system".into(),
        pools: vec!["10.244.0.0/16".parse().expect("a network")],
        broken_before: vec![],
        errors_before: vec![],
        settle: at(30),
        limit: at(600),
        version: Some("1.20.0".into()),
        probe: false,
    }
}

fn calico() -> Expectation {
    Expectation {
        cni: known("calico"),
        daemon_sets: vec![],
        deployments: vec![pair("tigera-operator", "tigera-operator")],
        namespace: "tigera-operator".into(),
        version: None,
        ..cilium()
    }
}

fn look_at(gate: &mut Gate, capture: &Capture, probes: &[ProbeSeen], elapsed: u64) -> Look {
    let asked = Asked::default();
    let report = harness::report(capture, &asked);
    gate.look(&Facts::of(capture, &asked), &report, probes, at(elapsed))
}

fn look(gate: &mut Gate, cluster: &Cluster, elapsed: u64) -> Look {
    look_at(gate, &cluster.capture(), &[], elapsed)
}

/// One look at the start, where only what is waited for counts.
fn waits(expected: Expectation, cluster: &Cluster) -> Vec<String> {
    let look = look(&mut Gate::new(expected), cluster, 2);
    let lines = look.waiting.iter().map(|w| format!("{}: {}", w.subject, w.why));
    lines.collect()
}

/// What becomes of a cluster that stays as it is, looked at every 2 s.
fn outcome(expected: Expectation, cluster: &Cluster) -> Look {
    let (mut gate, capture) = (Gate::new(expected), cluster.capture());
    (0..2000)
        .map(|n| look_at(&mut gate, &capture, &[], n * 2))
        .find(|look| matches!(look.state, State::Passed | State::Failed(_)))
        .expect("a gate ends")
}

fn failure(look: &Look) -> &kubectl_byocni::core::gate::Failure {
    match &look.state {
        State::Failed(failure) => failure,
        other => panic!("{other:?}: {:?}", look.waiting),
    }
}

#[track_caller]
fn passes(expected: Expectation, cluster: &Cluster) {
    let end = outcome(expected, cluster);
    assert_eq!(end.state, State::Passed, "{:?}", end.waiting);
    assert_eq!(end.elapsed, at(30), "settled at once");
}

#[track_caller]
fn waits_for(expected: Expectation, cluster: &Cluster, words: &str) {
    let told = waits(expected.clone(), cluster);
    assert!(
        told.iter().any(|line| line.contains(words)),
        "{words:?} in {told:#?}"
    );
    assert!(matches!(outcome(expected, cluster).state, State::Failed(_)));
}

#[test]
fn what_is_well_passes_once_it_has_held() {
    passes(cilium(), &Cluster::of("cilium-healthy"));
    passes(calico(), &Cluster::of("calico-healthy"));
    let flannel = Expectation {
        cni: known("flannel"),
        daemon_sets: vec![pair("kube-flannel", "kube-flannel-ds")],
        deployments: vec![],
        namespace: "kube-flannel".into(),
        version: None,
        ..cilium()
    };
    passes(flannel, &Cluster::of("flannel-healthy"));
    let mut gate = Gate::new(cilium());
    let first = look(&mut gate, &Cluster::of("cilium-healthy"), 0);
    assert_eq!(first.state, State::Settling { left: at(30) });
    let phases: Vec<String> = first
        .phases
        .iter()
        .map(|p| format!("{} {}/{} {}", p.name, p.done, p.total, p.complete))
        .collect();
    assert_eq!(
        phases,
        [
            "operator 1/1 true",
            "agents 3/3 true",
            "nodes 3/3 true",
            "dns 2/2 true",
            "settling 0/30 false"
        ]
    );
}

/// Healthy, and not as a change must leave it.
const WARNED: &[(&str, &str)] = &[(
    "tigera-status-degraded",
    "the operator says that something is missing",
)];

/// Whatever `status` calls healthy, with a CNI whose agents run, is good enough for the gate.
#[test]
fn what_is_healthy_passes() {
    let mut wrong = vec![];
    for scenario in harness::all() {
        let (capture, asked) = (scenario.capture(), scenario.asked());
        let report = harness::report(&capture, &asked);
        let facts = Facts::of(&capture, &asked);
        let starting = report
            .findings
            .iter()
            .any(|f| matches!(f.code.slug, "node-joining" | "rollout-incomplete"));
        let warned = WARNED.iter().any(|(name, _)| scenario.name == *name);
        let Some(main) = facts.detection.main.as_ref().filter(|m| m.workload.is_some()) else {
            continue;
        };
        if report.verdict.as_str() != "healthy" || report.incomplete() || starting || warned {
            continue;
        }
        let expected = Expectation {
            cni: Some(main.cni),
            daemon_sets: vec![],
            deployments: vec![],
            version: None,
            ..cilium()
        };
        let look = Gate::new(expected).look(&facts, &report, &[], at(0));
        if !matches!(look.state, State::Settling { .. }) {
            wrong.push(format!("{}: {:?}", scenario.name, look.waiting));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_condition_holds_the_gate_by_itself() {
    let well = || Cluster::of("cilium-healthy");
    let running = json!({"running": {"startedAt": "2026-11-10T09:01:10Z"}});
    waits_for(
        cilium(),
        &well().agent_does(running, 0, json!({})),
        "container cilium-agent runs and is not Ready",
    );
    waits_for(
        cilium(),
        &well().without("Pod", AGENT),
        "no agent: the DaemonSet controller made no pod for it",
    );
    let old = json!({"metadata": {"labels": {"pod-template-generation": "0"}}});
    waits_for(
        cilium(),
        &well().with("Pod", AGENT, old),
        "its agent is of the previous template",
    );
    let newer = Expectation {
        version: Some("1.20.1".into()),
        ..cilium()
    };
    waits_for(newer, &well(), "its agent runs 1.20.0, not yet 1.20.1");
    let unseen = json!({"metadata": {"generation": 2}});
    waits_for(
        cilium(),
        &well().with("DaemonSet", "cilium", unseen),
        "has not seen the newest template",
    );
    let early = json!({"status": {"numberAvailable": 2}});
    waits_for(
        cilium(),
        &well().with("DaemonSet", "cilium", early.clone()),
        "daemonset/cilium: 2 of 3",
    );
    waits_for(
        cilium(),
        &well().with("DaemonSet", "cilium-envoy", early),
        "daemonset/cilium-envoy: 2 of 3",
    );
    waits_for(
        cilium(),
        &well().without("DaemonSet", "cilium-envoy"),
        "daemonset/cilium-envoy: it is not there yet",
    );
    waits_for(
        cilium(),
        &well().without("Deployment", "cilium-operator"),
        "deployment/cilium-operator: it is not there",
    );
    let down = json!({"status": {"readyReplicas": 0, "availableReplicas": 0}});
    waits_for(
        cilium(),
        &well().with("Deployment", "cilium-operator", down),
        "deployment/cilium-operator: 0 of 2",
    );
    let blockless = json!({"spec": {"ipam": {"podCIDRs": null}}});
    waits_for(
        cilium(),
        &well().with("CiliumNode", USER_0, blockless),
        "no block of pod addresses",
    );
}

/// 49: the DaemonSet is green, and nobody answers DNS.
#[test]
fn scenario_49_without_an_answer_from_dns_it_does_not_pass() {
    let mute = Cluster::of("cilium-healthy").with("EndpointSlice", "kube-dns-*", json!({"endpoints": []}));
    waits_for(
        cilium(),
        &mute,
        "deployment/coredns: none of 2 DNS pods is a ready endpoint",
    );
    // Whatever else is an error: the gate asks for itself, and does not take an empty report for an answer.
    let (asked, capture) = (Asked::default(), mute.capture());
    let mut report = harness::report(&capture, &asked);
    report.findings.clear();
    let alone = Gate::new(cilium()).look(&Facts::of(&capture, &asked), &report, &[], at(2));
    assert_eq!(alone.state, State::Waiting);
    let waits: Vec<String> = alone
        .waiting
        .iter()
        .map(|w| format!("{}: {}", w.subject, w.why))
        .collect();
    assert_eq!(waits, ["service/kube-dns: it has no ready endpoint"]);
    let dns = alone.phases.iter().find(|p| p.name == "dns").expect("a phase");
    assert_eq!((dns.done, dns.total, dns.complete), (0, 2, false));
    // One endpoint of two answers.
    let endpoint = json!([{"addresses": ["10.244.0.33"], "conditions": {"ready": true}}]);
    let half =
        Cluster::of("cilium-healthy").with("EndpointSlice", "kube-dns-*", json!({"endpoints": endpoint}));
    passes(cilium(), &half);
    // What did not answer before either is not the change's doing.
    let asked = Asked::default();
    let capture = mute.capture();
    let before = baseline(&Facts::of(&capture, &asked), &harness::report(&capture, &asked));
    let expected = Expectation {
        errors_before: before.1,
        ..cilium()
    };
    passes(expected, &mute);
}

/// 48: calico-node is Ready, and its operator says otherwise.
#[test]
fn what_calicos_operator_says_counts() {
    let says = |name: &str, available: &str, progressing: &str, degraded: &str| {
        let conditions = json!([
            {"type": "Available", "status": available}, {"type": "Progressing", "status": progressing},
            {"type": "Degraded", "status": degraded, "message": "no room in the pool"}
        ]);
        Cluster::of("calico-healthy").with(
            "TigeraStatus",
            name,
            json!({"status": {"conditions": conditions}}),
        )
    };
    waits_for(
        calico(),
        &says("calico", "True", "False", "True"),
        "tigerastatus/calico: Degraded: no room in the pool",
    );
    waits_for(
        calico(),
        &says("ippools", "False", "False", "False"),
        "tigerastatus/ippools: not Available",
    );
    waits_for(
        calico(),
        &says("apiserver", "True", "True", "False"),
        "tigerastatus/apiserver: still Progressing",
    );
    let unsaid = Cluster::of("calico-healthy").without("TigeraStatus", "calico");
    waits_for(
        calico(),
        &unsaid,
        "tigerastatus/calico: the operator has not reported it yet",
    );
    // Without the aggregated API server there is no such part.
    passes(
        calico(),
        &Cluster::of("calico-healthy").without("TigeraStatus", "apiserver"),
    );
    let unmade = Cluster::of("calico-healthy").without("DaemonSet", "calico-node");
    waits_for(calico(), &unmade, "Calico has made no agents yet");
}

#[test]
fn a_pending_replica_beside_one_that_runs_is_normal() {
    let pod = json!({"spec": {"nodeName": null}, "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": []}});
    let pending = Cluster::of("cilium-healthy")
        .with("Pod", "cilium-operator-dfc74db69-b9xdn", pod)
        .with(
            "Deployment",
            "cilium-operator",
            json!({"status": {"readyReplicas": 1, "availableReplicas": 1}}),
        );
    passes(cilium(), &pending);
    // One that has a node and does not run is not.
    let starting = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [
        {"name": "cilium-operator", "ready": false, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
    let failing = Cluster::of("cilium-healthy")
        .with("Pod", "cilium-operator-dfc74db69-b9xdn", starting)
        .with(
            "Deployment",
            "cilium-operator",
            json!({"status": {"readyReplicas": 1, "availableReplicas": 1}}),
        );
    waits_for(
        cilium(),
        &failing,
        "deployment/cilium-operator: 1 of 2 replicas ready: image",
    );
}

#[test]
fn a_slow_agent_is_waited_for_and_settling_begins_when_it_is_up() {
    let well = Cluster::of("cilium-healthy");
    let starting = well
        .clone()
        .agent_does(json!({"waiting": {"reason": "PodInitializing"}}), 0, json!({}));
    let mut gate = Gate::new(cilium());
    for second in (0..300).step_by(2) {
        let look = look(&mut gate, &starting, second);
        assert_eq!(look.state, State::Waiting);
        assert_eq!(look.waiting[0].subject, Subject::node(USER_0));
        assert_eq!(look.waiting[0].since, at(0));
    }
    assert_eq!(
        look(&mut gate, &well, 300).state,
        State::Settling { left: at(30) }
    );
    assert_eq!(look(&mut gate, &well, 328).state, State::Settling { left: at(2) });
    assert_eq!(look(&mut gate, &well, 330).state, State::Passed);
}

#[test]
fn an_agent_that_restarts_while_settling_starts_it_over() {
    let well = Cluster::of("cilium-healthy");
    let running = |restarts: i64| json!({"status": {"containerStatuses": [{"name": "cilium-agent", "restartCount": restarts}]}});
    let mut gate = Gate::new(cilium());
    look(&mut gate, &well, 0);
    assert_eq!(look(&mut gate, &well, 20).state, State::Settling { left: at(10) });
    // Ready at both looks, restarted in between.
    let restarted = well.clone().with("Pod", AGENT, running(1));
    assert_eq!(
        look(&mut gate, &restarted, 22).state,
        State::Settling { left: at(30) }
    );
    assert_eq!(
        look(&mut gate, &restarted, 50).state,
        State::Settling { left: at(2) }
    );
    // Another pod in its place.
    let replaced = well.with("Pod", AGENT, json!({"metadata": {"name": "cilium-zzzzz"}}));
    assert_eq!(
        look(&mut gate, &replaced, 51).state,
        State::Settling { left: at(30) }
    );
    assert_eq!(look(&mut gate, &replaced, 81).state, State::Passed);
}

#[test]
fn settling_that_never_ends_is_over_with_the_limit() {
    let well = Cluster::of("cilium-healthy");
    let mut gate = Gate::new(cilium());
    let mut last = None;
    for n in 0..40 {
        let patch = json!({"status": {"containerStatuses": [{"name": "cilium-agent", "restartCount": n}]}});
        let look = look(&mut gate, &well.clone().with("Pod", AGENT, patch), n * 20);
        if matches!(look.state, State::Failed(_)) {
            last = Some(look);
            break;
        }
    }
    let last = last.expect("an end");
    assert_eq!(failure(&last).kind, Kind::Regressed);
    assert!(last.elapsed <= at(640), "{:?}", last.elapsed);
}

#[test]
fn what_comes_up_just_before_the_limit_may_settle() {
    let well = Cluster::of("cilium-healthy");
    let starting = well
        .clone()
        .agent_does(json!({"waiting": {"reason": "PodInitializing"}}), 0, json!({}));
    let mut gate = Gate::new(cilium());
    look(&mut gate, &starting, 596);
    look(&mut gate, &well, 598);
    assert!(matches!(
        look(&mut gate, &well, 600).state,
        State::Settling { .. }
    ));
    assert_eq!(look(&mut gate, &well, 628).state, State::Passed);
    // A moment later it is too late.
    let mut gate = Gate::new(cilium());
    look(&mut gate, &starting, 598);
    let end = look(&mut gate, &starting, 600);
    assert_eq!(failure(&end).kind, Kind::TimedOut);
}

#[test]
fn a_new_error_holds_the_gate_and_an_old_one_does_not() {
    let colliding = Cluster::of("cilium-healthy").with(
        "ServiceCIDR",
        "kubernetes",
        json!({"spec": {"cidrs": ["10.244.0.0/20"]}}),
    );
    let end = outcome(cilium(), &colliding);
    let failed = failure(&end);
    assert_eq!(failed.kind, Kind::Regressed, "all that the change brings is up");
    assert_eq!(failed.because[0].code.slug, "pod-cidr-overlaps-service-cidr");
    assert_eq!(failed.reach, Reach::Whole);
    assert!(
        failed.sentence().contains("10.244.0.0/20"),
        "{}",
        failed.sentence()
    );
    let (asked, capture) = (Asked::default(), colliding.capture());
    let (broken, errors) = baseline(&Facts::of(&capture, &asked), &harness::report(&capture, &asked));
    assert!(broken.is_empty());
    let before = Expectation {
        errors_before: errors,
        ..cilium()
    };
    passes(before, &colliding);
}

#[test]
fn an_error_that_the_network_did_not_cause_is_told_and_does_not_fail() {
    let node = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "PLEG is not healthy"}]}});
    let sick = Cluster::of("cilium-healthy").with("Node", USER_0, node);
    let end = outcome(cilium(), &sick);
    assert_eq!(end.state, State::Passed, "{:?}", end.waiting);
    let told: Vec<&str> = end.aside.iter().map(|f| f.code.slug).collect();
    assert_eq!(told, ["node-not-ready"]);
}

fn lost() -> Value {
    json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}]}})
}

#[test]
fn one_lost_machine_is_chance_and_more_are_not() {
    let well = Cluster::of("cilium-healthy");
    let one = well.clone().with("Node", USER_0, lost());
    assert_eq!(outcome(cilium(), &one).state, State::Passed);
    let two = one.with("Node", SYSTEM_1, lost());
    let end = outcome(cilium(), &two);
    assert!(
        waits(cilium(), &two)
            .iter()
            .any(|w| w.contains("has not been heard of"))
    );
    assert_eq!(failure(&end).reach, Reach::Whole);
    // Of nodes that were lost before nothing is asked, however many.
    let expected = Expectation {
        broken_before: vec![USER_0.into(), SYSTEM_1.into()],
        ..cilium()
    };
    assert_eq!(outcome(expected, &two).state, State::Passed);
}

#[test]
fn nothing_is_asked_of_a_node_that_was_broken_before() {
    let broken = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "PLEG is not healthy"}]}});
    let cluster = Cluster::of("cilium-healthy")
        .with("Node", USER_0, broken)
        .agent_does(json!({"waiting": {"reason": "ImagePullBackOff"}}), 0, json!({}));
    let cluster = cluster
        .with(
            "DaemonSet",
            "cilium",
            json!({"status": {"numberReady": 2, "numberAvailable": 2}}),
        )
        .with(
            "DaemonSet",
            "cilium-envoy",
            json!({"status": {"numberReady": 2, "numberAvailable": 2}}),
        );
    let (asked, capture) = (Asked::default(), cluster.capture());
    let (broken, _) = baseline(&Facts::of(&capture, &asked), &harness::report(&capture, &asked));
    assert_eq!(broken, [USER_0]);
    let expected = Expectation {
        broken_before: broken,
        ..cilium()
    };
    let end = outcome(expected, &cluster);
    assert_eq!(end.state, State::Passed, "{:?}", end.waiting);
    // A node that waits for a CNI is what an install is for.
    let fresh = Cluster::of("fresh-aks").capture();
    let (broken, errors) = baseline(&Facts::of(&fresh, &asked), &harness::report(&fresh, &asked));
    assert!(broken.is_empty());
    assert_eq!(errors, ["cni-missing cluster/cluster"]);
}

/// A node and its agent; `n` makes the names, addresses and block.
fn grown(cluster: Cluster, n: usize) -> Cluster {
    let names: Vec<String> = (0..n)
        .map(|i| format!("aks-user-27182818-vmss{:06}", i + 1))
        .collect();
    let ip = |i: usize| format!("10.225.{}.{}", i / 200, i % 200 + 1);
    let each = |make: &dyn Fn(usize, &str) -> Value| -> Vec<Value> {
        names.iter().enumerate().map(|(i, name)| make(i, name)).collect()
    };
    let counts = n + 3;
    let status = json!({"status": {"desiredNumberScheduled": counts, "currentNumberScheduled": counts, "updatedNumberScheduled": counts, "numberReady": counts, "numberAvailable": counts}});
    cluster
        .copied("Node", USER_0, each(&|i, name| json!({"metadata": {"name": name}, "status": {"addresses": [{"type": "InternalIP", "address": ip(i)}, {"type": "Hostname", "address": name}]}})))
        .copied("CiliumNode", USER_0, each(&|i, name| json!({"metadata": {"name": name}, "spec": {"ipam": {"podCIDRs": [format!("10.{}.{}.0/24", 16 + i / 250, i % 250)]}}})))
        .copied("Pod", AGENT, each(&|i, name| json!({"metadata": {"name": format!("cilium-x{i:04}")}, "spec": {"nodeName": name}, "status": {"podIP": ip(i), "podIPs": [{"ip": ip(i)}], "hostIP": ip(i)}})))
        .with("ConfigMap", "cilium-config", json!({"data": {"cluster-pool-ipv4-cidr": "10.244.0.0/16 10.16.0.0/14"}}))
        .with("DaemonSet", "cilium", status.clone())
        .with("DaemonSet", "cilium-envoy", status)
}

#[test]
fn one_bad_node_of_500_does_not_cut_off_the_others() {
    let large = grown(Cluster::of("cilium-healthy"), 497);
    assert_eq!(waits(cilium(), &large), Vec::<String>::new());
    let short = json!({"status": {"numberReady": 499, "numberAvailable": 499}});
    let bad = large
        .agent_does(crashing(9)["state"].clone(), 9, crashing(9)["lastState"].clone())
        .with("DaemonSet", "cilium", short.clone())
        .with("DaemonSet", "cilium-envoy", short);
    let (mut gate, capture) = (Gate::new(cilium()), bad.capture());
    // No early end for one node.
    for second in [0, 200, 400, 598] {
        assert_eq!(look_at(&mut gate, &capture, &[], second).state, State::Waiting);
    }
    let end = look_at(&mut gate, &capture, &[], 600);
    let failed = failure(&end);
    assert_eq!(failed.kind, Kind::TimedOut);
    assert_eq!(
        failed.reach,
        Reach::Partly {
            nodes: vec![USER_0.into()]
        }
    );
    assert_eq!(failed.because[0].code.slug, "agent-crash-looping");
    assert_eq!(failed.waiting[0].subject, Subject::node(USER_0));
    let finding = failed.finding();
    assert_eq!(
        (finding.code.slug, &finding.subjects[0]),
        ("gate-timed-out", &Subject::node(USER_0))
    );
    assert!(
        finding
            .message
            .starts_with("not up after 10m: waited for node/aks-user-27182818-vmss000000"),
        "{finding:?}"
    );
    assert!(
        finding.message.contains("agent-crash-looping: cilium on"),
        "{finding:?}"
    );
    assert!(finding.fix.contains("logs cilium-m4zrt"), "{finding:?}");
}

#[test]
fn an_image_that_no_node_can_pull_ends_it_before_the_limit() {
    let cluster = Cluster::of("cilium-healthy").no_network(pulling());
    let (mut gate, capture) = (Gate::new(cilium()), cluster.capture());
    assert_eq!(look_at(&mut gate, &capture, &[], 0).state, State::Waiting);
    assert_eq!(look_at(&mut gate, &capture, &[], 298).state, State::Waiting);
    let end = look_at(&mut gate, &capture, &[], 300);
    let failed = failure(&end);
    assert_eq!((failed.kind, &failed.reach), (Kind::Hopeless, &Reach::Whole));
    assert_eq!(failed.because[0].code.slug, "agent-image-pull");
    assert!(
        failed.sentence().contains("quay.io/cilium/cilium:v1.20.0"),
        "{}",
        failed.sentence()
    );
    assert!(!end.agents_ever_started, "it may be taken back");
    // With a short limit three minutes are given all the same; the limit itself comes first here.
    let hasty = Expectation {
        limit: at(120),
        ..cilium()
    };
    assert_eq!(failure(&outcome(hasty, &cluster)).kind, Kind::TimedOut);
    // An image that comes in between starts the time anew.
    let mut gate = Gate::new(cilium());
    look_at(&mut gate, &capture, &[], 0);
    look(&mut gate, &Cluster::of("cilium-healthy"), 200);
    assert_eq!(look_at(&mut gate, &capture, &[], 310).state, State::Waiting);
}

#[test]
fn agents_that_all_crash_end_it_after_five_restarts() {
    let four = Cluster::of("cilium-healthy").no_network(crashing(4));
    let five = Cluster::of("cilium-healthy").no_network(crashing(5));
    let mut gate = Gate::new(cilium());
    assert_eq!(look(&mut gate, &four, 100).state, State::Waiting);
    let end = look(&mut gate, &five, 180);
    assert_eq!(failure(&end).kind, Kind::Hopeless);
    assert_eq!(failure(&end).because[0].code.slug, "agent-crash-looping");
    assert!(end.agents_ever_started, "it must stay");
}

fn joined(cluster: Cluster, created: &str) -> Cluster {
    let condition = json!([{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not initialized"}]);
    grown(cluster, 1)
        .with(
            "Node",
            "aks-user-27182818-vmss000001",
            json!({"metadata": {"creationTimestamp": created}, "status": {"conditions": condition}}),
        )
        .without("Pod", "cilium-x0000")
        .with(
            "DaemonSet",
            "cilium",
            json!({"status": {"numberReady": 3, "numberAvailable": 3, "updatedNumberScheduled": 3}}),
        )
        .with(
            "DaemonSet",
            "cilium-envoy",
            json!({"status": {"numberReady": 3, "numberAvailable": 3, "updatedNumberScheduled": 3}}),
        )
}

/// 27: a node that joins is gated too.
#[test]
fn a_node_that_joins_is_waited_for_within_its_budget() {
    let well = Cluster::of("cilium-healthy");
    let young = joined(well.clone(), "2026-11-21T07:58:00Z");
    let mut gate = Gate::new(cilium());
    look(&mut gate, &well, 0);
    assert!(matches!(look(&mut gate, &well, 20).state, State::Settling { .. }));
    let joining = look(&mut gate, &young, 28);
    assert_eq!(joining.state, State::Waiting, "it starts over");
    assert_eq!(
        joining.waiting[0].subject,
        Subject::node("aks-user-27182818-vmss000001")
    );
    let up = grown(well.clone(), 1);
    assert!(matches!(look(&mut gate, &up, 60).state, State::Settling { .. }));
    assert_eq!(look(&mut gate, &up, 90).state, State::Passed);

    // A cluster that grows all the time passes at the limit, and says who is still starting.
    let mut gate = Gate::new(cilium());
    look(&mut gate, &well, 0);
    assert_eq!(look(&mut gate, &young, 598).state, State::Waiting);
    let end = look(&mut gate, &young, 630);
    assert_eq!(end.state, State::Passed, "{:?}", end.waiting);
    assert_eq!(end.waiting.len(), 2, "{:?}", end.waiting);

    // Past its budget it is a node like others.
    let old = joined(well.clone(), "2026-11-21T07:00:00Z");
    let mut gate = Gate::new(cilium());
    look(&mut gate, &well, 0);
    look(&mut gate, &old, 560);
    let end = look(&mut gate, &old, 600);
    assert_eq!(
        failure(&end).reach,
        Reach::Partly {
            nodes: vec!["aks-user-27182818-vmss000001".into()]
        }
    );
}

#[test]
fn nodes_that_are_young_from_the_start_do_not_pass_by_their_youth() {
    let mut cluster = Cluster::of("cilium-healthy").no_network(pulling());
    cluster = cluster.with(
        "Node",
        "aks-*",
        json!({"metadata": {"creationTimestamp": "2026-11-21T07:58:00Z"}}),
    );
    let hasty = Expectation {
        limit: at(60),
        ..cilium()
    };
    assert_eq!(failure(&outcome(hasty, &cluster)).kind, Kind::TimedOut);
}

#[test]
fn what_could_not_be_read_proves_nothing() {
    let well = Cluster::of("cilium-healthy").capture();
    let mut unseen = well.clone();
    let why = "overloaded".to_string();
    unseen.states.insert(Source::Nodes, Read::Failed { why });
    unseen.nodes.clear();
    let mut gate = Gate::new(cilium());
    look_at(&mut gate, &well, &[], 0);
    look_at(&mut gate, &well, &[], 20);
    let blind = look_at(&mut gate, &unseen, &[], 40);
    assert_eq!(blind.state, State::Waiting, "30 s have passed, unseen");
    assert!(
        blind.waiting[0].why.contains("nodes (overloaded)"),
        "{:?}",
        blind.waiting
    );
    assert_eq!(blind.phases[1].done, 3, "what was seen last stays");
    // The 20 s that were not seen do not count; those before do.
    assert_eq!(
        look_at(&mut gate, &well, &[], 42).state,
        State::Settling { left: at(8) }
    );
    assert_eq!(look_at(&mut gate, &well, &[], 50).state, State::Passed);
    assert!(matches!(gate.blind("no answer", at(700)).state, State::Failed(_)));
}

#[test]
fn whether_an_agent_ever_ran_is_remembered() {
    let none = Cluster::of("cilium-healthy").no_network(pulling());
    let ran = |cluster: &Cluster| {
        let (asked, capture) = (Asked::default(), cluster.capture());
        agents_ever_ran(&Facts::of(&capture, &asked), &cilium())
    };
    assert!(!ran(&none), "the proxy's pods beside it do not count");
    assert!(!ran(&Cluster::of("fresh-aks")));
    let init = |state: Value| json!({"status": {"initContainerStatuses": [{"name": "install-cni-binaries", "state": state}]}});
    assert!(!ran(&none.clone().with(
        "Pod",
        AGENT,
        init(json!({"waiting": {"reason": "PodInitializing"}}))
    )));
    assert!(ran(&none.clone().with(
        "Pod",
        AGENT,
        init(json!({"terminated": {"exitCode": 0}}))
    )));
    assert!(ran(&Cluster::of("cilium-healthy").no_network(crashing(1))));
    assert!(ran(&Cluster::of("cilium-healthy")));
    let mut gate = Gate::new(cilium());
    assert!(!look(&mut gate, &none, 0).agents_ever_started);
    assert!(
        look(
            &mut gate,
            &Cluster::of("cilium-healthy").no_network(crashing(1)),
            2
        )
        .agents_ever_started
    );
    assert!(
        look(&mut gate, &none, 4).agents_ever_started,
        "its pod was replaced, its files are there"
    );
}

fn probed(node: &str, status: Value) -> ProbeSeen {
    let mut pod = probe::pod(node, "quay.io/cilium/cilium:v1.20.0", "op1");
    harness::merge(&mut pod, &json!({"status": status}));
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    probe::seen(&pod, &cilium().pools)
}

#[test]
fn new_pods_must_get_addresses_from_the_pools() {
    let expected = || Expectation {
        probe: true,
        ..cilium()
    };
    let well = Cluster::of("cilium-healthy").capture();
    let mut gate = Gate::new(expected());
    let first = look_at(&mut gate, &well, &[], 0);
    assert_eq!(first.state, State::Waiting);
    assert_eq!(first.probe_on, [SYSTEM_0, USER_0], "one a node pool");
    let waits = |node| probed(node, json!({"phase": "Pending"}));
    let has = |node, ip: &str| {
        probed(
            node,
            json!({"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}),
        )
    };
    let second = look_at(&mut gate, &well, &[waits(SYSTEM_0), has(USER_0, "10.244.2.9")], 2);
    assert!(second.probe_on.is_empty());
    let addresses = second
        .phases
        .iter()
        .find(|p| p.name == "addresses")
        .expect("a phase");
    assert_eq!((addresses.done, addresses.total), (1, 2));
    assert_eq!(second.waiting[0].why, "a new pod there has no address yet");
    // An address of another network is an answer, and not the right one.
    let stray = look_at(&mut gate, &well, &[has(SYSTEM_0, "172.17.0.2")], 4);
    assert!(
        stray.waiting[0]
            .why
            .contains("172.17.0.2, which is in none of the pools (10.244.0.0/16)")
    );
    assert_eq!(
        look_at(&mut gate, &well, &[has(SYSTEM_0, "10.244.0.7")], 6).state,
        State::Settling { left: at(30) }
    );
    // Both have answered: they may be gone.
    assert_eq!(look_at(&mut gate, &well, &[], 36).state, State::Passed);
}

#[test]
fn a_node_that_takes_no_pod_is_no_place_for_a_probe() {
    let expected = Expectation {
        probe: true,
        ..cilium()
    };
    let well = Cluster::of("cilium-healthy").capture();
    let mut gate = Gate::new(expected);
    assert_eq!(look_at(&mut gate, &well, &[], 0).probe_on, [SYSTEM_0, USER_0]);
    let full = probed(SYSTEM_0, json!({"phase": "Failed", "reason": "OutOfpods"}));
    assert!(full.refused && !full.spent);
    let next = look_at(&mut gate, &well, &[full], 2);
    assert_eq!(next.probe_on, [SYSTEM_1, USER_0], "the next of its pool");
    // One whose time ran out without an address is made anew.
    let over = probed(SYSTEM_1, json!({"phase": "Failed", "reason": "DeadlineExceeded"}));
    assert!(over.spent && !over.refused);
    assert_eq!(look_at(&mut gate, &well, &[over], 4).probe_on, [SYSTEM_1, USER_0]);
}

#[test]
fn no_probe_is_wanted_where_the_agent_is_not_up() {
    let expected = Expectation {
        probe: true,
        ..cilium()
    };
    let none = Cluster::of("cilium-healthy").no_network(pulling());
    assert!(
        look(&mut Gate::new(expected.clone()), &none, 0)
            .probe_on
            .is_empty()
    );
    let running = json!({"running": {"startedAt": "2026-11-21T07:59:00Z"}});
    let one = Cluster::of("cilium-healthy").agent_does(running, 0, json!({}));
    assert_eq!(look(&mut Gate::new(expected), &one, 0).probe_on, [SYSTEM_0]);
}

#[test]
fn a_product_that_is_not_known_is_judged_by_its_daemon_sets() {
    let base = Cluster::of("unknown-cni");
    let expected = || Expectation {
        cni: None,
        daemon_sets: vec![pair("netfabric", "netfabric-agent")],
        deployments: vec![],
        version: None,
        pools: vec![],
        ..cilium()
    };
    passes(expected(), &base);
    let few = json!({"status": {"numberReady": 1, "numberAvailable": 1}});
    let short = base.clone().with("DaemonSet", "netfabric-agent", few);
    waits_for(expected(), &short, "1 of 3 are updated, ready and available");
    let missing = base.without("DaemonSet", "netfabric-agent");
    waits_for(expected(), &missing, "it is not there yet");
}

/// Of a product that is not known, too, pods that were read in full tell whether one ever ran, and why none does.
#[test]
fn whether_an_agent_of_an_unknown_product_ever_ran() {
    let expected = || Expectation {
        cni: None,
        daemon_sets: vec![pair("netfabric", "netfabric-agent")],
        deployments: vec![],
        version: None,
        pools: vec![],
        ..cilium()
    };
    let container =
        |state: Value| json!({"name": "agent", "ready": false, "restartCount": 0, "state": state});
    let waiting = container(json!({"waiting": {"reason": "ImagePullBackOff"}}));
    let none = |ready: Value| {
        let status = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [ready]}});
        Cluster::of("unknown-cni")
            .with(
                "DaemonSet",
                "netfabric-agent",
                json!({"status": {"numberReady": 0, "numberAvailable": 0}}),
            )
            .with(
                "Pod",
                "netfabric-agent-*",
                json!({"status": {"containerStatuses": null}}),
            )
            .with("Pod", "netfabric-agent-*", status)
    };
    let ran = |cluster: &Cluster| {
        let (asked, capture) = (Asked::default(), cluster.capture());
        agents_ever_ran(&Facts::of(&capture, &asked), &expected())
    };
    let pulled = none(waiting);
    assert!(!ran(&pulled), "no image was ever pulled");
    let ended = container(json!({"terminated": {"exitCode": 1}}));
    assert!(ran(&none(ended)), "one has run, if only for a moment");
    waits_for(expected(), &pulled, "cannot be pulled (ImagePullBackOff)");

    // A row of a pod that was not read in full: it may have run.
    let (asked, mut capture) = (Asked::default(), pulled.capture());
    capture.pods.retain(|pod| !pod.meta.name.ends_with("-7k2pq"));
    assert!(agents_ever_ran(&Facts::of(&capture, &asked), &expected()));

    // No DaemonSet in the manifest: its operator makes the agents, and has run.
    let by_operator = Expectation {
        daemon_sets: vec![],
        deployments: vec![pair("kube-system", "coredns")],
        ..expected()
    };
    let (asked, capture) = (Asked::default(), pulled.capture());
    assert!(agents_ever_ran(&Facts::of(&capture, &asked), &by_operator));
    let not_up = pulled.with("Deployment", "coredns", json!({"status": {"readyReplicas": 0}}));
    let capture = not_up.capture();
    assert!(!agents_ever_ran(&Facts::of(&capture, &asked), &by_operator));
}
