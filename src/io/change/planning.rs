//! From what the user asks for to a plan: the capture, the chart, what helm renders, what the server allows. Nothing is
//! judged here; what goes wrong on the way becomes a finding of the plan, so that a refused plan says all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{interrupted, journal, lock, records, rendered::taken, replacing::edited, trial};
use crate::{
    core::{
        capture::{Capture, Source},
        chart::{Chart, Offered},
        cni::{Cni, minor_of},
        codes::change::{CHANGE_LOCKED, CHART_UNUSABLE, HELM_MISSING, HELM_TOO_OLD, PROBE_DENIED},
        facts::{Asked, Facts},
        finding::{Finding, Subject},
        gate,
        journal::{Before, JournaledChart, Operation, Phase, Replaces},
        judge,
        manifest::Object,
        plan::{
            self, Draft, Inputs, Installed, Plan, Request, Surroundings, diff, preflight::RENDERED, rights,
            sought, upgrade, version,
        },
        text::Text,
    },
    io::{
        charts::{ChartError, ChartSource, Charts, Fetched, ManifestSource},
        cluster,
        connection::Connection,
        helm::{Helm, HelmError, Target},
        probe,
    },
};

pub use super::{
    rendered::{expected, render},
    replacing::Replacing,
};

/// What a plan does not know without helm.
const UNRENDERED: &str =
    "what it creates, whether its operator finds a node, and admission webhooks in its way";

/// Where the chart comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A chart or a repository.
    Chart(ChartSource),
    /// A manifest: its name as a chart, and where it is from.
    Manifest {
        /// The name of chart and release.
        name: String,
        /// Where it is.
        source: ManifestSource,
    },
    /// A revision's own chart, from Helm's record.
    Recorded(Box<Fetched>),
}

/// What plans are made with.
pub struct Planner<'p> {
    /// Helm, or why there is none.
    pub helm: Result<&'p Helm, &'p HelmError>,
    /// Charts of this run.
    pub charts: &'p Charts<'p>,
    /// What is asked for.
    pub request: &'p Request,
    /// Where the chart comes from.
    pub origin: &'p Origin,
    /// `--version`.
    pub version: Option<&'p str>,
    /// What the user's flags add to captures.
    pub asked: &'p Asked,
    /// What is replaced; nothing on an install.
    pub replacing: Option<&'p Replacing<'p>>,
    /// The live cluster, absent where the plan is made from a file.
    pub live: Option<Live<'p>>,
}

/// A live cluster.
#[derive(Clone, Copy)]
pub struct Live<'p> {
    /// The cluster.
    pub connection: &'p Connection,
    /// The same for helm, but for the namespace; why not, where helm cannot be sent there.
    pub target: Result<&'p Target, &'p HelmError>,
    /// How much of what would be made is tried on the server.
    pub tries: trial::Extent,
}

/// A plan, and what carrying it out takes.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What agents will see differently; absent on an install that takes nothing over, and without helm.
    diff: Option<diff::Diff>,
    /// Values and pools.
    pub draft: Draft,
    /// The chart; absent where none could be had, and the plan is refused.
    pub chart: Option<Fetched>,
    /// Charts of definitions.
    pub crd_charts: Vec<Fetched>,
    /// What they hold.
    pub definitions: Vec<Object>,
    /// What the chart renders; absent without helm.
    pub rendered: Option<Vec<Object>>,
    /// What is replaced; nothing on an install.
    replaces: Option<Replaces>,
    /// The workloads that are replaced, as they stood.
    standing: BTreeMap<String, String>,
    /// What was asked of the cluster and of this machine.
    surroundings: Surroundings,
}

impl Planner<'_> {
    /// Plans from a capture.
    pub async fn plan(&self, capture: &Capture) -> Planned {
        let facts = Facts::of(capture, self.asked);
        let mut surroundings = Surroundings::default();
        if let (Some(_), Err(error)) = (self.live, self.helm) {
            surroundings.findings.push(helm_finding(error));
        }
        let fetched = match self.fetch(&facts).await {
            Ok(fetched) => Some(fetched),
            Err(finding) => {
                surroundings.findings.push(finding);
                None
            }
        };
        let nothing = nothing(self.request.cni, self.version, self.origin);
        let chart = fetched.as_ref().map_or(&nothing, |f| &f.chart);
        let bare = Request {
            user_values: Value::Object(Map::new()),
            ..self.request.clone()
        };
        // Without a chart nothing can be said of keys.
        let request = if fetched.is_some() { self.request } else { &bare };
        let draft = self.draft(&facts, chart, request);
        let crd_charts = self.crd_charts(fetched.as_ref(), &mut surroundings).await;
        let kubernetes = capture.server_version.as_ref().map(ToString::to_string);
        let mut rendered = None;
        let mut definitions = vec![];
        match (&fetched, self.helm) {
            (Some(fetched), Ok(helm)) => {
                let upgrades = self.replacing.is_some();
                let made = render(helm, fetched, &draft, kubernetes.as_deref(), upgrades).await;
                rendered = taken(made, &mut surroundings);
                for chart in &crd_charts {
                    let bare = Draft {
                        values: Value::Object(Map::new()),
                        ..draft.clone()
                    };
                    let made = render(helm, chart, &bare, kubernetes.as_deref(), upgrades).await;
                    definitions.extend(taken(made, &mut surroundings).unwrap_or_default());
                }
            }
            (Some(_), Err(error)) => surroundings.skipped.push((UNRENDERED.into(), wanted(error))),
            (None, _) => {}
        }
        if let Some(live) = self.live {
            self.look_around(
                live,
                &facts,
                &draft,
                rendered.as_deref(),
                &definitions,
                &mut surroundings,
            )
            .await;
        }
        let diff = self
            .diff(
                &facts,
                fetched.as_ref(),
                &draft,
                rendered.as_deref(),
                kubernetes.as_deref(),
            )
            .await;
        let diff = match diff {
            None => {
                self.adopted(&facts, &draft, rendered.as_deref(), &mut surroundings)
                    .await
            }
            diff => diff,
        };
        let plan = self.assemble(
            capture,
            &facts,
            chart,
            &crd_charts,
            &draft,
            rendered.as_deref(),
            diff.clone(),
            surroundings.clone(),
        );
        let replaces = self.replaces(diff.as_ref());
        Planned {
            plan,
            diff,
            draft,
            chart: fetched,
            crd_charts,
            definitions,
            rendered,
            replaces,
            standing: self.standing(&facts),
            surroundings,
        }
    }

    /// What has moved since `planned` was made, in one line; nothing where the same plan comes out of a new look.
    ///
    /// # Errors
    /// Where the cluster cannot be read.
    pub async fn moved(&self, planned: &Planned) -> Result<Option<String>, String> {
        let (Some(live), Some(fetched)) = (self.live, &planned.chart) else {
            return Ok(None);
        };
        let capture = cluster::read_for_change(live.connection, self.asked, &|_, _, _| {})
            .await
            .map_err(|e| e.to_string())?;
        let facts = Facts::of(&capture, self.asked);
        let draft = self.draft(&facts, &fetched.chart, self.request);
        let mut surroundings = planned.surroundings.clone();
        surroundings.installed = self.installed(live, &draft, &mut surroundings).await;
        let before = planned
            .surroundings
            .installed
            .as_ref()
            .map(|i| (i.revision, &i.status));
        let now = surroundings.installed.as_ref().map(|i| (i.revision, &i.status));
        if before != now {
            let word =
                |i: Option<(i64, &String)>| i.map_or("none".into(), |(n, s)| format!("revision {n}, {s}"));
            return Ok(Some(format!(
                "release {}/{} was {}, is {}",
                draft.namespace,
                draft.release,
                word(before),
                word(now)
            )));
        }
        if draft.values != planned.draft.values {
            return Ok(Some("it would get other values now".into()));
        }
        let unread = [Source::DaemonSets, Source::Deployments].map(|s| (s, capture.knows(s)));
        if let (Some(_), Some((source, _))) = (self.replacing, unread.iter().find(|(_, known)| !known)) {
            return Err(format!("{} could not be listed", source.resource()));
        }
        if let Some(edited) = edited(&planned.standing, &self.standing(&facts)) {
            return Ok(Some(edited));
        }
        let rendered = planned.rendered.as_deref();
        let plan = self.assemble(
            &capture,
            &facts,
            &fetched.chart,
            &planned.crd_charts,
            &draft,
            rendered,
            planned.diff.clone(),
            surroundings,
        );
        Ok(plan
            .blocked_by
            .first()
            .map(|slug| format!("now {slug} forbids it")))
    }

    #[expect(clippy::too_many_arguments, reason = "a plan is made of all of these")]
    fn assemble(
        &self,
        capture: &Capture,
        facts: &Facts<'_>,
        chart: &Chart,
        crd_charts: &[Fetched],
        draft: &Draft,
        rendered: Option<&[Object]>,
        diff: Option<diff::Diff>,
        surroundings: Surroundings,
    ) -> Plan {
        let report = judge::report(capture, self.asked, &|_| true);
        let crd_charts: Vec<Chart> = crd_charts.iter().map(|f| f.chart.clone()).collect();
        let without_helm = surroundings.skipped.iter().any(|(check, _)| check == UNRENDERED);
        let inputs = Inputs {
            facts,
            report: &report,
            chart,
            crd_charts: &crd_charts,
            request: self.request,
            draft: draft.clone(),
            rendered,
            surroundings,
        };
        let mut plan = match self.replacing {
            None => {
                let mut plan = plan::install(inputs);
                if let Some(diff) = diff {
                    plan.creates = Some(diff.creates.clone());
                    plan.diff = Some(diff);
                }
                plan
            }
            Some(replacing) => upgrade::plan(
                inputs,
                upgrade::Extra {
                    from: replacing.from,
                    to: replacing.to,
                    diff,
                    rollout: self.schedule(facts, &report, rendered),
                    settle: replacing.settle,
                    hop: replacing.hop,
                    offered: replacing.offered,
                },
            ),
        };
        // The same want is not told three times.
        plan.skipped
            .retain(|(_, missing)| !without_helm || missing != RENDERED);
        plan
    }

    /// The chart in the version that suits.
    async fn fetch(&self, facts: &Facts<'_>) -> Result<Fetched, Finding> {
        let source = match self.origin {
            Origin::Manifest { name, source } => {
                let text = self.charts.manifest(source).await;
                let wrapped = text.and_then(|text| self.charts.wrap_manifest(name, &source.shown(), &text));
                return wrapped.map_err(|e| chart_finding(&e));
            }
            Origin::Recorded(fetched) => return Ok((**fetched).clone()),
            Origin::Chart(source) => source,
        };
        let version = match (self.request.cni, self.version) {
            (Some(cni), wanted) => {
                let questions = sought::for_install(cni, wanted);
                // What is named is found or not; without a name it must suit, too.
                let enough =
                    |found: &[Offered]| wanted.is_some() || version::choose(found, cni, None, facts).is_ok();
                let offered = self.charts.sought(source, &questions, enough).await;
                let offered = offered.map_err(|e| chart_finding(&e))?;
                Some(version::choose(&offered, cni, wanted, facts)?.0.version)
            }
            (None, wanted) => wanted.map(str::to_string),
        };
        let fetched = self.charts.fetch(source, version.as_deref()).await;
        let fetched = fetched.map_err(|e| chart_finding(&e))?;
        let wanted = self.request.cni.and_then(|cni| cni.installing).map(|i| i.chart);
        match wanted {
            Some(wanted) if fetched.chart.name != wanted => Err(Finding::new(
                &CHART_UNUSABLE,
                vec![],
                format!(
                    "{} is the chart {}, not {wanted}",
                    source.shown(),
                    fetched.chart.name
                ),
                "for a chart of your own: kubectl byocni install --chart PATH, without a CNI's name",
            )),
            _ => Ok(fetched),
        }
    }

    /// The chart of the CNI's definitions, where it has one of its own.
    async fn crd_charts(&self, fetched: Option<&Fetched>, surroundings: &mut Surroundings) -> Vec<Fetched> {
        let (Some(fetched), Some(installing)) = (fetched, self.request.cni.and_then(|cni| cni.installing))
        else {
            return vec![];
        };
        let Some((name, from)) = installing.crd_chart else {
            return vec![];
        };
        if minor_of(&fetched.chart.version).is_none_or(|minor| minor < from) {
            return vec![];
        }
        let Origin::Chart(source) = self.origin else {
            return vec![];
        };
        let made = async {
            let source = source.sibling(name, &fetched.chart.version, installing.repository)?;
            self.charts.fetch(&source, Some(&fetched.chart.version)).await
        };
        match made.await {
            Ok(fetched) => vec![fetched],
            // Offline, without helm: the plan says that they come first, and cannot list them.
            Err(ChartError::NeedsHelm { .. }) if self.live.is_none() => {
                surroundings
                    .skipped
                    .push((format!("the definitions of {name}"), "helm".into()));
                vec![]
            }
            Err(error) => {
                surroundings.findings.push(chart_finding(&error));
                vec![]
            }
        }
    }

    /// What only the live cluster tells: the release, rights, lock and journal, whether a probe may be made.
    async fn look_around(
        &self,
        live: Live<'_>,
        facts: &Facts<'_>,
        draft: &Draft,
        rendered: Option<&[Object]>,
        definitions: &[Object],
        surroundings: &mut Surroundings,
    ) {
        if let Err(error) = live.target {
            surroundings.findings.push(helm_finding(error));
        }
        surroundings.installed = self.installed(live, draft, surroundings).await;
        let capture = facts.capture;
        let exists = !capture.knows(Source::Namespaces) || has_namespace(capture, &draft.namespace);
        let wanted = rights::Wanted {
            cni: self.request.cni,
            namespace: &draft.namespace,
            namespace_exists: exists,
            crds: !definitions.is_empty(),
            probe: true,
        };
        let needed = rights::needed(rendered.unwrap_or_default(), &wanted);
        match cluster::rights::denied(live.connection, &needed).await {
            Ok(denied) => surroundings.denied = denied,
            Err(error) => surroundings.unread.push(format!("rights ({error})")),
        }
        let all: Vec<&Object> = definitions.iter().chain(rendered.unwrap_or_default()).collect();
        let tried = trial::tried(
            live.connection,
            &all,
            &draft.namespace,
            capture,
            &surroundings.denied,
            live.tries,
        )
        .await;
        surroundings.denied.extend(tried.denied);
        surroundings.findings.extend(tried.findings);
        surroundings.skipped.extend(tried.skipped);
        match lock::living_holder(live.connection).await {
            Ok(Some(holder)) => surroundings.findings.push(Finding::new(
                &CHANGE_LOCKED,
                vec![Subject::namespaced("Lease", "kube-system", "kubectl-byocni")],
                format!("another change is under way, by {}", holder.identity),
                "wait until it has ended: kubectl get lease kubectl-byocni -n kube-system",
            )),
            Ok(None) => match journal::read(live.connection).await {
                Ok(book) => surroundings
                    .findings
                    .extend(book.journal.operation.as_ref().map(interrupted)),
                Err(error) => surroundings.unread.push(error.to_string()),
            },
            Err(error) => surroundings.unread.push(format!("the lock ({error})")),
        }
        if surroundings.denied.is_empty() {
            surroundings
                .findings
                .extend(probe_denied(live.connection, facts).await);
        }
    }

    /// The release of the planned name.
    async fn installed(
        &self,
        live: Live<'_>,
        draft: &Draft,
        surroundings: &mut Surroundings,
    ) -> Option<Installed> {
        let (Ok(helm), Ok(target)) = (self.helm, live.target) else {
            return None;
        };
        let target = Target {
            namespace: draft.namespace.clone(),
            ..target.clone()
        };
        let release = helm.release(&target, &draft.release, None);
        let unread = |surroundings: &mut Surroundings, error: HelmError| {
            surroundings
                .unread
                .push(format!("release {}/{} ({error})", draft.namespace, draft.release));
        };
        let newest = match release.history().await {
            Ok(mut history) => match history.pop() {
                Some(newest) => newest,
                None => {
                    match records::unseen(live.connection, &draft.namespace, &draft.release).await {
                        Ok(finding) => surroundings.findings.extend(finding),
                        Err(error) => surroundings.unread.push(format!("records of helm ({error})")),
                    }
                    return None;
                }
            },
            Err(error) => {
                unread(surroundings, error);
                return None;
            }
        };
        let values = match release.values(Some(newest.revision)).await {
            Ok(values) => values,
            Err(error) => {
                unread(surroundings, error);
                Value::Object(Map::new())
            }
        };
        Some(Installed {
            revision: newest.revision,
            status: newest.status,
            chart: newest.chart,
            version: newest.version,
            values,
        })
    }
}

impl Planned {
    /// The operation that carries the plan out, as the journal keeps it.
    pub fn operation(
        &self,
        capture: &Capture,
        asked: &Asked,
        request: &Request,
        now: jiff::Timestamp,
    ) -> Operation {
        let facts = Facts::of(capture, asked);
        let report = judge::report(capture, asked, &|_| true);
        let (broken_nodes, errors) = gate::baseline(&facts, &report);
        let journaled = |chart: &Chart| JournaledChart {
            name: chart.name.clone(),
            version: chart.version.clone(),
            digest: chart.digest.clone(),
        };
        let groups = request.cni.map_or(&[][..], |cni| cni.groups);
        let all = self.rendered.iter().flatten().chain(&self.definitions);
        let defined = all.filter(|o| o.kind == "CustomResourceDefinition");
        let defines: BTreeSet<&str> = defined.map(|o| o.name.as_str()).collect();
        let crds = capture.crds.iter().map(|crd| crd.meta.name.to_string());
        let crds = crds.filter(|name| {
            defines.contains(name.as_str()) || groups.iter().any(|group| name.ends_with(&format!(".{group}")))
        });
        let taint = request.cni.and_then(|cni| cni.taint);
        let tainted = facts
            .nodes
            .iter()
            .filter(|n| taint.is_some_and(|t| n.taint(t).is_some()));
        Operation {
            id: super::random(),
            change: request.change,
            cni: request
                .cni
                .map_or(self.plan.chart.name.as_str(), |cni| cni.id)
                .to_string(),
            by: super::who(),
            begun: now,
            release: self.draft.release.clone(),
            namespace: self.draft.namespace.clone(),
            chart: JournaledChart {
                name: self.plan.chart.name.clone(),
                version: self.plan.chart.version.clone(),
                digest: self.plan.chart.digest.clone(),
            },
            crd_charts: self.crd_charts.iter().map(|f| journaled(&f.chart)).collect(),
            defines: defines.iter().map(ToString::to_string).collect(),
            pools: self.draft.pools.clone(),
            gate_seconds: self.plan.gate.timeout.as_secs(),
            take_ownership: request.take_ownership,
            no_rollback: request.no_rollback,
            replaces: self.replaces.clone().map(|mut replaces| {
                if let (Some(pace), Some(rollout)) = (&mut replaces.pace, &self.plan.rollout) {
                    let limit = request.timeout.unwrap_or(rollout.limit);
                    pace.limit_seconds = limit.as_secs();
                }
                replaces
            }),
            phase: Phase::Planned,
            before: Before {
                revision: self.surroundings.installed.as_ref().map(|i| i.revision),
                broken_nodes,
                errors,
                namespace: has_namespace(capture, &self.draft.namespace),
                crds: crds.collect(),
                tainted: tainted.map(|n| n.name.to_string()).collect(),
                configured: facts.configured().and_then(|config| config.since),
            },
        }
    }
}

fn has_namespace(capture: &Capture, name: &str) -> bool {
    name == "kube-system" || capture.namespaces.iter().any(|n| n.meta.name == *name)
}

/// Whether the gate's probe would be refused, tried without making it.
async fn probe_denied(connection: &Connection, facts: &Facts<'_>) -> Option<Finding> {
    let node = facts.nodes.iter().find(|n| n.linux && !n.is_virtual)?;
    let image = gate::probe::image(facts, node.name)?;
    let pod = gate::probe::pod(node.name, &image, &super::random());
    match probe::create(connection, &pod, true).await {
        Err(probe::ProbeError::Denied { why }) => Some(Finding::new(
            &PROBE_DENIED,
            vec![Subject::new("Namespace", "kube-system")],
            format!("the pod that shows whether new pods get an address would be refused: {why}"),
            "kubectl byocni explain probe-denied",
        )),
        _ => None,
    }
}

/// A chart in place of one that could not be had: the plan is refused, and says the rest of what it knows.
fn nothing(cni: Option<&'static Cni>, version: Option<&str>, origin: &Origin) -> Chart {
    let (named, source) = match origin {
        Origin::Manifest { name, source } => (name.as_str(), source.shown()),
        Origin::Chart(source) => ("unknown", source.shown()),
        Origin::Recorded(fetched) => ("unknown", fetched.chart.source.clone()),
    };
    Chart {
        name: cni
            .and_then(|c| c.installing)
            .map_or(named, |i| i.chart)
            .to_string(),
        version: version.map(|v| Text::new(v).line(60)).unwrap_or_default(),
        app_version: String::new(),
        kube_version: None,
        digest: String::new(),
        source,
        values: Value::Object(Map::new()),
        values_text: String::new(),
        schema: None,
        crds: vec![],
    }
}

fn chart_finding(error: &ChartError) -> Finding {
    if let ChartError::NeedsHelm { .. } = error {
        return Finding::new(
            &HELM_MISSING,
            vec![],
            error.to_string(),
            error.hint().unwrap_or_default(),
        );
    }
    let fix = error
        .hint()
        .unwrap_or_else(|| "kubectl byocni explain chart-unusable".into());
    Finding::new(&CHART_UNUSABLE, vec![], error.to_string(), fix)
}

/// What is wanting where there is no helm that can be used.
fn wanted(error: &HelmError) -> String {
    match error {
        HelmError::Missing { .. } => "helm".into(),
        error => Text::new(&error.to_string()).line(200),
    }
}

fn helm_finding(error: &HelmError) -> Finding {
    let code = match error {
        HelmError::TooOld { .. } | HelmError::TooNew { .. } => &HELM_TOO_OLD,
        _ => &HELM_MISSING,
    };
    let fix = error
        .hint()
        .unwrap_or_else(|| format!("kubectl byocni explain {}", code.slug));
    Finding::new(code, vec![], error.to_string(), fix)
}
