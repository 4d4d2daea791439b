//! What a change makes different: what the agents will read, which images run, which pods restart and in what order.
//! Compared are renderings, never the live cluster: the release's record, and the target chart with more and more of
//! what this change sets, so that each difference has somebody to whom it belongs.

mod content;
mod objects;
mod workloads;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use self::objects::{Index, Key};
use super::rights;
use crate::core::{cni::Cni, finding::Subject, manifest::Object, words};

/// To whom a difference belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Because {
    /// The user's new values.
    Yours,
    /// This change: a key that was translated, `upgradeCompatibility`.
    Forced,
    /// The target chart's own default.
    Default,
}

impl Because {
    /// The word that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Because::Yours => "yours",
            Because::Forced => "forced",
            Because::Default => "default",
        }
    }
}

/// What is there on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Short text, free of control characters.
    Text(String),
    /// Text too long for a page, as its size: `41 lines`.
    Long(String),
    /// Not shown: it may be a secret.
    Hidden,
}

/// One key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The ConfigMap, or the custom resource that an operator reads.
    pub object: Subject,
    /// The key; of a custom resource the path within it, `spec.calicoNetwork.bgp`.
    pub key: String,
    /// Absent where the key was not there.
    pub before: Option<Content>,
    /// Absent where the key goes.
    pub after: Option<Content>,
    /// How much of a long one is different: `3 lines`.
    pub extent: Option<String>,
    /// Whose it is; absent where only one rendering was compared.
    pub because: Option<Because>,
}

/// An image of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The workload.
    pub workload: Subject,
    /// Its containers that run the image, start-up containers first.
    pub containers: Vec<String>,
    /// Absent where the container is new.
    pub before: Option<String>,
    /// Absent where the container goes.
    pub after: Option<String>,
    /// Whose it is; absent where only one rendering was compared.
    pub because: Option<Because>,
}

/// What part a workload plays. The order is that of the restarts: agents wait for definitions that the operator makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The CNI's operator.
    Operator,
    /// An agent.
    Agent,
    /// Restarts with the agent of its node: Cilium's envoy.
    #[serde(rename = "with-agent")]
    Beside,
    /// Anything else.
    Other,
}

impl Part {
    /// The word that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Operator => "operator",
            Part::Agent => "agent",
            Part::Beside => "with-agent",
            Part::Other => "other",
        }
    }
}

/// Why a workload's pods restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Another image.
    Image,
    /// Something that it reads is different.
    Configuration,
    /// Anything else of its pod template: flags, mounts, labels.
    Template,
}

impl Why {
    /// The word that users and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Image => "image",
            Why::Configuration => "configuration",
            Why::Template => "template",
        }
    }
}

/// A workload whose pods restart, for its pod template is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The workload.
    pub workload: Subject,
    /// Its part.
    pub part: Part,
    /// Why, never empty.
    pub why: Vec<Why>,
    /// How many pods, where that is known: see [`Diff::count_pods`].
    pub pods: Option<usize>,
}

/// A ConfigMap that changes while pods that read it at their start keep running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inert {
    /// The ConfigMap.
    pub config_map: Subject,
    /// Workloads that read it and do not restart by themselves, in the order in which they would have to.
    pub readers: Vec<Subject>,
}

/// Everything that is different. What is not in it stays as it is, Secrets apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Whether differences could be told apart by whose they are: more than one rendering was compared.
    pub attributed: bool,
    /// Keys of the configuration, by object and key.
    pub settings: Vec<Setting>,
    /// Images, by workload.
    pub images: Vec<Image>,
    /// Workloads that restart, in that order.
    pub restarts: Vec<Restart>,
    /// Whether agents are made by the operator and not by the chart: a new operator restarts them as it sees fit.
    pub by_operator: bool,
    /// Configuration that would not be read.
    pub inert: Vec<Inert>,
    /// Objects that come, sorted.
    pub creates: Vec<Subject>,
    /// Objects that go, sorted.
    pub removes: Vec<Subject>,
    /// Objects that are no longer the release's and stay all the same (`helm.sh/resource-policy: keep`), sorted.
    pub keeps: Vec<Subject>,
    /// Objects that are different in whatever way, those of the lists above among them, sorted.
    pub changes: Vec<Subject>,
    /// How many objects have nothing new but the version in their labels.
    pub relabelled: usize,
    /// Secrets that are there before and after, sorted. They are never looked into, and charts generate some anew at
    /// each rendering.
    pub not_compared: Vec<Subject>,
}

impl Diff {
    /// Whether nothing is different that anybody would notice. New labels are not noticed.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
            && self.images.is_empty()
            && self.restarts.is_empty()
            && self.creates.is_empty()
            && self.removes.is_empty()
            && self.keeps.is_empty()
            && self.changes.is_empty()
    }

    /// Fills in how many pods restart, from what the cluster has: `of` knows a workload's pods. What it does not know
    /// stays as rendered: replicas of a Deployment, nothing of a DaemonSet.
    pub fn count_pods(&mut self, of: &dyn Fn(&Subject) -> Option<usize>) {
        for restart in &mut self.restarts {
            restart.pods = of(&restart.workload).or(restart.pods);
        }
    }

    /// In a few words: `12 settings, 4 images, 3 workloads restart, 2 objects come`.
    pub fn summary(&self) -> String {
        let restarts = self.restarts.len();
        let parts = [
            (self.settings.len(), words::count(self.settings.len(), "setting")),
            (self.images.len(), words::count(self.images.len(), "image")),
            (
                restarts,
                format!(
                    "{} {}",
                    words::count(restarts, "workload"),
                    words::verb(restarts, "restarts", "restart")
                ),
            ),
            (self.creates.len(), come(self.creates.len(), "comes", "come")),
            (self.removes.len(), come(self.removes.len(), "goes", "go")),
        ];
        let words: Vec<String> = parts
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(_, text)| text)
            .collect();
        match words.is_empty() {
            true if self.changes.is_empty() => "nothing is different".into(),
            true => format!("{} changed", words::count(self.changes.len(), "object")),
            false => words.join(", "),
        }
    }
}

fn come(n: usize, one: &'static str, others: &'static str) -> String {
    format!("{} {}", words::count(n, "object"), words::verb(n, one, others))
}

/// What is different between what Helm recorded (`before`) and what will be installed: the last of `stages`, which are
/// successive renderings. A difference belongs to the last stage at which it took its final value; with one stage
/// alone to nobody. `namespace` is the release's, where objects without one are made. Hooks are left out, as Helm
/// leaves them out of its record.
pub fn diff(
    before: &[Object],
    stages: &[(Because, &[Object])],
    namespace: &str,
    cni: Option<&'static Cni>,
) -> Diff {
    let Some((_, last)) = stages.last() else {
        return Diff::default();
    };
    let old = Index::of(before, last, namespace);
    let stages: Vec<(Because, Index<'_>)> = stages
        .iter()
        .map(|(because, objects)| (*because, Index::of(objects, before, namespace)))
        .collect();
    let sides = Sides {
        old: &old,
        stages: &stages,
    };
    let mut diff = Diff {
        attributed: stages.len() > 1,
        ..Diff::default()
    };
    let new = sides.target();
    let all: BTreeSet<&Key> = old.keys().chain(new.keys()).collect();
    for key in all {
        match (old.get(key), new.get(key)) {
            (None, None) => {}
            (None, Some(_)) => diff.creates.push(key.subject()),
            (Some(object), None) if objects::kept(object) => diff.keeps.push(key.subject()),
            (Some(_), None) => diff.removes.push(key.subject()),
            (Some(_), Some(_)) if key.kind == "Secret" => diff.not_compared.push(key.subject()),
            (Some(was), Some(is)) => match objects::compared(was, is) {
                objects::Compared::Same => {}
                objects::Compared::Relabelled => diff.relabelled += 1,
                objects::Compared::Changed => {
                    diff.changes.push(key.subject());
                    diff.settings.extend(content::settings(key, &sides));
                }
            },
        }
    }
    workloads::fill(&mut diff, &sides, cni);
    for list in [
        &mut diff.creates,
        &mut diff.removes,
        &mut diff.keeps,
        &mut diff.changes,
        &mut diff.not_compared,
    ] {
        list.sort();
        list.dedup();
    }
    diff
}

/// What is compared.
struct Sides<'a> {
    old: &'a Index<'a>,
    /// Never empty; the last is what will be installed.
    stages: &'a [(Because, Index<'a>)],
}

impl<'a> Sides<'a> {
    /// What will be installed.
    fn target(&self) -> &'a Index<'a> {
        let stages = self.stages;
        stages.last().map_or(self.old, |(_, index)| index)
    }

    /// To whom it belongs that `of` an object has the value that it ends with: the last stage that changed it so.
    fn because<T: PartialEq + Default>(&self, key: &Key, of: impl Fn(&'a Object) -> T) -> Option<Because> {
        if self.stages.len() < 2 {
            return None;
        }
        let at = |index: &'a Index<'a>| index.get(key).map(&of).unwrap_or_default();
        let last = at(self.target());
        let stages = self.stages;
        let same = stages.iter().rev().take_while(|(_, index)| at(index) == last);
        same.last().map(|(because, _)| *because)
    }
}
