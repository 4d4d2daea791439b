//! What an upgrade and a rollback add to planning: what they start from, the values, the diff.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Value};

use super::planning::{Planner, render};
use crate::{
    core::{
        capture::Workload,
        chart::{Chart, Offered},
        facts::Facts,
        finding::Subject,
        gate,
        journal::{Pace, Replaces},
        manifest::Object,
        plan::{Draft, Request, diff, upgrade, values},
        report::Report,
        revision::Recorded,
        rollout,
    },
    io::charts::Fetched,
};

/// What an upgrade or a rollback starts from, and where it goes.
#[derive(Debug, Clone)]
pub struct Replacing<'p> {
    /// The revision that stands now; of an upgrade over several minors, what the hop before would leave.
    pub from: &'p Recorded,
    /// The revision that a rollback goes to.
    pub to: Option<&'p Recorded>,
    /// The release's name.
    pub release: &'p str,
    /// The release's namespace.
    pub namespace: &'p str,
    /// The version that was installed first, where it is known.
    pub first: Option<&'p str>,
    /// How agents are replaced.
    pub pace: Pace,
    /// How long everything must hold in the end.
    pub settle: Duration,
    /// Which hop of how many.
    pub hop: (usize, usize),
    /// What the chart's source offers; empty where it was not asked.
    pub offered: &'p [Offered],
    /// Where the walk goes on to afterwards.
    pub then: Option<&'p str>,
}

impl Planner<'_> {
    /// The values: what an install needs, what an upgrade carries over, what a rollback finds.
    pub(super) fn draft(&self, facts: &Facts<'_>, chart: &Chart, request: &Request) -> Draft {
        let Some(replacing) = self.replacing else {
            return values::draft(facts, chart, request);
        };
        let draft = match replacing.to {
            Some(to) => upgrade::draft_back(facts, to, request),
            None => upgrade::draft(facts, replacing.from, chart, request, replacing.first),
        };
        Draft {
            namespace: replacing.namespace.into(),
            release: replacing.release.into(),
            ..draft
        }
    }

    /// What agents will see differently, and whose each difference is: the target chart with the values as they were,
    /// then with what this change does to them, then with the user's new ones.
    pub(super) async fn diff(
        &self,
        facts: &Facts<'_>,
        fetched: Option<&Fetched>,
        draft: &Draft,
        rendered: Option<&[Object]>,
        kubernetes: Option<&str>,
    ) -> Option<diff::Diff> {
        let (Some(replacing), Some(fetched), Ok(helm), Some(rendered)) =
            (self.replacing, fetched, self.helm, rendered)
        else {
            return None;
        };
        let with = async |values: &Value| {
            let draft = Draft {
                values: values.clone(),
                ..draft.clone()
            };
            // Values as they were may not suit another chart: then that difference has no owner.
            render(helm, fetched, &draft, kubernetes, true).await.ok()
        };
        let mut stages: Vec<(diff::Because, Vec<Object>)> = vec![];
        let none = Value::Object(Map::new());
        let user = self
            .request
            .user_values
            .as_object()
            .is_some_and(|v| !v.is_empty());
        if replacing.to.is_none() {
            if let Some(objects) = with(&replacing.from.values).await {
                stages.push((diff::Because::Default, objects));
            }
            if user {
                let bare = Request {
                    user_values: none,
                    ..self.request.clone()
                };
                let forced = self.draft(facts, &fetched.chart, &bare);
                if let Some(objects) = with(&forced.values).await {
                    stages.push((diff::Because::Forced, objects));
                }
            }
        }
        let last = match (user, replacing.to) {
            (true, None) => diff::Because::Yours,
            _ => diff::Because::Forced,
        };
        stages.push((last, rendered.to_vec()));
        let stages: Vec<(diff::Because, &[Object])> = stages
            .iter()
            .map(|(because, objects)| (*because, &objects[..]))
            .collect();
        let mut diff = diff::diff(
            &replacing.from.manifest,
            &stages,
            replacing.namespace,
            self.request.cni,
        );
        diff.count_pods(&|subject| pods_of(facts, subject));
        Some(diff)
    }

    /// Whether we replace the agents of this CNI ourselves.
    fn node_by_node(&self) -> bool {
        let installing = self.request.cni.and_then(|cni| cni.installing);
        installing.is_some_and(|i| !i.strategies.is_empty())
    }

    /// The order in which agents would be replaced; nothing where the CNI's own controllers do that, or on an install.
    pub(super) fn schedule(
        &self,
        facts: &Facts<'_>,
        report: &Report,
        rendered: Option<&[Object]>,
    ) -> Option<rollout::Schedule> {
        let replacing = self.replacing.filter(|_| self.node_by_node())?;
        let pace = replacing.pace;
        let workloads = rendered.into_iter().flatten().filter(|o| o.kind == "DaemonSet");
        let budget = workloads
            .filter_map(|o| serde_json::from_value::<Workload>(o.value.clone()).ok())
            .filter(|w| self.request.cni.is_some_and(|cni| cni.evidence(w).is_some()))
            .map(|w| rollout::budget(&w))
            .max();
        let (broken, _) = gate::baseline(facts, report);
        let candidates = rollout::Candidate::all(facts, &broken);
        let settings = rollout::Settings {
            canaries: pace.canaries,
            max_parallel: pace.max_parallel,
            soak: Duration::from_secs(pace.soak_seconds),
            pause: pace.pause,
            ..rollout::Settings::new(candidates.len(), budget.unwrap_or(Duration::from_secs(300)))
        };
        Some(rollout::schedule(&candidates, &settings))
    }

    /// The CNI's workloads as they stand, each with its identity and how often somebody changed it; none on an install.
    pub(super) fn standing(&self, facts: &Facts<'_>) -> BTreeMap<String, String> {
        if self.replacing.is_none() {
            return BTreeMap::new();
        }
        let found = &facts.detection;
        let agents = found.main.iter().filter_map(|main| main.workload);
        let all = agents
            .chain(found.more_agents.iter().copied())
            .chain(found.operators.iter().copied())
            .chain(found.helpers.iter().copied());
        all.map(|workload| {
            let meta = &workload.meta;
            let state = format!("{} {}", meta.uid, meta.generation.unwrap_or_default());
            (format!("{}/{}", meta.namespace, meta.name), state)
        })
        .collect()
    }

    /// What the journal keeps of what is replaced.
    pub(super) fn replaces(&self, diff: Option<&diff::Diff>) -> Option<Replaces> {
        let replacing = self.replacing?;
        let by_us = self.node_by_node();
        Some(Replaces {
            revision: replacing.from.revision,
            version: replacing.from.chart.version.clone(),
            target: replacing.to.map(|to| to.revision),
            settle_seconds: replacing.settle.as_secs(),
            pace: by_us.then_some(replacing.pace),
            restart: diff.is_some_and(restarts_by_hand),
            done: vec![],
            configured: None,
            back: None,
            then: replacing.then.map(str::to_string),
        })
    }
}

/// Which of the CNI's workloads somebody changed, made or removed meanwhile, in one line.
pub(super) fn edited(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Option<String> {
    let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let name = all.into_iter().find(|name| before.get(*name) != now.get(*name))?;
    let what = match (before.contains_key(name), now.contains_key(name)) {
        (true, false) => "was removed",
        (false, _) => "was made",
        _ => "was changed by somebody else",
    };
    Some(format!("workload {name} {what}"))
}

/// Whether what agents read at their start changes while nothing of their template does: then they are restarted all
/// the same.
fn restarts_by_hand(diff: &diff::Diff) -> bool {
    let restarted = diff.restarts.iter().any(|r| r.part == diff::Part::Agent);
    !restarted && !diff.inert.is_empty()
}

/// How many pods a workload has that stands in the cluster.
pub(super) fn pods_of(facts: &Facts<'_>, subject: &Subject) -> Option<usize> {
    let capture = facts.capture;
    let all = match subject.kind.as_str() {
        "DaemonSet" => &capture.daemon_sets,
        "Deployment" => &capture.deployments,
        _ => return None,
    };
    let found = all.iter().find(|w| {
        w.meta.name == *subject.name && Some(w.meta.namespace.as_str()) == subject.namespace.as_deref()
    })?;
    usize::try_from(found.desired()).ok()
}
