//! Which pods are of a DaemonSet's newest template.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::capture::{Pod, Workload};

/// The label that names the template's content
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/#controller-revision-hash>).
const HASH: &str = "controller-revision-hash";

/// The label that names how many templates there were before, and the DaemonSet's own mark for the newest.
const GENERATION: (&str, &str) = (
    "pod-template-generation",
    "deprecated.daemonset.template.generation",
);

/// The newest template of a DaemonSet, as far as its pods tell it.
///
/// As the controller has it, a pod is of the newest template if its generation or its hash is the newest's. The hash
/// counts after a way back: the template is the one of before under a new generation, and the pods that were never
/// replaced are of it. The newest hash stands in the controller's own records; here it is taken from the pods.
#[derive(Debug, Clone, Default)]
pub struct Newest<'a> {
    generation: Option<&'a str>,
    hash: Option<&'a str>,
}

impl<'a> Newest<'a> {
    /// From the DaemonSet and its pods.
    pub fn of(workload: &'a Workload, pods: impl Iterator<Item = &'a Pod>) -> Self {
        let generation = workload.meta.annotation(GENERATION.1);
        let pods: Vec<&Pod> = pods.collect();
        let made_since = pods
            .iter()
            .find(|p| generation.is_some() && p.meta.label(GENERATION.0) == generation);
        let hash = made_since.and_then(|p| p.meta.label(HASH));
        let counted = workload.observed() && workload.desired() > 0;
        Newest {
            generation,
            hash: hash.or_else(|| {
                let updated = usize::try_from(workload.updated()).unwrap_or(0);
                by_count(&pods, updated).filter(|_| counted)
            }),
        }
    }

    /// The template's generation, where the DaemonSet has one.
    pub fn generation(&self) -> Option<&'a str> {
        self.generation
    }

    /// Whether a pod is of an older template.
    pub fn outdates(&self, pod: &Pod) -> bool {
        let (Some(wanted), Some(own)) = (self.generation, pod.meta.label(GENERATION.0)) else {
            return false;
        };
        wanted != own && self.hash.is_none_or(|hash| pod.meta.label(HASH) != Some(hash))
    }
}

/// The hash that as many pods have as the controller counts as updated, where no other has.
fn by_count<'a>(pods: &[&'a Pod], updated: usize) -> Option<&'a str> {
    let mut nodes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pod in pods.iter().filter(|p| !p.spec.node_name.is_empty()) {
        let on = nodes.entry(pod.meta.label(HASH)?).or_default();
        on.insert(pod.spec.node_name.as_str());
    }
    let mut fitting = nodes.iter().filter(|(_, on)| on.len() == updated);
    let (hash, _) = fitting.next()?;
    fitting.next().is_none().then_some(*hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(generation: u64, updated: u64, desired: u64) -> Workload {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "annotations": {GENERATION.1: generation.to_string()}},
            "status": {"desiredNumberScheduled": desired, "updatedNumberScheduled": updated},
        }))
        .expect("a DaemonSet")
    }

    fn pod(node: &str, generation: u64, hash: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": node, "labels": {GENERATION.0: generation.to_string(), HASH: hash}},
            "spec": {"nodeName": node},
        }))
        .expect("a pod")
    }

    fn outdated(workload: &Workload, pods: &[Pod]) -> Vec<String> {
        let newest = Newest::of(workload, pods.iter());
        let old = pods.iter().filter(|p| newest.outdates(p));
        old.map(|p| p.meta.name.to_string()).collect()
    }

    #[test]
    fn pods_of_an_older_generation_are_outdated() {
        let pods = [pod("a", 1, "x"), pod("b", 1, "x"), pod("c", 2, "y")];
        assert_eq!(outdated(&set(2, 1, 3), &pods), ["a", "b"]);
        assert_eq!(outdated(&set(3, 0, 3), &pods), ["a", "b", "c"]);
    }

    #[test]
    fn after_a_way_back_those_that_never_left_are_of_the_newest_template() {
        let pods = [pod("a", 1, "x"), pod("b", 1, "x"), pod("c", 2, "y")];
        assert_eq!(outdated(&set(3, 2, 3), &pods), ["c"]);
        // One of two: the count does not tell which, so both are replaced until one that is new has shown the hash.
        let two = [pod("a", 1, "x"), pod("c", 2, "y")];
        assert_eq!(outdated(&set(3, 1, 2), &two), ["a", "c"]);
        let shown = [pod("a", 1, "x"), pod("c", 3, "x")];
        assert!(outdated(&set(3, 2, 2), &shown).is_empty());
        assert!(outdated(&set(3, 1, 2), &shown).is_empty());
    }

    #[test]
    fn the_controllers_count_of_all_pods_is_believed() {
        let pods = [pod("a", 1, "x"), pod("b", 1, "x")];
        assert!(outdated(&set(3, 2, 2), &pods).is_empty());
    }
}
