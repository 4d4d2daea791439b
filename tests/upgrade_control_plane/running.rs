//! A cluster on which Cilium runs already, and what is to be seen of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    clusters::{Objects, Options, aks},
    story::{KUBE_SYSTEM, NODES, SOON, Story, is_ready, items, name},
};

/// The agents' DaemonSet.
pub const AGENTS: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";
/// That of the proxies beside them.
pub const PROXIES: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium-envoy";

/// Short waits, where their length is not the point.
pub const QUICK: [&str; 4] = ["--soak", "2s", "--settle", "3s"];

/// What AKS wants of Cilium, and the pool that kube-proxy was told of: for 256 nodes.
pub const VALUES: [&str; 4] = [
    "--set",
    "aksbyocni.enabled=true",
    "--set",
    "ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.0/16}",
];

/// An agent as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The pod's identity.
    pub uid: String,
    /// `v1.19.6`.
    pub version: String,
    /// Whether it is Ready.
    pub ready: bool,
}

/// An AKS cluster of so many nodes on which plain helm brought Cilium.
pub fn cilium(nodes: usize, version: &str, helm: u8) -> Option<Story> {
    with(aks::options(), nodes, version, helm)
}

/// The same where a node that is silent for 20 s is called lost.
pub fn impatient(nodes: usize, version: &str, helm: u8) -> Option<Story> {
    let options = Options {
        node_grace: Duration::from_secs(20),
        ..aks::options()
    };
    with(options, nodes, version, helm)
}

fn with(options: Options, nodes: usize, version: &str, helm: u8) -> Option<Story> {
    let story = Story::with(options, helm, |plane| aks::start(plane, nodes))?;
    // More nodes than the pool has blocks for.
    let wide = [
        "--set",
        "ipam.operator.clusterPoolIPv4PodCIDRList={10.244.0.0/15}",
    ];
    let more = if nodes > 256 { &wide[..] } else { &[] };
    by_helm(&story, "install", more, version);
    comes_up(&story, nodes, version);
    Some(story)
}

/// Plain helm brings Cilium to this version, with these words more.
pub fn by_helm(story: &Story, verb: &str, more: &[&str], version: &str) {
    let chart = story.chart(&format!("cilium-{version}.tgz"));
    let start = [verb, "cilium", chart.as_str(), "-n", "kube-system"];
    story.helm(&[&start[..], &VALUES[..], more].concat());
}

/// Waits until all that runs in the cluster is well.
pub fn comes_up(story: &Story, nodes: usize, version: &str) {
    let plane = &story.plane;
    // Many nodes on a busy machine take their time.
    let limit = SOON * 2 + Duration::from_secs(nodes as u64);
    plane.wait_for("nodes Ready", limit, NODES, |list| {
        items(list).len() == nodes && items(list).iter().all(is_ready)
    });
    plane.wait_for("pods Ready", limit, KUBE_SYSTEM, |list| {
        // With one node a second operator has no place.
        let waits = |pod: &&Value| !is_ready(pod) && !pod["spec"]["nodeName"].is_null();
        items(list).iter().filter(waits).count() == 0
    });
    for path in [AGENTS, PROXIES] {
        plane.wait_for("agents up", limit, path, |set| {
            let status = &set["status"];
            let whole = |field: &str| status[field] == nodes;
            status["observedGeneration"] == set["metadata"]["generation"]
                && ["numberReady", "updatedNumberScheduled", "numberAvailable"]
                    .into_iter()
                    .all(whole)
        });
    }
    plane.wait_for("no pod is tainted away", limit, NODES, |list| {
        !list.to_string().contains("node.cilium.io/agent-not-ready")
    });
    assert_eq!(versions(story), BTreeSet::from([format!("v{version}")]));
}

/// The agents, by node.
pub fn agents(story: &Story) -> BTreeMap<String, Agent> {
    pods_of(story, "cilium", "cilium-agent")
}

/// The proxies, by node.
pub fn proxies(story: &Story) -> BTreeMap<String, Agent> {
    pods_of(story, "cilium-envoy", "cilium-envoy")
}

fn pods_of(story: &Story, app: &str, container: &str) -> BTreeMap<String, Agent> {
    let pods = story.plane.get(KUBE_SYSTEM).expect("pods");
    let nodes = story.plane.get(NODES).expect("nodes");
    // Pods of a node that was taken away stay for a minute.
    let there: BTreeSet<&str> = items(&nodes).iter().map(name).collect();
    let own = items(&pods).iter().filter(|pod| {
        pod["metadata"]["labels"]["k8s-app"] == app
            && pod["spec"]["nodeName"]
                .as_str()
                .is_some_and(|node| there.contains(node))
    });
    own.filter_map(|pod| {
        let containers = pod["spec"]["containers"].as_array()?;
        let image = containers.iter().find(|c| c["name"] == container)?["image"].as_str()?;
        let tag = image.split('@').next()?.rsplit(':').next()?;
        let agent = Agent {
            uid: pod["metadata"]["uid"].as_str()?.to_owned(),
            version: tag.to_owned(),
            ready: is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null(),
        };
        Some((pod["spec"]["nodeName"].as_str()?.to_owned(), agent))
    })
    .collect()
}

/// The versions that agents run.
pub fn versions(story: &Story) -> BTreeSet<String> {
    agents(story).into_values().map(|agent| agent.version).collect()
}

/// Asserts that every node runs this version, Ready.
pub fn all_run(story: &Story, nodes: usize, version: &str) {
    let agents = agents(story);
    assert_eq!(agents.len(), nodes, "{agents:#?}");
    let tag = format!("v{version}");
    let well = |agent: &Agent| agent.ready && agent.version == tag;
    assert!(agents.values().all(well), "{agents:#?}");
}

/// The nodes whose pods are others than before.
pub fn moved(before: &BTreeMap<String, Agent>, after: &BTreeMap<String, Agent>) -> BTreeSet<String> {
    let uid = |of: &BTreeMap<String, Agent>, node: &String| of.get(node).map(|agent| agent.uid.clone());
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let other = all
        .into_iter()
        .filter(|node| uid(before, node) != uid(after, node));
    other.cloned().collect()
}

/// Asserts that the release is deployed with this chart, that nothing of ours is left but records, and that the
/// DaemonSets have the chart's own update strategy.
pub fn at_rest(story: &Story, version: &str) {
    let revisions = revisions(story, "kube-system", "cilium");
    let newest = revisions.last().expect("a revision");
    assert_eq!(
        (newest["status"].as_str(), newest["chart"].as_str()),
        (Some("deployed"), Some(format!("cilium-{version}").as_str())),
        "{revisions:#?}"
    );
    for path in [
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubectl-byocni",
        "/api/v1/namespaces/kube-system/secrets/kubectl-byocni",
    ] {
        assert_eq!(story.plane.get(path), None, "{path}");
    }
    let journal = story.journal().expect("the journal");
    assert_eq!(journal["data"]["operation"], Value::Null, "{journal}");
    let pods = story.plane.get(KUBE_SYSTEM).expect("pods");
    let probes = items(&pods).iter().filter(|pod| {
        name(pod).starts_with("kubectl-byocni-probe") && pod["metadata"]["deletionTimestamp"].is_null()
    });
    assert_eq!(probes.count(), 0, "probes are removed");
    for path in [AGENTS, PROXIES] {
        let set = story.plane.get(path).expect("a DaemonSet");
        assert_eq!(
            set["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2, "maxSurge": 0}}),
            "{path}"
        );
    }
}

/// The release's revisions by helm's own word, oldest first.
pub fn revisions(story: &Story, namespace: &str, release: &str) -> Vec<Value> {
    let said = story.helm(&["history", release, "-n", namespace, "-o", "json"]);
    serde_json::from_str(&said).expect("helm's JSON")
}

/// `history` as a program gets it: the rows.
pub fn history(story: &Story) -> Vec<Value> {
    let ran = story.run(&["history", "-o", "json"]);
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let said: Value = serde_json::from_str(&ran.out).unwrap_or_else(|why| panic!("{why}: {}", ran.out));
    let rows = said["revisions"].as_array();
    rows.unwrap_or_else(|| panic!("{said:#}")).clone()
}

/// The pods of the CNI that the upgrader deleted so far, in order.
pub fn deleted(story: &Story) -> Vec<String> {
    let prefix = "delete /api/v1/namespaces/kube-system/pods/";
    let writes = story.writes();
    let names = writes.iter().filter_map(|write| write.strip_prefix(prefix));
    let names = names.map(|name| name.split('?').next().unwrap_or_default().to_owned());
    names.filter(|name| name.starts_with("cilium-")).collect()
}

/// Waits until so many pods of the CNI were deleted by the upgrader.
pub fn until_deleted(story: &Story, count: usize) {
    until("pods are deleted", SOON * 6, || deleted(story).len() >= count);
}

/// Whether tests run that show nothing new, and take long: figures for people who want them.
pub fn figures_are_asked_for() -> bool {
    std::env::var_os("BYOCNI_TEST_FIGURES").is_some()
}

/// Waits until this holds.
pub fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the journal says of the change that is under way.
pub fn operation(story: &Story) -> Option<Value> {
    let journal = story.journal()?;
    serde_json::from_str(journal["data"]["operation"].as_str()?).ok()
}

/// Whether the change that is under way has turned back.
pub fn turned_back(story: &Story) -> bool {
    operation(story).is_some_and(|operation| !operation["replaces"]["back"].is_null())
}

/// Changes an object, as an administrator does.
pub fn merge(story: &Story, path: &str, patch: &Value) {
    let changed = story
        .plane
        .ask(|client| async move { Objects::new(client).merge(path, patch).await });
    assert!(
        changed.unwrap_or_else(|why| panic!("{path}: {why}")).is_some(),
        "{path} is not there"
    );
}
