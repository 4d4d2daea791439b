//! The agents' pods as a watch shows them from beginning to end: how many nodes were without theirs at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    clusters::{Objects, control_plane::client_from},
    story::{SOON, Story, is_ready, items, name},
};

/// Cilium's agents and the proxies beside them.
const PODS: &str =
    "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%20in%20%28cilium%2Ccilium-envoy%29";

/// What both DaemonSets are called, in the label that tells their pods apart.
const PARTS: [&str; 2] = ["cilium", "cilium-envoy"];

/// Follows the agents until it is asked what it saw.
pub struct Watch {
    log: Arc<Mutex<Log>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pods: BTreeMap<String, Pod>,
    /// Nodes that once had both their pods Ready.
    served: BTreeSet<String>,
    /// The node of every pod that ever was.
    pub nodes: BTreeMap<String, String>,
    /// How many nodes that were served were not any more, at most.
    pub most: usize,
    /// Events, and lists that began anew.
    pub events: usize,
    lists: usize,
}

#[derive(Clone, Debug)]
struct Pod {
    node: String,
    part: String,
    up: bool,
}

impl Watch {
    /// From now on. All agents that are there are known when this returns.
    pub fn start(story: &Story) -> Watch {
        let log = Arc::new(Mutex::new(Log::default()));
        let (stop, stopped) = watch::channel(false);
        let kubeconfig = story.plane.kubeconfig().to_owned();
        let own = log.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a tokio runtime").block_on(async move {
                let objects = Objects::new(client_from(&kubeconfig).await.expect("a client"));
                let mut stopped = stopped;
                tokio::select! {
                    () = follow(&objects, &own) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
        });
        let watch = Watch {
            log,
            stop,
            thread: Some(thread),
        };
        watch.has("a first list", |log| log.lists > 0);
        watch
    }

    /// What was seen until now, with everything in it that the API server has to show.
    pub fn log(&self, story: &Story) -> Log {
        let end = Instant::now() + SOON;
        loop {
            let list = story.plane.get(PODS).expect("pods");
            let there: BTreeSet<&str> = items(&list).iter().map(name).collect();
            let log = self.log.lock().expect("the log").clone();
            if log.pods.keys().map(String::as_str).eq(there.iter().copied()) {
                assert_eq!(
                    log.lists, 1,
                    "the watch was not whole: events may have been missed"
                );
                return log;
            }
            assert!(Instant::now() < end, "{log:?} is not {there:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn has(&self, what: &str, holds: impl Fn(&Log) -> bool) {
        let end = Instant::now() + SOON;
        while !holds(&self.log.lock().expect("the log")) {
            assert!(Instant::now() < end, "the watch does not have {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Log {
    fn see(&mut self, pod: &Value) {
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
        let part = pod["metadata"]["labels"]["k8s-app"].as_str().unwrap_or_default();
        // One that is being ended does not serve any more, whatever it says of itself.
        let up = is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null();
        if !node.is_empty() {
            self.nodes.insert(name(pod).to_owned(), node.clone());
        }
        let part = part.to_owned();
        self.pods.insert(name(pod).to_owned(), Pod { node, part, up });
        self.count();
    }

    fn gone(&mut self, pod: &Value) {
        self.pods.remove(name(pod));
        self.count();
    }

    fn count(&mut self) {
        let up = |part: &str| -> BTreeSet<&str> {
            let of = self.pods.values().filter(|pod| pod.up && pod.part == part);
            of.map(|pod| pod.node.as_str()).collect()
        };
        let [agents, proxies] = PARTS.map(up);
        let both: BTreeSet<String> = agents.intersection(&proxies).map(ToString::to_string).collect();
        self.most = self.most.max(self.served.difference(&both).count());
        self.served.extend(both);
    }
}

async fn follow(objects: &Objects, log: &Mutex<Log>) {
    loop {
        let Ok(list) = objects.get(PODS).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        {
            let mut log = log.lock().expect("the log");
            log.pods.clear();
            items(&list).iter().for_each(|pod| log.see(pod));
            log.lists += 1;
        }
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("0");
        let path = format!("{PODS}&watch=1&resourceVersion={version}&timeoutSeconds=1200");
        let request = http::Request::get(path).body(vec![]).expect("a request");
        let Ok(events) = objects.client().request_events::<Value>(request).await else {
            continue;
        };
        let mut events = std::pin::pin!(events);
        while let Some(Ok(event)) = events.next().await {
            let mut log = log.lock().expect("the log");
            log.events += 1;
            match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => log.see(&pod),
                WatchEvent::Deleted(pod) => log.gone(&pod),
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(_) => break,
            }
        }
    }
}
