//! A kubelet for all nodes of a cluster at once. It behaves as nodes without a CNI do: NotReady until the
//! CNI's agent runs on them, pods without host network wait until then. And it can be told to fail.

mod cni;
mod node;
mod pod;
mod tigera;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::api::Objects;
use super::control_plane::{ControlPlane, client_from};
use cni::Pools;
pub use cni::cilium_definitions;
use pod::Pod;
pub use pod::digits;

/// How pods, or a node, fare.
#[derive(Clone, Debug, PartialEq)]
pub enum Behaviour {
    Healthy,
    /// The image of containers that have not started yet cannot be pulled.
    ImagePull,
    /// The container exits with this code soon after every start.
    CrashLoop {
        exit_code: i32,
    },
    /// Runs, and its readiness probe fails.
    NeverReady,
    /// Ready only so long after its start.
    Slow(Duration),
    /// The node falls silent. Whatever ran there is no longer reported, whichever pods this is set for.
    Lost,
}

/// Which pods a [`Behaviour`] is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Which {
    /// The CNI's agent.
    Agent,
    /// Names that begin so.
    Pods(String),
    /// With an image whose name contains this.
    Image(String),
}

#[derive(Clone, Debug)]
struct Rule {
    /// `None`: everywhere.
    node: Option<String>,
    which: Which,
    behaviour: Behaviour,
}

/// What all nodes share.
struct Shared {
    objects: Objects,
    rules: RwLock<Vec<Rule>>,
    pools: Mutex<Pools>,
    heartbeat: Duration,
    /// Requests in flight: thousands of nodes do not get a connection each.
    permits: tokio::sync::Semaphore,
    registered: AtomicUsize,
    definitions: tokio::sync::OnceCell<()>,
}

enum Message {
    Pod(Box<Pod>),
    Gone(String),
    /// A rule has changed.
    Look,
    /// The node is taken away.
    Stop,
}

type Inboxes = Arc<Mutex<HashMap<String, UnboundedSender<Message>>>>;

/// Plays nodes until it is dropped. The nodes then fall silent.
pub struct FakeKubelet {
    shared: Arc<Shared>,
    inboxes: Inboxes,
    runtime: Option<tokio::runtime::Runtime>,
}

impl FakeKubelet {
    /// Registers these Node objects (see [`super::aks`]) and plays them. Returns when all are registered.
    pub fn start(plane: &ControlPlane, nodes: Vec<Value>) -> FakeKubelet {
        // A runtime of its own, so that nodes live on while a test blocks its thread on our binary.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("fake-kubelet")
            .enable_all()
            .build()
            .expect("a tokio runtime");
        let kubeconfig = plane.kubeconfig();
        let (sender, receiver) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let _ = sender.send(client_from(&kubeconfig).await);
        });
        let client = receiver
            .recv()
            .expect("an answer")
            .expect("a client from our own kubeconfig");
        let shared = Arc::new(Shared {
            objects: Objects::new(client),
            rules: RwLock::default(),
            pools: Mutex::default(),
            heartbeat: (plane.options().node_grace / 5).min(Duration::from_secs(10)),
            permits: tokio::sync::Semaphore::new(64),
            registered: AtomicUsize::new(0),
            definitions: tokio::sync::OnceCell::new(),
        });
        let inboxes = Inboxes::default();
        let kubelet = FakeKubelet {
            shared,
            inboxes,
            runtime: Some(runtime),
        };
        let count = nodes.len();
        for node in nodes {
            kubelet.spawn(node);
        }
        kubelet.wait_for_registrations(count);
        kubelet
            .runtime()
            .spawn(watch(kubelet.shared.clone(), kubelet.inboxes.clone()));
        kubelet
    }

    /// One more node, as an autoscaler adds it.
    pub fn add_node(&self, node: Value) {
        let before = self.shared.registered.load(Ordering::Acquire);
        self.spawn(node);
        self.wait_for_registrations(before + 1);
    }

    /// Takes a node away, with its Node object.
    pub fn remove_node(&self, name: &str) {
        if let Some(inbox) = self.inboxes.lock().expect("the inboxes").remove(name) {
            let _ = inbox.send(Message::Stop);
        }
        let shared = self.shared.clone();
        let path = format!("/api/v1/nodes/{name}");
        let (sender, receiver) = std::sync::mpsc::channel();
        self.runtime().spawn(async move {
            let _ = sender.send(shared.objects.delete(&path).await);
        });
        receiver.recv().expect("an answer").expect("the node deleted");
    }

    /// How the CNI's agent on this node fares, or the node itself ([`Behaviour::Lost`]).
    pub fn set(&self, node: &str, behaviour: Behaviour) {
        self.rule(Some(node.to_owned()), Which::Agent, behaviour);
    }

    /// How some pods on this node fare.
    pub fn set_on(&self, node: &str, which: Which, behaviour: Behaviour) {
        self.rule(Some(node.to_owned()), which, behaviour);
    }

    /// How some pods fare wherever they are.
    pub fn set_everywhere(&self, which: Which, behaviour: Behaviour) {
        self.rule(None, which, behaviour);
    }

    fn rule(&self, node: Option<String>, which: Which, behaviour: Behaviour) {
        let mut rules = self.shared.rules.write().expect("the rules");
        rules.retain(|rule| rule.node != node || rule.which != which);
        rules.push(Rule {
            node,
            which,
            behaviour,
        });
        drop(rules);
        for inbox in self.inboxes.lock().expect("the inboxes").values() {
            let _ = inbox.send(Message::Look);
        }
    }

    fn spawn(&self, node: Value) {
        let name = node["metadata"]["name"]
            .as_str()
            .expect("a node has a name")
            .to_owned();
        let (sender, inbox): (_, UnboundedReceiver<Message>) = unbounded_channel();
        self.inboxes.lock().expect("the inboxes").insert(name, sender);
        self.runtime().spawn(node::play(self.shared.clone(), node, inbox));
    }

    fn wait_for_registrations(&self, count: usize) {
        let end = Instant::now() + Duration::from_secs(120);
        while self.shared.registered.load(Ordering::Acquire) < count {
            assert!(
                Instant::now() < end,
                "{count} nodes not registered within two minutes"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().expect("a runtime until dropped")
    }
}

impl Drop for FakeKubelet {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// The newest rule that fits.
    fn behaviour(&self, node: &str, pod: &Pod) -> Behaviour {
        let rules = self.rules.read().expect("the rules");
        let fits = |rule: &&Rule| {
            rule.node.as_deref().is_none_or(|name| name == node)
                && match &rule.which {
                    Which::Agent => cni::agent(pod).is_some(),
                    Which::Pods(prefix) => pod.metadata.name.starts_with(prefix.as_str()),
                    Which::Image(part) => pod.images().any(|image| image.contains(part.as_str())),
                }
        };
        rules
            .iter()
            .rev()
            .find(fits)
            .map_or(Behaviour::Healthy, |rule| rule.behaviour.clone())
    }

    fn lost(&self, node: &str) -> bool {
        let rules = self.rules.read().expect("the rules");
        rules.iter().any(|rule| {
            rule.behaviour == Behaviour::Lost && rule.node.as_deref().is_none_or(|name| name == node)
        })
    }
}

/// One watch for all pods that are bound to a node, each handed to its node.
async fn watch(shared: Arc<Shared>, inboxes: Inboxes) {
    // Field selectors know "has a node" only as "its node is not the empty one".
    const BOUND: &str = "/api/v1/pods?fieldSelector=spec.nodeName%21%3D";
    let mut known: HashMap<String, String> = HashMap::new();
    loop {
        let Ok(mut list) = shared.objects.get(BOUND).await else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let version = list["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or("0")
            .to_owned();
        let pods: Vec<Pod> =
            serde_json::from_value(list["items"].take()).expect("pods as the API sends them");
        let mut listed = HashMap::new();
        for pod in pods {
            listed.insert(pod.metadata.uid.clone(), pod.spec.node_name.clone());
            hand(&inboxes, pod);
        }
        for (uid, node) in known.iter().filter(|(uid, _)| !listed.contains_key(*uid)) {
            tell(&inboxes, node, Message::Gone(uid.clone()));
        }
        known = listed;
        let path = format!("{BOUND}&watch=1&resourceVersion={version}&timeoutSeconds=240");
        let Ok(request) = http::Request::get(path).body(Vec::new()) else {
            return;
        };
        let Ok(events) = shared.objects.client().request_events::<Pod>(request).await else {
            continue;
        };
        let mut events = std::pin::pin!(events);
        while let Some(Ok(event)) = events.next().await {
            match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                    known.insert(pod.metadata.uid.clone(), pod.spec.node_name.clone());
                    hand(&inboxes, pod);
                }
                WatchEvent::Deleted(pod) => {
                    known.remove(&pod.metadata.uid);
                    tell(&inboxes, &pod.spec.node_name, Message::Gone(pod.metadata.uid));
                }
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(_) => break,
            }
        }
    }
}

fn hand(inboxes: &Inboxes, pod: Pod) {
    let node = pod.spec.node_name.clone();
    tell(inboxes, &node, Message::Pod(Box::new(pod)));
}

/// Nodes that are not ours have kubelets of their own.
fn tell(inboxes: &Inboxes, node: &str, message: Message) {
    if let Some(inbox) = inboxes.lock().expect("the inboxes").get(node) {
        let _ = inbox.send(message);
    }
}
